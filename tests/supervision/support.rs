//! Runs the program `watched` in every way it can be watched.

use std::path::Path;
use std::process::Command;

pub use crate::common::wait_until;
use crate::common::{Outcome, Profile, Run, left_in, regions_in};

pub const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// The ways in which it watches itself: by `supervise` first in `main` or by the builder, as a child of
/// itself or from beside; the last by `supervise` and a variable.
pub const WATCHES: [&str; 4] = ["wrap", "builder-wrap", "monitor", "early-monitor"];

/// The ways to be watched, and to be not.
pub const ALL: [&str; 5] = ["hook", "wrap", "builder-wrap", "monitor", "early-monitor"];

/// The program, watched as `how` says, to do `act`.
pub fn run(how: &str, act: &str) -> Run {
    Run::of(Profile::Dev, "watched").variable("WATCHED", how).variable("DO", act)
}

/// The same under `lastwords run`.
pub fn under_run(how: &str, act: &str) -> Run {
    run(how, act).under(&[LASTWORDS, "run", "--"])
}

/// Waits until every region is reported and removed: a process beside a program needs a moment more
/// than the program.
#[track_caller]
pub fn wait_until_reported(outcome: &Outcome) {
    let state = outcome.state();
    wait_until("a region stays", || regions_in(&state).is_empty());
}

/// Reports what nobody watched.
#[track_caller]
pub fn sweep(state: &Path) -> String {
    let mut command = Command::new(LASTWORDS);
    command.args(["sweep", "--all", "--state-dir"]).arg(state).env_clear();
    let output = command.output().expect("lastwords can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is left that should not be: no region, no temporary file, no file of tags.
#[track_caller]
pub fn nothing_is_left(state: &Path) {
    let left = left_in(state);
    assert!(left.is_empty(), "{left:?}");
}

/// The number behind `word` in what was printed.
#[track_caller]
pub fn number(output: &str, word: &str) -> u32 {
    let mut words = output.split_whitespace().skip_while(|it| *it != word).skip(1);
    let number = words.next().unwrap_or_else(|| panic!("no {word:?} in {output:?}"));
    number.parse().unwrap_or_else(|_| panic!("no number behind {word:?} in {output:?}"))
}

/// The state of a process, by the letter of `ps`; `None` when it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

pub fn is_gone(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z'))
}

/// Sends a signal to whoever there is; a group by a negative number.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: the call has no preconditions.
    unsafe { libc::kill(pid, signal) };
}
