//! A program with an allocator of its own, whose lock is held by the thread that panics.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use tracing_subscriber::prelude::*;

/// The system's allocator behind one lock, which its owner may take again.
struct Locked {
    owner: AtomicI32,
    allocated: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Locked = Locked { owner: AtomicI32::new(0), allocated: AtomicUsize::new(0) };

/// The lock of the allocator, held.
struct Held {
    outermost: bool,
}

impl Locked {
    fn lock(&self) -> Held {
        // SAFETY: the call has no preconditions.
        let me = unsafe { libc::gettid() };
        if self.owner.load(Ordering::Acquire) == me {
            return Held { outermost: false };
        }
        while self.owner.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
        Held { outermost: true }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.outermost {
            ALLOCATOR.owner.store(0, Ordering::Release);
        }
    }
}

// SAFETY: every call goes to the system's allocator as it is; the lock only delays it.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _held = self.lock();
        self.allocated.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _held = self.lock();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The allocator's state, formatted with its lock held.
struct Statistics;

impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _held = ALLOCATOR.lock();
        write!(f, "{}", ALLOCATOR.allocated.load(Ordering::Relaxed))?;
        panic!("holding the allocator");
    }
}

fn main() {
    if std::env::var_os("PLAIN").is_none() {
        let recorder = lastwords::builder().install().expect("nothing is wrong");
        tracing_subscriber::registry().with(recorder.layer()).init();
    }
    let as_breadcrumb = std::env::args().nth(1).as_deref() == Some("breadcrumb");
    let work = move || {
        if as_breadcrumb {
            tracing::info!(statistics = ?Statistics, "as a breadcrumb");
            panic!("after the breadcrumb");
        }
        println!("{}", format!("{Statistics:?}").len());
    };
    let thread = std::thread::Builder::new().name("worker".to_owned()).spawn(work);
    println!("died: {}", thread.expect("a thread").join().is_err());
}
