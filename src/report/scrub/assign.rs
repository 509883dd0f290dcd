//! Keys in a text, and where their values are.
//!
//! A key is a word of [`Names`](super::words::Names) within a name, and then one of these, with or
//! without blanks and quotes: `=`, `:`, `=>`, `:=`, their percent-encoded forms, `("` after a type's
//! name, `>` within an XML tag, a blank where the name is an option (`--password x`), a blank and a
//! quote where SQL has one (`PASSWORD 'x'`). The key decides; what its value looks like does not
//! matter. Where `authorization` or `cookie` stands before a colon the value goes to the end of the
//! line.
//!
//! Left alone, so that messages stay readable: names that are paths or places (`auth::token`,
//! `session.rs:41`, `c.e.TokenService  : started`) or types of errors (`TokenExpiredError: late`);
//! what a parser says of `token`s it had not expected; a word of [`PROSE`] behind a colon and a
//! blank (`token: expected`); booleans and nulls; up to three signs without a letter or digit.

use std::ops::Range;

use super::MARKER;
use super::key::{Key, NAME, before, is_declared, is_no_key, key};
use super::quote::Quote;
use super::value::{self, Around, skip_blanks};
use super::words::is_word;

/// Words that say something about a key instead of being its value.
const PROSE: [&[u8]; 34] = [
    b"a",
    b"an",
    b"and",
    b"cannot",
    b"could",
    b"did",
    b"does",
    b"empty",
    b"error",
    b"expected",
    b"expired",
    b"failed",
    b"failure",
    b"for",
    b"from",
    b"has",
    b"identifier",
    b"incorrect",
    b"invalid",
    b"is",
    b"malformed",
    b"mismatch",
    b"missing",
    b"must",
    b"no",
    b"not",
    b"of",
    b"required",
    b"the",
    b"unexpected",
    b"unknown",
    b"unsupported",
    b"was",
    b"wrong",
];

/// Words that are said of an option, beside those.
const OPTION_PROSE: [&[u8]; 8] =
    [b"flag", b"option", b"argument", b"parameter", b"or", b"to", b"with", b"instead"];

/// Values that say that there is none.
const NOTHING: [&[u8]; 11] = [
    b"null",
    b"nil",
    b"none",
    b"None",
    b"true",
    b"false",
    b"True",
    b"False",
    b"undefined",
    b"<nil>",
    b"(null)",
];

/// The value of the key that has the listed name `found` in it.
pub fn value(text: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    let key = key(text, &found)?;
    let around = Around {
        quote: key.quote.filter(|_| !key.quoted),
        query: matches!(before(text, &key), Some(b'?' | b'&')),
        encoded: false,
    };
    let listed = &text[found.clone()];
    if let Some(value) = type_or_tag(text, &key, listed, around) {
        return value;
    }
    let Some(separator) = Separator::at(text, &key) else {
        return option(text, &key, around).or_else(|| sql(text, &key, listed, around));
    };
    if separator.is_colon() && is_no_key(text, &key, listed, separator.start) {
        return None;
    }
    let from = skip_blanks(text, separator.end);
    let around = Around { encoded: separator.encoded, ..around };
    let is = |name: &[u8]| listed.eq_ignore_ascii_case(name);
    if separator.is_colon() && !key.quoted && (is(b"authorization") || is(b"cookie")) {
        return header(text, from, around);
    }
    let blank = from > separator.end;
    if !separator.is_colon() && blank && key.end == separator.start && is_pair(text, from) {
        return None;
    }
    if let Some(block) = block(text, from) {
        return Some(block);
    }
    let mut end = value_end(text, from, around)?;
    if is(b"cookie") || is(b"authorization") {
        end = more(text, from, end, around);
    } else if separator.is_colon() && !blank && !key.quoted {
        end = go_field(text, &key, end);
    } else if separator.is_colon() && blank && !key.quoted && is_prose(&text[from..end]) {
        return None;
    }
    content(text, from, end, around)
}

/// What stands between key and value.
struct Separator {
    start: usize,
    end: usize,
    first: u8,
    encoded: bool,
}

impl Separator {
    fn at(text: &[u8], key: &Key) -> Option<Separator> {
        let start = skip_blanks(text, key.end);
        let rest = &text[start..];
        let written =
            |len: usize| Separator { start, end: start + len, first: rest[0], encoded: false };
        Some(match rest {
            [b':', b':', ..] => return None,
            [b':', b'=', ..] | [b'=', b'>' | b'=', ..] => written(2),
            [b'=' | b':', ..] => written(1),
            [b'%', b'3', b'D' | b'd', ..] => Separator { encoded: true, first: b'=', ..written(3) },
            [b'%', b'3', b'A' | b'a', ..] => Separator { encoded: true, first: b':', ..written(3) },
            [b'\\', b'u', b'0', b'0', b'3', b'd' | b'D', ..] => {
                Separator { first: b'=', ..written(6) }
            }
            _ => return None,
        })
    }

    fn is_colon(&self) -> bool {
        self.first == b':'
    }
}

