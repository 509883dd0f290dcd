//! The streaming scanner.
//!
//! **Guarantee:** the same bytes give the same crashes, whatever chunks they come in; time and
//! memory are bounded: each byte is looked at a constant number of times, and at most
//! [`MOST_CANDIDATES`] readers, one line of 64 KiB for each of them and for the stream, and the last
//! [`MOST_RECENT`] crashes of each runtime are held. **Lost:** what a line has beyond 64 KiB, and
//! the oldest unproven report while more than that many may be open at once.
//!
//! While no report is open no line is split: the runtimes' [`marks`](Runtime::marks) are searched in
//! the whole chunk, and newlines only counted. A line with a mark opens a candidate, and while
//! there are candidates each line is offered to them, and may open more: so a candidate that comes
//! to nothing costs no second look at its lines. The first candidate that proves itself ends those
//! that began in its lines. A line that a proven one is not sure of (another thread's output in the
//! middle of a trace) is still everybody's. When the stream goes quiet a proven one is told, and told
//! again if more of it follows.

use std::fmt;
use std::time::SystemTime;

use memchr::{memchr, memchr_iter, memrchr};
use sentry::types::Uuid;

use super::candidate::{Candidate, Claim, MAX_LINE, RawLine, Told};
use super::marks::Marks;
use super::prefix::{Peeled, Prefix};
use super::{End, Joined, Line, RUNTIMES, Runtime, Verdict};
use crate::detect::{Crash, Ending};
use crate::record::random_id;

/// Reports that may be open at once.
const MOST_CANDIDATES: usize = 8;
/// Crashes of one runtime that a later one may belong to.
const MOST_RECENT: usize = 16;
/// A crash with more threads than this is not kept for later ones.
const MOST_RECENT_THREADS: usize = 64;
/// Bytes that are searched, and then counted while they are still in the cache.
const WINDOW: usize = 64 * 1024;

/// A crash in a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The crash. One with the `event_id` of an earlier one of the same stream takes its place: more
    /// has become known of the same death.
    pub crash: Crash,
    /// Its first line, from 1, and its last one.
    pub lines: (u64, u64),
    /// Where its bytes begin and end in the stream.
    pub bytes: (u64, u64),
    /// The ids of earlier ones that turned out to be parts of it, and are none of their own any more.
    pub takes_in: Vec<Uuid>,
}

/// Finds crashes in a stream of bytes.
pub struct Scanner {
    runtimes: &'static [&'static dyn Runtime],
    marks: Marks,
    /// The unfinished line at the end of what was read: its beginning, and how long it is.
    tail: Vec<u8>,
    tail_len: u64,
    /// Lines before the unfinished one, and where it begins.
    lines: u64,
    offset: u64,
    /// When the last bytes came.
    time: SystemTime,
    /// Reports that may be, in the order of their first lines.
    candidates: Vec<Candidate>,
    next_id: u64,
    /// A line with a mark behind something that may be a prefix: the next line tells.
    unclear: Option<Unclear>,
    /// The last crashes of each runtime.
    recent: Vec<Recent>,
}

/// A line whose prefix, if it has one, is none of the known ones.
struct Unclear {
    text: Vec<u8>,
    /// Where its first mark stands.
    mark: usize,
    parent: Option<u64>,
    number: u64,
    offset: u64,
    end: u64,
    cut: bool,
    time: SystemTime,
}

impl Scanner {
    /// A scanner at the start of a stream, for every runtime that is known.
    #[must_use]
    pub fn new() -> Scanner {
        Scanner::with(RUNTIMES)
    }

