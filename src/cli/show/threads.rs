//! The other threads: those with the same stack are one entry with their count, the longest blocked
//! first, as the event has them.

use super::stack::Style;
use crate::cli::error::Error;
use crate::cli::event::{Event, Thread};
use crate::cli::output::Output;
use crate::cli::text::{Line, Role, counted};

/// How many entries are shown unless all are asked for, and how many frames of each.
const SHOWN: usize = 8;
const FRAMES: usize = 4;

/// How many threads an entry names.
const NAMED: usize = 6;

/// Threads that do the same.
struct Bucket<'a> {
    threads: Vec<&'a Thread>,
}

/// Prints them.
pub fn print(event: &Event, style: &Style, full: bool, out: &mut Output) -> Result<(), Error> {
    let others: Vec<_> = event.threads.iter().filter(|t| !t.crashed).collect();
    let left_out = event.contexts.get("lastwords").and_then(|o| o["threads_left_out"].as_u64());
    if others.is_empty() && left_out.is_none() {
        return Ok(());
    }
    let buckets = fold(&others);
    out.blank()?;
    heading(event, others.len(), buckets.len(), left_out.unwrap_or(0), out)?;
    let shown = if full { buckets.len() } else { buckets.len().min(SHOWN) };
    for bucket in &buckets[..shown] {
        print_bucket(event, bucket, style, full, out)?;
    }
    match buckets.len() - shown {
        0 => Ok(()),
        more => {
            let threads: usize = buckets[shown..].iter().map(|bucket| bucket.threads.len()).sum();
            let more = counted(more as u64, "more stack");
            let noun = counted(threads as u64, noun(event));
            let note = format!("  … {more} of {noun} (--full shows them)");
            Ok(out.wrapped(Line::new().push(Role::Quiet, &note), 4)?)
        }
    }
}

fn noun(event: &Event) -> &'static str {
    if event.is_go() { "goroutine" } else { "thread" }
}

fn heading(
    event: &Event,
    threads: usize,
    stacks: usize,
    left_out: u64,
    out: &mut Output,
) -> Result<(), Error> {
    let mut line = Line::new();
    let count = counted(threads as u64, &format!("other {}", noun(event)));
    line.push(Role::Strong, &count);
    if stacks < threads {
        line.push(Role::Quiet, &format!(" with {}", counted(stacks as u64, "different stack")));
    }
    if left_out > 0 {
        line.push(Role::Quiet, &format!(", and {left_out} that had no room in the report"));
    }
    Ok(out.wrapped(&line, 2)?)
}

/// Threads with the same stack, in the order of the first of each.
fn fold<'a>(threads: &[&'a Thread]) -> Vec<Bucket<'a>> {
    let mut buckets: Vec<Bucket<'a>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for thread in threads {
        let stack: Vec<_> = thread.frames.iter().map(|f| (&f.function, f.line)).collect();
        let index = *known.entry((what(thread), stack)).or_insert(buckets.len());
        match buckets.get_mut(index) {
            Some(bucket) => bucket.threads.push(thread),
            None => buckets.push(Bucket { threads: vec![thread] }),
        }
    }
    buckets
}

/// What a thread does, without for how long.
fn what(thread: &Thread) -> &str {
    let state = thread.state.as_deref().unwrap_or_default();
    let time = |part: &str| part.ends_with(" minutes") || part.ends_with(" minute");
    match state.rsplit_once(", ") {
        Some((what, last)) if time(last) => what,
        _ => state,
    }
}

fn print_bucket(
    event: &Event,
    bucket: &Bucket<'_>,
    style: &Style,
    full: bool,
    out: &mut Output,
) -> Result<(), Error> {
    let Some(first) = bucket.threads.first() else { return Ok(()) };
    let mut line = Line::new();
    let label = match bucket.threads.len() {
        1 => event.label(first),
        many => counted(many as u64, noun(event)),
    };
    line.push(Role::Plain, "  ").push(Role::Strong, &label);
    if let Some(state) = &first.state {
        line.push(Role::Quiet, &format!("  {state}"));
    }
    if let Some(started) = first.name.as_ref().filter(|name| name.starts_with("created by ")) {
        line.push(Role::Quiet, &format!("  {started}"));
    }
    if bucket.threads.len() > 1 {
        line.push(Role::Quiet, &format!("  ({})", named(bucket)));
    }
    out.wrapped(&line, 4)?;
    style.print_indented(&first.frames, if full { usize::MAX } else { FRAMES }, out)
}

/// The ids of a few.
fn named(bucket: &Bucket<'_>) -> String {
    let ids = bucket.threads.iter().filter_map(|thread| thread.id.as_deref());
    let mut named: Vec<&str> = ids.take(NAMED).collect();
    if bucket.threads.len() > NAMED {
        named.push("…");
    }
    named.join(", ")
}
