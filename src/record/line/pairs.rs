//! `key=value` pairs, as logfmt, `tracing` and many others print them.

use serde_json::{Map, Value};

use super::text::quoted;

/// One pair, or one word that is none.
struct Token<'a> {
    /// Where it begins.
    at: usize,
    pair: Option<(&'a str, Value)>,
}

/// Splits a text into its pairs and words. A value in quotes or brackets may hold spaces.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    // What quotes and brackets that are never closed may cost.
    let mut budget = 8 * text.len() + 1024;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n']);
        if rest.is_empty() {
            return tokens;
        }
        let at = text.len() - rest.len();
        match pair(rest, &mut budget) {
            Some((key, value, after)) => {
                tokens.push(Token { at, pair: Some((key, value)) });
                rest = after;
            }
            None => {
                let end = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
                tokens.push(Token { at, pair: None });
                rest = &rest[end..];
            }
        }
    }
}

/// A pair at the start, and what follows.
fn pair<'a>(text: &'a str, budget: &mut usize) -> Option<(&'a str, Value, &'a str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-@/".contains(c)))?;
    let (key, after) = text.split_at(end);
    let after = after.strip_prefix('=').filter(|_| !key.is_empty() && !key.starts_with('-'))?;
    if after.starts_with('"')
        && *budget >= after.len()
        && let Some((value, rest)) = quoted(after)
    {
        return separated(rest).then_some((key, Value::String(value), rest));
    }
    let len = value_len(after, budget);
    let (value, rest) = after.split_at(len);
    separated(rest).then(|| (key, typed(value), rest))
}

fn separated(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\n', ','])
}

/// Bytes of a value without quotes: up to a space outside of brackets. `Point { x: 1 }` is one value.
fn value_len(text: &str, budget: &mut usize) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate().take(*budget) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' if depth > 0 => in_string = !in_string,
            _ if in_string => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && bytes[at + 1..].starts_with(b"{ ") && at > 0 => {}
            b' ' | b'\t' | b'\n' if depth == 0 => return at,
            _ => {}
        }
    }
    if depth == 0 && !in_string && *budget >= text.len() {
        return text.len();
    }
    // A bracket that is never closed holds nothing together.
    *budget = budget.saturating_sub(text.len());
    text.find([' ', '\t', '\n']).unwrap_or(text.len())
}

/// A value without quotes: a number or a truth value if it is written like one.
fn typed(value: &str) -> Value {
    match value {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let plain = value.len() <= 18 && !value.starts_with('+') && !value.starts_with("0x");
    let number = value.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
    if plain && number {
        if let Ok(number) = value.parse::<i64>() {
            return number.into();
        }
        if let Some(number) = value.parse().ok().and_then(serde_json::Number::from_f64) {
            return Value::Number(number);
        }
    }
    Value::String(value.to_owned())
}

/// All pairs of a text that has nothing else.
pub fn all(text: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    for token in tokens(text) {
        let (key, value) = token.pair?;
        fields.insert(key.to_owned(), value);
    }
    Some(fields)
}

/// Splits the pairs at the end off a message.
pub fn split_trailing(text: &str) -> (&str, Map<String, Value>) {
    let mut tokens = tokens(text);
    let words = tokens.iter().rposition(|token| token.pair.is_none()).map_or(0, |at| at + 1);
    let pairs = tokens.split_off(words);
    let end = pairs.first().map_or(text.len(), |first| first.at);
    let fields = pairs.into_iter().filter_map(|token| token.pair);
    (text[..end].trim_end(), fields.map(|(key, value)| (key.to_owned(), value)).collect())
}
