//! One report of the Go runtime, line by line.

use std::time::SystemTime;

use crate::detect::{
    Crash, CrashedThread, Ending, Exception, Frame, Location, Mechanism, Runtime, Severity,
    SignalInfo,
};

use super::super::text::is_log_like;
use super::super::{End, Line, Reader, Step, Verdict};
use super::begin::{self, Beginning};
use super::goroutines::{Goroutines, Open, Sorted};
use super::lines::{self, DumpLine, Header, Place};
use super::message::Messages;
use super::signals;

/// Lines before a `fatal error: `.
const MOST_PREAMBLE: u32 = 64;
/// Lines in a row that may be other output in the middle of the stacks.
const MOST_STRAY: u32 = 64;
/// Bytes of the first stacks that may yet turn out to be part of the message.
const MOST_QUOTED: usize = 16 * 1024;
/// How many lines before the first stack the blank line may stand, other output between them.
const BLANK_REACH: u32 = 4;

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The runtime's words before a `fatal error: `.
    Preamble(u32),
    /// Messages, up to the first stack.
    Messages,
    /// The lines after a signal's, up to the first stack.
    Signal,
    /// Stacks.
    Stacks,
}

/// The line that a place must follow.
#[derive(Debug, Clone)]
enum Pending {
    /// A function of the stack.
    Function(Vec<u8>),
    /// The function that started the goroutine.
    Maker(Vec<u8>),
    /// Perhaps a C function, perhaps other output.
    Perhaps(Vec<u8>),
}

/// A report that is being read.
#[derive(Debug, Clone)]
pub(super) struct Report {
    time: SystemTime,
    stage: Stage,
    messages: Messages,
    /// The signal that ended the process, and what it means.
    fatal_signal: Option<(SignalInfo, String)>,
    /// The signal behind a panic or an error.
    signal: Option<SignalInfo>,
    /// Whether the report began behind other output, and nothing has proved it yet.
    unproved: bool,
    whole: bool,
    stray: u32,
    /// Lines since a blank one, at most [`BLANK_REACH`].
    since_blank: u32,
    /// The head of the first stack, until its first line shows who printed it.
    probe: Option<(Header, Vec<u8>)>,
    open: Option<Open>,
    /// The lines of the stacks so far, while they may be text that the message quotes.
    quoted: Option<Vec<u8>>,
    pending: Option<Pending>,
    /// Whether the lines are of the stack of a goroutine's maker.
    ancestor: bool,
    goroutines: Goroutines,
}

impl Report {
    pub(super) fn new(beginning: Beginning<'_>, line: &Line<'_>) -> Report {
        let mut report = Report {
            time: line.time,
            stage: Stage::Messages,
            messages: Messages::default(),
            fatal_signal: None,
            signal: None,
            unproved: false,
            whole: false,
            stray: 0,
            since_blank: BLANK_REACH,
            probe: None,
            open: None,
            quoted: None,
            pending: None,
            ancestor: false,
            goroutines: Goroutines::default(),
        };
        match beginning {
            Beginning::Message { kind, text, inside } => {
                report.messages.begin(kind, text);
                report.unproved = inside;
            }
            Beginning::Signal { name, text } => {
                report.fatal_signal = Some((signals::named(name), text.to_owned()));
                report.stage = Stage::Signal;
            }
            Beginning::Preamble => report.stage = Stage::Preamble(0),
        }
        report
    }

    fn preamble(&mut self, text: &[u8], before: u32) -> Step {
        if let Some((kind, text)) = begin::message(text).filter(|(kind, _)| *kind != "panic") {
            self.messages.begin(kind, text);
            self.stage = Stage::Messages;
            return Step::Taken;
        }
        let more = begin::is_preamble(text)
            || is_log_like(text)
            || text.starts_with(b"\t")
            || text.starts_with(b"[signal ");
        if !more || before == MOST_PREAMBLE {
            return Step::None;
        }
        self.stage = Stage::Preamble(before + 1);
        Step::Taken
    }

