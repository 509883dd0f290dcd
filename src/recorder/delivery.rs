//! Where reports go once they are written, and who sends them.
//!
//! **Guarantee:** with sending switched off no sender exists: no connection is opened, no name
//! resolved, and every report says that it stays here, so that no later process sends it either.
//! Otherwise a report names its destination in its own file, and whoever drains the spool sends it
//! there. A process waits at its end for what nobody else sends, at most the setting
//! `LASTWORDS_FLUSH`, and only for a server that is silent: for everything where it has no monitor,
//! else for what the monitor does not know of, which is what the program captured itself and what is
//! not in the monitor's spool.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sentry::types::{Dsn, Uuid};

use super::above;
use super::global::warn;
use super::seal::Sealed;
use super::thread;
use crate::config::Settings;
use crate::deliver::{Client, Means, Sender, Spool};
use crate::report::Envelope;

/// Where reports go.
pub(super) struct Delivery {
    /// `None` where sending is switched off.
    sender: Option<Sender>,
    dsn: RwLock<Option<Dsn>>,
    /// The spool that a monitor drains when this process has ended.
    monitored: Option<PathBuf>,
    longest_wait: Duration,
    /// Whether the program that is watched has switched sending off in its code.
    off: AtomicBool,
}

impl Delivery {
    /// As the settings have it. Nothing is opened or started.
    pub(super) fn new(settings: &Settings, monitored: Option<PathBuf>) -> Delivery {
        let sender = settings.enable_sentry.then(|| Sender::new(means(settings)));
        let dsn = settings.dsn.clone();
        if let Some(sender) = &sender {
            sender.send_to(dsn.clone());
        }
        let longest_wait = settings.flush;
        let (dsn, off) = (RwLock::new(dsn), AtomicBool::new(false));
        Delivery { sender, dsn, monitored, longest_wait, off }
    }

    /// Nothing is ever sent: a recorder in memory.
    pub(super) fn none() -> Delivery {
        Delivery {
            sender: None,
            dsn: RwLock::default(),
            monitored: None,
            longest_wait: Duration::ZERO,
            off: AtomicBool::new(false),
        }
    }

    /// Whether reports may leave this machine, now or later.
    pub(super) fn is_on(&self) -> bool {
        self.sender().is_some()
    }

