//! How far a value goes that begins somewhere in a text.
//!
//! * In quotes: to the quote that closes it, or else to the end of its line.
//! * In brackets, after a type's name or not (`Some("x")`, `map[a:b]`, `&{x y}`): to the bracket that
//!   closes it, over lines that are indented; what is not closed ends where the indentation does.
//! * Bare: to white space, to the quote around the whole, to a closing bracket, or to a comma,
//!   semicolon, bar or ampersand behind which something else begins: a space, or another key.
//!
//! Everything that is read here is part of the value, but for a bounded number of bytes: reading a
//! text stays linear.

use super::MARKER;
use super::quote::Quote;
use super::words::is_word;

/// Bytes of a key that may follow a comma, of a type's name, and of other looks ahead.
const AHEAD: usize = 48;

/// What is known of a value from what stands before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around {
    /// The quote around key and value.
    pub quote: Option<Quote>,
    /// Part of the query of a URL.
    pub query: bool,
    /// Its separator was percent-encoded, and so is what ends it.
    pub encoded: bool,
}

/// Where the value that begins at `from` ends, quotes included; `from` if there is none.
pub fn end(text: &[u8], from: usize, around: Around) -> usize {
    let mut at = from;
    // `(string) (len=3) "abc"` and `(*T)(0x0)`: a type, and then the value.
    for _ in 0..4 {
        if text.get(at) != Some(&b'(') {
            break;
        }
        let close = bracket(text, at, around.quote);
        let next = skip_blanks(text, close);
        let goes_on = text.get(next) == Some(&b'(') || Quote::at(text, next).is_some();
        if next == close && text.get(next) != Some(&b'(') || !goes_on {
            return bare(text, close, around);
        }
        at = next;
    }
    if let Some(quote) = opening(text, at, around) {
        return quote.close(text, at + quote.len()).1;
    }
    let end = bare(text, at, around);
    // `Secret { inner: "x" }`: a type and its fields.
    let is_type = text.get(at).is_some_and(u8::is_ascii_uppercase)
        && text[at..end].iter().all(|byte| is_name(*byte));
    if is_type && text[end..].starts_with(b" {") {
        return bracket(text, end + 1, around.quote);
    }
    end
}

/// The quote that opens a string at `at`, if it is not the one that closes what is around.
fn opening(text: &[u8], at: usize, around: Around) -> Option<Quote> {
    Quote::at(text, at).filter(|quote| around.quote != Some(*quote))
}

/// Where a bare value ends.
fn bare(text: &[u8], from: usize, around: Around) -> usize {
    let mut at = from;
    while let Some(&byte) = text.get(at) {
        if text[at..].starts_with(MARKER) {
            at += MARKER.len();
            continue;
        }
        let ends = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x1b => true,
            b'\\' => is_escaped_end(text, at),
            b'"' | b'\'' | b'`' => {
                if let Some(close) = string_in_value(text, from, at, around) {
                    at = close;
                    continue;
                }
                around.quote.is_some_and(|quote| Quote::at(text, at) == Some(quote))
                    || is_behind_value(text, at + 1)
            }
            b'(' | b'[' | b'{' => {
                if is_type_name(&text[from..at]) {
                    at = bracket(text, at, around.quote);
                    continue;
                }
                false
            }
            b')' | b']' | b'}' | b'>' => is_behind_value(text, at + 1),
            b'&' if text[at..].starts_with(b"&quot;") || text[at..].starts_with(b"&#34;") => true,
            // Go's pointers, `&{a b}`.
            b'&' if at == from && text.get(at + 1).is_some_and(|b| b"{[\"".contains(b)) => false,
            b',' | b';' | b'&' | b'|' => is_another(text, at + 1, byte == b';'),
            b'#' => around.query,
            b'%' => around.encoded && is_encoded_end(text, at),
            b'<' => text.get(at + 1) == Some(&b'/'),
            _ => false,
        };
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// Where a string ends that belongs to a value: `b"abc"`, `&"abc"`.
fn string_in_value(text: &[u8], from: usize, at: usize, around: Around) -> Option<usize> {
    let prefix = &text[from..at];
    let is_prefix = prefix.len() <= 2 && prefix.iter().all(|byte| b"bBrRuUfFcL&@$*".contains(byte));
    let quote = opening(text, at, around)?;
    (is_prefix && !quote.is_backtick()).then(|| quote.close(text, at + quote.len()).1)
}

/// Whether a backslash ends a bare value: it escapes a quote, a line's end or what separates values.
fn is_escaped_end(text: &[u8], at: usize) -> bool {
    if Quote::at(text, at).is_some() {
        return true;
    }
    let run = text[at..].iter().take_while(|byte| **byte == b'\\').count();
    match text.get(at + run) {
        Some(b'n' | b'r' | b't' | b'0') => true,
        Some(b'u') => {
            text[at + run..].starts_with(b"u00") || text[at + run..].starts_with(b"u2028")
        }
        Some(b'x') => text[at + run..].starts_with(b"x1b"),
        _ => false,
    }
}

fn is_encoded_end(text: &[u8], at: usize) -> bool {
    let ends =
        [b"%26", b"%20", b"%22", b"%27", b"%2C", b"%2c", b"%3B", b"%3b", b"%7D", b"%7d", b"%0A"];
    ends.iter().any(|end| text[at..].starts_with(*end))
}

/// Whether what is at `at` can follow a value and its closing bracket or quote.
fn is_behind_value(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| {
        byte.is_ascii_whitespace() || b",;.:)]}>\"'`\\&|<=/?!\0\x1b".contains(byte)
    })
}

