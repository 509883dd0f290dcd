//! The reader of a panic's report.
//!
//! **Guarantee:** a panic in a function that cannot unwind, and a panic while a panic is being
//! processed, that follow at once are read with the first as one report; what follows later is
//! joined by `join`. A header that is no proof alone (in the middle of a line, or in the words of
//! the program's own hook) needs a backtrace, a note or an abort behind it, or for a hook's words the
//! exit status, and any other report before that refutes it.

use std::time::SystemTime;

use sentry::types::Uuid;

use super::super::runtime::{End, Line, Reader, Step, Verdict};
use super::super::text::decode;
use super::frames::{self, Trace};
use super::header::{self, Fatal, Header, Opening};
use super::message::{Message, looks_like_record};
use super::{fatal, is_deadly};
use crate::detect::{
    Crash, CrashedThread, Ending, Exception, Location, Mechanism, Runtime, Severity,
};

/// How many lines of other threads are passed over in a backtrace whose end is marked.
const MOST_FOREIGN: usize = 256;

/// The same, where nothing marks the end, or the panic is doubtful.
const FEW_FOREIGN: usize = 16;

/// Reads one panic, and those about the same death that follow at once.
#[derive(Clone)]
pub struct PanicReader {
    /// The panics that are read whole, in the order they were printed.
    exceptions: Vec<Exception>,
    panic: Panic,
    state: State,
    time: SystemTime,
    /// The thread of the first panic.
    thread: Option<CrashedThread>,
    doubtful: bool,
    aborts: bool,
    /// Lines since the last that belonged to the report.
    foreign: usize,
    /// Whether the stream has been quiet since the panic began: no proof is waited for any more that a line
    /// which does not read like the message's is one of it.
    paused: bool,
}

/// The panic that is being read.
#[derive(Clone)]
struct Panic {
    location: Option<Location>,
    message: Message,
    trace: Trace,
    /// The lines of the backtrace, until it is known to be one.
    traced: Vec<String>,
    /// Whether the backtrace is one of the standard library's own hook, which marks its beginning
    /// and, in the short form, its end.
    marked: bool,
    /// Whether it was raised while another one was processed, or is said to abort.
    aborts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a message in quotes.
    Quoted,
    /// Before the first line of a message.
    First,
    /// In a message.
    Message,
    /// Behind a whole message: a note or a backtrace may follow.
    Closed,
    /// In a backtrace.
    Trace,
    /// Behind all that one panic prints.
    Over,
}

impl Panic {
    fn new(header: Header) -> (Panic, State) {
        let mut panic = Panic {
            location: None,
            message: Message::default(),
            trace: Trace::default(),
            traced: Vec::new(),
            marked: false,
            aborts: header.aborts,
        };
        let state = match header.opening {
            Opening::Place(location) => {
                panic.location = Some(location);
                State::First
            }
            Opening::Both(message, location) => {
                panic.message = Message::whole(&message);
                panic.location = Some(location);
                State::Closed
            }
            Opening::Quoted(line) => {
                panic.message.push(&line);
                State::Quoted
            }
        };
        (panic, state)
    }

    /// What was taken for a backtrace is part of the message.
    fn take_back_trace(&mut self) {
        self.traced.drain(..).for_each(|line| self.message.push(&line));
        self.trace = Trace::default();
    }

    fn exception(self) -> Exception {
        let (frames, frames_elided) = self.trace.frames(self.location.as_ref());
        Exception {
            ty: "panic".to_owned(),
            value: self.message.value(),
            mechanism: if self.aborts { Mechanism::Abort } else { Mechanism::Panic },
            signal: None,
            location: self.location,
            frames,
            frames_elided,
            created_by: None,
        }
    }
}

impl PanicReader {
    /// Begins with a header.
    pub fn new(header: Header, time: SystemTime) -> PanicReader {
        let thread = header.thread.clone();
        let (doubtful, aborts) = (header.doubtful, header.aborts);
        let (panic, state) = Panic::new(header);
        let exceptions = Vec::new();
        let (foreign, paused) = (0, false);
        PanicReader { exceptions, panic, state, time, thread, doubtful, aborts, foreign, paused }
    }

    /// The message has ended, and the report is a panic's: what follows proves it.
    fn prove(&mut self) {
        self.doubtful = false;
        self.panic.message.seal();
        self.foreign = 0;
    }

    fn over(&mut self) -> Step {
        if self.doubtful { Step::None } else { Step::Over }
    }

    fn take(&mut self, state: State) -> Step {
        self.state = state;
        Step::Taken
    }

    /// A line of a message in quotes, which ends with the place.
    fn quoted(&mut self, line: &str) -> Step {
        let header = header::panic(line);
        if header.is_some_and(|header| matches!(header.opening, Opening::Place(_))) {
            return Step::None;
        }
        let Some((message, location)) = header::closing(line) else {
            self.panic.message.push(line);
            return if self.panic.message.is_cut() { Step::None } else { Step::Taken };
        };
        self.panic.message.push(message);
        self.panic.message.seal();
        self.panic.location = Some(location);
        self.take(State::Closed)
    }

