//! What a detector found: one [`Crash`], in terms of the program that crashed.
//!
//! A crash says nothing of Sentry: `report/` turns it into an event. It is complete in itself: no
//! field points back into a region or a stream.

use std::time::SystemTime;

use sentry::types::Uuid;

/// One death, or one panic of a thread, as a detector found it.
#[derive(Debug, Clone, PartialEq)]
pub struct Crash {
    /// The id of the report. It exists before the death does: whoever reports the same death
    /// again uses the same id.
    pub event_id: Uuid,
    /// Wall time of the crash.
    pub time: SystemTime,
    /// The runtime that crashed, which decides the event's `platform`.
    pub runtime: Runtime,
    /// How bad it was.
    pub severity: Severity,
    /// The thread that crashed, if it is known.
    pub thread: Option<CrashedThread>,
    /// What was thrown, in the order it happened. The event is about the **first**; later ones
    /// (a panic while unwinding, the panic of a function that cannot unwind) are chained to it.
    /// Never empty.
    pub exceptions: Vec<Exception>,
}

/// The runtime that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// Rust: the event's platform is `native`.
    Rust,
}

/// How bad a crash was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The process dies of it.
    Fatal,
    /// A thread or a task died, and the process goes on.
    Error,
}

/// The thread that crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashedThread {
    /// The thread's id as the operating system counts (on Linux the `gettid` value).
    pub id: u64,
    /// The thread's name, where it has one.
    pub name: Option<String>,
    /// Whether it is the thread that runs `main`.
    pub main: bool,
}

/// One thrown thing: for Rust a panic.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The type, in the word of the runtime: `panic`.
    pub ty: String,
    /// The message, whole.
    pub value: String,
    /// How it was noticed.
    pub mechanism: Mechanism,
    /// Where it was raised, in the words of the runtime.
    pub location: Option<Location>,
    /// The stack, **innermost frame first**, inlined functions as frames of their own, the panic
    /// machinery and lastwords' own frames already cut.
    pub frames: Vec<Frame>,
    /// How many frames were left out between the innermost and the outermost ones.
    pub frames_elided: u64,
}

/// How an exception was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// A panic hook.
    Panic,
}

/// A place in source code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as the compiler names it: absolute, or relative to the workspace.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 where it is not known.
    pub column: u32,
}

/// One function on a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The function's full path, without hash, generic arguments and closure numbers:
    /// `service::ingest::parse_batch`, `<service::Guard as core::ops::drop::Drop>::drop`.
    pub function: Option<String>,
    /// The path of what holds the function: `service::ingest`.
    pub module: Option<String>,
    /// The source file as the debug info names it, which is an absolute path for most.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// Whether the function is the program's own: not the standard library's, not libc's, not a
    /// dependency's.
    pub in_app: bool,
    /// The address of the instruction (the return address) in the crashed process.
    pub address: Option<u64>,
    /// The address where the function begins.
    pub symbol_address: Option<u64>,
    /// Whether this frame was inlined into the next outer one.
    pub inlined: bool,
}
