//! What recording keeps for each thread.
//!
//! **Guarantee:** reading and writing it never allocates, never locks and works at any time of a
//! thread's life, the destruction of its thread-locals included: everything here is a plain value
//! made at compile time, without a destructor. **Lost:** the name of a thread that was not started
//! by Rust's standard library, beyond what the operating system keeps.

use std::cell::{Cell, UnsafeCell};

use super::layout::NAME_BYTES;
use super::ring::{Cursor, Writer};

/// Spans that a thread's own stack holds; deeper ones are looked up in the subscriber.
const DEPTH: usize = 32;

/// A span this thread has entered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entered {
    /// The layer that entered it: ids of two subscribers may be the same.
    pub(crate) layer: u64,
    /// The subscriber's id of it.
    pub(crate) id: u64,
    /// Our own serial number of it.
    pub(crate) serial: u64,
    /// The oldest lease under which it or one of its ancestors was last written.
    pub(crate) oldest_copy: u64,
}

const NO_SPAN: Entered = Entered { layer: 0, id: 0, serial: 0, oldest_copy: 0 };

struct Spans {
    entered: [Entered; DEPTH],
    /// How many are entered; more than `DEPTH` when some could not be kept.
    depth: usize,
}

thread_local! {
    static CURSOR: Cell<Cursor> = const { Cell::new(Cursor::NONE) };
    static SPANS: UnsafeCell<Spans> =
        const { UnsafeCell::new(Spans { entered: [NO_SPAN; DEPTH], depth: 0 }) };
    static ID: Cell<u64> = const { Cell::new(0) };
    static NAME: Cell<Name> = const { Cell::new(Name::Unknown) };
    static FORMATTING: Cell<u32> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
enum Name {
    /// Nobody has asked yet.
    Unknown,
    /// It is being asked for: what the answer logs goes without a name.
    Asking,
    Known {
        len: u8,
        bytes: [u64; NAME_BYTES / 8],
    },
}

/// Runs `f` with this thread's write position.
#[inline]
pub(crate) fn with_cursor<R>(f: impl FnOnce(&mut Cursor) -> R) -> R {
    // Taken out and put back by value: a signal handler that records in between uses the old
    // value and at worst loses this thread's lease.
    let mut cursor = CURSOR.get();
    let result = f(&mut cursor);
    CURSOR.set(cursor);
    result
}

/// This thread's id as the operating system counts, cached.
#[inline]
pub(crate) fn id() -> u64 {
    let id = ID.get();
    if id != 0 {
        return id;
    }
    let id = os_id();
    ID.set(id);
    id
}

#[cfg(target_os = "linux")]
fn os_id() -> u64 {
    rustix::thread::gettid().as_raw_nonzero().get() as u64
}

/// Elsewhere threads are numbered as they come.
#[cfg(not(target_os = "linux"))]
fn os_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Whether this is the thread that runs `main`.
#[cfg(target_os = "linux")]
pub(crate) fn is_main() -> bool {
    id() == u64::from(std::process::id())
}

/// Whether this is the thread that runs `main`: elsewhere by the name that Rust gives it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_main() -> bool {
    std::thread::current().name() == Some("main")
}

/// Forgets what a fork made wrong: the child's only thread has another id.
#[cfg(unix)]
pub(crate) fn forget_after_fork() {
    ID.set(0);
    CURSOR.set(Cursor::NONE);
}

/// This thread for the header of a block. Asks for the thread's name the first time, which may
/// allocate in a thread that the standard library did not start.
pub(crate) fn writer() -> Writer {
    let (name_len, name) = match NAME.get() {
        Name::Known { len, bytes } => (len as usize, bytes),
        Name::Asking => (0, [0; NAME_BYTES / 8]),
        Name::Unknown => {
            NAME.set(Name::Asking);
            let (len, bytes) = ask_name();
            NAME.set(Name::Known { len: len as u8, bytes });
            (len, bytes)
        }
    };
    Writer { id: id(), name_len, name }
}

