//! What a Go report says before its first stack: panics, one nested in the other, and errors.
//!
//! Since 1.22 the runtime prints a tab after each newline of a message, before it did not: there
//! a message may hold anything, even the text of another report. **Guarantee:** the message comes
//! out whole, without the tabs, up to [`MOST_TEXT`]; plain log lines between its lines are left out.
//! **Lost:** whether a tab was the message's own, where all its lines have one.

use super::super::text::{decode, is_log_like};

/// Bytes of all messages of one report.
pub(super) const MOST_TEXT: usize = 64 * 1024;
/// Lines without a tab before a message is taken for other output.
const MOST_PLAIN_LINES: u32 = 256;
/// Panics that are kept of one report.
const MOST_PANICS: usize = 32;

/// One `panic: ` or `fatal error: `.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message {
    kind: &'static str,
    text: Vec<u8>,
    /// Lines after the first: with a tab, and without.
    tabbed: u32,
    plain: u32,
    /// Log lines between them.
    noise: u32,
    /// Blank lines that belong to it only if more of it follows.
    blank: u32,
}

/// All of a report's, in the order of the output.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages {
    all: Vec<Message>,
    /// Whether a runtime's own words were among them that no program prints.
    telling: bool,
}

impl Messages {
    /// Begins a message with the rest of its first line.
    pub(super) fn begin(&mut self, kind: &'static str, text: &[u8]) {
        if self.all.len() == MOST_PANICS {
            // The event is about the last one; the first one is where it began.
            self.all.remove(1);
        }
        self.all.push(Message { kind, ..Message::default() });
        self.push(text);
        self.telling |= self.all.len() > 1 || is_telling(kind, text);
    }

    /// Adds a line. False if it is not believed to be a message any more.
    pub(super) fn line(&mut self, line: &[u8]) -> bool {
        let Some(message) = self.all.last_mut() else { return false };
        if line.is_empty() {
            message.blank += 1;
            return message.blank <= MOST_PLAIN_LINES;
        }
        if is_log_like(line) {
            message.noise += 1;
            return message.noise <= MOST_PLAIN_LINES;
        }
        let blanks = std::mem::take(&mut message.blank);
        if line.starts_with(b"\t") {
            message.tabbed += 1;
        } else {
            message.plain += 1;
        }
        message.plain += blanks;
        let believed = message.plain <= MOST_PLAIN_LINES;
        for _ in 0..blanks {
            self.push(b"\n");
        }
        self.push(b"\n");
        self.push(line);
        believed
    }

    fn push(&mut self, text: &[u8]) {
        let held: usize = self.all.iter().map(|message| message.text.len()).sum();
        let room = MOST_TEXT.saturating_sub(held);
        if let Some(message) = self.all.last_mut() {
            message.text.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    /// Whether the last message is all there is since: no line follows that is not surely its own.
    pub(super) fn is_last(&self) -> bool {
        self.all.last().is_some_and(|message| message.plain + message.noise == 0)
    }

    /// Whether the last one is a panic.
    pub(super) fn is_panic(&self) -> bool {
        self.all.last().is_some_and(|message| message.kind == "panic")
    }

    /// Whether the words are such that only the runtime prints them.
    pub(super) fn is_telling(&self) -> bool {
        self.telling
    }

    /// Whether a program's panic was the only one, and nothing says that it was handled.
    pub(super) fn is_single_panic(&self) -> bool {
        match self.all.as_slice() {
            [only] => {
                only.kind == "panic" && without_recovered(&only.text).len() == only.text.len()
            }
            _ => false,
        }
    }

    /// Type and text of each, the last one first: the event is about it.
    pub(super) fn exceptions(&self) -> Vec<(&'static str, String)> {
        self.all.iter().rev().map(|message| (message.kind, message.value())).collect()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.all.iter().map(|message| message.text.capacity()).sum()
    }
}

impl Message {
    fn value(&self) -> String {
        let text = without_recovered(&self.text);
        let text = decode(text);
        let strip = self.tabbed > 0 && self.plain == 0;
        let text = if strip { text.replace("\n\t", "\n") } else { text };
        text.trim_end_matches('\n').to_owned()
    }
}

/// The text without ` [recovered]` and the like.
fn without_recovered(text: &[u8]) -> &[u8] {
    let ends = [&b" [recovered]"[..], b" [recovered, repanicked]", b" [recovered, reraised]"];
    ends.iter().find_map(|end| text.strip_suffix(*end)).unwrap_or(text)
}

/// Words that a program would not print by chance: a report of one line, without a stack, is
/// believed by them where nothing is known of how the process ended.
fn is_telling(kind: &str, text: &[u8]) -> bool {
    const PANICS: [&[u8]; 3] =
        [b"runtime error: ", b"assignment to entry in nil map", b"interface conversion: "];
    const ERRORS: [&[u8]; 9] = [
        b"all goroutines are asleep - deadlock!",
        b"no goroutines (main called runtime.Goexit) - deadlock!",
        b"concurrent map ",
        b"stack overflow",
        b"runtime: ",
        b"out of memory",
        b"sync: ",
        b"fault",
        b"unexpected signal during runtime execution",
    ];
    let starts: &[&[u8]] = if kind == "panic" { &PANICS } else { &ERRORS };
    starts.iter().any(|start| text.starts_with(start))
        || (kind == "panic" && without_recovered(text).len() < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lines: &[&str]) -> String {
        let mut messages = Messages::default();
        messages.begin("panic", lines[0].as_bytes());
        lines[1..].iter().for_each(|line| assert!(messages.line(line.as_bytes())));
        messages.exceptions().remove(0).1
    }

    #[test]
    fn tabs_of_the_runtime_are_taken_off() {
        assert_eq!(value(&["a:", "\t  - b", "\t", "\tc", ""]), "a:\n  - b\n\nc");
        assert_eq!(value(&["a:", "  - b", "", "c", ""]), "a:\n  - b\n\nc");
        // An older release, and a message with one indented line.
        assert_eq!(value(&["a:", "\tb", "c", ""]), "a:\n\tb\nc");
        assert_eq!(value(&["a", "\t", ""]), "a");
        assert_eq!(value(&["a [recovered]"]), "a");
        assert_eq!(value(&["a", "\tb [recovered, repanicked]"]), "a\nb");
    }

    #[test]
    fn log_lines_are_no_message() {
        assert_eq!(value(&["a", "2026/11/22 00:51:21 WARN slow", "\tb"]), "a\nb");
        assert_eq!(value(&["a", "{\"level\":\"info\"}", ""]), "a");
    }

    #[test]
    fn a_message_without_end_is_none_and_a_long_one_is_cut() {
        let mut messages = Messages::default();
        messages.begin("panic", b"x");
        assert!((0..300).any(|_| !messages.line(b"more")));
        let mut messages = Messages::default();
        messages.begin("panic", b"x");
        assert!((0..10_000).all(|_| messages.line(&[b'\t'; 100])));
        assert_eq!(messages.exceptions()[0].1.len().max(MOST_TEXT), MOST_TEXT);
    }
}
