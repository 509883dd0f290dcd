//! A process that watches this one from beside it, and outlives it.
//!
//! **Guarantee:** the program keeps its PID, its parent, its standard streams and its children: the
//! watching process is none of them, is in a session of its own, takes no signal but SIGKILL, and holds
//! no descriptor, directory or limit of the program's. It learns of the program's end from a pidfd,
//! or where the kernel has none by looking; and that the program has executed another one, from a pipe
//! that this closes. **Lost:** how the program ended, where the kernel does not tell a process that is
//! not the parent (before Linux 6.15, unless the program is still a zombie); that it executed another
//! program, while a child that it forked before holds the pipe.

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::detach::let_go_of_all;
use super::signals;
use crate::detect::Ending;
use crate::record::{is_running, start_ticks_of};

/// How often it is looked whether the program still runs, where no pidfd tells.
const LOOK: Duration = Duration::from_millis(100);

/// How long the parent of a program that seems to have ended well is given to wait for it.
const PATIENCE: Duration = Duration::from_millis(200);

/// The program, as the process beside it sees it.
pub(crate) struct Watched {
    pid: Pid,
    /// When it started, by which its number is told from another's.
    started: Option<u64>,
    pidfd: Option<OwnedFd>,
    /// The end of the pipe whose other end only the program holds; `None` once that is closed.
    tether: Option<OwnedFd>,
}

/// What happened to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It has ended, in a way that the kernel may not tell.
    Ended(Option<Ending>),
    /// It has closed its descriptors: by executing another program, or in some other way. Told once.
    Untied,
    /// Nothing, until the time that was given.
    Nothing,
}

/// Starts a process that calls `watch` and ends; its PID. To be called from a process with one thread.
///
/// # Errors
/// Where the system gives no process or no pipe; then nothing was started.
pub(crate) fn detach(watch: impl FnOnce(Watched)) -> io::Result<u32> {
    let pid = getpid();
    let started = start_ticks_of(std::process::id());
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
    let (tether, held) = pipe_with(PipeFlags::CLOEXEC)?;
    let (said, say) = pipe_with(PipeFlags::CLOEXEC)?;
    // A signal to the whole group is for the program, and must not end what is half made.
    let _blocked = signals::Blocked::all();
    // SAFETY: the process has one thread, so that its copy may go on as the original; that copy only
    // forks, writes and ends. No exit signal: the program is not told of a child that it has not
    // started.
    match unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            drop((held, said));
            in_between(Watched { pid, started, pidfd, tether: Some(tether) }, &say, watch)
        }
        // SAFETY: the child is ours, and nobody else waits for it. No signal interrupts this.
        between => unsafe {
            libc::waitpid(between as libc::pid_t, std::ptr::null_mut(), libc::__WALL);
        },
    }
    drop(say);
    let mut bytes = [0; size_of::<c_int>()];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&said, &mut bytes));
    let monitor = c_int::from_ne_bytes(bytes);
    if read != Ok(bytes.len()) || monitor <= 0 {
        return Err(io::Error::from_raw_os_error(monitor.checked_neg().unwrap_or(libc::EAGAIN)));
    }
    // It closes its end with all else that it lets go of: from here on it holds nothing of the program's.
    let _ = rustix::io::retry_on_intr(|| rustix::io::read(&said, &mut bytes));
    // Until this process ends or executes another program.
    let _ = held.into_raw_fd();
    Ok(monitor.cast_unsigned())
}

/// Between the program and the process that watches it, which so becomes nobody's child.
fn in_between(watched: Watched, say: &OwnedFd, watch: impl FnOnce(Watched)) -> ! {
    // SAFETY: as in `detach`; by `fork`, so that the C library of the new process knows who it is.
    let monitor = match unsafe { libc::fork() } {
        0 => become_monitor(watched, watch),
        -1 => -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN),
        monitor => monitor,
    };
    let _ = rustix::io::write(say, &monitor.to_ne_bytes());
    // SAFETY: it ends the process and runs nothing.
    unsafe { libc::_exit(0) }
}

/// With the signals blocked that the program had blocked for this.
fn become_monitor(watched: Watched, watch: impl FnOnce(Watched)) -> ! {
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"lastwords");
    let_go_of_all(&watched.descriptors());
    // Nothing of the program's own runs in here, but for a function it gave for this.
    let _ = catch_unwind(AssertUnwindSafe(|| watch(watched)));
    // SAFETY: it ends the process, and runs no exit handler: they are the program's.
    unsafe { libc::_exit(0) }
}

