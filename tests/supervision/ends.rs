//! How the program ends, and what it prints.

use std::os::unix::process::ExitStatusExt;

use crate::common::Outcome;
use crate::support::{WATCHES, nothing_is_left, run, wait_until_reported};

#[track_caller]
fn same_end(watched: &Outcome, plain: &Outcome, how: &str) {
    let end = |outcome: &Outcome| (outcome.status.code(), outcome.status.signal());
    assert_eq!(end(watched), end(plain), "{how}");
    assert_eq!(watched.stdout, plain.stdout, "{how}");
}

#[test]
fn every_status_is_the_programs_and_no_event() {
    for status in ["0", "1", "2", "101", "126", "127", "128", "139", "255"] {
        let plain = run("plain", "exit").variable("STATUS", status).run();
        for how in WATCHES {
            let watched = run(how, "exit").variable("STATUS", status).run();
            same_end(&watched, &plain, how);
            wait_until_reported(&watched);
            assert_eq!(watched.events().len(), 0, "{how} {status}");
            nothing_is_left(&watched.state());
        }
    }
}

/// Fatal ones with an event, others without; the first process dies of it as the program did.
#[test]
fn every_signal_ends_it_as_it_does_unwatched() {
    let crashes = [
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGKILL,
        libc::SIGSEGV,
        libc::SIGSYS,
        libc::SIGXCPU,
        libc::SIGXFSZ,
    ];
    let stops =
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGALRM];
    for signal in crashes.into_iter().chain(stops) {
        let raise = |how| run(how, "raise").variable("SIGNAL", signal.to_string());
        let plain = raise("plain").run();
        plain.dies_by(signal);
        for how in WATCHES {
            let watched = raise(how).run();
            same_end(&watched, &plain, how);
            wait_until_reported(&watched);
            let expected = usize::from(crashes.contains(&signal));
            assert_eq!(watched.events().len(), expected, "{how} signal {signal}");
            nothing_is_left(&watched.state());
        }
    }
}

/// The program leaves the core that it would have left, and the first process none of its own.
#[test]
fn a_core_is_the_programs_alone() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.trim() != "core" {
        return crate::common::skipped("cores do not go to the directory of the process here");
    }
    for how in ["plain"].into_iter().chain(WATCHES) {
        let script = "shift; mkdir cores; cd cores; ulimit -c unlimited; \
                      echo 1 > /proc/self/coredump_filter; \"$@\"; echo \"status $?\"; ls";
        let outcome = run(how, "die").variable("WAY", "segv").through(&[], script).run();
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(lines[0], "status 139", "{how}");
        assert_eq!(lines.len(), 2, "one core: {how} {lines:?}");
        assert!(lines[1].starts_with("core"), "{how} {lines:?}");
    }
}

#[test]
fn output_is_the_same_to_the_byte() {
    let script = "shift; \"$@\" 2>err >out; cmp out \"$OUT\" && cmp err \"$OUT\" && echo same";
    let folder = tempfile::tempdir().expect("a folder");
    let expected = folder.path().join("out");
    let plain = format!("shift; exec \"$@\" 2>/dev/null >{}", expected.display());
    run("plain", "output").through(&[], &plain).run().exits_with(0);
    for how in WATCHES {
        let outcome = run(how, "output").variable("OUT", &expected).through(&[], script).run();
        assert_eq!(outcome.stdout, "same\n", "{how}");
    }
}
