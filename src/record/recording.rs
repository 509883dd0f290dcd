//! The region that a recorder writes to now.
//!
//! **Guarantee:** reaching it is one load. A child forked without exec never writes to its
//! parent's region: `fork` detaches it, and the child's first event makes a region of the child's
//! own, with the parent's tags. **Lost:** events of other threads while that region is made.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::identity::Identity;
use super::region::{Place, Region};
#[cfg(unix)]
use super::thread;

/// What is needed to make a region again.
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) ring_bytes: u64,
    /// The identity's settings; who the process is gets filled in anew.
    pub(crate) identity: Identity,
}

/// A recorder's region, and how to make another in a forked child.
pub(crate) struct Recording {
    /// Made by `Box::into_raw`; null between a fork and the child's first event.
    region: AtomicPtr<Region>,
    /// In a forked child: the parent's region, whose tags the child inherits. Never freed: other
    /// threads of the parent may be inside it.
    parent: AtomicPtr<Region>,
    making: AtomicBool,
    plan: Plan,
}

impl Recording {
    pub(crate) fn new(region: Region, plan: Plan) -> Recording {
        Recording {
            region: AtomicPtr::new(Box::into_raw(Box::new(region))),
            parent: AtomicPtr::new(std::ptr::null_mut()),
            making: AtomicBool::new(false),
            plan,
        }
    }

    /// The region to write to. `None` while a forked child is making its own.
    #[inline]
    pub(crate) fn region(&self) -> Option<&Region> {
        let region = self.region.load(Ordering::Acquire);
        if region.is_null() {
            return self.make_region();
        }
        // SAFETY: a pointer in `region` came from `Box::into_raw` and is freed only by `drop`,
        // when no reference to `self` is left; a fork moves it to `parent` without freeing it.
        Some(unsafe { &*region })
    }

    /// The region, if there is one: makes none.
    pub(crate) fn existing_region(&self) -> Option<&Region> {
        // SAFETY: as in `region`.
        unsafe { self.region.load(Ordering::Acquire).as_ref() }
    }

    #[cold]
    #[inline(never)]
    fn make_region(&self) -> Option<&Region> {
        if self.making.swap(true, Ordering::Acquire) {
            return self.existing_region();
        }
        if self.existing_region().is_none() {
            let made = self.new_region();
            self.region.store(Box::into_raw(Box::new(made)), Ordering::Release);
        }
        self.making.store(false, Ordering::Release);
        self.existing_region()
    }

    fn new_region(&self) -> Region {
        let own = Identity::of_this_process();
        let identity = Identity {
            pid: own.pid,
            start_ticks: own.start_ticks,
            pid_namespace: own.pid_namespace,
            started_millis: own.started_millis,
            silent_death_id: own.silent_death_id,
            ..self.plan.identity.clone()
        };
        let Plan { place, ring_bytes, .. } = &self.plan;
        let region = Region::create(place, *ring_bytes, &identity)
            .unwrap_or_else(|_| Region::on_heap(*ring_bytes, &identity));
        // SAFETY: `parent` is null or was moved there from `region` by `detach`, and such a
        // region is never freed.
        if let Some(parent) = unsafe { self.parent.load(Ordering::Acquire).as_ref() } {
            // Spans of the parent look old here, and are written again.
            region.begin_after(parent);
            for (key, value) in parent.tags() {
                region.set_tag(&key, &value);
            }
        }
        region
    }

    /// Leaves the parent's region alone. Runs in the only thread of a forked child, before `fork`
    /// returns there: it stores pointers and numbers, and nothing else.
    #[cfg(unix)]
    fn detach(&self) {
        let region = self.region.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !region.is_null() {
            self.parent.store(region, Ordering::Release);
        }
        self.making.store(false, Ordering::Release);
        thread::forget_after_fork();
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let region = *self.region.get_mut();
        if !region.is_null() {
            // SAFETY: the pointer came from `Box::into_raw`, and nobody has a reference to what
            // `self` owned.
            drop(unsafe { Box::from_raw(region) });
        }
    }
}

/// The recording that a fork must detach: the installed one.
static INSTALLED: OnceLock<Arc<Recording>> = OnceLock::new();

/// How often the process was forked to become what it is: a pid may come again, in another
/// namespace.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// A number that differs between a process and its forked children, once a recorder is installed.
pub(crate) fn process_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Makes sure that a forked child leaves the region of `recording` alone. For the one installed
/// recorder.
pub(crate) fn detach_in_forked_children(recording: &Arc<Recording>) {
    if INSTALLED.set(Arc::clone(recording)).is_ok() {
        register_child_handler();
    }
}

#[cfg(unix)]
fn register_child_handler() {
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        if let Some(recording) = INSTALLED.get() {
            recording.detach();
        }
    }
    // SAFETY: the handler lives as long as the program, and in a forked child it only stores
    // atomics and plain thread-locals, which is allowed between `fork` and `exec`.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

#[cfg(not(unix))]
fn register_child_handler() {}