fn ask_name() -> (usize, [u64; NAME_BYTES / 8]) {
    let current = std::thread::current();
    into_words(current.name().unwrap_or(""))
}

fn into_words(name: &str) -> (usize, [u64; NAME_BYTES / 8]) {
    let cut = &name.as_bytes()[..name.floor_char_boundary(NAME_BYTES)];
    let mut words = [0; NAME_BYTES / 8];
    for (word, chunk) in words.iter_mut().zip(cut.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(bytes);
    }
    (cut.len(), words)
}

/// This thread's name without asking the standard library, for a panicking thread, which may be
/// anywhere: the name known from recording, else what the operating system has for it. The main
/// thread is `main`. A thread that only inherited the name of the program has none.
pub(crate) fn name_in_panic() -> (usize, [u64; NAME_BYTES / 8]) {
    if let Name::Known { len, bytes } = NAME.get() {
        return (len as usize, bytes);
    }
    if is_main() {
        return into_words("main");
    }
    os_name()
}

#[cfg(target_os = "linux")]
fn os_name() -> (usize, [u64; NAME_BYTES / 8]) {
    let read = |option, buffer: &mut [u8; 16]| {
        // SAFETY: PR_GET_NAME writes at most 16 bytes, the length of `buffer`, which the caller
        // owns.
        unsafe { libc::prctl(option, buffer.as_mut_ptr()) };
        buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len())
    };
    let mut own = [0; 16];
    let len = read(libc::PR_GET_NAME, &mut own);
    let inherited = MAIN_NAME.get().is_some_and(|main| main[..] == own[..]);
    match std::str::from_utf8(&own[..len]) {
        Ok(name) if !inherited => into_words(name),
        _ => (0, [0; NAME_BYTES / 8]),
    }
}

#[cfg(not(target_os = "linux"))]
fn os_name() -> (usize, [u64; NAME_BYTES / 8]) {
    (0, [0; NAME_BYTES / 8])
}

/// What the operating system calls the program's first thread: the name that threads without one
/// of their own inherit.
#[cfg(target_os = "linux")]
static MAIN_NAME: std::sync::OnceLock<[u8; 16]> = std::sync::OnceLock::new();

/// Notes how the operating system calls the program's first thread.
#[cfg(target_os = "linux")]
pub(crate) fn remember_main_name() {
    let Ok(comm) = std::fs::read(format!("/proc/self/task/{}/comm", std::process::id())) else {
        return;
    };
    let mut name = [0; 16];
    let len = comm.len().min(16).saturating_sub(1);
    name[..len].copy_from_slice(&comm[..len]);
    let _ = MAIN_NAME.set(name);
}

/// Nothing to note elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn remember_main_name() {}

/// Marks, while it lives, that this thread runs formatting code of the program inside a record.
pub(crate) struct Formatting(());

impl Formatting {
    #[inline]
    pub(crate) fn begin() -> Formatting {
        FORMATTING.set(FORMATTING.get() + 1);
        Formatting(())
    }
}

impl Drop for Formatting {
    #[inline]
    fn drop(&mut self) {
        FORMATTING.set(FORMATTING.get() - 1);
    }
}

/// Whether this thread is inside a [`Formatting`]: a panic now will be caught there.
pub(crate) fn is_formatting() -> bool {
    FORMATTING.get() > 0
}

/// Runs `f` with this thread's entered spans. The functions below that call this run no code but
/// their own in `f`, so no second reference is made on this thread. A signal handler that records in
/// between reads a stack that is whole but for one entry, all of whose fields are plain numbers.
#[inline]
fn with_spans<R>(f: impl FnOnce(&mut Spans) -> R) -> R {
    // SAFETY: the reference lives for the call of `f` only, and nobody makes another meanwhile: see
    // above.
    SPANS.with(|spans| f(unsafe { &mut *spans.get() }))
}

