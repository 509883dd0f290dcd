//! Fatal signals: what the machine knew when the process died.
//!
//! **Guarantee:** the first signal of a fault, an abort or a limit leaves the thread's registers, the
//! stack from the stack pointer on, and the executable mappings in the region, and then what would
//! have happened without us happens: the handler that was there before runs with the mask it asked
//! for (the Rust runtime's own prints its message about a stack overflow and aborts), or the
//! process dies of the signal with the core it would have had. One thing differs, on purpose: the
//! runtime's handler takes a SIGSEGV or SIGBUS that somebody *sent* for a fault and returns, as if
//! nothing were; here the process dies of it. A signal that the program's own handler returns
//! from is no death, and its record is dropped.
//!
//! The handler runs on the alternate stack, of which std gives its threads 8 KiB and the kernel's
//! frame takes up to 3.5 KiB. It reads plain thread-locals, makes async-signal-safe system calls and
//! stores atomics of the region; every signal is blocked meanwhile, so that a fault of its own makes
//! the kernel end the process by that fault's signal. A second thread's fatal signal waits for the
//! first one's record, for at most 200 ms.
//!
//! **Lost:** a stack overflow in a thread without an alternate stack (one that C code started), or
//! where the program's own handler, set before ours, does not use it: the kernel ends the process
//! before any handler. A signal whose handler the program replaces after `install` without calling
//! ours. The record of a signal whose handler leaves by `siglongjmp` stays until the process ends. A
//! process under a seccomp filter that *kills* for `process_vm_readv` or for opening a file ends by
//! SIGSYS. In a forked child that has recorded nothing: everything but the death.

mod capture;
mod hand_over;
mod maps;
mod registers;
mod stack;

use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use super::disposition::{self, Disposition, KeptErrno};
use crate::record::{Recording, Region};

/// Signals of a fault, an abort or a limit.
const SIGNALS: [c_int; 9] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// How many of them PID 1 of a PID namespace handles: those that end it. The kernel keeps the others
/// from it while they are at their default, and must go on doing so.
const OF_INIT: usize = 5;

/// What the handler needs to know; written before the first handler is set.
struct Installed {
    recording: Arc<Recording>,
    /// The region of the monitor above, whose ledger is told of a death that is reported from a region of
    /// this process's own.
    ledger: Option<Arc<Region>>,
    /// What was set for each of [`SIGNALS`] before.
    earlier: [Earlier; SIGNALS.len()],
    /// Whether this process was PID 1 of its PID namespace.
    is_init: bool,
}

/// What was set for a signal before.
struct Earlier {
    disposition: Disposition,
    /// A handler that was to run once (`SA_RESETHAND`) has.
    used_up: AtomicBool,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

impl Installed {
    fn earlier(&self, signal: c_int) -> Option<&Earlier> {
        let at = SIGNALS.iter().position(|known| *known == signal)?;
        self.earlier.get(at)
    }
}

/// Sets the handlers, but for signals that are ignored. They write to the region of `recording`, and tell
/// the monitor whose `ledger` that is.
pub(super) fn install(recording: &Arc<Recording>, ledger: Option<Arc<Region>>) {
    let ignored = Disposition { handler: libc::SIG_IGN, flags: 0, mask: 0 };
    let earlier = |signal| Earlier {
        disposition: disposition::current(signal).unwrap_or(ignored),
        used_up: AtomicBool::new(false),
    };
    let is_init = std::process::id() == 1;
    let recording = Arc::clone(recording);
    let installed = Installed { recording, ledger, earlier: SIGNALS.map(earlier), is_init };
    if INSTALLED.set(installed).is_err() {
        return;
    }
    let handled = if is_init { OF_INIT } else { SIGNALS.len() };
    for signal in &SIGNALS[..handled] {
        set_handler(*signal);
    }
}

/// Sets our handler for a signal that has an earlier disposition other than to be ignored.
fn set_handler(signal: c_int) {
    let Some(earlier) = INSTALLED.get().and_then(|installed| installed.earlier(signal)) else {
        return;
    };
    let earlier = &earlier.disposition;
    if earlier.is_ignored() {
        return;
    }
    // A handler of the program's own runs on the stack it was set for, and interrupts system calls
    // as it did.
    let flags = if earlier.is_default() {
        libc::SA_ONSTACK
    } else {
        earlier.flags & (libc::SA_ONSTACK | libc::SA_RESTART)
    };
    // SAFETY: the handler keeps to what its module says, all of which a handler may do.
    unsafe { disposition::set(signal, on_fatal, flags) };
}

unsafe extern "C" fn on_fatal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let _errno = KeptErrno::keep();
    let Some(installed) = INSTALLED.get() else { return };
    let Some(earlier) = installed.earlier(signal) else { return };
    let signal = Signal { number: signal, info, context };
    // SAFETY: the pointers are what the kernel, or a handler that calls this one, has given.
    unsafe {
        let recorded = capture::record(installed, &signal);
        hand_over::hand_over(&signal, earlier, recorded);
    }
}

/// A signal as a handler is given it.
struct Signal {
    number: c_int,
    /// Null where a handler that knows no better calls ours.
    info: *mut libc::siginfo_t,
    context: *mut c_void,
}

impl Signal {
    /// Why it came (`si_code`).
    ///
    /// # Safety
    /// `info` is null or points to a `siginfo_t`.
    unsafe fn code(&self) -> c_int {
        // SAFETY: the caller's.
        unsafe { self.info.as_ref() }.map_or(libc::SI_USER, |info| info.si_code)
    }

    /// Whether the instruction that raised it raises it again when the handler returns.
    ///
    /// # Safety
    /// As [`code`](Self::code).
    unsafe fn faults_again(&self) -> bool {
        let is_fault =
            matches!(self.number, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE);
        // SAFETY: the caller's.
        let code = unsafe { self.code() };
        // Of failed memory that nobody has touched yet the kernel only tells.
        is_fault && code > 0 && !(self.number == libc::SIGBUS && code == libc::BUS_MCEERR_AO)
    }

    /// Whether the kernel would not have delivered it without a handler: this process is PID 1 of its
    /// PID namespace, and somebody sent it. An `abort` goes on until the process is dead.
    ///
    /// # Safety
    /// As [`code`](Self::code).
    unsafe fn is_kept_from_init(&self) -> bool {
        let is_init = INSTALLED.get().is_some_and(|installed| installed.is_init);
        // SAFETY: the caller's.
        let (faults, raised) = unsafe { (self.faults_again(), self.is_raised()) };
        is_init && !faults && !(self.number == libc::SIGABRT && raised)
    }

    /// Whether this process has sent it itself, as `abort` and `raise` do.
    ///
    /// # Safety
    /// As [`code`](Self::code).
    unsafe fn is_raised(&self) -> bool {
        // SAFETY: the caller's; a signal of this code has a sender.
        let sender = unsafe { self.info.as_ref().map(|info| (info.si_code, info.si_pid())) };
        sender.is_some_and(|(code, pid)| {
            code == libc::SI_TKILL && pid.unsigned_abs() == std::process::id()
        })
    }
}
