//! The exit codes, which scripts may rely on, and the one place that decides between them.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::ExitCode;

use super::error::Error;
use super::output::Output;
use super::text::escape;

/// The command did what was asked. An empty spool is no failure, and neither is a reader that
/// closed the pipe (`| head`).
pub const OK: u8 = 0;

/// What was asked for was not found, or could not be read.
pub const FAILED: u8 = 1;

/// The command line makes no sense; nothing was done.
pub const USAGE: u8 = 2;

/// Ends the command: says what went wrong, if anything did, and picks the exit code.
pub fn conclude(outcome: Result<(), Error>, out: Output) -> ExitCode {
    let error = match outcome {
        Ok(()) => return OK.into(),
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            out.discard();
            return OK.into();
        }
        Err(error) => error,
    };
    drop(out);
    eprintln!("lastwords: {}", escape_lines(&chain(&error)));
    FAILED.into()
}

/// An error and its causes as one sentence.
fn chain(error: &Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(sentence, ": {error}");
        cause = error.source();
    }
    sentence
}

fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}
