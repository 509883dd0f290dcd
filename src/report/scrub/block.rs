//! Values that stand below their key, or go over lines.
//!
//! * The lines that are indented deeper than a key that ends its line: YAML's `password: |`, and
//!   `credentials:` with fields below it. Without `|` the key has to begin its line; in the middle of
//!   one, only a strong name with a field below it counts, for a stack may follow a message.
//! * `"""x"""` and `'''x'''`, to the quotes that close it, or else to the end of the line.
//! * A value in quotes on the line below `"password":`.

use std::ops::Range;

use super::MARKER;
use super::key::Key;
use super::prose;
use super::quote::Quote;
use super::words::is_word;

/// Most bytes of what is between two signs, or of an indentation, that are looked at.
pub const WHITE: usize = 96;

/// Names whose value is never a line of a stack.
const STRONG: [&str; 7] =
    ["password", "passwd", "secret", "secrets", "credentials", "credential", "passphrase"];

/// Whether a listed name is one that says `password`, in one word or another.
pub fn is_strong(listed: &[u8]) -> bool {
    STRONG.iter().any(|strong| listed.eq_ignore_ascii_case(strong.as_bytes()))
}

/// The lines below a key whose separator ends before `from`.
pub fn below(text: &[u8], key: &Key, listed: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let marked = rest.strip_prefix(b"|").or(rest.strip_prefix(b">"));
    let marks =
        |rest: &[u8]| rest.iter().take(2).take_while(|b| b"+-123456789".contains(b)).count();
    let rest = marked.map_or(rest, |rest| &rest[marks(rest)..]);
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?;
    let start = text.len() - rest.len();
    let indent = indent(text, key);
    let first = indented(rest);
    let is_block = match (marked, indent) {
        (Some(_), indent) => first > indent.unwrap_or(0),
        (None, Some(indent)) => {
            let item = first >= indent && rest[first..].starts_with(b"- ");
            (first > indent || item) && !is_stack(&rest[first..])
        }
        (None, None) => first > 0 && is_strong(listed) && is_field(&rest[first..]),
    };
    if !is_block {
        return None;
    }
    let end = start + lines(rest, indent.unwrap_or(0));
    let from = if marked.is_some() { from } else { start + first };
    let end = end - usize::from(text[..end].ends_with(b"\r"));
    let value = text.get(from..end)?.trim_ascii();
    (!value.is_empty() && value != MARKER && !prose::is_nothing(value)).then_some(from..end)
}

/// Bytes of the lines that are indented deeper, or are items, without the last one's end.
fn lines(text: &[u8], indent: usize) -> usize {
    let mut end = 0;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let blanks = indented(line);
        let empty = line[blanks..].trim_ascii().is_empty();
        let item = blanks >= indent && line[blanks..].starts_with(b"- ");
        if !empty && blanks <= indent && !item {
            break;
        }
        at += line.len();
        if !empty {
            end = at - usize::from(line.ends_with(b"\n"));
        }
    }
    end
}

fn indented(line: &[u8]) -> usize {
    line.iter().take_while(|byte| b" \t".contains(byte)).count()
}

/// How deep a key is indented that begins its line.
fn indent(text: &[u8], key: &Key) -> Option<usize> {
    let start = key.name.start - key.quote.filter(|_| key.quoted).map_or(0, Quote::len);
    let head = &text[..start];
    let blanks = head.iter().rev().take(WHITE).take_while(|byte| b" \t".contains(byte)).count();
    let head = &head[..start - blanks];
    match head {
        [] | [.., b'\n'] => Some(blanks),
        // `- password:`
        [head @ .., b'-'] if blanks > 0 => {
            let more = head.iter().rev().take(WHITE).take_while(|b| b" \t".contains(b)).count();
            let begins = matches!(&head[..head.len() - more], [] | [.., b'\n']);
            begins.then_some(more)
        }
        _ => None,
    }
}

/// Whether a line is one of a stack.
fn is_stack(line: &[u8]) -> bool {
    let number = line.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    [&b"at "[..], b"/", b"File ", b"#", b"in ", b"goroutine "].iter().any(|w| line.starts_with(w))
        || number > 0 && line[number..].starts_with(b": ")
}

/// Whether a line is `name: value`.
fn is_field(line: &[u8]) -> bool {
    let name = |byte: &&u8| is_word(**byte) || b"_-.\"'".contains(byte);
    let len = line.iter().take(WHITE).take_while(name).count();
    len > 0
        && line[0] != b'-'
        && matches!(line[len..], [b':' | b'=', b' ' | b'\n' | b'\r', ..] | [b' ', b'=', b' ', ..])
        && !is_stack(line)
}

/// What is between three quotes and three more.
pub fn triple(text: &[u8], from: usize) -> Option<Range<usize>> {
    let quote = Quote::at(text, from)?;
    let three = text[from..from + quote.len()].repeat(3);
    let start = from + three.len();
    if !text[from..].starts_with(&three) {
        return None;
    }
    let rest = &text[start..];
    // Every kind of quote may once look in vain to the end of the text, so there must be few kinds.
    let far = || quote.is_of_a_level().then(|| memchr::memmem::find(rest, &three)).flatten();
    let len = within_line(rest, &three).or_else(far).unwrap_or_else(|| line_len(rest));
    let value = text[start..start + len].trim_ascii();
    Some(start..if value == MARKER { start } else { start + len })
}

/// Where `what` is in the first line of a text. No more than four times as much is looked at as there is
/// before it, whatever the line's length.
fn within_line(text: &[u8], what: &[u8]) -> Option<usize> {
    let mut reach = WHITE;
    loop {
        let part = &text[..reach.min(text.len())];
        let line = &part[..line_len(part)];
        let found = memchr::memmem::find(line, what);
        if found.is_some() || line.len() < reach {
            return found;
        }
        reach *= 4;
    }
}

fn line_len(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).unwrap_or(text.len())
}

/// Where a value in quotes or brackets begins on the line below, behind a key in quotes or an equals
/// sign.
pub fn next_line(text: &[u8], from: usize) -> Option<usize> {
    let limit = text.len().min(from + WHITE);
    let (mut at, mut below) = (from, false);
    while at < limit {
        let escapes = text[at..limit].iter().take_while(|byte| **byte == b'\\').count();
        match text.get(at + escapes) {
            Some(b'n') if escapes > 0 => below = true,
            Some(b'r' | b't') if escapes > 0 => {}
            Some(b'\n') if escapes == 0 => below = true,
            Some(byte) if escapes == 0 && byte.is_ascii_whitespace() => {}
            _ => break,
        }
        at += escapes + 1;
    }
    let opens = Quote::at(text, at).is_some() || matches!(text.get(at), Some(b'{' | b'['));
    (below && opens && !text[at..].starts_with(MARKER)).then_some(at)
}
