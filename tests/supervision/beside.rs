//! The process beside the program: what the program, its parent and its readers see of it.

use std::path::{Path, PathBuf};

use crate::common::{Running, regions_in};
use crate::support::{
    is_gone, nothing_is_left, number, run, send, state, sweep, wait_until, wait_until_reported,
};

/// Starts it, and learns who watches.
fn start(act: &str) -> (Running, u32) {
    let mut running = run("monitor", act).start();
    wait_until("it says who watches", || running.output().contains("monitor "));
    let monitor = number(&running.output(), "monitor");
    running.wait_for_line(&format!("monitor {monitor}"));
    (running, monitor)
}

fn links(pid: u32) -> Vec<PathBuf> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

#[test]
fn the_program_keeps_its_place_and_sees_no_child() {
    let (running, monitor) = start("children");
    let output = running.output();
    let parent = format!("process {} of {}\n", running.pid(), std::process::id());
    assert!(output.contains(&parent), "{output}");
    assert!(output.contains(&format!("wait -1 Some({})\n", libc::ECHILD)), "{output}");
    assert!(output.contains("told of a child: false\n"), "{output}");
    assert!(output.contains("children \"\"\n"), "{output}");
    // Another session and group than the program's, and no terminal.
    let stat = std::fs::read_to_string(format!("/proc/{monitor}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    assert_eq!(
        (fields[2], fields[3], fields[4]),
        (&*monitor.to_string(), &*monitor.to_string(), "0")
    );
    running.finish().exits_with(0);
    wait_until("the monitor ends", || is_gone(monitor));
}

#[test]
fn it_holds_nothing_of_the_programs() {
    let script = "shift; mkdir -p held; cd held; exec 5</etc/passwd 7>kept; exec \"$@\"";
    let mut running = run("monitor", "monitor").through(&[], script).start();
    wait_until("it says who watches", || running.output().contains("monitor "));
    let monitor = number(&running.output(), "monitor");
    running.wait_for_line(&format!("monitor {monitor}"));
    let own = Path::new("/proc").join(monitor.to_string());
    // It lets go once it is there.
    wait_until("it leaves", || {
        std::fs::read_link(own.join("cwd")).is_ok_and(|it| it == Path::new("/"))
    });
    let (region, null) = (&regions_in(&running.state())[0], Path::new("/dev/null"));
    let strange = |link: &PathBuf| {
        let name = link.display().to_string();
        !(link == null || link == region || name.contains("pidfd") || name.starts_with("pipe:"))
    };
    wait_until(&format!("{:?}", links(monitor)), || {
        links(monitor).iter().filter(|link| strange(link)).count() == 0
    });
    // Of the pipes, only the one by which it learns of an `exec`.
    let pipes =
        links(monitor).into_iter().filter(|it| it.display().to_string().starts_with("pipe:"));
    assert_eq!(pipes.count(), 1, "{:?}", links(monitor));
    running.finish().exits_with(0);
}

/// A reader of its standard error waits for the program alone, while the monitor stands still.
#[test]
fn the_end_of_standard_error_is_the_programs() {
    for (act, ends) in [("monitor", true), ("close-error", false)] {
        let (mut running, monitor) = start(act);
        send(monitor.cast_signed(), libc::SIGSTOP);
        wait_until("it is stopped", || state(monitor) == Some('T'));
        if ends {
            running.write_line("exit");
            running.wait_for_end();
        }
        running.wait_for_end_of_error();
        assert_eq!(state(monitor), Some('T'), "it was not asked");
        send(monitor.cast_signed(), libc::SIGCONT);
        running.finish().exits_with(0);
        wait_until("the monitor ends", || is_gone(monitor));
    }
}

#[test]
fn signals_to_the_group_and_to_it_do_not_end_it() {
    let (running, monitor) = start("monitor");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1] {
        send(monitor.cast_signed(), signal);
    }
    // The program's group with all that is in it.
    send(-running.pid().cast_signed(), libc::SIGKILL);
    let outcome = running.finish();
    outcome.dies_by(libc::SIGKILL);
    wait_until_reported(&outcome);
    assert_eq!(outcome.event().exceptions()[0]["type"], "SIGKILL");
    wait_until("the monitor ends", || is_gone(monitor));
    nothing_is_left(&outcome.state());
}

#[test]
fn a_stop_for_the_group_is_none() {
    let (running, monitor) = start("monitor");
    send(-running.pid().cast_signed(), libc::SIGTERM);
    let outcome = running.finish();
    outcome.dies_by(libc::SIGTERM);
    wait_until_reported(&outcome);
    assert_eq!(outcome.events().len(), 0);
    wait_until("the monitor ends", || is_gone(monitor));
}

/// Without its monitor, a death is found by the next sweep, and a clean end leaves nothing.
#[test]
fn a_killed_monitor_loses_nothing() {
    for (way, events) in
        [("segv", 1), ("kill", 1), ("panic", 1), ("exit", 0), ("3", 0), ("term", 0)]
    {
        let (mut running, monitor) = start("monitor");
        send(monitor.cast_signed(), libc::SIGKILL);
        wait_until("the monitor is dead", || is_gone(monitor));
        running.write_line(way);
        let outcome = running.finish();
        if way == "exit" || way == "3" {
            outcome.leaves_no_region();
        }
        sweep(&outcome.state());
        assert_eq!(outcome.events().len(), events, "{way}");
        nothing_is_left(&outcome.state());
    }
}
