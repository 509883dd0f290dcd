//! Raw lines of a program's standard error become breadcrumbs.
//!
//! **Guarantee:** any bytes give breadcrumbs, in time linear in the lines that are looked at and in
//! memory proportional to the breadcrumbs asked for; their order is that of the lines. Time, level,
//! message, target, thread, place and fields are those that the line's own format has; a line in no
//! known format is a message of level `info` as it stands. Lines that belong to one record (a stack
//! trace below it, a message of several lines) are one breadcrumb. **Lost:** colours, empty lines
//! between records, and what a record has beyond 64 lines or 8 KiB, which is marked as cut.
//!
//! One file per family of formats (`json`, `logfmt`, `glog`, `syslog`, `redis`, `pattern` with
//! `scope`) reads a line into a `record`; `stamp` knows times, `level` levels, `pairs` and `text`
//! the small parts; `group` says which lines belong together.

mod glog;
mod group;
mod json;
mod level;
mod logfmt;
mod pairs;
mod pattern;
mod record;
mod redis;
mod scope;
mod stamp;
mod syslog;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Range;
use std::time::SystemTime;

use tracing_core::Level;

use super::{Breadcrumb, Position};
use record::Record;

/// How many lines a record may have, and how many bytes those after the first may bring it to.
const MOST_LINES: usize = 64;
const MOST_BYTES: usize = 8 * 1024;

/// A line of a program's standard error as it was recorded.
#[derive(Debug, Clone, Copy)]
pub struct RawLine<'a> {
    /// Its bytes without the newline: perhaps with a carriage return, perhaps not UTF-8.
    pub bytes: &'a [u8],
    /// When it was read, in nanoseconds since the machine's boot.
    pub boot_nanos: u64,
    /// When it was read.
    pub time: SystemTime,
    /// Whether it was read as it was written. Else a full date in it is believed however old.
    pub live: bool,
    /// Whether it was longer than what was recorded of it.
    pub cut: bool,
}

/// The newest `most` breadcrumbs that `lines`, the oldest first, make; the oldest first.
pub fn breadcrumbs(lines: &[RawLine<'_>], most: usize) -> Vec<Breadcrumb> {
    breadcrumbs_with_lines(lines, most).into_iter().map(|(breadcrumb, _)| breadcrumb).collect()
}

/// The same, each with the lines it was made of.
pub(super) fn breadcrumbs_with_lines(
    lines: &[RawLine<'_>],
    most: usize,
) -> Vec<(Breadcrumb, Range<usize>)> {
    let groups = group::newest(lines, most);
    groups.into_iter().map(|group| (breadcrumb(lines, group.clone()), group)).collect()
}

/// What a line says in its format, if it has a known one.
fn parse(line: &str) -> Option<Record> {
    let formats: &[fn(&str) -> Option<Record>] = match line.as_bytes().first()? {
        b'{' => &[json::parse],
        b'<' => &[syslog::parse],
        b'[' | b' ' => &[pattern::parse],
        b'0'..=b'9' => &[redis::parse, pattern::parse],
        b'A'..=b'Z' => &[glog::parse, syslog::parse, logfmt::parse, pattern::parse],
        _ => &[logfmt::parse],
    };
    formats.iter().find_map(|parse| parse(line))
}

/// One breadcrumb of the lines of a group; the first line has what its format says.
fn breadcrumb(lines: &[RawLine<'_>], group: Range<usize>) -> Breadcrumb {
    let first = &lines[group.start];
    let text = text::plain(first.bytes);
    let is_crash = group::begins_crash(&text);
    let record = if is_crash { None } else { parse(&text) };
    let mut record = record.unwrap_or_else(|| Record { message: text, ..Record::default() });
    let cut = first.cut | append(&mut record.message, &lines[group.start + 1..group.end]);
    let level = if is_crash { Level::ERROR } else { Level::INFO };
    Breadcrumb {
        time: record.stamp.map_or(first.time, |stamp| stamp.resolve(first.time, first.live)),
        boot_nanos: first.boot_nanos,
        level: record.level.unwrap_or(level),
        target: record.target.unwrap_or_else(|| "stderr".to_owned()),
        message: record.message,
        fields: record.fields,
        thread: record.thread,
        spans: record.spans,
        file: record.file,
        line: record.line,
        cut,
        amid_panic: false,
        position: Position::Nowhere,
    }
}

/// Appends the lines after the first to a message, and says whether not all of it fits.
fn append(message: &mut String, lines: &[RawLine<'_>]) -> bool {
    let mut cut = lines.len() >= MOST_LINES;
    for line in lines.iter().take(MOST_LINES - 1) {
        let text = text::plain(line.bytes);
        let room = MOST_BYTES.saturating_sub(message.len() + 1);
        if text.len() > room {
            let end = text.floor_char_boundary(room);
            if end > 0 {
                message.push('\n');
                message.push_str(&text[..end]);
            }
            cut = true;
            break;
        }
        cut |= line.cut;
        message.push('\n');
        message.push_str(&text);
    }
    message.truncate(message.trim_end_matches('\n').len());
    cut
}
