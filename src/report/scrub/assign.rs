//! Keys in a text, and where their values are.
//!
//! A key is a word of [`Names`] within a name, and then one of these, with or without blanks and
//! quotes: `=`, `:`, `=>`, ` -> `, `:=`, their percent-encoded forms, a blank where the name is an option
//! (`--password x`), a blank and a quote where SQL has one (`PASSWORD 'x'`); or one of the forms of
//! `typed.rs`, `pairs.rs` and `block.rs`. The key decides; what its value looks like does not matter.
//! Where `authorization` or `cookie` stands before a colon the value goes to the end of the line.
//!
//! Left alone, so that messages stay readable: names that are paths or places (`auth::token`,
//! `session.rs:41`, `c.e.TokenService  : started`), types of errors (`TokenExpiredError: late`) or
//! measures (`token_count: 3`); what a parser says of `token`s it had not expected, and those it made;
//! what `prose.rs` knows to be no value (`token: expected`, `nil`); the parameters of a function; up
//! to three signs without a letter or digit.

use std::ops::Range;

use super::MARKER;
use super::key::{Key, NAME, before, is_no_key, key};
use super::quote::Quote;
use super::value::{self, Around, skip_blanks};
use super::words::{Names, is_word};
use super::{block, pairs, prose, typed};

/// The value of the key that has the listed name `found` in it.
pub fn value(text: &[u8], found: &Range<usize>, names: &Names) -> Option<Range<usize>> {
    let key = key(text, found)?;
    if prose::is_measure(&text[found.end..key.name.end.max(found.end)]) {
        return None;
    }
    let around = Around {
        quote: key.quote.filter(|_| !key.quoted),
        query: matches!(before(text, &key), Some(b'?' | b'&')),
        encoded: false,
    };
    if let Some(value) = typed::value(text, &key, found, around) {
        return value;
    }
    let listed = &text[found.clone()];
    let value = match Separator::at(text, &key) {
        Some(separator) => separated(text, &key, listed, &separator, around)?,
        None => option(text, &key, around)
            .or_else(|| sql(text, &key, listed, around))
            .or_else(|| pairs::pair(text, &key, names))?,
    };
    (!prose::is_setting(&text[key.name], &text[value.clone()])).then_some(value)
}

/// The value behind a separator.
fn separated(
    text: &[u8],
    key: &Key,
    listed: &[u8],
    separator: &Separator,
    around: Around,
) -> Option<Range<usize>> {
    let colon = separator.is_colon();
    if colon && is_no_key(text, key, listed, separator.start) {
        return None;
    }
    let mut from = skip_blanks(text, separator.end);
    let around = Around { encoded: separator.encoded, ..around };
    let is = |name: &[u8]| listed.eq_ignore_ascii_case(name);
    if let Some(below) = block::below(text, key, listed, from) {
        return Some(below);
    }
    if let Some(next) = block::next_line(text, from).filter(|_| key.quoted || !colon) {
        from = next;
    }
    if colon && !key.quoted && (is(b"authorization") || is(b"cookie")) {
        return header(text, from, around);
    }
    let blank = from > separator.end;
    if !colon && blank && key.end == separator.start && is_pair(text, from) {
        return None;
    }
    if let Some(value) = block::triple(text, from) {
        return Some(value).filter(|value| !value.is_empty());
    }
    let mut end = value_end(text, from, around)?;
    if is(b"cookie") || is(b"authorization") {
        end = more(text, from, end, around);
    } else if (colon || separator.first == b'-') && !key.quoted {
        if !blank {
            end = go_field(text, key, end);
        } else if prose::is_prose(&text[from..end]) || prose::is_counted(text, from, end) {
            return None;
        }
        if is_declared_here(text, key, listed, from, end) {
            return None;
        }
    }
    content(text, from, end, around)
}

/// Whether a value is the type of a parameter, or a token that a parser made.
fn is_declared_here(text: &[u8], key: &Key, listed: &[u8], from: usize, end: usize) -> bool {
    let value = &text[from..end];
    if value.len() > prose::LONG {
        return false;
    }
    let plain = |byte: &u8| is_word(*byte) || b"_&<>[]:*?.' ".contains(byte);
    let follows = text[end..].trim_ascii_start();
    let is_type = value.iter().all(plain)
        && value.iter().any(u8::is_ascii_alphabetic)
        && matches!(follows, [] | [b',' | b')' | b'>', ..]);
    let parsed = [&b"kind: "[..], b"span: ", b"pos: ", b"line: "];
    let is_parsed = listed.eq_ignore_ascii_case(b"token")
        && value.ends_with(b"}")
        && !value.iter().any(|byte| b"\"'`".contains(byte))
        && parsed.iter().any(|word| memchr::memmem::find(value, word).is_some());
    is_parsed || is_type && prose::is_signature(text, key.name.start)
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
            [b'\\', b'x', b'3', b'd' | b'D' | b'a' | b'A', ..] => {
                Separator { first: b'=', ..written(4) }
            }
            // `Map(password -> x)`
            [b'-', b'>', b' ', ..] if start > key.end => written(2),
            _ => return None,
        })
    }

    fn is_colon(&self) -> bool {
        self.first == b':'
    }
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
    if prose::is_option_prose(&text[from..end]) { None } else { content(text, from, end, around) }
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
    if prose::is_prose(&text[from..word]) || prose::is_nothing(&text[from..word]) {
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
    if let Some(end) = scheme(text, from, end, around) {
        return end;
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

/// Where the token of a scheme that is not known ends: `Custom x`.
fn scheme(text: &[u8], from: usize, end: usize, around: Around) -> Option<usize> {
    let name = &text[from..end];
    let letters = name.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-');
    let next = skip_blanks(text, end);
    let next = (next > end && !is_pair(text, next)).then(|| value::end(text, next, around))?;
    let is_scheme = letters && name.len() <= 32 && !prose::is_prose(name);
    (is_scheme && next > end + 1).then_some(next)
}

/// Whether a value is only one where nothing of a key's stands: `a= b=c`.
fn is_pair(text: &[u8], from: usize) -> bool {
    let word =
        text[from..].iter().take(NAME).take_while(|b| is_word(**b) || b"_-.".contains(b)).count();
    word > 0 && text.get(from + word) == Some(&b'=') && text.get(from + word + 1) != Some(&b'=')
}

/// Where a value ends; `None` if there is none, or it says so.
pub fn value_end(text: &[u8], from: usize, around: Around) -> Option<usize> {
    let end = value::end(text, from, around);
    let value = &text[from..end];
    let tiny = value.len() <= 3 && !value.iter().any(|byte| is_word(*byte));
    (!tiny && !prose::is_nothing(value)).then_some(end)
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
