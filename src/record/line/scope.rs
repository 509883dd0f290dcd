//! What `tracing`'s own formatters print between level and message: thread, spans, target, place.
//!
//! `worker{name=a}:request: app::net: src/net.rs:7: accepted peer=::1` is two spans, a target, a
//! place, a message and a field. Without spans the same form is that of `env_logger`'s relatives.

use super::pairs;
use super::record::Record;
use super::text::{bracketed, source, word};
use crate::record::SpanInfo;

/// How many spans and targets are looked for.
const MOST_PARTS: usize = 64;

/// Reads thread, spans and target at the start into `record`, and gives what follows; `None` if there
/// is no target or span.
pub fn parse<'a>(text: &'a str, record: &mut Record) -> Option<&'a str> {
    let (thread, rest) = threads(text);
    let (mut parts, rest) = parts(rest);
    let target = target(&parts)?;
    // Words behind the target that look like one are the message's.
    let rest = parts.get(target + 1).map_or(rest, |next| next.from);
    parts.truncate(target + 1);
    let last = parts.pop()?;
    if last.fields.is_some() {
        parts.push(last);
    } else {
        record.target = Some(last.name.to_owned());
    }
    record.spans.extend(parts.into_iter().map(|part| SpanInfo {
        name: part.name.to_owned(),
        target: String::new(),
        fields: part.fields.and_then(pairs::all).unwrap_or_default(),
    }));
    if let Some((id, name)) = thread {
        record.thread.id = id.unwrap_or(record.thread.id);
        record.thread.name = name.map(str::to_owned).or(record.thread.name.take());
    }
    Some(place(rest, record))
}

/// A name with its fields in braces, if it has any.
#[derive(Clone, Copy)]
struct Part<'a> {
    name: &'a str,
    fields: Option<&'a str>,
    /// The text from here on.
    from: &'a str,
    /// Whether a space follows its colon.
    spaced: bool,
}

type Thread<'a> = (Option<u64>, Option<&'a str>);

/// The thread's name and id: `main ThreadId(01) `, or each alone.
fn threads(text: &str) -> (Option<Thread<'_>>, &str) {
    let id = |text: &str| -> Option<u64> {
        text.strip_prefix("ThreadId(")?.strip_suffix(')')?.parse().ok()
    };
    let (first, rest) = word(text);
    let rest = rest.trim_start_matches(' ');
    let (second, after) = word(rest);
    if let Some(id) = id(first) {
        return (Some((Some(id), None)), rest);
    }
    if let Some(id) = id(second) {
        return (Some((Some(id), Some(first))), after.trim_start_matches(' '));
    }
    let is_path = second.ends_with(':') && second.contains("::");
    match first {
        name if is_path && !name.is_empty() && !name.contains([':', '{']) => {
            (Some((None, Some(name))), rest)
        }
        _ => (None, text),
    }
}

/// The names at the start that a colon follows.
fn parts(text: &str) -> (Vec<Part<'_>>, &str) {
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < MOST_PARTS {
        let Some((part, after)) = part(rest) else { break };
        parts.push(part);
        rest = after;
    }
    (parts, rest)
}

fn part(text: &str) -> Option<(Part<'_>, &str)> {
    let len = name_len(text);
    let (name, rest) = text.split_at(len);
    if name.is_empty() || name.len() > 200 {
        return None;
    }
    let (fields, rest) = match bracketed(rest, '{', '}') {
        Some((fields, rest)) => (Some(fields), rest),
        None => (None, rest),
    };
    let rest = rest.strip_prefix(':')?;
    let spaced = rest.is_empty() || rest.starts_with(' ');
    let after = rest.strip_prefix(' ').unwrap_or(rest);
    // A name and a colon without a space goes on to the next span.
    let goes_on = spaced || rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    goes_on.then_some((Part { name, fields, from: text, spaced }, after))
}

/// Bytes of a name, in which `::` but no other colon may stand.
fn name_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'_' | b'-' | b'.' | b'/' | b'<' | b'>' => at += 1,
            byte if byte.is_ascii_alphanumeric() => at += 1,
            b':' if bytes[at + 1..].starts_with(b":") => at += 2,
            _ => break,
        }
    }
    at
}

/// Which of the parts is the last that is not the message's: the target, which comes behind the
/// chain of spans and is its first path, or the last span if no target is printed.
fn target(parts: &[Part<'_>]) -> Option<usize> {
    let is_target = |part: &Part<'_>| {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
        part.name.contains("::") || part.name.chars().all(lower) || part.name.contains('.')
    };
    let with_fields = parts.iter().rposition(|part| part.fields.is_some());
    let is_chain = with_fields.is_some() || parts.first().is_some_and(|first| !first.spaced);
    let from = with_fields.unwrap_or(0);
    // The last span's colon has a space behind it.
    let behind = parts[from..].iter().position(|part| part.spaced).map(|at| from + at + 1);
    let start = if is_chain { behind? } else { 0 };
    let path = parts[start..].iter().position(|part| part.name.contains("::"));
    match parts.get(start + path.unwrap_or(0)) {
        Some(part) if is_target(part) => Some(start + path.unwrap_or(0)),
        _ => with_fields,
    }
}

/// `src/net.rs:7: ` behind a target.
fn place<'a>(text: &'a str, record: &mut Record) -> &'a str {
    let (first, rest) = word(text);
    match first.strip_suffix(':').and_then(source) {
        Some(place) => {
            record.set_source(place);
            rest.trim_start_matches(' ')
        }
        None => text,
    }
}
