//! Waiting until something is to be done, or nobody listens any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether a person has asked to stop.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Stops on `^C`.
pub struct Stop(());

impl Stop {
    /// From now on an interrupt is a wish to stop, and does not end this process by itself.
    pub fn on_interrupt() -> Stop {
        extern "C" fn ask(_signal: libc::c_int) {
            ASKED.store(true, Ordering::Relaxed);
        }
        // SAFETY: the handler does nothing but store to an atomic, which is safe in a signal handler; the
        // structure is zeroed, which is its valid empty form, and is ours while the call lasts. An
        // interrupt that whoever started us has ignored stays ignored: `old` says so.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut old);
            if old.sa_sigaction != libc::SIG_IGN {
                let mut new: libc::sigaction = std::mem::zeroed();
                new.sa_sigaction = ask as extern "C" fn(libc::c_int) as usize;
                libc::sigaction(libc::SIGINT, &raw const new, std::ptr::null_mut());
            }
        }
        Stop(())
    }

    /// Waits so long; whether to stop: somebody asked for it, or nobody reads standard output any more.
    pub fn wait(&self, time: Duration) -> bool {
        if ASKED.load(Ordering::Relaxed) {
            return true;
        }
        let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let mut stdout = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
        // SAFETY: the one structure is ours and lives longer than the call. An interrupt ends the call.
        let ready = unsafe { libc::poll(&raw mut stdout, 1, millis) };
        let closed = stdout.revents & (libc::POLLERR | libc::POLLHUP) != 0;
        (ready > 0 && closed) || ASKED.load(Ordering::Relaxed)
    }
}
