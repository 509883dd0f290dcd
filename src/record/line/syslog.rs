//! Records of syslog: `<13>Mar  4 05:06:07 host prog[1]: message`, with the priority or without, and
//! RFC 5424's `<165>1 2026-03-04T05:06:07Z host app 12 ID [sd@1 k="v"] message`.

use serde_json::{Map, Value};

use super::level;
use super::record::Record;
use super::stamp::Stamp;
use super::text::{is_name, is_number, quoted, word};

/// Reads such a line.
pub fn parse(line: &str) -> Option<Record> {
    let (level, rest) = match priority(line) {
        Some((priority, rest)) => (Some(level::of_severity(priority % 8)), rest),
        None => (None, line),
    };
    let mut record = Record { level, ..Record::default() };
    if let Some(rest) = rest.strip_prefix("1 ").filter(|_| level.is_some()) {
        return rfc5424(rest, record);
    }
    // A time that does not begin with a month is some other logger's.
    let dated = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    let Some((stamp, rest)) = Stamp::leading(rest).filter(|_| dated || level.is_some()) else {
        // systemd's prefix is a priority alone.
        record.message = rest.to_owned();
        return level.map(|_| record);
    };
    record.stamp = Some(stamp);
    let rest = rest.strip_prefix(' ')?;
    // With a host or without, but always with a program.
    let (first, after) = word(rest);
    let (tag, message) = match tag(first) {
        Some(_) => (first, after),
        None => word(after.trim_start_matches(' ')),
    };
    let (program, id) = self::tag(tag)?;
    record.target = Some(program.to_owned());
    record.thread.id = id.unwrap_or(0);
    record.message = message.trim_start_matches(' ').to_owned();
    Some(record)
}

/// `<13>`.
fn priority(line: &str) -> Option<(u8, &str)> {
    let (number, rest) = line.strip_prefix('<')?.split_once('>')?;
    let priority = number.parse().ok().filter(|_| is_number(number))?;
    (priority < 192).then_some((priority, rest))
}

/// `prog[17]:` or `prog:`.
fn tag(word: &str) -> Option<(&str, Option<u64>)> {
    let tag = word.strip_suffix(':')?;
    match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((program, id)) => {
            (is_name(program) && is_number(id)).then(|| (program, id.parse().ok()))
        }
        None => is_name(tag).then_some((tag, None)),
    }
}

fn rfc5424(rest: &str, mut record: Record) -> Option<Record> {
    let (stamp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (None, rest),
        None => Stamp::leading(rest).map(|(stamp, rest)| (Some(stamp), rest))?,
    };
    record.stamp = stamp;
    let mut parts = rest.strip_prefix(' ')?.splitn(5, ' ');
    let (_host, app, id, _message_id) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    record.target = Some(app.to_owned()).filter(|app| app != "-");
    record.thread.id = id.parse().unwrap_or(0);
    let rest = parts.next().unwrap_or("-");
    let (fields, message) = match rest.strip_prefix('-') {
        Some(message) => (Map::new(), message),
        None => structured(rest)?,
    };
    record.fields = fields;
    record.message = message.trim_start_matches([' ', '\u{feff}']).to_owned();
    Some(record)
}

/// `[id k="v"][id k="v"]`; each element is a field that holds its own.
fn structured(mut text: &str) -> Option<(Map<String, Value>, &str)> {
    let mut elements = Map::new();
    while let Some(inner) = text.strip_prefix('[') {
        let end = inner.find([' ', ']'])?;
        let (id, mut rest) = inner.split_at(end);
        let mut fields = Map::new();
        while let Some(pair) = rest.strip_prefix(' ') {
            let (key, value) = pair.split_once('=')?;
            let (value, after) = quoted(value)?;
            fields.insert(key.to_owned(), Value::String(value));
            rest = after;
        }
        text = rest.strip_prefix(']')?;
        elements.insert(id.to_owned(), Value::Object(fields));
    }
    Some((elements, text))
}
