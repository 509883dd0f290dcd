//! After the record: what would have happened without us.

use std::ffi::c_int;
use std::mem::transmute;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::super::disposition::{self, Disposition, Handler};
use super::{Earlier, INSTALLED, Signal, on_fatal, set_handler};
use crate::record::FatalArea;

/// Hands the signal to what was there before; `recorded` is the record that this signal has, if it
/// has one.
///
/// # Safety
/// The signal's pointers are null or what its handler was given.
pub(super) unsafe fn hand_over(
    signal: &Signal,
    earlier: &Earlier,
    recorded: Option<FatalArea<'_>>,
) {
    let former = &earlier.disposition;
    let once = former.flags & libc::SA_RESETHAND != 0;
    if former.is_default() || (once && earlier.used_up.swap(true, Ordering::AcqRel)) {
        // SAFETY: the caller's.
        return unsafe { die_of(signal) };
    }
    if once {
        // As the kernel does before it calls such a handler.
        disposition::set_default(signal.number);
    }
    let lent = lend_abort(signal.number);
    // SAFETY: the caller's, and `former` is a handler that the program had set for this signal.
    let outcome = unsafe {
        call(signal, former);
        after(signal, once)
    };
    match outcome {
        Outcome::FaultsAgain => {}
        // SAFETY: the caller's.
        Outcome::Swallowed => unsafe { disposition::send_again(signal.number, signal.info) },
        Outcome::Survived => {
            if lent {
                take_abort_back();
            }
            // SAFETY: the caller's.
            let may_abort = signal.number == libc::SIGABRT && unsafe { signal.is_raised() };
            match recorded {
                // `abort` goes on to kill the process when a handler returns.
                Some(area) if may_abort => area.set_returned(),
                Some(area) => area.release(),
                None => {}
            }
        }
    }
}

/// Where the default is to follow.
///
/// # Safety
/// As [`hand_over`].
unsafe fn die_of(signal: &Signal) {
    // SAFETY: the caller's.
    unsafe {
        if signal.is_kept_from_init() {
            return;
        }
        disposition::set_default(signal.number);
        // A handler that called ours may abort.
        lend_abort(signal.number);
        // A fault comes again by itself, where the core is to show it.
        if !signal.faults_again() {
            disposition::send_again(signal.number, signal.info);
        }
    }
}

/// What became of a signal whose former handler has returned.
enum Outcome {
    /// The program goes on.
    Survived,
    /// The handler has set the default, as the Rust runtime's does, and the fault comes again.
    FaultsAgain,
    /// The same, but what was sent does not come again.
    Swallowed,
}

/// # Safety
/// As [`hand_over`].
unsafe fn after(signal: &Signal, once: bool) -> Outcome {
    let is_default = disposition::current(signal.number).is_some_and(|now| now.is_default());
    // SAFETY: the caller's.
    let faults_again = unsafe { signal.faults_again() };
    match (is_default, faults_again) {
        (true, true) => Outcome::FaultsAgain,
        (true, false) if !once => Outcome::Swallowed,
        _ => Outcome::Survived,
    }
}

/// Calls a handler with the mask that the kernel would have given it.
///
/// # Safety
/// As [`hand_over`], and `former` is a handler.
#[inline(never)]
unsafe fn call(signal: &Signal, former: &Disposition) {
    let own =
        if former.flags & libc::SA_NODEFER != 0 { 0 } else { disposition::bit(signal.number) };
    // SAFETY: a handler's context is null or a `ucontext_t` (sigaction(2)).
    let interrupted = unsafe { signal.context.cast::<libc::ucontext_t>().as_ref() };
    let before = interrupted.map_or(0, |context| disposition::first_word(&context.uc_sigmask));
    disposition::set_mask(before | former.mask | own);
    // SAFETY: whoever set the handler has said by its flags which of the two it is.
    unsafe {
        if former.flags & libc::SA_SIGINFO != 0 {
            let handler = transmute::<usize, Handler>(former.handler);
            handler(signal.number, signal.info, signal.context);
        } else {
            let handler = transmute::<usize, extern "C" fn(c_int)>(former.handler);
            handler(signal.number);
        }
    }
    disposition::set_mask(!0);
}

/// How many threads are inside of a former handler.
static INSIDE: AtomicU32 = AtomicU32::new(0);
/// Whether the former disposition of SIGABRT is set for them.
static IS_LENT: AtomicBool = AtomicBool::new(false);

/// Puts the former disposition of SIGABRT back while a former handler runs, if ours is set; whether
/// this thread is counted.
///
/// That handler may abort, as the Rust runtime's does on a stack overflow. The record is taken by
/// then, and a second frame of the kernel's does not fit into an alternate stack of 8 KiB.
fn lend_abort(signal: c_int) -> bool {
    if signal == libc::SIGABRT {
        return false;
    }
    INSIDE.fetch_add(1, Ordering::AcqRel);
    if disposition::is_set(libc::SIGABRT, on_fatal)
        && let Some(earlier) = INSTALLED.get().and_then(|known| known.earlier(libc::SIGABRT))
    {
        disposition::restore(libc::SIGABRT, &earlier.disposition);
        IS_LENT.store(true, Ordering::Release);
    }
    true
}

/// Sets our handler of SIGABRT again when the last former handler has returned, unless somebody has
/// set another one meanwhile.
fn take_abort_back() {
    if INSIDE.fetch_sub(1, Ordering::AcqRel) != 1 || !IS_LENT.swap(false, Ordering::AcqRel) {
        return;
    }
    if let Some(earlier) = INSTALLED.get().and_then(|known| known.earlier(libc::SIGABRT))
        && let Some(now) = disposition::current(libc::SIGABRT)
        && now.handler == earlier.disposition.handler
    {
        set_handler(libc::SIGABRT);
    }
}
