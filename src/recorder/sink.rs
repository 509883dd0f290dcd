//! Where reports go: the spool, a test's memory, or nowhere.
//!
//! **Guarantee:** a report that its spool refuses (the program has given up the rights to write
//! there, the disk is full) goes to the first other state directory that takes it, and the
//! [`Trouble`] says where. **Lost:** a report that no directory takes, unless it can be sent at once.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sentry::protocol::Event;
use sentry::types::{Dsn, Uuid};

use super::seal::Sealed;
use super::state_dir;
use crate::deliver::{Claim, Spool, SpoolError};
use crate::report::{self, Envelope};

/// How long somebody who amends a report may keep it, on a busy disk too; a sender may keep it for longer.
const AMENDED: Duration = Duration::from_millis(500);

/// Where reports go.
pub(super) enum Sink {
    /// Files, within this limit in bytes.
    Spool(Spool, u64),
    /// A recorder without globals.
    Memory(Mutex<Vec<Event<'static>>>),
    /// No directory works.
    Nothing,
}

/// An earlier report of the death that one is to be written about.
#[derive(Debug)]
pub(super) enum Earlier {
    /// It waits, and nobody sends it as long as this claim lives.
    Waits(Claim),
    /// It was sent, or is just being sent.
    Left,
    /// It is in no spool of ours.
    Elsewhere,
}

/// A report that is not where it should be.
#[derive(Debug)]
pub(super) struct Trouble {
    error: SpoolError,
    /// The spool that took it instead.
    kept_in: Option<Spool>,
}

impl Trouble {
    /// Whether the report is on disk all the same.
    pub(super) fn is_kept(&self) -> bool {
        self.kept_in.is_some()
    }

    /// The spool that took it instead.
    pub(super) fn kept_in(&self) -> Option<&Spool> {
        self.kept_in.as_ref()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        if let Some(cause) = std::error::Error::source(&self.error) {
            write!(f, ": {cause}")?;
        }
        match &self.kept_in {
            Some(spool) => write!(f, "; a report is kept in {} instead", spool.dir().display()),
            None => write!(f, "; a report is not kept"),
        }
    }
}

impl Sink {
    /// Writes a report; the spool that took it, if one did.
    pub(super) fn write(&self, report: &Sealed) -> Result<Option<&Spool>, Trouble> {
        match self {
            Sink::Spool(spool, limit) => write_to_spool(spool, *limit, report),
            Sink::Memory(events) => {
                let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                events.retain(|event| event.event_id != report.id);
                events.push(report.event.clone());
                Ok(None)
            }
            Sink::Nothing => Ok(None),
        }
    }

    /// Writes a report in place of one of the same id that still waits; whether it did. One that is
    /// just being sent stays as it is. What somebody else attached to it (a monitor the end of standard
    /// error, or a session) stays attached.
    pub(super) fn replace(&self, report: &Sealed) -> bool {
        let with_companions = |before: Vec<u8>| {
            let parsed = Envelope::parse(&before).ok().zip(Envelope::parse(&report.bytes).ok());
            let Some((before, mut now)) = parsed else { return Some(report.bytes.clone()) };
            now.keep_companions_of(before);
            Some(now.to_bytes())
        };
        match self {
            Sink::Spool(spool, limit) if *limit > 0 => {
                spool.change(report.id, with_companions).unwrap_or(false)
            }
            Sink::Memory(_) => self.write(report).is_ok(),
            Sink::Spool(..) | Sink::Nothing => false,
        }
    }

    /// Where an earlier report is; one that waits is kept there.
    pub(super) fn earlier(&self, id: Uuid) -> Earlier {
        let Sink::Spool(spool, _) = self else { return Earlier::Elsewhere };
        match spool.claim_until(id, Instant::now() + AMENDED) {
            Ok(Some(claim)) if spool.is_waiting(id) => Earlier::Waits(claim),
            Ok(Some(_)) if !spool.contains(id) => Earlier::Elsewhere,
            Ok(_) => Earlier::Left,
            Err(_) => Earlier::Elsewhere,
        }
    }

