//! Values whose key is the name of a type, a function or a tag: `Password("x")`, `Secret([1, 2])`,
//! `Credentials { .. }`, `set_password("x")`, `<password>x</password>`.
//!
//! Of a type that is not for secrets only, such as `Cookie { name: "a", value: "b" }`, the strings of
//! its fields are taken, but those that name it. Left alone: types and functions where they are
//! declared, calls in the stacks of Go, variants (`Token(Ident)`).

use std::ops::Range;

use super::MARKER;
use super::assign::{content, value_end};
use super::block::is_strong;
use super::key::{Key, is_declared, key};
use super::quote::Quote;
use super::value::{self, Around};
use super::words::{is_edge, is_word};

/// Most bytes of a struct whose fields are looked at.
const BODY: usize = 512;

/// First words of the names of errors, whose fields tell what is wrong.
const ERRORS: [&[u8]; 10] = [
    b"Invalid",
    b"Expired",
    b"Missing",
    b"Unexpected",
    b"Unknown",
    b"Bad",
    b"Wrong",
    b"No",
    b"Unsupported",
    b"Malformed",
];

/// Fields of a struct that name it.
const NAMING: [&[u8]; 6] = [b"name", b"kind", b"type", b"path", b"domain", b"expires"];

/// The value of a type, a call or a tag.
#[allow(clippy::option_option, reason = "whether it is one, and then whether it has a value")]
pub fn value(
    text: &[u8],
    key: &Key,
    listed: &Range<usize>,
    around: Around,
) -> Option<Option<Range<usize>>> {
    let rest = &text[key.end..];
    let is_type = text[key.name.start].is_ascii_uppercase() && !key.quoted;
    if rest.starts_with(b"(")
        && !key.quoted
        && let Some(value) = argument(text, key, listed, is_type, around)
    {
        return Some(Some(value));
    }
    let whole = key.name.end == listed.end && !is_declared(&text[..key.name.start]);
    let opens = rest.starts_with(b" { ") || rest.starts_with(b" {\n");
    if is_type && whole && opens && is_strong(&text[listed.clone()]) {
        let end = value::bracket(text, key.end + 1, around.quote);
        let (from, end) = (key.end + 3, end - usize::from(text[..end].ends_with(b"}")));
        return Some(Some(from..end.max(from))).filter(|_| !text[from..].starts_with(MARKER));
    }
    tag(text, key)
}

/// What is in the brackets behind a name.
fn argument(
    text: &[u8],
    key: &Key,
    listed: &Range<usize>,
    is_type: bool,
    around: Around,
) -> Option<Range<usize>> {
    let head = &text[..key.name.start];
    let declared = [&b"fn "[..], b"def ", b"func ", b"function ", b"class ", b"struct ", b"enum "];
    if declared.iter().any(|word| head.ends_with(word)) {
        return None;
    }
    let open = key.end + 1;
    let inner = if is_type { inner(text, open) } else { open };
    let last = key.name.end == listed.end;
    let quoted = Quote::at(text, inner).is_some_and(|quote| around.quote != Some(quote));
    let bytes = matches!(text[inner..], [b'[', digit, ..] if digit.is_ascii_digit())
        || text[inner..].starts_with(b"b\"");
    let word = || word(text, inner, is_strong(&text[listed.clone()]) && is_type);
    // `session::token(a1)` may be a frame of a stack.
    let last = last && (quoted || !head.ends_with(b"::"));
    let is_value =
        if is_type { quoted || last && (bytes || word()) } else { last && (quoted || word()) };
    if !is_value || text[open..].starts_with(MARKER) {
        return None;
    }
    let end = value::bracket(text, key.end, around.quote);
    let value = open..end - usize::from(text[..end].ends_with(b")"));
    // `,` of a parser.
    let says = text[value.clone()].len() > 4 || text[value.clone()].iter().any(|b| is_word(*b));
    (says && !value.is_empty()).then_some(value)
}

/// Where the value begins within other types: `Some("x")`, `Inner(Bytes([1]))`.
fn inner(text: &[u8], mut at: usize) -> usize {
    for _ in 0..3 {
        let name = text[at..].iter().take(32).take_while(|byte| is_word(**byte)).count();
        if !text.get(at).is_some_and(u8::is_ascii_uppercase) || text.get(at + name) != Some(&b'(') {
            break;
        }
        at += name + 1;
    }
    at
}

/// Whether one word that is no number, address or type is the only argument; where it is `strong`
/// it needs no digit, but is no variant.
fn word(text: &[u8], from: usize, strong: bool) -> bool {
    let part = |byte: &&u8| byte.is_ascii_graphic() && !b"()[]{}<>,:;&\"'`\\|".contains(byte);
    let len = text[from..].iter().take(256).take_while(part).count();
    let word = &text[from..from + len];
    let letter = word.iter().any(u8::is_ascii_alphabetic);
    let digit = word.iter().any(u8::is_ascii_digit);
    let letters = word.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let is_type =
        word.ends_with(b"_t") || letters == 1 && b"iuf".contains(&word[0]) && digit && len <= 4;
    let is_int =
        word.starts_with(b"int") || word.starts_with(b"uint") || word.starts_with(b"float");
    let hex = word.starts_with(b"0x");
    text.get(from + len) == Some(&b')')
        && letter
        && !(is_type || is_int || hex)
        && (digit || strong && !word[0].is_ascii_uppercase())
}

