//! Texts as the standard library prints them, and texts that only look so.

mod fatal_errors;
mod look_alikes;
mod panics;
mod traces;

use std::time::SystemTime;

use sentry::types::Uuid;

use super::*;
use crate::detect::Exception;
use crate::detect::stderr::{Step, Verdict};

const NOTE: &str = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
const OMITTED: &str =
    "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.";

/// Offers lines to readers as the scanner does.
#[derive(Default)]
struct Stream {
    lines: Vec<Vec<u8>>,
    at: usize,
    /// The reader of the open report, and the line it began with.
    open: Option<(usize, Box<dyn Reader>)>,
    found: Vec<Crash>,
}

impl Stream {
    fn feed(&mut self, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        self.lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        while self.at < self.lines.len() {
            self.step();
        }
    }

    fn step(&mut self) {
        let text = &self.lines[self.at];
        let (number, time) = (self.at as u64 + 1, SystemTime::UNIX_EPOCH);
        let line = Line { text, number, offset: 0, cut: false, time };
        let Some((began, reader)) = &mut self.open else {
            let holds = |mark: &&str| text.windows(mark.len()).any(|w| w == mark.as_bytes());
            if Rust.marks().iter().any(holds) {
                self.open = Rust.begin(&line).map(|reader| (self.at, reader));
            }
            self.at += 1;
            return;
        };
        match reader.line(&line) {
            Step::Taken => self.at += 1,
            Step::Over => self.end(End::Line),
            Step::None => {
                self.at = *began + 1;
                self.open = None;
            }
        }
    }

    fn end(&mut self, end: End) {
        let Some((_, reader)) = self.open.take() else { return };
        let Verdict::Crash(mut crash) = reader.end(end) else { return };
        crash.event_id = Uuid::from_u128(self.found.len() as u128 + 1);
        match Rust.join(&self.found, &crash) {
            Some(Joined { crash: joined, parts }) => {
                self.found.retain(|crash| !parts.contains(&crash.event_id));
                let at = self.found.iter().position(|crash| crash.event_id == joined.event_id);
                self.found[at.unwrap()] = joined;
            }
            None => self.found.push(crash),
        }
    }
}

fn read_bytes(text: &[u8], end: End) -> Vec<Crash> {
    let mut stream = Stream::default();
    stream.feed(text);
    stream.end(end);
    stream.found
}

/// The crashes of a program that printed `text` and then ended so.
fn read(text: &str, ending: Option<Ending>) -> Vec<Crash> {
    read_bytes(text.as_bytes(), End::Stream(ending))
}

/// The one crash in `text`, without knowing how the program ended.
#[track_caller]
fn one(text: &str) -> Crash {
    let mut found = read(text, None);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn values(crash: &Crash) -> Vec<&str> {
    crash.exceptions.iter().map(|exception| exception.value.as_str()).collect()
}

fn place(exception: &Exception) -> String {
    let place = exception.location.as_ref().unwrap();
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn name(crash: &Crash) -> Option<&str> {
    crash.thread.as_ref()?.name.as_deref()
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(lines in proptest::collection::vec(line(), 0..24)) {
        for ending in [None, Some(Ending::Code(101)), Some(Ending::Signal(6))] {
            let _ = read_bytes(&lines.join(&b'\n'), End::Stream(ending));
        }
    }
}

/// A line that may stand in a report, or any.
fn line() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    const KNOWN: [&str; 22] = [
        "",
        "thread 'main' panicked at src/a.rs:1:2:",
        "thread 'main' (7) panicked at src/a.rs:1:2:",
        "thread 'main' panicked at 'x', src/a.rs:1:2",
        "thread 'main' panicked at 'x",
        "y', src/a.rs:3:4",
        "thread 'main' (7) panicked at /rustc/0/library/core/src/panicking.rs:2:5:",
        "panic in a destructor during cleanup",
        "panic in a function that cannot unwind",
        "panicked at src/a.rs:1:2:",
        "hook: panicked at src/a.rs:1:2:",
        "stack backtrace:",
        "   0: a::main",
        "   1: 0x10 - b::<<<<f",
        "             at ./src/a.rs:5:6",
        "      [... omitted 3 frames ...]",
        "thread caused non-unwinding panic. aborting.",
        "thread panicked while processing panic. aborting.",
        "fatal runtime error: x, aborting",
        "memory allocation of 7 bytes failed",
        NOTE,
        OMITTED,
    ];
    prop_oneof![
        9 => proptest::sample::select(KNOWN.to_vec()).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}
