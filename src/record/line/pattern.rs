//! Records whose parts stand in a row: a time, a level, names in brackets, then the message.
//!
//! Python's logging, log4j, logback, JBoss, Spring, loguru, hclog, env_logger, fern, spdlog,
//! `tracing`, zap's and zerolog's consoles, Go's log, nginx and Postgres differ in order and
//! punctuation only, so one reader takes the parts as they come. A line is a record if it begins
//! with a time, or with a level in capitals or in brackets.

use serde_json::Value;
use tracing_core::Level;

use super::record::Record;
use super::stamp::Stamp;
use super::text::{bracketed, is_name, is_number, source, word};
use super::{level, pairs, scope};

/// Most parts before a message.
const MOST_PARTS: usize = 10;

/// What has been read of a line.
#[derive(Default)]
struct Reading {
    record: Record,
    /// Whether pairs at the end of the message are the record's fields.
    has_fields: bool,
    /// Whether the last part was a process id as Spring prints it, before the thread.
    before_thread: bool,
    /// Whether a name in brackets came before the level: a thread's, or the logger's if no other
    /// follows.
    named_before_level: bool,
    /// Whether the time was in Go's form.
    go: bool,
}

/// Reads such a line.
pub fn parse(line: &str) -> Option<Record> {
    // `tracing` without a time pads the level to five letters.
    let text = line.strip_prefix(' ').filter(|rest| level::leading(rest).is_some()).unwrap_or(line);
    let mut reading = Reading::default();
    let mut rest = reading.begin(text)?;
    if let Some(after) = reading.server(rest) {
        rest = after;
    } else {
        for _ in 0..MOST_PARTS {
            rest = rest.trim_start_matches([' ', '\t']);
            let Some(after) = reading.part(rest) else { break };
            rest = after;
        }
    }
    Some(reading.end(rest))
}

