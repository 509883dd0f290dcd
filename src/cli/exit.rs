//! The exit codes, which scripts may rely on, and the one place that decides between them.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use lastwords::supervise::{Ended, StartError, exit_like};

use super::error::{Error, sentence};
use super::output::Output;
use super::peek::Refusal;
use super::text::escape;

/// The command did what was asked. An empty spool is no failure, and neither is a reader that
/// closed the pipe (`| head`).
pub const OK: u8 = 0;

/// What was asked for was not found, or could not be read.
pub const FAILED: u8 = 1;

/// The command line makes no sense, or names an input that cannot be read; nothing was done.
pub const USAGE: u8 = 2;

/// Ends the command: says what went wrong, if anything did, and picks the exit code.
pub fn conclude(outcome: Result<u8, Error>, out: Output) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code.into(),
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            out.discard();
            return OK.into();
        }
        Err(error) => error,
    };
    // What was printed before the mistake comes before it.
    drop(out);
    say(&sentence(&error));
    match error {
        Error::Input { .. } | Error::Peek(Refusal::NotAPid { .. }) => USAGE.into(),
        _ => FAILED.into(),
    }
}

/// Exits as the watched command did, or says why it could not be started.
pub fn like(outcome: Result<Ended, StartError>) -> ExitCode {
    match outcome {
        Ok(ended) => exit_like(ended.ending),
        Err(error) => {
            say(&sentence(&error));
            u8::try_from(error.exit_code()).unwrap_or(FAILED).into()
        }
    }
}

/// Says something on standard error, escaped line by line. If nobody listens, nothing is said.
pub fn say(text: &str) {
    let lines = text.split('\n').map(escape).collect::<Vec<_>>().join("\n");
    let _ = writeln!(std::io::stderr(), "lastwords: {lines}");
}
