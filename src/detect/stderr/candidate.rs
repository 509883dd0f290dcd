//! A report that is being read: the lines of its stream are offered to its reader, without the
//! prefix that a log shipper put before them.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use sentry::types::Uuid;

use super::prefix::{Peeled, Prefix};
use super::{End, Found, Line, Reader, Runtime, Step, Verdict};
use crate::detect::Crash;

/// Longest line that a runtime sees; the rest of a longer one is passed over.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// Lines of other streams in a row before a report is given up: one that is not whole yet, and one
/// that is.
const MOST_FOREIGN: [u32; 2] = [256, 4096];

/// A line as it came, without its newline.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine<'a> {
    pub(super) line: Line<'a>,
    /// Where the next line begins.
    pub(super) end: u64,
}

impl<'a> RawLine<'a> {
    pub(super) fn with_text(self, text: &'a [u8]) -> RawLine<'a> {
        RawLine { line: Line { text, ..self.line }, ..self }
    }
}

/// What a report says of a line that it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the report's for certain: nobody else need look at it.
    Sure,
    /// It may be the report's: another report that begins in it ends with this one's proof.
    Perhaps,
    /// It is not.
    No,
}

/// A report that may be one.
pub(super) struct Candidate {
    /// Tells it from the others of a stream.
    pub(super) id: u64,
    /// Its runtime's place in the scanner's list.
    pub(super) runtime: usize,
    /// The candidate that may hold the line in which this one begins.
    pub(super) parent: Option<u64>,
    /// Number and offset of its first line.
    pub(super) start: (u64, u64),
    /// Number and end of the last line that is its own.
    pub(super) last: (u64, u64),
    /// What its reader made of it, once it has ended. The candidate itself is dropped when its
    /// turn comes.
    pub(super) verdict: Option<Verdict>,
    /// Whether it is known to be a whole report.
    pub(super) whole: bool,
    /// What it was told as when the stream went quiet.
    pub(super) told: Option<Told>,
    /// Whether more has come since then.
    fresh: bool,
    kind: &'static dyn Runtime,
    reader: Option<Box<dyn Reader>>,
    /// When its first line began to come, while a shipper's parts of it still do.
    begins: Option<SystemTime>,
    prefix: Prefix,
    foreign: u32,
    /// The beginning of a line that a shipper broke, and whether it is too long.
    broken: Option<(Vec<u8>, bool)>,
}

/// What a report was told as before it was over.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The id.
    pub(super) id: Uuid,
    /// Earlier crashes that it was joined with, and where each begins: when more of it is read, it is
    /// joined with them again.
    pub(super) joined: Vec<(Crash, (u64, u64))>,
}

