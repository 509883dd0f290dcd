//! Which panics are about the same death.
//!
//! **Guarantee:** the rules are those of the panic hook, as far as text shows what it can see. A
//! panic in a function that cannot unwind is about the last panic of its thread; one in a destructor
//! during cleanup about the last two. **More than the hook knows:** the standard library prints a full
//! backtrace of a panic that is raised while its thread unwinds already, whatever the environment
//! says, so such a panic is joined to the one that unwinds before a third one says so.

use sentry::types::Uuid;

use super::super::Joined;
use crate::detect::{Crash, Exception, Mechanism, NoUnwind, Severity};

/// `crash` with those of `earlier` that are about the same death, if there are any.
pub fn join(earlier: &[Crash], crash: &Crash) -> Option<Joined> {
    let mut missing = missing(crash);
    let mut joined: Option<Crash> = None;
    let mut parts: Vec<Uuid> = Vec::new();
    for before in earlier.iter().rev().filter(|before| is_same_thread(before, crash)) {
        // One whose id is known has been replaced by the later one.
        let is_known = before.event_id == crash.event_id || parts.contains(&before.event_id);
        if is_known && !before.event_id.is_nil() {
            continue;
        }
        let about = joined.as_ref().unwrap_or(crash);
        if missing == 0 && !is_raised_unwinding(before, about) {
            break;
        }
        missing = missing.saturating_sub(before.exceptions.len());
        joined = Some(merge(before, about));
        parts.push(before.event_id);
    }
    let crash = joined?;
    // All but the earliest, whose id it has, and those without one.
    parts.retain(|id| *id != crash.event_id && !id.is_nil());
    Some(Joined { crash, parts })
}

/// How many panics before it a crash is about that are not in it.
fn missing(crash: &Crash) -> usize {
    let first = |why| {
        let mut all = crash.exceptions.iter();
        all.position(|exception| NoUnwind::of_exception(exception) == Some(why))
    };
    if let Some(before) = first(NoUnwind::InCleanup) {
        2usize.saturating_sub(before)
    } else if let Some(before) = first(NoUnwind::AtBoundary) {
        1usize.saturating_sub(before)
    } else {
        0
    }
}

/// Whether the panic of `crash` was raised while that of `before` unwound.
fn is_raised_unwinding(before: &Crash, crash: &Crash) -> bool {
    let first = &crash.exceptions[0];
    let is_panic = |exception: &Exception| exception.ty == "panic";
    let aborted = first.mechanism == Mechanism::Abort && crash.thread.is_some();
    let full = |exception: &Exception| exception.frames.iter().any(|f| f.address.is_some());
    let forced = full(first) && !before.exceptions.iter().any(full);
    is_panic(first) && before.exceptions.iter().all(is_panic) && (aborted || forced)
}

fn is_same_thread(before: &Crash, crash: &Crash) -> bool {
    let (Some(before), Some(thread)) = (&before.thread, &crash.thread) else { return false };
    match (before.id, thread.id) {
        (Some(before), Some(id)) => before == id,
        (None, None) => before.name == thread.name,
        _ => false,
    }
}

fn merge(before: &Crash, crash: &Crash) -> Crash {
    let mut merged = before.clone();
    merged.exceptions.extend(crash.exceptions.iter().cloned());
    merged.severity = Severity::Fatal;
    merged
}
