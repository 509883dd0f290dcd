//! An event: which of its fields are text, and which the protocol needs as they are.
//!
//! A field is left alone only where it is a scalar, as the protocol has it; whatever else an editor
//! of the event put there is scrubbed like any value. Fields that are not known are, too.

use serde_json::{Map, Value};

use super::json::{self, hide};
use super::rules::Extent;
use super::{FILTERED, Scrubber};

/// Fields of an event that stay.
const EVENT: [&str; 11] = [
    "event_id",
    "timestamp",
    "start_timestamp",
    "received",
    "level",
    "platform",
    "type",
    "version",
    "sdk",
    "modules",
    "_meta",
];

/// Fields of a breadcrumb that stay.
const BREADCRUMB: [&str; 5] = ["timestamp", "type", "category", "level", "event_id"];

/// Fields of an exception or a thread that stay.
const EXCEPTION: [&str; 7] = ["module", "thread_id", "id", "crashed", "current", "main", "state"];

/// Fields of a mechanism that stay.
const MECHANISM: [&str; 7] =
    ["type", "exception_id", "parent_id", "handled", "synthetic", "source", "is_exception_group"];

/// Fields of a frame that stay.
const FRAME: [&str; 14] = [
    "function",
    "raw_function",
    "symbol",
    "module",
    "instruction_addr",
    "symbol_addr",
    "image_addr",
    "addr_mode",
    "platform",
    "lineno",
    "colno",
    "in_app",
    "trust",
    "lang",
];

/// Fields of a frame or an image that are paths.
const PATHS: [&str; 6] = ["filename", "abs_path", "package", "code_file", "debug_file", "name"];

/// Fields of an image that stay.
const IMAGE: [&str; 9] = [
    "type",
    "debug_id",
    "code_id",
    "image_addr",
    "image_size",
    "image_vmaddr",
    "arch",
    "uuid",
    "checksum",
];

/// Fields of any context, and of the trace's, that stay.
const CONTEXT: [&str; 1] = ["type"];
const TRACE: [&str; 5] = ["type", "trace_id", "span_id", "parent_span_id", "op"];

/// Fields of a user that stay.
const USER: [&str; 1] = ["email"];

/// Scrubs every field of an event.
pub fn scrub(scrubber: &Scrubber, event: &mut Value) {
    let Value::Object(event) = event else {
        json::scrub(scrubber, event, 0);
        return;
    };
    for (key, value) in event.iter_mut() {
        match key.as_str() {
            "sdk" | "modules" | "_meta" if value.is_object() => {}
            key if EVENT.contains(&key) && is_scalar(value) => {}
            "release" | "dist" => plain(scrubber, value, Extent::NoAddresses),
            "exception" => each(value, |exception| self::exception(scrubber, exception)),
            "threads" => each(value, |thread| self::exception(scrubber, thread)),
            "stacktrace" => stacktrace(scrubber, value),
            "breadcrumbs" => each(value, |crumb| fields(scrubber, crumb, &BREADCRUMB)),
            "contexts" => contexts(scrubber, value),
            "user" => user(scrubber, value),
            "request" => request(scrubber, value),
            "debug_meta" => debug_meta(scrubber, value),
            "fingerprint" | "tags" | "logentry" | "message" | "extra" => generic(scrubber, value),
            key => {
                if scrubber.is_secret_key(key) {
                    hide(value);
                }
                generic(scrubber, value);
            }
        }
    }
}

fn generic(scrubber: &Scrubber, value: &mut Value) {
    json::scrub(scrubber, value, 0);
}

