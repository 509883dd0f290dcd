//! Names in a text that a listed word makes keys, and those that it does not.
//!
//! A key is a listed name between edges of words, with the rest of its name on both sides and the quotes
//! around it. Before a colon stand other names, too, which are none: paths and places, loggers, types of
//! errors.

use std::ops::Range;

use super::quote::Quote;
use super::value::is_behind_colour;
use super::words::{is_edge, is_word};

/// Longest name that is looked at on either side of a listed word.
pub const NAME: usize = 64;

/// Last words of names that stand before a colon without being a key: of errors and of loggers.
const CLASSES: [&str; 22] = [
    "Error",
    "Exception",
    "Warning",
    "Fault",
    "Failure",
    "Manager",
    "Service",
    "Store",
    "Cache",
    "Handler",
    "Filter",
    "Provider",
    "Factory",
    "Controller",
    "Middleware",
    "Repository",
    "Impl",
    "Listener",
    "Client",
    "Server",
    "Thread",
    "Pool",
];

/// Ends of the names of source files.
const SOURCES: [&str; 26] = [
    "rs", "go", "py", "js", "ts", "mjs", "cjs", "jsx", "tsx", "java", "kt", "scala", "c", "cc",
    "cpp", "cxx", "h", "hpp", "rb", "ex", "exs", "erl", "php", "cs", "swift", "s",
];

/// Words that may stand between a listed name and the separator: `secret access key: x`.
const TAIL: [&str; 9] =
    ["access", "key", "id", "hash", "value", "token", "secret", "string", "header"];

/// A key that was found.
pub struct Key {
    /// Where its name is.
    pub name: Range<usize>,
    /// The quote right before it.
    pub quote: Option<Quote>,
    /// Whether the same quote is right behind it.
    pub quoted: bool,
    /// Behind its name and quote.
    pub end: usize,
}

/// The key around a listed name, if whole words spell it.
pub fn key(text: &[u8], found: &Range<usize>) -> Option<Key> {
    if !is_start(text, found.start) || !is_edge(text, found.end) {
        return None;
    }
    let in_name = |byte: &u8| is_word(*byte) || b"_-.".contains(byte);
    let mut start = found.start;
    if !is_escape(text, start) && !is_behind_colour(text, start) {
        let head = &text[..start];
        let ahead = head.iter().rev().take(NAME + 1).take_while(|byte| in_name(byte)).count();
        start -= ahead;
        while start < found.start && (text[start] == b'-' || is_escape(text, start)) {
            start += 1;
        }
    }
    let behind = text[found.end..].iter().take(NAME + 1).take_while(|byte| in_name(byte)).count();
    if behind > NAME {
        return None;
    }
    let mut end = found.end + behind;
    while end > found.end && b"-.".contains(&text[end - 1]) {
        end -= 1;
    }
    end = tail(text, end);
    let name = start..end;
    let quote = Quote::before(text, start);
    if text.get(end) == Some(&b']') && text[found.clone()].contains(&b'[') {
        end += 1;
    }
    let quoted = quote.is_some() && Quote::at(text, end) == quote;
    end += quote.filter(|_| quoted).map_or(0, Quote::len);
    if text.get(end) == Some(&b']') {
        end += 1;
    } else if text[end..].starts_with(b"%5D") || text[end..].starts_with(b"%5d") {
        end += 3;
    }
    Some(Key { name, quote, quoted, end })
}

/// Behind the words of [`TAIL`] that follow.
fn tail(text: &[u8], mut end: usize) -> usize {
    for _ in 0..2 {
        let Some(rest) = text[end..].strip_prefix(b" ") else { break };
        let len = rest.iter().take(8).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let is_tail = |word: &str| rest[..len].eq_ignore_ascii_case(word.as_bytes());
        if !TAIL.iter().any(|word| is_tail(word)) {
            break;
        }
        end += 1 + len;
    }
    end
}

/// Whether a word begins at `at`, be it behind an escape (`\n`, `%20`) or a colour.
fn is_start(text: &[u8], at: usize) -> bool {
    is_edge(text, at) || is_escape(text, at) || is_behind_colour(text, at)
}

/// Whether an escape of one sign ends before `at`.
pub fn is_escape(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => true,
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'u', b'0', b'0', high, low] => {
            high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
        }
        _ => false,
    }
}

/// The sign before it.
pub fn before(text: &[u8], key: &Key) -> Option<u8> {
    key.name.start.checked_sub(1).map(|at| text[at])
}

/// Whether a type is declared in source text here.
pub fn is_declared(head: &[u8]) -> bool {
    [&b"class "[..], b"struct ", b"enum ", b"interface "].iter().any(|word| head.ends_with(word))
}

/// Whether a name before a colon is none of a key.
pub fn is_no_key(text: &[u8], key: &Key, listed: &[u8], separator: usize) -> bool {
    if key.quoted {
        return false;
    }
    let name = String::from_utf8_lossy(&text[key.name.clone()]);
    if text[..key.name.start].ends_with(b"::")
        || text[..key.name.start].ends_with(b"/") && name.contains('.')
    {
        return true;
    }
    let head = &text[..key.name.start];
    // The scope of a logger: `[session]: started`.
    if head.ends_with(b"[")
        && key.end > key.name.end
        && !head[..head.len() - 1].last().is_some_and(|b| is_word(*b))
    {
        return true;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.len() < name.len() && SOURCES.contains(&last) {
        return true;
    }
    let upper = last.starts_with(|c: char| c.is_ascii_uppercase());
    let lower = name.starts_with(|c: char| c.is_ascii_lowercase());
    if upper && CLASSES.iter().any(|class| last.len() > class.len() && last.ends_with(class)) {
        return true;
    }
    // `c.e.auth.TokenService      : refreshed`
    if upper && lower && separator > key.end {
        return true;
    }
    let head = &text[key.name.start.saturating_sub(11)..key.name.start];
    let said = |word: &[u8], name: &[u8]| {
        head.to_ascii_lowercase().ends_with(word) && listed.eq_ignore_ascii_case(name)
    };
    // What a parser had not expected, and a line of AddressSanitizer's legend.
    said(b"expected ", b"token") || said(b"array ", b"cookie")
}
