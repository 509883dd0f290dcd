//! Recording allocates nothing in steady state, on no thread that records.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::thread;

use tracing::{Span, info, info_span, warn};
use tracing_subscriber::prelude::*;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches a plain
// thread-local without a destructor, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` allocates on this thread.
fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by its `Debug`")]
struct Position {
    term: u64,
    peers: [u16; 3],
}

const EVENTS: u64 = 10_000;

fn events(numbers: std::ops::Range<u64>) {
    for number in numbers {
        let position = Position { term: number, peers: [1, 2, 3] };
        let name = black_box("ingest");
        info!(number, name, ok = true, ratio = 0.5, "applied {} of {}", number, name);
        warn!(?position, error = %std::fmt::Error, "behind by {number} at {position:?}");
    }
}

fn spans() -> [Span; 3] {
    [info_span!("request", id = 7), info_span!("batch", rows = 12), info_span!("row", key = "k")]
}

/// Every way to record without making a span.
fn work() {
    events(0..EVENTS);
    let [outer, middle, inner] = spans();
    let in_spans = allocations(|| {
        outer.in_scope(|| events(0..EVENTS));
        let _outer = outer.enter();
        let _middle = middle.enter();
        let _inner = inner.enter();
        events(0..EVENTS);
    });
    let entering = allocations(|| {
        for number in 0..EVENTS {
            let _outer = outer.enter();
            let _inner = inner.enter();
            events(number..number + 1);
        }
    });
    assert_eq!((in_spans, entering), (0, 0), "allocations in spans, and entering them");
    assert_eq!(allocations(|| events(0..EVENTS)), 0, "allocations outside spans");
}

#[test]
fn recording_allocates_nothing_in_steady_state() {
    let state = tempfile::tempdir().expect("a directory for the state");
    let recorder = lastwords::builder().state_dir(state.path()).install().expect("installed");
    tracing_subscriber::registry().with(recorder.layer()).init();

    let string = allocations(|| drop(black_box(String::from(black_box("x")))));
    assert_eq!(string, 1, "the counter counts");

    // Warm: callsites, thread-locals, the subscriber's own tables.
    let [outer, middle, inner] = spans();
    outer.in_scope(|| middle.in_scope(|| inner.in_scope(|| events(0..10))));
    work();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                events(0..1);
                let [outer, middle, inner] = spans();
                outer.in_scope(|| middle.in_scope(|| inner.in_scope(|| events(0..10))));
                work();
            });
        }
    });
    let crumbs = recorder.breadcrumbs();
    let last = crumbs.last().and_then(|crumb| crumb.message.as_deref());
    assert_eq!(
        last,
        Some("behind by 9999 at Position { term: 9999, peers: [1, 2, 3] }"),
        "the events were recorded"
    );
}
