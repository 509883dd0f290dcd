//! Signals: all are blocked and read from a descriptor, none is handled.
//!
//! **Guarantee:** no signal is lost between two system calls, none interrupts one, and real-time
//! signals keep their order and values. A fault of the monitor's own still ends it: the kernel does
//! not block a SIGSEGV that it raises itself.

use std::ffi::c_int;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use super::at_start;

/// What the program inherits.
pub(super) struct Inherited {
    mask: libc::sigset_t,
    sigchld_ignored: bool,
}

impl Inherited {
    /// Gives this process the mask and dispositions that it was started with. Async-signal-safe.
    pub(super) fn restore(&self) {
        let ignored = |yes| if yes { libc::SIG_IGN } else { libc::SIG_DFL };
        set_disposition(libc::SIGPIPE, ignored(at_start::sigpipe_ignored()));
        set_disposition(libc::SIGCHLD, ignored(self.sigchld_ignored));
        self.restore_mask();
    }

    /// Gives this process the mask that it was started with.
    pub(super) fn restore_mask(&self) {
        // SAFETY: the mask was filled in by the call that blocked all signals.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.mask, ptr::null_mut()) };
    }
}

/// Stops this process as `signal` does, one of those that a terminal stops with, or SIGSTOP. Returns
/// when it goes on; at once where the kernel does not stop it (an orphaned process group, PID 1), and
/// where it was told to go on meanwhile, or `goes_on` says that all of its group were: it would sleep
/// for ever.
///
/// A stop signal takes a SIGCONT off the queue, so one for this process alone that comes just between
/// the look at the queue and the stop is lost. The kernel offers nothing that would close this gap,
/// of two system calls in a row.
pub(super) fn stop_by(signal: c_int, goes_on: impl FnOnce() -> bool) {
    let former = set_disposition(signal, libc::SIG_DFL);
    let this = only(signal);
    let (process, thread) = (rustix::process::getpid(), rustix::thread::gettid());
    let (process, thread) = (process.as_raw_nonzero().get(), thread.as_raw_nonzero().get());
    if !is_pending(libc::SIGCONT) {
        // SAFETY: the set and the time are local values. Nothing but this signal is unblocked, and it
        // stops.
        unsafe {
            libc::syscall(libc::SYS_tgkill, process, thread, signal);
            if goes_on() {
                let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                libc::sigtimedwait(&this, ptr::null_mut(), &now);
            }
            libc::sigprocmask(libc::SIG_UNBLOCK, &this, ptr::null_mut());
            libc::sigprocmask(libc::SIG_BLOCK, &this, ptr::null_mut());
        }
    }
    if former == libc::SIG_IGN {
        set_disposition(signal, former);
    }
}

/// Does what a signal does by default: returns only where that does not end the process.
pub(super) fn raise_by_default(signal: c_int) {
    if matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
        // SAFETY: the call has no preconditions.
        unsafe { libc::kill(libc::getpid(), signal) };
        return;
    }
    set_disposition(signal, libc::SIG_DFL);
    let this = only(signal);
    // SAFETY: the set is a local value; the signal is raised for this thread, which has it unblocked
    // next.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &this, ptr::null_mut());
    }
}

/// Signals that are blocked until it is dropped, but in processes that are forked meanwhile for good.
pub(super) struct Blocked(libc::sigset_t);

