//! Signals reach the program as they were sent.

use std::process::Command;

use crate::support::{Live, act, case, script, send, wait_until};

/// All that can be passed on: KILL and STOP cannot, CHLD is the wrapper's own, and the C library
/// keeps 32 and 33.
fn all() -> impl Iterator<Item = i32> {
    (1..=31).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(signal))
}

fn real_time() -> impl Iterator<Item = i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Sends one after the other, each when the one before has arrived.
fn send_all(live: Live, signals: impl Iterator<Item = i32>) -> crate::support::Finished {
    live.stdout.wait_for("ready\n");
    for signal in signals {
        live.signal(signal);
        live.stdout.wait_for(&format!("signal {signal}\n"));
    }
    live.finish()
}

#[test]
fn every_signal_is_passed_on_once() {
    let case = case([act(), "signals".into()]);
    let plain = send_all(case.start_plain(), all().chain(real_time()));
    let wrapped = send_all(case.start(), all().chain(real_time()));
    wrapped.is_like(&plain);
    assert_eq!(wrapped.stdout.lines().count(), 1 + all().chain(real_time()).count());
    assert!(wrapped.log.contains(&format!("asked Some({})", libc::SIGTERM)), "{}", wrapped.log);
}

#[test]
fn a_signal_ends_the_program_as_it_would() {
    for signal in all().filter(|signal| ![18, 20, 21, 22, 23, 28].contains(signal)) {
        let case = script("ulimit -c 0; echo ready; exec sleep 600");
        let finish = |live: Live| {
            live.stdout.wait_for("ready\n");
            wait_until("exec", || {
                let name = std::fs::read_to_string(format!("/proc/{}/comm", live.program()));
                name.is_ok_and(|name| name == "sleep\n")
            });
            live.signal(signal);
            live.finish()
        };
        let (plain, wrapped) = (finish(case.start_plain()), finish(case.start()));
        wrapped.is_like(&plain);
        assert_eq!(wrapped.code(), 128 + signal);
    }
}

#[test]
fn queued_signals_keep_order_and_values() {
    let case = case([act(), "signals".into()]);
    let finish = |live: Live| {
        live.stdout.wait_for("ready\n");
        let (pid, signal) = (live.pid().to_string(), libc::SIGRTMIN() + 2);
        for value in 1..=40usize {
            let value = (value * 0x1_0000_0001).to_string();
            let arguments = ["queue", &pid, &signal.to_string(), &value];
            assert!(Command::new(act()).args(arguments).status().unwrap().success());
        }
        live.signal(libc::SIGUSR1);
        live.stdout.wait_for(&format!("signal {}\n", libc::SIGUSR1));
        live.stdout.wait_for(&format!("with {}\n", 40 * 0x1_0000_0001usize));
        live.finish()
    };
    let (plain, wrapped) = (finish(case.start_plain()), finish(case.start()));
    let queued = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("with")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(queued(&wrapped.stdout).len(), 40);
    assert_eq!(queued(&wrapped.stdout), queued(&plain.stdout));
    assert_eq!(
        queued(&wrapped.stdout)[0],
        format!("signal {} with 4294967297", libc::SIGRTMIN() + 2)
    );
}

#[test]
fn signals_are_rewritten_and_dropped() {
    let rules = ["--rewrite", "TERM:INT", "--rewrite", "hup:0", "--rewrite", "12:RTMIN+1"];
    let live = case([act(), "signals".into()]).option(&rules).start();
    live.stdout.wait_for("ready\n");
    for signal in [libc::SIGHUP, libc::SIGTERM, libc::SIGUSR2] {
        live.signal(signal);
    }
    live.stdout.wait_for(&format!("signal {}\n", libc::SIGRTMIN() + 1));
    live.stdout.wait_for("signal 2\n");
    live.signal(libc::SIGUSR1);
    live.stdout.wait_for("signal 10\n");
    let finished = live.finish();
    assert_eq!(finished.stdout.lines().count(), 4, "{}", finished.stdout);
    assert!(finished.log.contains("asked Some(2)"), "{}", finished.log);
}

#[test]
fn a_signal_can_be_made_one_that_kills() {
    let live = case(["sleep", "600"]).option(&["--rewrite", "TERM:KILL"]).start();
    live.program();
    live.signal(libc::SIGTERM);
    assert_eq!(live.finish().code(), 128 + libc::SIGKILL);
}