impl Reading {
    /// The first part, without which a line is no record.
    fn begin<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        if let Some((stamp, rest)) = Stamp::leading(text) {
            self.record.stamp = Some(stamp);
            self.go = text.as_bytes().get(4) == Some(&b'/');
            return (rest.is_empty() || rest.starts_with([' ', '\t', ':', ']', '|', ',']))
                .then_some(rest);
        }
        // Ruby's: `I, [2026-03-04T05:06:07 #7]  INFO -- app: message`.
        let text = match text.split_once(", [") {
            Some((letter, rest)) if letter.len() == 1 => &text[text.len() - rest.len() - 1..],
            _ => text,
        };
        if let Some((inner, rest)) = bracketed(text, '[', ']') {
            if self.first_bracket(inner) {
                return Some(rest);
            }
            // `[2026-03-04][05:06:07]`
            let (stamp, rest) = Stamp::leading(&text[1..])?;
            self.record.stamp = Some(stamp);
            return rest.strip_prefix(']');
        }
        let (level, rest) = level::leading(text)?;
        self.record.level = Some(level);
        // `INFO[0042] message` is logrus on a terminal.
        if let Some((seconds, after)) = bracketed(rest, '[', ']') {
            self.has_fields = is_number(seconds);
            return self.has_fields.then_some(after);
        }
        Some(self.python(rest).unwrap_or(rest))
    }

    /// `[2026-03-04T05:06:07Z INFO  app::net]`, `[INFO]`, `[2026-03-04][05:06:07]`.
    fn first_bracket(&mut self, inner: &str) -> bool {
        let inner = inner.trim();
        let mut rest = inner;
        if let Some((stamp, after)) = Stamp::leading(rest) {
            self.record.stamp = Some(stamp);
            rest = after.trim_start_matches([' ', ':']);
        }
        // Ruby's logger prints the process behind the time, Celery one behind the level.
        if let Some(process) = rest.strip_prefix('#').filter(|process| is_number(process)) {
            self.record.set_thread(process);
            return self.record.stamp.is_some();
        }
        let (first, after) = word(rest);
        let (first, process) = first.split_once('/').unwrap_or((first, ""));
        self.record.level = level::of_word(first);
        self.record.set_thread(if self.record.level.is_some() { process } else { "" });
        match self.record.level {
            Some(_) => {
                let target = after.trim();
                self.record.target = is_name(target).then(|| target.to_owned());
                true
            }
            None => self.record.stamp.is_some() && rest.is_empty(),
        }
    }

    /// `:root:message` behind a level.
    fn python<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let (name, message) = rest.strip_prefix(':')?.split_once(':')?;
        if !is_name(name) || name.starts_with(':') {
            return None;
        }
        self.record.target = Some(name.to_owned());
        Some(message)
    }

    /// What servers print behind the time: nginx's `[error] 7#7: *1 message`, Postgres'
    /// `[123] user@db ERROR:  message`.
    fn server<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let (inner, after) = bracketed(rest.strip_prefix(' ')?, '[', ']')?;
        let after = after.strip_prefix(' ')?;
        if is_number(inner)
            || inner.split_once('-').is_some_and(|(id, n)| is_number(id) && is_number(n))
        {
            let capital = after.find(|c: char| c.is_ascii_uppercase())?;
            let (user, said) = after.split_at(capital.min(100));
            let (level, message) = level::leading(said)?;
            let message = message.strip_prefix(":  ")?;
            self.record.level = Some(level);
            self.record.target = Some("postgres".to_owned());
            self.record.set_thread(inner.split('-').next().unwrap_or(inner));
            if !user.trim().is_empty() {
                self.record.fields.insert("user".to_owned(), Value::from(user.trim()));
            }
            return Some(message);
        }
        let level = level::of_word(inner)?;
        let (ids, message) = after.split_once(": ")?;
        let (process, thread) = ids.split_once('#')?;
        if !is_number(process) || !is_number(thread) {
            return None;
        }
        self.record.level = Some(level);
        self.record.target = Some("nginx".to_owned());
        self.record.set_thread(process);
        let connection = message.strip_prefix('*').and_then(|rest| rest.split_once(' '));
        match connection.and_then(|(number, rest)| Some((number.parse::<u64>().ok()?, rest))) {
            Some((number, rest)) => {
                self.record.fields.insert("connection".to_owned(), Value::from(number));
                Some(rest)
            }
            None => Some(message),
        }
    }

    /// Takes one part; `None` where the message begins.
    fn part<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        if let Some(after) = separator(rest) {
            self.before_thread |= rest.starts_with("---");
            return Some(after);
        }
        if rest.starts_with('[') {
            return self.bracket(rest);
        }
        if self.record.level.is_none() {
            return self.before_level(rest);
        }
        self.behind_level(rest)
    }

    /// A level, or a name that comes before it.
    fn before_level<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        if let Some((level, after)) = level::leading(rest) {
            // zerolog's console has levels of three letters.
            let len = rest.len() - after.len();
            self.has_fields |= len == 3 || self.go;
            self.record.level = Some(level);
            return Some(after.strip_prefix(':').unwrap_or(after));
        }
        // `{file.py:42} LEVEL - message`
        if let Some((place, after)) = bracketed(rest, '{', '}')
            && let Some(place) = source(place)
        {
            self.record.set_source(place);
            return Some(after);
        }
        let (first, after) = word(rest);
        // capnslog's `I | package: message`.
        if let Some((level, target, after)) = capnslog(first, after) {
            self.record.level = Some(level);
            self.record.target = Some(target.to_owned());
            return Some(after);
        }
        if self.go {
            // `file.go:42: message`
            let place = first.strip_suffix(':').and_then(source)?;
            self.record.set_source(place);
            return Some(after);
        }
        // `name - LEVEL - message`
        let named = after.starts_with(" - ") || after.starts_with(" | ");
        if named && is_name(first) && self.record.target.is_none() && level_follows(after) {
            self.record.target = Some(first.to_owned());
            return Some(after);
        }
        if is_number(first) && level_follows(after) {
            self.record.set_thread(first);
            return Some(after);
        }
        // A level in small letters before a colon is a part of the message as well.
        let level = first.strip_suffix(':').and_then(level::of_word);
        self.record.level = level;
        None
    }

    /// A thread, a logger, spans or a place.
    fn behind_level<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let (first, after) = word(rest);
        // zap's console: `logger TAB file.go:42 TAB message`.
        if (after.starts_with('\t') || self.record.file.is_none() && !self.go)
            && let Some(place) = source(first)
        {
            self.record.set_source(place);
            self.has_fields |= after.starts_with('\t');
            return Some(after);
        }
        if self.record.target.is_some() {
            if let Some((thread, after)) = bracketed(rest, '(', ')')
                && self.record.thread.name.is_none()
                && after.starts_with(' ')
                && is_thread(thread)
            {
                self.record.set_thread(thread);
                return Some(after);
            }
            return None;
        }
        if is_number(first) && after.trim_start().starts_with("---") {
            self.record.set_thread(first);
            return Some(after);
        }
        let tabbed =
            after.strip_prefix('\t').map(|after| after.split('\t').next().unwrap_or(after));
        if tabbed.is_some_and(|next| source(next).is_some()) && is_name(first) {
            self.record.target = Some(first.to_owned());
            return Some(after);
        }
        // A logger and ` - `, ` : ` or ` | `; loguru's has function and line.
        let ends = [" - ", " : ", " > "].iter().any(|end| {
            after.trim_start_matches(' ').starts_with(&end[1..]) && after.starts_with(' ')
        });
        if ends && is_name(first) {
            let parts: Vec<&str> = first.split(':').collect();
            match parts[..] {
                [name, function, line] if is_number(line) && !function.is_empty() => {
                    self.record.target = Some(name.to_owned());
                    self.record.fields.insert("function".to_owned(), Value::from(function));
                    self.record.line = line.parse().ok();
                }
                _ => self.record.target = Some(first.to_owned()),
            }
            return Some(after);
        }
        if self.go {
            return None;
        }
        let after = scope::parse(rest, &mut self.record)?;
        self.has_fields = true;
        Some(after)
    }

    /// A level, a thread or a logger in brackets.
    fn bracket<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let (inner, after) = bracketed(rest, '[', ']')?;
        let inner = inner.trim();
        let is_done = self.record.target.is_some() && self.record.level.is_some();
        if inner.len() > 100 || is_done && !inner.starts_with("pid ") {
            return None;
        }
        if self.record.level.is_none() && self.record.thread.name.is_none() {
            // Level and target in one, or each in its own.
            let (first, more) = word(inner);
            // Apache's `[core:error]`.
            if let Some((module, level)) = inner.split_once(':')
                && let Some(level) = level::of_word(level)
                && is_name(module)
            {
                self.record.level = Some(level);
                self.record.target = Some(module.to_owned());
                return Some(after);
            }
            if let Some(level) = level::of_word(first) {
                self.record.level = Some(level);
                let target = more.trim();
                self.record.target =
                    is_name(target).then(|| target.to_owned()).or(self.record.target.take());
                self.has_fields = after.starts_with("  ");
                return Some(after);
            }
        } else if self.record.level.is_none()
            && let Some(level) = level::of_word(inner)
        {
            self.named_before_level = true;
            self.record.level = Some(level);
            return Some(after);
        }
        // `LEVEL [thread] logger - message`, but `LEVEL [logger] message`.
        let (next, more) = word(after.trim_start_matches(' '));
        let logger_follows = is_name(next)
            && (more.starts_with(" - ") || more.trim_start().starts_with(": "))
            || next
                .strip_suffix(':')
                .is_some_and(|name| is_name(name) && name.contains('.') && source(name).is_none());
        let is_logger = self.record.level.is_some() && !self.before_thread && !logger_follows;
        if is_logger && is_name(inner) {
            self.record.target = Some(inner.to_owned());
        } else if is_thread(inner)
            && (self.before_thread || self.record.thread.name.is_none())
            && !self.go
        {
            self.record.set_thread(inner);
        } else {
            return None;
        }
        Some(after)
    }

    /// The rest is the message, with fields behind it.
    fn end(mut self, rest: &str) -> Record {
        if self.named_before_level && self.record.target.is_none() {
            self.record.target = self.record.thread.name.take();
        }
        let message = rest.strip_prefix(':').unwrap_or(rest).trim_start_matches([' ', '\t']);
        // zap's console prints its fields as JSON behind a tab.
        let json = message.rsplit_once('\t').filter(|(_, json)| json.starts_with('{'));
        if let Some((text, json)) = json
            && let Ok(Value::Object(mut fields)) = serde_json::from_str(json)
        {
            self.record.fields.append(&mut fields);
            self.record.message = text.to_owned();
        } else if self.has_fields {
            let (text, mut fields) = pairs::split_trailing(message);
            self.record.fields.append(&mut fields);
            self.record.message = text.to_owned();
        } else {
            self.record.message = message.to_owned();
        }
        self.record
    }
}

