//! The `lastwords` command: reads the reports that processes left behind.
//!
//! It never changes what it reads. Whatever bytes a report or a log holds, it ends with one of its exit
//! codes, never with a panic, and no control character of theirs reaches the terminal. `run` is a
//! monitor and nothing else: it exits as the command it watches.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match cli::Args::from_command_line() {
        Ok(args) => args,
        Err(usage) => return usage.print(),
    };
    cli::run(&args)
}
