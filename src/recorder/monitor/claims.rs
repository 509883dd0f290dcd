//! Which crashes in the child's output are reported by somebody else: by the panic hook of a process
//! below, from the region that a process below has of its own, or by a monitor below.
//!
//! **Guarantee:** a process below that writes its entry in the ledger has its print dropped, or the
//! report of it withdrawn, so that one death is one event. **Lost:** nothing is dropped on likeness
//! alone: a panic that was printed twice, with one entry, is reported once by each. Where the runtime
//! names no thread (an exhausted heap), the entry of a process that died within [`AT_ONCE`] of the print
//! is taken for the one.

use std::sync::Arc;
use std::time::Duration;

use sentry::types::Uuid;

use crate::detect::{Crash, Exception, Runtime};
use crate::record::{LedgerEntry, LedgerKind, Region, hash, hash_message, hash_place, system_time};

/// The entries of the monitor's own ledger that no print was matched with yet.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Number of the last entry that was read.
    read: u64,
    open: Vec<LedgerEntry>,
    /// Event ids of all panics reported below, each with the process that reports it.
    reported: Vec<(Uuid, u32)>,
}

/// Most entries kept: as many as a ledger has.
const MOST: usize = 64;

/// How far the print of a fatal error and the signal that it is about lie apart at most.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Claims {
    /// Reads what is new in the ledger.
    pub(super) fn read(&mut self, region: &Region) {
        for (number, entry) in region.ledger_after(self.read) {
            self.read = number;
            if entry.kind == LedgerKind::Panic {
                self.reported.push((Uuid::from_bytes(entry.event_id), entry.pid));
            }
            self.open.push(entry);
        }
        self.open.drain(..self.open.len().saturating_sub(MOST));
        self.reported.drain(..self.reported.len().saturating_sub(MOST));
    }

    /// Takes the entry about `crash`, if there is one: the id under which it is reported.
    pub(super) fn take(&mut self, crash: &Crash) -> Option<Uuid> {
        let text = self
            .take_first(|entry| entry.kind == LedgerKind::Text && entry.place == hash_crash(crash));
        // The later panics of one death have entries of their own.
        let panics = crash.exceptions.iter().map(|exception| {
            let taken = self.take_first(|entry| is_panic(entry, crash, exception));
            taken.map(|entry| entry.event_id)
        });
        let panics: Vec<_> = panics.collect();
        let fatal = self.take_first(|entry| is_fatal(entry, crash));
        let text = text.or(fatal);
        let first = text.map(|entry| entry.event_id).or(panics.into_iter().flatten().next());
        first.map(Uuid::from_bytes)
    }

    /// The ids of all panics reported below.
    pub(super) fn reported(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.reported.iter().map(|(id, _)| *id)
    }

    fn take_first(&mut self, is_it: impl Fn(&LedgerEntry) -> bool) -> Option<LedgerEntry> {
        let at = self.open.iter().position(is_it)?;
        Some(self.open.remove(at))
    }

    /// The ids under which process `pid` reports its panics, oldest first.
    pub(super) fn reported_by(&self, pid: u32) -> impl Iterator<Item = Uuid> + '_ {
        self.reported.iter().filter(move |(_, by)| *by == pid).map(|(id, _)| *id)
    }
}

/// Whether an entry of a panic hook is about `exception`: the place is the same, and the thread or,
/// where it is not printed, the message.
fn is_panic(entry: &LedgerEntry, crash: &Crash, exception: &Exception) -> bool {
    let Some(place) = &exception.location else { return false };
    if entry.kind != LedgerKind::Panic
        || entry.place != hash_place(&place.file, place.line, place.column)
    {
        return false;
    }
    match crash.thread.as_ref().and_then(|thread| thread.id) {
        Some(id) if entry.thread != 0 => id == entry.thread,
        _ => entry.message == hash_message(exception.value.as_bytes()),
    }
}

