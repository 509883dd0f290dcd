//! The lines of a Go stack dump, as `traceback.go` and `signal_unix.go` of the runtime print them.
//!
//! Formats changed with releases: `{...}` and `?` among arguments (1.18), `in goroutine N` (1.21),
//! `gp= m= mp=` in headers (1.23), `(durable)` and `synctest bubble N` in states (1.24), `(leaked)`
//! states and labels behind them (1.26). None of them is relied on.

use crate::detect::Frame;

use super::super::text::{decode, hex, leading_number, number};
use super::names;

/// Longest part of a line that is kept: a state, a file's name, a function's name.
const MOST_PART: usize = 1024;

/// What a line of a dump is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DumpLine<'a> {
    /// Nothing: between two stacks.
    Blank,
    /// `goroutine 7 [chan receive, 5 minutes]:`.
    Goroutine(Header),
    /// `runtime stack:`, that of the thread's own scheduler.
    RuntimeStack,
    /// `main.(*job).start(...)`: the function without its arguments.
    Function(&'a [u8]),
    /// `non-Go function at pc=0x...`: all of a C function that is known.
    Foreign(u64),
    /// A tab, and a place: the file, the line, and what else is kept.
    Place(Place<'a>),
    /// `created by main.main in goroutine 1`: the function.
    CreatedBy(&'a [u8]),
    /// `...12 frames elided...`; 0 if their number is not said.
    Elided(u64),
    /// `[originating from goroutine 1]:`: the stack of a goroutine's maker follows.
    Ancestor,
    /// `goroutine running on other thread; stack unavailable`.
    Unavailable,
    /// Anything else that belongs to a dump: registers, the unwinder's own complaints.
    Detail,
    /// Nothing of a dump. A C function's name looks like this, too.
    Other,
}

/// The head of a goroutine's stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u64,
    /// Without the time, and with the labels: `IO wait, locked to thread`.
    pub(super) state: String,
    pub(super) minutes: Option<u64>,
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) file: &'a [u8],
    pub(super) line: Option<u32>,
    pub(super) pc: Option<u64>,
}

/// What `line` is.
pub(super) fn classify(line: &[u8]) -> DumpLine<'_> {
    match line.first() {
        None => DumpLine::Blank,
        Some(b'\t') => indented(&line[1..]),
        Some(b'.') => elided(line).map_or(DumpLine::Other, DumpLine::Elided),
        Some(b'[') => bracketed(line),
        _ => unindented(line),
    }
}

fn indented(text: &[u8]) -> DumpLine<'_> {
    if text.starts_with(b"goroutine running on other thread") {
        return DumpLine::Unavailable;
    }
    place(text).map_or(DumpLine::Other, DumpLine::Place)
}

fn bracketed(line: &[u8]) -> DumpLine<'_> {
    if line.starts_with(b"[originating from goroutine ") {
        DumpLine::Ancestor
    } else if line.starts_with(b"[signal ") {
        DumpLine::Detail
    } else {
        DumpLine::Other
    }
}

fn unindented(line: &[u8]) -> DumpLine<'_> {
    if let Some(header) = header(line) {
        return DumpLine::Goroutine(header);
    }
    if line == b"runtime stack:" {
        return DumpLine::RuntimeStack;
    }
    if let Some(maker) = line.strip_prefix(b"created by ") {
        let end = memchr::memmem::find(maker, b" in goroutine ").unwrap_or(maker.len());
        return DumpLine::CreatedBy(&maker[..end.min(MOST_PART)]);
    }
    if let Some(rest) = line.strip_prefix(b"non-Go function") {
        let pc = rest.strip_prefix(b" at pc=").and_then(hex);
        return pc.map_or(DumpLine::Function(b"non-Go function"), DumpLine::Foreign);
    }
    if is_detail(line) {
        return DumpLine::Detail;
    }
    function(line).map_or(DumpLine::Other, DumpLine::Function)
}

/// `goroutine 1 gp=0xc000002380 m=0 mp=0x506100 [running]:`, with labels before the colon.
pub(super) fn header(line: &[u8]) -> Option<Header> {
    let rest = line.strip_prefix(b"goroutine ")?;
    let (id, digits) = leading_number(rest)?;
    let open = rest.iter().position(|byte| *byte == b'[')?;
    // Between number and state stand only words of the form `gp=0x...`.
    let known = |word: &[u8]| word.is_empty() || word.contains(&b'=');
    if !rest[digits..open].split(|byte| *byte == b' ').all(known) {
        return None;
    }
    let inner = rest[open + 1..].strip_suffix(b":")?;
    let close = inner.iter().position(|byte| *byte == b']')?;
    let labels = inner[close + 1..].trim_ascii();
    let labelled = labels.starts_with(b"{") && labels.ends_with(b"}");
    if !(labels.is_empty() || labelled) {
        return None;
    }
    let (state, minutes) = state(&inner[..close.min(MOST_PART)]);
    let labels = &labels[..labels.len().min(MOST_PART)];
    let separator = if labels.is_empty() { "" } else { " " };
    Some(Header { id, state: format!("{state}{separator}{}", decode(labels)), minutes })
}