    /// A line before the first stack.
    fn message(&mut self, text: &[u8]) -> Step {
        if let Some((header, line)) = self.probe.take() {
            return self.probed(header, line, text);
        }
        if let Some(step) = self.telling(text) {
            return step;
        }
        if self.unproved && !text.is_empty() {
            return Step::None;
        }
        // A line like a first one is a first one: what came before was something else.
        if begin::message(text).is_some() || begin::signal(text).is_some() {
            return Step::None;
        }
        self.since_blank =
            if text.is_empty() { 0 } else { (self.since_blank + 1).min(BLANK_REACH) };
        if self.messages.line(text) { Step::Taken } else { Step::None }
    }

    /// A line that proves the report, or says more of it.
    fn telling(&mut self, text: &[u8]) -> Option<Step> {
        if let Some((kind, nested)) = text.strip_prefix(b"\t").and_then(begin::message) {
            self.messages.begin(kind, nested);
            self.unproved = false;
            return Some(Step::Taken);
        }
        if let Some(info) = signals::behind_a_panic(text) {
            self.signal = Some(info);
            self.unproved = false;
            return Some(Step::Taken);
        }
        if self.since_blank < BLANK_REACH {
            match lines::classify(text) {
                DumpLine::Goroutine(header) => {
                    if self.messages.is_single_panic() && !header.state.starts_with("running") {
                        return None;
                    }
                    self.probe = Some((header, text.to_vec()));
                    return Some(Step::Taken);
                }
                DumpLine::RuntimeStack => {
                    self.begin_stacks(None);
                    return Some(Step::Taken);
                }
                _ => {}
            }
        }
        if lines::is_exit_status(text) && self.messages.is_last() && !self.unproved {
            self.begin_stacks(None);
            self.open = None;
            return Some(Step::Taken);
        }
        None
    }

    /// The line after the head of the first stack shows who printed it: `runtime/debug` on behalf of
    /// a program, or the runtime.
    fn probed(&mut self, header: Header, head: Vec<u8>, text: &[u8]) -> Step {
        let printed = matches!(
            lines::classify(text),
            DumpLine::Function(name) if name.starts_with(b"runtime/debug.") || name == b"runtime.Stack"
        );
        if printed {
            if self.unproved {
                return Step::None;
            }
            // Either text that a program printed, or the message of an older release.
            let believed = self.messages.line(&head) && self.messages.line(text);
            return if believed { Step::Taken } else { Step::None };
        }
        self.unproved = false;
        self.begin_stacks(Some(header));
        self.quoted = Some(head);
        self.keep_quoted(text);
        self.dump(text)
    }

    /// No goroutine is printed twice: if the crashed one comes again, the message of an older release
    /// quotes the report of another process, and all up to here was the message.
    fn unquote(&mut self, header: &Header) {
        let again = self.goroutines.first_id() == Some(header.id);
        if !again || self.fatal_signal.is_some() || !header.state.starts_with("running") {
            return;
        }
        let Some(quoted) = self.quoted.take() else { return };
        let mut lines = quoted.split(|byte| *byte == b'\n');
        if lines.all(|line| self.messages.line(line)) {
            self.goroutines = Goroutines::default();
        }
    }

    fn keep_quoted(&mut self, text: &[u8]) {
        let Some(quoted) = &mut self.quoted else { return };
        if quoted.len() + text.len() > MOST_QUOTED {
            self.quoted = None;
            return;
        }
        quoted.push(b'\n');
        quoted.extend_from_slice(text);
    }

    fn begin_stacks(&mut self, header: Option<Header>) {
        self.stage = Stage::Stacks;
        self.whole = true;
        self.open = Some(Open::new(header));
    }

    /// A line after a signal's first, up to the first stack.
    fn signal_detail(&mut self, text: &[u8]) -> Step {
        if text.starts_with(b"PC=") {
            (self.whole, self.stray) = (true, 0);
            if let Some((info, _)) = &mut self.fatal_signal {
                signals::add_detail(info, text);
            }
            return Step::Taken;
        }
        if !self.whole {
            return if is_log_like(text) { self.unsure() } else { Step::None };
        }
        match lines::classify(text) {
            DumpLine::Goroutine(header) => self.begin_stacks(Some(header)),
            DumpLine::RuntimeStack => self.begin_stacks(None),
            DumpLine::Blank | DumpLine::Detail => {}
            _ if signals::is_detail(text) => {}
            _ => return self.strayed(text),
        }
        Step::Taken
    }

