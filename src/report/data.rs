//! A breadcrumb's data, brought to the protocol's size.
//!
//! [`fit`] returns data that Relay passes unchanged: nested no deeper than
//! [`limits::CRUMB_DATA_CONTAINERS`], at most [`limits::CRUMB_DATA_BYTES`] as JSON, keys counted.
//! What does not fit goes in this order, each step only as far as it is needed:
//!
//! 1. What nests too deep becomes a string of its JSON (always, as Relay does it).
//! 2. The fields of the spans, the outermost span's first, and then the array of spans itself,
//!    whose names stand in `span` as well.
//! 3. The ends of the longest values: every value longer than 1024 bytes, then 512, and so on
//!    down to 32; an array or object among them becomes a string first.
//! 4. Whole keys, the last in the alphabet first, our own before those of the program.

use serde_json::{Map, Value};

use super::{cut, limits};

/// The name under which the spans stand, unless the event has a field of that name.
pub const SPANS: &str = "spans";

/// Prefix of a name of ours where the event has a field of the plain name.
pub const OURS: &str = "lastwords.";

/// Bytes that step 3 leaves of a value, one round after the other.
const ROUNDS: [usize; 6] = [1024, 512, 256, 128, 64, 32];

/// Data within its limits, and whether anything had to be cut for it.
pub struct Fitted {
    /// The data.
    pub data: Map<String, Value>,
    /// Whether a value is shorter than it was, or gone.
    pub cut: bool,
}

/// Brings `fields` (the program's) and `ours` to the limits, with `reserve` bytes to spare.
pub fn fit(fields: Map<String, Value>, ours: Map<String, Value>, reserve: usize) -> Fitted {
    let limit = limits::CRUMB_DATA_BYTES - reserve;
    let (mut fields, mut ours) = (flattened(fields), flattened(ours));
    let fits = |a: &Map<String, Value>, b: &Map<String, Value>| json_len(a) + json_len(b) <= limit;
    let mut cut = false;
    while !fits(&fields, &ours) && drop_from_spans(&mut ours) {
        cut = true;
    }
    for round in ROUNDS {
        if fits(&fields, &ours) {
            break;
        }
        cut = true;
        for value in ours.values_mut().chain(fields.values_mut()) {
            shorten(value, round);
        }
    }
    while !fits(&fields, &ours) {
        cut = true;
        if ours.pop_last().is_none() && fields.pop_last().is_none() {
            break;
        }
    }
    fields.append(&mut ours);
    Fitted { data: fields, cut }
}

/// Removes the last key of a map, whichever kind of map `serde_json` was built with.
trait PopLast {
    fn pop_last(&mut self) -> Option<()>;
}

impl PopLast for Map<String, Value> {
    fn pop_last(&mut self) -> Option<()> {
        let last = self.keys().max()?.clone();
        self.remove(&last).map(drop)
    }
}

/// Step 1.
fn flattened(map: Map<String, Value>) -> Map<String, Value> {
    let inner = limits::CRUMB_DATA_CONTAINERS - 1;
    map.into_iter().map(|(key, value)| (key, shallow(value, inner))).collect()
}

fn shallow(value: Value, containers: usize) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) if containers == 0 => Value::String(value.to_string()),
        Value::Array(items) => {
            items.into_iter().map(|item| shallow(item, containers - 1)).collect()
        }
        Value::Object(map) => {
            map.into_iter().map(|(key, item)| (key, shallow(item, containers - 1))).collect()
        }
        scalar => scalar,
    }
}

/// Step 2, one span at a time; `false` if there is nothing left of them.
fn drop_from_spans(ours: &mut Map<String, Value>) -> bool {
    // Ours is `spans`, or ends in it where the program has a field of that name.
    let key = ours.keys().find(|key| key.ends_with(SPANS)).cloned();
    let Some(key) = key else { return false };
    let Some(Value::Array(spans)) = ours.get_mut(&key) else { return false };
    let with_fields = spans.iter_mut().filter_map(Value::as_object_mut).find(|span| span.len() > 1);
    match with_fields {
        Some(span) => {
            span.retain(|key, _| key == "name");
            true
        }
        None => ours.remove(&key).is_some(),
    }
}

/// Step 3 for one value.
fn shorten(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) if text.len() > limit => *text = cut::to_bytes(text, limit),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            if text.len() > limit {
                *value = Value::String(cut::to_bytes(&text, limit));
            }
        }
        _ => {}
    }
}

/// Bytes of a map as JSON.
fn json_len(map: &Map<String, Value>) -> usize {
    // Writing a map of JSON values into memory cannot fail; were it to, it would count as too big.
    serde_json::to_vec(map).map_or(usize::MAX / 4, |json| json.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_fits_stays() {
        let fields = map(json!({"n": 1, "deep": {"a": {"b": {"c": null}}}}));
        let fitted = fit(fields.clone(), map(json!({"thread": "main"})), 0);
        assert!(!fitted.cut);
        assert_eq!(fitted.data["deep"], fields["deep"]);
        assert_eq!(fitted.data["thread"], "main");
    }

    #[test]
    fn what_nests_too_deep_becomes_text() {
        let fitted = fit(map(json!({"k": {"k": {"k": {"k": {"k": 1}}}}})), Map::new(), 0);
        assert_eq!(fitted.data["k"], json!({"k": {"k": {"k": "{\"k\":1}"}}}));
    }

    #[test]
    fn span_fields_go_before_the_events_own() {
        let ours = map(json!({"span": "a:b", "spans": [
            {"name": "a", "query": "x".repeat(1500)},
            {"name": "b", "id": 7},
        ]}));
        let fitted = fit(map(json!({"body": "y".repeat(1000)})), ours, 0);
        assert!(fitted.cut);
        assert_eq!(fitted.data["spans"], json!([{"name": "a"}, {"name": "b", "id": 7}]));
        assert_eq!(fitted.data["body"], "y".repeat(1000));
    }

    #[test]
    fn long_values_are_cut_and_short_ones_kept() {
        let fitted = fit(map(json!({"long": "\"".repeat(4000), "n": 7})), Map::new(), 0);
        assert!(fitted.cut);
        assert_eq!(fitted.data["n"], 7);
        assert!(json_len(&fitted.data) <= limits::CRUMB_DATA_BYTES);
    }

    #[test]
    fn too_many_keys_lose_ours_then_the_last() {
        let many: Map<_, _> = (0..900).map(|n| (format!("key{n:04}"), json!(n))).collect();
        let fitted = fit(many, map(json!({"thread": "main"})), 0);
        assert!(fitted.data.contains_key("key0000"));
        assert!(!fitted.data.contains_key("thread"));
        assert!(json_len(&fitted.data) <= limits::CRUMB_DATA_BYTES);
    }
}