/// A level of one letter, a bar and a package, as older releases of etcd print them.
fn capnslog<'a>(letter: &str, rest: &'a str) -> Option<(Level, &'a str, &'a str)> {
    let level = match letter {
        "C" | "E" => Level::ERROR,
        "W" => Level::WARN,
        "N" | "I" => Level::INFO,
        "D" => Level::DEBUG,
        "T" => Level::TRACE,
        _ => return None,
    };
    let (target, message) = rest.strip_prefix(" | ")?.split_once(": ")?;
    is_name(target).then_some((level, target, message))
}

/// What stands between two parts.
fn separator(rest: &str) -> Option<&str> {
    ["--- ", "-- ", "- ", "| ", "– ", ": ", "> ", "]"]
        .iter()
        .find_map(|mark| rest.strip_prefix(mark))
}

/// Whether a level comes within the next two parts.
fn level_follows(rest: &str) -> bool {
    let mut rest = rest;
    for _ in 0..3 {
        let before = rest.trim_start_matches([' ', '-', '|']);
        rest = before.trim_start_matches('[');
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let in_brackets = before.len() > rest.len() && level::of_word(&rest[..end]).is_some();
        if in_brackets || level::leading(rest).is_some() {
            return true;
        }
        rest = word(rest).1;
    }
    false
}

/// Whether a text in brackets can name a thread.
fn is_thread(text: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || " _.:-/#@$".contains(c);
    (1..=100).contains(&text.len()) && text.chars().all(of_name)
}
