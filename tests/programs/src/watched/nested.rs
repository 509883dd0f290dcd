//! Programs that start programs.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use super::{Act, variable};

pub const ACTS: [Act; 2] = [("start", start), ("execute", execute)];

/// This program, watched as `THEN_WATCHED` says, to do what `THEN` says.
fn then() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.env("WATCHED", variable("THEN_WATCHED")).env("DO", variable("THEN"));
    command
}

/// Starts it as a child, and says how it ended.
fn start() {
    tracing::info!("starts another");
    let status = then().status().expect("a child");
    println!("the child ended with {:?} {:?}", status.code(), status.signal());
}

/// Becomes it.
fn execute() {
    tracing::info!("becomes another");
    panic!("{}", then().exec());
}