/// Notes that this thread entered a span.
#[inline]
pub(crate) fn push(span: Entered) {
    with_spans(|spans| {
        if let Some(entry) = spans.entered.get_mut(spans.depth) {
            *entry = span;
        }
        spans.depth += 1;
    });
}

/// Notes that this thread left a span, which need not be the last it entered.
#[inline]
pub(crate) fn pop(layer: u64, id: u64) {
    with_spans(|spans| {
        if spans.depth > DEPTH {
            spans.depth -= 1;
            return;
        }
        let kept = &mut spans.entered[..spans.depth];
        if let Some(at) = kept.iter().rposition(|span| span.id == id && span.layer == layer) {
            kept.copy_within(at + 1.., at);
            spans.depth -= 1;
        }
    });
}

/// The current span of `layer` on this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Current {
    /// There is none.
    None,
    /// This one.
    Span(Entered),
    /// More spans are entered than this thread's stack holds: ask the subscriber.
    Unknown,
}

/// The innermost span of `layer` that this thread is in.
#[inline]
pub(crate) fn current(layer: u64) -> Current {
    with_spans(|spans| {
        let Some(kept) = spans.entered.get(..spans.depth) else { return Current::Unknown };
        match kept.iter().rev().find(|span| span.layer == layer) {
            Some(span) => Current::Span(*span),
            None => Current::None,
        }
    })
}

/// Notes under which lease the spans of the current one were written again.
pub(crate) fn refresh_current(layer: u64, serial: u64, oldest_copy: u64) {
    with_spans(|spans| {
        let depth = spans.depth.min(DEPTH);
        let kept = &mut spans.entered[..depth];
        if let Some(span) = kept.iter_mut().rev().find(|s| s.layer == layer && s.serial == serial) {
            span.oldest_copy = oldest_copy;
        }
    });
}

/// Serial number of the span this thread is in, of whatever layer; 0 for none or unknown.
pub(crate) fn current_serial() -> u64 {
    with_spans(|spans| match spans.depth {
        0 => 0,
        depth => spans.entered.get(depth - 1).map_or(0, |span| span.serial),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(id: u64) {
        push(Entered { layer: 1, id, serial: id * 10, oldest_copy: 0 });
    }

    fn current_id() -> u64 {
        match current(1) {
            Current::Span(span) => span.id,
            Current::None => 0,
            Current::Unknown => u64::MAX,
        }
    }

    #[test]
    fn spans_left_out_of_order_leave_the_right_one_current() {
        enter(1);
        enter(2);
        enter(3);
        pop(1, 2);
        assert_eq!(current_id(), 3);
        pop(1, 3);
        assert_eq!(current_id(), 1);
        pop(1, 9);
        assert_eq!(current_id(), 1);
        pop(1, 1);
        assert_eq!(current_id(), 0);
    }

    #[test]
    fn the_stack_knows_when_it_does_not_know() {
        for id in 1..=DEPTH as u64 + 2 {
            enter(id);
        }
        assert_eq!(current_id(), u64::MAX);
        pop(1, DEPTH as u64 + 2);
        pop(1, DEPTH as u64 + 1);
        assert_eq!(current_id(), DEPTH as u64);
    }

    #[test]
    fn layers_do_not_see_each_other() {
        enter(1);
        push(Entered { layer: 2, id: 1, serial: 99, oldest_copy: 0 });
        assert_eq!(current_id(), 1);
        pop(1, 1);
        assert_eq!(current_id(), 0);
        assert_eq!(current_serial(), 99);
    }

    #[test]
    fn names_are_cut_at_a_character() {
        let (len, _) = into_words(&"ä".repeat(40));
        assert_eq!(len, 64);
        let (len, _) = into_words(&format!("a{}", "ä".repeat(40)));
        assert_eq!(len, 63);
    }
}
