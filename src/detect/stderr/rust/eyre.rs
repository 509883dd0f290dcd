//! The reader of the panic report that color-eyre's hook prints in place of the standard library's.
//!
//! **Guarantee:** message, place and frames are those the hook prints, with or without its colours.
//! **Not known:** the thread, which it does not name.

use std::time::SystemTime;

use sentry::types::Uuid;

use super::super::runtime::{End, Line, Reader, Step, Verdict};
use super::super::text::decode;
use super::frames::Trace;
use super::header::{begins_report, location};
use super::is_deadly;
use super::message::Message;
use crate::detect::{Crash, Exception, Location, Mechanism, Runtime, Severity};

/// How many lines that are none of a backtrace's may follow one another.
const MOST_FOREIGN: usize = 16;

/// Whether a line begins such a report.
pub fn begins(line: &str) -> bool {
    plain(line) == "The application panicked (crashed)."
}

/// Reads the lines after the first.
pub struct EyreReader {
    message: Message,
    location: Option<Location>,
    trace: Trace,
    time: SystemTime,
    foreign: usize,
    /// Whether the lines are those of the backtrace: those of a span trace look the same.
    in_trace: bool,
}

impl EyreReader {
    /// Begins.
    pub fn new(time: SystemTime) -> EyreReader {
        let (message, trace) = (Message::default(), Trace::default());
        EyreReader { message, location: None, trace, time, foreign: 0, in_trace: false }
    }

    fn before_place(&mut self, line: &str) -> Step {
        if let Some(place) = line.strip_prefix("Location:") {
            self.location = location(place.trim());
            self.message.seal();
            return if self.location.is_some() { Step::Taken } else { Step::None };
        }
        if self.message.is_empty() {
            let Some(message) = line.strip_prefix("Message:") else { return Step::None };
            self.message.push(message.trim_start());
        } else {
            self.message.push(line);
        }
        if self.message.is_given_up() { Step::None } else { Step::Taken }
    }
}

impl Reader for EyreReader {
    fn line(&mut self, line: &Line<'_>) -> Step {
        let line = plain(&decode(line.text));
        if self.location.is_none() {
            return self.before_place(&line);
        }
        if line.contains('━') {
            self.in_trace = line.contains("BACKTRACE");
        }
        let number = line.trim_start().split(':').next().and_then(|number| number.parse().ok());
        if let Some(number) = number.filter(|_| self.in_trace) {
            // Frames that its filters hide have numbers too.
            self.trace.skip_to(number);
        }
        if self.in_trace && self.trace.line(&line) {
            self.foreign = 0;
            return Step::Taken;
        }
        self.foreign += 1;
        let own = line.is_empty() || line.starts_with("  ") || line.contains(['━', '⋮', '│']);
        let own = own || line.starts_with("Run with ") || line.starts_with("Backtrace omitted.");
        if begins_report(&line) || self.foreign > MOST_FOREIGN || !own {
            return Step::Over;
        }
        Step::Taken
    }

    fn end(self: Box<Self>, end: End) -> Verdict {
        if self.location.is_none() {
            return Verdict::Nothing;
        }
        let (frames, frames_elided) = self.trace.frames(self.location.as_ref());
        let exception = Exception {
            ty: "panic".to_owned(),
            value: self.message.value(),
            mechanism: Mechanism::Panic,
            signal: None,
            location: self.location,
            frames,
            frames_elided,
            created_by: None,
        };
        Verdict::Crash(Crash {
            event_id: Uuid::nil(),
            time: self.time,
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: if is_deadly(end) { Severity::Fatal } else { Severity::Error },
            thread: None,
            exceptions: vec![exception],
            threads: Vec::new(),
            threads_elided: 0,
        })
    }

    fn is_whole(&self) -> bool {
        self.location.is_some()
    }

    fn is_stray(&self) -> bool {
        self.foreign > 0
    }

    fn held_bytes(&self) -> usize {
        self.message.held_bytes() + self.trace.held_bytes()
    }
}

/// A line without colours.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain.truncate(plain.trim_end().len());
    plain
}
