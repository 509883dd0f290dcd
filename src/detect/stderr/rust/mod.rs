//! What Rust programs say on standard error when they crash.
//!
//! **Guarantee:** every form in which the standard library has printed a panic, an exhausted heap
//! or a fatal error of its own since 1.24 is understood: with the message before the place (until
//! 1.72) and behind it, with and without thread ids, with short, full or no backtrace. A panic and
//! those raised about it are one crash, about the first. What a logger has quoted is none.
//! **Lost:** a program's own panic hook is understood only where it prints the standard library's
//! words (`panicked at FILE:LINE:COLUMN:`) and a backtrace, an abort or the exit status proves it,
//! or where it is color-eyre's.
//!
//! `header` reads first lines, `message` knows where a message ends, `frames` reads backtraces;
//! `panic`, `fatal` and `eyre` are the readers of the reports, `join` says which panics are about
//! the same death.

mod eyre;
mod fatal;
mod frames;
mod header;
mod join;
mod message;
mod panic;
#[cfg(test)]
mod tests;

use super::runtime::{End, Joined, Line, Reader, Runtime};
use super::text::decode;
use crate::detect::{Crash, Ending, Frame, Location};

/// The frames of a backtrace in the standard library's words, innermost first, and how many are left
/// out of it. `place` is where it was taken, as far as that is known. Lines that are none of a
/// backtrace's are passed over.
pub fn read_backtrace(text: &str, place: &Location) -> (Vec<Frame>, u64) {
    let mut trace = frames::Trace::default();
    for line in text.lines() {
        trace.line(line);
    }
    trace.frames(Some(place))
}

/// Rust's crash reports.
#[derive(Debug, Clone, Copy)]
pub struct Rust;

impl Runtime for Rust {
    fn marks(&self) -> &'static [&'static str] {
        &[
            // Where a header begins: what stands before it is a shipper's.
            "thread '",
            "panicked at ",
            "due to panic at ",
            "has overflowed its stack",
            "fatal runtime error: ",
            "memory allocation of ",
            "The application panicked (crashed).",
        ]
    }

    fn begin(&self, line: &Line<'_>) -> Option<Box<dyn Reader>> {
        if line.cut {
            return None;
        }
        let text = decode(line.text);
        if let Some(fatal) = header::fatal(&text) {
            return Some(Box::new(fatal::FatalReader::new(fatal, line.time)));
        }
        if eyre::begins(&text) {
            return Some(Box::new(eyre::EyreReader::new(line.time)));
        }
        let header = header::panic(&text).or_else(|| header::candidate(&text))?;
        Some(Box::new(panic::PanicReader::new(header, line.time)))
    }

    fn join(&self, earlier: &[Crash], crash: &Crash) -> Option<Joined> {
        join::join(earlier, crash)
    }
}

/// Whether a process that ended so has aborted or been ended by a fault, itself or below a shell.
fn is_abort(ending: Ending) -> bool {
    // SIGILL, SIGTRAP, SIGABRT, SIGBUS and SIGSEGV.
    const FATAL: [i32; 5] = [4, 5, 6, 7, 11];
    match ending {
        Ending::Signal(signal) => FATAL.contains(&signal),
        Ending::Code(code) => FATAL.contains(&(code - 128)),
    }
}

/// Whether the end of the stream says that the process died of what it printed last: 101 is the
/// exit status of a Rust program whose `main` has panicked.
fn is_deadly(end: End) -> bool {
    let End::Stream(Some(ending)) = end else { return false };
    ending == Ending::Code(101) || is_abort(ending)
}
