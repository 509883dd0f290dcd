//! Letting go of what was inherited, once the program runs.
//!
//! **Guarantee:** a pipe, a lock or a directory that the program gives up is free: nothing of it
//! is held here. Inherited are exactly the descriptors that are not close-on-exec, since those that
//! are did not survive the `exec` that started us. Limits meant for the program bind the monitor
//! as little as the hard ones allow.

use std::os::fd::RawFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many descriptors are looked at where there is no list of them.
const WITHOUT_LIST: RawFd = 65_536;

/// Lets go of everything but standard error, descriptors that are close-on-exec and `keep`.
pub(super) fn let_go(keep: &[RawFd]) {
    replace_standard_streams();
    for descriptor in open_descriptors() {
        if descriptor > libc::STDERR_FILENO
            && !keep.contains(&descriptor)
            && is_inherited(descriptor)
        {
            // SAFETY: a descriptor without close-on-exec was inherited or is in `keep`; the standard
            // library marks all that it opens. Nothing of this process owns it.
            unsafe { libc::close(descriptor) };
        }
    }
    leave();
}

/// Lets go of everything but `keep`, standard error too, in a forked process that executes nothing and
/// never returns to what it was.
pub(super) fn let_go_of_all(keep: &[RawFd]) {
    replace_standard_streams();
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    for descriptor in open_descriptors() {
        if descriptor > libc::STDERR_FILENO && !keep.contains(&descriptor) {
            // SAFETY: whatever owned it in this process is never used again: the process goes on only
            // with what it opens from here on, and with `keep`.
            unsafe { libc::close(descriptor) };
        }
    }
    leave();
}

/// Leaves the directory, and limits meant for the program.
fn leave() {
    let _ = rustix::process::chdir("/");
    for resource in [Resource::As, Resource::Data, Resource::Cpu, Resource::Fsize] {
        let limit = getrlimit(resource);
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

fn replace_standard_streams() {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open("/dev/null", flags, Mode::empty()) {
        Ok(null) => {
            let _ = rustix::stdio::dup2_stdin(&null);
            let _ = rustix::stdio::dup2_stdout(&null);
        }
        // SAFETY: no `/dev/null` to put in their place. What is opened later may get these numbers,
        // and nothing here reads from or writes to them.
        Err(_) => unsafe {
            libc::close(libc::STDIN_FILENO);
            libc::close(libc::STDOUT_FILENO);
        },
    }
}

/// The numbers of the open descriptors, or those that may be.
fn open_descriptors() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = RawFd::try_from(limit).unwrap_or(WITHOUT_LIST).min(WITHOUT_LIST);
        return (0..limit).collect();
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.filter_map(Result::ok).filter_map(number).collect()
}

fn is_inherited(descriptor: RawFd) -> bool {
    // SAFETY: asking for flags changes nothing, whatever the number means.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    flags != -1 && flags & libc::FD_CLOEXEC == 0
}
