//! Processes that live otherwise than most.

use std::process::{Command, Stdio};

use crate::common::{Outcome, Profile, Running, events_in, processes, regions_in};
use crate::support::{
    ALL, nothing_is_left, number, run, send, state, sweep, wait_until, wait_until_reported,
};

#[track_caller]
fn has_events(outcome: &Outcome, expected: usize, what: &str) {
    let events = outcome.events();
    let words: Vec<_> = events.iter().map(|event| event.exceptions()[0].clone()).collect();
    assert_eq!(events.len(), expected, "{what}: {words:#?}");
}

/// The child's death is its own, and the parent hears of it as it does unwatched. Only of a child that has
/// recorded something there is anything to report.
#[test]
fn a_forked_child_dies_for_itself() {
    let cases = [
        ("exit", true, 0),
        ("panic", true, 1),
        ("segv", true, 1),
        ("kill", true, 1),
        ("exit", false, 0),
        ("panic", false, 1),
        ("segv", false, 0),
        ("kill", false, 0),
    ];
    for how in ALL {
        for (way, first, events) in cases {
            let with = |how| {
                let run = run(how, "fork").variable("WAY", way);
                if first { run.variable("FIRST", "1") } else { run }
            };
            let what = format!("{how} {way} {first}");
            let (plain, outcome) = (with("plain").run(), with(how).run());
            outcome.exits_with(0);
            let status = |outcome: &Outcome| number(&outcome.stdout, "with");
            assert_eq!(status(&outcome), status(&plain), "{what}");
            assert!(outcome.stdout.ends_with("the parent goes on\n"), "{what}");
            sweep(&outcome.state());
            has_events(&outcome, events, &what);
            if first && events == 1 {
                let event = outcome.event();
                let messages = event.breadcrumb_messages();
                assert!(messages.contains(&"a line of the child"), "{what} {messages:?}");
                assert_eq!(event.0["contexts"]["process"]["pid"], number(&outcome.stdout, "child"));
            }
            wait_until_reported(&outcome);
            nothing_is_left(&outcome.state());
        }
    }
}

/// Nobody is its parent, and every descriptor is closed.
#[test]
fn a_daemon_is_reported_once() {
    for how in ALL {
        for (way, events) in [("panic", 1), ("segv", 1), ("kill", 1), ("exit", 0)] {
            let outcome = run(how, "daemon").variable("WAY", way).run();
            outcome.exits_with(0);
            let state = outcome.state();
            processes::wait_until_ended(&state);
            sweep(&state);
            has_events(&outcome, events, &format!("{how} {way}"));
            nothing_is_left(&state);
        }
    }
}

#[test]
fn a_program_that_closes_all_descriptors_is_reported_once() {
    let ways = [
        ("panic", 1),
        ("abort", 1),
        ("segv", 1),
        ("overflow", 1),
        ("kill", 1),
        ("exit", 0),
        ("3", 0),
    ];
    for act in ["close", "close-above"] {
        for how in ALL {
            for (way, events) in ways {
                let with = |how| run(how, act).variable("WAY", way).run();
                let (plain, outcome) = (with("plain"), with(how));
                assert_eq!(outcome.status, plain.status, "{how} {act} {way}");
                if how == "hook" {
                    sweep(&outcome.state());
                }
                wait_until_reported(&outcome);
                has_events(&outcome, events, &format!("{how} {act} {way}"));
                nothing_is_left(&outcome.state());
            }
        }
    }
}

/// Starts a program that becomes another one, which waits.
fn executes(how: &str) -> Running {
    let mut running =
        run(how, "execute").variable("THEN_WATCHED", "plain").variable("THEN", "wait").start();
    running.wait_for_line("ready");
    running
}

#[test]
fn with_a_hook_what_it_was_is_replaced() {
    let running = executes("hook");
    let state = running.state();
    let said = sweep(&state);
    assert!(said.contains("executed another program"), "{said}");
    assert_eq!(events_in(&state).len(), 0);
    running.signal(libc::SIGSEGV);
    running.signal(libc::SIGKILL);
    let outcome = running.finish();
    sweep(&outcome.state());
    has_events(&outcome, 0, "the new program's death is not ours to tell");
    nothing_is_left(&outcome.state());
}

