//! The spool: reports on disk, before and after they are sent.
//!
//! A report is published whole or not at all: it is written under a temporary name and renamed, so
//! a reader never sees half of one, and a process killed while it writes leaves no report. Any
//! number of processes may publish, send and prune in one spool at once.
//!
//! ```text
//! DIR/waiting/ID.envelope    a report that has not been sent; ID is 32 hexadecimal digits
//! DIR/sent/ID.envelope       a report that has
//! DIR/waiting/.ID.PID.N.tmp  one that is being written
//! ```
//!
//! Directories are private (0700, tightened if looser) and refused if they belong to another user
//! or are links; files are 0600. What is planted among the reports, a link, a pipe or a device, is
//! never opened.
//!
//! The spool is bounded: after a publication the oldest sent reports go until all files together
//! are within the limit, then the oldest waiting ones. The report just published stays, even if it
//! alone exceeds the limit. With a limit of 0 nothing is written, and [`Spool::publish`] says so by
//! [`SpoolError::KeepsNothing`].
//!
//! Not offered: safety from a crash of the machine. Nothing is flushed to the disk, because a dying
//! process has no time for it; a report in the page cache outlives the process, not the kernel. Nor
//! a descriptor held in reserve: a publication needs two free ones, which a program that died of
//! having none may lack.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sentry::types::Uuid;

use super::SpoolError;
use super::folder::Folder;

/// The largest file that is read, in bytes: Sentry's documented limit for an envelope, 200 MiB.
const LARGEST: u64 = 200 * 1024 * 1024;

/// The age at which a temporary file's writer is taken for dead.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What a report's file name ends in.
const SUFFIX: &str = ".envelope";

/// What a temporary file's name ends in.
const TEMPORARY: &str = ".tmp";

/// A directory of reports.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    limit: u64,
    creates: bool,
}

/// Whether a report has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits to be sent.
    Waiting,
    /// It was sent.
    Sent,
}

/// A report in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The report's id.
    pub id: Uuid,
    /// The report's file.
    pub path: PathBuf,
    /// Whether it has been sent.
    pub state: State,
    /// When it was written.
    pub modified: SystemTime,
    /// Its size in bytes.
    pub size: u64,
}

impl State {
    /// A report is looked for in this order: whoever moves one from the first to the second
    /// between two looks is not missed.
    const ALL: [State; 2] = [State::Waiting, State::Sent];

    fn folder(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
        }
    }
}

impl Spool {
    /// Opens the spool in `dir`, made where it is missing, that keeps at most `limit` bytes of
    /// reports. Temporary files left by dead processes are removed if they are an hour old.
    ///
    /// With a `limit` of 0 nothing is made or removed; reports that are there can be read.
    ///
    /// # Errors
    ///
    /// If a directory is not ours, is shared or a link, or cannot be made.
    pub fn open(dir: &Path, limit: u64) -> Result<Spool, SpoolError> {
        let spool = Spool { dir: dir.to_owned(), limit, creates: limit > 0 };
        if spool.creates {
            Folder::open_private(dir)?;
            for state in State::ALL {
                Folder::open_private(&spool.path(state))?;
            }
            spool.remove_abandoned();
        }
        Ok(spool)
    }

    /// Opens the spool in `dir` without making anything. Where there is none it reads as empty.
    /// Reports can be read, withdrawn and marked as sent.
    ///
    /// # Errors
    ///
    /// If a directory is not ours, is shared or a link.
    pub fn open_existing(dir: &Path) -> Result<Spool, SpoolError> {
        let spool = Spool { dir: dir.to_owned(), limit: u64::MAX, creates: false };
        Folder::open(dir)?;
        for state in State::ALL {
            spool.folder(state)?;
        }
        Ok(spool)
    }

    /// The directory it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a report, in place of one of the same id that still waits, and returns its path.
    /// Older reports make room for it. When the disk is full, all that were sent do.
    ///
    /// Whether a report of this id was sent is the caller's question to [`contains`](Self::contains).
    ///
    /// # Errors
    ///
    /// [`SpoolError::KeepsNothing`] if the limit is 0; else what kept it from being written. No
    /// part of it is left behind then.
    pub fn publish(&self, id: Uuid, bytes: &[u8]) -> Result<PathBuf, SpoolError> {
        let path = self.write(id, bytes)?;
        self.prune(id);
        Ok(path)
    }

