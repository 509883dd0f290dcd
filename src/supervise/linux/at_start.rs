//! What this process inherited and the standard library's start-up changes: whether SIGPIPE was
//! ignored, and which of the standard descriptors were closed.
//!
//! Before `main` the standard library ignores SIGPIPE and opens `/dev/null` in place of closed
//! standard descriptors. A program that we start shall have what we were given, so a constructor,
//! which the dynamic loader calls before that, takes it down: four system calls in every program
//! that links this crate. Where it was not called before the start-up (a library loaded later), what
//! the start-up made is taken for inherited.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Whether this process was started with SIGPIPE ignored.
pub(super) fn sigpipe_ignored() -> bool {
    SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// Whether this process was started with this one of descriptors 0 to 2 closed.
pub(super) fn closed(descriptor: i32) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << descriptor) != 0
}

#[used]
// SAFETY: entries of this section are functions of the C calling convention that return nothing;
// the arguments that glibc passes are not looked at, and `take_down` needs nothing of the standard
// library's.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = take_down;

extern "C" fn take_down() {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: reading a disposition into a local value.
    let read = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) };
    SIGPIPE_IGNORED.store(read == 0 && action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    let mut closed = 0;
    for descriptor in 0..=2 {
        // SAFETY: asking for flags changes nothing, whatever the number means.
        let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
        closed |= u8::from(flags == -1) << descriptor;
    }
    CLOSED.store(closed, Ordering::Relaxed);
}
