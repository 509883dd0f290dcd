//! JSON values: keys decide over what is under them, all else is text.

use serde_json::{Map, Value};

use super::rules::Extent;
use super::{FILTERED, Scrubber};

/// How deep a value may nest; what is deeper is replaced.
const DEEPEST: usize = 64;

/// Scrubs a value that stands `depth` levels deep; whether anything was replaced.
pub fn scrub(scrubber: &Scrubber, value: &mut Value, depth: usize) -> bool {
    match value {
        Value::String(_) => text(scrubber, value, Extent::All),
        Value::Array(_) | Value::Object(_) if depth >= DEEPEST => hide(value),
        Value::Array(items) => array(scrubber, items, depth),
        Value::Object(map) => object(scrubber, map, depth),
        Value::Number(number) => {
            // A card's number is one without quotes, too.
            let long = number.as_u64().is_some_and(|number| number > 1_000_000_000_000);
            let is_card = |text: String| scrubber.text_of(&text, Extent::NoAddresses).is_some();
            long && is_card(number.to_string()) && hide(value)
        }
        Value::Null | Value::Bool(_) => false,
    }
}

/// Scrubs a string.
pub fn text(scrubber: &Scrubber, value: &mut Value, extent: Extent) -> bool {
    let Value::String(text) = value else { return false };
    match scrubber.text_of(text, extent) {
        Some(scrubbed) => {
            *text = scrubbed;
            true
        }
        None => false,
    }
}

/// Replaces a value, unless it says nothing.
pub fn hide(value: &mut Value) -> bool {
    let says_nothing = match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => text.is_empty() || text == FILTERED,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    };
    if !says_nothing {
        dismantle(std::mem::replace(value, Value::from(FILTERED)));
    }
    !says_nothing
}

/// Whether a value is secret under its key.
pub fn hides(scrubber: &Scrubber, key: &str, value: &Value) -> bool {
    let names = &scrubber.rules().names;
    match value {
        Value::String(text) => names.hides(key, text),
        Value::Number(number) => names.hides(key, &number.to_string()),
        _ => names.has(key),
    }
}

/// Frees a value without going deeper with every level of it.
fn dismantle(value: Value) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(map) => left.extend(map.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

fn array(scrubber: &Scrubber, items: &mut [Value], depth: usize) -> bool {
    let mut changed = pairs(scrubber, items);
    let mut is_option = false;
    for item in items {
        if is_option && item.as_str().is_some_and(|text| !text.starts_with('-')) {
            changed |= hide(item);
        }
        is_option = item.as_str().is_some_and(|text| {
            text.starts_with('-') && !text.contains(['=', ' ']) && scrubber.is_secret_key(text)
        });
        changed |= scrub(scrubber, item, depth + 1);
    }
    changed
}

/// Hides what is secret in a list of keys and their values: `[["cookie", "a=b"], ...]`.
pub fn pairs(scrubber: &Scrubber, items: &mut [Value]) -> bool {
    let is_pair =
        |item: &Value| matches!(item.as_array().map(Vec::as_slice), Some([Value::String(_), _]));
    if !items.iter().all(is_pair) {
        return false;
    }
    let mut changed = false;
    for item in items.iter_mut().filter_map(Value::as_array_mut) {
        if let [Value::String(key), value] = item.as_mut_slice()
            && hides(scrubber, key, value)
        {
            changed |= hide(value);
        }
    }
    changed
}

/// Scrubs an object, keys included.
pub fn object(scrubber: &Scrubber, map: &mut Map<String, Value>, depth: usize) -> bool {
    let mut changed = names(scrubber, map);
    let has_user = ["user", "username", "login"].iter().any(|key| map.contains_key(*key));
    let named = ["key", "name"].iter().find_map(|key| map.get(*key)).and_then(Value::as_str);
    let is_named = named.is_some_and(|name| scrubber.is_secret_key(name));
    for (key, value) in map.iter_mut() {
        let secret =
            hides(scrubber, key, value) || is_named && key == "value" || has_user && key == "pass";
        changed |= secret && hide(value);
        changed |= scrub(scrubber, value, depth + 1);
    }
    changed
}

/// Scrubs the keys; where two become the same, the later ones are numbered.
fn names(scrubber: &Scrubber, map: &mut Map<String, Value>) -> bool {
    let scrubbed: Vec<_> = map
        .keys()
        .filter_map(|key| Some((key.clone(), scrubber.text_of(key, Extent::All)?)))
        .collect();
    let mut number = 2;
    for (old, new) in &scrubbed {
        let Some(value) = map.remove(old) else { continue };
        let mut name = new.clone();
        while map.contains_key(&name) {
            name = format!("{new} {number}");
            number += 1;
        }
        map.insert(name, value);
    }
    !scrubbed.is_empty()
}
