//! What a publisher does beside a `sentry` client in the same program.
//!
//! **Guarantee:** on a thread that panics nothing is done but to keep what the client's hook hands over; the
//! reporter adds it to the report, whichever hook runs first. **Lost:** what is handed over later than
//! [`SETTLED`] after the panic.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use sentry::types::{Dsn, Uuid};

use super::held::Held;
use super::{Publisher, SETTLED};
use crate::record::{Breadcrumb, Select, Snapshot};
use crate::report::{self, Ambient, Envelope};

impl Publisher {
    /// There is a `sentry` client in this program, which sends to `dsn`. Where no other destination is
    /// set, all reports go there, those of a death that only a monitor or a sweep sees among them.
    pub(in crate::recorder) fn beside_sentry(&self, dsn: Option<&Dsn>) {
        self.beside_sentry.store(true, Ordering::Relaxed);
        if let Some(dsn) = dsn
            && self.delivery.adopt(dsn)
            && let Some(region) = self.recording.existing_region()
        {
            region.change_identity(|identity| identity.dsn = Some(report::dsn_text(dsn)));
        }
    }

    /// What a `sentry` client knows of the panic that thread `thread` is in: its hook runs before ours
    /// or after it.
    ///
    /// It is called on that thread, within a hook: nothing is done here but to keep it for the
    /// reporter.
    pub(in crate::recorder) fn set_ambient(&self, thread: u64, ambient: Ambient) {
        let mut waiting = self.waiting_ambient();
        waiting.retain(|(of, since, _)| *of != thread && since.elapsed() < SETTLED);
        waiting.push((thread, Instant::now(), ambient));
    }

    /// Whether something is known of a panic that its report does not say yet.
    pub(in crate::recorder) fn has_ambient(&self) -> bool {
        self.beside_sentry.load(Ordering::Relaxed) && !self.waiting_ambient().is_empty()
    }

    fn waiting_ambient(&self) -> MutexGuard<'_, Vec<(u64, Instant, Ambient)>> {
        self.ambient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_ambient(&self, thread: Option<u64>) -> Option<Ambient> {
        let mut waiting = self.waiting_ambient();
        let found = waiting.iter().position(|(of, ..)| Some(*of) == thread);
        found.map(|at| waiting.remove(at).2)
    }

    /// Adds to reports what became known of them after they were written: the hook of a `sentry`
    /// client ran after ours.
    pub(super) fn add_ambient(&self, held: &mut Held) {
        for held in held.0.iter_mut().rev().filter(|held| held.lacks_ambient()) {
            let thread = held.scene.crash.thread.as_ref().and_then(|thread| thread.id);
            if let Some(ambient) = self.take_ambient(thread) {
                held.scene.ambient = ambient;
                held.has_ambient = true;
                self.rewrite(&held.scene);
            }
        }
    }

    /// Scrubs breadcrumbs that leave by another way than a report.
    pub(in crate::recorder) fn scrub(&self, crumbs: &mut [Breadcrumb]) {
        self.seal.breadcrumbs(crumbs);
    }

    /// What is added to events of a `sentry` client: breadcrumbs, and tags that are not reserved.
    pub(in crate::recorder) fn to_add(
        &self,
    ) -> (Vec<sentry::Breadcrumb>, BTreeMap<String, String>) {
        let region = self.recording.existing_region();
        let select = Select::newest(self.settings.breadcrumbs);
        let snapshot = region.and_then(|region| Snapshot::of_region(region, select).ok());
        let mut tags = self.settings.tags.clone();
        let mut crumbs = Vec::new();
        if let Some(snapshot) = snapshot {
            tags.extend(snapshot.tags);
            crumbs = snapshot.breadcrumbs;
        }
        self.seal.breadcrumbs(&mut crumbs);
        self.seal.tags(&mut tags);
        (report::breadcrumbs(&crumbs), report::as_sent(None, "", &tags).tags)
    }

    /// Takes an envelope of another client in this program on. Where nothing may be sent, what is durable
    /// stays on this machine.
    pub(in crate::recorder) fn forward(
        &self,
        id: Uuid,
        dsn: &Dsn,
        mut envelope: Envelope,
        durable: bool,
    ) {
        let spool = self.sink.spool().filter(|_| durable);
        if !self.delivery.is_on() {
            envelope.set_local(true);
            spool.map(|spool| spool.publish(id, &envelope.to_bytes()));
            return;
        }
        let bytes = envelope.to_bytes();
        let taken = spool.filter(|spool| spool.publish(id, &bytes).is_ok());
        self.delivery.forwarded(id, taken, dsn, &bytes, !durable);
    }
}
