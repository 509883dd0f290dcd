//! IP addresses.
//!
//! **IPv4**: four numbers of 0 to 255, no digit, letter or dot beside them; a port or prefix behind
//! stays. Taken for a version, and left: what has a letter, `^`, `~`, `>=` or `==` before it, a name
//! and `-` (`lib-1.2.3.4`), a capitalised product and `/` (`Chrome/120.0.0.0`), or the word `version`
//! or its like; and what goes on with `-rc1`, `+build`, `~` or an underscore.
//!
//! **IPv6**: what the standard library parses, with its zone. `::` alone has no secret. Hexadecimal
//! words with `::` between them may be paths of a program (`dead::beef`): these need a group that
//! begins with a digit, or a first group of an assigned range. Eight pairs of digits are a hardware
//! address and stay, as all shorter and longer ones do.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::MARKER;
use super::key::is_escape;
use super::value::is_behind_colour;
use super::words::is_word;

/// Longest IPv6 address, one with an IPv4 address in it.
const LONGEST: usize = 45;

/// Words before a version.
const VERSIONS: [&[u8]; 8] =
    [b"version", b"ver", b"release", b"released", b"build", b"revision", b"section", b"chapter"];

/// Finds every address.
pub fn find(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(dot) = memchr::memchr(b'.', &text[from..]) {
        let dot = from + dot;
        let (range, next) = around_dot(text, dot, from);
        found.extend(range);
        from = next.max(dot + 1);
    }
    from = 0;
    while let Some(colon) = memchr::memchr(b':', &text[from..]) {
        let colon = from + colon;
        let (range, next) = around_colon(text, colon, from);
        found.extend(range);
        from = next.max(colon + 1);
    }
}

/// The IPv4 address whose first dot is at `dot`, and where to go on.
fn around_dot(text: &[u8], dot: usize, least: usize) -> (Option<Range<usize>>, usize) {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    if dot == 0 || !is_digit(dot - 1) || !is_digit(dot + 1) {
        return (None, dot + 1);
    }
    let start =
        dot - text[least..dot].iter().rev().take(4).take_while(|b| b.is_ascii_digit()).count();
    let run = text[dot..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let mut end = dot + run;
    // The full stop of a sentence.
    if text[end - 1] == b'.' {
        end -= 1;
    }
    let is_address = is_ipv4(&text[start..end]) && !is_version(text, start, end);
    (is_address.then_some(start..end), end)
}

fn is_ipv4(text: &[u8]) -> bool {
    let octet = |part: &[u8]| {
        (1..=3).contains(&part.len())
            && part.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= 255
    };
    text.len() <= 15
        && text.split(|byte| *byte == b'.').count() == 4
        && text.split(|byte| *byte == b'.').all(octet)
}

/// Whether four numbers with dots are a version, or a part of something else.
fn is_version(text: &[u8], start: usize, end: usize) -> bool {
    let head = &text[..start];
    let free = is_escape(text, start) || is_behind_colour(text, start);
    let before = match head {
        [.., last] if is_word(*last) && *last < 0x80 || b"_.^~".contains(last) => !free,
        [.., b'>' | b'<' | b'=' | b'!' | b'~', b'='] => true,
        [.., name, b'-'] => name.is_ascii_alphabetic(),
        [.., b'/'] => is_product(&head[..start - 1]) && text.get(end) != Some(&b':'),
        _ => false,
    };
    let behind = match &text[end..] {
        [b'-', rest @ ..] => {
            let len =
                rest.iter().take(15).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
            rest.first().is_some_and(|byte| is_word(*byte)) && !is_ipv4(&rest[..len])
        }
        [b'+', next, ..] => is_word(*next),
        [b'.', next, ..] => is_word(*next),
        [byte, ..] => is_word(*byte) && *byte < 0x80 || b"_~".contains(byte),
        [] => false,
    };
    before || behind || is_said_to_be(head)
}

/// Whether a product's name ends here: a word that begins with a capital.
fn is_product(head: &[u8]) -> bool {
    let len = head.iter().rev().take(32).take_while(|byte| is_word(**byte)).count();
    len > 0 && head[head.len() - len].is_ascii_uppercase()
}

/// Whether `version` or its like stands before what follows.
fn is_said_to_be(head: &[u8]) -> bool {
    let signs = head.iter().rev().take(5).take_while(|byte| b" \t:=\"'\\(.".contains(byte)).count();
    let head = &head[..head.len() - signs];
    if signs == 0 {
        return false;
    }
    let len = head.iter().rev().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = head[head.len() - len..].to_ascii_lowercase();
    word == b"v"
        || VERSIONS
            .iter()
            .any(|version| word.ends_with(version) && (version.len() > 3 || word.len() == 3))
}

/// The IPv6 address whose first colon is at `colon`, and where to go on.
fn around_colon(text: &[u8], colon: usize, least: usize) -> (Option<Range<usize>>, usize) {
    let is_hex = |byte: &&u8| byte.is_ascii_hexdigit();
    let start = colon - text[least..colon].iter().rev().take(5).take_while(is_hex).count();
    let run = text[colon..].iter().take_while(|byte| is_hex(byte) || **byte == b':').count();
    let mut end = colon + run;
    let next = end;
    if end - start > LONGEST || memchr::memchr(b':', &text[colon + 1..end]).is_none() {
        return (None, next);
    }
    // `::ffff:1.2.3.4`
    let tail =
        text[end..].iter().take(13).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let number = text[..end].iter().rev().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    if text.get(end) == Some(&b'.') && is_ipv4(text[end - number..end + tail].trim_suffix_dot()) {
        end += text[end..end + tail].trim_suffix_dot().len();
    }
    // The colon of `fe80::1: refused`.
    if text[start..end].ends_with(b":") && !text[start..end].ends_with(b"::") {
        end -= 1;
    }
    if !is_free(text, start) || text.get(end).is_some_and(|byte| is_word(*byte) || *byte == b'_') {
        return (None, next);
    }
    let Ok(address) = String::from_utf8_lossy(&text[start..end]).parse::<Ipv6Addr>() else {
        return (None, next);
    };
    if !is_address(&text[start..end], address) {
        return (None, next);
    }
    let zone = match &text[end..] {
        [b'%', rest @ ..] => {
            rest.iter()
                .take(17)
                .take_while(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
                .count()
                + 1
        }
        _ => 0,
    };
    (Some(start..end + zone), next)
}

/// Slices without a dot at their end.
trait TrimDot {
    fn trim_suffix_dot(&self) -> &[u8];
}

impl TrimDot for [u8] {
    fn trim_suffix_dot(&self) -> &[u8] {
        self.strip_suffix(b".").unwrap_or(self)
    }
}

/// Whether an address can begin at `at`.
fn is_free(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    let path = text[at] == b':' && b"}>)".contains(&text[before]);
    let glued = is_word(text[before]) || b"_.:%".contains(&text[before]) || path;
    !glued && !text[..at].ends_with(MARKER) || is_escape(text, at) || is_behind_colour(text, at)
}

fn is_address(written: &[u8], address: Ipv6Addr) -> bool {
    if !written.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let groups = || written.split(|byte| *byte == b':').filter(|group| !group.is_empty());
    if memchr::memmem::find(written, b"::").is_none() {
        return !groups().all(|group| group.len() == 2);
    }
    let first = address.segments()[0];
    let assigned = (0x2000..0x4000).contains(&first) || first >= 0xfc00;
    groups().any(|group| group[0].is_ascii_digit()) || assigned && groups().count() > 0
}
