//! What makes two reports the same issue.
//!
//! With a stack the server's own grouping stays in force, split by the innermost function of the
//! program: `["{{ default }}", "service::ingest::parse_batch"]`. A server that ignores stacks then
//! still splits by place. Without a usable stack (no frame has a function, or only those that start
//! a program or a thread have, as in a stripped build) the fingerprint is our own: type, file of the
//! panic and message, with every number in the message replaced, so that `index 7` and `index 12` are
//! one issue. What has no place in a source has one in the program's file, which is one build's.
//!
//! Not offered: lines in a fingerprint. They move with every edit above them.

use std::borrow::Cow;

use super::{cut, limits};
use crate::detect::{Crash, Exception, Frame};

/// The place in a fingerprint where the server puts its own grouping.
const DEFAULT: &str = "{{ default }}";

/// The fingerprint of a crash: that of its first exception. Where nothing is known of the place, that
/// of the program counts: its `executable`.
pub fn fingerprint(crash: &Crash, executable: Option<&str>) -> Vec<Cow<'static, str>> {
    let Some(exception) = crash.exceptions.first() else {
        return vec![Cow::Borrowed(DEFAULT)];
    };
    match place(exception) {
        Some(function) => vec![
            Cow::Borrowed(DEFAULT),
            Cow::Owned(cut::to_chars(&function, limits::FUNCTION_CHARS)),
        ],
        None => {
            let mut parts = own(exception);
            if exception.location.is_none() {
                let name = executable.and_then(|path| path.rsplit('/').next());
                let mut places = exception.frames.iter().filter_map(in_file);
                let own = |place: &String| place.split('+').next() == name;
                let known = places.find(own).or(name.map(str::to_owned));
                parts.extend(
                    known.map(|name| Cow::Owned(cut::to_chars(&name, limits::MODULE_CHARS))),
                );
            }
            parts
        }
    }
}

/// The innermost function of the program, or the file it is in where its name is not known; where
/// none is the program's, the innermost function there is.
fn place(exception: &Exception) -> Option<String> {
    let own = exception.frames.iter().filter(|frame| frame.in_app);
    let own = own.filter_map(|frame| frame.qualified().or_else(|| frame.file.clone())).next();
    let any =
        || exception.frames.iter().filter(|frame| !is_start(frame)).find_map(Frame::qualified);
    own.or_else(any)
}

/// Whether a frame is that of a function which the C library starts a program or a thread with: it is on
/// every stack.
fn is_start(frame: &Frame) -> bool {
    let starts = [
        "_start",
        "__libc_start_main",
        "__libc_start_call_main",
        "libc_start_main_stage2",
        "start_thread",
        "clone",
        "clone3",
        "__clone",
        "__clone3",
        "start",
    ];
    frame.function.as_deref().is_some_and(|name| {
        // Debug info knows names that a symbol table does not.
        let name = name.strip_suffix("_impl").unwrap_or(name);
        starts.contains(&name)
    })
}

/// Where the code of a frame without a name is: `service+0x1c553`.
fn in_file(frame: &Frame) -> Option<String> {
    let (image, address) = (frame.image.as_ref()?, frame.address?);
    let name = image.path.rsplit('/').next().filter(|name| !name.is_empty())?;
    frame.function.is_none().then(|| format!("{name}+{:#x}", address.wrapping_sub(image.base)))
}

fn own(exception: &Exception) -> Vec<Cow<'static, str>> {
    let mut parts = vec![Cow::Owned(cut::to_chars(&exception.ty, limits::TYPE_CHARS))];
    if let Some(place) = &exception.location {
        parts.push(Cow::Owned(cut::to_chars(&place.file, limits::MODULE_CHARS)));
    }
    let message = without_numbers(exception.value.lines().next().unwrap_or_default());
    if !message.is_empty() {
        parts.push(Cow::Owned(cut::to_chars(&message, limits::MODULE_CHARS)));
    }
    parts
}

/// Replaces every word that has a digit, hexadecimal numbers and UUIDs among them, by `#`.
fn without_numbers(message: &str) -> String {
    let mut result = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(|c: char| c.is_alphanumeric()) {
        result.push_str(&rest[..start]);
        let word = &rest[start..];
        let end = word
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(word.len());
        let numeric = word[..end].contains(|c: char| c.is_ascii_digit());
        result.push_str(if numeric { "#" } else { &word[..end] });
        rest = &word[end..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{Frame, Image, Location, Mechanism};

    fn exception(frames: &[(&str, bool)]) -> Exception {
        Exception {
            ty: "panic".to_owned(),
            value: "index 7 out of 0x1f\nmore".to_owned(),
            mechanism: Mechanism::Panic,
            signal: None,
            created_by: None,
            location: Some(Location { file: "src/a.rs".to_owned(), line: 1, column: 1 }),
            frames: frames
                .iter()
                .map(|&(function, in_app)| Frame {
                    function: Some(function.to_owned()).filter(|f| !f.is_empty()),
                    in_app,
                    ..Frame::default()
                })
                .collect(),
            frames_elided: 0,
        }
    }

    #[test]
    fn the_programs_innermost_function_splits_the_default() {
        let stack = exception(&[("core::f", false), ("", true), ("a::b", true), ("a::c", true)]);
        assert_eq!(place(&stack).as_deref(), Some("a::b"));
        assert_eq!(place(&exception(&[("core::f", false)])).as_deref(), Some("core::f"));
    }

    #[test]
    fn without_a_stack_the_message_counts_without_its_numbers() {
        assert_eq!(own(&exception(&[])), ["panic", "src/a.rs", "index # out of #"]);
        assert_eq!(place(&exception(&[("", true)])), None);
    }

    /// As of a stripped program.
    #[test]
    fn what_starts_a_program_is_no_place() {
        let stack = exception(&[("", false), ("__libc_start_main", false), ("_start", false)]);
        assert_eq!(place(&stack), None);
        let image = Image { base: 0x1000, size: 1, path: "/srv/shop".to_owned(), build_id: None };
        let at = |address| Frame {
            address: Some(address),
            image: Some(Arc::new(image.clone())),
            ..Frame::default()
        };
        let named = Frame { function: Some("clone3".to_owned()), ..at(0x1001) };
        let fault = Exception {
            ty: "SIGSEGV".to_owned(),
            value: "invalid read at 0x10".to_owned(),
            location: None,
            frames: vec![named, at(0x1234)],
            ..stack
        };
        let crash = Crash {
            event_id: sentry::types::Uuid::nil(),
            time: std::time::SystemTime::UNIX_EPOCH,
            runtime: crate::detect::Runtime::Rust,
            runtime_version: None,
            severity: crate::detect::Severity::Fatal,
            thread: None,
            exceptions: vec![fault],
            threads: Vec::new(),
            threads_elided: 0,
        };
        let parts = fingerprint(&crash, Some("/srv/shop"));
        assert_eq!(parts, ["SIGSEGV", "invalid read at #", "shop+0x234"]);
    }

    #[test]
    fn ids_are_numbers() {
        let message = "user 6f9619ff-8b86-d011-b42d-00c04fc964ff: née_x9 left";
        assert_eq!(without_numbers(message), "user #: # left");
    }
}
