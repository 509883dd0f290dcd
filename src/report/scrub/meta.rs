//! Notes about what was replaced, as the protocol has them.
//!
//! `_meta` has the same shape as the event; the key `""` holds the notes about a value: for each
//! marker in a string the rule, `s` for substituted, and where it stands, in bytes, as Relay counts.
//! Notes that are there already stay. A marker that the program wrote itself gets a note, too. Where
//! the notes would make the event too long for a server they are left out.

use serde_json::{Map, Value, json};

use super::super::limits;
use super::{FILTERED, fit};

/// The name of the rule.
const RULE: &str = "lastwords:scrub";

/// Notes of one string: those behind are left out.
const MOST: usize = 100;

/// How deep values are noted.
const DEEPEST: usize = 80;

/// Writes the notes into the event.
pub fn note(event: &mut Value) {
    let Value::Object(map) = event else { return };
    let old = map.remove("_meta");
    let notes = map
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), notes(value, 0)?)))
        .collect::<Map<_, _>>();
    let mut merged = old.clone().unwrap_or(Value::Null);
    if !notes.is_empty() {
        merge(&mut merged, Value::Object(notes), 0);
    }
    for meta in [merged, old.unwrap_or(Value::Null)] {
        if !meta.is_null() {
            map.insert("_meta".to_owned(), meta);
        }
        if fit::json_len(map) <= limits::EVENT_BYTES {
            return;
        }
        map.remove("_meta");
    }
}

/// The notes about a value and what is in it.
fn notes(value: &Value, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let notes: Map<String, Value> = match value {
        Value::String(text) => return of_text(text),
        Value::Array(items) => {
            let noted =
                |(at, item): (usize, &Value)| Some((at.to_string(), notes(item, depth + 1)?));
            items.iter().enumerate().filter_map(noted).collect()
        }
        Value::Object(map) => {
            let noted =
                |(key, item): (&String, &Value)| Some((key.clone(), notes(item, depth + 1)?));
            map.iter().filter(|(key, _)| !key.is_empty()).filter_map(noted).collect()
        }
        _ => return None,
    };
    (!notes.is_empty()).then_some(Value::Object(notes))
}

fn of_text(text: &str) -> Option<Value> {
    let found = memchr::memmem::find_iter(text.as_bytes(), FILTERED);
    let remarks: Vec<Value> =
        found.take(MOST).map(|start| json!([RULE, "s", start, start + FILTERED.len()])).collect();
    (!remarks.is_empty()).then(|| json!({"": {"rem": remarks}}))
}

/// Adds notes to notes. Those of an earlier scrubbing are replaced, others stay.
fn merge(old: &mut Value, new: Value, depth: usize) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) if depth <= DEEPEST => {
            for (key, value) in new {
                match old.get_mut(&key) {
                    Some(Value::Object(own)) if key.is_empty() => remarks(own, &value),
                    Some(inner) => merge(inner, value, depth + 1),
                    None => {
                        old.insert(key, value);
                    }
                }
            }
        }
        (old, new) => *old = new,
    }
}

/// Adds remarks to those about the same value.
fn remarks(own: &mut Map<String, Value>, new: &Value) {
    let Some(Value::Array(new)) = new.get("rem") else { return };
    let old = own.entry("rem").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(old) = old else { return };
    old.retain(|remark| remark.get(0).is_none_or(|rule| rule != RULE));
    old.extend(new.iter().cloned());
}
