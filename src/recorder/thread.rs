//! How lastwords starts its threads.
//!
//! **Guarantee:** no signal is delivered to them (which thread handles a signal is the program's
//! affair), and no panic of theirs is reported as the program's. Their stacks are small: two
//! megabytes of address space, of which what is touched counts. Those that run nothing of the program's
//! can do without its descriptors ([`spawn_apart`]).

use std::io;
use std::thread::Thread;

use crate::detect::hook;

/// Starts a thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let work = move || {
        hook::ignore_this_thread();
        work();
    };
    let spawn = || std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let handle = with_signals_blocked(spawn)?;
    Ok(handle.thread().clone())
}

/// Starts a thread that shares no descriptor with the program, where the system allows that (Linux since
/// 5.9): a program that closes all it has, and opens others under their numbers, must meet none of the
/// thread's, nor the thread one of the program's. Standard error is none of its own either: what it
/// prints is lost.
pub(super) fn spawn_apart(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    spawn(name, move || {
        leave_descriptors();
        work();
    })
}

/// Gives this thread a table of descriptors of its own, in which the standard streams are nothing.
#[cfg(all(target_os = "linux", not(miri)))]
fn leave_descriptors() {
    // SAFETY: the call touches no memory. It closes nothing of anybody else: with this flag the table is
    // this thread's own first (close_range(2)); this thread has just begun and holds no descriptor.
    let left =
        unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, libc::CLOSE_RANGE_UNSHARE) };
    if left == 0 {
        for _ in 0..3 {
            // SAFETY: the path and the name are strings with an end. The numbers are the lowest, and stay
            // taken: nothing that is opened later is mistaken for a standard stream.
            unsafe {
                if libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) < 0 {
                    libc::syscall(libc::SYS_memfd_create, c"nothing".as_ptr(), libc::MFD_CLOEXEC);
                }
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn leave_descriptors() {}

/// Calls `f` while no signal is delivered to this thread: what comes meanwhile comes behind it. Other threads
/// of the process take signals as ever.
#[cfg(unix)]
pub(super) fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises `all` before it is read, `pthread_sigmask` writes the mask
    // that was in force into `before`, and both live until the end of this function.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = f();
    if blocked {
        // SAFETY: `before` was written by the successful call above.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    result
}

#[cfg(not(unix))]
pub(super) fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::channel;

    use super::*;

    fn where_it_is(descriptor: i32) -> Option<std::path::PathBuf> {
        std::fs::read_link(format!("/proc/thread-self/fd/{descriptor}")).ok()
    }

    #[test]
    fn a_thread_apart_shares_no_descriptor() {
        let file = File::open("/proc/self/exe").unwrap();
        let (number, path) = (file.as_raw_fd(), where_it_is(file.as_raw_fd()));
        let (say, hear) = channel();
        spawn_apart("apart", move || {
            let others = where_it_is(number);
            let streams = [0, 1, 2].map(where_it_is);
            let own = File::open("/proc/self/maps").unwrap().as_raw_fd();
            say.send((others, streams, own)).unwrap();
        })
        .unwrap();
        let (others, streams, own) = hear.recv().unwrap();
        assert!(path.is_some());
        if others == path {
            println!("skipped: this kernel has no close_range with a flag");
            return;
        }
        assert_eq!(others, None, "what the thread does not share it cannot see");
        assert!(
            streams.into_iter().all(|it| it.is_some_and(|path| path.as_os_str() == "/dev/null"))
        );
        assert_eq!(own, 3, "its numbers are its own");
        assert_eq!(where_it_is(number), path, "and ours are open");
    }
}