    /// The spool, if there is one.
    pub(super) fn spool(&self) -> Option<&Spool> {
        match self {
            Sink::Spool(spool, _) => Some(spool),
            Sink::Memory(_) | Sink::Nothing => None,
        }
    }

    /// Makes room for a report just written.
    pub(super) fn prune(&self, written: Uuid) {
        if let Sink::Spool(spool, _) = self {
            // What was never sent is told to its server as a number.
            spool.count_pruned(&spool.prune(written), None);
        }
    }

    /// Counts a report that the program refused, for the server it would have gone to.
    pub(super) fn count_refused(&self, dsn: Option<&Dsn>) {
        if let (Sink::Spool(spool, _), Some(dsn)) = (self, dsn) {
            spool.count_discarded(dsn, "before_send");
        }
    }

    /// Takes a report back that was not sent yet.
    pub(super) fn withdraw(&self, id: Uuid) {
        match self {
            Sink::Spool(spool, _) => drop(spool.withdraw(id)),
            Sink::Memory(events) => {
                let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                events.retain(|event| event.event_id != id);
            }
            Sink::Nothing => {}
        }
    }

    /// Whether a report can still be replaced.
    pub(super) fn still_waits(&self, id: Uuid) -> bool {
        match self {
            Sink::Spool(spool, _) => spool.is_waiting(id),
            Sink::Memory(_) => true,
            Sink::Nothing => false,
        }
    }

    /// Whether a report of this id is kept, sent or not.
    pub(super) fn contains(&self, id: Uuid) -> bool {
        match self {
            Sink::Spool(spool, _) => spool.contains(id),
            Sink::Memory(_) | Sink::Nothing => self.still_waits(id),
        }
    }

    /// Of the panics of a death that was reported, the one whose id its report has.
    pub(super) fn reported_as(&self, panics: &[Uuid]) -> Option<Uuid> {
        let kept = panics.iter().rev().copied().find(|id| self.contains(*id));
        kept.or(panics.first().copied())
    }

    /// Changes a report, whoever made it, that was not sent yet; whether it did. One that cannot be read
    /// or written stays as it is.
    pub(super) fn amend(&self, id: Uuid, change: impl FnOnce(&mut Envelope)) -> bool {
        let Sink::Spool(spool, _) = self else { return false };
        let changed = spool.change(id, |bytes| {
            let mut envelope = Envelope::parse(&bytes).ok()?;
            change(&mut envelope);
            Some(envelope.to_bytes())
        });
        changed.unwrap_or(false)
    }

    /// Says of panics that the process reported and did not die of that it has outlived them.
    pub(super) fn mark_outlived(&self, panics: &[Uuid]) {
        for id in panics {
            self.amend(*id, report::mark_outlived);
        }
    }

    /// Writes a session that goes with no report; the spool that took it, if one did.
    pub(super) fn publish_session(&self, sid: Uuid, bytes: &[u8]) -> Option<&Spool> {
        let Sink::Spool(spool, _) = self else { return None };
        let pruned = spool.publish_session(sid, bytes).ok()?;
        spool.count_pruned(&pruned, None);
        Some(spool)
    }

    /// The events kept in memory.
    pub(super) fn events(&self) -> Vec<Event<'static>> {
        match self {
            Sink::Memory(events) => events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Spool(..) | Sink::Nothing => Vec::new(),
        }
    }
}

fn write_to_spool<'a>(
    spool: &'a Spool,
    limit: u64,
    report: &Sealed,
) -> Result<Option<&'a Spool>, Trouble> {
    let (id, bytes) = (report.id, &report.bytes);
    let error = match spool.write(id, bytes) {
        Ok(_) => return Ok(Some(spool)),
        // With a limit of 0 nothing is meant to be kept.
        Err(SpoolError::KeepsNothing) => return Ok(None),
        Err(error) => error,
    };
    let mut others = state_dir::other_spools(spool.dir(), limit);
    let took_it = others.find(|other| other.publish(id, bytes).is_ok());
    Err(Trouble { error, kept_in: took_it })
}
