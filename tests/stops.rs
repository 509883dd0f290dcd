//! Signals that end a process without being a crash: it dies as without lastwords, and the region
//! says what it died of.

#![cfg(target_os = "linux")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use common::{Outcome, Profile, Run};

fn dev(scenario: &str) -> Run {
    Run::victim(Profile::Dev, scenario)
}

fn stopped_by(run: Run, signal: i32) -> Outcome {
    let mut running = run.through(&[], "ulimit -c unlimited; shift; exec \"$@\"").start();
    running.wait_for_line("ready");
    running.signal(signal);
    running.finish()
}

/// Dies of `signal` with lastwords as without.
#[track_caller]
fn dies_as_plain(signal: i32) -> Outcome {
    let plain = stopped_by(dev("stoppable").plain(), signal);
    let ours = stopped_by(dev("stoppable"), signal);
    ours.dies_by(signal);
    assert_eq!(ours.status, plain.status);
    assert_eq!(ours.status.core_dumped(), plain.status.core_dumped());
    assert_eq!((&ours.stdout, &ours.stderr), (&plain.stdout, &plain.stderr));
    ours
}

#[test]
fn a_stop_that_was_asked_for_is_marked() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        let region = dies_as_plain(signal).region();
        let asked = region.asked.expect("asked to stop");
        assert_eq!((asked.signal, asked.died_of_it), (signal, true));
        assert!(asked.boot_nanos >= region.breadcrumbs.last().expect("one").boot_nanos);
        assert_eq!((region.ended_by, region.fatal), (None, None));
        assert!(!region.ended_cleanly && !region.silent_reported);
    }
}

#[test]
fn an_end_by_another_signal_is_marked() {
    for signal in [
        libc::SIGALRM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGSTKFLT,
    ] {
        let region = dies_as_plain(signal).region();
        assert_eq!((region.ended_by, region.asked), (Some(signal), None));
    }
    assert_eq!(dev("alarm").run().region().ended_by, Some(libc::SIGALRM));
}

#[test]
fn a_kill_marks_nothing() {
    let region = stopped_by(dev("stoppable"), libc::SIGKILL).region();
    assert_eq!((region.ended_by, region.asked, region.fatal), (None, None, None));
}

/// Without a handler in its way the signal stays ignored, as the kernel hands it down.
#[test]
fn what_is_ignored_stays_ignored() {
    let script = "trap '' HUP; shift; exec \"$@\"";
    let mut running = dev("stoppable").through(&[], script).start();
    running.wait_for_line("ready");
    running.signal(libc::SIGHUP);
    let outcome = running.finish();
    outcome.exits_with(0);
    outcome.leaves_no_region();
}

/// A handler that was set since and calls ours: the program survives, and only a stop is marked.
#[test]
fn a_handler_that_is_set_later_survives() {
    let outcome = dev("stop-handled").run();
    outcome.dies_by(libc::SIGKILL);
    assert_eq!(outcome.stdout, "went on\n");
    let asked = outcome.region().asked.expect("asked to stop");
    assert_eq!((asked.signal, asked.died_of_it), (libc::SIGTERM, false));
    let outcome = dev("user-handled").run();
    assert_eq!(outcome.stdout, "went on\n");
    let region = outcome.region();
    assert_eq!((region.ended_by, region.asked), (None, None));
}

#[test]
fn a_forked_child_leaves_its_parents_region_alone() {
    let outcome = dev("stop-in-child").run();
    assert_eq!(outcome.stdout, format!("child: true {}\n", libc::SIGTERM));
    assert_eq!(outcome.region().asked, None);
}

/// The kernel keeps from PID 1 of a namespace what is sent and at its default there.
#[test]
fn pid_1_is_not_stopped_by_its_own() {
    let words = ["unshare", "-p", "-f"];
    if !can_unshare(&words) {
        return;
    }
    for scenario in ["alarm", "stop-as-init", "raise-trap", "raise-segv"] {
        let plain = dev(scenario).under(&words).plain().run();
        let ours = dev(scenario).under(&words).run();
        assert_eq!((ours.status, &ours.stdout), (plain.status, &plain.stdout), "{scenario}");
        assert!(ours.stdout.contains("main returns"), "{scenario}");
        ours.leaves_no_region();
    }
    for scenario in ["segv", "abort"] {
        let plain = dev(scenario).under(&words).plain().run();
        let ours = dev(scenario).under(&words).run();
        assert_eq!((ours.status, &ours.stdout), (plain.status, &plain.stdout), "{scenario}");
        assert!(ours.region().fatal.is_some_and(|record| record.complete), "{scenario}");
    }
}

/// A container that is stopped: what its program is asked it does not hear, and then it is killed.
#[test]
fn pid_1_that_was_asked_and_is_killed_has_stopped() {
    let words = ["unshare", "-p", "-f"];
    if !can_unshare(&words) {
        return;
    }
    let mut running = dev("wait-as-init").under(&words).start();
    running.wait_for_line("ready");
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = std::fs::read_to_string(children).expect("the kernel lists children");
    let send = |signal: &str| {
        let sent = Command::new("kill").args([signal, children.trim()]).status();
        assert!(sent.expect("kill can be run").success());
    };
    send("-TERM");
    running.tell("go on");
    running.wait_for_line("still here");
    send("-KILL");
    let outcome = running.finish();
    let asked = outcome.region().asked.expect("a stop that was asked for");
    assert_eq!((asked.signal, asked.died_of_it), (libc::SIGTERM, false));
}

fn can_unshare(words: &[&str]) -> bool {
    let probe = Command::new(words[0]).args(&words[1..]).arg("true").output();
    let can = probe.is_ok_and(|output| output.status.success());
    if !can {
        common::skipped("no PID namespace is permitted here");
    }
    can
}
