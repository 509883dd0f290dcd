//! What is known of the servers, and of how much was sent to them: the [`Journal`] of a spool.
//!
//! **Guarantee:** it is read whole or as empty, whatever bytes are in its file, and nothing about it
//! stops a delivery. It is bounded: so many destinations, kinds and words, the oldest out. Changes of
//! several processes do not undo each other, as long as none takes longer than [`PATIENCE`]. What it
//! says of times survives a jump of the clock: no wait becomes longer than it was meant to be.
//! **Lost:** what it said, if its file is damaged; a change, if its file cannot be written. What is
//! damaged begins anew, so that the worst is a request more, or a count less.

mod destination;
mod kinds;
mod span;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use sentry::types::{Dsn, Uuid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::lock::Place;
use super::spool::{Pruned, Spool, State, write_as};
use crate::report::SESSION;

pub use destination::{Destination, Discarded, Hindrance, client_report};
pub use kinds::{Kinds, kind};
pub use span::{Millis, millis, system_time};

/// The category of events in limits and counts.
pub const ERROR: &str = "error";

/// Its file.
const FILE: &str = "delivery.json";

/// The most that is read of it, in bytes; what it is bounded to is less.
const LARGEST: u64 = 1024 * 1024;

/// The most destinations that are remembered.
const MOST_DESTINATIONS: usize = 32;

/// How long its lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of the servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    destinations: BTreeMap<String, Destination>,
    /// What was sent lately, by kind.
    pub kinds: Kinds,
}

impl Journal {
    fn parse(bytes: &[u8]) -> Journal {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// What is known of a destination.
    pub fn destination(&self, key: &str) -> Option<&Destination> {
        self.destinations.get(key)
    }

    /// The same, to be changed.
    pub fn destination_mut(&mut self, key: &str, now: Millis) -> &mut Destination {
        let destination = self.destinations.entry(key.to_owned()).or_default();
        destination.used = now;
        destination
    }

    /// Brings times that lie ahead of the clock, because it was set back, into its reach.
    fn settle(&mut self, now: Millis) {
        self.destinations.values_mut().for_each(|destination| destination.settle(now));
        self.kinds.settle(now);
    }

    /// Forgets what says nothing any more, and the oldest of what is too much.
    fn trim(&mut self, now: Millis) {
        self.destinations.values_mut().for_each(|destination| destination.trim(now));
        self.destinations.retain(|_, destination| !destination.says_nothing());
        while self.destinations.len() > MOST_DESTINATIONS {
            let oldest = self.destinations.iter().min_by_key(|(_, destination)| destination.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.destinations.remove(&key);
        }
        self.kinds.trim(now);
    }
}

/// The name of a destination: where it is, without secrets, and a hash of the public key.
pub fn key(dsn: &Dsn) -> String {
    let hash = Sha256::digest(dsn.public_key().as_bytes());
    let short = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let port = match dsn.port() {
        port if port == dsn.scheme().default_port() => String::new(),
        port => format!(":{port}"),
    };
    let (scheme, host) = (dsn.scheme(), dsn.host());
    format!("{scheme}://{host}{port}{}{}#{short:08x}", dsn.path(), dsn.project_id())
}

impl Spool {
    /// The journal as it is now.
    pub(super) fn journal(&self, now: Millis) -> Journal {
        let mut journal = self.read_journal();
        journal.settle(now);
        journal
    }

    /// Changes the journal. What `change` returns counts even if the file could not be written.
    pub(super) fn change_journal<T>(
        &self,
        now: Millis,
        change: impl FnOnce(&mut Journal) -> T,
    ) -> T {
        // Whoever holds it that long is stopped. To go on without it costs at most his change.
        let _lock = self.lock(Place::Journal, Instant::now() + PATIENCE);
        let before = self.read_journal();
        let mut journal = before.clone();
        journal.settle(now);
        let result = change(&mut journal);
        journal.trim(now);
        if journal != before {
            self.write_journal(&journal);
        }
        result
    }

    /// Counts reports and sessions that went from the spool before they were sent, for the next client
    /// report to their destination; `fallback` is that of those which named none. Reports that were
    /// rejected or limited have been counted.
    pub fn count_pruned(&self, pruned: &[Pruned], fallback: Option<&Dsn>) {
        let mut counts = BTreeMap::<(String, &str), u64>::new();
        for lost in pruned.iter().filter(|lost| lost.entry.state.waits()) {
            let named = lost.dsn.as_ref().map(|dsn| dsn.parse::<Dsn>().ok());
            let Some(dsn) = named.as_ref().map_or(fallback, Option::as_ref) else { continue };
            let error = (lost.entry.state == State::Waiting).then_some(ERROR);
            for category in error.into_iter().chain(lost.session.then_some(SESSION)) {
                *counts.entry((key(dsn), category)).or_default() += 1;
            }
        }
        if counts.is_empty() {
            return;
        }
        let now = millis(std::time::SystemTime::now());
        self.change_journal(now, |journal| {
            for ((key, category), count) in &counts {
                journal.destination_mut(key, now).discard("cache_overflow", category, *count);
            }
        });
    }

    /// Counts an event that was not sent for a reason in Sentry's words, for the next client report to
    /// its destination.
    pub fn count_discarded(&self, dsn: &Dsn, reason: &str) {
        let now = millis(std::time::SystemTime::now());
        self.change_journal(now, |journal| {
            journal.destination_mut(&key(dsn), now).discard(reason, ERROR, 1);
        });
    }

    fn read_journal(&self) -> Journal {
        let folder = Folder::open(self.dir()).ok().flatten();
        let opened = folder.and_then(|folder| folder.open_file(FILE).ok().flatten());
        let Some((file, _)) = opened else { return Journal::default() };
        let mut bytes = Vec::new();
        match file.take(LARGEST).read_to_end(&mut bytes) {
            Ok(_) => Journal::parse(&bytes),
            Err(_) => Journal::default(),
        }
    }

    fn write_journal(&self, journal: &Journal) {
        let folder = Folder::open(self.dir()).ok().flatten();
        if let (Some(folder), Ok(bytes)) = (folder, serde_json::to_vec(journal)) {
            // On a full disk the old one stays; the reports are worth more.
            let _ = write_as(&folder, Uuid::nil(), FILE, &bytes);
        }
    }
}

#[cfg(test)]
mod tests;
