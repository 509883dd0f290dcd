//! How the spool stays within its limit.
//!
//! **Guarantee:** what goes first is what is worth least: reports that were sent, then sessions, then
//! reports held back as too many, then those a server refused, then those that wait; the oldest first
//! among each.
//! Whatever goes without ever having been sent is told to the caller. **Lost:** those reports.

use std::io::ErrorKind;

use sentry::types::Uuid;

use super::{Entry, Spool, State, file_name};
use crate::report::Envelope;

/// A report or a session that went although it was never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// What it was.
    pub entry: Entry,
    /// The DSN that it named, if it waited.
    pub dsn: Option<String>,
    /// Whether a session went with it, or was it.
    pub session: bool,
}

impl State {
    /// What is worth least has the lowest.
    fn worth(self) -> u8 {
        match self {
            State::Sent => 0,
            State::Session => 1,
            State::Limited => 2,
            State::Rejected => 3,
            State::Waiting => 4,
        }
    }

    /// Whether what is in it is still to be sent.
    pub(in crate::deliver) fn waits(self) -> bool {
        matches!(self, State::Waiting | State::Session)
    }
}

impl Spool {
    /// Brings the spool within its limit, and returns the reports that went although they were never
    /// sent. What cannot be listed or removed stays: the report that was just published is worth more
    /// than the limit.
    pub fn prune(&self, published: Uuid) -> Vec<Pruned> {
        let mut pruned = Vec::new();
        if self.limit == 0 {
            return pruned;
        }
        let Ok(mut entries) = self.files() else { return pruned };
        // Those that cannot be listed are too small to matter.
        let _ = self.files_of(State::Session, &mut entries);
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.retain(|entry| entry.id != published || !entry.state.waits());
        entries.sort_by_key(|entry| (entry.state.worth(), entry.modified));
        for entry in entries {
            if total <= self.limit {
                break;
            }
            let (dsn, session) = self.destination(&entry);
            let size = entry.size;
            match self.remove(&entry) {
                Removal::Done if entry.state != State::Sent => {
                    pruned.push(Pruned { entry, dsn, session });
                }
                Removal::Done | Removal::WasGone => {}
                Removal::Refused => continue,
            }
            total -= size;
        }
        pruned
    }

    /// Makes room on a full disk.
    pub(super) fn drop_sent(&self) {
        let sent = self.files().unwrap_or_default();
        for entry in sent.iter().filter(|entry| entry.state == State::Sent) {
            self.remove(entry);
        }
    }

    /// Where what waits was to go, and whether it is a session or has one.
    fn destination(&self, entry: &Entry) -> (Option<String>, bool) {
        if !entry.state.waits() {
            return (None, false);
        }
        let header = self.read_header(entry.state, entry.id).ok().flatten();
        let header = header.and_then(|line| Envelope::parse(&line).ok());
        let dsn = header.as_ref().and_then(|header| header.dsn().map(str::to_owned));
        let says_session = header.is_some_and(|header| header.says_session());
        (dsn, entry.state == State::Session || says_session)
    }

    fn remove(&self, entry: &Entry) -> Removal {
        let Ok(Some(folder)) = self.folder(entry.state) else { return Removal::Refused };
        let removed = folder.remove(&file_name(entry.id));
        if entry.state == State::Rejected {
            self.forget_verdict(entry.id);
        }
        match removed {
            Ok(()) => Removal::Done,
            Err(error) if error.kind() == ErrorKind::NotFound => Removal::WasGone,
            Err(_) => Removal::Refused,
        }
    }
}

/// What became of a file that was to go.
enum Removal {
    Done,
    /// Another process was quicker.
    WasGone,
    Refused,
}
