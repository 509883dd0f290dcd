//! Secrets that are known by how they look: tokens with a prefix of their maker's, JWTs, `Bearer`
//! and `Basic` credentials.
//!
//! A token begins where no word is going on, and is as long as its maker has it at least.

use std::ops::Range;

use super::key::is_escape;
use super::value::is_behind_colour;

/// A kind of token.
#[derive(Debug)]
pub struct Shape {
    /// What it begins with, exactly.
    pub prefix: &'static str,
    /// Least number of characters behind the prefix.
    least: usize,
    /// Whether there may be no more of them.
    exact: bool,
    /// What it may have beside letters and digits.
    signs: &'static [u8],
}

const fn shape(prefix: &'static str, least: usize, signs: &'static [u8]) -> Shape {
    Shape { prefix, least, exact: false, signs }
}

const fn aws(prefix: &'static str) -> Shape {
    Shape { prefix, least: 16, exact: true, signs: b"" }
}

/// Every kind of token with a prefix.
pub const SHAPES: [Shape; 44] = [
    aws("AKIA"),
    aws("ASIA"),
    shape("ghp_", 16, b"_"),
    shape("gho_", 16, b"_"),
    shape("ghu_", 16, b"_"),
    shape("ghs_", 16, b"_"),
    shape("ghr_", 16, b"_"),
    shape("github_pat_", 16, b"_"),
    shape("glpat-", 10, b"_-."),
    shape("gldt-", 10, b"_-."),
    shape("glrt-", 10, b"_-."),
    shape("xoxb-", 8, b"-"),
    shape("xoxa-", 8, b"-"),
    shape("xoxp-", 8, b"-"),
    shape("xoxr-", 8, b"-"),
    shape("xoxs-", 8, b"-"),
    shape("xoxe-", 8, b"-"),
    shape("xoxe.", 8, b"-."),
    shape("xapp-", 8, b"-"),
    shape("AIza", 30, b"_-"),
    shape("ya29.", 8, b"_-."),
    shape("GOCSPX-", 16, b"_-"),
    shape("sk_live_", 8, b"_"),
    shape("rk_live_", 8, b"_"),
    shape("sk_test_", 8, b"_"),
    shape("rk_test_", 8, b"_"),
    shape("whsec_", 16, b"_+/="),
    shape("npm_", 30, b""),
    shape("pypi-AgE", 16, b"_-"),
    shape("SG.", 20, b"_-."),
    shape("sk-", 20, b"_-"),
    shape("hf_", 30, b""),
    shape("hvs.", 20, b"_-"),
    shape("hvb.", 20, b"_-"),
    shape("shpat_", 24, b""),
    shape("shpss_", 24, b""),
    shape("dop_v1_", 32, b""),
    shape("doo_v1_", 32, b""),
    shape("dor_v1_", 32, b""),
    shape("sq0atp-", 16, b"_-"),
    shape("sq0csp-", 16, b"_-"),
    shape("lin_api_", 24, b""),
    shape("AGE-SECRET-KEY-1", 32, b""),
    shape("dckr_pat_", 16, b"_-"),
];

/// The token whose prefix stands at `found`.
pub fn token(text: &[u8], found: &Range<usize>, shape: &Shape) -> Option<Range<usize>> {
    if &text[found.clone()] != shape.prefix.as_bytes() || !begins(text, found.start) {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || shape.signs.contains(byte);
    let rest = &text[found.end..];
    let len = rest.iter().take_while(is_part).count();
    let fits = if shape.exact { len == shape.least } else { len >= shape.least };
    if shape.prefix == "sk-" && !is_sk(&rest[..len]) {
        return None;
    }
    let random = shape.exact || rest[..len].iter().any(u8::is_ascii_digit) || len >= 40;
    let whole = !shape.exact || rest.get(len) != Some(&b'_');
    (fits && random && whole).then_some(found.start..found.end + len)
}

/// A JWT, or the beginning of one, which starts with the JSON of its header.
pub fn jwt(text: &[u8], found: &Range<usize>) -> Option<Range<usize>> {
    if &text[found.clone()] != b"eyJ" || !begins(text, found.start) {
        return None;
    }
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.=+/".contains(byte);
    let len = text[found.end..].iter().take_while(part).count();
    let end = found.end + len - usize::from(text[..found.end + len].ends_with(b"."));
    (len >= 10).then_some(found.start..end)
}

/// Whether what follows `sk-` is a key of OpenAI's or Anthropic's, and no name: `sk-gateway-7f9c8b6d4`.
fn is_sk(rest: &[u8]) -> bool {
    let kinds = [&b"proj-"[..], b"ant-", b"svcacct-", b"admin-", b"or-", b"lf-"];
    let letters = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    kinds.iter().any(|kind| rest.starts_with(kind)) || rest.iter().take_while(letters).count() >= 20
}

/// A bot's token of Telegram's, `123456789:AA...`, whose `:AA` stands at `found`.
pub fn bot(text: &[u8], found: &Range<usize>) -> Option<Range<usize>> {
    let digits =
        text[..found.start].iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let len = text[found.end..].iter().take(128).take_while(part).count();
    let fits =
        (6..=10).contains(&digits) && (28..=64).contains(&len) && text[found.clone()] == *b":AA";
    fits.then_some(found.start - digits..found.end + len)
}

/// What follows `Bearer ` or `Basic `, if it is no word.
pub fn credentials(text: &[u8], found: &Range<usize>) -> Option<Range<usize>> {
    if !begins(text, found.start) {
        return None;
    }
    let from =
        found.end + text[found.end..].iter().take(8).take_while(|byte| **byte == b' ').count();
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(byte);
    let mut len = text[from..].iter().take_while(part).count();
    while len > 0 && text[from + len - 1] == b'.' {
        len -= 1;
    }
    let value = &text[from..from + len];
    let first = value.first()?.is_ascii_alphanumeric();
    // `realm="..."` is what a server asks with.
    let asks = value.ends_with(b"=") && matches!(text.get(from + len), Some(b'"' | b'\\'));
    let scheme = &text[found.clone()];
    let random = if scheme.eq_ignore_ascii_case(b"basic ") {
        is_basic(value)
    } else {
        is_random(value, scheme[0] == b'b')
    };
    (first && random && !asks).then_some(from..from + len)
}

/// Whether a value is no word. Behind a `strict`, small `bearer` a sentence may go on.
fn is_random(value: &[u8], strict: bool) -> bool {
    let mixed =
        value[1..].iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    let digit = value.iter().any(u8::is_ascii_digit);
    if strict {
        return value.len() >= 20 && digit && (mixed || value.len() >= 32);
    }
    value.len() >= 8 && (mixed || digit || value.len() >= 20)
}

/// Whether a value is the base64 of `user:password`, as far as it goes.
fn is_basic(value: &[u8]) -> bool {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = value.iter().take(1024).map_while(digit).collect();
    let (mut colon, mut text) = (false, true);
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        for byte in bits.to_be_bytes().iter().skip(1).take(four.len() - 1) {
            colon |= *byte == b':';
            text &= *byte >= b' ' && *byte != 0x7f;
        }
    }
    colon && text && digits.len() >= 4
}

/// Whether a token can begin at `at`.
fn begins(text: &[u8], at: usize) -> bool {
    let free = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'_';
    at.checked_sub(1).is_none_or(|before| free(text[before]))
        || is_escape(text, at)
        || is_behind_colour(text, at)
}