/// The state and, apart, for how long it has been so.
fn state(text: &[u8]) -> (String, Option<u64>) {
    let text = decode(text);
    let mut minutes = None;
    let mut kept = Vec::new();
    for part in text.split(", ") {
        match part.strip_suffix(" minutes").and_then(|part| number(part.as_bytes())) {
            Some(time) => minutes = Some(time),
            None => kept.push(part),
        }
    }
    (kept.join(", "), minutes)
}

/// A name, and arguments in parentheses at the line's end.
fn function(line: &[u8]) -> Option<&[u8]> {
    let inner = line.strip_suffix(b")")?;
    let mut depth = 1u32;
    let open = inner.iter().rposition(|byte| {
        match byte {
            b')' => depth += 1,
            b'(' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let (name, arguments) = (&inner[..open], &inner[open + 1..]);
    let named = !name.is_empty() && name.len() <= MOST_PART && is_name(name);
    (named && is_arguments(arguments)).then_some(name)
}

/// Names have no spaces but in the type of a receiver: `go.(*struct { sync.Mutex; n int }).Lock`.
fn is_name(name: &[u8]) -> bool {
    let head = &name[..name.iter().position(|byte| b"([".contains(byte)).unwrap_or(name.len())];
    let starts = head
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80);
    starts && !head.iter().any(|byte| byte.is_ascii_whitespace() || b"\"'=,;{".contains(byte))
}

/// Arguments are numbers, `_`, `...` and braces.
fn is_arguments(arguments: &[u8]) -> bool {
    let is_value = |value: &[u8]| {
        let value = value.strip_suffix(b"?").unwrap_or(value);
        matches!(value, b"" | b"_" | b"...") || hex(value).is_some()
    };
    arguments.split(|byte| b"{}, ".contains(byte)).all(is_value)
}

/// `/srv/app/main.go:14 +0x45 fp=0x... sp=0x... pc=0x45a2a5`; a C frame's `pc=0x...` alone.
pub(super) fn place(text: &[u8]) -> Option<Place<'_>> {
    let (mut end, mut pc) = (text.len(), None);
    // From behind: file names may hold spaces.
    while let Some(space) = text[..end].iter().rposition(|byte| *byte == b' ') {
        let word = &text[space + 1..end];
        if let Some(address) = word.strip_prefix(b"pc=") {
            pc = Some(hex(address)?);
        } else if !is_offset(word) {
            break;
        }
        end = space;
    }
    if let Some(address) = text[..end].strip_prefix(b"pc=") {
        return Some(Place { file: b"", line: None, pc: Some(hex(address)?) });
    }
    let colon = text[..end].iter().rposition(|byte| *byte == b':')?;
    let line = number(&text[colon + 1..end])?;
    let file = &text[..colon.min(MOST_PART)];
    (colon > 0).then(|| Place { file, line: u32::try_from(line).ok(), pc })
}

/// `+0x1d`, `fp=0x...`, `sp=0x...`.
fn is_offset(word: &[u8]) -> bool {
    [&b"+"[..], b"fp=", b"sp="]
        .iter()
        .any(|start| word.strip_prefix(*start).and_then(hex).is_some())
}

/// `...12 frames elided...`, `...additional frames elided...`.
fn elided(line: &[u8]) -> Option<u64> {
    let inner = line.strip_prefix(b"...")?.strip_suffix(b" frames elided...")?;
    if inner == b"additional" { Some(0) } else { number(inner) }
}

/// What else the runtime prints among stacks.
fn is_detail(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] = [
        b"runtime: ",
        b"stack: frame={",
        b"panic during panic",
        b"stack trace unavailable",
        b"runtime.gopanic: ",
        b"goroutine running on other thread",
    ];
    line == b"-----"
        || is_exit_status(line)
        || STARTS.iter().any(|start| line.starts_with(start))
        || is_registers(line)
        || is_hex_dump(line)
}

/// `exit status 2`, as `go run` prints behind a report.
pub(super) fn is_exit_status(line: &[u8]) -> bool {
    line.strip_prefix(b"exit status ").is_some_and(|code| number(code).is_some())
        || line == b"signal: aborted (core dumped)"
        || line == b"signal: aborted"
}

/// `rax    0xfffffffffffffdfc`, on some processors two in a line.
fn is_registers(line: &[u8]) -> bool {
    let mut words =
        line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return false;
    }
    while let Some(name) = words.next() {
        let named = name.len() <= 8 && name.first().is_some_and(u8::is_ascii_lowercase);
        if !named || words.next().and_then(hex).is_none() {
            return false;
        }
    }
    true
}

/// `0x00007ffeb231b2b0:  0x0000000000000000 ...`, the memory around a stack pointer.
fn is_hex_dump(line: &[u8]) -> bool {
    let Some(colon) = line.iter().take(24).position(|byte| *byte == b':') else { return false };
    hex(&line[..colon]).is_some()
}

