//! One way to die in one setting.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use super::ways::{self, Act, Way};
use crate::common::{Event, Outcome, Run, Setting, left_in, regions_in, wait_until};

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub events: usize,
    /// Whether the lines are all there, up to the last; `None` where there were none.
    pub lines: Option<bool>,
    /// Whether the innermost frame of the program's own is the function it died in; `None` where
    /// there is no stack.
    pub place: Option<bool>,
}

/// Lets it happen, and looks.
pub fn of(way: &Way, setting: Setting) -> Cell {
    let outcome = happen(way, setting);
    let state = outcome.state();
    if setting == Setting::Hook || way.act == Act::KillAll {
        sweep(&state);
    }
    wait_until_gone(way, setting, &state);
    same_end(way, setting, &outcome);
    let events = outcome.events();
    let words: Vec<_> = events.iter().map(|event| event.exceptions()[0].clone()).collect();
    assert_eq!(events.len(), way.events(setting), "{} {setting:?}: {words:?}", way.title);
    nothing_is_left(way, setting, &state);
    match events.last() {
        Some(event) => look(way, events.len(), event),
        None => Cell { events: 0, lines: None, place: None },
    }
}

fn run(way: &Way, setting: Setting) -> Run {
    let run = Run::of(way.profile, "dying").argument(way.name).argument(setting.word());
    let run = match setting {
        Setting::Plain => run.under(&[LASTWORDS, "run", "--release", "dying@1.0.0", "--"]),
        _ => run,
    };
    match way.act {
        Act::Cgroup => in_cgroup(run, setting),
        _ => run,
    }
}

fn happen(way: &Way, setting: Setting) -> Outcome {
    let mut running = run(way, setting).start();
    match way.act {
        Act::Nothing | Act::Cgroup => return running.finish(),
        Act::Signal(signal) => {
            running.wait_for_line("ready");
            let program = program(running.pid(), setting);
            send(signal, &program.to_string());
            if setting == Setting::Plain && signal == libc::SIGSEGV {
                // The standard library's handler takes the first for a fault of the program's own, which
                // would come again.
                send_until_gone(signal, program);
            }
        }
        Act::KillAll => {
            running.wait_for_line("ready");
            let state = running.state();
            // Also the process beside it, which is in a session of its own.
            let region = &regions_in(&state)[0];
            let mut all = vec![program(running.pid(), setting)];
            for pid in holders(region).into_iter().chain([running.pid()]) {
                if !all.contains(&pid) {
                    all.push(pid);
                }
            }
            stop(&all);
            // The program first: the kernel sends SIGHUP to what is stopped and loses its parent.
            all.iter().for_each(|pid| send(libc::SIGKILL, &pid.to_string()));
            let outcome = running.finish();
            wait_for_death(&all);
            return outcome;
        }
    }
    running.finish()
}

/// The process that dies: the child of the one that was started, where that watches.
fn program(started: u32, setting: Setting) -> u32 {
    match setting {
        Setting::Hook | Setting::Monitor => started,
        Setting::Wrap | Setting::Plain => {
            let children = format!("/proc/{started}/task/{started}/children");
            let children = std::fs::read_to_string(children).expect("the kernel lists children");
            children.split_whitespace().next().expect("a child").parse().expect("a pid")
        }
    }
}

/// The processes that have the region mapped, or open.
fn holders(region: &Path) -> Vec<u32> {
    let holds = |pid: &u32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let name = region.display().to_string();
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        maps.contains(&name) || links.any(|link| link == region)
    };
    let all = std::fs::read_dir("/proc").expect("a /proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(holds).filter(|pid| *pid != std::process::id()).collect()
}

/// Stops them first, so that none sees another die.
fn stop(all: &[u32]) {
    all.iter().for_each(|pid| send(libc::SIGSTOP, &pid.to_string()));
}

fn send(signal: i32, pid: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), pid.to_owned()]).status();
    let sent = sent.expect("kill can be run").success();
    assert!(
        sent,
        "signal {signal} to {pid}, {:?}",
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
    );
}

