//! What became of children: the program, and orphans that were given to us.

use std::mem::zeroed;
use std::time::Duration;

use rustix::process::Pid;

use crate::detect::Ending;
use crate::supervise::Usage;

/// What happened to a child.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Ended(Ending, Usage),
    Stopped(i32),
    Continued,
}

/// The next change of a child that was not told yet. Whoever ended is reaped.
pub(super) fn next() -> Option<(Pid, Change)> {
    wait(-1, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED)
}

/// Waits for the end of one child.
pub(super) fn wait_for(child: Pid) {
    while wait(child.as_raw_nonzero().get(), 0).is_some_and(|(_, change)| !change.is_end()) {}
}

/// Whether there is a change of a child that was not told yet. It is told all the same later.
pub(super) fn has_changed(child: Pid) -> bool {
    let child = child.as_raw_nonzero().get().cast_unsigned();
    let options = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: all-zero bytes are a valid `siginfo_t`, which the call fills in, or leaves as it is
    // where nothing has changed.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        libc::waitid(libc::P_PID, child, &mut info, options) == 0 && info.si_pid() != 0
    }
}

impl Change {
    fn is_end(self) -> bool {
        matches!(self, Change::Ended(..))
    }
}

fn wait(whom: libc::pid_t, options: libc::c_int) -> Option<(Pid, Change)> {
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid `rusage`; both values are local.
    let (child, usage) = unsafe {
        let mut usage: libc::rusage = zeroed();
        (libc::wait4(whom, &mut status, options, &mut usage), usage)
    };
    let child = if child > 0 { Pid::from_raw(child)? } else { return None };
    let change = if libc::WIFEXITED(status) {
        Change::Ended(Ending::Code(libc::WEXITSTATUS(status)), used(&usage))
    } else if libc::WIFSIGNALED(status) {
        Change::Ended(Ending::Signal(libc::WTERMSIG(status)), used(&usage))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else {
        Change::Continued
    };
    Some((child, change))
}

fn used(usage: &libc::rusage) -> Usage {
    let time = |time: libc::timeval| {
        let whole = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
        whole + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    Usage {
        max_resident: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
    }
}
