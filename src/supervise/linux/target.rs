//! Whom signals are passed on to: the program, or the group it leads.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::signals::Received;

/// The program, or the group it leads.
pub(super) struct Target {
    process: Pid,
    group: bool,
    /// Names the process and its group without doubt, even when its number is another's by now.
    pidfd: Option<OwnedFd>,
}

impl Target {
    pub(super) fn new(process: Pid, group: bool) -> Self {
        let pidfd = if group { pidfd_open(process, PidfdFlags::empty()).ok() } else { None };
        Target { process, group, pidfd }
    }

    pub(super) fn process(&self) -> Pid {
        self.process
    }

    /// Passes on what was received as `signal`, with its value where it was queued.
    pub(super) fn pass_on(&self, received: &Received, signal: c_int) {
        let Some(info) = received.queued_as(signal) else {
            self.send(signal);
            return;
        };
        if !self.group {
            let process = self.process.as_raw_nonzero().get();
            // SAFETY: the kernel reads a whole `siginfo_t`, which is borrowed for the call.
            unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, process, signal, &raw const info) };
        } else if self.send_by_pidfd(signal, &info).is_none() {
            // An old kernel: all of the group get the signal, without the value.
            self.send(signal);
        }
    }

    /// Sends a signal; whether there was anybody to get it. Signal 0 only asks.
    pub(super) fn send(&self, signal: c_int) -> bool {
        if let Some(sent) = self.send_by_pidfd(signal, ptr::null()) {
            return sent;
        }
        let process = self.process.as_raw_nonzero().get();
        // SAFETY: the call has no preconditions.
        unsafe { libc::kill(if self.group { -process } else { process }, signal) == 0 }
    }

    /// Sends a signal to the group; whether there was anybody, or `None` where there is no pidfd or
    /// the kernel does not know how (before 6.9). `info` is null or a whole `siginfo_t`.
    fn send_by_pidfd(&self, signal: c_int, info: *const libc::siginfo_t) -> Option<bool> {
        /// `PIDFD_SIGNAL_PROCESS_GROUP`.
        const TO_GROUP: c_int = 4;
        let pidfd = self.pidfd.as_ref()?.as_raw_fd();
        // SAFETY: the descriptor is open, and `info` is as the kernel takes it.
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info, TO_GROUP) };
        let error = std::io::Error::last_os_error().raw_os_error();
        let unknown = matches!(error, Some(libc::EINVAL | libc::ENOSYS));
        if result == -1 && unknown { None } else { Some(result == 0) }
    }
}
