//! The last steps before a report is written: the program's own word, scrubbing, the address.
//!
//! **Guarantee:** nothing is written that was not scrubbed, whoever made it and whatever the
//! program's `before_send` put into it; but for a minidump, which somebody has to ask for. Where `before_send` says no, there is no report; where it
//! panics, the report stays on this machine. **Lost:** with a report that `before_send` refuses, all
//! but that there was one, which the server is told with the next.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sentry::protocol::Event;
use sentry::types::{Dsn, Uuid};

use super::delivery::Delivery;
use super::global::warn;
use crate::record::Breadcrumb;
use crate::report::{self, Attachment, Envelope, Report, Scene, Scrubber};

/// What a program does with an event before it is written: changes it, or refuses it.
type Function = dyn Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync;

/// The program's `before_send`.
#[derive(Clone)]
pub(super) struct BeforeSend(pub(super) Arc<Function>);

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeSend")
    }
}

/// Seals reports.
pub(super) struct Seal {
    scrubber: Scrubber,
    scrub_keys: Vec<String>,
    before_send: Option<BeforeSend>,
    address: Address,
    warned: AtomicBool,
}

/// Where reports are to go.
pub(super) enum Address {
    /// Where this process sends, as far as that is known when a report is written.
    Here(Arc<Delivery>),
    /// Where a process that is dead would have sent; nowhere if it names nothing.
    Of(Option<Dsn>),
    /// Nowhere: they stay on this machine.
    Stays,
}

impl Address {
    fn write(&self, envelope: &mut Envelope) {
        match self {
            Address::Here(delivery) => delivery.address(envelope),
            Address::Of(dsn) => dsn.iter().for_each(|dsn| envelope.set_destination(dsn)),
            Address::Stays => envelope.set_local(true),
        }
    }
}

/// A report as it is written.
pub(super) struct Sealed {
    /// Its id.
    pub(super) id: Uuid,
    /// The envelope.
    pub(super) bytes: Vec<u8>,
    /// Whether it stays on this machine.
    pub(super) stays: bool,
    /// The event, for those who keep it in memory.
    pub(super) event: Event<'static>,
}

impl Seal {
    pub(super) fn new(
        scrub_keys: &[String],
        before_send: Option<BeforeSend>,
        address: Address,
    ) -> Seal {
        let scrubber = Scrubber::new(scrub_keys);
        let scrub_keys = scrub_keys.to_vec();
        Seal { scrubber, scrub_keys, before_send, address, warned: AtomicBool::new(false) }
    }

    /// What scrubs.
    pub(super) fn scrubber(&self) -> Scrubber {
        self.scrubber.clone()
    }

    /// The program's own word.
    pub(super) fn before_send(&self) -> Option<BeforeSend> {
        self.before_send.clone()
    }

    /// Scrubs by these keys too: those that the code of the watched program names.
    pub(super) fn use_keys(&mut self, keys: &[String]) {
        if keys.iter().any(|key| !self.scrub_keys.contains(key)) {
            self.scrub_keys.extend(keys.iter().cloned());
            self.scrubber = Scrubber::new(&self.scrub_keys);
        }
    }

    /// Scrubs what a report is made of, before any of it is shortened: half of a secret is not
    /// recognised as one.
    pub(super) fn scene(&self, mut scene: Scene) -> Scene {
        scene.scrub(&self.scrubber);
        scene
    }

    /// Scrubs breadcrumbs that another client sends.
    pub(super) fn breadcrumbs(&self, crumbs: &mut [Breadcrumb]) {
        report::scrub_breadcrumbs(crumbs, &self.scrubber);
    }

    /// Scrubs tags that another client sends.
    pub(super) fn tags(&self, tags: &mut [(String, String)]) {
        report::scrub_tags(tags, &self.scrubber);
    }

    /// Scrubs an attachment.
    pub(super) fn attachment(&self, mut attachment: Attachment) -> Attachment {
        if let Some(scrubbed) = self.scrubber.bytes(&attachment.data) {
            attachment.data = scrubbed;
        }
        attachment
    }

    /// The report as it is written; `None` if the program refuses it. Its attachments are those that
    /// [`attachment`](Self::attachment) gave, and a minidump.
    pub(super) fn report(&self, mut report: Report) -> Option<Sealed> {
        let mut stays = false;
        match self.ask(report.event()) {
            Answer::Unchanged => {}
            Answer::Changed(event) => report.edit(|own| *own = *event),
            Answer::Refused => return None,
            Answer::Panicked => stays = true,
        }
        let mut envelope = report.envelope_scrubbed(&self.scrubber);
        self.address.write(&mut envelope);
        if stays {
            envelope.set_local(true);
        }
        let (id, bytes) = (report.event_id(), envelope.to_bytes());
        Some(Sealed { id, bytes, stays, event: report.event().clone() })
    }

    /// Asks the program.
    fn ask(&self, event: &Event<'static>) -> Answer {
        let Some(BeforeSend(before_send)) = &self.before_send else { return Answer::Unchanged };
        let event = event.clone();
        match catch_unwind(AssertUnwindSafe(|| before_send(event))) {
            Ok(Some(event)) => Answer::Changed(Box::new(event)),
            Ok(None) => Answer::Refused,
            Err(_) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    warn("before_send panicked: the report is kept here and not sent");
                }
                Answer::Panicked
            }
        }
    }
}

/// What `before_send` said.
enum Answer {
    Unchanged,
    Changed(Box<Event<'static>>),
    Refused,
    Panicked,
}