    /// What the standard library prints of a panic behind its message, or of another panic about the
    /// same death.
    fn mark(&mut self, line: &str) -> Option<Step> {
        if is_note(line) {
            if self.state == State::Trace {
                self.panic.take_back_trace();
            }
            self.prove();
            return Some(self.take(State::Over));
        }
        if let Some(abort) = abort(line) {
            return Some(self.abort(abort));
        }
        if let Some(Fatal::Runtime(what)) = header::fatal(line) {
            self.prove();
            self.next(None);
            self.exceptions.push(fatal::exception(what));
            self.aborts = true;
            return Some(self.take(State::Over));
        }
        let header = header::panic(line).or_else(|| nested(line, self.state));
        match header.filter(|header| self.is_same_death(header)) {
            Some(header) => {
                self.prove();
                self.next(Some(header));
                Some(Step::Taken)
            }
            None => header::begins_report(line).then(|| self.over()),
        }
    }

    /// The process says that it aborts.
    fn abort(&mut self, abort: Abort) -> Step {
        if abort == Abort::WhileProcessing
            && let Some(mut lines) =
                self.panic.message.split_off(|line| nested_header(line).is_some())
        {
            // The panic was raised while this one was printed: its lines look like a message's.
            let header = nested_header(&lines.remove(0));
            self.prove();
            self.next(header);
            lines.iter().for_each(|line| self.panic.message.push(line));
        }
        self.prove();
        self.aborts = true;
        self.panic.aborts |= abort != Abort::NotUnwinding;
        self.take(State::Over)
    }

    /// The panic being read is whole; the next is read, if there is one.
    fn next(&mut self, header: Option<Header>) {
        let header = header.unwrap_or(Header {
            thread: None,
            opening: Opening::Quoted(String::new()),
            doubtful: true,
            aborts: false,
        });
        let (panic, state) = Panic::new(header);
        let whole = std::mem::replace(&mut self.panic, panic);
        if whole.location.is_some() {
            self.exceptions.push(whole.exception());
        }
        self.state = state;
        self.paused = false;
    }

    /// Whether a header that follows at once is about the same death: it names the same thread and
    /// a place in the standard library where only panics that cannot unwind are raised.
    fn is_same_death(&self, header: &Header) -> bool {
        let Opening::Place(place) = &header.opening else { return false };
        if header.thread.is_none() {
            return !header.aborts;
        }
        let no_unwind = place.file.ends_with("core/src/panicking.rs");
        no_unwind && header.thread == self.thread && !self.doubtful
    }

    fn message(&mut self, line: &str) -> Step {
        if let Some(step) = self.mark(line) {
            return step;
        }
        if line == "stack backtrace:" {
            self.panic.traced.push(line.to_owned());
            self.panic.marked = true;
            return self.take(State::Trace);
        }
        // A program's own hook may print a backtrace without a heading.
        if self.doubtful && line.starts_with("   0: ") && self.panic.trace.line(line) {
            self.panic.message.seal();
            return self.take(State::Trace);
        }
        if looks_like_record(line) {
            // The end of the process may still prove a doubtful one.
            self.state = State::Closed;
            return self.pass_over(if self.doubtful { FEW_FOREIGN } else { 0 });
        }
        self.panic.message.push(line);
        let waits_in_vain = self.paused && self.panic.message.is_astray();
        if waits_in_vain || self.panic.message.is_given_up() { self.over() } else { Step::Taken }
    }

    fn closed(&mut self, line: &str) -> Step {
        if let Some(step) = self.mark(line) {
            return step;
        }
        if line == "stack backtrace:" {
            self.panic.marked = true;
            return self.take(State::Trace);
        }
        self.pass_over(if self.doubtful { FEW_FOREIGN } else { 0 })
    }

    fn trace(&mut self, line: &str) -> Step {
        if self.panic.trace.line(line) {
            self.prove();
            self.keep_traced(line);
            return Step::Taken;
        }
        if line.starts_with("note: Some details are omitted") {
            self.prove();
            return self.take(State::Over);
        }
        let in_doubt = !self.panic.traced.is_empty();
        if self.panic.trace.is_empty() && in_doubt && !looks_like_record(line) {
            // No frame follows: it was part of the message.
            self.panic.take_back_trace();
            self.state = State::Message;
            return self.message(line);
        }
        if line == "stack backtrace:" && in_doubt {
            self.panic.take_back_trace();
            self.panic.traced.push(line.to_owned());
            return Step::Taken;
        }
        if let Some(step) = self.mark(line) {
            return step;
        }
        if self.panic.trace.is_at_the_end() {
            return self.behind(line);
        }
        self.keep_traced(line);
        let end_is_marked = self.panic.marked && !self.panic.trace.is_full();
        self.pass_over(if end_is_marked { MOST_FOREIGN } else { FEW_FOREIGN })
    }

