//! Records of glog and klog: `I0314 12:00:01.123456   12345 file.go:42] message`.

use serde_json::Value;
use tracing_core::Level;

use super::pairs;
use super::record::Record;
use super::stamp::Stamp;
use super::text::{quoted, source};

/// Reads such a line; klog's structured form has the message in quotes, and pairs behind it.
pub fn parse(line: &str) -> Option<Record> {
    let level = match line.as_bytes().first()? {
        b'I' => Level::INFO,
        b'W' => Level::WARN,
        b'E' | b'F' => Level::ERROR,
        b'D' => Level::DEBUG,
        _ => return None,
    };
    let (stamp, rest) = Stamp::glog(&line[1..])?;
    let (head, message) = rest.split_once(']')?;
    let (thread, place) = head.trim_start().split_once(' ')?;
    let mut record = Record { level: Some(level), stamp: Some(stamp), ..Record::default() };
    record.thread.id = thread.parse().ok()?;
    record.set_source(source(place.trim())?);
    let message = message.strip_prefix(' ').unwrap_or(message);
    let structured = quoted(message).and_then(|(text, rest)| Some((text, pairs::all(rest)?)));
    match structured {
        Some((text, fields)) => (record.message, record.fields) = (text, fields),
        None => record.message = message.to_owned(),
    }
    if line.starts_with('F') {
        record.fields.insert("severity".to_owned(), Value::from("FATAL"));
    }
    Some(record)
}
