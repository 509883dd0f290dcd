//! Bytes as text: what a report quotes, and what is plainly a log line.

/// The text of bytes that need not be UTF-8: each byte that is not becomes one U+FFFD, so that
/// nothing is lost silently and places in the text stay countable.
pub fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The number that `bytes` begins with, and how many digits it has.
pub fn leading_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((number(&bytes[..digits])?, digits))
}

/// A number of digits only.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let valid = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    valid.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

/// A number as Go and C print addresses: `0x` and hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(b"0x")?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether `bytes` has the form of `pattern`, in which `0` stands for any digit.
pub fn has_form(bytes: &[u8], pattern: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    bytes.len() >= pattern.len() && bytes.iter().zip(pattern).all(fits)
}

/// Whether a line begins as a logger's lines do: with a time, a level or a JSON object. No runtime
/// begins a line of its reports so.
pub fn is_log_like(line: &[u8]) -> bool {
    const FORMS: [&[u8]; 5] =
        [b"0000-00-00", b"0000/00/00", b"00:00:00", b"[0000-00-00", b"[0000/00/00"];
    const STARTS: [&[u8]; 6] = [b"{\"", b"time=", b"ts=", b"level=", b"lvl=", b"msg="];
    let line = skip_colours(line);
    FORMS.iter().any(|form| has_form(line, form))
        || STARTS.iter().any(|start| line.starts_with(start))
        || is_glog(line)
        || begins_with_level(line)
}

/// `I1122 00:51:21...`, as glog and klog begin their lines.
fn is_glog(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'I' | b'W' | b'E' | b'F')) && has_form(&line[1..], b"0000 00:")
}

/// `INFO `, `[warn] `, `ERROR: `. A bare `error: ` may as well be part of a message.
fn begins_with_level(line: &[u8]) -> bool {
    const LEVELS: [&str; 8] =
        ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL"];
    let bracketed = line.strip_prefix(b"[");
    let word = bracketed.unwrap_or(line);
    let len = word.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, after) = word.split_at(len);
    let cased = bracketed.is_some() || word.iter().all(u8::is_ascii_uppercase);
    let followed = matches!(after.first(), Some(b' ' | b':' | b']' | b'\t' | 0x1B));
    let known = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level.as_bytes()));
    cased && followed && known
}

/// The line without the ANSI colour codes that it begins with.
pub fn skip_colours(mut line: &[u8]) -> &[u8] {
    while let Some(len) = colour_len(line) {
        line = &line[len..];
    }
    line
}

/// Bytes of the ANSI colour code at the start: `ESC [ 3 1 m`.
pub fn colour_len(bytes: &[u8]) -> Option<usize> {
    let code = bytes.strip_prefix(b"\x1b[")?;
    let len = code.iter().take(16).position(|byte| !(byte.is_ascii_digit() || *byte == b';'))?;
    (code[len] == b'm').then_some(len + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_byte_is_one_replacement() {
        assert_eq!(decode(b"bad \xff\xfe\x80 end"), "bad \u{FFFD}\u{FFFD}\u{FFFD} end");
        // The beginning of a character of four bytes, cut off.
        assert_eq!(decode(b"\xf0\x9f\x98"), "\u{FFFD}\u{FFFD}\u{FFFD}");
        assert_eq!(decode("grüße".as_bytes()), "grüße");
    }

    #[test]
    fn log_lines_are_known_by_their_beginning() {
        for line in [
            "2026-03-04T05:06:07Z ERROR orders: x",
            "2026/11/22 00:51:21 listen",
            "{\"level\":\"info\"}",
            "I1122 00:51:21.123456       1 main.go:7] up",
            "\u{1b}[32mINFO\u{1b}[0m cache warmed",
            "[warn] slow",
            "time=2026-01-01 level=info",
        ] {
            assert!(is_log_like(line.as_bytes()), "{line}");
        }
        for line in [
            "goroutine 1 [running]:",
            "main.main()",
            "\t/x.go:3",
            "  - name: x",
            "error: x",
            "",
            "infor",
        ] {
            assert!(!is_log_like(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(leading_number(b"12 m"), Some((12, 2)));
        assert_eq!(leading_number(b"m"), None);
        assert_eq!(number(b"99999999999999999999999"), None);
        assert_eq!(hex(b"0x1d"), Some(29));
        assert_eq!(hex(b"1d"), None);
    }
}
