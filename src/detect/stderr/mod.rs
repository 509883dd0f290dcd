//! Crash text on a program's standard error becomes a [`Crash`](super::Crash).
//!
//! `scanner` finds where a report begins and ends, whatever the chunks it is given (`marks` finds
//! the lines to look at, `candidate` is a report that may be one, `prefix` takes off what a log
//! shipper put before the lines); `runtime` is the trait that each runtime's file implements.
//! Adding a runtime is adding a file, and a line to [`RUNTIMES`].

mod candidate;
pub mod go;
mod marks;
mod prefix;
mod runtime;
pub mod rust;
mod scanner;
mod text;

pub use runtime::{End, Joined, Line, Reader, Runtime, Step, Verdict};
pub use rust::read_backtrace;
pub use scanner::{Found, Scanner};

/// Every runtime that is known.
pub const RUNTIMES: &[&dyn Runtime] = &[&go::Go, &rust::Rust];