/// The frame of a function at a place.
pub(super) fn frame(function: &[u8], place: &Place<'_>) -> Frame {
    let mut frame = names::frame(function);
    frame.file = (!place.file.is_empty()).then(|| decode(place.file));
    (frame.line, frame.address) = (place.line, place.pc);
    frame.in_app = names::is_in_app(&frame);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> (u64, String, Option<u64>) {
        let header = header(text.as_bytes()).expect("a header");
        (header.id, header.state, header.minutes)
    }

    #[test]
    fn headers() {
        assert_eq!(head("goroutine 1 [running]:"), (1, "running".to_owned(), None));
        assert_eq!(
            head("goroutine 7 [chan receive, 5 minutes, locked to thread]:"),
            (7, "chan receive, locked to thread".to_owned(), Some(5))
        );
        assert_eq!(
            head("goroutine 0 gp=0x56ddc0 m=0 mp=0x56eac0 [idle]:"),
            (0, "idle".to_owned(), None)
        );
        assert_eq!(
            head("goroutine 9 gp=0xc00 m=nil [select (durable), synctest bubble 3]:"),
            (9, "select (durable), synctest bubble 3".to_owned(), None)
        );
        assert_eq!(
            head("goroutine 9 [chan send (leaked)] {job: 7, \"a b\": x}:"),
            (9, "chan send (leaked) {job: 7, \"a b\": x}".to_owned(), None)
        );
        for wrong in [
            "goroutine [running]:",
            "goroutine 1 [running]",
            "goroutine 1: x",
            "goroutine 1 is [x]:",
        ] {
            assert_eq!(header(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn functions() {
        let name = |line: &'static str| match classify(line.as_bytes()) {
            DumpLine::Function(name) => std::str::from_utf8(name).ok(),
            _ => None,
        };
        assert_eq!(name("main.main()"), Some("main.main"));
        assert_eq!(name("main.order.first(...)"), Some("main.order.first"));
        assert_eq!(name("log.Panicf({0x4a5403?, 0x7?}, {0xc0?, _})"), Some("log.Panicf"));
        assert_eq!(name("main.(*stack[...]).pop(0x40dce8?)"), Some("main.(*stack[...]).pop"));
        assert_eq!(name("main.(*T).f(0xc000, ...)"), Some("main.(*T).f"));
        assert_eq!(
            name("main.(*struct { sync.Mutex; n int }).Lock(0x1)"),
            Some("main.(*struct { sync.Mutex; n int }).Lock")
        );
        assert_eq!(name("non-Go function"), Some("non-Go function"));
        for log in ["served 12 requests (slow)", "cache hit (0x1)", "f(x)", "GET /a(1)", "x=f(1)"] {
            assert_eq!(name(log), None, "{log}");
        }
    }

    #[test]
    fn places() {
        let at = |text: &'static str| {
            place(text.as_bytes())
                .map(|place| (std::str::from_utf8(place.file).expect("text"), place.line, place.pc))
        };
        assert_eq!(at("/x.go:3 +0x1d"), Some(("/x.go", Some(3), None)));
        assert_eq!(at("/a b/x.go:15"), Some(("/a b/x.go", Some(15), None)));
        assert_eq!(at("C:/x.go:9 +0x1 fp=0x2 sp=0x3 pc=0x4"), Some(("C:/x.go", Some(9), Some(4))));
        assert_eq!(at("_cgo_gotypes.go:60 +0x45"), Some(("_cgo_gotypes.go", Some(60), None)));
        assert_eq!(at("/x.c:7 pc=0x7f"), Some(("/x.c", Some(7), Some(127))));
        assert_eq!(at("pc=0x7f"), Some(("", None, Some(127))));
        for wrong in ["", "x", "panic: boom", ":3", "/x.go:", "/x.go:3 later"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn other_lines_of_a_dump() {
        assert_eq!(classify(b"...100 frames elided..."), DumpLine::Elided(100));
        assert_eq!(classify(b"...additional frames elided..."), DumpLine::Elided(0));
        assert_eq!(
            classify(b"created by main.main in goroutine 1"),
            DumpLine::CreatedBy(b"main.main")
        );
        assert_eq!(classify(b"created by main.main"), DumpLine::CreatedBy(b"main.main"));
        assert_eq!(classify(b"non-Go function at pc=0x7f"), DumpLine::Foreign(127));
        assert_eq!(classify(b"runtime stack:"), DumpLine::RuntimeStack);
        for detail in [
            "rax    0xfffffffffffffdfc",
            "r0   0x0\tr1   0x7fff",
            "rflags 0x246",
            "-----",
            "exit status 2",
            "0x00007ffeb231b2b0:  0x0000000000000000",
            "runtime: g 1: unexpected return pc for main.f called from 0x0",
        ] {
            assert_eq!(classify(detail.as_bytes()), DumpLine::Detail, "{detail}");
        }
        for other in ["upstream 0x7", "late log line", "rax", "{\"a\":1}"] {
            assert!(
                !matches!(classify(other.as_bytes()), DumpLine::Function(_) | DumpLine::Blank),
                "{other}"
            );
        }
    }
}
