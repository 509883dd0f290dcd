//! Lines of source code, where the files are there.
//!
//! A path comes from a report, so it is not trusted: only regular files of a bounded size are read,
//! and never waited for.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::cli::clock;
use crate::cli::event::{Event, Frame};

/// The largest source file that is read.
const LARGEST: u64 = 4 << 20;

/// Lines around the one a frame stands at.
#[derive(Debug, PartialEq)]
pub struct Excerpt {
    /// Number and text of each line, in order.
    pub lines: Vec<(u64, String)>,
    /// Whether the file was changed after the crash, so that its lines may be others now.
    pub changed: bool,
}

/// Forgets the relative paths of an event whose program was not built below the current directory:
/// nearly every program has a `src/main.rs`, and another one's lines would mislead.
pub fn forget_foreign(event: &mut Event) {
    let executable =
        event.contexts.get("process").and_then(|process| process["executable"].as_str());
    let here = std::env::current_dir().ok();
    let built_here = executable
        .zip(here)
        .is_some_and(|(executable, here)| in_own_home(executable).starts_with(here));
    if !built_here {
        for frame in event.exceptions.iter_mut().flat_map(|exception| &mut exception.frames) {
            frame.sources.retain(|path| Path::new(path).is_absolute());
        }
    }
}

/// The line `frame` stands at, with `around` lines before and after it.
pub fn excerpt(frame: &Frame, around: u64, crash: Option<OffsetDateTime>) -> Option<Excerpt> {
    let line = frame.line.filter(|&line| line > 0)?;
    let near = |number: u64| number.abs_diff(line) <= around;
    if !frame.context.is_empty() {
        let lines = frame.context.iter().filter(|(number, _)| near(*number)).cloned().collect();
        return Some(Excerpt { lines, changed: false });
    }
    let (text, written) = frame.sources.iter().find_map(|path| read(&in_own_home(path)))?;
    let numbered = (1..).zip(text.lines()).filter(|(number, _)| near(*number));
    let lines: Vec<_> = numbered.map(|(number, text)| (number, text.to_owned())).collect();
    let changed = written.zip(crash).is_some_and(|(written, crash)| written > crash);
    lines.iter().any(|(number, _)| *number == line).then_some(Excerpt { lines, changed })
}

/// A path in a home whose owner's name was scrubbed is looked for in that of this process's user.
fn in_own_home(path: &str) -> PathBuf {
    let rest = path.split_once("/[Filtered]/").map(|(_, rest)| rest);
    match (rest, std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// A source file's text and when it was written.
fn read(path: &Path) -> Option<(String, Option<OffsetDateTime>)> {
    // A device may do something when it is opened; the file behind a link is looked at, too.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path).ok()?;
    let metadata = file.metadata().ok().filter(|m| m.is_file() && m.len() <= LARGEST)?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let written = metadata.modified().ok().and_then(clock::from_system);
    Some((String::from_utf8_lossy(&bytes).into_owned(), written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(path: &Path, line: u64) -> Frame {
        let sources = vec!["/nowhere/lib.rs".to_owned(), path.to_str().unwrap().to_owned()];
        Frame { sources, line: Some(line), ..Frame::default() }
    }

    #[test]
    fn lines_around_the_frame_and_no_more_than_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lib.rs");
        fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        let numbers = |line, around| {
            let excerpt = excerpt(&frame(&path, line), around, None)?;
            Some(excerpt.lines.iter().map(|(number, _)| *number).collect::<Vec<_>>())
        };
        assert_eq!(numbers(2, 2), Some(vec![1, 2, 3, 4]));
        assert_eq!(numbers(4, 1), Some(vec![3, 4]));
        assert_eq!(numbers(2, 0), Some(vec![2]));
        assert_eq!(numbers(5, 2), None);
        assert_eq!(numbers(0, 2), None);
    }

    #[test]
    fn a_file_younger_than_the_crash_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lib.rs");
        fs::write(&path, "one\n").unwrap();
        let hour = time::Duration::HOUR;
        let now = OffsetDateTime::now_utc();
        let changed = |crash| excerpt(&frame(&path, 1), 2, Some(crash)).unwrap().changed;
        assert!(changed(now - hour));
        assert!(!changed(now + hour));
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        for path in ["/dev/zero", "/dev/tty", "/", "/proc/self/mem/x"] {
            assert_eq!(excerpt(&frame(Path::new(path), 1), 2, None), None, "{path}");
        }
    }
}
