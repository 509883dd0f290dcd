//! Quotes, however deep they are escaped.
//!
//! A string within a string has its quotes escaped, once for each level: `"`, `\"`, `\\\"`. What
//! opened with some number of backslashes closes with a quote that has as many, where each escape
//! within the string, a backslash or a quote, doubles them. A string that is not closed ends with its
//! line, or where the string around it closes.

/// What a quote is written as.
const SPELLINGS: [(&[u8], u8); 10] = [
    (b"\"", b'"'),
    (b"'", b'\''),
    (b"`", b'`'),
    (b"&quot;", b'"'),
    (b"&#34;", b'"'),
    (b"&#39;", b'\''),
    (b"%22", b'"'),
    (b"%27", b'\''),
    (b"u0022", b'"'),
    (b"u0027", b'\''),
];

/// Backslashes beyond these are no escapes of anything.
const DEEPEST: usize = 1023;

/// A quote in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    spelling: &'static [u8],
    /// How many backslashes stand before it.
    pub backslashes: usize,
}

impl Quote {
    /// The quote that begins at `at`, its backslashes included.
    pub fn at(text: &[u8], at: usize) -> Option<Quote> {
        let rest = text.get(at..)?;
        let backslashes = rest.iter().take(DEEPEST).take_while(|byte| **byte == b'\\').count();
        Quote::spelled(&rest[backslashes..], backslashes)
    }

    /// The quote that ends before `end`.
    pub fn before(text: &[u8], end: usize) -> Option<Quote> {
        let head = text.get(..end)?;
        let spelled = SPELLINGS.iter().find(|(spelling, _)| head.ends_with(spelling))?;
        let head = &head[..end - spelled.0.len()];
        let backslashes =
            head.iter().rev().take(DEEPEST).take_while(|byte| **byte == b'\\').count();
        Quote::spelled(spelled.0, backslashes)
    }

    fn spelled(rest: &[u8], backslashes: usize) -> Option<Quote> {
        let (spelling, _) = SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling))?;
        // The `u` of `\u0022` belongs to one backslash, which is no escape of a quote.
        (spelling[0] != b'u' || backslashes > 0).then_some(Quote { spelling, backslashes })
    }

    /// Bytes of it.
    pub fn len(self) -> usize {
        self.spelling.len() + self.backslashes
    }

    /// Whether it is escaped as a string within strings is: of the 1024 ways to write a quote with
    /// backslashes, these are 11.
    pub fn is_of_a_level(self) -> bool {
        (self.backslashes + 1).is_power_of_two()
    }

    /// Whether it is the backtick.
    pub fn is_backtick(self) -> bool {
        self.spelling == b"`"
    }

    /// Where the string ends that this quote opens and whose content begins at `from`: where its
    /// content ends, and where what follows the closing quote begins.
    pub fn close(self, text: &[u8], from: usize) -> (usize, usize) {
        let first = self.spelling[0];
        let mut at = from;
        while let Some(found) = memchr::memchr3(first, b'\n', b'\\', &text[at..]) {
            let here = at + found;
            if text[here] == b'\n' {
                return (before_return(text, from, here), here);
            }
            let run = text[here..].iter().take_while(|byte| **byte == b'\\').count();
            let quote = here + run;
            if !text[quote..].starts_with(self.spelling) {
                at = quote.max(here + 1);
                continue;
            }
            if run < self.backslashes {
                return (here, here);
            }
            if run % (2 * (self.backslashes + 1)) == self.backslashes {
                let end = quote - self.backslashes;
                return (end, quote + self.spelling.len());
            }
            at = quote + self.spelling.len();
        }
        (text.len(), text.len())
    }
}

/// The end of a line without its carriage return.
fn before_return(text: &[u8], from: usize, end: usize) -> usize {
    if end > from && text[end - 1] == b'\r' { end - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn content(text: &str, expected: &str) {
        let quote = Quote::at(text.as_bytes(), 0).expect("a quote");
        let (end, _) = quote.close(text.as_bytes(), quote.len());
        assert_eq!(&text[quote.len()..end], expected);
    }

    #[test]
    fn a_string_ends_with_a_quote_like_its_first() {
        content(r#""a b" c"#, "a b");
        content(r#""a\"b" c"#, r#"a\"b"#);
        content(r#""a\\" c"#, r"a\\");
        content(r"'it''s", "it");
        content(r#"\"a\\\"b\" c"#, r#"a\\\"b"#);
        content(r#"\"a\\\\\" c"#, r"a\\\\");
        content(r#"\\\"a\\\" c"#, "a");
        content("&quot;a&quot; c", "a");
        content(r"\u0022a\u0022 c", "a");
    }

    #[test]
    fn a_string_that_is_not_closed_ends_with_its_line_or_its_outer_string() {
        content("\"a b\r\nc\"", "a b");
        content(r#"\"a b" c"#, "a b");
        content("'a b", "a b");
    }

    #[test]
    fn a_quote_is_found_from_behind() {
        let text = br#"{\"a"#;
        assert_eq!(Quote::before(text, 3), Quote::at(text, 1));
        assert_eq!(Quote::before(text, 4), None);
    }
}
