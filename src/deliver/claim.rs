//! Claims: the right to send or to replace one waiting report.
//!
//! **Guarantee:** of all processes and threads one at a time holds the [`Claim`] of a report, and it
//! ends when it is dropped or its holder is killed. No file is made for it but one lock file for the
//! whole spool. **Not offered:** that the report still waits: whoever gets a claim looks again.
//! Publishing, pruning and withdrawing take no claim; see `lock/` for what forked children share.

use std::time::Instant;

use sentry::types::Uuid;

use super::folder::Folder;
use super::lock::{Lock, Place};
use super::{Spool, SpoolError};

/// The right to send or to replace one report, until it is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Claim {
    _lock: Lock,
    id: Uuid,
}

impl Claim {
    /// The report's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }
}

impl Spool {
    /// Claims a report; `None` if somebody else has. Then look whether it still waits.
    ///
    /// # Errors
    ///
    /// If the spool's lock file cannot be made or locked.
    pub fn claim(&self, id: Uuid) -> Result<Option<Claim>, SpoolError> {
        self.claim_until(id, Instant::now())
    }

    /// As [`claim`](Self::claim), but tries again until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub fn claim_until(&self, id: Uuid, deadline: Instant) -> Result<Option<Claim>, SpoolError> {
        let lock = self.lock(Place::Report(id.as_u128()), deadline)?;
        Ok(lock.map(|lock| Claim { _lock: lock, id }))
    }

    pub(super) fn lock(&self, place: Place, until: Instant) -> Result<Option<Lock>, SpoolError> {
        let dir = self.dir();
        let failed = |source| SpoolError::io("lock", dir, source);
        let folder = Folder::open(dir)?;
        let folder = folder.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        Lock::wait(&folder, place, until).map_err(failed)
    }
}

#[cfg(test)]
mod tests;