#[test]
fn what_the_program_sends_to_its_group_comes_once() {
    let finished = script("trap 'echo got' USR1 HUP; kill -USR1 0; kill -HUP 0; echo end").same();
    assert_eq!(finished.stdout, "got\ngot\nend\n");
}

#[test]
fn an_alarm_set_before_the_start_comes() {
    let alarm = ["perl", "-e", "alarm 1; exec @ARGV"];
    if Command::new("perl").arg("-v").output().is_err() {
        return crate::common::skipped("no perl is installed");
    }
    let finished = case(["sleep", "600"]).through(alarm).same();
    assert_eq!(finished.code(), 128 + libc::SIGALRM);
}

#[test]
fn a_stopped_program_goes_on_and_the_wrapper_with_it() {
    for stop in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let case = script("echo ready; read line; echo \"$line\"");
        let mut live = case.start();
        live.stdout.wait_for("ready\n");
        let program = live.program();
        live.signal(stop);
        crate::support::wait_for_state(program, 'T');
        crate::support::wait_for_state(live.pid(), 'T');
        live.signal(libc::SIGCONT);
        crate::support::wait_for_state(program, 'S');
        live.write(b"gone on\n");
        let finished = live.finish();
        assert_eq!((finished.code(), finished.stdout.as_str()), (0, "ready\ngone on\n"));
    }
}

/// However quickly one follows the other: whoever was told to go on last does.
#[test]
fn a_program_that_is_stopped_and_let_go_on_in_a_hurry_goes_on() {
    for round in 0..60 {
        let live = case(["cat"]).start();
        let program = live.program();
        for number in 0..3 {
            live.signal([libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU][(round + number) % 3]);
            // All of them, as a shell does: what one alone is told may be lost (`stop_by`).
            std::thread::sleep(std::time::Duration::from_micros(50 * (round as u64 % 7)));
            send(-live.pid(), libc::SIGCONT);
        }
        crate::support::wait_for_state(program, 'S');
        assert_eq!(live.finish().code(), 0);
    }
}

/// As somebody does who suspends a process from outside and lets it go on the same way.
#[test]
fn a_program_that_somebody_stops_alone_goes_on_alone() {
    let mut live = script("echo ready; read line; echo \"$line\" >&2").start();
    live.stdout.wait_for("ready\n");
    let program = live.program();
    send(program, libc::SIGSTOP);
    crate::support::wait_for_state(program, 'T');
    send(program, libc::SIGCONT);
    live.write(b"gone on\n");
    assert_eq!(live.finish().stderr, b"gone on\n");
}

#[test]
fn a_program_that_ignores_the_stop_is_waited_for() {
    let case = script("trap '' TSTP; echo ready; while read line; do echo \"$line\"; done");
    let mut live = case.start();
    live.stdout.wait_for("ready\n");
    live.signal(libc::SIGTSTP);
    live.write(b"more\n");
    live.stdout.wait_for("more\n");
    assert_eq!(live.finish().code(), 0);
}

#[test]
fn when_the_wrapper_is_killed_the_program_lives_on_without_a_reader() {
    let mut live = script("echo ready; read line; \"$ACT\" write-until-error; echo lives").start();
    live.stdout.wait_for("ready\n");
    live.signal(libc::SIGKILL);
    wait_until("the wrapper's end", || live.child.try_wait().unwrap().is_some());
    live.write(b"\n");
    live.stdout.wait_for("BrokenPipe\nlives\n");
}

/// SIGSEGV by `kill` is passed on; the kernel's own is not, and does not come again and again.
#[test]
fn a_fault_of_the_wrapper_ends_it_and_nothing_else() {
    use std::os::unix::process::ExitStatusExt;
    let case = script("ulimit -c 0; echo ready >&2; read x; echo lives").option(&["--fault"]);
    let mut live = case.through(["sh", "-c", "ulimit -c 0; exec \"$@\"", "sh"]).start();
    let mut status = None;
    wait_until("the wrapper's end", || {
        status = live.child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGSEGV));
    live.write(b"\n");
    live.stdout.wait_for("lives\n");
}