/// The value of `Password("x")`, of `<password>x</password>`, and of `Credentials { .. }`.
#[allow(clippy::option_option, reason = "whether it is one, and then whether it has a value")]
fn type_or_tag(
    text: &[u8],
    key: &Key,
    listed: &[u8],
    around: Around,
) -> Option<Option<Range<usize>>> {
    let rest = &text[key.end..];
    let is_type = text[key.name.start].is_ascii_uppercase() && !key.quoted;
    if is_type && rest.starts_with(b"(") {
        let inner = rest[1..].strip_prefix(b"Some(").map_or(key.end + 1, |_| key.end + 6);
        Quote::at(text, inner)?;
        let end = value::bracket(text, key.end, around.quote);
        return Some(Some(key.end + 1..end - usize::from(text[..end].ends_with(b")"))));
    }
    let strong = [&b"password"[..], b"passwd", b"secret", b"credentials"];
    let whole = text[key.name.clone()].ends_with(listed) && !is_declared(&text[..key.name.start]);
    if is_type
        && whole
        && (rest.starts_with(b" { ") || rest.starts_with(b" {\n"))
        && strong.iter().any(|s| listed.eq_ignore_ascii_case(s))
    {
        let end = value::bracket(text, key.end + 1, around.quote);
        let (from, end) = (key.end + 3, end - usize::from(text[..end].ends_with(b"}")));
        return Some(Some(from..end.max(from))).filter(|_| !text[from..].starts_with(MARKER));
    }
    let opened = &text[key.name.start.saturating_sub(24)..key.name.start];
    let tag = opened.iter().rev().take_while(|byte| is_word(**byte) || **byte == b':').count();
    if opened.len() > tag && opened[opened.len() - tag - 1] == b'<' {
        let close = memchr::memchr2(b'>', b'\n', &rest[..rest.len().min(128)])?;
        if rest[close] == b'\n' || rest[..close].ends_with(b"/") {
            return None;
        }
        let from = key.end + close + 1;
        let end = from + memchr::memchr(b'<', &text[from..])?;
        let value = &text[from..end];
        let closed = text[end..].starts_with(b"</");
        let is_value = closed && !value.trim_ascii().is_empty() && value != MARKER;
        return is_value.then_some(Some(from..end));
    }
    None
}

/// The value of an option: `--password x`, `["--password", "x"]`.
fn option(text: &[u8], key: &Key, around: Around) -> Option<Range<usize>> {
    let dashes = text[..key.name.start].iter().rev().take(3).take_while(|b| **b == b'-').count();
    if !(1..=2).contains(&dashes) {
        return None;
    }
    let start = key.name.start - dashes;
    let before = start.checked_sub(1).map(|at| text[at]);
    if before.is_some_and(|byte| is_word(byte) || b"-_./".contains(&byte)) {
        return None;
    }
    let outer = Quote::before(text, start);
    if let Some(quote) = outer
        && Quote::at(text, key.end) == Some(quote)
    {
        // Another element of a list of arguments.
        let rest = key.end + quote.len();
        let rest = rest + usize::from(text.get(rest) == Some(&b','));
        let from = skip_blanks(text, rest);
        return match Quote::at(text, from) {
            Some(next) if next == quote && from > key.end + quote.len() => {
                content(text, from, next.close(text, from + next.len()).1, Around::default())
            }
            _ => None,
        };
    }
    let blank = |at: usize| matches!(text.get(at), Some(b' ' | b'\t' | 0));
    if !blank(key.end) {
        return None;
    }
    let from = skip_blanks(text, key.end + 1);
    if text.get(from) == Some(&b'-') {
        return None;
    }
    let around = Around { quote: around.quote.or(outer), ..around };
    let end = value_end(text, from, around)?;
    let prose = is_prose(&text[from..end]) || OPTION_PROSE.contains(&&text[from..end]);
    if prose { None } else { content(text, from, end, around) }
}

/// The value of SQL's `PASSWORD 'x'`.
fn sql(text: &[u8], key: &Key, listed: &[u8], around: Around) -> Option<Range<usize>> {
    let from = skip_blanks(text, key.end);
    let quote = Quote::at(text, from).filter(|quote| !quote.is_backtick())?;
    let is_sql = from > key.end && !key.quoted && listed.eq_ignore_ascii_case(b"password");
    // In `the password "` the quote may be the one that closes a string.
    let opens = text.get(from + quote.len()).is_some_and(|byte| !byte.is_ascii_whitespace());
    let is_value = is_sql && opens && around.quote != Some(quote);
    is_value
        .then(|| quote.close(text, from + quote.len()).1)
        .and_then(|end| content(text, from, end, around))
}

