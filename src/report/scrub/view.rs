//! A text as a reader sees it: without what steers a terminal, without the zeros of UTF-16, and with
//! one sign for each way to write a blank, a colon, an equals sign or a quote.
//!
//! Secrets are looked for in the text and in its view, so `pass\x1b[1mword` is a key, too. What stands
//! between is replaced with the secret it stands in. Not seen through: UTF-16 beyond Latin letters,
//! letters that only look like others.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

/// What a reader sees otherwise, and as what; `None` is decided where it stands.
const ODD: [(&[u8], Option<&[u8]>); 33] = [
    (b"\x1b", None),
    (b"\\u001b", None),
    (b"\\u001B", None),
    (b"\\x1b", None),
    (b"\\x1B", None),
    (b"\\033", None),
    (b"\\e", None),
    (b"\0", None),
    ("\u{a0}".as_bytes(), Some(b" ")),
    ("\u{2009}".as_bytes(), Some(b" ")),
    ("\u{202f}".as_bytes(), Some(b" ")),
    ("\u{3000}".as_bytes(), Some(b" ")),
    ("\u{200b}".as_bytes(), Some(b"")),
    ("\u{200d}".as_bytes(), Some(b"")),
    ("\u{2060}".as_bytes(), Some(b"")),
    ("\u{feff}".as_bytes(), Some(b"")),
    ("\u{ad}".as_bytes(), Some(b"")),
    ("\u{ff1a}".as_bytes(), Some(b":")),
    ("\u{fe55}".as_bytes(), Some(b":")),
    ("\u{ff1d}".as_bytes(), Some(b"=")),
    ("\u{201c}".as_bytes(), Some(b"\"")),
    ("\u{201d}".as_bytes(), Some(b"\"")),
    (b"&nbsp;", Some(b" ")),
    (b"&#160;", Some(b" ")),
    (b"&quot;", Some(b"\"")),
    (b"&#34;", Some(b"\"")),
    (b"&#x22;", Some(b"\"")),
    (b"&apos;", Some(b"'")),
    (b"&#61;", Some(b"=")),
    (b"&#58;", Some(b":")),
    (b"&colon;", Some(b":")),
    (b"&equals;", Some(b"=")),
    ("\u{200c}".as_bytes(), Some(b"")),
];

/// What is looked for to see a text as a reader does.
#[derive(Debug)]
pub struct Odd(Option<AhoCorasick>);

impl Odd {
    pub fn new() -> Odd {
        let signs = ODD.iter().map(|(sign, _)| sign);
        Odd(AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(signs).ok())
    }

    /// The text as it is seen; `None` if it is seen as it is.
    pub fn view(&self, text: &[u8]) -> Option<View> {
        let mut view = View::default();
        let mut from = 0;
        for sign in self.0.as_ref()?.find_iter(text) {
            if sign.start() < from {
                continue;
            }
            let (end, seen) = match ODD[sign.pattern().as_usize()].1 {
                Some(seen) => (sign.end(), seen),
                None if text[sign.start()] == 0 => {
                    if !is_wide(text, sign.start()) {
                        continue;
                    }
                    (sign.end(), &b""[..])
                }
                None => match sequence(text, sign.range()) {
                    Some(end) => (end, &b""[..]),
                    None => continue,
                },
            };
            // Strings within strings have more backslashes.
            let head = &text[from..sign.start()];
            let more = head.iter().rev().take_while(|byte| **byte == b'\\').count();
            let more = if text[sign.start()] == b'\\' { more } else { 0 };
            view.text.extend_from_slice(&head[..head.len() - more]);
            view.text.extend_from_slice(seen);
            let whole = !seen.is_empty() || text[sign.start()] == 0;
            view.turns.push(Turn { seen: view.text.len(), is: end, whole });
            from = end;
        }
        view.text.extend_from_slice(&text[from..]);
        (!view.turns.is_empty()).then_some(view)
    }
}

/// A text as it is seen.
#[derive(Debug, Default)]
pub struct View {
    pub text: Vec<u8>,
    turns: Vec<Turn>,
}

/// Where the view goes on with the text behind something odd.
#[derive(Debug)]
struct Turn {
    seen: usize,
    is: usize,
    /// Whether the odd thing belongs to what is before it.
    whole: bool,
}

