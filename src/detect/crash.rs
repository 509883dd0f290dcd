//! What a detector found: one [`Crash`], in terms of the program that crashed.
//!
//! A crash says nothing of Sentry: `report/` turns it into an event. It is complete in itself: no
//! field points back into a region or a stream.

use std::sync::Arc;
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
    /// The runtime's version, where it is known.
    pub runtime_version: Option<String>,
    /// How bad it was.
    pub severity: Severity,
    /// The thread that crashed, if it is known.
    pub thread: Option<CrashedThread>,
    /// What was thrown. The event is about the **first**; the others are chained to it, the nearest
    /// first: for Rust the panics raised later about the same death, in the order they were raised
    /// (a panic while unwinding, the panic of a function that cannot unwind); for Go the panics
    /// before it that were still being handled, the latest first. Never empty.
    pub exceptions: Vec<Exception>,
    /// The other threads or goroutines that the runtime printed, the most telling first: those
    /// blocked the longest, then in the order they were printed. The crashed one is not among
    /// them: its stack is that of the first exception.
    pub threads: Vec<ThreadStack>,
    /// How many other threads or goroutines were printed and are not in
    /// [`threads`](Self::threads), because there were too many.
    pub threads_elided: u64,
}

/// The runtime that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// Rust: the event's platform is `native`.
    Rust,
    /// Go: the event's platform is `go`.
    Go,
    /// Nothing is known of the runtime but how the process ended: the event's platform is `native`.
    Unknown,
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
    /// The thread's id as its runtime counts: on Linux the `gettid` value for Rust, the number of a
    /// goroutine for Go. `None` where it is not printed.
    pub id: Option<u64>,
    /// The thread's name, where it has one.
    pub name: Option<String>,
    /// Whether it is the thread that runs `main`.
    pub main: bool,
}

/// A thread or goroutine other than the crashed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadStack {
    /// Its id as its runtime counts.
    pub id: Option<u64>,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// What it was doing, in the words of the runtime: `chan receive`, `IO wait, locked to thread`.
    pub state: Option<String>,
    /// For how many whole minutes it had been blocked, where the runtime says so.
    pub blocked_minutes: Option<u64>,
    /// Its stack, **innermost frame first**. Threads with the same stack share it.
    pub frames: Arc<[Frame]>,
    /// How many frames the runtime left out of the stack.
    pub frames_elided: u64,
    /// Where it was started: the function that started it, and the place in it.
    pub created_by: Option<Arc<Frame>>,
}

/// One thrown thing: for Rust and Go a panic.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The type, in the word of the runtime: `panic`, `fatal error`, `SIGSEGV`.
    pub ty: String,
    /// The message, whole; empty where there is none.
    pub value: String,
    /// How it was noticed.
    pub mechanism: Mechanism,
    /// The signal behind it, where the runtime or the exit status names one.
    pub signal: Option<SignalInfo>,
    /// Where it was raised, in the words of the runtime.
    pub location: Option<Location>,
    /// The stack, **innermost frame first**, inlined functions as frames of their own, the panic
    /// machinery and lastwords' own frames already cut.
    pub frames: Vec<Frame>,
    /// How many frames were left out between the innermost and the outermost ones.
    pub frames_elided: u64,
    /// Go: where the crashed goroutine was started.
    pub created_by: Option<Arc<Frame>>,
}

/// How an exception was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// A panic: by the hook, or by what the runtime printed of it.
    Panic,
    /// An exception that nothing caught.
    Exception,
    /// An error that the program captured itself, and goes on.
    Error,
    /// A fatal signal.
    Signal,
    /// The process ended itself abnormally.
    Abort,
    /// Memory ran out.
    Oom,
}

/// A signal as a report names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its number on this machine, where its name is one of this machine's.
    pub number: Option<i32>,
    /// Its name: `SIGSEGV`.
    pub name: String,
    /// The `si_code`, where it is printed.
    pub code: Option<i64>,
    /// The address that was accessed, where it is printed.
    pub address: Option<u64>,
}

impl Frame {
    /// The function with what holds it: a Rust path holds its module already, a Go function is
    /// written behind its package.
    #[must_use]
    pub fn qualified(&self) -> Option<String> {
        let function = self.function.as_deref().filter(|name| !name.is_empty())?;
        match self.module.as_deref().filter(|module| !module.is_empty()) {
            Some(module) if !(function.contains("::") || function.starts_with('<')) => {
                Some(format!("{module}.{function}"))
            }
            _ => Some(function.to_owned()),
        }
    }
}

/// How a process ended, as its parent learns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
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
    /// `service::ingest::parse_batch`, `<service::Guard as core::ops::drop::Drop>::drop`. For Go the
    /// name within its package, [`module`](Self::module): `(*registry).add`.
    pub function: Option<String>,
    /// The function as the runtime printed it, where that is not what module and function say:
    /// `main.main.func1.2`, `gateway::dispatch::{{closure}}`.
    pub symbol: Option<String>,
    /// The path of what holds the function: `service::ingest`; for Go the package,
    /// `example.com/orders/internal/wire`.
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
    /// What the code was loaded from, where it was resolved from outside of the crashed process. A
    /// server that has the debug info of that build can name what this machine could not.
    pub image: Option<Arc<Image>>,
}

/// An executable or a library in the memory of a crashed process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The address of its first page.
    pub base: u64,
    /// Bytes from there to the end of its last segment.
    pub size: u64,
    /// Its file, which may be gone or another one by now.
    pub path: String,
    /// GNU build id in hexadecimal digits.
    pub build_id: Option<String>,
}