    /// Keeps a line of what may not be a backtrace.
    fn keep_traced(&mut self, line: &str) {
        let traced = &mut self.panic.traced;
        if !traced.is_empty() && traced.len() < FEW_FOREIGN {
            traced.push(line.to_owned());
        } else {
            // So long a message is none.
            traced.clear();
        }
    }

    /// A line behind the report.
    fn behind(&mut self, line: &str) -> Step {
        if line.is_empty() && self.foreign == 0 {
            // Newer versions print an empty line before each header.
            self.foreign = 1;
            return self.take(State::Over);
        }
        if line.starts_with("note: ") && self.foreign == 0 {
            return Step::Taken;
        }
        self.mark(line).unwrap_or_else(|| self.over())
    }

    fn pass_over(&mut self, most: usize) -> Step {
        self.foreign += 1;
        if self.foreign > most { self.over() } else { Step::Taken }
    }
}

impl Reader for PanicReader {
    fn line(&mut self, line: &Line<'_>) -> Step {
        let line = decode(line.text);
        match self.state {
            State::Quoted => self.quoted(&line),
            State::First => {
                self.panic.message.push(&line);
                self.take(State::Message)
            }
            State::Message => self.message(&line),
            State::Closed => self.closed(&line),
            State::Trace => self.trace(&line),
            State::Over => self.behind(&line),
        }
    }

    fn end(mut self: Box<Self>, end: End) -> Verdict {
        let without_message = self.doubtful && self.state == State::First;
        // The exit status proves the words of a program's own hook. A header that names its thread is
        // the standard library's, which would have printed more; it may be quoted.
        let named = self.thread.as_ref().is_some_and(|thread| thread.name.is_some());
        let unproven = self.doubtful && (named || !is_deadly(end));
        if self.state == State::Quoted && self.exceptions.is_empty() || unproven || without_message
        {
            return Verdict::Nothing;
        }
        self.next(None);
        let survived = end == End::Stream(Some(Ending::Code(0)));
        let main = self.thread.as_ref().is_some_and(|thread| thread.main && !survived);
        let fatal = main || self.aborts || self.exceptions.len() > 1 || is_deadly(end);
        Verdict::Crash(Crash {
            event_id: Uuid::nil(),
            time: self.time,
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: if fatal { Severity::Fatal } else { Severity::Error },
            thread: self.thread,
            exceptions: self.exceptions,
            threads: Vec::new(),
            threads_elided: 0,
        })
    }

    fn is_whole(&self) -> bool {
        let trace = &self.panic.trace;
        !self.doubtful
            && match self.state {
                State::Quoted | State::First => false,
                State::Message | State::Closed | State::Over => true,
                State::Trace => trace.is_at_the_end() || !self.panic.marked,
            }
    }

    fn is_stray(&self) -> bool {
        match self.state {
            State::Quoted | State::First => false,
            State::Message => self.panic.message.is_astray(),
            State::Closed | State::Trace | State::Over => self.foreign > 0,
        }
    }

    fn fork(&mut self) -> Option<Box<dyn Reader>> {
        let copy = self.clone();
        self.paused = !matches!(self.state, State::Quoted | State::First);
        Some(Box::new(copy))
    }

    fn held_bytes(&self) -> usize {
        let traced: usize = self.panic.traced.iter().map(String::capacity).sum();
        let exceptions = self.exceptions.iter().map(frames::held_bytes).sum::<usize>();
        exceptions + traced + self.panic.message.held_bytes() + self.panic.trace.held_bytes()
    }
}

/// How the standard library says that a panic aborts the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abort {
    /// The panic cannot unwind.
    NotUnwinding,
    /// A panic was raised while another one was printed or unwound.
    WhileProcessing,
    /// Panics always abort, as `panic::always_abort` was called.
    Always,
}

fn abort(line: &str) -> Option<Abort> {
    match line {
        "thread caused non-unwinding panic. aborting." => Some(Abort::NotUnwinding),
        "thread panicked while processing panic. aborting."
        | "thread panicked while panicking. aborting." => Some(Abort::WhileProcessing),
        "panicked after panic::always_abort(), aborting." => Some(Abort::Always),
        _ => None,
    }
}

/// The note on how to get a backtrace, by its words since 1.0.
fn is_note(line: &str) -> bool {
    let after = line.strip_prefix("note: run with ").or(line.strip_prefix("note: Run with "));
    after.is_some_and(|after| after.starts_with("`RUST_BACKTRACE="))
}

/// A header without a thread.
fn nested_header(line: &str) -> Option<Header> {
    line.starts_with("panicked at ").then(|| header::candidate(line)).flatten()
}

/// In a message such a header may be a part of it.
fn nested(line: &str, state: State) -> Option<Header> {
    let may = matches!(state, State::Closed | State::Trace | State::Over);
    may.then(|| nested_header(line)).flatten()
}
