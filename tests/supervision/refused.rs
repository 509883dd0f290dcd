//! Where a program cannot be watched: a warning, and it runs on.

use crate::common::{Outcome, Run, can_mount, is_root, regions_in, skipped};
use crate::support::{ALL, WATCHES, run};

#[track_caller]
fn runs_on_with(outcome: &Outcome, warning: &str, what: &str) {
    outcome.exits_with(7);
    let warnings = outcome.warnings();
    let said = warnings.iter().filter(|line| line.contains(warning)).count();
    assert_eq!(said, 1, "{what}: {warnings:?}");
}

fn exit(how: &str) -> Run {
    run(how, "exit").variable("STATUS", "7")
}

#[test]
fn a_call_that_comes_too_late_is_a_warning() {
    for how in WATCHES {
        let outcome = exit(how).variable("THREADS", "1").run();
        runs_on_with(&outcome, "before any thread is started", how);
        outcome.leaves_no_region();
    }
}

/// What dies unwatched is swept.
#[test]
fn a_program_that_called_too_late_is_swept() {
    for how in WATCHES {
        let outcome = run(how, "die").variable("WAY", "segv").variable("THREADS", "1").run();
        outcome.dies_by(libc::SIGSEGV);
        assert_eq!(outcome.events().len(), 0, "{how}: nobody watched");
        crate::support::sweep(&outcome.state());
        assert!(outcome.event().breadcrumb_messages().contains(&"the last line"), "{how}");
    }
}

/// A limit on its address space is meant for the program alone: it starts wherever it does unwatched, also
/// where there is a death to be swept.
#[test]
fn under_a_tight_limit_on_memory_it_runs_on() {
    let under = |run: Run, mebibytes: u64| {
        let limit = format!("--as={}", mebibytes << 20);
        run.through(&["prlimit", &limit], "shift; exec \"$@\"").run()
    };
    // What it takes by itself, and what a region and a thread or two of ours take.
    let fits = |size: &u64| under(exit("plain"), size - 12).status.code() == Some(7);
    let sizes: Vec<u64> = [24, 28, 32, 40, 48, 64, 96, 192].into_iter().filter(fits).collect();
    assert!(sizes.len() > 3, "{sizes:?}");
    for how in ALL {
        for size in &sizes {
            let left = run("hook", "die").variable("WAY", "segv").run();
            assert_eq!(regions_in(&left.state()).len(), 1);
            let run = exit(how).variable("LASTWORDS_STATE_DIR", left.state());
            let outcome = under(run, *size);
            assert_eq!(outcome.status.code(), Some(7), "{how}, {size} MiB: {outcome:?}");
        }
    }
}

/// Every directory that could be one is read-only.
#[test]
fn without_a_state_directory_it_runs_on() {
    if !is_root() || !can_mount() {
        return;
    }
    for how in WATCHES {
        // The program may lie in a directory that is hidden then.
        let script = "shift && exec 9<\"$1\" && shift && \
                      mount -t tmpfs none \"$HOME\" && mount -o remount,ro none \"$HOME\" && \
                      mount -t tmpfs -o ro none /tmp && mount -t tmpfs -o ro none /var/lib && \
                      exec /proc/self/fd/9 \"$@\"";
        let outcome = exit(how)
            .variable("LASTWORDS_STATE_DIR", "/proc/none")
            .through(&["unshare", "-m"], script)
            .run();
        outcome.exits_with(7);
        assert!(!outcome.warnings().is_empty(), "{how}: {}", outcome.stderr);
    }
}

#[test]
fn without_proc_it_runs_on() {
    if !is_root() || !can_mount() {
        return;
    }
    let script = "mount -t tmpfs none /proc && shift && exec \"$@\"";
    for how in WATCHES {
        let outcome = exit(how).through(&["unshare", "-m"], script).run();
        outcome.exits_with(7);
        assert!(!outcome.warnings().is_empty(), "{how}: {}", outcome.stderr);
    }
}

#[test]
fn where_no_process_is_to_be_had_it_runs_on() {
    if !is_root() {
        return skipped("only root runs programs as another user");
    }
    for how in WATCHES {
        // A limit that the program itself just meets.
        let limit = ["prlimit", "--nproc=1:1"];
        let outcome = exit(how).user(64_321).through(&limit, "shift; exec \"$@\"").run();
        runs_on_with(&outcome, "the program is not watched", how);
    }
}
