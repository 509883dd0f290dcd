//! The clean end of a process.
//!
//! **Guarantee:** when `main` returns or `exit` is called, panics that are still being reported are
//! waited for (for a bounded time), what was not sent yet is (for at most `LASTWORDS_FLUSH`), reports say whether the main thread's panic ended the process
//! or was caught, the region is marked and its file removed (a monitor removes its own). **Not noticed here:** `_exit`, an
//! abort, a signal: then the region stays, and says what happened.
//!
//! `exit` runs no destructors of Rust values, and a `Recorder` may be dropped long before the end:
//! only the C library's exit handlers tell.

use std::sync::{Arc, OnceLock};

use super::above;
use super::publish::Publisher;
use super::reporter::Reporter;
use crate::record::{END_CLEAN, remove_region};

static AT_EXIT: OnceLock<(Arc<Publisher>, Arc<Reporter>)> = OnceLock::new();

/// Arranges for the clean end to be noticed.
pub(super) fn register(publisher: Arc<Publisher>, reporter: Arc<Reporter>) {
    if AT_EXIT.set((publisher, reporter)).is_ok() {
        register_handler();
    }
}

/// What the handler does; `status` is what the process exits with, where that is known.
fn at_exit(status: Option<i32>) {
    let Some((publisher, reporter)) = AT_EXIT.get() else { return };
    // A forked child that recorded nothing has no region, and must leave its parent's alone.
    let Some(region) = publisher.recording().existing_region() else {
        // What another client has given it to send may still be there.
        return publisher.delivery().finish();
    };
    reporter.finish(publisher, region);
    if let Some(status) = status {
        publisher.correct_at_exit(status);
    }
    region.mark_end(END_CLEAN);
    if let Some(path) = region.path()
        && !(region.is_guest() && above::is_watched())
        && !region.has_pending_panics()
        && !region.has_unkept_panics()
    {
        let _ = remove_region(path);
    }
    publisher.wait_for_sweep();
    // Last: a wait that is cut short by a signal costs nothing then.
    publisher.delivery().finish();
}

/// glibc's handlers learn the exit status.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn register_handler() {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        /// `on_exit(3)` of glibc.
        fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn handler(status: c_int, _argument: *mut c_void) {
        at_exit(Some(status));
    }
    // SAFETY: the signature is that of glibc's manual, and `handler` lives as long as the program.
    unsafe { on_exit(handler, std::ptr::null_mut()) };
    register_quick_handler();
}

/// `quick_exit` runs handlers of its own.
#[cfg(target_os = "linux")]
fn register_quick_handler() {
    extern "C" fn handler() {
        at_exit(None);
    }
    unsafe extern "C" {
        /// `at_quick_exit` of the C standard.
        fn at_quick_exit(handler: extern "C" fn()) -> std::ffi::c_int;
    }
    // SAFETY: the signature is that of the C standard, and `handler` lives as long as the program.
    unsafe { at_quick_exit(handler) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn register_handler() {
    extern "C" fn handler() {
        at_exit(None);
    }
    unsafe extern "C" {
        /// `atexit` of the C standard.
        fn atexit(handler: extern "C" fn()) -> std::ffi::c_int;
    }
    // SAFETY: the signature is that of the C standard, and `handler` lives as long as the program.
    unsafe { atexit(handler) };
    #[cfg(target_os = "linux")]
    register_quick_handler();
}