impl View {
    /// Where something that is seen is in the text.
    pub fn range(&self, seen: &Range<usize>) -> Range<usize> {
        let first = self.turns.partition_point(|turn| turn.seen < seen.end);
        let end = match self.turns.get(first) {
            Some(turn) if turn.seen == seen.end && turn.whole => turn.is,
            _ => self.place(seen.end.saturating_sub(1)) + 1,
        };
        self.place(seen.start)..end
    }

    fn place(&self, seen: usize) -> usize {
        let turns = self.turns.partition_point(|turn| turn.seen <= seen);
        turns.checked_sub(1).map_or(seen, |last| {
            let turn = &self.turns[last];
            turn.is + (seen - turn.seen)
        })
    }
}

/// Whether a zero is one half of a letter in UTF-16: two others stand as near as zeros then do.
fn is_wide(text: &[u8], at: usize) -> bool {
    let is = |near: Option<usize>| {
        near.is_some_and(|near| text.get(near) == Some(&0) && text[near.min(at) + 1] != 0)
    };
    let before = [at.checked_sub(2), at.checked_sub(4)];
    match (is(before[0]), is(Some(at + 2))) {
        (true, true) => true,
        (true, false) => is(before[1]),
        (false, true) => is(Some(at + 4)),
        (false, false) => false,
    }
}

/// Where the control sequence ends whose escape is at `escape`.
fn sequence(text: &[u8], escape: Range<usize>) -> Option<usize> {
    let at = escape.end;
    let rest = &text[at..];
    // What is written as an escape may be no more than a path: `C:\\e`.
    if escape.len() > 1 && !matches!(rest, [b'[' | b']' | b'(', ..]) {
        return None;
    }
    let len = match rest {
        [b'[', rest @ ..] => {
            let inner = |byte: &&u8| (0x20..0x40).contains(*byte);
            let inner = rest.iter().take(48).take_while(inner).count();
            rest.get(inner).filter(|last| (0x40..0x7f).contains(*last))?;
            inner + 2
        }
        [b']' | b'P' | b'_' | b'^', rest @ ..] => {
            let end = memchr::memchr2(0x07, 0x1b, rest)?;
            let long = rest[end] == 0x1b;
            if long && rest.get(end + 1) != Some(&b'\\') {
                return None;
            }
            end + 2 + usize::from(long)
        }
        [b'(' | b')' | b'*' | b'+' | b'#' | b' ', last, ..] if (0x21..0x7f).contains(last) => 2,
        [0x30..0x7f, ..] => 1,
        _ => return None,
    };
    Some(at + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn seen(text: &[u8], expected: &[u8], part: &[u8], is: &[u8]) {
        let view = Odd::new().view(text).expect("a view");
        assert_eq!(view.text.escape_ascii().to_string(), expected.escape_ascii().to_string());
        let start = memchr::memmem::find(&view.text, part).expect("a part");
        let range = view.range(&(start..start + part.len()));
        assert_eq!(text[range].escape_ascii().to_string(), is.escape_ascii().to_string());
    }

    #[test]
    fn what_a_reader_does_not_see_is_gone_and_the_place_is_known() {
        seen(b"a\x1b[1mbc\x1b[0K d", b"abc d", b"bc", b"bc");
        seen(b"a\x1b[1mb\x1b[mc d", b"abc d", b"bc", b"b\x1b[mc");
        seen(b"a\x1b]8;;http://h\x07b\x1b(Bc", b"abc", b"b", b"b");
        seen(b"a\\u001b[1mb", b"ab", b"b", b"b");
        seen(b"a\\\\\\u001b(Bb", b"ab", b"b", b"b");
        seen(b"a\0b\0c\0", b"abc", b"bc", b"b\0c\0");
        seen("a\u{a0}b".as_bytes(), b"a b", b" b", "\u{a0}b".as_bytes());
        seen(b"x=&quot;y&quot;", b"x=\"y\"", b"\"y\"", b"&quot;y&quot;");
    }

    #[test]
    fn a_text_that_is_seen_as_it_is_has_no_view() {
        for text in ["", "password=x", "run\0--password\0x\0y", "größe", "\x1b"] {
            assert!(Odd::new().view(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
