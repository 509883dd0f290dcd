//! How lastwords starts its threads.
//!
//! **Guarantee:** no signal is delivered to them (which thread handles a signal is the program's
//! affair), and no panic of theirs is reported as the program's. Their stacks are small: two
//! megabytes of address space, of which what is touched counts.

use std::io;
use std::thread::Thread;

use crate::detect::hook;

/// Starts a thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let work = move || {
        hook::ignore_this_thread();
        work();
    };
    let spawn = || std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let handle = with_signals_blocked(spawn)?;
    Ok(handle.thread().clone())
}

/// Calls `f` while no signal is delivered to this thread: what comes meanwhile comes behind it. Other threads
/// of the process take signals as ever.
#[cfg(unix)]
pub(super) fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises `all` before it is read, `pthread_sigmask` writes the mask
    // that was in force into `before`, and both live until the end of this function.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = f();
    if blocked {
        // SAFETY: `before` was written by the successful call above.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    result
}

#[cfg(not(unix))]
pub(super) fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    f()
}
