//! Signals that end a process without being a crash.
//!
//! **Guarantee:** where one of SIGTERM, SIGINT, SIGHUP and SIGQUIT is at its default when
//! [`install`] runs, the region says that the process was asked to stop and whether it died of it;
//! where another whose default ends a process is (SIGALRM, SIGUSR1, ...), the region says that it
//! died of it. Either way the process dies of the signal, as it came, as without us: a SIGQUIT dumps
//! core. If another handler has been set since and calls ours, as those do that keep the one before
//! them, ours marks a stop and returns. A forked child that recorded nothing marks nothing.
//! **Lost:** real-time signals, and a signal that is taken by `sigwait` or a signalfd: the program
//! knows what it does with those.
//!
//! From PID 1 of a PID namespace the kernel keeps what is at its default there, whoever sends it: a
//! container that is asked to stop is killed some seconds later, if its program does nothing about it.
//! There a stop is only marked, so that the kill is no crash, and a system call that no handler lets go on
//! (`epoll_wait`) is interrupted once; the other signals are left alone.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, OnceLock};

use super::disposition::{self, KeptErrno};
use crate::record::{Recording, Region};

/// Signals by which a program is asked to stop.
const STOPS: [c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// The others whose default ends a process and that are no crashes (signal(7)).
const ENDS: [c_int; 9] = [
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGPIPE,
];

static RECORDING: OnceLock<Arc<Recording>> = OnceLock::new();

/// Sets the handlers. They write to the region of `recording`.
pub(super) fn install(recording: &Arc<Recording>) {
    if RECORDING.set(Arc::clone(recording)).is_err() {
        return;
    }
    let flags = libc::SA_ONSTACK | libc::SA_RESTART;
    let ends = if is_init() { &[] } else { &ENDS[..] };
    for (signals, handler) in [(&STOPS[..], on_stop as disposition::Handler), (ends, on_end)] {
        for signal in signals {
            if disposition::current(*signal).is_some_and(|now| now.is_default()) {
                // SAFETY: the handlers store atomics of the region and make system calls.
                unsafe { disposition::set(*signal, handler, flags) };
            }
        }
    }
}

/// Whether this is PID 1 of its namespace. A system call, and nothing else.
fn is_init() -> bool {
    std::process::id() == 1
}

/// This process's region. None in a forked child before its first event.
fn region() -> Option<&'static Region> {
    let region = RECORDING.get()?.existing_region()?;
    (region.pid() == std::process::id()).then_some(region)
}

unsafe extern "C" fn on_stop(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    let _errno = KeptErrno::keep();
    let dies = disposition::is_set(signal, on_stop) && !is_init();
    if let Some(region) = region() {
        region.mark_asked(signal, dies);
    }
    if dies {
        // SAFETY: `info` is what this handler was given.
        unsafe { die_of(signal, info) };
    }
}

unsafe extern "C" fn on_end(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    let _errno = KeptErrno::keep();
    if disposition::is_set(signal, on_end) {
        if let Some(region) = region() {
            region.mark_ended_by(signal);
        }
        // SAFETY: `info` is what this handler was given.
        unsafe { die_of(signal, info) };
    }
}

/// Dies of the signal once the handler returns.
///
/// # Safety
/// As [`disposition::send_again`].
unsafe fn die_of(signal: c_int, info: *const libc::siginfo_t) {
    disposition::set_default(signal);
    // SAFETY: the caller's.
    unsafe { disposition::send_again(signal, info) };
}
