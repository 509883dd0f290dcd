//! The spool: reports on disk, before and after they are sent. It is the truth of delivery.
//!
//! A report is published whole or not at all: it is written under a temporary name and renamed, so
//! a reader never sees half of one, and a process killed while it writes leaves no report. Any
//! number of processes may publish, send and prune in one spool at once.
//!
//! ```text
//! DIR/waiting/ID.envelope    a report that has not been sent; ID is 32 hexadecimal digits
//! DIR/sent/ID.envelope       a report that has
//! DIR/rejected/ID.envelope   one that the server refused
//! DIR/rejected/ID.json       what the server said of it: a Verdict
//! DIR/limited/ID.envelope    one that was not sent because too many of its kind were
//! DIR/sessions/SID.envelope  a session that has not been sent, and goes with no report
//! DIR/waiting/.ID.PID.N.tmp  one that is being written
//! DIR/lock                   where the claims are: see `claim.rs`
//! DIR/delivery.json          what is known of the servers: see `journal.rs`
//! ```
//!
//! What is made is private: directories are 0700 (those in DIR tightened if looser), files 0600. DIR
//! itself stays as it is where it was there before. A directory is refused if it belongs to another user,
//! is a link, or has the sticky bit. What is planted among the reports, a link, a pipe or a device, is
//! never opened.
//!
//! The spool is bounded: after a publication the oldest sent reports go until all files together
//! are within the limit, then the oldest sessions, then limited, rejected and waiting reports. The report just
//! published stays, even if it alone exceeds the limit. With a limit of 0 nothing is written, and
//! [`Spool::publish`] says so by [`SpoolError::KeepsNothing`].
//!
//! A report is safe against a crash of the machine once it was synced, which its sender does before
//! the first request. Lost: one that was published just before such a crash, because a dying process
//! has no time to wait for a disk; a report in the page cache outlives the process, not the kernel.
//! Not offered: a descriptor held in reserve. A publication needs two free ones, which a program that
//! died of having none may lack.

mod prune;
mod settle;
mod write;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sentry::types::Uuid;

use super::SpoolError;
use super::folder::{Facts, Folder};

pub use prune::Pruned;
pub use settle::Verdict;
pub(super) use write::write_as;

/// The largest file that is read, in bytes: Sentry's documented limit for an envelope, 200 MiB.
const LARGEST: u64 = 200 * 1024 * 1024;

/// The longest first line that is read alone, in bytes.
const LONGEST_HEADER: u64 = 64 * 1024;

/// What a report's file name ends in.
const SUFFIX: &str = ".envelope";

/// A directory of reports.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    limit: u64,
    creates: bool,
}

/// How far a report has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits to be sent.
    Waiting,
    /// It was sent.
    Sent,
    /// The server refused it, and would again.
    Rejected,
    /// It was not sent, because too many of its kind were.
    Limited,
    /// It is no report but a session, which waits to be sent. It is removed when it was: nobody reads it
    /// afterwards.
    Session,
}

/// A report in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The report's id.
    pub id: Uuid,
    /// The report's file.
    pub path: PathBuf,
    /// How far it has come.
    pub state: State,
    /// When it was written.
    pub modified: SystemTime,
    /// Its size in bytes.
    pub size: u64,
}

impl State {
    /// Every state of a report. One is looked for in this order: whoever moves one from the first to another between two
    /// looks is not missed.
    const ALL: [State; 4] = [State::Waiting, State::Sent, State::Rejected, State::Limited];

