//! IP addresses.
//!
//! **IPv4**: four numbers of 0 to 255, no digit, letter or dot beside them; a port or prefix behind
//! stays. What is a version is told by `version.rs`.
//!
//! **IPv6**: what the standard library parses and is of an assigned range, with its zone. Ranges of
//! a program's (`x[1::3]`), paths (`dead::beef`) and times are of none. Eight pairs of digits are a
//! hardware address and stay, as all shorter and longer ones do.
//!
//! Addresses that are the same on every machine identify nobody, and stay: `127.0.0.1`, `0.0.0.0`,
//! `::1`, `::`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::MARKER;
use super::key::is_escape;
use super::value::is_behind_colour;
use super::version::is_version;
use super::words::is_word;

/// Longest IPv6 address, one with an IPv4 address in it.
const LONGEST: usize = 45;

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
    let address = ipv4(&text[start..end]).filter(|address| {
        !address.is_loopback()
            && !address.is_unspecified()
            && !is_version(text, start, end, *address)
    });
    (address.map(|_| start..end), end)
}

/// An address whose numbers may have zeros before them.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()))?;
        *octet = std::str::from_utf8(part).ok()?.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
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
    if text.get(end) == Some(&b'.')
        && ipv4(text[end - number..end + tail].trim_suffix_dot()).is_some()
    {
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
    let mapped = address.to_ipv4_mapped();
    if address.is_loopback() || mapped.is_some_and(|address| address.is_loopback()) {
        return false;
    }
    let mut groups = written.split(|byte| *byte == b':').filter(|group| !group.is_empty());
    let pairs = memchr::memmem::find(written, b"::").is_none() && groups.all(|it| it.len() == 2);
    let first = address.segments()[0];
    let assigned = (0x2000..0x4000).contains(&first) || first >= 0xfc00 || first == 0x64;
    let short = written.len() < 7 && first < 0xfc00;
    !pairs && (assigned && !short || mapped.is_some() || written.contains(&b'.'))
}