    /// A line among stacks.
    fn dump(&mut self, text: &[u8]) -> Step {
        let line = lines::classify(text);
        match line {
            DumpLine::Other => return self.strayed(text),
            // Log lines look like a function, too: its place tells.
            DumpLine::Function(name) => {
                self.pending = Some(Pending::Function(name.to_vec()));
                return self.unsure();
            }
            DumpLine::Blank => {
                self.pending = None;
                return self.unsure();
            }
            DumpLine::Goroutine(header) => {
                self.close();
                self.unquote(&header);
                self.next_stack(Some(header));
            }
            DumpLine::RuntimeStack => self.next_stack(None),
            DumpLine::CreatedBy(name) => self.pending = Some(Pending::Maker(name.to_vec())),
            DumpLine::Place(place) => self.place(&place),
            DumpLine::Foreign(pc) => {
                let place = Place { file: b"", line: None, pc: Some(pc) };
                self.frame(b"non-Go function", &place);
            }
            DumpLine::Elided(frames) if !self.ancestor => {
                self.open.iter_mut().for_each(|open| open.elided(frames));
            }
            DumpLine::Ancestor => self.ancestor = true,
            DumpLine::Elided(_) | DumpLine::Unavailable | DumpLine::Detail => {}
        }
        self.stray = 0;
        Step::Taken
    }

    /// A line that is the report's only if more of it follows.
    fn unsure(&mut self) -> Step {
        self.stray += 1;
        if self.stray > MOST_STRAY { Step::Over } else { Step::Taken }
    }

    /// A line that may be a C function's, of another report, or other output.
    fn strayed(&mut self, text: &[u8]) -> Step {
        // Behind `-----` the other threads say their stacks, each as if it were a report.
        let another = self.fatal_signal.is_some()
            && begin::signal(text).is_some_and(|(name, _)| name == "SIGQUIT");
        if another || signals::is_detail(text) {
            self.stray = 0;
            return Step::Taken;
        }
        if begin::message(text).is_some() || begin::signal(text).is_some() {
            return Step::Over;
        }
        if self.pending.is_none() && text.len() <= 1024 {
            self.pending = Some(Pending::Perhaps(text.to_vec()));
        }
        self.unsure()
    }

    fn next_stack(&mut self, header: Option<Header>) {
        self.close();
        self.open = Some(Open::new(header));
    }

    fn close(&mut self) {
        (self.pending, self.ancestor) = (None, false);
        if let Some(open) = self.open.take() {
            self.goroutines.add(open);
        }
    }

    fn place(&mut self, place: &Place<'_>) {
        match self.pending.take() {
            Some(Pending::Function(name)) => self.frame(&name, place),
            // C functions have no parentheses; their places have an address.
            Some(Pending::Perhaps(name)) if place.pc.is_some() => self.frame(&name, place),
            Some(Pending::Maker(name)) if !self.ancestor => {
                self.open.iter_mut().for_each(|open| open.created_by(&name, place));
            }
            _ => {}
        }
    }

    fn frame(&mut self, name: &[u8], place: &Place<'_>) {
        if let Some(open) = self.open.as_mut().filter(|_| !self.ancestor) {
            open.frame(name, place);
        }
    }

    /// Whether a report of messages alone is a crash's.
    fn ended_by(&self, end: End) -> bool {
        let End::Stream(ending) = end else { return false };
        let alone = self.stage == Stage::Messages && self.messages.is_last() && !self.unproved;
        let ended = match ending {
            // Many a program ends so after a `fatal error: ` of its own.
            Some(Ending::Code(code)) => {
                code == 2 && (self.messages.is_telling() || self.messages.is_panic())
            }
            Some(Ending::Signal(_)) => false,
            None => self.messages.is_telling() || self.signal.is_some(),
        };
        alone && ended
    }

