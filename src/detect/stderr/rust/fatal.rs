//! The reader of what the standard library prints when it gives up without a panic.
//!
//! **Guarantee:** that the heap is exhausted is a crash only where the process has aborted of it, or
//! nothing is known of its end; what a program that goes on prints is none. **Lost:** nothing.

use std::time::SystemTime;

use sentry::types::Uuid;

use super::super::runtime::{End, Line, Reader, Step, Verdict};
use super::super::text::decode;
use super::frames::Trace;
use super::header::{self, Fatal};
use super::is_abort;
use crate::detect::{
    Crash, CrashedThread, Ending, Exception, Mechanism, Runtime, Severity, SignalInfo, signal,
};

/// How many lines of other threads may come before the process is gone.
const MOST_FOREIGN: usize = 64;

/// How many may come between the two lines of a stack overflow.
const FEW_FOREIGN: usize = 8;

/// Reads the lines behind such a report.
#[derive(Clone)]
pub struct FatalReader {
    kind: Fatal,
    thread: Option<CrashedThread>,
    trace: Trace,
    time: SystemTime,
    foreign: usize,
    /// Whether the last line was one of them.
    stray: bool,
    /// Whether the standard library has said more of it.
    proven: bool,
}

impl FatalReader {
    /// Begins with a first line.
    pub fn new(kind: Fatal, time: SystemTime) -> FatalReader {
        let thread = match &kind {
            Fatal::Overflow(thread) => Some(thread.clone()),
            Fatal::Runtime(_) | Fatal::Memory(_) => None,
        };
        FatalReader {
            kind,
            thread,
            trace: Trace::default(),
            time,
            foreign: 0,
            stray: false,
            proven: false,
        }
    }

    fn overflow(&mut self, line: &str) -> Step {
        if self.proven {
            return Step::Over;
        }
        if matches!(header::fatal(line), Some(Fatal::Runtime(_))) {
            self.proven = true;
            return Step::Taken;
        }
        self.pass_over(line, FEW_FOREIGN, Step::Over)
    }

    fn memory(&mut self, line: &str) -> Step {
        let said = line.starts_with("note: ") || line == "stack backtrace:";
        if said || self.trace.line(line) {
            self.proven = true;
            return Step::Taken;
        }
        // A process that goes on has only said so.
        self.pass_over(line, MOST_FOREIGN, if self.proven { Step::Over } else { Step::None })
    }

    fn pass_over(&mut self, line: &str, most: usize, then: Step) -> Step {
        self.foreign += 1;
        self.stray = true;
        match () {
            () if header::begins_report(line) => Step::Over,
            () if self.foreign > most => then,
            () => Step::Taken,
        }
    }

    fn is_crash(&self, end: End) -> bool {
        let End::Stream(Some(ending)) = end else { return true };
        match self.kind {
            Fatal::Memory(_) => is_abort(ending),
            Fatal::Overflow(_) | Fatal::Runtime(_) => ending != Ending::Code(0),
        }
    }
}

impl Reader for FatalReader {
    fn line(&mut self, line: &Line<'_>) -> Step {
        self.stray = false;
        let line = decode(line.text);
        match self.kind {
            Fatal::Overflow(_) => self.overflow(&line),
            Fatal::Runtime(_) => Step::Over,
            Fatal::Memory(_) => self.memory(&line),
        }
    }

    fn end(self: Box<Self>, end: End) -> Verdict {
        if !self.is_crash(end) {
            return Verdict::Nothing;
        }
        let mut exception = match self.kind {
            Fatal::Overflow(_) => exception("stack overflow".to_owned()),
            Fatal::Runtime(what) => exception(what),
            Fatal::Memory(what) => {
                Exception { ty: "SIGABRT".to_owned(), mechanism: Mechanism::Oom, ..exception(what) }
            }
        };
        if let End::Stream(Some(Ending::Signal(number))) = end {
            exception.signal = Some(signal_info(number));
        }
        (exception.frames, exception.frames_elided) = self.trace.frames(None);
        Verdict::Crash(Crash {
            event_id: Uuid::nil(),
            time: self.time,
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: Severity::Fatal,
            thread: self.thread,
            exceptions: vec![exception],
            threads: Vec::new(),
            threads_elided: 0,
        })
    }

    fn is_whole(&self) -> bool {
        // Whether an exhausted heap is a crash, a note or the process's end tells.
        self.proven || !matches!(self.kind, Fatal::Memory(_))
    }

    fn is_stray(&self) -> bool {
        self.stray
    }

    fn fork(&mut self) -> Option<Box<dyn Reader>> {
        Some(Box::new(self.clone()))
    }

    fn held_bytes(&self) -> usize {
        self.trace.held_bytes()
    }
}

/// `fatal runtime error: WHAT`, after which the standard library aborts.
pub fn exception(what: String) -> Exception {
    Exception {
        ty: "fatal runtime error".to_owned(),
        value: what,
        mechanism: Mechanism::Abort,
        signal: Some(signal_info(6)),
        location: None,
        frames: Vec::new(),
        frames_elided: 0,
        created_by: None,
    }
}

fn signal_info(number: i32) -> SignalInfo {
    SignalInfo { number: Some(number), name: signal::name(number), ..SignalInfo::default() }
}
