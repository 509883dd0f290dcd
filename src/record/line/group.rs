//! Which lines belong to one record.
//!
//! A line continues the one before it if its own form says so (it is indented, or a part of a
//! stack trace), or if it is in no known format while most of the stream's lines are in one. A crash
//! report begins a record of its own. The newest lines are looked at first, so that the cost is that
//! of the records that are asked for.

use std::ops::Range;

use super::{RawLine, parse, text};

/// How many of the newest lines tell whether a stream is in a format.
const SAMPLE: usize = 256;

/// The head of Python's traces.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// What Python prints between the trace of an exception's cause and its own.
const CAUSES: [&str; 2] =
    ["During handling of the above exception", "The above exception was the direct cause"];

/// The newest `most` groups of lines, the oldest first.
pub fn newest(lines: &[RawLine<'_>], most: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    if most == 0 {
        return groups;
    }
    let formatted = is_formatted(lines);
    let mut end = lines.len();
    for at in (0..lines.len()).rev() {
        let kind = kind(lines, at, formatted);
        if kind == Kind::Inner && at > 0 {
            continue;
        }
        let group = trimmed(lines, at..end);
        end = at;
        if group.is_empty() {
            continue;
        }
        groups.push(group);
        if groups.len() == most {
            break;
        }
    }
    groups.reverse();
    groups
}

/// A group without the empty lines around it.
fn trimmed(lines: &[RawLine<'_>], group: Range<usize>) -> Range<usize> {
    let is_empty = |at: &usize| lines[*at].bytes.trim_ascii().is_empty();
    let Range { mut start, mut end } = group;
    while start < end && is_empty(&start) {
        start += 1;
    }
    while start < end && is_empty(&(end - 1)) {
        end -= 1;
    }
    start..end
}

/// Whether a line begins a record or continues one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    First,
    Inner,
}

fn kind(lines: &[RawLine<'_>], at: usize, formatted: bool) -> Kind {
    let line = Shape::of(&lines[at]);
    let before = at.checked_sub(1).map(|at| head(&lines[at]));
    let after = lines.get(at + 1).map(head);
    match line {
        Shape::Crash if is_logged_traceback(lines, at) => Kind::Inner,
        Shape::Record | Shape::Crash => Kind::First,
        Shape::Inner | Shape::Empty => Kind::Inner,
        Shape::Other => {
            let text = head(&lines[at]);
            let inner = formatted
                || before.is_some_and(|before| goes_on_after(&before, &text))
                || after.is_some_and(|after| is_header_of(&text, &after));
            if inner { Kind::Inner } else { Kind::First }
        }
    }
}

/// Whether a line is the head of a trace that a logger prints below its record, or that of an
/// exception's cause.
fn is_logged_traceback(lines: &[RawLine<'_>], at: usize) -> bool {
    let is_empty = |line: &&RawLine<'_>| line.bytes.trim_ascii().is_empty();
    let before = lines[at.saturating_sub(2)..at].iter().rev().find(|line| !is_empty(line));
    let below = |before: &RawLine<'_>| {
        let is_cause = CAUSES.iter().any(|cause| before.bytes.starts_with(cause.as_bytes()));
        is_cause || Shape::of(before) == Shape::Record
    };
    lines[at].bytes.starts_with(TRACEBACK.as_bytes()) && before.is_some_and(below)
}

/// What a line is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// In a known format.
    Record,
    /// The beginning of a crash report.
    Crash,
    /// A part of something by its own form.
    Inner,
    Empty,
    Other,
}

impl Shape {
    fn of(line: &RawLine<'_>) -> Shape {
        let text = text::plain(line.bytes);
        match text.trim() {
            "" => Shape::Empty,
            _ if begins_crash(&text) => Shape::Crash,
            _ if parse(&text).is_some() => Shape::Record,
            _ if is_inner(&text) => Shape::Inner,
            _ => Shape::Other,
        }
    }
}

/// Whether at least half of the newest lines that could be records are some.
fn is_formatted(lines: &[RawLine<'_>]) -> bool {
    let newest = lines.iter().rev().take(SAMPLE);
    let (mut records, mut others) = (0, 0);
    for line in newest {
        match Shape::of(line) {
            Shape::Record => records += 1,
            Shape::Other => others += 1,
            Shape::Crash | Shape::Inner | Shape::Empty => {}
        }
    }
    records > 0 && records >= others
}

/// The beginning of a line: enough to tell its form.
fn head(line: &RawLine<'_>) -> String {
    text::plain(&line.bytes[..line.bytes.len().min(512)])
}

/// Whether a line can only be a part of something that began before it.
fn is_inner(line: &str) -> bool {
    const STARTS: [&str; 11] = [
        "Caused by:",
        "Suppressed:",
        "goroutine ",
        "created by ",
        "stack backtrace:",
        "Stack backtrace:",
        "note: ",
        "exit status ",
        "Stack trace:",
        "...",
        "[signal ",
    ];
    line.starts_with([' ', '\t', '}', ')', ']'])
        || STARTS.iter().chain(&CAUSES).any(|start| line.starts_with(start))
}

/// Whether a line begins the report of a crash, which is a record of its own.
pub fn begins_crash(line: &str) -> bool {
    const STARTS: [&str; 7] = [
        TRACEBACK,
        "panic: ",
        "fatal error: ",
        "fatal runtime error: ",
        "Exception in thread \"",
        "Uncaught ",
        "SIGQUIT: quit",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
        || line.starts_with("thread '")
            && (line.contains(" panicked at ") || line.ends_with(" has overflowed its stack"))
}

/// Whether a plain line goes on with the one before it.
fn goes_on_after(before: &str, line: &str) -> bool {
    // The message behind the place of a panic.
    let panicked = before.starts_with("thread '") && before.ends_with(':');
    // Python's exception behind its last frame, and Go's functions between their places.
    let traced = before.starts_with("  File ") || before.starts_with("    ");
    let is_place = before.starts_with("\t/") || before.starts_with("goroutine ");
    let is_function = line.ends_with(')') && line.contains('.') && !line.contains(' ');
    panicked || (traced && is_exception(line)) || (is_place && is_function)
}

/// `KeyError: 'x'`, `app.errors.Refused: no`.
fn is_exception(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or(line).trim_end_matches(':');
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(of_name)
}

/// Whether a plain line is the head of the trace that the line after it begins: a Java exception
/// below a record, a function above its place.
fn is_header_of(line: &str, after: &str) -> bool {
    let java = after.starts_with("\tat ") && line.contains('.') && is_exception(line);
    let go = after.starts_with("\t/") && line.ends_with(')');
    java || go
}
