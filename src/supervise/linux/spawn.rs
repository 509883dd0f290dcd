//! Starting the program: a fork whose child takes its place, undoes what the monitor changed for
//! itself, and becomes the program.
//!
//! **Guarantee:** when [`spawn`] returns `Ok`, the program runs; an error of `execve` comes back
//! through a pipe that closes itself when it succeeds. The child allocates nothing and calls only
//! what may be called between fork and exec.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::at_start;
use super::exec::Image;
use super::place::Place;
use super::signals::Inherited;

/// What the child needs.
pub(super) struct Plan<'a> {
    pub(super) image: Image,
    /// Its standard error.
    pub(super) stderr: BorrowedFd<'a>,
    pub(super) place: &'a Place,
    pub(super) signals: &'a Inherited,
}

/// Why the program does not run.
pub(super) enum Failure {
    /// The system call for a pipe or a process failed.
    Fork(io::Error),
    /// The program could not be executed; `there` says whether its file exists.
    Exec { error: io::Error, there: bool },
}

/// Starts the program.
pub(super) fn spawn(mut plan: Plan<'_>) -> Result<Pid, Failure> {
    let fork = |errno: rustix::io::Errno| Failure::Fork(errno.into());
    let (status, report) = pipe_with(PipeFlags::CLOEXEC).map_err(fork)?;
    // SAFETY: the process has one thread, so no lock is held by another; the child calls only
    // `in_child`, which neither allocates nor returns.
    match unsafe { libc::fork() } {
        -1 => Err(Failure::Fork(io::Error::last_os_error())),
        0 => in_child(&mut plan, &report),
        child => {
            drop(report);
            let child = Pid::from_raw(child).expect("fork gives a process id");
            match read_status(&status) {
                None => Ok(child),
                Some(error) => {
                    super::reap::wait_for(child);
                    Err(Failure::Exec { error, there: plan.image.is_there() })
                }
            }
        }
    }
}

/// The error the child reports; `None` if it has become the program.
fn read_status(status: &OwnedFd) -> Option<io::Error> {
    let mut bytes = [0; size_of::<c_int>()];
    match rustix::io::retry_on_intr(|| rustix::io::read(status, &mut bytes)) {
        Ok(read) if read == bytes.len() => {
            Some(io::Error::from_raw_os_error(c_int::from_ne_bytes(bytes)))
        }
        _ => None,
    }
}

fn in_child(plan: &mut Plan<'_>, report: &OwnedFd) -> ! {
    // SAFETY: only descriptors are changed, in a process of which nothing but this function runs;
    // `stderr` is open, and no standard descriptor itself, since all three are open here.
    unsafe {
        libc::dup2(plan.stderr.as_raw_fd(), libc::STDERR_FILENO);
        for descriptor in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
            if at_start::closed(descriptor) {
                libc::close(descriptor);
            }
        }
    }
    plan.place.enter();
    // The mask last: what is pending by then ends the child by default, as it would have before.
    plan.signals.restore();
    let error = plan.image.execute();
    // SAFETY: `report` is open, and the bytes are a local value's; `_exit` runs nothing of ours.
    unsafe {
        libc::write(report.as_raw_fd(), (&raw const error).cast(), size_of::<c_int>());
        libc::_exit(127)
    }
}
