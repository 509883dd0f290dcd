//! The trait that each runtime implements: how its reports begin, what belongs to one, and what a
//! whole one says.

use std::time::SystemTime;

use sentry::types::Uuid;

use crate::detect::{Crash, Ending};

/// One line of output as a runtime sees it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its bytes without the newline, a carriage return before it, and a prefix that a log shipper
    /// put before every line. Not always UTF-8.
    pub text: &'a [u8],
    /// Its number in the stream, from 1.
    pub number: u64,
    /// Where it begins in the stream, in bytes, the shipper's prefix included.
    pub offset: u64,
    /// Whether it was longer than a line may be, and `text` is only its beginning.
    pub cut: bool,
    /// When its last byte was read.
    pub time: SystemTime,
}

/// A runtime whose reports are recognised.
pub trait Runtime: Send + Sync {
    /// Words of which at least one stands in the first line of every report. The scanner looks at
    /// no line without one, so rare words make it fast.
    fn marks(&self) -> &'static [&'static str];

    /// Begins to read a report, if one may begin with `line`, which holds a mark. It may begin
    /// behind something that the program printed without a newline, if what follows can prove it.
    fn begin(&self, line: &Line<'_>) -> Option<Box<dyn Reader>>;

    /// If `crash` is about the same death as one or several of `earlier` (the last crashes of this
    /// runtime in this stream, the latest last): all of them as one crash, under the earliest's
    /// `event_id` and `time`.
    fn join(&self, earlier: &[Crash], crash: &Crash) -> Option<Joined> {
        let _ = (earlier, crash);
        None
    }

    /// Whether [`join`](Self::join) ever gives anything: if not, earlier crashes are not kept.
    fn may_join(&self) -> bool {
        true
    }
}

/// Crashes about one death.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// All of them as one, under the id of the earliest.
    pub crash: Crash,
    /// The ids of the others that were known before.
    pub parts: Vec<Uuid>,
}

/// Reads the lines of one report after its first.
pub trait Reader: Send {
    /// Offers the next line. After [`Step::Over`] or [`Step::None`] no more lines are offered.
    fn line(&mut self, line: &Line<'_>) -> Step;

    /// What was read, at its end. The crash's `event_id` is nil, and its time that of its first
    /// line: the scanner gives it its id.
    fn end(self: Box<Self>, end: End) -> Verdict;

    /// Whether what was read is a whole report already, so that it may be taken for ended when the
    /// stream goes quiet.
    fn is_whole(&self) -> bool;

    /// Whether the line that was just taken may as well be other output in the middle of the report
    /// (another thread's log line between two frames): the report ends before it unless more of it
    /// follows, and another report may begin in it.
    fn is_stray(&self) -> bool {
        false
    }

    /// A copy of what was read, to be [`end`](Self::end)ed when the stream goes quiet while this
    /// one reads on: the dump of a busy process may take longer than any pause that is waited for.
    /// `None` where a report is over when the stream goes quiet.
    fn fork(&mut self) -> Option<Box<dyn Reader>> {
        None
    }

    /// About how many bytes it holds. Every reader has a bound.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// What a reader says of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the report, or may.
    Taken,
    /// The report ended before it. The line is looked at again, as any other.
    Over,
    /// There is no report: the lines after the first are looked at again, as any other.
    None,
}

/// Why a report ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The reader said [`Step::Over`]: other output follows.
    Line,
    /// The stream has gone quiet while the process goes on.
    Quiet,
    /// The stream has ended, and the process as it says; `None` where that is not known.
    Stream(Option<Ending>),
}

/// What a reader makes of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// A crash.
    Crash(Crash),
    /// Nothing that is to be reported.
    Nothing,
}
