//! A panic's message, and where it ends.
//!
//! A message may have any number of lines and nothing marks its end, but what the standard library
//! prints after it: a note, a backtrace, or that it aborts. All before one of these is the message.
//! But the note is printed once a process, so behind a later panic there may be nothing. Then the
//! message is its first line and those after it that read like more of the same: indented ones,
//! closing brackets, list items, what follows a line that ends in an opening bracket, a colon or a
//! comma, and the headings that error reports are known to have (`Caused by:`). **Lost:** the plain
//! lines of such a message; in return no log line is taken for a part of it.

/// How much of a message is kept.
const MOST_BYTES: usize = 64 * 1024;

/// How many lines that do not read like a message's are read on for a proof that they are.
const LOOK_AHEAD: usize = 64;

/// A message as it is read.
#[derive(Debug, Default, Clone)]
pub struct Message {
    lines: Vec<String>,
    kept: usize,
    missing: usize,
    /// How many of the lines read like one message.
    coherent: usize,
    /// Whether all lines are known to be the message's.
    sealed: bool,
}

impl Message {
    /// A message that is known whole.
    pub fn whole(text: &str) -> Message {
        let mut message = Message::default();
        text.split('\n').for_each(|line| message.push(line));
        message.seal();
        message
    }

    /// Adds a line.
    pub fn push(&mut self, whole: &str) {
        if self.missing > 0 {
            self.missing += whole.len() + 1;
            return;
        }
        let line = &whole[..whole.floor_char_boundary(MOST_BYTES.saturating_sub(self.kept))];
        self.missing = whole.len() - line.len();
        self.kept += line.len() + 1;
        if self.lines.len() == self.coherent && self.goes_on_with(line) {
            self.coherent += 1;
        } else if self.coherent + 1 == self.lines.len()
            && self.lines.last().is_some_and(|last| last.trim().is_empty())
            && goes_on_after_blank(line)
        {
            self.coherent += 2;
        }
        self.lines.push(line.to_owned());
    }

    /// Says that all lines so far are the message's.
    pub fn seal(&mut self) {
        self.sealed = true;
    }

    /// Whether no line has been read.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a part of it could not be kept.
    pub fn is_cut(&self) -> bool {
        self.missing > 0
    }

    /// Whether the last line is only held until something proves it to be the message's.
    pub fn is_astray(&self) -> bool {
        !self.sealed && self.coherent < self.lines.len()
    }

    /// About how many bytes it holds.
    pub fn held_bytes(&self) -> usize {
        self.kept + self.lines.len() * size_of::<String>()
    }

    /// Whether so many lines have not read like the message's that no proof is waited for any more.
    pub fn is_given_up(&self) -> bool {
        self.lines.len() - self.coherent > LOOK_AHEAD
    }

    /// Takes the lines from the last one that `begins` on out of the message.
    pub fn split_off(&mut self, begins: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let at = self.lines.iter().rposition(|line| begins(line))?;
        self.coherent = self.coherent.min(at);
        Some(self.lines.split_off(at))
    }

    /// The message, with the cut marked.
    pub fn value(&self) -> String {
        let lines = if self.sealed { self.lines.len() } else { self.coherent };
        let value = self.lines[..lines].join("\n");
        let value = value.trim_end_matches('\n');
        match self.missing {
            0 => value.to_owned(),
            missing => format!("{value}… ({missing} more bytes)"),
        }
    }

    /// Whether `line` reads like more of the lines before it.
    fn goes_on_with(&self, line: &str) -> bool {
        let Some(last) = self.lines.last() else { return true };
        let opened = last.trim_end().ends_with(['{', '(', '[', ':', ',', '\\', '|']);
        if line.trim().is_empty() {
            // It counts when the line after it does.
            return false;
        }
        opened || is_inner(line)
    }
}

/// Whether a line cannot stand alone.
fn is_inner(line: &str) -> bool {
    const STARTS: [&str; 10] = ["- ", "* ", "+ ", "| ", "<", ">", "}", ")", "]", "Caused by:"];
    line.starts_with([' ', '\t', '•']) || STARTS.iter().any(|start| line.starts_with(start))
}

fn goes_on_after_blank(line: &str) -> bool {
    const HEADINGS: [&str; 5] =
        ["Caused by:", "Stack backtrace:", "Location:", "Backtrace:", "Diff < left / right > :"];
    is_inner(line) || HEADINGS.iter().any(|heading| line.starts_with(heading))
}

/// Whether a line begins like a logger's record: with a date or a time, a level, a brace of JSON.
pub fn looks_like_record(line: &str) -> bool {
    let line = line.strip_prefix(' ').unwrap_or(line);
    if line.starts_with("\x1b[") || line.starts_with("{\"") {
        return true;
    }
    let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let inner = match priority {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line.trim_start_matches(['[', '<', '(']),
    };
    let level_in_brackets = inner.len() < line.len() && is_level(inner, true);
    level_in_brackets
        || is_level(line, false)
        || has_shape(inner, "0000-00-00")
        || has_shape(inner, "0000/00/00")
        || has_shape(inner, "00:00:00")
        || has_shape(inner, "aaa 00 00:00:00")
        || has_shape(inner, "aaa  0 00:00:00")
        || (line.starts_with(['I', 'W', 'E', 'F']) && has_shape(&line[1..], "0000 00:00:00"))
        || ["time=", "ts=", "level=", "lvl=", "t="].iter().any(|key| line.starts_with(key))
}

/// Whether a line begins with the name of a level; in lower case only where brackets are around it.
fn is_level(line: &str, any_case: bool) -> bool {
    const LEVELS: [&str; 12] = [
        "TRACE", "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "NOTICE",
        "ALERT", "ERR", "EMERG",
    ];
    let end = line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len());
    let (word, after) = line.split_at(end);
    let known =
        LEVELS.iter().any(|level| *level == word || (any_case && level.eq_ignore_ascii_case(word)));
    known && after.starts_with([' ', ':', ']', '|', '\t', '['])
}

/// Whether a line begins with a digit for each `0` of the shape, a letter for each `a`, and
/// itself for anything else.
fn has_shape(line: &str, shape: &str) -> bool {
    line.len() >= shape.len()
        && line.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            _ => byte == shape,
        })
}