/// The value of a header: to the end of the line, or of what is around it.
fn header(text: &[u8], from: usize, around: Around) -> Option<Range<usize>> {
    if Quote::at(text, from).is_some() && Quote::at(text, from) != around.quote
        || matches!(text.get(from), Some(b'[' | b'{')) && !text[from..].starts_with(MARKER)
    {
        return content(text, from, value::end(text, from, around), around);
    }
    if let Some(rest) = text[from..].strip_prefix(MARKER)
        && rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'`\\]})".contains(byte))
    {
        return None;
    }
    let word = value::end(text, from, around);
    if is_prose(&text[from..word]) || NOTHING.contains(&&text[from..word]) {
        return None;
    }
    let line = memchr::memchr2(b'\n', 0x1b, &text[from..]).map_or(text.len(), |len| from + len);
    let mut end = from;
    while end < line {
        let byte = text[end];
        let ends = match byte {
            b'\\' => text[end + 1..line].starts_with(b"n") || text[end + 1..line].starts_with(b"r"),
            b']' | b'}' => !text[..end].ends_with(b"[Filtered"),
            _ => false,
        };
        let closes = around.quote.is_some_and(|quote| Quote::at(text, end) == Some(quote));
        if ends || closes || matches!(byte, b'\r' | 0) {
            break;
        }
        end += 1;
    }
    // A bracket's lines may go on.
    content(text, from, end.max(word), around)
}

/// Where a scheme's token, or the other cookies, end behind a first word.
fn more(text: &[u8], from: usize, mut end: usize, around: Around) -> usize {
    let schemes = [&b"bearer"[..], b"basic", b"token", b"digest", b"negotiate", b"apikey"];
    if schemes.iter().any(|scheme| text[from..end].eq_ignore_ascii_case(scheme)) {
        let next = skip_blanks(text, end);
        return value::end(text, next, around);
    }
    while text[end..].starts_with(b"; ") {
        let next = value::end(text, end + 2, around);
        if !text[end + 2..next].contains(&b'=') {
            break;
        }
        end = next;
    }
    end
}

/// Whether a value is only one where nothing of a key's stands: `a= b=c`.
fn is_pair(text: &[u8], from: usize) -> bool {
    let word =
        text[from..].iter().take(NAME).take_while(|b| is_word(**b) || b"_-.".contains(b)).count();
    word > 0 && text.get(from + word) == Some(&b'=') && text.get(from + word + 1) != Some(&b'=')
}

/// Where a value ends; `None` if there is none, or it says so.
fn value_end(text: &[u8], from: usize, around: Around) -> Option<usize> {
    let end = value::end(text, from, around);
    let value = &text[from..end];
    let tiny = value.len() <= 3 && !value.iter().any(|byte| is_word(*byte));
    (!tiny && !NOTHING.contains(&value)).then_some(end)
}

/// Whether a value is a word of [`PROSE`], or ends a sentence with one.
fn is_prose(value: &[u8]) -> bool {
    let word = value.strip_suffix(b".").or(value.strip_suffix(b",")).unwrap_or(value);
    PROSE.contains(&word)
}

/// Where the field of a Go struct or map ends, whose value may have blanks in it: `{Password:a b User:c}`.
fn go_field(text: &[u8], key: &Key, end: usize) -> usize {
    let head = &text[key.name.start.saturating_sub(96)..key.name.start];
    let open = memchr::memrchr2(b'{', b'[', head);
    if text.get(end) != Some(&b' ') || open.is_none() || open < memchr::memrchr2(b'}', b']', head) {
        return end;
    }
    let mut at = end;
    let limit = text.len().min(end + 512);
    while at < limit {
        match text[at] {
            b'}' | b']' => return at,
            b'\n' | b'"' | b'\'' | b'=' | b'{' | b'[' | b',' => return end,
            b' ' => {
                let rest = &text[at + 1..];
                let name =
                    rest.iter().take(NAME).take_while(|b| is_word(**b) || **b == b'_').count();
                let is_field =
                    name > 0 && rest.get(name) == Some(&b':') && !rest[0].is_ascii_digit();
                if is_field && rest.get(name + 1) != Some(&b' ') {
                    return at;
                }
                at += 1 + name;
            }
            _ => at += 1,
        }
    }
    end
}

/// The lines of a YAML block, which are indented below `password: |`.
fn block(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = text[from..].strip_prefix(b"|").or(text[from..].strip_prefix(b">"))?;
    let rest = rest.strip_prefix(b"-").or(rest.strip_prefix(b"+")).unwrap_or(rest);
    let end = text.len() - rest.strip_prefix(b"\n")?.len() - 1;
    let indented = |line: &&[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    let lines = text[end + 1..].split_inclusive(|byte| *byte == b'\n').take_while(indented);
    let len: usize = lines.map(<[u8]>::len).sum();
    (len > 0).then(|| from..(end + 1 + len).saturating_sub(1))
}

/// The value without its quotes; `None` if it is empty or was replaced before.
pub fn content(
    text: &[u8],
    mut from: usize,
    mut end: usize,
    around: Around,
) -> Option<Range<usize>> {
    if let Some(quote) = Quote::at(text, from).filter(|quote| around.quote != Some(*quote)) {
        from += quote.len();
        end = quote.close(text, from).0;
    }
    let value = text.get(from..end)?;
    (!value.is_empty() && value != MARKER).then_some(from..end)
}