    /// A scanner for some runtimes.
    #[must_use]
    pub fn with(runtimes: &'static [&'static dyn Runtime]) -> Scanner {
        Scanner {
            runtimes,
            marks: Marks::new(runtimes),
            tail: Vec::new(),
            tail_len: 0,
            lines: 0,
            offset: 0,
            time: SystemTime::UNIX_EPOCH,
            candidates: Vec::new(),
            next_id: 0,
            unclear: None,
            recent: runtimes.iter().map(|_| Recent::default()).collect(),
        }
    }

    /// Reads on; `now` is when these bytes came. Crashes that ended in them go to `found`.
    pub fn feed(&mut self, bytes: &[u8], now: SystemTime, found: &mut dyn FnMut(Found)) {
        self.time = now;
        let mut at = self.finish_tail(bytes, found);
        // Up to here whole lines are known to reach.
        let mut window = at;
        while at < bytes.len() {
            if self.is_idle() {
                if window <= at {
                    window = whole_lines(bytes, at);
                    if window == at {
                        break;
                    }
                }
                at += self.skim(&bytes[at..window]);
                if at == window {
                    continue;
                }
            }
            let Some(len) = memchr(b'\n', &bytes[at..]) else { break };
            self.line(&bytes[at..at + len], len as u64, 1, found);
            at += len + 1;
        }
        self.keep_tail(&bytes[at..]);
    }

    /// Whether a report is being read that [`quiet`](Self::quiet) would end.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.candidates.iter().any(Candidate::is_ready)
    }

    /// Says that the stream has gone quiet: a report that is whole is taken for ended. If more of
    /// it follows all the same, it is found again, under the same `event_id`.
    pub fn quiet(&mut self, found: &mut dyn FnMut(Found)) {
        let Some(last) = self.candidates.iter().rposition(Candidate::is_ready) else { return };
        // What is not proved by now is not what the proved ones began in.
        let proved = |candidate: &Candidate| candidate.whole || candidate.is_over();
        let last = self.candidates[last].id;
        self.candidates.retain(|candidate| candidate.id > last || proved(candidate));
        let mut at = 0;
        while let Some(candidate) = self.candidates.get_mut(at) {
            if candidate.is_over() {
                self.hand_out(at, found);
            } else if !candidate.is_ready() {
                at += 1;
            } else if let Some(verdict) = candidate.so_far() {
                if let Verdict::Crash(crash) = verdict {
                    let told = (candidate.runtime, candidate.told.take());
                    let new = candidate.found(crash);
                    self.candidates[at].told = Some(self.emit(told, new, found));
                }
                at += 1;
            } else {
                candidate.end(End::Quiet);
            }
        }
    }

    /// Says that the stream has ended, and how the process did, if that is known.
    pub fn finish(mut self, ending: Option<Ending>, found: &mut dyn FnMut(Found)) {
        if self.tail_len > 0 {
            let tail = std::mem::take(&mut self.tail);
            self.line(&tail, self.tail_len, 0, found);
        }
        while !self.candidates.is_empty() {
            self.candidates[0].end(End::Stream(ending));
            self.resolve(found);
        }
    }

    /// Bytes that are held now: what the documented bound is about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let unclear = self.unclear.as_ref().map_or(0, |unclear| unclear.text.capacity());
        let candidates: usize = self.candidates.iter().map(Candidate::held_bytes).sum();
        self.tail.capacity() + unclear + candidates
    }

    fn is_idle(&self) -> bool {
        self.candidates.is_empty() && self.unclear.is_none()
    }

    /// Completes the unfinished line; gives where the next one begins.
    fn finish_tail(&mut self, bytes: &[u8], found: &mut dyn FnMut(Found)) -> usize {
        if self.tail_len == 0 {
            return 0;
        }
        let Some(len) = memchr(b'\n', bytes) else { return 0 };
        self.keep_tail(&bytes[..len]);
        let mut tail = std::mem::take(&mut self.tail);
        let whole_len = std::mem::take(&mut self.tail_len);
        self.line(&tail, whole_len, 1, found);
        tail.clear();
        // Long lines are rare: their room is given back.
        tail.shrink_to(4096);
        self.tail = tail;
        len + 1
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        // One byte more than a line may have: it may be the carriage return.
        let room = (MAX_LINE + 1).saturating_sub(self.tail.len());
        self.tail.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.tail_len += bytes.len() as u64;
    }

    /// Passes over whole lines without a mark; gives how many bytes there are before the first with
    /// one.
    fn skim(&mut self, lines: &[u8]) -> usize {
        let len = match self.marks.find(lines) {
            Some(mark) => memrchr(b'\n', &lines[..mark]).map_or(0, |newline| newline + 1),
            None => lines.len(),
        };
        self.lines += memchr_iter(b'\n', &lines[..len]).count() as u64;
        self.offset += len as u64;
        len
    }

    /// Reads one line: `text` is its beginning, `len` its whole length, and `newline` 1 if it ended
    /// with one.
    fn line(&mut self, text: &[u8], len: u64, newline: u64, found: &mut dyn FnMut(Found)) {
        let whole = text.strip_suffix(b"\r").filter(|_| text.len() as u64 == len).unwrap_or(text);
        let cut = whole.len() > MAX_LINE;
        let offset = self.offset;
        self.lines += 1;
        self.offset += len + newline;
        let text = &whole[..whole.len().min(MAX_LINE)];
        let line = Line { text, number: self.lines, offset, cut, time: self.time };
        let raw = RawLine { line, end: self.offset };
        self.clear_up(&raw);
        let owner = self.offer(&raw);
        if owner != Owner::Sure {
            self.begin(&raw, owner);
        }
        self.resolve(found);
    }

    /// The line after an unclear one tells whether the two share a prefix.
    fn clear_up(&mut self, next: &RawLine<'_>) {
        let Some(unclear) = self.unclear.take() else { return };
        let Some(prefix) = Prefix::shared(&unclear.text, next.line.text, unclear.mark) else {
            return;
        };
        let Some(peeled) = prefix.peel(&unclear.text) else { return };
        let line = Line {
            text: peeled.text,
            number: unclear.number,
            offset: unclear.offset,
            cut: unclear.cut,
            time: unclear.time,
        };
        self.open(&RawLine { line, end: unclear.end }, &prefix, false, unclear.parent);
    }

    /// Offers a line to the open reports, the first ones first.
    fn offer(&mut self, raw: &RawLine<'_>) -> Owner {
        let mut owner = Owner::None;
        for at in 0..self.candidates.len() {
            let Some(candidate) = self.candidates.get_mut(at) else { break };
            if candidate.is_over() {
                continue;
            }
            let before = candidate.whole;
            let claim = candidate.offer(raw);
            let id = candidate.id;
            if candidate.whole && !before {
                let (start, runtime) = (candidate.start, candidate.runtime);
                // What began in its lines is part of it, and who read its first line with another
                // prefix was wrong.
                self.candidates.retain(|other| {
                    let same = (other.start, other.runtime) == (start, runtime);
                    other.id == id || !(same || other.parent == Some(id))
                });
            }
            match claim {
                Claim::Sure => return Owner::Sure,
                Claim::Perhaps if owner == Owner::None => owner = Owner::Perhaps(id),
                Claim::Perhaps | Claim::No => {}
            }
        }
        owner
    }

    /// Opens the reports that may begin with a line.
    fn begin(&mut self, raw: &RawLine<'_>, owner: Owner) {
        let Some(mark) = self.marks.find(raw.line.text) else { return };
        let parent = match owner {
            Owner::Perhaps(id) => Some(id),
            Owner::None | Owner::Sure => None,
        };
        let text = raw.line.text;
        let (prefix, peeled) =
            Prefix::known(text).unwrap_or((Prefix::None, Peeled { text, partial: false }));
        let first = raw.with_text(peeled.text);
        self.open(&first, &prefix, peeled.partial, parent);
        if mark > text.len() - peeled.text.len() {
            self.unclear = Some(Unclear {
                text: raw.line.text.to_vec(),
                mark,
                parent,
                number: raw.line.number,
                offset: raw.line.offset,
                end: raw.end,
                cut: raw.line.cut,
                time: raw.line.time,
            });
        }
    }

    fn open(&mut self, first: &RawLine<'_>, prefix: &Prefix, partial: bool, parent: Option<u64>) {
        for runtime in self.marks.runtimes(first.line.text) {
            let known = (runtime, self.runtimes[runtime]);
            let Some(mut candidate) = Candidate::begin(self.next_id, known, first, prefix, partial)
            else {
                continue;
            };
            self.next_id += 1;
            candidate.parent = parent;
            if self.candidates.len() == MOST_CANDIDATES {
                let Some(oldest) = self.candidates.iter().position(|other| !other.whole) else {
                    return;
                };
                self.candidates.remove(oldest);
            }
            self.candidates.push(candidate);
        }
    }

    /// Hands out what has ended, in the order of the first lines.
    fn resolve(&mut self, found: &mut dyn FnMut(Found)) {
        while self.candidates.first().is_some_and(Candidate::is_over) {
            self.hand_out(0, found);
        }
    }

    /// Hands out what has become of a report that has ended.
    fn hand_out(&mut self, at: usize, found: &mut dyn FnMut(Found)) {
        let mut candidate = self.candidates.remove(at);
        let told = candidate.told.take();
        if let Some(Verdict::Crash(crash)) = candidate.verdict.take() {
            self.candidates.retain(|other| other.parent != Some(candidate.id));
            let new = candidate.found(crash);
            self.emit((candidate.runtime, told), new, found);
        }
    }

    /// Gives a crash its id: the one that it was told under before, that of an earlier one about the
    /// same death, or a fresh one.
    fn emit(
        &mut self,
        (runtime, told): (usize, Option<Told>),
        mut new: Found,
        found: &mut dyn FnMut(Found),
    ) -> Told {
        // What was joined has the id of the earliest, which it is joined with again.
        let own = told.as_ref().filter(|told| told.joined.is_empty());
        new.crash.event_id = own.map_or_else(random_id, |told| told.id);
        let kind = self.runtimes[runtime];
        let recent = &mut self.recent[runtime];
        let told_as = told.map(|told| {
            recent.forget(told.id);
            told.joined.into_iter().for_each(|(crash, start)| recent.restore(crash, start));
            told.id
        });
        let mut with = Vec::new();
        if let Some(Joined { crash: joined, parts }) = kind.join(&recent.crashes, &new.crash) {
            // The earliest last.
            with.extend(parts.iter().filter_map(|part| recent.forget(*part)));
            with.extend(recent.forget(joined.event_id));
            if let Some((_, (line, byte))) = with.last() {
                (new.lines.0, new.bytes.0) = (*line, *byte);
            }
            new.takes_in = parts;
            new.takes_in.extend(told_as.filter(|told| *told != joined.event_id));
            new.crash = joined;
        }
        if kind.may_join() {
            recent.keep(&new);
        }
        // As they stand in `recent`: the earliest first.
        with.reverse();
        let told = Told { id: new.crash.event_id, joined: with };
        found(new);
        told
    }
}