    /// As [`publish`](Self::publish), but makes no room: for a writer that somebody waits for, who
    /// calls [`prune`](Self::prune) after it.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn write(&self, id: Uuid, bytes: &[u8]) -> Result<PathBuf, SpoolError> {
        if self.limit == 0 {
            return Err(SpoolError::KeepsNothing);
        }
        let folder = self.writable(State::Waiting)?;
        let path = self.path(State::Waiting).join(file_name(id));
        let mut result = write(&folder, id, bytes);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::StorageFull) {
            self.drop_sent();
            result = write(&folder, id, bytes);
        }
        result.map_err(|source| SpoolError::io("write", &path, source))?;
        Ok(path)
    }

    /// Removes a report that waits; `false` if there was none.
    ///
    /// # Errors
    ///
    /// What kept it from being removed.
    pub fn withdraw(&self, id: Uuid) -> Result<bool, SpoolError> {
        let Some(folder) = self.folder(State::Waiting)? else { return Ok(false) };
        match folder.remove(&file_name(id)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => {
                let path = self.path(State::Waiting).join(file_name(id));
                Err(SpoolError::io("remove", &path, source))
            }
        }
    }

    /// Moves a report that waits to those that were sent; `false` if it did not wait.
    ///
    /// # Errors
    ///
    /// What kept it from being moved.
    pub fn mark_sent(&self, id: Uuid) -> Result<bool, SpoolError> {
        let Some(waiting) = self.folder(State::Waiting)? else { return Ok(false) };
        let sent = Folder::open_private(&self.path(State::Sent))?;
        let name = file_name(id);
        match waiting.rename(&name, &sent, &name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => {
                Err(SpoolError::io("move", &self.path(State::Waiting).join(name), source))
            }
        }
    }

    /// Whether a report of this id waits or was sent. What cannot be looked at is not there.
    #[must_use]
    pub fn contains(&self, id: Uuid) -> bool {
        State::ALL.into_iter().any(|state| self.holds(state, id))
    }

    /// Whether a report of this id waits. What cannot be looked at is not there.
    #[must_use]
    pub fn is_waiting(&self, id: Uuid) -> bool {
        self.holds(State::Waiting, id)
    }

    fn holds(&self, state: State, id: Uuid) -> bool {
        let folder = self.folder(state).ok().flatten();
        folder.is_some_and(|folder| matches!(folder.facts(&file_name(id)), Ok(Some(_))))
    }

    /// Every report, the newest first. One that is sent meanwhile is listed once.
    ///
    /// # Errors
    ///
    /// If a directory cannot be read. A file that vanishes meanwhile is no error.
    pub fn list(&self) -> Result<Vec<Entry>, SpoolError> {
        let mut entries = self.files()?;
        // Of two files of one id the sent one comes first, and stays.
        entries.sort_by_key(|entry| (entry.id, entry.state == State::Waiting));
        entries.dedup_by_key(|entry| entry.id);
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.modified, entry.id)));
        Ok(entries)
    }
    /// The bytes of a report, waiting or sent. They are untrusted: anybody with our user id may
    /// have written them.
    ///
    /// # Errors
    ///
    /// [`SpoolError::NotFound`], [`SpoolError::NotARegularFile`], [`SpoolError::TooLarge`] above
    /// 200 MiB, or what kept it from being read.
    pub fn read(&self, id: Uuid) -> Result<Vec<u8>, SpoolError> {
        let name = file_name(id);
        for state in State::ALL {
            let Some(folder) = self.folder(state)? else { continue };
            let path = self.path(state).join(&name);
            return match folder.open_file(&name) {
                Ok(Some((file, facts))) => read_whole(file, facts.size, path),
                Ok(None) => Err(SpoolError::NotARegularFile { path }),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => Err(SpoolError::io("open", &path, source)),
            };
        }
        Err(SpoolError::NotFound { id })
    }

    fn path(&self, state: State) -> PathBuf {
        self.dir.join(state.folder())
    }

    fn folder(&self, state: State) -> Result<Option<Folder>, SpoolError> {
        Folder::open(&self.path(state))
    }

    /// Every file of a report, in no order. An id may stand there twice: sent, and published again.
    fn files(&self) -> Result<Vec<Entry>, SpoolError> {
        let mut entries = Vec::new();
        for state in State::ALL {
            let path = self.path(state);
            let Some(folder) = self.folder(state)? else { continue };
            let names = folder.names().map_err(|source| SpoolError::io("read", &path, source))?;
            for name in names {
                let Some(id) = id_of(&name) else { continue };
                let Ok(Some(facts)) = folder.facts(&name) else { continue };
                let (modified, size) = (facts.modified, facts.size);
                entries.push(Entry { id, path: path.join(name), state, modified, size });
            }
        }
        Ok(entries)
    }

    /// The folder, made again if somebody removed it meanwhile.
    fn writable(&self, state: State) -> Result<Folder, SpoolError> {
        let path = self.path(state);
        if self.creates {
            return Folder::open_private(&path);
        }
        let missing = || SpoolError::io("open", &path, ErrorKind::NotFound.into());
        Folder::open(&path)?.ok_or_else(missing)
    }

    /// Brings the spool within its limit. What cannot be listed or removed stays: the report that
    /// was just published is worth more than the limit.
    pub fn prune(&self, published: Uuid) {
        if self.limit == 0 {
            return;
        }
        let Ok(mut entries) = self.files() else { return };
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.retain(|entry| entry.id != published || entry.state == State::Sent);
        // Oldest first, and all that were sent before any that waits.
        entries.sort_by_key(|entry| (entry.state == State::Waiting, entry.modified));
        for entry in entries {
            if total <= self.limit {
                return;
            }
            if self.remove(&entry) {
                total -= entry.size;
            }
        }
    }

    fn drop_sent(&self) {
        let sent = self.files().unwrap_or_default();
        for entry in sent.iter().filter(|entry| entry.state == State::Sent) {
            self.remove(entry);
        }
    }

    /// Whether an entry is gone, by us or by another process.
    fn remove(&self, entry: &Entry) -> bool {
        let Ok(Some(folder)) = self.folder(entry.state) else { return false };
        match folder.remove(&file_name(entry.id)) {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    fn remove_abandoned(&self) {
        let Ok(Some(folder)) = self.folder(State::Waiting) else { return };
        let now = SystemTime::now();
        for name in folder.names().unwrap_or_default() {
            if !(name.starts_with('.') && name.ends_with(TEMPORARY)) {
                continue;
            }
            let Ok(Some(facts)) = folder.facts(&name) else { continue };
            // A time in the future has no age: such a file stays.
            if now.duration_since(facts.modified).is_ok_and(|age| age > ABANDONED) {
                // Another process may have been quicker.
                let _ = folder.remove(&name);
            }
        }
    }
}

/// Writes the whole report under a temporary name and gives it its own.
fn write(folder: &Folder, id: Uuid, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(folder, id)?;
    let written = file.write_all(bytes);
    drop(file);
    let published = written.and_then(|()| folder.rename(&temporary, folder, &file_name(id)));
    if published.is_err() {
        // The first error is the one to tell.
        let _ = folder.remove(&temporary);
    }
    published
}

/// A new file under a name that no other process and no other thread uses. A name may be taken by
/// what a dead process of our id left: then the next one is tried.
fn create_temporary(folder: &Folder, id: Uuid) -> io::Result<(String, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut attempts = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}.{}.{number}{TEMPORARY}", id.simple(), std::process::id());
        match folder.create_new(&name) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempts < 16 => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn read_whole(file: File, size: u64, path: PathBuf) -> Result<Vec<u8>, SpoolError> {
    if size > LARGEST {
        return Err(SpoolError::TooLarge { path, size, limit: LARGEST });
    }
    let mut bytes = Vec::new();
    // A file that grows while it is read is cut, and then no envelope.
    match file.take(LARGEST).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(SpoolError::io("read", &path, source)),
    }
}

fn file_name(id: Uuid) -> String {
    format!("{}{SUFFIX}", id.simple())
}

/// The id in a report's file name: 32 lower-case hexadecimal digits.
fn id_of(name: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(name.strip_suffix(SUFFIX)?).ok()?;
    (file_name(id) == name).then_some(id)
}

#[cfg(test)]
mod tests;