/// What is between `<password>` and `</password>`.
#[allow(clippy::option_option, reason = "whether it is one, and then whether it has a value")]
fn tag(text: &[u8], key: &Key) -> Option<Option<Range<usize>>> {
    let rest = &text[key.end..];
    let opened = &text[key.name.start.saturating_sub(24)..key.name.start];
    let tag = opened.iter().rev().take_while(|byte| is_word(**byte) || **byte == b':').count();
    if opened.len() <= tag || opened[opened.len() - tag - 1] != b'<' {
        return None;
    }
    let close = memchr::memchr2(b'>', b'\n', &rest[..rest.len().min(128)])?;
    if rest[close] == b'\n' || rest[..close].ends_with(b"/") {
        return None;
    }
    let from = key.end + close + 1;
    let end = from + memchr::memchr(b'<', &text[from..])?;
    let value = &text[from..end];
    let closed = text[end..].starts_with(b"</");
    let is_value = closed && !value.trim_ascii().is_empty() && value != MARKER;
    is_value.then_some(Some(from..end))
}

/// Finds the strings in the fields of a struct whose type is named like a secret, `Token { value: "x" }`.
pub fn fields(text: &[u8], listed: &Range<usize>, found: &mut Vec<Range<usize>>) {
    let here = &text[listed.end..text.len().min(listed.end + NAME)];
    let Some(open) = memchr::memchr(b'{', here) else { return };
    let Some(key) = key(text, listed) else { return };
    let is_type = key.name.end == listed.end && !key.quoted;
    let at = listed.end + open;
    // `main.Token{..}`
    let name = &text[key.name.clone()];
    let name = memchr::memrchr(b'.', name).map_or(name, |dot| &name[dot + 1..]);
    if !is_type
        || !name.first().is_some_and(u8::is_ascii_uppercase)
        || !(key.end == at || key.end + 1 == at && text[key.end] == b' ')
        || is_declared(&text[..key.name.start])
        || ERRORS.iter().any(|word| name.starts_with(word))
    {
        return;
    }
    let end = text.len().min(at + BODY);
    let body = &text[..value::bracket(&text[..end], at, None)];
    let mut at = at + 1;
    while let Some(next) = body[at..].iter().position(|byte| b"\"\\'".contains(byte)) {
        let from = at + next;
        let Some(quote) = Quote::at(body, from) else {
            at = from + 1;
            continue;
        };
        let (close, behind) = quote.close(text, from + quote.len());
        let value = from + quote.len()..close;
        if is_field(&text[..from]) && !value.is_empty() && text[value.clone()] != *MARKER {
            found.push(value);
        }
        if behind >= body.len() {
            return;
        }
        at = behind;
    }
}

/// Bytes behind a type's name in which its bracket opens.
const NAME: usize = 4;

/// Whether a field that does not name the whole has its value behind `head`.
fn is_field(head: &[u8]) -> bool {
    let head = head.trim_ascii_end();
    let head = head.strip_suffix(b"Some(").map_or(head, <[u8]>::trim_ascii_end);
    let Some(head) = head.strip_suffix(b":") else { return false };
    let len = head.iter().rev().take(32).take_while(|b| is_word(**b) || **b == b'_').count();
    let name = head[head.len() - len..].to_ascii_lowercase();
    len > 0 && !NAMING.contains(&name.as_slice())
}

/// The value of `pass` in braces in which a user stands, too: `{User:bob Pass:x}`.
pub fn pass(text: &[u8], hit: &Range<usize>) -> Option<Range<usize>> {
    if !is_edge(text, hit.start) || !is_edge(text, hit.end) {
        return None;
    }
    let quote = Quote::before(text, hit.start);
    let quoted = quote.is_some() && Quote::at(text, hit.end) == quote;
    let end = hit.end + quote.filter(|_| quoted).map_or(0, Quote::len);
    let sign = value::skip_blanks(text, end);
    if !matches!(text.get(sign), Some(b':' | b'=')) || text.get(sign + 1) == text.get(sign) {
        return None;
    }
    let head = &text[hit.start.saturating_sub(BODY / 2)..hit.start];
    let open = memchr::memrchr2(b'{', b'(', head)?;
    let inner = &head[open..];
    let is_user = |name: &&[u8]| {
        memchr::memmem::find_iter(inner, name).any(|at| {
            !is_word(inner[at - 1])
                && !inner.get(at + name.len()).is_some_and(|b| b"(.".contains(b))
        })
    };
    let users = [&b"user"[..], b"User", b"login", b"Login", b"username", b"Username"];
    if inner.iter().any(|byte| b"})".contains(byte)) || !users.iter().any(is_user) {
        return None;
    }
    let from = value::skip_blanks(text, sign + 1);
    let around = Around { quote: quote.filter(|_| !quoted), ..Around::default() };
    let end = value_end(text, from, around)?;
    content(text, from, end, around)
}
