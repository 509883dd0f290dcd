//! What a reader gets out of a region: [`Breadcrumb`]s, and the count of what was [lost](Losses).
//!
//! These types are the region's contents in plain form, before any trimming or scrubbing:
//! `report/` turns them into the protocol's breadcrumbs.

use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing_core::Level;

/// One recorded event.
#[derive(Debug, Clone, PartialEq)]
pub struct Breadcrumb {
    /// Wall time of the event.
    pub time: SystemTime,
    /// Time since the machine's boot in nanoseconds, suspended time included: the clock that
    /// orders breadcrumbs.
    pub boot_nanos: u64,
    /// The event's level.
    pub level: Level,
    /// The event's target; for a `log` record the record's own target.
    pub target: String,
    /// The event's message; empty where it has none.
    pub message: String,
    /// The other fields, with the types they were recorded with.
    pub fields: Map<String, Value>,
    /// The thread that recorded it.
    pub thread: ThreadInfo,
    /// The spans it was recorded in, outermost first.
    pub spans: Vec<SpanInfo>,
    /// Source file of the event, where it is known.
    pub file: Option<String>,
    /// Source line of the event, from 1, where it is known.
    pub line: Option<u32>,
    /// Whether a value had to be cut to fit the record.
    pub cut: bool,
    /// Whether its thread was panicking: a hook recorded it, or a destructor while it unwound.
    pub amid_panic: bool,
    /// Where it stands in its recording.
    pub position: Position,
}

/// Where a breadcrumb stands in its recording: what tells it from every other one there, for a reader
/// that reads again and again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Position {
    /// It is in no recording.
    #[default]
    Nowhere,
    /// A record: the lease that it was written under, and its word in the block.
    Record {
        /// The lease.
        lease: u64,
        /// The word.
        word: usize,
    },
    /// Lines of standard error.
    Stderr {
        /// Their first byte in the stream, from 0.
        from: u64,
        /// The byte behind their last newline.
        to: u64,
        /// Whether the last line has no newline yet.
        open: bool,
    },
}

/// A thread as a breadcrumb names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadInfo {
    /// The thread's id as the operating system counts (on Linux the `gettid` value).
    pub id: u64,
    /// The thread's name, where it has one.
    pub name: Option<String>,
}

/// A span as a breadcrumb names it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanInfo {
    /// The span's name.
    pub name: String,
    /// The span's target.
    pub target: String,
    /// The span's fields, those set later by `Span::record` included.
    pub fields: Map<String, Value>,
}

/// What a region could not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records that were overwritten by newer ones. Blocks overwritten while they were read count
    /// here too.
    pub overwritten: u64,
    /// Records that were being copied when their thread stopped for ever, or whose bytes make no
    /// sense.
    pub torn: u64,
    /// Records of which a value was cut.
    pub cut: u64,
    /// Records that found no block, because every block was held by a thread in the middle of a
    /// record.
    pub dropped: u64,
    /// Spans that a breadcrumb names but whose own record is gone.
    pub spans_missing: u64,
    /// Panics that found no slot: more than 16 waited to be reported.
    pub panics: u64,
}