impl Watched {
    fn descriptors(&self) -> Vec<c_int> {
        let all = [&self.pidfd, &self.tether];
        all.into_iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Waits for something to happen, at most for `longest`.
    pub(crate) fn wait(&mut self, longest: Duration) -> Happened {
        let deadline = Instant::now() + longest;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let slice = if self.pidfd.is_some() { left } else { left.min(LOOK) };
            let (ended, untied) = self.poll(slice);
            if ended {
                return Happened::Ended(self.ending());
            }
            if untied {
                self.tether = None;
                return Happened::Untied;
            }
            if left.is_zero() {
                return Happened::Nothing;
            }
        }
    }

    /// Whether the program has ended, and whether its end of the pipe is closed.
    fn poll(&self, longest: Duration) -> (bool, bool) {
        fn ready(fd: BorrowedFd<'_>) -> PollFd<'_> {
            PollFd::from_borrowed_fd(fd, PollFlags::IN)
        }
        let fds = [&self.pidfd, &self.tether];
        let mut polled: Vec<PollFd<'_>> =
            fds.into_iter().flatten().map(|fd| ready(fd.as_fd())).collect();
        let time = Timespec::try_from(longest).ok();
        if poll(&mut polled, time.as_ref()).is_err_and(|error| error != Errno::INTR) {
            // Not again and again without a pause.
            std::thread::sleep(longest.min(LOOK));
        }
        let mut happened = polled.iter().map(|fd| !fd.revents().is_empty());
        let ended = match self.pidfd {
            Some(_) => happened.next().unwrap_or(false),
            None => self.is_gone(),
        };
        (ended, self.tether.is_some() && happened.next().unwrap_or(false))
    }

    /// Whether the program has ended, waited for or not, as it is to be seen without a pidfd.
    fn is_gone(&self) -> bool {
        let can_see = || start_ticks_of(std::process::id()).is_some();
        rustix::process::test_kill_process(self.pid) == Err(Errno::SRCH)
            || !is_running(self.pid(), self.started) && can_see()
    }

    /// How the program ended, where the kernel says so.
    fn ending(&self) -> Option<Ending> {
        let by_pidfd = || self.pidfd.as_ref().and_then(exit_status);
        // Before its parent has waited for it only `/proc` says so, afterwards only the pidfd.
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = by_pidfd() {
                break status;
            }
            match zombies_status(self.pid) {
                // A zero may also mean that it is not for this process to know.
                Some(0) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Some(status) => break status,
                None => break by_pidfd()?,
            }
        };
        Some(match libc::WIFSIGNALED(status) {
            true => Ending::Signal(libc::WTERMSIG(status)),
            false => Ending::Code(libc::WEXITSTATUS(status)),
        })
    }
}

/// `struct pidfd_info` as of its first version, from the kernel's `include/uapi/linux/pidfd.h`.
#[repr(C)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT` (Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`.
fn get_info() -> libc::c_ulong {
    let size = size_of::<PidfdInfo>() as libc::c_ulong;
    // Read and write: the same two bits on every architecture, however it numbers them.
    3 << 30 | size << 16 | 0xFF << 8 | 11
}

/// The wait status of a process that was waited for by its parent.
fn exit_status(pidfd: &OwnedFd) -> Option<c_int> {
    // SAFETY: all-zero bytes are a valid `PidfdInfo`.
    let mut info: PidfdInfo = unsafe { zeroed() };
    info.mask = INFO_EXIT;
    // SAFETY: the kernel writes at most as many bytes as the number of the call says, which are those
    // of `info`.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), get_info() as _, &raw mut info) };
    (done == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
}

/// The wait status of a process that has ended and was not waited for yet: the last field of
/// `/proc/PID/stat`.
fn zombies_status(pid: Pid) -> Option<c_int> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let is_zombie = fields.next()? == "Z";
    // Field 52 by `proc_pid_stat(5)`, of which the state is the third.
    fields.nth(52 - 4)?.parse().ok().filter(|_| is_zombie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_has_the_number_of_the_kernels_header() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(get_info(), 0xC040_FF0B);
        }
    }

    #[test]
    fn a_zombie_says_how_it_ended() {
        let mut child =
            std::process::Command::new("sh").args(["-c", "kill -9 $$"]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        // Where the kernel has no pidfds, it is looked for.
        for pidfd in [Some(pidfd), None] {
            let mut watched = Watched { pid, started: None, pidfd, tether: None };
            let happened = watched.wait(Duration::from_secs(30));
            assert_eq!(happened, Happened::Ended(Some(Ending::Signal(libc::SIGKILL))));
        }
        child.wait().unwrap();
        assert_eq!(zombies_status(pid), None);
    }
}