fn wait_for_death(all: &[u32]) {
    wait_until("the killed are dead", || !all.iter().any(|pid| lives(*pid)));
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Two that come at once are one to the kernel.
fn send_until_gone(signal: i32, pid: u32) {
    wait_until("it dies of the signal", || {
        send_if_there(signal, pid);
        !lives(pid)
    });
}

fn in_cgroup(run: Run, setting: Setting) -> Run {
    let (version, root) = ways::cgroup().expect("it was looked at");
    let group = root.join(format!("lastwords-{}-{}", std::process::id(), setting.word()));
    let limit = if version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
    let script = format!(
        "mkdir -p {group} && echo 67108864 > {group}/{limit} && echo $$ > {group}/cgroup.procs; \
         shift; exec \"$@\"",
        group = group.display()
    );
    run.through(&[], &script)
}

fn sweep(state: &Path) {
    let mut command = Command::new(LASTWORDS);
    command.arg("sweep").arg("--state-dir").arg(state).env_clear();
    let output = command.output().expect("lastwords can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The process beside the program needs a moment more than the program.
fn wait_until_gone(way: &Way, setting: Setting, state: &Path) {
    let what = format!("{} {setting:?}: a region stays", way.title);
    wait_until(&what, || regions_in(state).is_empty());
}

/// It ends as it does with nobody watching.
fn same_end(way: &Way, setting: Setting, outcome: &Outcome) {
    if matches!(way.act, Act::KillAll) {
        return;
    }
    let alone = Run::of(way.profile, "dying").argument(way.name).argument("plain");
    let alone = if way.act == Act::Cgroup { in_cgroup(alone, setting) } else { alone };
    let mut alone = alone.start();
    if let Act::Signal(signal) = way.act {
        alone.wait_for_line("ready");
        // The standard library's handler takes a first fault that was sent for one of its own.
        send_until_gone(signal, alone.pid());
    }
    let (alone, watched) = (alone.finish().status, outcome.status);
    let as_shell = |status: ExitStatus| status.code().or(status.signal().map(|n| 128 + n));
    match setting {
        Setting::Plain => assert_eq!(as_shell(watched), as_shell(alone), "{}", way.title),
        _ => {
            let end = |status: ExitStatus| (status.code(), status.signal());
            assert_eq!(end(watched), end(alone), "{} {setting:?}", way.title);
        }
    }
}

fn send_if_there(signal: i32, pid: u32) {
    thread::sleep(Duration::from_millis(20));
    let _ = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).output();
}

/// No region, no temporary file, no file of tags; and no process.
fn nothing_is_left(way: &Way, setting: Setting, state: &Path) {
    let left = left_in(state);
    assert!(left.is_empty(), "{} {setting:?}: {left:?}", way.title);
}

fn look(way: &Way, events: usize, event: &Event) -> Cell {
    let messages = event.breadcrumb_messages();
    let lines: Vec<&str> = messages.iter().copied().filter(|it| it.contains("line ")).collect();
    let all = (1..=20).all(|n| lines.iter().any(|it| it.contains(&format!("line {n} of"))));
    let other = messages.iter().any(|it| it.contains("a line of another thread"));
    let last = messages.iter().rev().any(|it| it.contains("the last line"));
    let has_stack = event.exceptions()[0]["stacktrace"]["frames"].is_array();
    let place = has_stack.then(|| {
        let top = event.0["exception"]["values"].as_array().and_then(|all| all.last()).cloned();
        let frames = top.and_then(|it| it["stacktrace"]["frames"].as_array().cloned());
        let own = frames.unwrap_or_default().into_iter().rev().find(|it| it["in_app"] == true);
        let function = own.and_then(|it| it["function"].as_str().map(str::to_owned));
        function.is_some_and(|it| it.ends_with(way.top.unwrap_or("the_end")))
    });
    // Before anything is installed nothing is logged.
    let lines = (way.name != "before-install").then_some(all && other && last);
    Cell { events, lines, place }
}
