//! `--group`: a group of its own, and nothing of it is left.

use crate::support::{HANGS, Live, act, case, is_dead, script, wait_for_state, wait_until};

/// Starts it as the leader of a session, or not.
fn start(case: &crate::support::Case, leads_session: bool) -> Live {
    let mut case = case.clone().option(&["--group"]);
    case.leads_session = leads_session;
    case.start()
}

#[test]
fn signals_go_to_all_of_the_group() {
    for leads_session in [false, true] {
        let program = "trap 'wait; echo outer; exit 8' TERM; \
                       sh -c 'trap \"echo inner; exit\" TERM; echo ready; while :; do sleep 0.01; done' & \
                       wait";
        let live = start(&script(program), leads_session);
        live.stdout.wait_for("ready\n");
        live.signal(libc::SIGTERM);
        let finished = live.finish();
        assert_eq!((finished.code(), finished.stdout.as_str()), (8, "ready\ninner\nouter\n"));
    }
}

#[test]
fn every_signal_reaches_the_group_with_its_value() {
    for leads_session in [false, true] {
        let live = start(&case([act(), "signals".into()]), leads_session);
        live.stdout.wait_for("ready\n");
        let signals = [1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 23, 28, 31, libc::SIGRTMAX()];
        for signal in signals {
            live.signal(signal);
            live.stdout.wait_for(&format!("signal {signal}\n"));
        }
        let (pid, signal) = (live.pid().to_string(), libc::SIGRTMIN().to_string());
        let queue = [act().as_str(), "queue", &pid, &signal, "77"].map(str::to_owned);
        assert!(
            std::process::Command::new(&queue[0]).args(&queue[1..]).status().unwrap().success()
        );
        live.stdout.wait_for(&format!("signal {signal}"));
        let finished = live.finish();
        assert_eq!(finished.stdout.lines().count(), 2 + signals.len(), "{}", finished.stdout);
        // The kernel queues with a value to a whole group since 6.9.
        let with = finished.stdout.contains(&format!("signal {signal} with 77\n"));
        assert!(with || !knows_groups(), "{}", finished.stdout);
    }
}

fn knows_groups() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(9))
}

#[test]
fn what_is_left_of_the_group_is_terminated() {
    for leads_session in [false, true] {
        for rest in ["sleep 600", "sh -c 'kill -STOP $$; sleep 600'"] {
            let program = format!("{rest} >/dev/null 2>&1 & echo $!; exit 4");
            let live = start(&script(&program), leads_session);
            live.stdout.wait_for("\n");
            let rest: i32 = live.stdout.text().trim().parse().unwrap();
            assert_eq!(live.finish().code(), 4);
            assert!(is_dead(rest));
        }
    }
}

#[test]
fn what_does_not_listen_is_killed() {
    let program = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done' & echo $!; \
                   read x; exit 4";
    let mut live = start(&script(program), false);
    live.stdout.wait_for("ready\n");
    wait_until("both lines", || live.stdout.text().lines().count() == 2);
    let text = live.stdout.text();
    let rest: i32 = text.lines().find_map(|line| line.parse().ok()).unwrap();
    live.write(b"\n");
    assert_eq!(live.finish().code(), 4);
    assert!(is_dead(rest));
    assert!(HANGS > lastwords::supervise::GRACE);
}

#[test]
fn what_left_the_group_is_left_alone() {
    let program = "setsid sleep 600 >/dev/null 2>&1 & sleep 0.1; echo $!; exit 0";
    let live = start(&script(program), false);
    live.stdout.wait_for("\n");
    let away: i32 = live.stdout.text().trim().parse().unwrap();
    assert_eq!(live.finish().code(), 0);
    assert!(!is_dead(away));
    crate::support::send(away, libc::SIGKILL);
}

#[test]
fn it_is_suspended_and_goes_on_with_the_wrapper() {
    for leads_session in [false, true] {
        for stop in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            let mut live = start(&script("echo ready; read x; echo \"$x\""), leads_session);
            live.stdout.wait_for("ready\n");
            let program = live.program();
            live.signal(stop);
            wait_for_state(program, 'T');
            wait_for_state(live.pid(), 'T');
            live.signal(libc::SIGCONT);
            wait_for_state(program, 'S');
            live.write(b"gone on\n");
            assert_eq!(live.finish().stdout, "ready\ngone on\n");
        }
    }
}

#[test]
fn it_leads_its_group_or_session() {
    let tell =
        "[ $(ps -o pgid= -p $$) = $$ ] && echo group; [ $(ps -o sid= -p $$) = $$ ] && echo session";
    assert_eq!(start(&script(tell), false).finish().stdout, "group\n");
    assert_eq!(start(&script(tell), true).finish().stdout, "group\nsession\n");
}
