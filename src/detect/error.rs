//! An error that the program captured itself, with its sources and its backtrace.
//!
//! **Guarantee:** every source is an exception of its own, at most [`MOST_SOURCES`] of them. The stack is
//! that of the backtrace given, else of one that the error's `Debug` prints: in the standard library's
//! text, as `anyhow` and `eyre` have it, or as the `Debug` of a `Backtrace` field. Where there is
//! neither none is made up: the place of the call is what is known. **Lost:** a `Debug` text beyond
//! [`MOST_DEBUG`] bytes; one that panics.

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use sentry::types::Uuid;

use super::stderr::read_backtrace;
use super::{Crash, Exception, Frame, Location, Mechanism, Runtime, Severity};
use crate::record::Formatting;

/// How many sources are followed: a chain may be endless.
const MOST_SOURCES: usize = 15;

/// Bytes of a `Debug` text that are looked at.
const MOST_DEBUG: usize = 256 * 1024;

/// Makes the crash of an error, which is none: the process goes on.
pub fn captured<E: Error + ?Sized>(
    error: &E,
    backtrace: Option<&str>,
    place: Location,
    id: Uuid,
) -> Crash {
    let debug = debug_text(error);
    let printed = backtrace.map(str::to_owned).or_else(|| printed_backtrace(&debug));
    let (frames, frames_elided) = printed.map_or_else(Default::default, |text| {
        let (frames, elided) = read_backtrace(&text, &place);
        (without_capture(frames), elided)
    });
    let mut outermost = exception(type_name::<E>(&debug), error.to_string());
    outermost.location = Some(place);
    outermost.frames = frames;
    outermost.frames_elided = frames_elided;
    let mut exceptions = vec![outermost];
    let mut source = error.source();
    while let Some(cause) = source.filter(|_| exceptions.len() <= MOST_SOURCES) {
        exceptions.push(exception(word(&debug_text(cause)), cause.to_string()));
        source = cause.source();
    }
    Crash {
        event_id: id,
        time: SystemTime::now(),
        runtime: Runtime::Rust,
        runtime_version: None,
        severity: Severity::Error,
        thread: None,
        exceptions,
        threads: Vec::new(),
        threads_elided: 0,
    }
}

fn exception(ty: String, value: String) -> Exception {
    Exception {
        ty,
        value,
        mechanism: Mechanism::Error,
        signal: None,
        location: None,
        frames: Vec::new(),
        frames_elided: 0,
        created_by: None,
    }
}

/// The type of an error: its name, or what its `Debug` begins with where the type is hidden.
fn type_name<E: ?Sized>(debug: &str) -> String {
    let name = std::any::type_name::<E>();
    if name.starts_with("dyn ") {
        return word(debug);
    }
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// The word that a `Debug` text begins with.
fn word(debug: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let end = debug.find(|c: char| !is_part(c)).unwrap_or(debug.len());
    let word = &debug[..end];
    let is_name = word.starts_with(|c: char| c.is_alphabetic());
    // The message of an error without a type begins with a quote or with any word.
    let is_type = is_name && matches!(debug[end..].chars().next(), None | Some(' ' | '(' | '{'));
    let is_type = is_type && word.starts_with(char::is_uppercase);
    if is_type { word.to_owned() } else { "Error".to_owned() }
}

/// The beginning of an error's `Debug`; nothing of one that panics.
fn debug_text<E: Debug + ?Sized>(error: &E) -> String {
    if cfg!(panic = "abort") {
        // Nothing could catch what it throws.
        return String::new();
    }
    let mut text = Limited(String::new());
    // The program has not called it, so nobody is to hear of its panic.
    let _formatting = Formatting::begin();
    let written = catch_unwind(AssertUnwindSafe(|| write!(text, "{error:?}")));
    // A text that reached its limit is an error of the writer's, and as good as any.
    if written.is_err() { String::new() } else { text.0 }
}

/// A text of at most [`MOST_DEBUG`] bytes.
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_DEBUG - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if room < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// A backtrace in a `Debug` text, as the standard library prints one.
fn printed_backtrace(debug: &str) -> Option<String> {
    if let Some(at) = debug.find("Backtrace [{ fn: ") {
        return Some(listed(&debug[at..]));
    }
    let begin = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("0: ").is_some() || line.starts_with("Stack backtrace:")
    };
    let mut at = 0;
    for line in debug.split_inclusive('\n') {
        // The sources of an error are numbered from 0 too; frames have a path or a place.
        let is_frame = line.contains("::") || line.trim_start().starts_with("Stack backtrace:");
        if begin(line) && is_frame {
            return Some(debug[at..].to_owned());
        }
        at += line.len();
    }
    None
}

