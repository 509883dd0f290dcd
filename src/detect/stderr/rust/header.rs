//! First lines of reports.
//!
//! **Guarantee:** a header is a whole line: what stands behind a place makes it a quotation. A
//! thread's name may hold anything, quotes and ` panicked at ` too.

use super::message::looks_like_record;
use crate::detect::{CrashedThread, Location};

/// The first line of a panic.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The thread, where it is named.
    pub thread: Option<CrashedThread>,
    /// What the line says of message and place.
    pub opening: Opening,
    /// Whether the line alone is no proof of a panic.
    pub doubtful: bool,
    /// Whether the standard library says in this line that the process aborts.
    pub aborts: bool,
}

/// Message and place in a first line.
#[derive(Debug, Clone, PartialEq)]
pub enum Opening {
    /// The place; the message follows (since 1.73).
    Place(Location),
    /// Both, the message in quotes (until 1.72).
    Both(String, Location),
    /// The first line of a message in quotes that goes on.
    Quoted(String),
}

/// A first line that is not a panic's.
#[derive(Debug, Clone, PartialEq)]
pub enum Fatal {
    /// `thread 'main' has overflowed its stack`.
    Overflow(CrashedThread),
    /// `fatal runtime error: WHAT`.
    Runtime(String),
    /// `memory allocation of N bytes failed`, whole.
    Memory(String),
}

const PANICKED: &str = " panicked at ";
const THREAD: &str = "thread '";

/// A line that is a panic's header from its beginning.
pub fn panic(text: &str) -> Option<Header> {
    if let Some(place) = text.strip_prefix("aborting due to panic at ") {
        let opening = Opening::Place(self::place(place)?);
        return Some(Header { thread: None, opening, doubtful: false, aborts: true });
    }
    let (thread, opening) = of_thread(text)?;
    Some(Header { thread: Some(thread), opening, doubtful: false, aborts: false })
}

/// A line that may be a panic's header, behind something printed without a newline or in the words of
/// a program's own hook.
pub fn candidate(text: &str) -> Option<Header> {
    let doubtful = |thread, opening| Header { thread, opening, doubtful: true, aborts: false };
    if looks_like_record(text) {
        return None;
    }
    let starts = text.match_indices(THREAD).filter(|(at, _)| *at > 0).take(4);
    for (at, _) in starts {
        let whole = |opening: &Opening| !matches!(opening, Opening::Quoted(_));
        match of_thread(&text[at..]).filter(|(_, opening)| whole(opening)) {
            Some(_) if is_quoting(&text[..at]) => return None,
            Some((thread, opening)) => return Some(doubtful(Some(thread), opening)),
            None => {}
        }
    }
    let word = PANICKED.trim_start();
    let at = text.rfind(word).filter(|at| text.ends_with(':') && !text[*at..].contains('\''));
    let at = at.or_else(|| text.find("panicked at '"))?;
    let (before, after) = (&text[..at], &text[at + word.len()..]);
    if is_quoting(before) {
        return None;
    }
    let opening = opening(after).filter(|opening| !matches!(opening, Opening::Quoted(_)))?;
    // The end of a thread's name with a newline in it.
    let thread = before.trim_end().strip_suffix(')').and_then(|before| before.rsplit_once("' ("));
    let id = thread.and_then(|(_, id)| id.parse().ok());
    let thread = id.map(|id| CrashedThread { id: Some(id), name: None, main: false });
    Some(doubtful(thread, opening))
}

/// Whether what stands before a header shows that somebody tells of it.
fn is_quoting(before: &str) -> bool {
    let last = before.trim_end().chars().next_back();
    last.is_some_and(|last| matches!(last, '"' | '`' | '=' | '>' | '\\'))
        || before.contains("{\"")
        || before.contains("level=")
        || before.contains("//")
}

