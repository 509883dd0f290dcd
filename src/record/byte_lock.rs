//! Locks of one byte of a file that belong to an open file description (`F_OFD_SETLK`, Linux 3.15).
//!
//! **Guarantee:** a lock ends when its file is closed by all who share the open file, and so when the
//! kernel ends them; it counts in every PID namespace; asking whether one is held takes none. **Not
//! offered:** telling a holder from a child that it forked, which shares its open files.

use std::fs::File;
use std::io;

/// Takes a byte for one alone; `false` if somebody else holds it in any way.
pub(crate) fn take(file: &File, offset: i64) -> io::Result<bool> {
    taken(sys::set(file, offset, sys::WRITE))
}

/// Takes a byte with all others who take it so; `false` if somebody holds it alone.
pub(crate) fn share(file: &File, offset: i64) -> io::Result<bool> {
    taken(sys::set(file, offset, sys::READ))
}

/// Frees a byte, for everybody who shares the open file.
pub(crate) fn free(file: &File, offset: i64) {
    // It cannot fail for a lock we hold; the close behind it frees the lock otherwise.
    let _ = sys::set(file, offset, sys::UNLOCK);
}

/// Whether another open file holds the byte in any way.
pub(crate) fn is_held(file: &File, offset: i64) -> io::Result<bool> {
    sys::is_held(file, offset)
}

fn taken(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(code) if sys::BUSY.contains(&code)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod sys {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    pub(super) const READ: libc::c_int = libc::F_RDLCK;
    pub(super) const WRITE: libc::c_int = libc::F_WRLCK;
    pub(super) const UNLOCK: libc::c_int = libc::F_UNLCK;
    pub(super) const BUSY: [i32; 2] = [libc::EAGAIN, libc::EACCES];

    pub(super) fn set(file: &File, offset: i64, kind: libc::c_int) -> io::Result<()> {
        call(file, libc::F_OFD_SETLK, &mut range(offset, kind))
    }

    pub(super) fn is_held(file: &File, offset: i64) -> io::Result<bool> {
        let mut range = range(offset, WRITE);
        call(file, libc::F_OFD_GETLK, &mut range)?;
        Ok(libc::c_int::from(range.l_type) != libc::F_UNLCK)
    }

    fn range(offset: i64, kind: libc::c_int) -> libc::flock {
        // SAFETY: `flock` is a structure of integers, for which zero is a value. The kernel wants
        // its process id to be 0 here.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as libc::c_short;
        range.l_whence = libc::SEEK_SET as libc::c_short;
        range.l_start = offset;
        range.l_len = 1;
        range
    }

    fn call(file: &File, command: libc::c_int, range: &mut libc::flock) -> io::Result<()> {
        // SAFETY: the descriptor is open, because `file` is borrowed; the kernel reads and writes one
        // `flock`, which is borrowed for the call, and keeps no pointer to it.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(range)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// Elsewhere there are no such locks, or they are not asked for.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod sys {
    use std::fs::File;
    use std::io;

    pub(super) const READ: i32 = 0;
    pub(super) const WRITE: i32 = 1;
    pub(super) const UNLOCK: i32 = 2;
    pub(super) const BUSY: [i32; 0] = [];

    pub(super) fn set(_file: &File, _offset: i64, _kind: i32) -> io::Result<()> {
        // What a kernel says that does not know the command.
        Err(io::ErrorKind::InvalidInput.into())
    }

    pub(super) fn is_held(_file: &File, _offset: i64) -> io::Result<bool> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_one_holders_or_many_readers_and_asking_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let open = || {
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).open(&path).unwrap()
        };
        let (a, b, c) = (open(), open(), open());
        assert!(!is_held(&c, 7).unwrap());
        assert!(take(&a, 7).unwrap() && !take(&b, 7).unwrap() && !share(&b, 7).unwrap());
        assert!(take(&b, 8).unwrap(), "another byte is another lock");
        assert!(is_held(&c, 7).unwrap() && !is_held(&a, 7).unwrap(), "one's own is none");
        free(&a, 7);
        assert!(share(&a, 7).unwrap() && share(&b, 7).unwrap() && !take(&c, 7).unwrap());
        drop((a, b));
        assert!(!is_held(&c, 7).unwrap());
    }
}
