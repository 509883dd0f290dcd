//! Threads and goroutines as the protocol knows them: the crashed one first, then the others in the
//! order the crash has them, the most telling first.
//!
//! The crashed thread carries no stack of its own: the exception points at it by `thread_id`. What a
//! thread was doing, and for how long, is its `state`. A goroutine has no name; where it was started
//! says best what it is for, and stands there instead (the protocol has no other place for it).
//!
//! Stacks are taken as long as all of them together fit an event; what `trim` then cuts is counted.

use sentry::protocol::{Stacktrace, Thread, ThreadId};

use super::{cut, frame, limits};
use crate::detect::{Crash, CrashedThread, Frame, ThreadStack};

/// The threads of an event, what their type lacks beside them, and how many had no room.
#[derive(Debug, Default)]
pub struct Threads {
    /// The crashed one first.
    pub values: Vec<Thread>,
    /// For each of them what the SDK's type has no field for.
    pub lacking: Vec<Lacking>,
    /// How many others are left out.
    pub left_out: u64,
}

/// What the protocol knows of a thread and the SDK's type does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Whether it runs `main`.
    pub main: Option<bool>,
    /// What it was doing.
    pub state: Option<String>,
}

/// The threads of a crash.
pub fn threads(crash: &Crash) -> Threads {
    let mut threads = Threads { left_out: crash.threads_elided, ..Threads::default() };
    if let Some(thread) = &crash.thread {
        threads.values.push(crashed(thread));
        threads.lacking.push(Lacking { main: Some(thread.main), state: None });
    }
    let mut room = limits::EVENT_BYTES;
    for (index, thread) in crash.threads.iter().enumerate() {
        let value = other(thread);
        let size = serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len());
        let Some(left) = room.checked_sub(size) else {
            threads.left_out += (crash.threads.len() - index) as u64;
            break;
        };
        room = left;
        threads.values.push(value);
        threads.lacking.push(Lacking { main: None, state: state(thread) });
    }
    threads
}

/// What exception and thread have in common: the thread's id, else its name.
pub fn id(thread: &CrashedThread) -> Option<ThreadId> {
    thread.id.map(ThreadId::Int).or_else(|| thread.name.as_deref().map(name).map(ThreadId::String))
}

fn name(name: &str) -> String {
    cut::to_chars(name, limits::THREAD_NAME_CHARS)
}

fn crashed(thread: &CrashedThread) -> Thread {
    Thread {
        id: id(thread),
        name: thread.name.as_deref().map(name),
        crashed: true,
        current: true,
        ..Thread::default()
    }
}

fn other(thread: &ThreadStack) -> Thread {
    let started = || thread.created_by.as_deref().map(created_by);
    let frames = frame::plain_frames(&thread.frames);
    Thread {
        id: thread.id.map(ThreadId::Int),
        name: thread.name.clone().or_else(started).as_deref().map(name),
        stacktrace: (!frames.is_empty()).then(|| {
            let mut stack = Stacktrace { frames, ..Stacktrace::default() };
            super::trim::keep_ends(&mut stack, limits::FRAMES_OLDEST, limits::FRAMES_NEWEST);
            stack
        }),
        ..Thread::default()
    }
}

/// Where a goroutine was started: `created by main.serve at main.go:12`.
pub fn created_by(frame: &Frame) -> String {
    let function = frame.symbol.clone().or_else(|| frame.qualified());
    let mut text = format!("created by {}", function.as_deref().unwrap_or("unknown code"));
    if let Some(file) = &frame.file {
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        text.push_str(&format!(" at {file}{line}"));
    }
    text
}

fn state(thread: &ThreadStack) -> Option<String> {
    let minutes = thread.blocked_minutes.map(|minutes| match minutes {
        1 => "1 minute".to_owned(),
        more => format!("{more} minutes"),
    });
    let words: Vec<String> = thread.state.clone().into_iter().chain(minutes).collect();
    (!words.is_empty()).then(|| name(&words.join(", ")))
}