/// Reads `thread 'NAME' panicked at ...`, with an id or without.
fn of_thread(text: &str) -> Option<(CrashedThread, Opening)> {
    let text = text.strip_prefix(THREAD)?;
    // With the place last on the line, what is left of it is the name, whatever it holds.
    if let Some(at) = text.rfind(PANICKED)
        && let Some(thread) = thread(&text[..at])
        && let Some(opening @ Opening::Place(_)) = opening(&text[at + PANICKED.len()..])
    {
        return Some((thread, opening));
    }
    let (name, after) = text.split_once("' panicked at '")?;
    let thread = CrashedThread { id: None, name: Some(name.to_owned()), main: name == "main" };
    Some((thread, quoted(after)))
}

/// Reads what follows `panicked at `.
fn opening(after: &str) -> Option<Opening> {
    match after.strip_prefix('\'') {
        Some(message) => Some(quoted(message)),
        None => place(after).map(Opening::Place),
    }
}

/// A place last on its line, as it is printed since 1.73.
fn place(text: &str) -> Option<Location> {
    location(text.strip_suffix(':')?).filter(|place| place.column > 0)
}

fn quoted(message: &str) -> Opening {
    match closing(message) {
        Some((message, location)) => Opening::Both(message.to_owned(), location),
        None => Opening::Quoted(message.to_owned()),
    }
}

/// The end of a quoted message: what is before the last `', FILE:LINE:COLUMN`, and the place.
pub fn closing(text: &str) -> Option<(&str, Location)> {
    let (message, place) = text.rsplit_once("', ")?;
    Some((message, location(place)?))
}

/// `NAME'` or `NAME' (ID)`.
fn thread(text: &str) -> Option<CrashedThread> {
    let named = |name: &str, id| {
        Some(CrashedThread { id, name: Some(name.to_owned()), main: name == "main" })
    };
    if let Some((name, id)) = text.strip_suffix(')').and_then(|text| text.rsplit_once("' (")) {
        return named(name, Some(id.parse().ok()?));
    }
    named(text.strip_suffix('\'')?, None)
}

/// `FILE:LINE:COLUMN`, or without the column as it was until 1.24.
pub fn location(text: &str) -> Option<Location> {
    let number = |text: &str| -> Option<u32> {
        let digits = text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (before, last) = text.rsplit_once(':')?;
    let last = number(last)?;
    let with_column = before.rsplit_once(':').and_then(|(file, line)| Some((file, number(line)?)));
    let (file, line, column) = match with_column {
        Some((file, line)) => (file, line, last),
        None => (before, last, 0),
    };
    let is_path = file.contains(['.', '/', '\\', '<']);
    let plain = !file.starts_with(' ') && !file.chars().any(char::is_control);
    (is_path && plain && line > 0).then(|| Location { file: file.to_owned(), line, column })
}

/// A line that begins a report of another kind than a panic.
pub fn fatal(text: &str) -> Option<Fatal> {
    if let Some(what) = text.strip_prefix("fatal runtime error: ") {
        let what = what.strip_suffix(", aborting").unwrap_or(what);
        return Some(Fatal::Runtime(what.to_owned()));
    }
    if let Some(of) = text.strip_prefix("memory allocation of ") {
        let bytes = of.strip_suffix(" bytes failed")?;
        let number = !bytes.is_empty() && bytes.bytes().all(|byte| byte.is_ascii_digit());
        return number.then(|| Fatal::Memory(text.to_owned()));
    }
    let before = text.strip_suffix(" has overflowed its stack")?;
    thread(before.strip_prefix(THREAD)?).map(Fatal::Overflow)
}

/// Whether a line begins a report of this or of another runtime: an open report ends before it.
pub fn begins_report(text: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "panic: ",
        "fatal error: ",
        "goroutine ",
        "Traceback (most recent call last):",
        "Exception in thread \"",
        "SIGQUIT: quit",
        "WARNING: DATA RACE",
        "The application panicked (crashed).",
    ];
    // A message that goes on after its first line is not yet proof of a panic.
    let panic = panic(text).is_some_and(|header| !matches!(header.opening, Opening::Quoted(_)));
    panic || fatal(text).is_some() || OTHERS.iter().any(|other| text.starts_with(other))
}
