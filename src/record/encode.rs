//! From a `tracing` event to the words of one record.
//!
//! **Guarantee:** encoding never allocates and never panics. A `Debug` of the program's that
//! panics is caught and becomes `<panicked>`; one that logs is nested, each record in a buffer of
//! its own on the stack. A field whose name begins with [`PRIVATE`] is not even formatted. **Lost:** what does not fit a record is cut at a character, and the
//! record says so.
//!
//! ```text
//! static parts   level u8 | line u32 (0 unknown) | fields u8 | name | target | module | file | field names
//!                each text: length u16 (0xFFFF: none), then its bytes
//! value          field index u8 | type u8 | then by type:
//!                1 u64, 2 i64, 3 f64    8 bytes
//!                4 true, 5 false        nothing
//!                6 u128, 7 i128         16 bytes
//!                8 text                 length u16, bytes
//!                9 text that was cut    length u16, bytes, bytes of the whole u32
//!                10 a Debug that panicked
//! ```
//! Numbers are of the machine's byte order and unaligned. A span's values begin with the serial of
//! its parent, u64.

use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing_core::field::{Field, Visit};
use tracing_core::{Level, Metadata};

use super::buffer::Buffer;
use super::layout::{RECORD_HEADER_WORDS, RECORD_WORDS, flag};
use super::thread::Formatting;

/// Types of a value.
pub(crate) mod ty {
    pub(crate) const U64: u8 = 1;
    pub(crate) const I64: u8 = 2;
    pub(crate) const F64: u8 = 3;
    pub(crate) const TRUE: u8 = 4;
    pub(crate) const FALSE: u8 = 5;
    pub(crate) const U128: u8 = 6;
    pub(crate) const I128: u8 = 7;
    pub(crate) const TEXT: u8 = 8;
    pub(crate) const CUT_TEXT: u8 = 9;
    pub(crate) const PANICKED: u8 = 10;
}

/// Length that stands for a text that is not there.
pub(crate) const NO_TEXT: u16 = u16::MAX;
/// Bytes kept free for each field still to come, so that one long value does not hide them all.
const RESERVE: usize = 12;
/// What the names of fields that are never recorded begin with.
pub(crate) const PRIVATE: &str = "private.";
/// How many sources of an error are followed.
const MOST_SOURCES: usize = 16;

/// A number for a level; higher is worse.
pub(crate) fn level_number(level: &Level) -> u8 {
    match *level {
        Level::TRACE => 1,
        Level::DEBUG => 2,
        Level::INFO => 3,
        Level::WARN => 4,
        Level::ERROR => 5,
    }
}

/// One record in the making, on the stack of the thread that records it.
pub(crate) struct Encoder {
    buffer: Buffer,
    /// Bytes that may be written.
    limit: usize,
    /// How many fields are still to come.
    fields_left: usize,
    cut: bool,
}

impl Encoder {
    /// An empty record of at most `limit_words`, its header still to be set by
    /// [`Encoder::finish`].
    #[inline]
    pub(crate) fn new(limit_words: usize) -> Encoder {
        let mut encoder = Encoder {
            buffer: Buffer::new(),
            limit: limit_words.min(RECORD_WORDS) * 8,
            fields_left: 0,
            cut: false,
        };
        // The header, which `finish` writes.
        encoder.buffer.push_array([0; RECORD_HEADER_WORDS * 8]);
        encoder
    }

    /// Says how many fields the values to come have.
    #[inline]
    pub(crate) fn expect_fields(&mut self, fields: usize) {
        self.fields_left = fields;
    }

    /// Writes the record's header and gives its words, whose time (word 1) is still to be set.
    #[inline]
    pub(crate) fn finish(&mut self, kind: u8, flags: u8, callsite: u32, span: u64) -> &mut [u64] {
        let flags = flags | if self.cut { flag::CUT } else { 0 };
        let head = self.buffer.len() as u64
            | u64::from(kind) << 16
            | u64::from(flags) << 24
            | u64::from(callsite) << 32;
        let words = self.buffer.as_words();
        words[0] = head;
        words[2] = span;
        words
    }

