//! As PID 1 of a PID namespace.

use std::process::Command;
use std::sync::OnceLock;

use crate::common::skipped;
use crate::support::{Case, act, case, script};

const NAMESPACE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

/// Whether PID namespaces are permitted; where they are not, says that a test is skipped.
fn permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    let probe = || Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).arg("true").output();
    let permitted = *PERMITTED.get_or_init(|| probe().is_ok_and(|output| output.status.success()));
    if !permitted {
        skipped("no PID namespace is permitted here");
    }
    permitted
}

fn as_init(case: Case) -> Case {
    case.through(NAMESPACE)
}

#[test]
fn orphans_are_reaped() {
    if !permitted() {
        return;
    }
    let program = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i & echo $!); done; \
        zombies() { grep -l '^State:.Z' /proc/[0-9]*/status; }; \
        alive() { grep -l '^Name:.sleep' /proc/[0-9]*/status; }; \
        while zombies >/dev/null 2>&1 || alive >/dev/null 2>&1; do sleep 0.01; done; echo none; exit 3";
    for options in [&[][..], &["--group"]] {
        let finished = as_init(script(program)).option(options).start().finish();
        assert_eq!(finished.code(), 3, "{finished:?}");
        assert!(finished.stdout.ends_with("none\n"), "{finished:?}");
    }
}

#[test]
fn it_ends_with_the_program_and_takes_the_rest_along() {
    if !permitted() {
        return;
    }
    for (code, program) in [(0, "true"), (7, "exit 7"), (139, "ulimit -c 0; kill -SEGV $$")] {
        let program = format!("sleep 600 >/dev/null 2>&1 & {program}");
        let finished = as_init(script(&program)).start().finish();
        assert_eq!(finished.code(), code, "{finished:?}");
    }
}

/// PID 1 gets no signal from inside that it has no handler for; the program shall get them all.
#[test]
fn signals_to_it_reach_the_program() {
    if !permitted() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go").display().to_string();
    let sends = "sh -c 'until [ -e \"$GO\" ]; do sleep 0.01; done; \
                 for s in 1 2 3 6 10 11 15 20 28 40; do kill -$s 1; sleep 0.05; done' & \
                 exec \"$ACT\" signals";
    let live = as_init(script(sends)).variable("GO", &go).start();
    live.stdout.wait_for("ready\n");
    std::fs::write(&go, "").unwrap();
    live.stdout.wait_for("signal 40\n");
    let finished = live.finish();
    let expected = [1, 2, 3, 6, 10, 11, 15, 20, 28, 40].map(|signal| format!("signal {signal}\n"));
    // The end of who sent them may come as well, a SIGCHLD of the program's own.
    let told = finished.stdout.replace("signal 17\n", "");
    assert_eq!(told, format!("ready\n{}", expected.concat()));
}

#[test]
fn a_program_that_is_not_there_is_said_to_be() {
    if permitted() {
        assert_eq!(as_init(case(["no-such-program"])).start().finish().code(), 127);
        assert_eq!(
            as_init(case([act(), "flood".into(), "100".into()])).start().finish().stderr.len(),
            100
        );
    }
}
