//! Folders by `*at` system calls.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Facts;
use crate::deliver::SpoolError;

/// The sticky bit, which makes a directory one for sharing.
const STICKY: u32 = 0o1000;

/// The permissions of group and others.
const LOOSE: u32 = 0o077;

/// An open directory that belongs to us.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a directory; `None` if there is nothing at `path`.
    pub fn open(path: &Path) -> Result<Option<Folder>, SpoolError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            // A link is one or the other, depending on the system.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(SpoolError::NotADirectory { path: path.to_owned() });
            }
            Err(errno) => return Err(SpoolError::io("open", path, errno.into())),
        };
        let stat =
            rustix::fs::fstat(&fd).map_err(|errno| SpoolError::io("stat", path, errno.into()))?;
        let us = rustix::process::geteuid().as_raw();
        if stat.st_uid != us {
            return Err(SpoolError::NotOurs { path: path.to_owned(), owner: stat.st_uid, us });
        }
        if permissions(&stat) & STICKY != 0 {
            return Err(SpoolError::Shared { path: path.to_owned() });
        }
        Ok(Some(Folder { fd, path: path.to_owned() }))
    }

    /// Opens a directory, made for us alone with its parents where it is missing. One that is there stays
    /// as it is: it may be named by mistake, or be a
    /// volume that is made open to all. What is in it is ours alone all the same.
    pub fn open_or_make(path: &Path) -> Result<Folder, SpoolError> {
        match Folder::open(path)? {
            Some(folder) => Ok(folder),
            None => Folder::create(path),
        }
    }

    /// Opens a directory that nobody else has a use for, made with its parents where it is missing, and
    /// takes every permission from group and others.
    pub fn open_private(path: &Path) -> Result<Folder, SpoolError> {
        let folder = match Folder::open(path)? {
            Some(folder) => folder,
            None => Folder::create(path)?,
        };
        folder.tighten()?;
        Ok(folder)
    }

    fn create(path: &Path) -> Result<Folder, SpoolError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| SpoolError::io("create", path, source))?;
        Folder::open(path)?
            .ok_or_else(|| SpoolError::io("open", path, io::ErrorKind::NotFound.into()))
    }

    fn tighten(&self) -> Result<(), SpoolError> {
        let stat = rustix::fs::fstat(&self.fd);
        let loose = stat.is_ok_and(|stat| permissions(&stat) & LOOSE != 0);
        if !loose {
            return Ok(());
        }
        rustix::fs::fchmod(&self.fd, Mode::RWXU)
            .map_err(|errno| SpoolError::io("make private", &self.path, errno.into()))
    }

    /// Creates a file that must not exist, for its owner alone.
    pub fn create_new(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Opens a regular file for reading and writing, made for its owner alone where it is missing;
    /// `None` if it is anything else.
    pub fn open_or_create(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        match self.facts(name) {
            Ok(None) => return Ok(None),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(Some(_)) | Err(_) => {}
        }
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::ISDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        Ok(facts(&rustix::fs::fstat(&fd)?).map(|_| File::from(fd)))
    }

    /// Flushes a file, and then its name, to the disk.
    pub fn sync(&self, name: &str) -> io::Result<()> {
        if let Some((file, _)) = self.open_file(name)? {
            file.sync_data()?;
        }
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Whether files can be moved out of it and into it.
    pub fn is_writable(&self) -> bool {
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        let answer = rustix::fs::accessat(&self.fd, ".", wanted, AtFlags::EACCESS);
        // A system that cannot tell has not refused.
        !matches!(answer, Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
    }

    /// Opens a regular file for reading, without waiting for anybody; `None` if it is anything
    /// else.
    pub fn open_file(&self, name: &str) -> io::Result<Option<(File, Facts)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // Asked first, because to open some devices is to act on them.
        if self.facts(name)?.is_none() {
            return Ok(None);
        }
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let facts = facts(&rustix::fs::fstat(&fd)?);
        Ok(facts.map(|facts| (File::from(fd), facts)))
    }

    /// The facts of a regular file; `None` if it is anything else.
    pub fn facts(&self, name: &str) -> io::Result<Option<Facts>> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(facts(&stat))
    }

    /// Renames a file into a folder, over what is there.
    pub fn rename(&self, from: &str, to_folder: &Folder, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &to_folder.fd, to)?)
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// The names in it, those that are UTF-8, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn facts(stat: &Stat) -> Option<Facts> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Some(Facts { size, modified: modified(stat) })
}

/// A time before 1970 counts as 1970.
#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime as i64).unwrap_or(0);
    let nanos = u32::try_from(stat.st_mtime_nsec as i64).unwrap_or(0);
    let since = Duration::from_secs(seconds) + Duration::from_nanos(u64::from(nanos));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[allow(clippy::unnecessary_cast, reason = "the field's type differs between systems")]
fn permissions(stat: &Stat) -> u32 {
    stat.st_mode as u32 & 0o7777
}
