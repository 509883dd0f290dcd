//! What the monitor does about reports that processes below make themselves.
//!
//! **Guarantee:** a panic that its own process reports is no second report of the monitor's; the monitor
//! adds how it ended and what was printed, reports what its process did not live to report, and sends it
//! all. What the program sets in its code (keys to scrub, where to send, not to send) holds for the
//! monitor's own reports, too.

use sentry::types::Uuid;

use super::{Monitor, reports};
use crate::detect::autopsy::{self, Known, Outcome};
use crate::detect::{Crash, Ending, families};
use crate::record::{Select, Snapshot};
use crate::recorder::post_mortem::minidump;
use crate::report;

/// How many log lines are looked at for a sign that a thread has survived a signal.
const ENOUGH: usize = 1000;

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
        let mut claims = std::mem::take(&mut self.claims);
        self.withdraw(|crash| claims.take(crash).is_some());
        self.claims = claims;
    }

    /// Takes back the reports of these crashes, as far as they were not sent.
    pub(super) fn withdraw(&mut self, is_taken: impl FnMut(&Crash) -> bool) {
        for id in self.reports.withdraw(is_taken) {
            self.made = self.made.saturating_sub(1);
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
        if let Some(sweeping) = &self.sweeping {
            sweeping.wait(self.longest_wait);
        }
        self.delivery.finish();
    }

    /// Says what the child died of, by what it wrote itself and how it ended; `printed` is whether what it
    /// printed is about the end.
    pub(super) fn conclude(&mut self, known: &Known, printed: bool) {
        let enough = Select::newest(ENOUGH);
        let Ok(mut snapshot) = Snapshot::of_region(&self.region, enough) else { return };
        // What was marked for a sweep is judged here by how the child ended.
        snapshot.silent_reported = false;
        snapshot.identity.minidump |= self.identity.minidump;
        // Should this process die of it, a sweep is to know.
        let _ = self.region.begin_examination();
        let findings = autopsy::examine(&snapshot, known, &mut self.images);
        self.region.end_examination();
        let ending = known.ending.unwrap_or(Ending::Code(0));
        self.outcome = findings.outcome;
        let about = self.sink.reported_as(&findings.explained_by);
        self.sink.mark_outlived(&findings.outlived);
        let mut explained = printed | self.complete_report_below(about, ending);
        for found in findings.crashes {
            let dump = minidump(&snapshot, &found);
            let (mut crash, is_death) = (found.crash, found.panics.is_empty());
            if is_death && printed {
                // The standard library prints of an overflow or an exhausted heap what the signal is
                // about, and no stack; so does a panic that our hook did not see.
                self.reports.add_stack(&crash, found.in_panic);
                self.dump = self.reports.last().zip(dump.clone());
            }
            if is_death && explained {
                continue;
            }
            self.name_frames(&mut crash);
            if self.sink.contains(crash.event_id) {
                continue;
            }
            if found.is_end {
                self.end = Some(crash.event_id);
                self.dump = Some(crash.event_id).zip(dump);
                self.report_end(crash, ending);
            } else {
                self.report(crash, None);
            }
            explained |= found.is_end;
        }
        if explained && self.end.is_none() {
            self.outcome = Outcome::Crashed;
            self.end = about.or(self.reports.last());
        }
    }

    /// What the child printed of a panic has names where addresses have none.
    fn name_frames(&self, crash: &mut Crash) {
        let is_it = |(_, printed): &&(Uuid, Crash)| printed.event_id == crash.event_id;
        let has_names = |crash: &Crash| {
            let mut frames = crash.exceptions.iter().flat_map(|exception| &exception.frames);
            frames.any(|frame| frame.function.is_some())
        };
        if let Some((_, printed)) = self.printed_too.iter().find(is_it)
            && !has_names(crash)
        {
            crash.exceptions.clone_from(&printed.exceptions);
        }
    }

    /// Adds how the child ended, and what it printed, to the last report that its own hook made;
    /// whether that report is about the end, as `about` says.
    fn complete_report_below(&mut self, about: Option<Uuid>, ending: Ending) -> bool {
        if let Some(id) = about {
            self.complete(id, Some(ending));
            return true;
        }
        let Some(id) = self.claims.reported_by(self.identity.pid).last() else { return false };
        let panics = Snapshot::panics_of_region(&self.region).unwrap_or_default();
        let families = families(&panics);
        let family = families.iter().find(|family| {
            family.members.iter().any(|panic| Uuid::from_bytes(panic.event_id) == id)
        });
        if let Some(family) = family.filter(|family| family.is_younger(reports::JUST_BEFORE)) {
            self.sink
                .reported_as(&family.event_ids())
                .into_iter()
                .for_each(|id| self.complete(id, None));
        }
        false
    }

    /// Adds to a report of the process's own how it ended, and what it has printed.
    pub(super) fn complete(&self, id: Uuid, ending: Option<Ending>) {
        let attachment = self.attachment();
        self.sink.amend(id, |envelope| report::complete(envelope, ending, attachment.as_ref()));
    }
}
