//! Numbers of payment cards.
//!
//! 13 to 19 digits with a known beginning and length and a right check digit, in one piece or in the
//! groups that are printed on a card, with single blanks or dashes between them. No letter, digit,
//! underscore, dot or sign may be beside them. Of 19 digits in one piece only those of
//! Discover and UnionPay count: random 64-bit ids are as long. Times since 1970 begin with 1.

use std::ops::Range;

use super::words::is_word;

/// Fewest digits of a card.
const FEWEST: usize = 13;
/// Most of them.
const MOST: usize = 19;

/// Finds every card's number.
pub fn find(text: &[u8], found: &mut Vec<Range<usize>>) {
    // Of two neighbours within a number one at least is a digit, and both are digits or separators.
    let is_inner = |byte: u8| byte.is_ascii_digit() || byte == b' ' || byte == b'-';
    let mut at = 0;
    while at + 1 < text.len() {
        let (a, b) = (text[at], text[at + 1]);
        if !(is_inner(a) && is_inner(b) && (a.is_ascii_digit() || b.is_ascii_digit())) {
            at += FEWEST - 2;
            continue;
        }
        let start = at - text[..at].iter().rev().take_while(|byte| is_inner(**byte)).count();
        let start = start.max(found.last().map_or(0, |last| last.end)).min(at);
        let end = at + text[at..].iter().take_while(|byte| is_inner(**byte)).count();
        numbers(text, start, end, found);
        at = end + 1;
    }
}

/// Finds the numbers in a run of digits and separators.
fn numbers(text: &[u8], from: usize, end: usize, found: &mut Vec<Range<usize>>) {
    let mut at = from;
    while at < end {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let group = group(text, at);
        match card(text, at, end) {
            Some(close) => {
                found.push(at..close);
                at = close;
            }
            None => at = group,
        }
    }
}

/// Where the digits end that begin at `at`.
fn group(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the card's number ends that begins at `at`.
fn card(text: &[u8], at: usize, limit: usize) -> Option<usize> {
    let first = group(text, at);
    let (close, grouped) = if first - at >= FEWEST {
        (first, false)
    } else if first - at == 4 {
        (groups(text, at, limit)?, true)
    } else {
        return None;
    };
    let is_word = |byte: u8| is_word(byte) && byte.is_ascii();
    let glued = |byte: &u8| is_word(*byte) || b"_.+$%-".contains(byte);
    let before = at.checked_sub(1).map(|before| text[before]).filter(glued);
    let escaped = super::key::is_escape(text, at);
    let behind = match &text[close..] {
        [b'.' | b':' | b'-' | b'/', next, ..] => is_word(*next),
        [byte, ..] => is_word(*byte) || *byte == b'_',
        [] => false,
    };
    if before.is_some() && !escaped || behind || column(text, at, close, grouped) {
        return None;
    }
    let digits: Vec<u8> =
        text[at..close].iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    (is_issued(&digits, grouped) && is_checked(&digits)).then_some(close)
}

/// Where the groups end that begin at `at`: 4-4-4-4, 4-4-4-4-3, 4-6-5 or 4-6-4.
fn groups(text: &[u8], at: usize, limit: usize) -> Option<usize> {
    let separator = *text.get(at + 4).filter(|_| at + 4 < limit)?;
    let mut lens = Vec::with_capacity(6);
    let mut end = at;
    while lens.len() < 5 {
        let close = group(text, end);
        lens.push(close - end);
        if close == end
            || text.get(close) != Some(&separator)
            || !text.get(close + 1).is_some_and(u8::is_ascii_digit)
        {
            break;
        }
        end = close + 1;
    }
    let patterns: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
    let pattern = patterns.iter().find(|pattern| lens.starts_with(pattern))?;
    Some(at + pattern.iter().sum::<usize>() + pattern.len() - 1)
}

/// Whether groups of four are more than one number's: a column of numbers.
fn column(text: &[u8], at: usize, close: usize, grouped: bool) -> bool {
    let four = |at: usize| group(text, at) == at + 4;
    let before = at >= 5 && four(at - 5) && text[at - 1] == text[at + 4];
    grouped && (before || text.get(close) == text.get(at + 4) && four((close + 1).min(text.len())))
}

/// Whether an issuer has numbers of this beginning and length.
fn is_issued(digits: &[u8], grouped: bool) -> bool {
    let first = |count: usize| {
        digits[..count].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let len = digits.len();
    if len > MOST {
        return false;
    }
    match (first(1), first(2), first(3), first(4)) {
        (4, ..) => matches!(len, 13 | 16) || len == 19 && grouped,
        (_, 51..=55, ..) | (.., 2221..=2720) => len == 16,
        (_, 34 | 37, ..) => len == 15,
        (.., 6011) | (_, 65, ..) | (_, _, 644..=649, _) => matches!(len, 16..=19),
        (_, 62, ..) => matches!(len, 16..=19),
        (.., 3528..=3589) => len == 16,
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => len == 14,
        _ => false,
    }
}

/// Luhn's check.
fn is_checked(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 % 10 + digit / 5,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}