/// `Backtrace [{ fn: "a::b", file: "src/a.rs", line: 3 }, ...]` as lines.
fn listed(list: &str) -> String {
    let mut lines = String::new();
    for (number, frame) in list.split("{ fn: \"").skip(1).enumerate() {
        let Some((function, rest)) = frame.split_once('"') else { break };
        let _ = writeln!(lines, "{number:>4}: {function}");
        let file = rest.split_once("file: \"").and_then(|(_, rest)| rest.split_once('"'));
        let Some((file, rest)) = file else { continue };
        let line = rest.split_once("line: ").map(|(_, rest)| rest);
        let digits = line.map(|line| line.split(|c: char| !c.is_ascii_digit()).next());
        if let Some(Some(line)) = digits {
            let _ = writeln!(lines, "             at {file}:{line}");
        }
    }
    lines
}

/// A stack without the frames that only took it.
fn without_capture(frames: Vec<Frame>) -> Vec<Frame> {
    const CAPTURE: [&str; 7] =
        ["std::backtrace", "backtrace::", "core::", "anyhow::", "eyre::", "<", "std::"];
    let takes = |frame: &&Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        !frame.in_app && CAPTURE.iter().any(|prefix| function.starts_with(prefix))
    };
    let count = frames.iter().take_while(takes).count();
    if count == frames.len() { frames } else { frames.into_iter().skip(count).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(Inner);
    #[derive(Debug)]
    struct Inner;

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot open shard 7")
        }
    }
    impl fmt::Display for Inner {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no space")
        }
    }
    impl Error for Inner {}
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn place() -> Location {
        Location { file: "src/main.rs".to_owned(), line: 3, column: 5 }
    }

    fn types(crash: &Crash) -> Vec<(&str, &str)> {
        let each = crash.exceptions.iter();
        each.map(|exception| (exception.ty.as_str(), exception.value.as_str())).collect()
    }

    #[test]
    fn sources_are_exceptions_of_their_own() {
        let crash = captured(&Outer(Inner), None, place(), Uuid::nil());
        assert_eq!(types(&crash), [("Outer", "cannot open shard 7"), ("Inner", "no space")]);
        let hidden: &dyn Error = &Outer(Inner);
        assert_eq!(captured(hidden, None, place(), Uuid::nil()).exceptions[0].ty, "Outer");
    }

    #[test]
    fn an_error_without_a_type_is_called_error() {
        let boxed: Box<dyn Error> = "it broke".into();
        let crash = captured(&*boxed, None, place(), Uuid::nil());
        assert_eq!(types(&crash), [("Error", "it broke")]);
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "gone");
        assert_eq!(captured(&io, None, place(), Uuid::nil()).exceptions[0].ty, "Error");
    }

    fn top(crash: &Crash) -> (&str, Option<u32>) {
        let top = &crash.exceptions[0].frames[0];
        (top.function.as_deref().unwrap_or_default(), top.line)
    }

    #[test]
    fn a_backtrace_field_is_found_in_the_debug_text() {
        struct Traced;
        impl Debug for Traced {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(
                    "Traced { shard: 7, backtrace: Backtrace [",
                    "{ fn: \"std::backtrace::Backtrace::create\" }, ",
                    "{ fn: \"store::open_shard\", file: \"./src/store.rs\", line: 31 }, ",
                    "{ fn: \"store::main\", file: \"./src/main.rs\", line: 7 }] }"
                ))
            }
        }
        impl fmt::Display for Traced {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("traced")
            }
        }
        impl Error for Traced {}
        let crash = captured(&Traced, None, place(), Uuid::nil());
        assert_eq!(top(&crash), ("store::open_shard", Some(31)));
        assert!(crash.exceptions[0].frames.iter().all(|frame| frame.in_app));
    }

    #[test]
    fn a_backtrace_that_is_given_is_read() {
        let text = "   0: std::backtrace_rs::backtrace::trace\n   \
                       1: anyhow::error::<impl anyhow::Error>::msg\n   \
                       2: store::open_shard\n             at ./src/store.rs:31:9\n   \
                       3: store::main\n             at ./src/main.rs:7:5\n";
        let crash = captured(&Inner, Some(text), place(), Uuid::nil());
        assert_eq!(top(&crash), ("store::open_shard", Some(31)));
    }

    #[test]
    fn the_debug_of_a_real_backtrace_is_listed() {
        let debug = format!("{:?}", std::backtrace::Backtrace::force_capture());
        let listed = listed(&debug);
        assert!(listed.contains("the_debug_of_a_real_backtrace_is_listed"), "{debug}");
        assert!(listed.lines().any(|line| line.trim_start().starts_with("at ")), "{debug}");
    }

    #[test]
    fn a_debug_that_panics_costs_the_backtrace_alone() {
        struct Bad;
        impl Debug for Bad {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("in Debug")
            }
        }
        impl fmt::Display for Bad {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bad")
            }
        }
        impl Error for Bad {}
        let crash = captured(&Bad, None, place(), Uuid::nil());
        assert_eq!(types(&crash), [("Bad", "bad")]);
    }
}
