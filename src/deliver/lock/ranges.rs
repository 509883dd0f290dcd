//! Locks of one byte that belong to an open file description (`F_OFD_SETLK`, Linux 3.15).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::Place;

/// Bits of an offset.
const BITS: u32 = 62;

/// Where a place's byte is. The file need not be that long.
pub fn offset(place: Place) -> i64 {
    match place {
        Place::Journal => 0,
        Place::Report(id) => {
            // All bits of the id count, and the result is from 1 to 2^62: an offset that no
            // arithmetic of the kernel's overflows.
            let folded = (id ^ (id >> BITS) ^ (id >> (2 * BITS))) & ((1 << BITS) - 1);
            i64::try_from(folded).unwrap_or_default() + 1
        }
    }
}

/// Takes the lock of a byte; `false` if somebody holds it.
pub fn lock(file: &File, offset: i64) -> io::Result<bool> {
    match set(file, offset, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Frees it, for everybody who shares the open file.
pub fn unlock(file: &File, offset: i64) {
    // It cannot fail for a lock we hold; the close behind it frees the lock otherwise.
    let _ = set(file, offset, libc::F_UNLCK);
}

fn set(file: &File, offset: i64, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: `flock` is a structure of integers, for which zero is a value. The kernel wants its
    // process id to be 0 here.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = offset;
    range.l_len = 1;
    // SAFETY: the descriptor is open, because `file` is borrowed; the kernel reads one `flock`, which
    // this function owns, and keeps no pointer to it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_byte() {
        assert_eq!(offset(Place::Journal), 0);
        for id in [0, 1, u128::MAX, 1 << 127, u128::from(u64::MAX)] {
            let offset = offset(Place::Report(id));
            assert!((1..=1 << BITS).contains(&offset), "{id}: {offset}");
        }
        let single_bits = (0..128).map(|bit| offset(Place::Report(1 << bit)));
        let distinct: std::collections::HashSet<_> = single_bits.collect();
        assert_eq!(distinct.len(), 62);
    }
}
