//! An event is never lost for its size: it is trimmed until a server takes it.
//!
//! [`fields`] cuts each field to its own limit. [`whole`] then brings the event item under
//! [`limits::EVENT_BYTES`], in this order, each step only if the one before did not suffice:
//!
//! 0. Other threads, the least telling first, until 16 are left.
//! 1. The oldest breadcrumbs, until the newest 10 are left.
//! 2. The frames' details: absolute paths, addresses and columns of every stack, and with them the debug
//!    images.
//! 3. The stacks of the chained exceptions; the one the event is about keeps its own.
//! 4. The other threads, all of them, and the frames of that stack but the oldest 10 and the newest 40.
//! 5. The breadcrumbs' data, and their messages beyond 512 characters.
//! 6. The tags but the first 50 in the alphabet.
//! 7. The exceptions' values beyond 1024 characters.
//! 8. The contexts but `os`, `process` and `lastwords`.
//! 9. `extra`, `request` and `modules`, which only an editor of the event or a `sentry` client in the
//!    program can have added.
//!
//! What is left after the last step is below the limit whatever the scene was. Never touched:
//! event id, level, time, release, environment, the exceptions' types, the newest breadcrumbs'
//! messages within the limits above. The `lastwords` context says in `trimmed` which steps were
//! taken, in `breadcrumbs_trimmed` how many breadcrumbs went, and in `threads_left_out` how many threads.

use sentry::protocol::{Event, Frame, Stacktrace, Value};

use super::event::THREADS_LEFT_OUT;
use super::{Extras, cut, event, limits, render};

/// How many breadcrumbs step 1 leaves.
const FLOOR_BREADCRUMBS: usize = 10;

/// How many other threads step 0 leaves.
const FLOOR_THREADS: usize = 16;

/// Bytes kept free for the notes in the `lastwords` context.
const NOTES: usize = 512;

/// One step: its name in the `lastwords` context, and what it does.
type Step = (&'static str, fn(&mut Event<'static>));

/// Steps 2 to 9. Step 1 is arithmetic, see [`oldest_breadcrumbs`].
const STEPS: [Step; 8] = [
    ("frame details", frame_details),
    ("chained stacks", chained_stacks),
    ("frames", middle_frames),
    ("breadcrumb data", breadcrumb_data),
    ("tags", many_tags),
    ("exception values", long_values),
    ("contexts", foreign_contexts),
    ("additions", additions),
];

/// Cuts every stack, and every field of exceptions, frames and breadcrumbs, to its own limit.
pub fn fields(event: &mut Event<'static>) {
    cut::optional(&mut event.message, limits::VALUE_CHARS);
    if let Some(entry) = &mut event.logentry {
        cut::field(&mut entry.message, limits::VALUE_CHARS);
    }
    if let Some(entry) = &mut event.logentry {
        cut::field(&mut entry.message, limits::VALUE_CHARS);
    }
    for crumb in &mut event.breadcrumbs.values {
        cut::optional(&mut crumb.message, limits::CRUMB_MESSAGE_CHARS);
        cut::optional(&mut crumb.category, limits::CRUMB_CATEGORY_CHARS);
    }
    for thread in &mut event.threads.values {
        thread.stacktrace.iter_mut().for_each(frames_within_limits);
    }
    for exception in &mut event.exception.values {
        cut::field(&mut exception.ty, limits::TYPE_CHARS);
        cut::optional(&mut exception.value, limits::VALUE_CHARS);
        exception.stacktrace.iter_mut().for_each(frames_within_limits);
    }
}

/// The bytes of an event that was changed after it was trimmed, as a scrubber does, which may have
/// made it longer: at most [`limits::EVENT_BYTES`]. What goes is the remarks on what was changed, then
/// the older half of the breadcrumbs, again and again.
pub fn again(mut json: Value) -> Vec<u8> {
    let mut bytes = json.to_string().into_bytes();
    if bytes.len() > limits::EVENT_BYTES
        && let Some(event) = json.as_object_mut()
        && event.remove("_meta").is_some()
    {
        bytes = json.to_string().into_bytes();
    }
    while bytes.len() > limits::EVENT_BYTES {
        let crumbs = json.get_mut("breadcrumbs").and_then(|list| list.get_mut("values"));
        match crumbs.and_then(Value::as_array_mut) {
            Some(crumbs) if !crumbs.is_empty() => drop(crumbs.drain(..crumbs.len().div_ceil(2))),
            _ => break,
        }
        bytes = json.to_string().into_bytes();
    }
    bytes
}

fn frames_within_limits(stack: &mut Stacktrace) {
    keep_ends(stack, limits::FRAMES_OLDEST, limits::FRAMES_NEWEST);
    for frame in &mut stack.frames {
        cut::optional(&mut frame.function, limits::FUNCTION_CHARS);
        cut::optional(&mut frame.symbol, limits::FUNCTION_CHARS);
        cut::optional(&mut frame.module, limits::MODULE_CHARS);
        cut::optional(&mut frame.filename, limits::PATH_CHARS);
        cut::optional(&mut frame.abs_path, limits::PATH_CHARS);
        cut::optional(&mut frame.package, limits::PATH_CHARS);
    }
}