/// Whether an entry of a signal handler is about `crash`: an error of the Rust runtime's, after which it
/// aborts, or the fault that it prints of.
fn is_fatal(entry: &LedgerEntry, crash: &Crash) -> bool {
    let is_panic = crash.exceptions.iter().any(|exception| exception.location.is_some());
    if entry.kind != LedgerKind::Fatal || crash.runtime != Runtime::Rust || is_panic {
        return false;
    }
    let died = system_time(entry.place.cast_signed());
    let (before, after) = (died.duration_since(crash.time), crash.time.duration_since(died));
    let apart = before.or(after).unwrap_or_default();
    let thread = crash.thread.as_ref().and_then(|thread| thread.id);
    thread.is_none_or(|thread| thread == entry.thread) && apart <= AT_ONCE
}

/// What two monitors that read the same text say of it.
fn hash_crash(crash: &Crash) -> u64 {
    let mut parts: Vec<&[u8]> = Vec::new();
    for exception in &crash.exceptions {
        let top = exception.frames.first().and_then(|frame| frame.function.as_deref());
        let place = exception.location.as_ref().map_or("", |place| &place.file);
        let texts = [&exception.ty, &exception.value, top.unwrap_or_default(), place];
        parts.extend(texts.map(str::as_bytes));
    }
    hash(&parts)
}

/// The monitor above this one.
pub(super) struct Upward(Option<Arc<Region>>);

impl Upward {
    pub(super) fn new(region: Option<Arc<Region>>) -> Upward {
        Upward(region)
    }

    /// Says that `crash`, whose print it reads too, is reported below.
    pub(super) fn note(&self, crash: &Crash) {
        let Some(region) = &self.0 else { return };
        region.note_in_ledger(&LedgerEntry {
            event_id: crash.event_id.into_bytes(),
            kind: LedgerKind::Text,
            pid: std::process::id(),
            thread: 0,
            place: hash_crash(crash),
            message: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::stderr::Scanner;

    /// What the scanner makes of a text.
    fn scanned(text: &str) -> Crash {
        let (mut scanner, mut found) = (Scanner::new(), Vec::new());
        let now = std::time::SystemTime::now();
        scanner.feed(text.as_bytes(), now, &mut |one| found.push(one.crash));
        let ending = Some(crate::detect::Ending::Signal(6));
        scanner.finish(ending, &mut |one| found.push(one.crash));
        found.pop().expect("a crash")
    }

    fn claims(thread: u64, age: Duration) -> Claims {
        let died = crate::record::wall_millis() as u64 * 1_000_000 - age.as_nanos() as u64;
        let (event_id, kind) = ([0; 16], LedgerKind::Fatal);
        let open = vec![LedgerEntry { event_id, kind, pid: 7, thread, place: died, message: 6 }];
        Claims { open, ..Claims::default() }
    }

    const OVERFLOW: &str = "\nthread 'main' (42) has overflowed its stack\n\
        fatal runtime error: stack overflow, aborting\n";
    const MEMORY: &str = "memory allocation of 64 bytes failed\n";
    const PANIC: &str = "\nthread 'main' (42) panicked at src/main.rs:1:2:\nno\n";

    #[test]
    fn a_signal_below_claims_what_the_runtime_printed_of_it_once() {
        let (overflow, memory) = (scanned(OVERFLOW), scanned(MEMORY));
        let mut of_thread = claims(42, Duration::ZERO);
        assert!(of_thread.take(&overflow).is_some() && of_thread.take(&overflow).is_none());
        assert!(claims(42, Duration::ZERO).take(&memory).is_some(), "no thread is named");
        assert!(claims(41, Duration::ZERO).take(&overflow).is_none(), "another thread");
        assert!(claims(42, AT_ONCE * 2).take(&overflow).is_none(), "an earlier death");
        assert!(claims(42, AT_ONCE * 2).take(&memory).is_none(), "an earlier death");
        assert!(claims(42, Duration::ZERO).take(&scanned(PANIC)).is_none(), "a panic");
    }
}
