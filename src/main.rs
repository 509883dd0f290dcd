//! The `lastwords` command: reads the reports that processes left behind.
//!
//! It never changes what it reads. Whatever bytes a report holds, it ends with one of the
//! [exit codes](cli::exit), never with a panic, and no control character of a report reaches the
//! terminal.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match cli::Args::from_command_line() {
        Ok(args) => args,
        Err(usage) => return usage.print(),
    };
    let mut out = cli::Output::stdout(args.color);
    let outcome = cli::run(&args, &mut out);
    cli::exit::conclude(outcome, out)
}
