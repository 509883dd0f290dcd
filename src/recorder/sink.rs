//! Where reports go: the spool, a test's memory, or nowhere.
//!
//! **Guarantee:** a report that its spool refuses (the program has given up the rights to write
//! there, the disk is full) goes to the first other state directory that takes it, and the
//! [`Trouble`] says where. **Lost:** a report that no directory takes.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sentry::protocol::Event;
use sentry::types::Uuid;

use super::state_dir;
use crate::deliver::{Spool, SpoolError};
use crate::report::{Envelope, Report};

/// Where reports go.
pub(super) enum Sink {
    /// Files, within this limit in bytes.
    Spool(Spool, u64),
    /// A recorder without globals.
    Memory(Mutex<Vec<Event<'static>>>),
    /// No directory works.
    Nothing,
}

/// A report that is not where it should be.
#[derive(Debug)]
pub(super) struct Trouble {
    error: SpoolError,
    /// The directory that took it instead.
    kept_in: Option<PathBuf>,
}

impl Trouble {
    /// Whether the report is on disk all the same.
    pub(super) fn is_kept(&self) -> bool {
        self.kept_in.is_some()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        if let Some(cause) = std::error::Error::source(&self.error) {
            write!(f, ": {cause}")?;
        }
        match &self.kept_in {
            Some(directory) => write!(f, "; a report is kept in {} instead", directory.display()),
            None => write!(f, "; a report is not kept"),
        }
    }
}

impl Sink {
    /// Writes a report, in place of an earlier one of the same id.
    pub(super) fn write(&self, report: &Report) -> Result<(), Trouble> {
        match self {
            Sink::Spool(spool, limit) => write_to_spool(spool, *limit, report),
            Sink::Memory(events) => {
                let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                events.retain(|event| event.event_id != report.event_id());
                events.push(report.event().clone());
                Ok(())
            }
            Sink::Nothing => Ok(()),
        }
    }

    /// Makes room for a report just written.
    pub(super) fn prune(&self, written: Uuid) {
        if let Sink::Spool(spool, _) = self {
            spool.prune(written);
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

    /// Changes a report that another process made and that was not sent yet. One that cannot be read
    /// or written stays as it is.
    pub(super) fn amend(&self, id: Uuid, change: impl FnOnce(&mut Envelope)) {
        let Sink::Spool(spool, _) = self else { return };
        if !spool.is_waiting(id) {
            return;
        }
        let read = spool.read(id).ok();
        let Some(mut envelope) = read.and_then(|bytes| Envelope::parse(&bytes).ok()) else {
            return;
        };
        change(&mut envelope);
        let _ = spool.write(id, &envelope.to_bytes());
    }

    /// The events kept in memory.
    pub(super) fn events(&self) -> Vec<Event<'static>> {
        match self {
            Sink::Memory(events) => events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Spool(..) | Sink::Nothing => Vec::new(),
        }
    }
}

fn write_to_spool(spool: &Spool, limit: u64, report: &Report) -> Result<(), Trouble> {
    let (id, bytes) = (report.event_id(), report.to_envelope_bytes());
    let error = match spool.write(id, &bytes) {
        // With a limit of 0 nothing is meant to be kept.
        Ok(_) | Err(SpoolError::KeepsNothing) => return Ok(()),
        Err(error) => error,
    };
    let mut others = state_dir::other_spools(spool.dir(), limit);
    let took_it = others.find(|other| other.publish(id, &bytes).is_ok());
    Err(Trouble { error, kept_in: took_it.map(|other| other.dir().to_owned()) })
}