/// A text of a certain kind, or whatever else it is.
fn plain(scrubber: &Scrubber, value: &mut Value, extent: Extent) {
    match value {
        Value::String(_) => {
            json::text(scrubber, value, extent);
        }
        _ => generic(scrubber, value),
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// Scrubs each of a list of values, which stands in `values` or by itself.
fn each(list: &mut Value, mut scrub: impl FnMut(&mut Value)) {
    if list.get("values").is_some_and(Value::is_array) {
        let Value::Object(map) = list else { return };
        for (key, value) in map.iter_mut() {
            match value {
                Value::Array(items) if key == "values" => items.iter_mut().for_each(&mut scrub),
                other => scrub(other),
            }
        }
        return;
    }
    match list {
        Value::Array(items) => items.iter_mut().for_each(scrub),
        single => scrub(single),
    }
}

/// Scrubs an object but for the scalars among `kept`.
fn fields(scrubber: &Scrubber, value: &mut Value, kept: &[&str]) {
    with(scrubber, value, kept, |_, _| false);
}

/// Scrubs an object but for the scalars among `kept` and for what `known` has scrubbed.
fn with(
    scrubber: &Scrubber,
    value: &mut Value,
    kept: &[&str],
    known: impl Fn(&str, &mut Value) -> bool,
) {
    let Value::Object(map) = value else { return generic(scrubber, value) };
    let mut kept_back = Map::new();
    for (key, value) in map.iter_mut() {
        if kept.contains(&key.as_str()) && is_scalar(value) || known(key, value) {
            kept_back.insert(key.clone(), value.take());
        }
    }
    for key in kept_back.keys() {
        map.remove(key);
    }
    json::object(scrubber, map, 0);
    map.append(&mut kept_back);
}

fn exception(scrubber: &Scrubber, exception: &mut Value) {
    with(scrubber, exception, &EXCEPTION, |key, value| match key {
        "stacktrace" | "raw_stacktrace" => {
            stacktrace(scrubber, value);
            true
        }
        "mechanism" => {
            fields(scrubber, value, &MECHANISM);
            true
        }
        _ => false,
    });
}

fn stacktrace(scrubber: &Scrubber, stack: &mut Value) {
    with(scrubber, stack, &[], |key, value| match (key, value) {
        ("frames", Value::Array(frames)) => {
            frames.iter_mut().for_each(|frame| places(scrubber, frame, &FRAME));
            true
        }
        _ => false,
    });
}

/// A frame or an image: its paths lose less than other texts.
fn places(scrubber: &Scrubber, value: &mut Value, kept: &[&str]) {
    with(scrubber, value, kept, |key, value| {
        let is_path = PATHS.contains(&key) && value.is_string();
        if is_path {
            json::text(scrubber, value, Extent::Paths);
        }
        is_path
    });
}

fn contexts(scrubber: &Scrubber, contexts: &mut Value) {
    let Value::Object(contexts) = contexts else { return generic(scrubber, contexts) };
    for (key, context) in contexts.iter_mut() {
        let kept: &[&str] = if key == "trace" { &TRACE } else { &CONTEXT };
        // A context has to stay an object: what is in it goes.
        if let Value::Object(map) = context
            && scrubber.is_secret_key(key)
        {
            map.iter_mut().filter(|(key, _)| *key != "type").for_each(|(_, value)| {
                hide(value);
            });
        }
        fields(scrubber, context, kept);
    }
}

fn user(scrubber: &Scrubber, user: &mut Value) {
    if let Value::Object(map) = user
        && map.get("ip_address").is_some_and(|address| address != "{{auto}}")
    {
        map.remove("ip_address");
    }
    fields(scrubber, user, &USER);
}

fn request(scrubber: &Scrubber, request: &mut Value) {
    // Their name says that they are secret, all of them.
    let cookies = request.as_object_mut().and_then(|request| request.remove("cookies"));
    generic(scrubber, request);
    if let (Some(mut cookies), Some(request)) = (cookies, request.as_object_mut()) {
        hide_cookies(&mut cookies);
        scrubber.value(&mut cookies);
        request.insert("cookies".to_owned(), cookies);
    }
}

/// Hides every cookie and keeps the names: one marker for all of them would be no list of cookies.
fn hide_cookies(cookies: &mut Value) {
    match cookies {
        Value::String(text) => {
            let names = text.split(';').filter_map(|pair| Some(pair.split_once('=')?.0.trim()));
            *cookies = names.map(|name| Value::from(vec![name, FILTERED])).collect();
        }
        Value::Object(map) => map.values_mut().for_each(|value| {
            hide(value);
        }),
        Value::Array(pairs) => {
            pairs.iter_mut().filter_map(|pair| pair.get_mut(1)).for_each(|value| {
                hide(value);
            })
        }
        _ => {}
    }
}

fn debug_meta(scrubber: &Scrubber, meta: &mut Value) {
    with(scrubber, meta, &[], |key, value| match (key, value) {
        ("images", Value::Array(images)) => {
            images.iter_mut().for_each(|image| places(scrubber, image, &IMAGE));
            true
        }
        _ => false,
    });
}
