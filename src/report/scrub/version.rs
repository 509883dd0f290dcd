//! Versions of four numbers, which look like IPv4 addresses.
//!
//! Taken for a version: what has a letter, `^`, `~` or a comparison before it, a name and `-`
//! (`lib-1.2.3.4`), a product and `/` (`Chrome/120.0.0.0`, `nginx/1.25.3.1`), or the word `version` or
//! its like, or a blank and a product of a short list (`kernel 5.15.0.91`); what an upgrade goes from and
//! to; and what goes on with `-rc1`, `+build`, `~` or an underscore. **Loss:** an address that stands
//! so. A word for an address before it, a range that is private, a port or a host's name decide for an
//! address.

use std::net::Ipv4Addr;

use super::key::is_escape;
use super::value::is_behind_colour;
use super::words::{is_word, words};

/// Words before a version.
const VERSIONS: [&str; 9] = [
    "version", "ver", "release", "released", "build", "revision", "section", "chapter", "firmware",
];

/// Products that a blank or a slash may part from their version.
const PRODUCTS: [&str; 26] = [
    "android", "apache", "chrome", "chromium", "curl", "edg", "edge", "firefox", "gcc", "glibc",
    "httpd", "ios", "java", "jdk", "jre", "kernel", "libcurl", "macos", "nginx", "openjdk",
    "openssl", "opr", "php", "python", "safari", "windows",
];

/// Words before an address.
const ADDRESSES: [&str; 20] = [
    "addr",
    "address",
    "bind",
    "client",
    "dest",
    "destination",
    "dst",
    "endpoint",
    "from",
    "gateway",
    "host",
    "inet",
    "ip",
    "ipv4",
    "listen",
    "node",
    "peer",
    "remote",
    "source",
    "src",
];

/// Whether four numbers with dots are a version, or a part of something else.
pub fn is_version(text: &[u8], start: usize, end: usize, address: Ipv4Addr) -> bool {
    let head = &text[..start];
    let free = is_escape(text, start) || is_behind_colour(text, start);
    let private = address.is_private() || address.is_link_local();
    let port = text.get(end) == Some(&b':');
    let before = match head {
        [name @ .., b'_'] => !free && !private && !ends_in(name, &ADDRESSES),
        [.., last] if is_word(*last) && *last < 0x80 || b".^~".contains(last) => !free,
        [name @ .., b'=', b'='] => !ends_in(name, &ADDRESSES),
        [.., b'>' | b'<' | b'!' | b'~', b'='] => true,
        [.., name, b'-'] => name.is_ascii_alphabetic(),
        [name @ .., b'/'] => !port && is_product(name, private),
        _ => false,
    };
    before || goes_on(&text[end..]) || is_said_to_be(head, private || port)
}

/// Whether a version goes on behind four numbers.
fn goes_on(rest: &[u8]) -> bool {
    match rest {
        [b'-', rest @ ..] => {
            let len =
                rest.iter().take(15).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
            let range =
                std::str::from_utf8(&rest[..len]).is_ok_and(|it| it.parse::<Ipv4Addr>().is_ok());
            rest.first().is_some_and(|byte| is_word(*byte)) && !range
        }
        [b'+' | b'.', next, ..] => is_word(*next),
        [byte, ..] => is_word(*byte) && *byte < 0x80 || b"_~".contains(byte),
        [] => false,
    }
}

/// The last word of what stands before a version.
fn last_word(head: &[u8]) -> String {
    let len = head.iter().rev().take(32).take_while(|byte| is_word(**byte)).count();
    let run = String::from_utf8_lossy(&head[head.len() - len..]).into_owned();
    words(&run).last().unwrap_or_default().to_ascii_lowercase()
}

fn ends_in(head: &[u8], list: &[&str]) -> bool {
    list.contains(&last_word(head).as_str())
}

/// Whether a product's name ends here: one that is known, or a word with a capital that is no host's
/// (`Node1/`, `db.example.com/`).
fn is_product(head: &[u8], private: bool) -> bool {
    let part = |byte: &&u8| is_word(**byte) || b"-_.".contains(byte);
    let len = head.iter().rev().take(64).take_while(part).count();
    let name = &head[head.len() - len..];
    let known = String::from_utf8_lossy(name).to_ascii_lowercase();
    if PRODUCTS.contains(&known.as_str()) {
        return true;
    }
    let upper = name.first().is_some_and(u8::is_ascii_uppercase);
    let host = name.contains(&b'.') || name.last().is_some_and(u8::is_ascii_digit);
    upper && !host && !private
}

/// Whether `version` or its like stands before what follows, or a product before what is no
/// `address` for certain.
fn is_said_to_be(head: &[u8], address: bool) -> bool {
    let signs = head.iter().rev().take(5).take_while(|byte| b" \t:=\"'\\(.".contains(byte)).count();
    let (head, signs) = head.split_at(head.len() - signs);
    if signs.is_empty() {
        return false;
    }
    let len = head.iter().rev().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = String::from_utf8_lossy(&head[head.len() - len..]).to_ascii_lowercase();
    let said = |version: &&str| word.ends_with(version) && (version.len() > 3 || word.len() == 3);
    let upgraded = || {
        let near = String::from_utf8_lossy(&head[head.len().saturating_sub(48)..]).to_lowercase();
        let near = near.rsplit('\n').next().unwrap_or_default();
        ["from", "to"].contains(&word.as_str())
            && ["upgrad", "downgrad"].iter().any(|word| near.contains(word))
    };
    word == "v"
        || VERSIONS.iter().any(said)
        || !address && signs == b" " && (PRODUCTS.contains(&word.as_str()) || upgraded())
}