/// The last crashes of a runtime, and the first line and byte of each.
#[derive(Default)]
struct Recent {
    crashes: Vec<Crash>,
    starts: Vec<(u64, u64)>,
}

impl Recent {
    fn keep(&mut self, found: &Found) {
        if found.crash.threads.len() > MOST_RECENT_THREADS {
            return;
        }
        if self.crashes.len() == MOST_RECENT {
            self.crashes.remove(0);
            self.starts.remove(0);
        }
        self.restore(found.crash.clone(), (found.lines.0, found.bytes.0));
    }

    fn restore(&mut self, crash: Crash, start: (u64, u64)) {
        self.crashes.push(crash);
        self.starts.push(start);
    }

    /// Drops the crash with an id; gives it, and where it began.
    fn forget(&mut self, id: Uuid) -> Option<(Crash, (u64, u64))> {
        let at = self.crashes.iter().position(|crash| crash.event_id == id)?;
        Some((self.crashes.remove(at), self.starts.remove(at)))
    }
}

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    None,
    /// Perhaps that report's.
    Perhaps(u64),
    /// An open report's.
    Sure,
}

/// Where the last whole line of the window at `from` ends, or the first one behind it if it is
/// longer; `from` if there is none.
fn whole_lines(bytes: &[u8], from: usize) -> usize {
    let end = bytes.len().min(from + WINDOW);
    match memrchr(b'\n', &bytes[from..end]) {
        Some(newline) => from + newline + 1,
        None => memchr(b'\n', &bytes[end..]).map_or(from, |newline| end + newline + 1),
    }
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("lines", &self.lines)
            .field("offset", &self.offset)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}
