//! A session on its way to its server: one that goes with no report.
//!
//! **Guarantee:** it is sent by one process at a time, as a report is, and removed when the server has
//! answered, whatever it said; what the server refused is told to it as a number, in the category of
//! sessions. A report that is set aside leaves its session behind, to be sent alone: a crash loop that
//! sends few of its reports still counts all of its runs. **Lost:** nothing that waits; if the sender is
//! killed between the answer and the removal, the same session is sent once more, and a server may count
//! it twice.

use sentry::types::Uuid;

use super::sending::{Load, client_counts};
use super::{Drain, Fate, Kept, Step, Target, sentence, unreadable};
use crate::deliver::Outcome;
use crate::deliver::claim::Claim;
use crate::report::{Envelope, EnvelopeError, SESSION};

impl Drain<'_> {
    /// Sends a session that is claimed.
    pub(super) fn send_session(
        &mut self,
        claim: &Claim,
        target: &Target,
        envelope: &Envelope,
    ) -> Step<Fate> {
        let sid = claim.id();
        if !envelope.has(SESSION) {
            return Err(Some(unreadable(&EnvelopeError::NoSession)));
        }
        let mut sent = envelope.clone();
        if self.order.instead.is_some() || sent.dsn().is_none() {
            sent.set_destination(&target.dsn);
        }
        let now = self.now();
        let counts = client_counts(&self.spool.journal(now), target);
        let load = Load::of_session(&sent, counts, (self.clock)(), now);
        let answer = self.post(sid, target, &load)?;
        let mut outcome = Outcome::of(&answer);
        if matches!(outcome, Outcome::Accepted | Outcome::Refused { .. })
            && let Err(error) = self.spool.remove_session(sid)
        {
            // Else it would be sent again at once, and again.
            let why = format!("the server answered, but {}", sentence(&error));
            outcome = Outcome::Later { why, server_asked: false };
        }
        let until = self.note(target, &load, &outcome, &answer);
        match outcome {
            Outcome::Accepted => Ok(Fate::SessionSent),
            Outcome::Refused { status, words } => Ok(Fate::SessionRefused { status, words }),
            Outcome::WrongDsn { words, .. } => Err(Some(self.wrong_dsn(target, words))),
            Outcome::Later { why, .. } => Err(Some(Kept::Failed { why, until })),
        }
    }

    /// A report that is claimed will not be sent now, but its session is to be: it is taken out, or it
    /// would go twice if a person has the report sent after all.
    pub(super) fn leave_session(&self, id: Uuid, envelope: &Envelope) {
        if let Some((sid, alone)) = envelope.session_alone()
            && let Ok(pruned) = self.spool.publish_session(sid, &alone.to_bytes())
        {
            let mut rest = envelope.clone();
            rest.forget_session();
            // Where the disk is full, twice is better than never.
            let _ = self.spool.write(id, &rest.to_bytes());
            self.spool.count_pruned(&pruned, self.order.fallback);
        }
    }
}
