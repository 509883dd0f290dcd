//! How the process beside the program learns how that ended; and the program as PID 1.

use crate::common::{Event, Profile, Running, skipped};
use crate::support::{
    WATCHES, is_gone, nothing_is_left, number, run, send, state, wait_until, wait_until_reported,
};

/// Ways to end, and how many events each is.
const WAYS: [(&str, usize); 9] = [
    ("panic", 1),
    ("panic-in-thread", 1),
    ("abort", 1),
    ("segv", 1),
    ("overflow", 1),
    ("kill", 1),
    ("exit", 0),
    ("3", 0),
    ("term", 0),
];

/// What the kernel is kept from telling.
const FILTERS: [Option<&str>; 3] = [None, Some("info"), Some("all")];

/// Starts it, and stops who watches.
fn start(filter: Option<&str>) -> (Running, u32) {
    let run = run("monitor", "monitor");
    let filtered = Profile::Dev.program("without_pidfd").display().to_string();
    let mut running = match filter {
        Some(filter) => run.under(&[&filtered, filter]).start(),
        None => run.start(),
    };
    wait_until("it says who watches", || running.output().contains("monitor "));
    let monitor = number(&running.output(), "monitor");
    running.wait_for_line(&format!("monitor {monitor}"));
    (running, monitor)
}

/// The program was waited for by its parent before its monitor looks: where the kernel does not say how
/// it ended, what it left in its region does.
#[test]
fn a_program_that_was_waited_for_is_told_by_the_kernel_or_by_its_region() {
    for filter in FILTERS {
        for (way, events) in WAYS {
            let (mut running, monitor) = start(filter);
            send(monitor.cast_signed(), libc::SIGSTOP);
            wait_until("it is stopped", || state(monitor) == Some('T'));
            running.write_line(way);
            running.wait_for_end();
            send(monitor.cast_signed(), libc::SIGCONT);
            let outcome = running.finish();
            wait_until_reported(&outcome);
            let found = outcome.events();
            assert_eq!(found.len(), events, "{filter:?} {way} {:?}", messages(&found));
            if way == "kill" {
                let process = &found[0].0["contexts"]["process"];
                let is_known = process["signal"] == "SIGKILL" || process["signal"] == 9;
                assert_eq!(is_known, filter.is_none(), "{filter:?} {process}");
            }
            nothing_is_left(&outcome.state());
            wait_until("the monitor ends", || is_gone(monitor));
        }
    }
}

/// The program stays a zombie until its death is reported.
#[test]
fn a_zombie_is_told_by_the_kernel() {
    for filter in FILTERS {
        for (way, events) in WAYS {
            let (mut running, monitor) = start(filter);
            running.write_line(way);
            wait_until(&format!("{filter:?} {way}: reported"), || is_gone(monitor));
            assert_eq!(state(running.pid()), Some('Z'), "nobody has waited for it");
            let outcome = running.finish();
            outcome.leaves_no_region();
            let found = outcome.events();
            assert_eq!(found.len(), events, "{filter:?} {way} {:?}", messages(&found));
            nothing_is_left(&outcome.state());
        }
    }
}

fn messages(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::message).collect()
}

/// Its end takes all of its namespace with it, a process beside it too: so it is wrapped.
#[test]
fn as_pid_1_it_is_wrapped_and_orphans_are_reaped() {
    let namespace = ["unshare", "--pid", "--fork", "--mount-proc"];
    let probe = std::process::Command::new(namespace[0]).args(&namespace[1..]).arg("true").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skipped("no PID namespace is permitted here");
    }
    for how in WATCHES {
        for (way, events) in [("exit", 0), ("3", 0), ("segv", 1), ("kill", 1), ("panic", 1)] {
            let outcome = run(how, "orphan").variable("WAY", way).under(&namespace).run();
            assert_eq!(number(&outcome.stdout, "of"), 1, "{how} {way}");
            assert_ne!(number(&outcome.stdout, "process"), 1, "{how} {way}");
            assert!(outcome.stdout.ends_with("reaped\n"), "{how} {way}");
            assert_eq!(outcome.events().len(), events, "{how} {way}");
            nothing_is_left(&outcome.state());
        }
    }
}
