//! One kill: the run, its end, and what is left of it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use lastwords::deliver::Spool;

use super::judge::{self, Case, Ended, Marks};
use super::plan::{Act, End, Plan};
use crate::common::{
    HANGS, Profile, Run, Running, Setting, left_in, processes, regions_in, wait_until,
};

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// How long a run of this setting takes that nobody kills.
pub fn length(setting: Setting) -> Duration {
    let mut lengths: Vec<_> = (0..3)
        .map(|_| {
            let (run, marks) = run(setting, End::Thread);
            let begun = Instant::now();
            let outcome = run.start().finish();
            assert!(Marks::read(&marks).has("exits"), "{outcome:?}");
            begun.elapsed()
        })
        .collect();
    lengths.sort();
    lengths[1]
}

/// A run, and the file of its marks. The folder of the run is deleted with it.
fn run(setting: Setting, end: End) -> (Run, PathBuf) {
    let run = Run::of(Profile::Dev, "marked");
    let marks = run.home().join("marks");
    let run = run.argument(setting.word()).argument(&marks).argument(end.word());
    let run = match setting {
        Setting::Plain => run.under(&[LASTWORDS, "run", "--release", "marked@1.0.0", "--"]),
        _ => run,
    };
    (run, marks)
}

/// Does it, and looks at what came of it.
pub fn carry_out(plan: &Plan) -> Case {
    let (run, marks) = run(plan.setting, plan.end);
    let begun = Instant::now();
    let mut running = run.start();
    let (state, started) = (running.state(), running.pid());
    if let Some(mark) = plan.after {
        wait_for_mark(&mut running, &marks, mark);
    }
    let from = if plan.after.is_some() { Instant::now() } else { begun };
    sleep_until(from + plan.delay);
    // Whoever dies of it dies under the id that its region has now.
    let ids = death_ids(&state);
    let reached = strike(plan, started, &marks, &state);
    let outcome = running.finish();
    processes::wait_until_ended(&state);
    let zombies = || processes::zombies_of_group(started).is_empty();
    wait_until("a zombie stays", zombies);
    sweep_all(&state);
    nothing_is_left(&state);
    let marks = Marks::read(&marks);
    let ended = how_it_ended(plan, reached, outcome.status, &marks);
    let case = Case { plan: plan.clone(), marks, ended, ids };
    judge::judge(&case, &outcome.events());
    case
}

/// Until the mark is there, or the run has ended.
fn wait_for_mark(running: &mut Running, marks: &Path, mark: &str) {
    let begun = Instant::now();
    while !Marks::read(marks).has(mark) && !running.has_ended() {
        assert!(begun.elapsed() < HANGS, "it hangs before {mark:?}: {running:?}");
        thread::sleep(Duration::from_micros(50));
    }
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// Ids of the deaths that regions stand ready for.
fn death_ids(state: &Path) -> Vec<String> {
    let name =
        |path: PathBuf| path.file_stem()?.to_str()?.split_once('-').map(|it| it.1.to_owned());
    regions_in_now(state).into_iter().filter_map(name).collect()
}

/// As the harness's own, where files come and go meanwhile.
fn regions_in_now(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state.join("regions")).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "region")).collect()
}

/// Whom the signal reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Program,
    OnlyMonitor,
    Nobody,
}

fn strike(plan: &Plan, started: u32, marks: &Path, state: &Path) -> Reached {
    let program = Marks::read(marks).pid().or(match plan.setting {
        Setting::Hook | Setting::Monitor => Some(started),
        Setting::Wrap | Setting::Plain => processes::child_of(started),
    });
    let others = || processes::of(state).into_iter().filter(move |pid| Some(*pid) != program);
    match plan.act {
        Act::Signal(signal) => {
            let Some(program) = program else { return Reached::Nobody };
            if !processes::send(signal, program) {
                return Reached::Nobody;
            }
            if plan.setting == Setting::Plain && signal == libc::SIGSEGV {
                // The standard library's handler takes the first for a fault that would come again.
                thread::sleep(Duration::from_millis(2));
                processes::send(signal, program);
            }
            Reached::Program
        }
        Act::KillAll => {
            let others: Vec<_> = others().collect();
            let reached = program.is_some_and(|program| processes::send(libc::SIGKILL, program));
            let watched = others.into_iter().filter(|pid| processes::send(libc::SIGKILL, *pid));
            match (reached, watched.count()) {
                (true, _) => Reached::Program,
                (false, 0) => Reached::Nobody,
                (false, _) => Reached::OnlyMonitor,
            }
        }
        Act::KillMonitor => {
            match others().filter(|pid| processes::send(libc::SIGKILL, *pid)).count() {
                0 => Reached::Nobody,
                _ => Reached::OnlyMonitor,
            }
        }
    }
}

/// How the program ended, as far as the status of what was started says so.
fn how_it_ended(plan: &Plan, reached: Reached, status: ExitStatus, marks: &Marks) -> Ended {
    let watched_by_parent = matches!(plan.setting, Setting::Wrap | Setting::Plain);
    let hit = match plan.act {
        Act::KillAll => watched_by_parent && reached != Reached::Nobody,
        Act::KillMonitor => watched_by_parent && reached == Reached::OnlyMonitor,
        Act::Signal(_) => false,
    };
    if hit {
        return match plan.act {
            // It was killed in the same moment, if it was not over by then.
            Act::KillAll if !marks.is_over() => Ended::Signal(libc::SIGKILL),
            Act::KillAll => Ended::Unknown,
            _ if marks.has("installed") => Ended::ByItself,
            _ => Ended::Unknown,
        };
    }
    let signal = status.signal().or(match (plan.setting, status.code()) {
        (Setting::Plain, Some(code)) if code > 128 => Some(code - 128),
        _ => None,
    });
    signal.map_or(Ended::ByItself, Ended::Signal)
}

/// As often as there is something to report; who holds a region of the dead lets go of it.
fn sweep_all(state: &Path) {
    wait_until("a region stays", || {
        if regions_in_now(state).is_empty() {
            return true;
        }
        let mut command = Command::new(LASTWORDS);
        command.arg("sweep").arg("--state-dir").arg(state).env_clear();
        let output = command.output().expect("lastwords can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        regions_in_now(state).is_empty()
    });
}

/// Only reports, and what the spool knows of its senders.
fn nothing_is_left(state: &Path) {
    assert!(regions_in(state).is_empty());
    // What a process that is killed while it writes leaves of a report goes with the next that opens the
    // spool.
    drop(Spool::open(state, 1 << 30).expect("a spool"));
    let left = left_in(state);
    assert!(left.is_empty(), "{left:?}");
}

impl Case {
    pub fn phase(&self) -> &'static str {
        self.marks.last()
    }
}
