//! How reports come into the spool, are replaced, and are taken back.
//!
//! **Guarantee:** whoever reads sees the old report or the new one, whole; no failed write leaves a
//! part of itself behind; what a process leaves that is killed while it writes is removed by the next
//! that opens the spool. **Lost:** nothing; where the writer's process id has been given anew, or the
//! system does not say who runs, that file stays for an hour.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sentry::types::Uuid;

use super::settle::report_of_verdict;
use super::{Pruned, Spool, State, file_name};
use crate::deliver::SpoolError;
use crate::deliver::folder::Folder;

/// The age at which a temporary file's writer is taken for dead, whoever has its process id.
const ABANDONED: Duration = Duration::from_secs(3600);

/// How often a report is written again whose temporary file was removed under its writer's hands: from
/// another PID namespace a process looks dead that is not.
const TRIES: usize = 4;

/// What a temporary file's name ends in.
const TEMPORARY: &str = ".tmp";

/// How long a replacement waits for another one. A sender holds its claim for longer.
const OTHER_WRITER: Duration = Duration::from_millis(50);

impl Spool {
    /// Writes a report, in place of one of the same id that still waits, and returns its path.
    /// Older reports make room for it, uncounted. When the disk is full, all that were sent do.
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
        self.write_in(State::Waiting, id, bytes)
    }

    /// Writes a session that goes with no report, in place of one of the same id, and makes room for it
    /// as [`publish`](Self::publish) does; what had to go is told to the caller.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_session(&self, sid: Uuid, bytes: &[u8]) -> Result<Vec<Pruned>, SpoolError> {
        if self.limit == 0 {
            return Err(SpoolError::KeepsNothing);
        }
        self.write_in(State::Session, sid, bytes)?;
        Ok(self.prune(sid))
    }

    fn write_in(&self, state: State, id: Uuid, bytes: &[u8]) -> Result<PathBuf, SpoolError> {
        let folder = self.writable(state)?;
        let path = self.path(state).join(file_name(id));
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

    /// Writes in place of a report what `change` makes of its bytes, if it still waits and nobody is
    /// sending it; with `None` it stays. Nobody else changes the report between. `false` if nothing was
    /// written.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and what keeps it from being claimed or read.
    pub fn change(
        &self,
        id: Uuid,
        change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
    ) -> Result<bool, SpoolError> {
        let Some(_claim) = self.claim_until(id, Instant::now() + OTHER_WRITER)? else {
            return Ok(false);
        };
        let Some((bytes, _)) = self.read_in(State::Waiting, id)? else { return Ok(false) };
        let Some(changed) = change(bytes) else { return Ok(false) };
        self.write(id, &changed).map(|_| true)
    }

    /// Flushes what is in this state, and its name, to the disk: after that it is safe against a crash
    /// of the machine.
    ///
    /// # Errors
    ///
    /// If it is not, or what kept it from being flushed.
    pub fn sync(&self, state: State, id: Uuid) -> Result<(), SpoolError> {
        let folder = self.folder(state)?.ok_or(SpoolError::NotFound { id })?;
        let path = self.path(state).join(file_name(id));
        folder.sync(&file_name(id)).map_err(|source| SpoolError::io("flush", &path, source))
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

    /// Removes what dead processes left: temporary files, and verdicts without their report.
    pub(super) fn remove_abandoned(&self) {
        let folders = [State::Waiting, State::Rejected, State::Session].map(|it| self.path(it));
        let places = folders.into_iter().chain([self.dir.clone()]);
        let now = SystemTime::now();
        for folder in places.filter_map(|path| Folder::open(&path).ok().flatten()) {
            for name in folder.names().unwrap_or_default() {
                if !is_unfinished(&folder, &name) {
                    continue;
                }
                let Ok(Some(facts)) = folder.facts(&name) else { continue };
                // A time in the future has no age: such a file stays.
                let is_old = now.duration_since(facts.modified).is_ok_and(|age| age > ABANDONED);
                if is_old || writer_of(&name).is_some_and(is_gone) {
                    // Another process may have been quicker.
                    let _ = folder.remove(&name);
                }
            }
        }
    }
}

/// Whether a file makes sense only while somebody is at work.
fn is_unfinished(folder: &Folder, name: &str) -> bool {
    match report_of_verdict(name) {
        Some(report) => !matches!(folder.facts(&report), Ok(Some(_))),
        None => name.starts_with('.') && name.ends_with(TEMPORARY),
    }
}

/// The process that a temporary file's name names: `.ID.PID.N.tmp`.
fn writer_of(name: &str) -> Option<u32> {
    name.strip_prefix('.')?.split('.').nth(1)?.parse().ok()
}

/// Whether nobody has this process id.
#[cfg(unix)]
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let asked = pid.map(rustix::process::test_kill_process);
    asked == Some(Err(rustix::io::Errno::SRCH))
}

/// Elsewhere nobody is asked.
#[cfg(not(unix))]
fn is_gone(_pid: u32) -> bool {
    false
}

/// Writes the whole report under a temporary name and gives it its own.
fn write(folder: &Folder, id: Uuid, bytes: &[u8]) -> io::Result<()> {
    write_as(folder, id, &file_name(id), bytes)
}

/// Writes a whole file about a report under a temporary name and gives it its own.
pub(in crate::deliver) fn write_as(
    folder: &Folder,
    id: Uuid,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let mut result = write_once(folder, id, name, bytes);
    for _ in 1..TRIES {
        match &result {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => break,
        }
        result = write_once(folder, id, name, bytes);
    }
    result
}

fn write_once(folder: &Folder, id: Uuid, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(folder, id)?;
    let written = file.write_all(bytes);
    drop(file);
    let published = written.and_then(|()| folder.rename(&temporary, folder, name));
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