/// Whether a comma before `at` ends a value: white space, the end, a bracket, a quote or a key follows,
/// which may be of `two_words`.
fn is_another(text: &[u8], at: usize, two_words: bool) -> bool {
    let rest = &text[at.min(text.len())..];
    let Some(&first) = rest.first() else { return true };
    if first.is_ascii_whitespace() || b")]}>\"'`\\{[\0\x1b".contains(&first) {
        return true;
    }
    let key = rest.iter().take(AHEAD).take_while(|byte| is_key(**byte)).count();
    let key = if two_words && rest.get(key) == Some(&b' ') {
        // `Integrated Security=`
        key + 1 + rest[key + 1..].iter().take(AHEAD).take_while(|byte| is_key(**byte)).count()
    } else {
        key
    };
    key > 0 && matches!(rest.get(key), Some(b'=' | b':'))
}

fn is_key(byte: u8) -> bool {
    is_word(byte) || b"_-.[]%".contains(&byte)
}

/// What can be a type before a bracket, or nothing.
fn is_type_name(text: &[u8]) -> bool {
    text.len() <= AHEAD && text.iter().all(|byte| is_name(*byte) || b"&*[]".contains(byte))
}

fn is_name(byte: u8) -> bool {
    is_word(byte) || b"_:.<>".contains(&byte)
}

/// Where the bracket closes that opens at `at`: behind it.
pub fn bracket(text: &[u8], open: usize, around: Option<Quote>) -> usize {
    let mut depth = 0_usize;
    let mut at = open;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'\n' if !goes_on(text, at + 1) => return at,
            b'"' | b'\'' | b'`' | b'\\' => {
                if let Some(quote) = Quote::at(text, at) {
                    if around == Some(quote) {
                        return at;
                    }
                    if !is_word(text[at - 1]) {
                        at = quote.close(text, at + quote.len()).1;
                        continue;
                    }
                    at += quote.len();
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// Whether a line goes on what brackets are open for: it is indented, or closes one.
fn goes_on(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b' ' | b'\t' | b')' | b']' | b'}'))
}

/// Behind blanks and what colours a terminal.
pub fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            Some(b' ' | b'\t') => at += 1,
            Some(0x1b | b'\\') => match colour(text, at) {
                Some(end) => at = end,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// What begins a terminal's colour sequence: as it is, and as an escape in a string.
const COLOURS: [&[u8]; 4] = [b"\x1b[", b"\\u001b[", b"\\u001B[", b"\\x1b["];

/// Where a terminal's colour sequence ends that begins at `at`.
fn colour(text: &[u8], at: usize) -> Option<usize> {
    // Strings within strings have more backslashes.
    let more = text[at..].iter().take(64).take_while(|byte| **byte == b'\\').count();
    let at = at + more.saturating_sub(1);
    let rest = COLOURS.iter().find_map(|colour| text[at..].strip_prefix(*colour))?;
    let digits = rest.iter().take(16).take_while(|b| b.is_ascii_digit() || **b == b';').count();
    (rest.get(digits) == Some(&b'm')).then_some(text.len() - rest.len() + digits + 1)
}

/// Whether a terminal's colour sequence ends before `at`.
pub fn is_behind_colour(text: &[u8], at: usize) -> bool {
    let head = &text[at.saturating_sub(24)..at];
    head.ends_with(b"m")
        && memchr::memrchr(b'[', head).is_some_and(|open| {
            let starts = COLOURS.iter().filter(|colour| head[..=open].ends_with(colour));
            starts
                .map(|start| open + 1 - start.len())
                .any(|at| colour(head, at) == Some(head.len()))
        })
}
