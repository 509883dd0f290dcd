//! Records that are one JSON object: those of Go's slog, zap, zerolog, logrus and klog, of `tracing`,
//! pino and bunyan, of Python's and Java's JSON formatters.
//!
//! Known keys become level, time, message, target, thread and place; all others are fields, nested
//! ones as they are.

use serde_json::{Map, Value};
use tracing_core::Level;

use super::level;
use super::record::Record;
use super::stamp::Stamp;
use super::text::{is_number, source};
use crate::record::SpanInfo;

/// Reads a line that is a JSON object.
pub fn parse(line: &str) -> Option<Record> {
    let line = line.trim();
    if !(line.starts_with('{') && line.ends_with('}')) {
        return None;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return None };
    let mut record = Record {
        level: take_level(&mut fields),
        stamp: take_stamp(&mut fields),
        ..Record::default()
    };
    take_tracing(&mut fields, &mut record);
    let message = first_string(
        &mut fields,
        &["msg", "message", "@message", "Message", "short_message", "event", "text"],
    );
    if message.is_none() && record.level.is_none() && record.message.is_empty() {
        // An object that is no record is a message as it stands.
        return Some(Record { message: line.to_owned(), stamp: record.stamp, ..Record::default() });
    }
    record.message = message.unwrap_or(record.message);
    record.target = first_string(
        &mut fields,
        &["target", "logger", "logger_name", "loggerName", "@module", "log.logger", "module"],
    );
    if record.target.is_none() && is_named(&fields) {
        record.target = first_string(&mut fields, &["name"]);
    }
    take_place(&mut fields, &mut record);
    take_thread(&mut fields, &mut record);
    record.fields.append(&mut fields);
    Some(record)
}

/// Whether `name` is the logger's: bunyan, pino and Python's formatters write these beside it.
fn is_named(fields: &Map<String, Value>) -> bool {
    ["hostname", "levelname", "funcName", "lineno", "v"].iter().any(|key| fields.contains_key(*key))
}

/// The first of some keys that holds a string.
fn first_string(fields: &mut Map<String, Value>, keys: &[&str]) -> Option<String> {
    let key = keys.iter().find(|key| fields.get(**key).is_some_and(Value::is_string))?;
    match fields.remove(*key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn take_level(fields: &mut Map<String, Value>) -> Option<Level> {
    const KEYS: [&str; 9] = [
        "level",
        "lvl",
        "severity",
        "@level",
        "levelname",
        "log.level",
        "loglevel",
        "Level",
        "LogLevel",
    ];
    for key in KEYS {
        let level = match fields.get(key) {
            // slog writes levels between the named ones as `INFO+2`.
            Some(Value::String(word)) => level::of_word(word.split(['+', '-']).next()?),
            Some(Value::Number(number)) => number.as_f64().and_then(level::of_number),
            _ => None,
        };
        if level.is_some() {
            fields.remove(key);
            return level;
        }
    }
    // MongoDB has a letter, beside the component and the thread.
    let letter = fields.get("s").and_then(Value::as_str)?.chars().next()?;
    let level = match letter {
        'F' | 'E' => Level::ERROR,
        'W' => Level::WARN,
        'I' => Level::INFO,
        'D' => Level::DEBUG,
        _ => return None,
    };
    if !(fields.contains_key("c") && fields.contains_key("ctx")) {
        return None;
    }
    fields.remove("s");
    Some(level)
}

fn take_stamp(fields: &mut Map<String, Value>) -> Option<Stamp> {
    const KEYS: [&str; 11] = [
        "time",
        "ts",
        "timestamp",
        "@timestamp",
        "Time",
        "Timestamp",
        "datetime",
        "asctime",
        "eventTime",
        "t",
        "date",
    ];
    for key in KEYS {
        let stamp = match fields.get(key) {
            Some(Value::String(text)) if is_number(text) => {
                text.parse().ok().and_then(Stamp::of_number)
            }
            Some(Value::String(text)) => Stamp::leading(text).map(|(stamp, _)| stamp),
            Some(Value::Number(number)) => number.as_f64().and_then(Stamp::of_number),
            // MongoDB's.
            Some(Value::Object(time)) => {
                let text = time.get("$date").and_then(Value::as_str);
                text.and_then(Stamp::leading).map(|(stamp, _)| stamp)
            }
            _ => None,
        };
        if stamp.is_some() {
            fields.remove(key);
            return stamp;
        }
    }
    None
}

/// `tracing`'s own layout: fields in an object of their own, spans in an array.
fn take_tracing(fields: &mut Map<String, Value>, record: &mut Record) {
    if !fields.contains_key("target") {
        return;
    }
    if let Some(Value::Object(own)) = fields.get_mut("fields") {
        record.fields = std::mem::take(own);
        fields.remove("fields");
        record.message = first_string(&mut record.fields, &["message"]).unwrap_or_default();
    }
    let named = |span: &Value| span.get("name").is_some_and(Value::is_string);
    if let Some(Value::Array(spans)) = fields.get("spans")
        && spans.iter().all(named)
    {
        let Some(Value::Array(spans)) = fields.remove("spans") else { return };
        record.spans = spans.into_iter().filter_map(span).collect();
        // The innermost span is printed again on its own.
        fields.remove("span");
    } else if fields.get("span").is_some_and(named) {
        record.spans = fields.remove("span").and_then(span).into_iter().collect();
    }
}

fn span(span: Value) -> Option<SpanInfo> {
    let Value::Object(mut fields) = span else { return None };
    let name = first_string(&mut fields, &["name"])?;
    Some(SpanInfo { name, target: String::new(), fields })
}

/// Where the record was made: zap's and zerolog's `caller`, slog's `source`, logrus' `file`,
/// `tracing`'s `filename`, Python's `lineno`.
fn take_place(fields: &mut Map<String, Value>, record: &mut Record) {
    for key in ["caller", "file", "source"] {
        if let Some(place) = fields.get(key).and_then(Value::as_str).and_then(source) {
            record.set_source(place);
            fields.remove(key);
            return;
        }
    }
    let number = |value: Option<&Value>| u32::try_from(value?.as_u64()?).ok();
    if let Some(Value::Object(place)) = fields.get("source")
        && let Some(file) = place.get("file").and_then(Value::as_str)
    {
        record.file = Some(file.to_owned());
        record.line = number(place.get("line"));
        fields.remove("source");
        return;
    }
    for (file, line) in
        [("filename", "line_number"), ("pathname", "lineno"), ("filename", "lineno")]
    {
        if let (Some(Value::String(path)), Some(at)) = (fields.get(file), number(fields.get(line)))
        {
            record.file = Some(path.clone());
            record.line = Some(at);
            fields.remove(file);
            fields.remove(line);
            return;
        }
    }
}

fn take_thread(fields: &mut Map<String, Value>, record: &mut Record) {
    let name = ["threadName", "thread_name", "thread", "log.thread"];
    record.thread.name = first_string(fields, &name);
    let id = ["threadId", "thread_id", "thread"];
    let Some(key) = id.into_iter().find(|key| fields.contains_key(*key)) else { return };
    let parsed = match &fields[key] {
        Value::Number(number) => number.as_u64(),
        // `ThreadId(3)`
        Value::String(text) => {
            let digits = text.trim_start_matches("ThreadId(").trim_end_matches(')');
            digits.parse().ok()
        }
        _ => None,
    };
    if let Some(id) = parsed {
        record.thread.id = id;
        fields.remove(key);
    }
}
