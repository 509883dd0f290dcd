//! Deaths in the middle of another: a kill or an abort while a panic is told or unwinds, and a kill behind
//! a stop that was asked for. One event, or none.

use std::process::Command;

use crate::common::{Event, Outcome, Run, processes, skipped};
use crate::support::{
    LASTWORDS, nothing_is_left, run, send, sweep, under_run, wait_until_reported,
};

/// Who watches: the first hand, and then the words it stands under.
fn settings(act: &str) -> [(&'static str, Run); 5] {
    [
        ("hook", run("hook", act)),
        ("wrap", run("wrap", act)),
        ("monitor", run("monitor", act)),
        ("hook under run", under_run("hook", act)),
        ("plain under run", under_run("plain", act)),
    ]
}

#[track_caller]
fn the_event(outcome: &Outcome, how: &str) -> Event {
    if how == "hook" {
        sweep(&outcome.state());
    }
    wait_until_reported(outcome);
    let mut events = outcome.events();
    let words: Vec<_> = events.iter().map(|event| event.exceptions()[0].clone()).collect();
    assert_eq!(events.len(), 1, "{how}: {words:#?}");
    nothing_is_left(&outcome.state());
    events.remove(0)
}

/// The main thread's panic is what it dies of.
#[test]
fn a_kill_while_the_main_thread_unwinds_is_one_event() {
    for (how, run) in settings("die") {
        let outcome = run.variable("WAY", "panic-and-kill").run();
        let event = the_event(&outcome, how);
        assert_eq!((event.message(), event.level()), ("it panics", "fatal"), "{how}");
        if how != "hook" {
            let process = &event.0["contexts"]["process"];
            assert_eq!(process["signal"], "SIGKILL", "{how}: {process}");
        }
    }
}

/// No name in its stack tells what the abort is about.
#[test]
fn an_abort_by_the_hook_of_a_stripped_program_is_one_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let stripped = folder.path().join("stripped");
    let program = crate::common::Profile::Dev.program("watched");
    let done = Command::new("strip").arg("-o").args([&stripped, &program]).status();
    if !done.is_ok_and(|status| status.success()) {
        return skipped("there is no strip");
    }
    for (how, run) in settings("die").into_iter().take(4) {
        let outcome = run.variable("WAY", "abort-in-hook").program(&stripped).run();
        let event = the_event(&outcome, how);
        assert_eq!((event.message(), event.level()), ("it panics", "fatal"), "{how}");
        let fingerprint = event.0["fingerprint"].to_string();
        assert!(fingerprint.contains("it panics") && fingerprint.contains("ways.rs"), "{how}");
    }
}

/// As a container is stopped whose program takes its time: who watches has passed the signal on, and is
/// killed as well.
#[test]
fn a_kill_of_all_behind_a_stop_is_no_event() {
    for (how, under) in [("wrap", &[][..]), ("plain", &[LASTWORDS, "run", "--"])] {
        let mut running = run(how, "stop-slowly").under(under).start();
        running.wait_for_line("ready");
        let (monitor, state) = (running.pid(), running.state());
        let program = processes::child_of(monitor).expect("a child");
        send(monitor.cast_signed(), libc::SIGTERM);
        running.wait_for_line("asked");
        send(monitor.cast_signed(), libc::SIGKILL);
        send(program.cast_signed(), libc::SIGKILL);
        let outcome = running.finish();
        processes::wait_until_ended(&state);
        let said = sweep(&state);
        assert!(said.contains("stopped by SIGTERM, which is no crash"), "{how}: {said}");
        assert_eq!(outcome.events().len(), 0, "{how}");
        nothing_is_left(&state);
    }
}
