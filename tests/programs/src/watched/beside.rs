//! What a program sees of the process beside it.

use std::mem::MaybeUninit;

use super::signals::say;
use super::{Act, monitor, read_line};

pub const ACTS: [Act; 3] =
    [("children", children), ("monitor", tell_monitor), ("close-error", close)];

/// Keeps SIGCHLD from this process, so that one that was sent is seen.
pub fn block_child_signal() {
    if super::variable("DO") == "children" {
        // SAFETY: the set is filled in before it is used; all pointers are to local values.
        unsafe {
            let mut set = MaybeUninit::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        }
    }
}

/// No child, dead or alive, and no word of one.
fn children() {
    // SAFETY: the sets are filled in by the calls; all pointers are to local values.
    unsafe {
        let waited = libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL);
        println!("wait {waited} {:?}", std::io::Error::last_os_error().raw_os_error());
        let mut pending = MaybeUninit::uninit();
        libc::sigpending(pending.as_mut_ptr());
        println!("told of a child: {}", libc::sigismember(pending.as_ptr(), libc::SIGCHLD) == 1);
    }
    let pid = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{pid}/children"));
    println!("children {:?}", children.unwrap_or_default());
    tell_monitor();
}

/// Says who watches, and waits for a line: the way to end.
fn tell_monitor() {
    println!("process {} of {}", std::process::id(), std::os::unix::process::parent_id());
    match monitor() {
        Some(monitor) => say(&format!("monitor {monitor}")),
        None => say("nobody"),
    }
    let way = read_line();
    super::ways::by(if way.is_empty() { "exit" } else { &way });
}

/// Closes its standard error and goes on.
fn close() {
    // SAFETY: nothing here writes to standard error any more, or owns it.
    unsafe { libc::close(2) };
    tell_monitor();
}