    /// Whether a value was cut.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut
    }

    /// Bytes that can still be written.
    #[inline]
    fn room(&self) -> usize {
        self.limit - self.buffer.len()
    }

    /// Appends a span's parent serial.
    pub(crate) fn parent(&mut self, serial: u64) {
        self.buffer.push_array(serial.to_ne_bytes());
    }

    /// Appends values written by an earlier encoder: those that fit.
    pub(crate) fn copied(&mut self, values: &[u8]) {
        if values.len() <= self.room() {
            return self.buffer.push(values);
        }
        self.cut = true;
        for (_, item) in super::decode::items(values) {
            if item.len() <= self.room() {
                self.buffer.push(item);
            }
        }
    }

    /// The bytes of all values so far, the parent's serial included.
    pub(crate) fn values(&self) -> &[u8] {
        self.buffer.bytes_from(RECORD_HEADER_WORDS * 8)
    }

    /// Appends the static parts of a callsite. Texts that do not fit are cut; at most 255 fields.
    pub(crate) fn static_parts(&mut self, metadata: &Metadata<'_>) {
        let fields = metadata.fields().len().min(255);
        self.buffer.push_array([level_number(metadata.level())]);
        self.buffer.push_array(metadata.line().unwrap_or(0).to_ne_bytes());
        let count_at = self.buffer.len();
        self.buffer.push_array([0]);
        self.static_text(Some(metadata.name()));
        self.static_text(Some(metadata.target()));
        self.static_text(metadata.module_path());
        self.static_text(metadata.file());
        let mut written = 0u8;
        for field in metadata.fields().iter().take(fields) {
            // Half of the record is left for the values.
            if self.room() < self.limit / 2 + 2 {
                self.cut = true;
                break;
            }
            self.static_text(Some(field.name()));
            written += 1;
        }
        self.buffer.patch(count_at, [written]);
    }

    fn static_text(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.buffer.push_array(NO_TEXT.to_ne_bytes()) };
        let kept = text.floor_char_boundary(self.room().saturating_sub(8).min(512));
        self.cut |= kept < text.len();
        self.buffer.push_array((kept as u16).to_ne_bytes());
        self.buffer.push(&text.as_bytes()[..kept]);
    }

    /// Begins a value that needs `bytes` in all; false if it does not fit, or is private.
    #[inline]
    fn begin(&mut self, field: &Field, ty: u8, bytes: usize) -> bool {
        self.fields_left = self.fields_left.saturating_sub(1);
        if field.name().starts_with(PRIVATE) {
            return false;
        }
        let index = field.index();
        if index > 255 || bytes > self.room() {
            self.cut = true;
            return false;
        }
        self.buffer.push_array([index as u8, ty]);
        true
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, field: &Field, ty: u8, bytes: [u8; N]) {
        if self.begin(field, ty, 2 + N) {
            self.buffer.push_array(bytes);
        }
    }

    /// Appends a text written by `write`, cut to what the fields still to come leave of the room.
    #[inline]
    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        if !self.begin(field, ty::TEXT, 2 + 2 + 4) {
            return;
        }
        let start = self.buffer.len();
        self.buffer.push_array([0; 2]);
        // Four bytes stay for the whole length of a text that is cut.
        let kept_free = self.fields_left * RESERVE + 4;
        let end = self.limit.saturating_sub(kept_free).max(self.buffer.len());
        let mut text = Text { encoder: self, end, total: 0 };
        // An error from a `Debug` is its own affair: what it wrote before stays.
        let _ = write(&mut text);
        let total = text.total;
        self.end_text(start, total);
    }

    fn end_text(&mut self, start: usize, total: usize) {
        let kept = self.buffer.len() - start - 2;
        self.buffer.patch(start, (kept as u16).to_ne_bytes());
        if kept < total {
            let whole = u32::try_from(total).unwrap_or(u32::MAX);
            self.buffer.patch(start - 1, [ty::CUT_TEXT]);
            self.buffer.push_array(whole.to_ne_bytes());
            self.cut = true;
        }
    }

    /// Appends a text written by code of the program's, which may panic and may log.
    #[inline]
    fn foreign(&mut self, field: &Field, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        let begun = self.buffer.len();
        let formatting = Formatting::begin();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.text(field, write)));
        drop(formatting);
        if let Err(payload) = outcome {
            // The payload's destructor may panic as well: leave it be.
            std::mem::forget(payload);
            self.buffer.truncate(begun);
            self.fields_left += 1;
            self.begin(field, ty::PANICKED, 2);
        }
    }
}

/// Where a text is written, and how long it would have become.
struct Text<'a> {
    encoder: &'a mut Encoder,
    /// Where it must end.
    end: usize,
    total: usize,
}

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.end - self.encoder.buffer.len();
        self.total += text.len();
        if text.len() <= room {
            self.encoder.buffer.push(text.as_bytes());
        } else {
            self.write_cut(text, room);
        }
        Ok(())
    }
}

impl Text<'_> {
    #[cold]
    fn write_cut(&mut self, text: &str, room: usize) {
        let kept = text.floor_char_boundary(room);
        self.encoder.buffer.push(&text.as_bytes()[..kept]);
        // Nothing after the cut may be kept, however short.
        self.end = self.encoder.buffer.len();
    }
}

impl Visit for Encoder {
    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fixed(field, ty::U64, value.to_ne_bytes());
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fixed(field, ty::I64, value.to_ne_bytes());
    }

    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fixed(field, ty::F64, value.to_ne_bytes());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.fixed(field, ty::U128, value.to_ne_bytes());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.fixed(field, ty::I128, value.to_ne_bytes());
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fixed(field, if value { ty::TRUE } else { ty::FALSE }, []);
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.write_str(value));
    }

    /// An error becomes its message and those of its sources, joined by `: `, as `anyhow` prints
    /// a chain.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.foreign(field, |text| {
            write!(text, "{value}")?;
            let mut source = value.source();
            for _ in 0..MOST_SOURCES {
                let Some(cause) = source else { break };
                write!(text, ": {cause}")?;
                source = cause.source();
            }
            Ok(())
        });
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.foreign(field, |text| write!(text, "{value:?}"));
    }
}
