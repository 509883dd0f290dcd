//! What a program reports itself: errors and messages.
//!
//! **Guarantee:** the report has breadcrumbs, tags and context as that of a panic has, is in the spool
//! when the call returns, and is sent soon after. Nothing is captured that the program does not
//! capture: an event of level `ERROR` is a breadcrumb, and no report. **Lost:** what is captured
//! before `install`, and on a machine where no directory works, what the end of the process leaves
//! unsent.

use std::error::Error;
use std::fmt::Display;
use std::panic::Location as CallSite;

use sentry::Level;
use sentry::protocol::LogEntry;
use sentry::types::Uuid;

use super::{Recorder, global};
use crate::detect::{self, Crash, Location, Runtime, Severity};
use crate::record::random_id;

impl Recorder {
    /// Reports an error; see [`crate::capture_error`].
    #[track_caller]
    pub fn capture_error<E: Error + ?Sized>(&self, error: &E) -> Uuid {
        self.capture(error, None, CallSite::caller())
    }

    /// Reports an error with a backtrace that it has; see [`crate::capture_error_with_backtrace`].
    #[track_caller]
    pub fn capture_error_with_backtrace<E: Error + ?Sized>(
        &self,
        error: &E,
        backtrace: impl Display,
    ) -> Uuid {
        self.capture(error, Some(backtrace.to_string()), CallSite::caller())
    }

    /// Reports a message; see [`crate::capture_message`].
    pub fn capture_message(&self, message: &str, level: Level) -> Uuid {
        let crash = Crash {
            event_id: random_id(),
            time: std::time::SystemTime::now(),
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: Severity::Error,
            thread: None,
            exceptions: Vec::new(),
            threads: Vec::new(),
            threads_elided: 0,
        };
        let entry = LogEntry { message: message.to_owned(), params: Vec::new() };
        self.publisher.capture(crash, |event| {
            event.logentry = Some(entry);
            event.level = level;
        })
    }

    fn capture<E: Error + ?Sized>(
        &self,
        error: &E,
        backtrace: Option<String>,
        caller: &CallSite<'_>,
    ) -> Uuid {
        let place = Location {
            file: caller.file().to_owned(),
            line: caller.line(),
            column: caller.column(),
        };
        let crash = detect::captured(error, backtrace.as_deref(), place, random_id());
        self.publisher.capture(crash, |_| {})
    }
}

/// Reports an error that the program has dealt with: level `error`, its sources as chained
/// exceptions, with breadcrumbs and tags. The id of the event, nil before
/// [`install`](crate::Builder::install).
///
/// A backtrace is found where the error's `Debug` prints one: that of a field of type
/// [`Backtrace`](std::backtrace::Backtrace), or the text of `anyhow` and `eyre`. Other ones are for
/// [`capture_error_with_backtrace`].
///
/// ```
/// # let recorder = lastwords::Recorder::in_memory();
/// let error = "seven".parse::<u32>().unwrap_err();
/// recorder.capture_error(&error);
///
/// let event = &recorder.events()[0];
/// assert_eq!(event.exception[0].ty, "ParseIntError");
/// assert_eq!(event.exception[0].value.as_deref(), Some("invalid digit found in string"));
/// ```
#[track_caller]
pub fn capture_error<E: Error + ?Sized>(error: &E) -> Uuid {
    let caller = CallSite::caller();
    global::recorder().map_or(Uuid::nil(), |recorder| recorder.capture(error, None, caller))
}

/// As [`capture_error`], with a backtrace in the words of the standard library: that of `anyhow` is
/// `error.backtrace()`.
#[track_caller]
pub fn capture_error_with_backtrace<E: Error + ?Sized>(error: &E, backtrace: impl Display) -> Uuid {
    let (caller, backtrace) = (CallSite::caller(), backtrace.to_string());
    global::recorder()
        .map_or(Uuid::nil(), |recorder| recorder.capture(error, Some(backtrace), caller))
}

/// Reports a message, with breadcrumbs and tags. The id of the event, nil before
/// [`install`](crate::Builder::install).
pub fn capture_message(message: &str, level: Level) -> Uuid {
    global::recorder().map_or(Uuid::nil(), |recorder| recorder.capture_message(message, level))
}