impl Candidate {
    /// The report that may begin with `first`, whose text is `peeled` of `prefix`.
    pub(super) fn begin(
        id: u64,
        (runtime, kind): (usize, &'static dyn Runtime),
        first: &RawLine<'_>,
        prefix: &Prefix,
        partial: bool,
    ) -> Option<Candidate> {
        let reader = if partial { None } else { Some(kind.begin(&first.line)?) };
        Some(Candidate {
            id,
            runtime,
            parent: None,
            start: (first.line.number, first.line.offset),
            last: (first.line.number, first.end),
            verdict: None,
            whole: reader.as_ref().is_some_and(|reader| reader.is_whole()),
            told: None,
            fresh: true,
            kind,
            reader,
            begins: partial.then_some(first.line.time),
            prefix: prefix.clone(),
            foreign: 0,
            broken: partial.then(|| (first.line.text.to_vec(), first.line.cut)),
        })
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.reader.is_none() && self.begins.is_none()
    }

    pub(super) fn offer(&mut self, raw: &RawLine<'_>) -> Claim {
        let Some(peeled) = self.prefix.peel(raw.line.text) else {
            self.foreign += 1;
            if self.foreign > MOST_FOREIGN[usize::from(self.whole)] {
                self.end(End::Line);
            }
            return Claim::No;
        };
        self.foreign = 0;
        match self.joined(peeled) {
            // The part of a line so far.
            None => Claim::Perhaps,
            Some((text, cut)) => {
                let mut line = raw.line;
                (line.text, line.cut) = (&text, line.cut || cut);
                let raw = RawLine { line, ..*raw };
                if self.begins.is_some() { self.begin_joined(&raw) } else { self.read(&raw) }
            }
        }
    }

    /// The first line is whole now.
    fn begin_joined(&mut self, raw: &RawLine<'_>) -> Claim {
        let Some(time) = self.begins.take() else { return Claim::No };
        let first = Line { number: self.start.0, offset: self.start.1, time, ..raw.line };
        self.reader = self.kind.begin(&first);
        if self.reader.is_none() {
            self.verdict = Some(Verdict::Nothing);
            return Claim::No;
        }
        self.last = (raw.line.number, raw.end);
        Claim::Perhaps
    }

    /// The whole line of which `peeled` is the last part.
    fn joined<'a>(&mut self, peeled: Peeled<'a>) -> Option<(Cow<'a, [u8]>, bool)> {
        if !peeled.partial && self.broken.is_none() {
            return Some((peeled.text.into(), false));
        }
        let (mut text, mut cut) = self.broken.take().unwrap_or_default();
        let room = MAX_LINE.saturating_sub(text.len());
        text.extend_from_slice(&peeled.text[..peeled.text.len().min(room)]);
        cut |= peeled.text.len() > room;
        if peeled.partial {
            self.broken = Some((text, cut));
            return None;
        }
        Some((text.into(), cut))
    }

    fn read(&mut self, raw: &RawLine<'_>) -> Claim {
        let Some(reader) = &mut self.reader else { return Claim::No };
        let step = reader.line(&raw.line);
        let (whole, stray) = (reader.is_whole(), reader.is_stray());
        match step {
            Step::Taken => {
                self.whole |= whole;
                if !stray {
                    self.last = (raw.line.number, raw.end);
                    self.fresh = true;
                }
                match (self.whole, stray) {
                    (true, false) => Claim::Sure,
                    (true, true) => Claim::No,
                    (false, _) => Claim::Perhaps,
                }
            }
            Step::Over => {
                self.end(End::Line);
                Claim::No
            }
            Step::None => {
                self.reader = None;
                self.verdict = Some(Verdict::Nothing);
                Claim::No
            }
        }
    }

    /// Whether there is something to tell when the stream goes quiet.
    pub(super) fn is_ready(&self) -> bool {
        self.is_over() || (self.whole && self.fresh)
    }

    /// What the report says so far, if its reader can go on reading.
    pub(super) fn so_far(&mut self) -> Option<Verdict> {
        let copy = self.reader.as_mut()?.fork()?;
        self.fresh = false;
        Some(copy.end(End::Quiet))
    }

    /// Ends the report. A prefixed one must have proved itself by then: its prefix has not
    /// continued otherwise, and `end` is not the end of the process that wrote it.
    pub(super) fn end(&mut self, end: End) {
        self.begins = None;
        let Some(reader) = self.reader.take() else { return };
        let proved = self.whole || self.prefix == Prefix::None;
        let known = self.told.is_some() && !self.fresh;
        self.verdict = Some(if proved && !known { reader.end(end) } else { Verdict::Nothing });
    }

    /// Its crash, and where it stands.
    pub(super) fn found(&self, crash: Crash) -> Found {
        let lines = (self.start.0, self.last.0);
        Found { crash, lines, bytes: (self.start.1, self.last.1), takes_in: Vec::new() }
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let broken = self.broken.as_ref().map_or(0, |(text, _)| text.capacity());
        broken + self.reader.as_ref().map_or(0, |reader| reader.held_bytes())
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("start", &self.start)
            .field("last", &self.last)
            .field("whole", &self.whole)
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}
