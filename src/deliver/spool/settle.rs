//! How a report changes its state, and what the server said of one it refused.
//!
//! **Guarantee:** a report moves by one rename, so it is in one state or the other; the verdict is
//! there before the report is among the rejected. **Lost:** a verdict whose report never followed
//! (its mover was killed between the two) stays until the spool is opened an hour later.

use std::io::{ErrorKind, Read};
use std::time::SystemTime;

use sentry::types::Uuid;
use serde::{Deserialize, Serialize};

use super::write::write_as;
use super::{Spool, State, file_name, id_of};
use crate::deliver::SpoolError;
use crate::deliver::folder::Folder;
use crate::report::rfc3339;

/// What the name of a verdict's file ends in.
const SUFFIX: &str = ".json";

/// The most characters of a server's words.
const MOST_WORDS: usize = 1024;

/// The most that is read of a verdict, in bytes.
const LARGEST_VERDICT: u64 = 16 * 1024;

/// Why a server refused a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The HTTP status.
    pub status: u16,
    /// The server's own words, if it had any.
    #[serde(default)]
    pub words: String,
    /// When it was said, RFC 3339.
    #[serde(default)]
    pub time: String,
}

impl Spool {
    /// Moves a report that waits to those that were sent; `false` if it did not wait. What an
    /// earlier version of it was, rejected or limited, is removed.
    ///
    /// # Errors
    ///
    /// What kept it from being moved.
    pub fn mark_sent(&self, id: Uuid) -> Result<bool, SpoolError> {
        let moved = self.rename(id, State::Waiting, State::Sent)?;
        if moved {
            // What stays is passed over by a list, which prefers the sent one.
            for state in [State::Rejected, State::Limited] {
                if let Ok(Some(folder)) = self.folder(state) {
                    let _ = folder.remove(&file_name(id));
                }
            }
            self.forget_verdict(id);
        }
        Ok(moved)
    }

    /// Removes a session that was sent, or that its server refused; `false` if it was gone.
    ///
    /// # Errors
    ///
    /// What kept it from being removed.
    pub(in crate::deliver) fn remove_session(&self, sid: Uuid) -> Result<bool, SpoolError> {
        let Some(folder) = self.folder(State::Session)? else { return Ok(false) };
        match folder.remove(&file_name(sid)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => {
                let path = self.path(State::Session).join(file_name(sid));
                Err(SpoolError::io("remove", &path, source))
            }
        }
    }

    /// Whether what is in this state can be marked as sent: where it cannot, it would be sent again and
    /// again.
    pub(in crate::deliver) fn can_be_marked(&self, state: State) -> Result<(), SpoolError> {
        // A session is removed.
        let reports = [State::Waiting, State::Sent];
        let folders = if state == State::Session { &[State::Session][..] } else { &reports };
        for folder in folders {
            let path = self.path(*folder);
            if !Folder::open_private(&path)?.is_writable() {
                return Err(SpoolError::io("write", &path, ErrorKind::PermissionDenied.into()));
            }
        }
        Ok(())
    }

    /// Moves a report that waits to those that the server refused, with its words; `false` if it did
    /// not wait.
    ///
    /// # Errors
    ///
    /// What kept it from being moved. That the words could not be written is no error.
    pub fn mark_rejected(&self, id: Uuid, status: u16, words: &str) -> Result<bool, SpoolError> {
        let folder = Folder::open_private(&self.path(State::Rejected))?;
        let words = words.chars().take(MOST_WORDS).collect();
        let verdict = Verdict { status, words, time: rfc3339(SystemTime::now()) };
        if let Ok(bytes) = serde_json::to_vec(&verdict) {
            let _ = write_as(&folder, id, &verdict_name(id), &bytes);
        }
        let moved = self.rename(id, State::Waiting, State::Rejected)?;
        if !moved && !self.holds(State::Rejected, id) {
            self.forget_verdict(id);
        }
        Ok(moved)
    }

    /// Moves a report that waits to those of which there were too many; `false` if it did not wait.
    ///
    /// # Errors
    ///
    /// What kept it from being moved.
    pub fn mark_limited(&self, id: Uuid) -> Result<bool, SpoolError> {
        self.rename(id, State::Waiting, State::Limited)
    }

    /// Puts a report that was rejected or limited back among those that wait; `false` if it was
    /// neither.
    ///
    /// # Errors
    ///
    /// What kept it from being moved.
    pub fn requeue(&self, id: Uuid) -> Result<bool, SpoolError> {
        if self.is_waiting(id) {
            // What waits is newer than what was set aside.
            return Ok(false);
        }
        let moved = self.rename(id, State::Rejected, State::Waiting)?;
        if moved {
            self.forget_verdict(id);
            return Ok(true);
        }
        self.rename(id, State::Limited, State::Waiting)
    }

    /// What the server said of a report it refused, if that is known. Like the report it is
    /// untrusted.
    #[must_use]
    pub fn verdict(&self, id: Uuid) -> Option<Verdict> {
        let folder = self.folder(State::Rejected).ok()??;
        let (file, _) = folder.open_file(&verdict_name(id)).ok()??;
        let mut bytes = Vec::new();
        file.take(LARGEST_VERDICT).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn forget_verdict(&self, id: Uuid) {
        if let Ok(Some(folder)) = self.folder(State::Rejected) {
            // It is not there, or it stays: both harm nobody.
            let _ = folder.remove(&verdict_name(id));
        }
    }

    fn rename(&self, id: Uuid, from: State, to: State) -> Result<bool, SpoolError> {
        let Some(folder) = self.folder(from)? else { return Ok(false) };
        let name = file_name(id);
        // Not even an empty folder is made for nothing.
        if !self.holds(from, id) {
            return Ok(false);
        }
        let target = Folder::open_private(&self.path(to))?;
        match folder.rename(&name, &target, &name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(SpoolError::io("move", &self.path(from).join(name), source)),
        }
    }
}

fn verdict_name(id: Uuid) -> String {
    format!("{}{SUFFIX}", id.simple())
}

/// The name of the report that a verdict is about.
pub(super) fn report_of_verdict(name: &str) -> Option<String> {
    let report = format!("{}{}", name.strip_suffix(SUFFIX)?, super::SUFFIX);
    id_of(&report).is_some().then_some(report)
}
