//! How the spool stays within its limit.
//!
//! **Guarantee:** what goes first is what is worth least: reports that were sent, then those held
//! back as too many, then those a server refused, then those that wait; the oldest first among each.
//! Whatever goes without ever having been sent is told to the caller. **Lost:** those reports.

use std::io::ErrorKind;

use sentry::types::Uuid;

use super::{Entry, Spool, State, file_name};
use crate::report::Envelope;

/// A report that went although it was never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// What it was.
    pub entry: Entry,
    /// The DSN that it named, if it waited.
    pub dsn: Option<String>,
}

impl State {
    /// What is worth least has the lowest.
    fn worth(self) -> u8 {
        match self {
            State::Sent => 0,
            State::Limited => 1,
            State::Rejected => 2,
            State::Waiting => 3,
        }
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
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.retain(|entry| entry.id != published || entry.state != State::Waiting);
        entries.sort_by_key(|entry| (entry.state.worth(), entry.modified));
        for entry in entries {
            if total <= self.limit {
                break;
            }
            let dsn = self.destination(&entry);
            let size = entry.size;
            match self.remove(&entry) {
                Removal::Done if entry.state != State::Sent => pruned.push(Pruned { entry, dsn }),
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

    fn destination(&self, entry: &Entry) -> Option<String> {
        if entry.state != State::Waiting {
            return None;
        }
        let header = self.read_header(entry.id).ok()??;
        Some(Envelope::parse(&header).ok()?.dsn()?.to_owned())
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
