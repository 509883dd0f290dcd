//! What a marker made longer than a server takes is cut again, and never within a marker.
//!
//! Each field goes back to its own limit. An event that is above [`limits::EVENT_BYTES`] by then
//! loses, until it fits, its oldest breadcrumbs but ten; `extra` and `request`; the other threads; the
//! breadcrumbs; the contexts but `os`, `process` and `lastwords`; the other fields that are not
//! needed to tell what happened.

use serde_json::{Map, Value};

use super::super::{cut, data, limits};
use super::FILTERED;

/// Characters of a transaction, see Relay; of a logger.
const TRANSACTION_CHARS: usize = 200;
const LOGGER_CHARS: usize = 64;

/// Brings an event back to its limits.
pub fn fit(event: &mut Value) {
    let Value::Object(event) = event else { return };
    for (key, limit) in [
        ("server_name", limits::SERVER_NAME_CHARS),
        ("transaction", TRANSACTION_CHARS),
        ("logger", LOGGER_CHARS),
        ("message", limits::VALUE_CHARS),
    ] {
        within(event.get_mut(key), limit);
    }
    for (key, limit) in
        [("release", limits::RELEASE_BYTES), ("environment", limits::ENVIRONMENT_BYTES)]
    {
        within_by(event.get_mut(key), limit, cut::to_bytes);
    }
    tags(event.get_mut("tags"));
    for exception in items(event, "exception") {
        within(exception.get_mut("type"), limits::TYPE_CHARS);
        within(exception.get_mut("value"), limits::VALUE_CHARS);
    }
    for thread in items(event, "threads") {
        within(thread.get_mut("name"), limits::THREAD_NAME_CHARS);
    }
    for crumb in items(event, "breadcrumbs") {
        within(crumb.get_mut("message"), limits::CRUMB_MESSAGE_CHARS);
        if let Some(Value::Object(map)) = crumb.get_mut("data") {
            breadcrumb(map);
        }
    }
    whole(event);
}

/// The values of a list, which stands in `values` or by itself.
fn items<'a>(event: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = match event.get_mut(key) {
        Some(Value::Object(map)) => map.get_mut("values"),
        other => other,
    };
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

/// Cuts a text to characters.
fn within(value: Option<&mut Value>, limit: usize) {
    within_by(value, limit, cut::to_chars);
}

/// Cuts a text that has a marker in it, for of the others none has become longer; a marker that would
/// be cut in two goes as a whole.
fn within_by(value: Option<&mut Value>, limit: usize, cut: fn(&str, usize) -> String) {
    let Some(Value::String(text)) = value else { return };
    if text.len() <= limit || !text.contains(FILTERED) {
        return;
    }
    let shorter = cut(text, limit);
    let kept = common(text, &shorter);
    let start = text[..kept].rfind('[').filter(|at| text[*at..].starts_with(FILTERED));
    *text = match start.filter(|start| start + FILTERED.len() > kept && shorter.len() < text.len())
    {
        Some(start) => format!("{}...", &text[..start]),
        None => shorter,
    };
}

/// How many bytes two texts begin with in common, at a character's boundary.
fn common(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.floor_char_boundary(same)
}

fn tags(tags: Option<&mut Value>) {
    match tags {
        Some(Value::Object(map)) => {
            map.values_mut().for_each(|value| within(Some(value), limits::TAG_VALUE_CHARS));
        }
        Some(Value::Array(pairs)) => {
            pairs.iter_mut().for_each(|pair| within(pair.get_mut(1), limits::TAG_VALUE_CHARS));
        }
        _ => {}
    }
}

fn breadcrumb(map: &mut Map<String, Value>) {
    if json_len(map) > limits::CRUMB_DATA_BYTES {
        *map = data::fit(std::mem::take(map), Map::new(), 0).data;
    }
}

/// One thing that goes where the whole is too long.
type Step = fn(&mut Map<String, Value>);

const STEPS: [Step; 5] = [
    |event| {
        event.remove("extra");
        event.remove("request");
    },
    |event| {
        event.remove("threads");
    },
    |event| {
        event.remove("breadcrumbs");
    },
    |event| {
        if let Some(Value::Object(contexts)) = event.get_mut("contexts") {
            contexts.retain(|key, _| ["os", "process", "lastwords"].contains(&key.as_str()));
        }
    },
    |event| {
        let needed = [
            "event_id",
            "timestamp",
            "level",
            "platform",
            "exception",
            "release",
            "environment",
            "server_name",
            "fingerprint",
            "sdk",
            "message",
        ];
        event.retain(|key, _| needed.contains(&key.as_str()));
    },
];

fn whole(event: &mut Map<String, Value>) {
    let mut size = json_len(event);
    if size > limits::EVENT_BYTES {
        oldest_breadcrumbs(event, size - limits::EVENT_BYTES);
        size = json_len(event);
    }
    for step in STEPS {
        if size <= limits::EVENT_BYTES {
            return;
        }
        step(event);
        size = json_len(event);
    }
}

fn oldest_breadcrumbs(event: &mut Map<String, Value>, excess: usize) {
    let list = match event.get_mut("breadcrumbs") {
        Some(Value::Object(map)) => map.get_mut("values"),
        other => other,
    };
    let Some(Value::Array(crumbs)) = list else { return };
    let mut freed = 0;
    let most = crumbs.len().saturating_sub(10);
    let len = |crumb: &Value| crumb.to_string().len() + 1;
    let dropped = crumbs.iter().take(most).take_while(|crumb| {
        let more = freed < excess;
        freed += len(crumb);
        more
    });
    let dropped = dropped.count();
    crumbs.drain(..dropped);
}

/// Bytes of an object as JSON.
pub fn json_len(map: &Map<String, Value>) -> usize {
    serde_json::to_vec(map).map_or(usize::MAX, |json| json.len())
}
