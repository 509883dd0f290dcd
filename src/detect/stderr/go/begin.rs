//! How Go's reports begin.

use super::super::text::is_log_like;

/// One of these stands in the first line of each report.
pub(super) const MARKS: [&str; 13] = [
    "panic: ",
    "fatal error: ",
    "unexpected fault address ",
    "accessed data from freed user arena ",
    "runtime: ",
    "SIGQUIT: quit",
    "SIGABRT: abort",
    "SIGSEGV: segmentation violation",
    "SIGBUS: bus error",
    "SIGFPE: floating-point exception",
    "SIGILL: illegal instruction",
    "SIGTRAP: trace trap",
    "SIGSYS: bad system call",
];

/// What a first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning<'a> {
    /// `panic: ` or `fatal error: ` and a message; `inside` if it stands behind other output.
    Message { kind: &'static str, text: &'a [u8], inside: bool },
    /// `SIGQUIT: quit`: the signal's name, and what it means.
    Signal { name: &'a str, text: &'a str },
    /// What the runtime says before a `fatal error: `.
    Preamble,
}

/// The words before a message.
pub(super) const KINDS: [(&str, &str); 2] =
    [("panic", "panic: "), ("fatal error", "fatal error: ")];

/// What `line` says, if a report may begin with it.
pub(super) fn beginning(line: &[u8]) -> Option<Beginning<'_>> {
    if let Some((kind, text)) = message(line) {
        return Some(Beginning::Message { kind, text, inside: false });
    }
    if let Some((name, text)) = signal(line) {
        return Some(Beginning::Signal { name, text });
    }
    if is_preamble(line) {
        return Some(Beginning::Preamble);
    }
    inside(line)
}

/// Kind and text, if the line is the first of a message.
pub(super) fn message(line: &[u8]) -> Option<(&'static str, &[u8])> {
    KINDS.iter().find_map(|(kind, word)| Some((*kind, line.strip_prefix(word.as_bytes())?)))
}

/// Name and meaning, if the line is a signal's.
pub(super) fn signal(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.starts_with("SIG"))?;
    MARKS.contains(&line).then(|| line.split_once(": ")).flatten()
}

/// `runtime: goroutine stack exceeds 1000000000-byte limit`, `unexpected fault address 0x...`.
pub(super) fn is_preamble(line: &[u8]) -> bool {
    let starts = |word: &str| line.starts_with(word.as_bytes());
    starts("runtime: ") || starts(MARKS[2]) || starts(MARKS[3])
}

/// A message behind something that was printed without a newline. Behind a logger's words it is
/// the logger's text.
fn inside(line: &[u8]) -> Option<Beginning<'_>> {
    let found = KINDS.iter().filter_map(|(kind, word)| {
        let at = memchr::memmem::find(line, word.as_bytes())?;
        Some((at, *kind, &line[at + word.len()..]))
    });
    let (at, kind, text) = found.min_by_key(|(at, ..)| *at)?;
    let before = &line[..at];
    let spaced = before.last().is_none_or(|byte| byte.is_ascii_whitespace());
    let quoted = before.last().is_some_and(|byte| b"\"'`(".contains(byte));
    if quoted || before.starts_with(b"{") || (spaced && is_log_like(before)) {
        return None;
    }
    Some(Beginning::Message { kind, text, inside: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        let of = |line: &'static str| beginning(line.as_bytes());
        let message = |kind, text: &'static str, inside| {
            Some(Beginning::Message { kind, text: text.as_bytes(), inside })
        };
        assert_eq!(of("panic: boom"), message("panic", "boom", false));
        assert_eq!(of("fatal error: fault"), message("fatal error", "fault", false));
        assert_eq!(of("progress: 41%panic: boom"), message("panic", "boom", true));
        assert_eq!(of("SIGQUIT: quit"), Some(Beginning::Signal { name: "SIGQUIT", text: "quit" }));
        assert_eq!(of("runtime: out of memory"), Some(Beginning::Preamble));
        for line in [
            "2026/11/22 00:51:21 panic: this is only a word in a log line",
            "{\"msg\":\"upstream said: panic: boom\\n\"}",
            "got SIGQUIT: quit",
            "he said \"panic: boom\"",
            "the runtime: fast",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