    /// The state in one word, which is also the name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::Rejected => "rejected",
            State::Limited => "limited",
            State::Session => "sessions",
        }
    }

    /// Of several files of one id, the one that counts is the first by this.
    fn rank(self) -> u8 {
        match self {
            State::Sent => 0,
            State::Rejected => 1,
            State::Limited => 2,
            State::Waiting => 3,
            State::Session => 4,
        }
    }

    /// Whether its folder is made before it is needed.
    fn is_made_at_once(self) -> bool {
        matches!(self, State::Waiting | State::Sent)
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
            Folder::open_or_make(dir)?;
            for state in State::ALL.into_iter().chain([State::Session]) {
                if state.is_made_at_once() || spool.folder(state)?.is_some() {
                    Folder::open_private(&spool.path(state))?;
                }
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
        for state in State::ALL.into_iter().chain([State::Session]) {
            spool.folder(state)?;
        }
        Ok(spool)
    }

    /// The directory it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a report of this id is here, in whatever state. What cannot be looked at is not there.
    #[must_use]
    pub fn contains(&self, id: Uuid) -> bool {
        State::ALL.into_iter().any(|state| self.holds(state, id))
    }

    /// Whether a report of this id waits. What cannot be looked at is not there.
    #[must_use]
    pub fn is_waiting(&self, id: Uuid) -> bool {
        self.holds(State::Waiting, id)
    }

    /// Whether a report or a session of this id is still to be sent.
    pub(super) fn is_to_be_sent(&self, id: Uuid) -> bool {
        self.is_waiting(id) || self.holds(State::Session, id)
    }

    pub(super) fn holds(&self, state: State, id: Uuid) -> bool {
        let folder = self.folder(state).ok().flatten();
        folder.is_some_and(|folder| matches!(folder.facts(&file_name(id)), Ok(Some(_))))
    }

    /// Every report, the newest first. One that is sent meanwhile is listed once. (One that is put
    /// back to waiting meanwhile may be missed.)
    ///
    /// # Errors
    ///
    /// If a directory cannot be read. A file that vanishes meanwhile is no error.
    pub fn list(&self) -> Result<Vec<Entry>, SpoolError> {
        let mut entries = self.files()?;
        // Of two files of one id the sent one comes first, and stays.
        entries.sort_by_key(|entry| (entry.id, entry.state.rank()));
        entries.dedup_by_key(|entry| entry.id);
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.modified, entry.id)));
        Ok(entries)
    }

    /// The bytes of a report, in whatever state. They are untrusted: anybody with our user id may
    /// have written them.
    ///
    /// # Errors
    ///
    /// [`SpoolError::NotFound`], [`SpoolError::NotARegularFile`], [`SpoolError::TooLarge`] above
    /// 200 MiB, or what kept it from being read.
    pub fn read(&self, id: Uuid) -> Result<Vec<u8>, SpoolError> {
        for state in State::ALL {
            if let Some(opened) = self.open_report(state, id)? {
                return read_whole(opened);
            }
        }
        Err(SpoolError::NotFound { id })
    }

    /// As [`read`](Self::read), of what is in this state; `None` if it is not.
    pub(super) fn read_in(
        &self,
        state: State,
        id: Uuid,
    ) -> Result<Option<(Vec<u8>, Entry)>, SpoolError> {
        let Some((file, entry)) = self.open_report(state, id)? else { return Ok(None) };
        Ok(Some((read_whole((file, entry.clone()))?, entry)))
    }

    /// The first line of what is in this state, or its beginning if it is longer than any header;
    /// `None` if it is not.
    pub(super) fn read_header(
        &self,
        state: State,
        id: Uuid,
    ) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some((file, entry)) = self.open_report(state, id)? else { return Ok(None) };
        let mut line = Vec::new();
        match BufReader::new(file.take(LONGEST_HEADER)).read_until(b'\n', &mut line) {
            Ok(_) => Ok(Some(line)),
            Err(source) => Err(SpoolError::io("read", &entry.path, source)),
        }
    }

    /// The reports that wait, the oldest first.
    pub(super) fn waiting(&self) -> Result<Vec<Entry>, SpoolError> {
        self.oldest_first(State::Waiting)
    }

    /// The sessions that wait, the oldest first.
    pub(super) fn sessions(&self) -> Result<Vec<Entry>, SpoolError> {
        self.oldest_first(State::Session)
    }

    fn oldest_first(&self, state: State) -> Result<Vec<Entry>, SpoolError> {
        let mut entries = Vec::new();
        self.files_of(state, &mut entries)?;
        entries.sort_by_key(|entry| (entry.modified, entry.id));
        Ok(entries)
    }

    /// Whether anything waits, by the names alone: it is asked at every start. What cannot be looked at
    /// does not.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        [State::Waiting, State::Session].into_iter().any(|state| {
            let folder = self.folder(state).ok().flatten();
            let names = folder.and_then(|folder| folder.names().ok()).unwrap_or_default();
            names.iter().any(|name| id_of(name).is_some())
        })
    }

    fn open_report(&self, state: State, id: Uuid) -> Result<Option<(File, Entry)>, SpoolError> {
        let Some(folder) = self.folder(state)? else { return Ok(None) };
        let name = file_name(id);
        let path = self.path(state).join(&name);
        match folder.open_file(&name) {
            Ok(Some((file, Facts { modified, size }))) => {
                Ok(Some((file, Entry { id, path, state, modified, size })))
            }
            Ok(None) => Err(SpoolError::NotARegularFile { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SpoolError::io("open", &path, source)),
        }
    }

    fn path(&self, state: State) -> PathBuf {
        self.dir.join(state.name())
    }

    fn folder(&self, state: State) -> Result<Option<Folder>, SpoolError> {
        Folder::open(&self.path(state))
    }

    /// Every file of a report, in no order. An id may stand there twice: sent, and published again.
    fn files(&self) -> Result<Vec<Entry>, SpoolError> {
        let mut entries = Vec::new();
        for state in State::ALL {
            self.files_of(state, &mut entries)?;
        }
        Ok(entries)
    }

    fn files_of(&self, state: State, entries: &mut Vec<Entry>) -> Result<(), SpoolError> {
        let path = self.path(state);
        let Some(folder) = self.folder(state)? else { return Ok(()) };
        let names = folder.names().map_err(|source| SpoolError::io("read", &path, source))?;
        for name in names {
            let Some(id) = id_of(&name) else { continue };
            let Ok(Some(Facts { modified, size })) = folder.facts(&name) else { continue };
            entries.push(Entry { id, path: path.join(name), state, modified, size });
        }
        Ok(())
    }
}

fn read_whole((file, entry): (File, Entry)) -> Result<Vec<u8>, SpoolError> {
    let Entry { path, size, .. } = entry;
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