#[test]
fn with_a_monitor_the_watch_is_over() {
    let running = executes("monitor");
    let state = running.state();
    wait_until("the watch is over", || {
        regions_in(&state).is_empty() && processes::of(&state) == [running.pid()]
    });
    running.signal(libc::SIGKILL);
    let outcome = running.finish();
    has_events(&outcome, 0, "the new program's death is not ours to tell");
    nothing_is_left(&outcome.state());
}

#[test]
fn with_a_wrap_the_new_program_is_watched_as_under_run() {
    for how in ["wrap", "builder-wrap"] {
        let running = executes(how);
        let program = processes::child_of(running.pid()).expect("a child");
        send(program.cast_signed(), libc::SIGKILL);
        let outcome = running.finish();
        outcome.dies_by(libc::SIGKILL);
        has_events(&outcome, 1, how);
        nothing_is_left(&outcome.state());
    }
}

#[test]
fn a_program_that_executes_itself_is_watched_again() {
    for how in ALL {
        for (way, events) in [("segv", 1), ("panic", 1), ("kill", 1), ("exit", 0)] {
            let run = run(how, "execute").variable("THEN_WATCHED", how).variable("THEN", "die");
            let outcome = run.variable("WAY", way).run();
            if how == "hook" {
                sweep(&outcome.state());
            }
            wait_until_reported(&outcome);
            has_events(&outcome, events, &format!("{how} {way}"));
            if events == 1 {
                let event = outcome.event();
                let messages = event.breadcrumb_messages();
                assert!(messages.contains(&"the last line"), "{how} {way} {messages:?}");
            }
            nothing_is_left(&outcome.state());
        }
    }
}

#[test]
fn an_exit_while_others_log_is_clean() {
    for how in ALL {
        for _ in 0..10 {
            let outcome = run(how, "exit-while-logging").run();
            outcome.exits_with(7);
            wait_until_reported(&outcome);
            has_events(&outcome, 0, how);
            nothing_is_left(&outcome.state());
        }
    }
}

/// The kernel shows such a process as a zombie; it lives all the same.
#[test]
fn a_process_without_its_main_thread_lives() {
    for how in ALL {
        for ends_well in [false, true] {
            let mut running = run(how, "main-thread-ends").start();
            running.wait_for_line("ready");
            let is_wrapped = how.ends_with("wrap");
            let child = || processes::child_of(running.pid()).expect("a child");
            let pid = if is_wrapped { child() } else { running.pid() };
            assert_eq!(state(pid), Some('Z'), "{how}");
            sweep(&running.state());
            assert_eq!(events_in(&running.state()).len(), 0, "{how}: it lives");
            assert_eq!(regions_in(&running.state()).len(), 1, "{how}: it lives");
            if ends_well {
                running.write_line("go on");
            } else {
                send(pid.cast_signed(), libc::SIGKILL);
            }
            let outcome = running.finish();
            sweep(&outcome.state());
            wait_until_reported(&outcome);
            has_events(&outcome, usize::from(!ends_well), how);
            nothing_is_left(&outcome.state());
        }
    }
}

/// As fast as they go, by several at once, all in one directory.
#[test]
fn a_thousand_starts_and_stops_leave_nothing() {
    let program = Profile::Dev.program("watched");
    for how in ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let start = || {
            let mut command = Command::new(&program);
            command
                .env_clear()
                .env("HOME", folder.path())
                .env("LASTWORDS_STATE_DIR", folder.path());
            command.env("WATCHED", how).env("DO", "exit").env("STATUS", "0").stdin(Stdio::null());
            command.output().expect("it can be run")
        };
        let work = || {
            for _ in 0..250 {
                let output = start();
                let printed = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && printed.is_empty(), "{how} {printed}");
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no failure"));
        });
        processes::wait_until_ended(folder.path());
        assert_eq!(regions_in(folder.path()).len(), 0, "{how}");
        assert_eq!(events_in(folder.path()).len(), 0, "{how}");
        nothing_is_left(folder.path());
    }
}