impl Blocked {
    /// Blocks all signals of this thread.
    pub(super) fn all() -> Self {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: both sets are local values; `sigprocmask` cannot fail with these arguments, and then
        // has filled in `mask`.
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &all(), mask.as_mut_ptr());
            Blocked(mask.assume_init())
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the mask was filled in when it was taken.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Whether a signal waits to be read.
pub(super) fn is_pending(signal: c_int) -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigpending` fills in the whole set.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), signal) == 1
    }
}

/// Blocks all signals. SIGCHLD gets its default: where it is ignored, no end is ever told.
pub(super) fn block() -> Inherited {
    let sigchld = set_disposition(libc::SIGCHLD, libc::SIG_DFL);
    let mut mask = MaybeUninit::uninit();
    // SAFETY: both sets are local values; `sigprocmask` cannot fail with these arguments, and then
    // has filled in `mask`.
    let mask = unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &all(), mask.as_mut_ptr());
        mask.assume_init()
    };
    Inherited { mask, sigchld_ignored: sigchld == libc::SIG_IGN }
}

/// Sets a disposition; returns the former one.
fn set_disposition(signal: c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: all-zero bytes are a valid `sigaction`, and the handler is one of the two that call
    // no code.
    unsafe {
        let (mut new, mut old): (libc::sigaction, libc::sigaction) = (zeroed(), zeroed());
        new.sa_sigaction = handler;
        libc::sigaction(signal, &new, &mut old);
        old.sa_sigaction
    }
}

fn all() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigfillset` fills in the whole set.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn only(signal: c_int) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills in the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        set.assume_init()
    }
}

/// Where signals are read.
pub(super) struct Queue {
    descriptor: OwnedFd,
}

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the set is a local value; the result is a new descriptor that nobody else has.
        unsafe {
            match libc::signalfd(-1, &all(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                descriptor => Ok(Queue { descriptor: OwnedFd::from_raw_fd(descriptor) }),
            }
        }
    }

    /// The next signal, if there is one.
    pub(super) fn read(&self) -> Option<Received> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is of the size given, and any bytes are a valid `signalfd_siginfo`; it
        // is only taken for initialised when all of it was read.
        unsafe {
            let read = libc::read(self.descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size);
            (read == size as isize).then(|| Received { info: info.assume_init() })
        }
    }
}

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// A signal that was sent to the monitor.
pub(super) struct Received {
    info: libc::signalfd_siginfo,
}

impl Received {
    pub(super) fn number(&self) -> c_int {
        self.info.ssi_signo as c_int
    }

    /// Whether the kernel sent it, not a process.
    pub(super) fn is_from_kernel(&self) -> bool {
        self.info.ssi_code > 0
    }

    /// Whether this process sent it.
    pub(super) fn is_from(&self, process: Pid) -> bool {
        self.info.ssi_code <= 0 && self.info.ssi_pid == process.as_raw_nonzero().get() as u32
    }

    /// Whether it is one that a terminal sends to a whole process group.
    pub(super) fn is_a_terminals(&self) -> bool {
        const TERMINALS: [c_int; 8] = [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            libc::SIGWINCH,
            libc::SIGHUP,
            libc::SIGCONT,
        ];
        self.is_from_kernel() && TERMINALS.contains(&self.number())
    }

    /// What the kernel takes to queue it again as `signal`, with its value and who sent it; `None`
    /// where it has no value.
    pub(super) fn queued_as(&self, signal: c_int) -> Option<libc::siginfo_t> {
        if self.info.ssi_code != libc::SI_QUEUE {
            return None;
        }
        const FIELDS_AT: usize = (3 * size_of::<c_int>()).next_multiple_of(align_of::<Queued>());
        // SAFETY: all-zero bytes are a valid `siginfo_t`. Behind its three numbers, aligned as
        // pointers are, it has room for the fields of a queued signal.
        unsafe {
            let mut info: libc::siginfo_t = zeroed();
            info.si_signo = signal;
            info.si_errno = self.info.ssi_errno;
            info.si_code = self.info.ssi_code;
            (&raw mut info).byte_add(FIELDS_AT).cast::<Queued>().write(Queued {
                pid: self.info.ssi_pid,
                uid: self.info.ssi_uid,
                value: self.info.ssi_ptr as usize,
            });
            Some(info)
        }
    }
}

/// The fields of a `siginfo_t` that a queued signal has.
#[repr(C)]
struct Queued {
    pid: u32,
    uid: u32,
    value: usize,
}