    fn crash(self) -> Crash {
        let Sorted { crashed, others, elided } = self.goroutines.sorted();
        let mut exceptions = exceptions(&self.messages, self.fatal_signal, self.signal);
        let id = crashed.as_ref().and_then(|crashed| crashed.id);
        if let (Some(crashed), Some(first)) = (crashed, exceptions.first_mut()) {
            first.location = location(&crashed.frames);
            first.frames = crashed.frames.to_vec();
            first.frames_elided = crashed.frames_elided;
            first.created_by = crashed.created_by;
        }
        Crash {
            event_id: sentry::types::Uuid::nil(),
            time: self.time,
            runtime: Runtime::Go,
            runtime_version: None,
            severity: Severity::Fatal,
            thread: id.map(|id| CrashedThread { id: Some(id), name: None, main: id == 1 }),
            exceptions,
            threads: others,
            threads_elided: elided,
        }
    }
}

impl Reader for Report {
    fn line(&mut self, line: &Line<'_>) -> Step {
        match self.stage {
            Stage::Preamble(before) => self.preamble(line.text, before),
            Stage::Messages => self.message(line.text),
            Stage::Signal => self.signal_detail(line.text),
            Stage::Stacks => {
                let step = self.dump(line.text);
                self.keep_quoted(line.text);
                step
            }
        }
    }

    fn end(mut self: Box<Self>, end: End) -> Verdict {
        // The head of the first stack was the last line.
        if let Some((header, _)) = self.probe.take() {
            self.begin_stacks(Some(header));
        }
        let counts = self.whole || self.ended_by(end);
        self.close();
        let printed = self.messages.is_single_panic() && self.goroutines.shows_handling();
        if counts && !printed { Verdict::Crash(self.crash()) } else { Verdict::Nothing }
    }

    fn is_whole(&self) -> bool {
        self.whole
    }

    fn is_stray(&self) -> bool {
        self.stray > 0
    }

    fn fork(&mut self) -> Option<Box<dyn Reader>> {
        Some(Box::new(self.clone()))
    }

    fn held_bytes(&self) -> usize {
        let open = self.open.as_ref().map_or(0, Open::held_bytes);
        let pending = match &self.pending {
            Some(Pending::Function(name) | Pending::Maker(name) | Pending::Perhaps(name)) => {
                name.capacity()
            }
            None => 0,
        };
        let probe = self.probe.as_ref().map_or(0, |(_, line)| line.capacity());
        self.messages.held_bytes()
            + self.goroutines.held_bytes()
            + open
            + pending
            + probe
            + self.quoted.as_ref().map_or(0, Vec::capacity)
    }
}

/// What was thrown, the last one first.
fn exceptions(
    messages: &Messages,
    fatal_signal: Option<(SignalInfo, String)>,
    signal: Option<SignalInfo>,
) -> Vec<Exception> {
    let exception = |ty: &str, value: String, mechanism, signal| Exception {
        ty: ty.to_owned(),
        value,
        mechanism,
        signal,
        location: None,
        frames: Vec::new(),
        frames_elided: 0,
        created_by: None,
    };
    if let Some((info, text)) = fatal_signal {
        return vec![exception(&info.name.clone(), text, Mechanism::Signal, Some(info))];
    }
    let mut signal = signal;
    let all = messages.exceptions().into_iter();
    all.map(|(ty, value)| {
        let mechanism = if ty == "fatal error" && is_out_of_memory(&value) {
            Mechanism::Oom
        } else {
            Mechanism::Panic
        };
        exception(ty, value, mechanism, signal.take())
    })
    .collect()
}

fn is_out_of_memory(error: &str) -> bool {
    ["out of memory", "cannot allocate memory", "cannot allocate heap metadata"]
        .iter()
        .any(|words| error.contains(words))
}

/// Where it was raised: the innermost frame of the program's own with a place.
fn location(frames: &[Frame]) -> Option<Location> {
    let frame = frames.iter().find(|frame| frame.in_app && frame.line.is_some())?;
    Some(Location { file: frame.file.clone()?, line: frame.line?, column: 0 })
}
