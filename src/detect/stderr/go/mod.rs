//! Go: panics, fatal errors and signals, as `panic.go`, `traceback.go` and `signal_unix.go` of the
//! runtime print them, from 1.17 on.
//!
//! **Guarantee:** a report counts once something of it has come that a program does not print by
//! itself: a stack behind a blank line, a signal's `PC=` line. All that belongs to it follows into
//! the crash, other threads' log lines in between are passed over. **Lost:** the values of
//! arguments, registers, and stacks of a goroutine's makers (`tracebackancestors`).
//!
//! **Not a crash** is text that a program prints of a panic that it recovered: a stack that
//! `runtime/debug` took, one that shows a panic being handled while the text says nothing of it, a
//! data race report, a line that quotes a panic. Where a message is all there is
//! (`GOTRACEBACK=none`) and nothing follows it, the exit status decides: a panic is a crash with 2,
//! not with any other. Where the status is not known, and for a `fatal error: ` always, only words that
//! are the runtime's own count. **Not joined** are the reports of two goroutines that panic at once:
//! nothing tells them from those of a program that was started again.
//!
//! `begin` knows first lines, `report` reads the rest; `message` is what a report says, `signals`
//! are signals, `lines` the lines of stacks; `goroutines` keeps them in bounded memory; `names` are
//! names, and whose code they are.

mod begin;
mod goroutines;
mod lines;
mod message;
mod names;
mod report;
mod signals;
#[cfg(test)]
mod tests;

use super::{Line, Reader, Runtime};

/// The Go runtime.
#[derive(Debug)]
pub struct Go;

impl Runtime for Go {
    fn marks(&self) -> &'static [&'static str] {
        &begin::MARKS
    }

    fn begin(&self, line: &Line<'_>) -> Option<Box<dyn Reader>> {
        let beginning = begin::beginning(line.text)?;
        Some(Box::new(report::Report::new(beginning, line)))
    }

    fn may_join(&self) -> bool {
        false
    }
}