    /// The program that is watched sends nothing.
    pub(super) fn switch_off(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    fn sender(&self) -> Option<&Sender> {
        self.sender.as_ref().filter(|_| !self.off.load(Ordering::Relaxed))
    }

    /// Where reports go.
    pub(super) fn dsn(&self) -> Option<Dsn> {
        self.dsn.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the destination of another client in this program, where none was configured; whether it
    /// did.
    pub(super) fn adopt(&self, dsn: &Dsn) -> bool {
        let mut own = self.dsn.write().unwrap_or_else(PoisonError::into_inner);
        let adopts = own.is_none();
        if adopts {
            *own = Some(dsn.clone());
            drop(own);
            if let Some(sender) = self.sender() {
                sender.send_to(Some(dsn.clone()));
                // What an earlier run left is known to go there only now.
                sender.begin_backlog();
            }
        }
        adopts
    }

    /// Writes on an envelope where it goes, or that it stays.
    pub(super) fn address(&self, envelope: &mut Envelope) {
        if !self.is_on() {
            envelope.set_local(true);
        } else if let Some(dsn) = self.dsn() {
            envelope.set_destination(&dsn);
        }
    }

    /// Begins to send what earlier processes left in `spool`.
    pub(super) fn begin(&self, spool: Option<&Spool>) {
        if let (Some(sender), Some(spool)) = (self.sender(), spool) {
            sender.serve(spool);
            sender.begin_backlog();
        }
    }

    /// A report is in `spool`, or in memory where that is `None`.
    pub(super) fn published(&self, report: &Sealed, spool: Option<&Spool>) {
        let Some(sender) = self.sender() else { return };
        let id = report.id;
        match (spool, self.dsn()) {
            (Some(spool), _) => sender.published(id, spool),
            (None, Some(dsn)) if !report.stays => {
                sender.published_in_memory(id, &dsn, report.bytes.clone(), false);
            }
            (None, _) => return,
        }
        if spool.map(Spool::dir) != self.monitored.as_deref() {
            self.is_alone_with(id);
        }
    }

    /// A process below has left a report in `spool`, which names its own destination.
    pub(super) fn published_below(&self, id: Uuid, spool: &Spool) {
        if let Some(sender) = self.sender() {
            sender.published(id, spool);
            sender.sends_for_others();
        }
    }

    /// An envelope of another client in this program is in `spool`, or in memory where that is `None`;
    /// nothing amends it. One that is to be sent `once` is given up with the first failure.
    pub(super) fn forwarded(
        &self,
        id: Uuid,
        spool: Option<&Spool>,
        dsn: &Dsn,
        envelope: &[u8],
        once: bool,
    ) {
        let Some(sender) = self.sender() else { return };
        match spool {
            Some(spool) => sender.published(id, spool),
            None => sender.published_in_memory(id, dsn, envelope.to_vec(), once),
        }
        sender.also_send_to(dsn);
        sender.is_alone_with(id);
        sender.release(id);
    }

    /// No monitor knows of a report.
    pub(super) fn is_alone_with(&self, id: Uuid) {
        self.sender().into_iter().for_each(|sender| sender.is_alone_with(id));
    }

    /// A report that is in memory only has changed.
    pub(super) fn replace_in_memory(&self, report: &Sealed) {
        match self.sender() {
            Some(sender) if report.stays => sender.withdraw(report.id),
            Some(sender) => sender.replace_in_memory(report.id, &report.bytes),
            None => {}
        }
    }

    /// Whether a report that is in none of our spools was sent, or given up.
    pub(super) fn has_sent(&self, id: Uuid) -> bool {
        self.sender().is_some_and(|sender| sender.has_settled(id))
    }

    /// Nothing more will be learned of a report. Where a monitor sends it, it is left to the monitor: this
    /// process may end within the request.
    pub(super) fn release(&self, id: Uuid) {
        if self.is_watched() && !self.sender().is_some_and(|sender| sender.has_alone(id)) {
            return;
        }
        self.sender().into_iter().for_each(|sender| sender.release(id));
    }

    /// A report was taken back.
    pub(super) fn withdraw(&self, id: Uuid) {
        self.sender().into_iter().for_each(|sender| sender.withdraw(id));
    }

    /// The process is about to end.
    pub(super) fn finish(&self) {
        let Some(sender) = self.sender().filter(|sender| sender.knows_where()) else { return };
        if self.is_watched() {
            sender.flush_alone(self.longest_wait);
        } else {
            sender.flush(self.longest_wait);
        }
        if sender.has_letters() {
            warn("a report was kept nowhere and could not be sent: it is lost");
        }
    }

    /// Whether a monitor sends what is in the spool. It may have been killed, or be that of a parent
    /// which this process was forked from.
    fn is_watched(&self) -> bool {
        self.monitored.is_some() && above::is_watched()
    }

    /// Another client of this program sends to `dsn` by this delivery.
    pub(super) fn also_send_to(&self, dsn: &Dsn) {
        if let Some(sender) = self.sender() {
            sender.also_send_to(dsn);
            sender.begin_backlog();
        }
    }

    /// Waits until what may be sent was sent, or cannot be sent now.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        self.sender().is_none_or(|sender| sender.wait(longest))
    }
}

fn means(settings: &Settings) -> Means {
    Means {
        courier: Box::new(|| Arc::new(Client::new())),
        spawn: |name, work| thread::spawn(name, work).map(drop),
        say: warn,
        rate_limit: u32::try_from(settings.rate_limit).unwrap_or(u32::MAX),
    }
}
