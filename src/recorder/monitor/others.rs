//! What the monitor does about reports that processes below make themselves.
//!
//! **Guarantee:** a panic that its own process reports is no second report of the monitor's; the monitor
//! adds how it ended and what was printed, reports what its process did not live to report, and sends it
//! all. What the program sets in its code (keys to scrub, where to send, not to send) holds for the
//! monitor's own reports, too.

use sentry::types::Uuid;

use super::{Monitor, reports};
use crate::detect::{Crash, Ending, families};
use crate::record::Snapshot;
use crate::report;

impl Monitor {
    /// Takes the reports on that processes below have made.
    pub(super) fn meet_below(&mut self) {
        for id in self.claims.reported() {
            if self.below.meet(id)
                && let Some(spool) = self.sink.spool()
            {
                self.delivery.published_below(id, spool);
            }
        }
    }

    /// A child that records itself may set in its code what its environment and flags do not: keys to
    /// scrub, where to send, and not to send at all.
    pub(super) fn follow_child(&mut self) {
        if self.region.owner() == 0 {
            return;
        }
        let child = self.region.identity();
        self.seal.use_keys(&child.scrub_keys);
        if child.silent {
            self.delivery.switch_off();
        }
        if let Some(dsn) = child.dsn.as_deref().and_then(|dsn| dsn.parse().ok()) {
            self.delivery.adopt(&dsn);
        }
    }

    /// Takes back reports that turn out to be made by somebody else.
    pub(super) fn withdraw_claimed(&mut self) {
        self.claims.read(&self.region);
        let claims = &mut self.claims;
        for id in self.reports.withdraw(|crash| claims.take(crash).is_some()) {
            self.delivery.withdraw(id);
            self.sink.withdraw(id);
        }
    }

    /// Sends the reports of this run, and those that processes below have left in the same spool.
    pub(super) fn deliver(self) {
        if let Some(spool) = self.sink.spool() {
            for id in self.claims.reported().filter(|id| spool.is_waiting(*id)) {
                self.delivery.published_below(id, spool);
            }
        }
        self.delivery.finish();
    }

    /// Reports panics of the child's hook whose report it did not live to write. What the child
    /// printed of one has names; the addresses in the region have not.
    pub(super) fn report_pending_panics(&mut self) {
        if self.region.owner() == 0 {
            return;
        }
        let Ok(panics) = Snapshot::panics_of_region(&self.region) else { return };
        for family in families(&panics) {
            if family.members.iter().any(|panic| panic.reported) {
                continue;
            }
            let mut crash = family.crash_from_outside();
            let is_it = |(_, printed): &&(Uuid, Crash)| printed.event_id == crash.event_id;
            if let Some((_, printed)) = self.printed_too.iter().find(is_it) {
                crash.exceptions.clone_from(&printed.exceptions);
            }
            if !self.sink.contains(crash.event_id) {
                self.report(crash, None);
            }
        }
    }

    /// Adds how the child ended, and what it printed, to the last report that its own hook made;
    /// whether that report is about the end.
    pub(super) fn complete_reports_below(&mut self, ending: Ending) -> bool {
        let Some(id) = self.claims.reported_by(self.identity.pid).last() else { return false };
        let panics = Snapshot::panics_of_region(&self.region).unwrap_or_default();
        let families = families(&panics);
        let family = families.iter().find(|family| {
            family.members.iter().any(|panic| Uuid::from_bytes(panic.event_id) == id)
        });
        let Some(family) = family else { return false };
        let explains = reports::panic_explains(family, ending);
        if explains || family.is_younger(reports::JUST_BEFORE) {
            let id = Uuid::from_bytes(family.first().event_id);
            self.complete(id, explains.then_some(ending));
        }
        explains
    }

    /// Adds to a report of the process's own how it ended, and what it has printed.
    pub(super) fn complete(&self, id: Uuid, ending: Option<Ending>) {
        let attachment = self.attachment();
        self.sink.amend(id, |envelope| report::complete(envelope, ending, attachment.as_ref()));
    }
}