/// Brings the whole event under [`limits::EVENT_BYTES`].
pub fn whole(event: &mut Event<'static>, extras: &Extras) {
    let target = limits::EVENT_BYTES - NOTES;
    let mut size = json_len(event, extras);
    if size <= target {
        return;
    }
    let mut taken = Vec::new();
    if drop_threads(event, size - target, FLOOR_THREADS) {
        taken.push(Value::from("threads"));
        size = json_len(event, extras);
    }
    let dropped = oldest_breadcrumbs(event, size.saturating_sub(target));
    if dropped > 0 {
        taken.push(Value::from("breadcrumbs"));
        event::note(event, "breadcrumbs_trimmed", Value::from(dropped));
        size = json_len(event, extras);
    }
    for (name, step) in STEPS {
        if size <= target {
            break;
        }
        step(event);
        taken.push(Value::from(name));
        size = json_len(event, extras);
    }
    event::note(event, "trimmed", Value::from(taken));
}

/// Step 0: drops the least telling of the other threads, which stand last, that together make up
/// `excess` bytes, but leaves `floor` of them; whether any went.
fn drop_threads(event: &mut Event<'static>, excess: usize, floor: usize) -> bool {
    let threads = &mut event.threads.values;
    let crashed = threads.iter().filter(|thread| thread.crashed).count();
    let (mut freed, before) = (0usize, threads.len());
    while freed < excess && threads.len() > crashed + floor {
        let Some(thread) = threads.pop() else { break };
        let len = serde_json::to_vec(&thread).map_or(0, |json| json.len());
        freed = freed.saturating_add(len + 1);
    }
    let gone = (before - threads.len()) as u64;
    if gone > 0 {
        let noted = event::noted(event, THREADS_LEFT_OUT);
        event::note(event, THREADS_LEFT_OUT, Value::from(noted.saturating_add(gone)));
    }
    gone > 0
}

/// Step 1: drops the oldest breadcrumbs that together make up `excess` bytes; says how many.
fn oldest_breadcrumbs(event: &mut Event<'static>, excess: usize) -> usize {
    let crumbs = &mut event.breadcrumbs.values;
    let droppable = crumbs.len().saturating_sub(FLOOR_BREADCRUMBS);
    let (mut freed, mut dropped) = (0usize, 0usize);
    while freed < excess && dropped < droppable {
        let len = serde_json::to_vec(&crumbs[dropped]).map_or(0, |json| json.len());
        // The comma behind it goes too.
        freed = freed.saturating_add(len + 1);
        dropped += 1;
    }
    crumbs.drain(..dropped);
    dropped
}

fn frame_details(event: &mut Event<'static>) {
    for stack in event.exception.values.iter_mut().filter_map(|e| e.stacktrace.as_mut()) {
        for frame in &mut stack.frames {
            strip(frame);
        }
    }
    event.debug_meta = std::borrow::Cow::default();
}

fn strip(frame: &mut Frame) {
    frame.abs_path = None;
    frame.symbol = None;
    frame.instruction_addr = None;
    frame.symbol_addr = None;
    frame.image_addr = None;
    frame.package = None;
    frame.colno = None;
    cut::optional(&mut frame.filename, limits::MODULE_CHARS);
}

fn chained_stacks(event: &mut Event<'static>) {
    if let Some((_about, chained)) = event.exception.values.split_last_mut() {
        for exception in chained {
            exception.stacktrace = None;
        }
    }
}

fn middle_frames(event: &mut Event<'static>) {
    drop_threads(event, usize::MAX, 0);
    for stack in event.exception.values.iter_mut().filter_map(|e| e.stacktrace.as_mut()) {
        keep_ends(stack, 10, 40);
    }
}

fn breadcrumb_data(event: &mut Event<'static>) {
    for crumb in &mut event.breadcrumbs.values {
        crumb.data.clear();
        cut::optional(&mut crumb.message, 512);
    }
}

fn many_tags(event: &mut Event<'static>) {
    if let Some(first_gone) = event.tags.keys().nth(50).cloned() {
        event.tags.split_off(&first_gone);
    }
}

fn long_values(event: &mut Event<'static>) {
    for exception in &mut event.exception.values {
        cut::optional(&mut exception.value, 1024);
    }
}

fn foreign_contexts(event: &mut Event<'static>) {
    use super::context::{LASTWORDS, PROCESS};
    event.contexts.retain(|key, _| ["os", PROCESS, LASTWORDS].contains(&key.as_str()));
}

fn additions(event: &mut Event<'static>) {
    event.extra.clear();
    event.modules.clear();
    event.request = None;
}

/// Keeps the `oldest` first and the `newest` last frames and says which are gone.
pub fn keep_ends(stack: &mut Stacktrace, oldest: usize, newest: usize) {
    let count = stack.frames.len();
    if count <= oldest + newest {
        return;
    }
    let until = count - newest;
    stack.frames.drain(oldest..until);
    // A second cut lies around the first one: both ends count in the stack as it was at first.
    let before = stack.frames_omitted.map_or(0, |(from, to)| to.saturating_sub(from));
    stack.frames_omitted = Some((oldest as u64, until as u64 + before));
}

fn json_len(event: &Event<'static>, extras: &Extras) -> usize {
    // An event that JSON cannot hold is rendered as a small one: see `render`.
    serde_json::to_vec(&render(event, extras)).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_stack_goes() {
        let named = |n: usize| Frame { function: Some(n.to_string()), ..Frame::default() };
        let mut stack =
            Stacktrace { frames: (0..300).map(named).collect(), ..Stacktrace::default() };
        keep_ends(&mut stack, 50, 200);
        assert_eq!(stack.frames.len(), 250);
        assert_eq!(stack.frames[49].function.as_deref(), Some("49"));
        assert_eq!(stack.frames[50].function.as_deref(), Some("100"));
        assert_eq!(stack.frames_omitted, Some((50, 100)));
        keep_ends(&mut stack, 10, 40);
        assert_eq!(stack.frames[10].function.as_deref(), Some("260"));
        assert_eq!(stack.frames_omitted, Some((10, 260)));
    }
}
