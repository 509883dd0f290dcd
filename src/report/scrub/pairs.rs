//! A key that is itself in the place of a value: `("password", "x")`, `{"name": "password", "value":
//! "x"}`, `<input name="password" value="x">`, `- name: PASSWORD` above `value: x`.
//!
//! Two things in a bracket are a key and its value, but not two names. Beside `name` or `key` what is
//! called `value` is it, before or behind, and nothing of another pair in between. **Loss:** a list of two
//! words that begins with `password`.

use std::ops::Range;

use super::assign::{content, value_end};
use super::block::WHITE;
use super::key::Key;
use super::quote::Quote;
use super::value::{Around, skip_blanks};
use super::words::{Names, is_edge, is_word};

/// How far name and value may be from each other.
const NEAR: usize = 192;

/// Longest value in brackets that is read to its end.
const LONG: usize = 1024;

/// What a list of the names of fields has beside that of a secret.
const FIELDS: [&str; 14] = [
    "user", "username", "email", "login", "name", "id", "host", "port", "url", "pass", "body",
    "query", "path", "params",
];

/// Parts of names beside which a plain word is a value, too.
const STRONG: [&[u8]; 4] = [b"pass", b"secret", b"credential", b"pwd"];

/// What stands before a name in a pair.
const NAMES: [&str; 6] = ["name", "key", "id", "header", "variable", "field"];

/// The value of a key that is one of a pair.
pub fn pair(text: &[u8], key: &Key, names: &Names) -> Option<Range<usize>> {
    tuple(text, key, names).or_else(|| named(text, key))
}

/// The second of two things in brackets.
fn tuple(text: &[u8], key: &Key, names: &Names) -> Option<Range<usize>> {
    let quote = key.quote.filter(|_| key.quoted);
    let mut head = &text[..key.name.start - quote.map_or(0, Quote::len)];
    // Erlang's names need no quotes.
    let atom = quote.is_none() && head.ends_with(b"{");
    if quote.is_none() && !atom {
        return None;
    }
    if let [rest @ .., sign] = head
        && b"bBuUrR&:".contains(sign)
    {
        head = rest;
    }
    let white =
        |text: &[u8]| text.iter().take(WHITE).take_while(|b| b.is_ascii_whitespace()).count();
    let blanks = head.iter().rev().take(WHITE).take_while(|b| b.is_ascii_whitespace()).count();
    let open = *head[..head.len() - blanks].last().filter(|open| b"([{".contains(open))?;
    let comma = key.end + white(&text[key.end..]);
    let from = text[comma..].strip_prefix(b",").map(|rest| comma + 1 + white(rest))?;
    if atom && Quote::at(text, from).is_none() {
        return None;
    }
    // What is read and then not taken is short.
    let limit = if Quote::at(text, from).is_some() { text.len() } else { from + LONG };
    let text = &text[..text.len().min(limit)];
    let end = value_end(text, from, Around::default())?;
    let rest = &text[end..];
    let rest = rest.get(white(rest)..)?;
    let rest = rest.strip_prefix(b",").map_or(rest, |rest| &rest[white(rest)..]);
    if !matches!(rest, [] | [b')' | b']' | b'}', ..]) {
        return None;
    }
    let value = content(text, from, end, Around::default())?;
    let said = String::from_utf8_lossy(&text[value.start..value.end.min(value.start + 64)]);
    let is_name = FIELDS.iter().any(|field| said.eq_ignore_ascii_case(field)) || names.has(&said);
    // `["session", "event"]` is a list of words.
    let word = open == b'[' && said.len() <= 12 && said.bytes().all(|b| b.is_ascii_lowercase());
    let name = text[key.name.clone()].to_ascii_lowercase();
    let is_strong = || STRONG.iter().any(|strong| memchr::memmem::find(&name, strong).is_some());
    (!is_name && (!word || is_strong())).then_some(value)
}

/// What is called `value` beside a name.
fn named(text: &[u8], key: &Key) -> Option<Range<usize>> {
    let start = key.name.start - key.quote.map_or(0, Quote::len);
    let before = said(text, start)?;
    behind(text, key.end).or_else(|| ahead(text, before))
}

/// Where `name=` begins that ends before `at`.
fn said(text: &[u8], at: usize) -> Option<usize> {
    let blanks = |end: usize| {
        end - text[..end].iter().rev().take(8).take_while(|byte| b" \t".contains(byte)).count()
    };
    let end = blanks(at);
    let head = &text[..end];
    let sign = head.strip_suffix(b"=>").or(head.strip_suffix(b"=")).or(head.strip_suffix(b":"))?;
    let end = blanks(sign.len());
    let end = end - Quote::before(text, end).map_or(0, Quote::len);
    let len = text[..end].iter().rev().take(10).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = &text[end - len..end];
    let is_name = |name: &&str| {
        let at = word.len().checked_sub(name.len());
        at.is_some_and(|at| {
            word[at..].eq_ignore_ascii_case(name.as_bytes()) && is_edge(text, end - name.len())
        })
    };
    NAMES.iter().any(is_name).then_some(end - len)
}

/// What is called `value` behind a name.
fn behind(text: &[u8], from: usize) -> Option<Range<usize>> {
    let limit = text.len().min(from + NEAR);
    let mut at = from;
    while at < limit {
        match text[at] {
            b'{' | b'}' | b'<' | b'>' => return None,
            // Another item.
            b'\n' if text[at + 1..].trim_ascii_start().starts_with(b"-") => return None,
            b'n' | b'N' if is(text, at, b"name") => return None,
            b'v' | b'V' => {
                if let Some(from) = value(text, at) {
                    return whole(text, from);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// What is called `value` before `name`.
fn ahead(text: &[u8], name: usize) -> Option<Range<usize>> {
    let least = name.saturating_sub(NEAR);
    let mut at = name;
    while at > least {
        at -= 1;
        match text[at] {
            b'{' | b'}' | b'<' | b'>' => return None,
            b'n' | b'N' if is(text, at, b"name") => return None,
            b'v' | b'V' => {
                if let Some(from) = value(text, at) {
                    return whole(&text[..name], from);
                }
            }
            _ => {}
        }
    }
    None
}

fn is(text: &[u8], at: usize, word: &[u8]) -> bool {
    let end = at + word.len();
    text.get(at..end).is_some_and(|here| here.eq_ignore_ascii_case(word))
        && is_edge(text, at)
        && !text.get(end).is_some_and(|byte| is_word(*byte))
}

/// Where the value begins if `value` and its separator stand at `at`.
fn value(text: &[u8], at: usize) -> Option<usize> {
    if !is(text, at, b"value") {
        return None;
    }
    let end = at + b"value".len();
    let end = end + Quote::at(text, end).map_or(0, Quote::len);
    let sign = skip_blanks(text, end);
    let len = match &text[sign..] {
        [b'=', b'>', ..] => 2,
        [b'=' | b':', ..] => 1,
        _ => return None,
    };
    Some(skip_blanks(text, sign + len))
}

fn whole(text: &[u8], from: usize) -> Option<Range<usize>> {
    let end = value_end(text, from, Around::default())?;
    content(text, from, end, Around::default())
}
