//! Breadcrumbs as the protocol knows them.
//!
//! The event's fields stand at the top of `data` with the types they were recorded with. Ours
//! stand beside them: `thread` (the name, else the id), `span` (the names of the spans, outermost
//! first, joined by `:`), `spans` (an array of `{name, fields...}`) and `cut` (`true` where a value
//! was shortened). A field of the program keeps its name: ours is then `lastwords.thread`.
//!
//! Not offered: the source file and line, and the targets of the spans.

use serde_json::{Map, Value};
use tracing_core::Level;

use super::data::{self, OURS, SPANS};
use super::{cut, limits, mend};
use crate::record;

/// Bytes kept free for `"lastwords.lastwords.cut":true` and the joint of the data's two halves.
const RESERVE: usize = 40;

/// Turns recorded breadcrumbs into the protocol's, in the order given.
///
/// Every breadcrumb is within the protocol's limits: 8192 characters of message, 128 of category,
/// 2 KiB and five levels of data.
///
/// ```
/// let crumbs: Vec<lastwords::sentry::Breadcrumb> = lastwords::report::breadcrumbs(&[]);
/// assert!(crumbs.is_empty());
/// ```
#[must_use]
pub fn breadcrumbs(crumbs: &[record::Breadcrumb]) -> Vec<sentry::Breadcrumb> {
    crumbs.iter().map(breadcrumb).collect()
}

fn breadcrumb(crumb: &record::Breadcrumb) -> sentry::Breadcrumb {
    let level = level(crumb.level);
    let ty = if level == sentry::Level::Error { "error" } else { "default" };
    sentry::Breadcrumb {
        timestamp: mend::timestamp(crumb.time),
        ty: ty.to_owned(),
        category: (!crumb.target.is_empty())
            .then(|| cut::to_chars(&crumb.target, limits::CRUMB_CATEGORY_CHARS)),
        level,
        message: (!crumb.message.is_empty())
            .then(|| cut::to_chars(&crumb.message, limits::CRUMB_MESSAGE_CHARS)),
        data: data(crumb).into_iter().collect(),
    }
}

/// The protocol has no level below `debug`.
fn level(level: Level) -> sentry::Level {
    match level {
        Level::ERROR => sentry::Level::Error,
        Level::WARN => sentry::Level::Warning,
        Level::INFO => sentry::Level::Info,
        _ => sentry::Level::Debug,
    }
}

fn data(crumb: &record::Breadcrumb) -> Map<String, Value> {
    let mut ours = Map::new();
    let mut put = |name: &str, value: Value| {
        ours.insert(our_name(&crumb.fields, name), value);
    };
    match &crumb.thread.name {
        Some(name) => put("thread", Value::from(cut::to_chars(name, limits::THREAD_NAME_CHARS))),
        None if crumb.thread.id != 0 => put("thread", Value::from(crumb.thread.id)),
        None => {}
    }
    if !crumb.spans.is_empty() {
        let names: Vec<&str> = crumb.spans.iter().map(|span| span.name.as_str()).collect();
        put("span", Value::from(names.join(":")));
        put(SPANS, crumb.spans.iter().map(span).collect());
    }
    let fitted = data::fit(crumb.fields.clone(), ours, RESERVE);
    let mut data = fitted.data;
    let shortened = crumb.message.chars().nth(limits::CRUMB_MESSAGE_CHARS).is_some();
    if crumb.cut || fitted.cut || shortened {
        data.insert(our_name(&crumb.fields, "cut"), Value::Bool(true));
    }
    data
}

/// A span as `{name, fields...}`; a field called `name` is kept as `lastwords.name`, because here
/// the name is what the object is about.
fn span(span: &record::SpanInfo) -> Value {
    let mut object: Map<String, Value> = span
        .fields
        .iter()
        .map(|(key, value)| match key.as_str() {
            "name" => (format!("{OURS}name"), value.clone()),
            _ => (key.clone(), value.clone()),
        })
        .collect();
    object.insert("name".to_owned(), Value::from(span.name.as_str()));
    Value::Object(object)
}

fn our_name(fields: &Map<String, Value>, name: &str) -> String {
    let mut name = name.to_owned();
    while fields.contains_key(&name) {
        name.insert_str(0, OURS);
    }
    name
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;
    use crate::record::{Breadcrumb, Position, SpanInfo, ThreadInfo};

    fn crumb() -> Breadcrumb {
        Breadcrumb {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
            boot_nanos: 1,
            level: Level::TRACE,
            target: "service::ingest".to_owned(),
            message: "batch done".to_owned(),
            fields: Map::new(),
            thread: ThreadInfo { id: 7, name: Some("worker-1".to_owned()) },
            spans: Vec::new(),
            file: None,
            line: None,
            cut: false,
            amid_panic: false,
            position: Position::default(),
        }
    }

    fn shaped(crumb: Breadcrumb) -> Value {
        serde_json::to_value(&breadcrumbs(&[crumb])[0]).unwrap()
    }

    #[test]
    fn fields_keep_their_types_and_their_names() {
        let mut crumb = crumb();
        crumb.fields.insert("rows".to_owned(), json!(3));
        crumb.fields.insert("thread".to_owned(), json!("theirs"));
        assert_eq!(
            shaped(crumb),
            json!({
                "timestamp": 1_700_000_000.25,
                "category": "service::ingest",
                "level": "debug",
                "message": "batch done",
                "data": {"rows": 3, "thread": "theirs", "lastwords.thread": "worker-1"},
            })
        );
    }

    #[test]
    fn spans_are_a_path_and_an_array() {
        let mut crumb = crumb();
        crumb.level = Level::ERROR;
        crumb.thread.name = None;
        let fields = json!({"id": 9, "name": "x"}).as_object().unwrap().clone();
        let span = |name: &str, fields| SpanInfo {
            name: name.to_owned(),
            target: "service".to_owned(),
            fields,
        };
        crumb.spans = vec![span("request", fields), span("parse", Map::new())];
        let shaped = shaped(crumb);
        assert_eq!(shaped["type"], "error");
        assert_eq!(
            shaped["data"],
            json!({
                "thread": 7,
                "span": "request:parse",
                "spans": [{"name": "request", "id": 9, "lastwords.name": "x"}, {"name": "parse"}],
            })
        );
    }

    #[test]
    fn what_was_cut_says_so() {
        let mut long = crumb();
        long.message = "ä".repeat(9000);
        let shaped = shaped(long);
        assert_eq!(shaped["message"].as_str().unwrap().chars().count(), 8192);
        assert_eq!(shaped["data"]["cut"], true);
        let mut crumb = crumb();
        crumb.cut = true;
        crumb.fields.insert("cut".to_owned(), json!(1));
        let data = &breadcrumbs(&[crumb])[0].data;
        assert_eq!((&data["cut"], &data["lastwords.cut"]), (&json!(1), &json!(true)));
    }
}
