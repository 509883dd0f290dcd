//! Reading lines as breadcrumbs takes memory for those that are asked for, however many lines there
//! are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use lastwords::record::{RawLine, line_breadcrumbs};

/// Knows how much is allocated, and how much has been at most.
struct Measuring;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(now, Relaxed);
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches atomics only.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

#[test]
fn memory_is_proportional_to_what_is_asked_for() {
    const LINE: usize = 16 * 1024;
    let plain = "x".repeat(LINE);
    let traced = format!("    {plain}");
    let record = format!("2026-03-04T05:06:07Z  INFO app: {}", "k=v ".repeat(LINE / 4 - 10));
    for lines in [[&plain, &plain], [&record, &record], [&record, &traced]] {
        let lines: Vec<RawLine<'_>> = (0..10_000)
            .map(|number| RawLine {
                live: true,
                bytes: lines[number % 2].as_bytes(),
                boot_nanos: 0,
                time: SystemTime::UNIX_EPOCH,
                cut: false,
            })
            .collect();
        for most in [1, 100] {
            let before = NOW.load(Relaxed);
            MOST.store(before, Relaxed);
            let found = line_breadcrumbs(&lines, most);
            let peak = MOST.load(Relaxed) - before;
            assert_eq!(found.len(), most);
            // A line and its pieces once more, beside the breadcrumbs themselves.
            let bound = (most * 3 + 64) * LINE;
            assert!(peak < bound, "{most} breadcrumbs took {peak} bytes, more than {bound}");
        }
    }
}
