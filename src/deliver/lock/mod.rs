//! Locks that end with their holder.
//!
//! **Guarantee:** a [`Lock`] is exclusive among processes and among threads of one, and it ends when
//! it is dropped or when the kernel ends the process that took it. A child forked meanwhile shares
//! it: it ends with the parent's drop all the same, but if the parent is killed it lasts until the
//! child execs or ends. **Not offered:** fairness, and locks on file systems that know none: taking one
//! is an error there.
//!
//! Where the kernel has locks of byte ranges that belong to an open file (Linux), each [`Place`] is a
//! byte of one file. Elsewhere the whole file is locked, so that there is one claim at a time, and the
//! journal has a file of its own.

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::folder::Folder;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use crate::record::byte_lock;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod ranges;

/// The file whose bytes are locked. It is never removed: who holds a lock in a removed file excludes
/// nobody.
const FILE: &str = "lock";

/// The journal's, where whole files are locked.
const JOURNAL_FILE: &str = "journal.lock";

/// How long a wait sleeps between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The journal.
    Journal,
    /// The report of this id. Two ids may share a place; then one of them waits for the other.
    Report(u128),
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    Range(i64),
    Whole,
}

impl Lock {
    /// Takes the lock; `None` if somebody holds it.
    pub fn take(folder: &Folder, place: Place) -> io::Result<Option<Lock>> {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        {
            let file = open(folder, FILE)?;
            let offset = ranges::offset(place);
            match byte_lock::take(&file, offset) {
                Ok(taken) => return Ok(taken.then_some(Lock { file, kind: Kind::Range(offset) })),
                // A kernel, or something that stands in for one, without such locks.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Lock::take_whole(folder, place)
    }

    fn take_whole(folder: &Folder, place: Place) -> io::Result<Option<Lock>> {
        let name = if place == Place::Journal { JOURNAL_FILE } else { FILE };
        let file = open(folder, name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file, kind: Kind::Whole })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// As [`take`](Self::take), but tries again until `deadline`.
    pub fn wait(folder: &Folder, place: Place, deadline: Instant) -> io::Result<Option<Lock>> {
        loop {
            if let Some(lock) = Lock::take(folder, place)? {
                return Ok(Some(lock));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(left.min(PAUSE));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a forked child may have it open too.
        match self.kind {
            #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
            Kind::Range(offset) => byte_lock::free(&self.file, offset),
            Kind::Whole => drop(self.file.unlock()),
        }
    }
}

fn open(folder: &Folder, name: &str) -> io::Result<File> {
    let not_a_file = || io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file");
    folder.open_or_create(name)?.ok_or_else(not_a_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_do_where_ranges_are_not_known() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap().unwrap();
        let take = |place| Lock::take_whole(&folder, place).unwrap();
        let report = take(Place::Report(1)).unwrap();
        assert!(take(Place::Report(2)).is_none(), "one claim at a time");
        let journal = take(Place::Journal).unwrap();
        assert!(take(Place::Journal).is_none());
        drop(report);
        assert!(take(Place::Report(2)).is_some());
        drop(journal);
        assert!(take(Place::Journal).is_some());
    }
}
