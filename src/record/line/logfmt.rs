//! Records of `key=value` pairs: logfmt as logrus, slog's text handler, go-kit and many others write
//! it.

use serde_json::{Map, Value};

use super::record::Record;
use super::stamp::Stamp;
use super::text::source;
use super::{level, pairs};

/// Reads a line of pairs that has a level, or a time and a message.
pub fn parse(line: &str) -> Option<Record> {
    let begins = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '@' || c == '_');
    let first = line.split([' ', '\t']).next()?;
    if !begins || !first.contains('=') {
        return None;
    }
    let mut fields = pairs::all(line)?;
    let level = take(&mut fields, &["level", "lvl", "severity"], |text| {
        level::of_word(text.split(['+', '-']).next()?)
    });
    let stamp = take(&mut fields, &["time", "ts", "timestamp", "t"], |text| {
        let number = || text.parse().ok().and_then(Stamp::of_number);
        Stamp::leading(text).map(|(stamp, _)| stamp).or_else(number)
    });
    let message = take(&mut fields, &["msg", "message", "event"], |text| Some(text.to_owned()));
    if level.is_none() && (stamp.is_none() || message.is_none()) {
        return None;
    }
    let name = |text: &str| Some(text.to_owned());
    let mut record = Record {
        level,
        stamp,
        target: take(&mut fields, &["logger", "target", "component", "module"], name),
        message: message.unwrap_or_default(),
        ..Record::default()
    };
    for key in ["caller", "source", "file"] {
        if let Some(place) = fields.get(key).and_then(Value::as_str).and_then(source) {
            record.set_source(place);
            fields.remove(key);
            break;
        }
    }
    if let Some(thread) = take(&mut fields, &["thread"], name) {
        record.set_thread(&thread);
    }
    record.fields = fields;
    Some(record)
}

/// Takes the first of some keys that `read` understands.
fn take<T>(
    fields: &mut Map<String, Value>,
    keys: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    for key in keys {
        let text = match fields.get(*key) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ Value::Number(_)) => value.to_string(),
            _ => continue,
        };
        if let Some(read) = read(&text) {
            fields.remove(*key);
            return Some(read);
        }
    }
    None
}
