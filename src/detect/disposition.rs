//! Dispositions of signals, and what a handler does to them (sigaction(2)).
//!
//! **Guarantee:** everything here but [`set`] is async-signal-safe and leaves the stack of a handler
//! what it needs: nothing is larger than the C library's `sigaction`, 152 bytes.

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, zeroed};
use std::ptr;

/// A handler that takes all that the kernel tells (`SA_SIGINFO`).
pub(super) type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// What a process does when a signal comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disposition {
    /// `SIG_DFL`, `SIG_IGN`, or the address of a handler.
    pub(super) handler: usize,
    /// `SA_` flags.
    pub(super) flags: c_int,
    /// What is blocked besides while the handler runs: the kernel's signal set of 64 bits.
    pub(super) mask: u64,
}

impl Disposition {
    pub(super) fn is_default(&self) -> bool {
        self.handler == libc::SIG_DFL
    }

    pub(super) fn is_ignored(&self) -> bool {
        self.handler == libc::SIG_IGN
    }
}

/// Asks for a disposition. `None` for a signal that this system has not.
pub(super) fn current(signal: c_int) -> Option<Disposition> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asking changes nothing, and `action` is a `sigaction` of ours that outlives the call.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has succeeded, and has written all of it.
    let action = unsafe { action.assume_init_ref() };
    Some(Disposition {
        handler: action.sa_sigaction,
        flags: action.sa_flags,
        mask: first_word(&action.sa_mask),
    })
}

/// Whether `handler` is what runs when the signal comes.
pub(super) fn is_set(signal: c_int, handler: Handler) -> bool {
    current(signal).is_some_and(|now| now.handler == handler as usize)
}

/// Sets a handler, during which every signal is blocked: the handler is not interrupted, and a
/// fault of its own makes the kernel end the process by that fault's signal.
///
/// # Safety
/// `handler` does only what a handler may do (signal-safety(7)).
pub(super) unsafe fn set(signal: c_int, handler: Handler, flags: c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    // SAFETY: both pointers are to `action`, which outlives the calls; the caller answers for the
    // handler.
    unsafe {
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

/// Sets a disposition that was found earlier.
pub(super) fn restore(signal: c_int, earlier: &Disposition) {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = earlier.handler;
    action.sa_flags = earlier.flags;
    // SAFETY: a `sigset_t` is an array of words, at least 8 bytes in all, and `action` outlives the
    // call. It says what was true before: whoever set that handler answers for it.
    unsafe {
        (&raw mut action.sa_mask).cast::<u64>().write_unaligned(earlier.mask);
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

/// Sets a signal to its default.
pub(super) fn set_default(signal: c_int) {
    restore(signal, &Disposition { handler: libc::SIG_DFL, flags: 0, mask: 0 });
}

/// Sends this thread the signal it is handling again, as it came: a core dump and whoever waits for
/// the signal find who sent it. It is delivered when the handler returns, where the signal is
/// unblocked again.
///
/// # Safety
/// `info` is null or what the handler was given.
pub(super) unsafe fn send_again(signal: c_int, info: *const libc::siginfo_t) {
    let process = rustix::process::getpid().as_raw_nonzero().get();
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    // SAFETY: both calls take numbers but for `info`, which the kernel reads; it refuses a null one.
    // A process may send itself a signal with any `si_code`.
    unsafe {
        let sent = libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info);
        if sent != 0 {
            libc::syscall(libc::SYS_tgkill, process, thread, signal);
        }
    }
}

/// Sets the mask of this thread, in the kernel's form.
pub(super) fn set_mask(mask: u64) {
    // SAFETY: the kernel reads the 8 bytes of `mask`, which outlives the call.
    unsafe {
        let none = ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, 8);
    }
}

/// The bit of a signal in the kernel's set.
pub(super) fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// The 64 signals there are of the C library's 1,024.
pub(super) fn first_word(set: &libc::sigset_t) -> u64 {
    // SAFETY: a `sigset_t` is an array of words, at least 8 bytes in all, any of which are a number.
    unsafe { ptr::from_ref(set).cast::<u64>().read_unaligned() }
}

/// Keeps `errno` as the interrupted code left it.
pub(super) struct KeptErrno(c_int);

impl KeptErrno {
    pub(super) fn keep() -> KeptErrno {
        // SAFETY: the C library's `errno` of this thread is always there.
        KeptErrno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for KeptErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}
