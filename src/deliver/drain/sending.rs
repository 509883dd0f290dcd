//! One report on its way to its server, and what the answer changes.
//!
//! **Guarantee:** a report is on the disk before it is on the wire, and is not sent where its move
//! afterwards is known to be impossible. What an answer says of limits is in the journal before the
//! next request. **Lost:** attachments and a session that a server wants none of for now are not sent
//! later; they stay with the sent report, and the server is told of them.

use std::time::{Duration, SystemTime};

use sentry::types::Uuid;
use serde_json::{Map, Value};

use super::{Drain, Fate, Kept, Step, Target, sentence, unreadable};
use crate::deliver::claim::Claim;
use crate::deliver::journal::{
    Destination, Discarded, ERROR, Hindrance, Journal, Millis, client_report, kind, system_time,
};
use crate::deliver::{Answer, NotAnswered, Outcome, backoff};
use crate::report::{EVENT_BYTES, Envelope, SESSION};

/// The type and the category of attachments.
const ATTACHMENT: &str = "attachment";

/// The longest that a request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// What goes along with a report or a session.
pub(super) struct Load {
    kind: String,
    /// Whether it took one of the places of its kind.
    has_place: bool,
    /// How many of its kind were held back, which it says.
    held_back: u64,
    /// What the client report says.
    counts: Vec<Discarded>,
    /// What stays here, for which the server has no use now: categories and quantities.
    left_out: Vec<(&'static str, u64)>,
    bytes: Vec<u8>,
}

impl Load {
    /// That of a session, which is of no kind.
    pub(super) fn of_session(
        sent: &Envelope,
        counts: Vec<Discarded>,
        time: SystemTime,
        now: Millis,
    ) -> Load {
        let bytes = sent.for_sending(time, client_report(now, &counts).as_ref());
        let (kind, left_out) = (String::new(), Vec::new());
        Load { kind, has_place: false, held_back: 0, counts, left_out, bytes }
    }
}

/// What a destination was not told of yet.
pub(super) fn client_counts(journal: &Journal, target: &Target) -> Vec<Discarded> {
    let known = journal.destination(&target.key);
    known.map(Destination::discarded).unwrap_or_default().to_vec()
}

impl Drain<'_> {
    /// Sends a report that is claimed.
    pub(super) fn send(
        &mut self,
        claim: &Claim,
        target: &Target,
        envelope: &Envelope,
    ) -> Step<Fate> {
        let id = claim.id();
        let event = envelope.event().map_err(|error| Some(unreadable(&error)))?;
        let kind = kind(&target.key, &event);
        // What a person named is sent whatever was sent before, and takes nobody's place.
        let limit = if self.order.insist.contains(&id) { 0 } else { self.order.rate_limit };
        if !self.take_place(&kind, limit) {
            return self.set_aside(id, target, envelope, &kind);
        }
        let has_place = limit != 0;
        let attempt = self.load(&kind, target, envelope, event).and_then(|load| {
            let answer = self.post(id, target, &load)?;
            Ok((load, answer))
        });
        match attempt {
            Ok((load, answer)) => {
                self.settle(id, target, envelope, &Load { has_place, ..load }, &answer)
            }
            Err(kept) => {
                self.give_back(&kind, has_place);
                Err(kept)
            }
        }
    }

    fn take_place(&self, kind: &str, limit: u32) -> bool {
        let now = self.now();
        limit == 0
            || self.spool.change_journal(now, |journal| journal.kinds.take_place(kind, limit, now))
    }

    fn give_back(&self, kind: &str, has_place: bool) {
        if has_place {
            self.spool.change_journal(self.now(), |journal| journal.kinds.give_back(kind));
        }
    }

    /// There were too many of its kind.
    fn set_aside(&self, id: Uuid, target: &Target, envelope: &Envelope, kind: &str) -> Step<Fate> {
        self.leave_session(id, envelope);
        self.spool.mark_limited(id).map_err(|error| Some(self.own_trouble(&error)))?;
        let now = self.now();
        self.spool.change_journal(now, |journal| {
            journal.kinds.hold_back(kind, now);
            journal.destination_mut(&target.key, now).discard("sample_rate", ERROR, 1);
        });
        Ok(Fate::Limited)
    }

    /// Everything that goes in the request. What another process has heard since this report was
    /// looked at counts: a limit of all categories is none of attachments alone.
    fn load(
        &mut self,
        kind: &str,
        target: &Target,
        envelope: &Envelope,
        event: Map<String, Value>,
    ) -> Step<Load> {
        let now = self.now();
        let journal = self.spool.journal(now);
        let known = journal.destination(&target.key);
        let limited = |category| known.and_then(|known| known.limited(now, category));
        if let Some(until) = limited(ERROR) {
            return Err(Some(self.stop(target, Hindrance::RateLimited { until })));
        }
        let mut held_back = journal.kinds.held_back(kind);
        let counts = client_counts(&journal, target);
        let mut left_out = Vec::new();
        let mut sent = envelope.clone();
        for (category, quantity) in
            [(ATTACHMENT, attached(envelope)), (SESSION, sessions(envelope))]
        {
            if quantity > 0 && limited(category).is_some() {
                sent = sent.without(category);
                left_out.push((category, quantity));
            }
        }
        if held_back > 0 && !say_held_back(&mut sent, event, held_back) {
            // The next one says it.
            held_back = 0;
        }
        if self.order.instead.is_some() || sent.dsn().is_none() {
            sent.set_destination(&target.dsn);
        }
        let bytes = sent.for_sending((self.clock)(), client_report(now, &counts).as_ref());
        Ok(Load { kind: kind.to_owned(), has_place: false, held_back, counts, left_out, bytes })
    }

    pub(super) fn post(
        &mut self,
        id: Uuid,
        target: &Target,
        load: &Load,
    ) -> Step<Result<Answer, NotAnswered>> {
        self.spool.can_be_marked(target.state).map_err(|error| Some(self.own_trouble(&error)))?;
        // A disk that cannot be flushed keeps no report from being sent.
        let _ = self.spool.sync(target.state, id);
        let left = self.time_left()?;
        let limit = left.map_or(LONGEST_REQUEST, |left| left.min(LONGEST_REQUEST));
        self.posted = true;
        Ok(self.courier.post(&target.dsn, &load.bytes, limit))
    }

    /// What the answer changes: the report first, then what is known of the server.
    fn settle(
        &mut self,
        id: Uuid,
        target: &Target,
        envelope: &Envelope,
        load: &Load,
        answer: &Result<Answer, NotAnswered>,
    ) -> Step<Fate> {
        let mut outcome = Outcome::of(answer);
        let moved = match &outcome {
            // Gone meanwhile, by hand or to make room: then nothing is left to move.
            Outcome::Accepted => self.spool.mark_sent(id),
            Outcome::Refused { status, words } => {
                self.leave_session(id, envelope);
                self.spool.mark_rejected(id, *status, words)
            }
            Outcome::WrongDsn { .. } | Outcome::Later { .. } => Ok(true),
        };
        if let Err(error) = moved {
            // Else it would be sent again at once, and again.
            let why = format!("the server answered, but {}", sentence(&error));
            outcome = Outcome::Later { why, server_asked: false };
        }
        let until = self.note(target, load, &outcome, answer);
        match outcome {
            Outcome::Accepted => Ok(Fate::Sent),
            Outcome::Refused { status, words } => Ok(Fate::Rejected { status, words }),
            Outcome::WrongDsn { words, .. } => Err(Some(self.wrong_dsn(target, words))),
            Outcome::Later { why, .. } => Err(Some(Kept::Failed { why, until })),
        }
    }

    /// Notes an answer; until when the destination is left alone if it failed.
    pub(super) fn note(
        &mut self,
        target: &Target,
        load: &Load,
        outcome: &Outcome,
        answer: &Result<Answer, NotAnswered>,
    ) -> SystemTime {
        let now = self.now();
        let random = (self.random)();
        let limits = answer.as_ref().map_or(&[][..], |answer| &answer.limits);
        let (until, hindrance) = self.spool.change_journal(now, |journal| {
            journal.destination_mut(&target.key, now).note_limits(now, limits);
            let until = note(journal, target, load, outcome, now, random);
            let known = journal.destination(&target.key);
            (until, known.and_then(|known| known.hindrance(now, target.category, false)))
        });
        if let Some(hindrance) = hindrance {
            self.stop(target, hindrance);
        }
        system_time(until)
    }

    /// The server takes nothing under this DSN.
    pub(super) fn wrong_dsn(&mut self, target: &Target, words: String) -> Kept {
        let place = target.key.split('#').next().unwrap_or_default();
        self.drained.wrong_dsns.push((place.to_owned(), words.clone()));
        Kept::WrongDsn { words }
    }
}

/// Notes an outcome; until when the destination is left alone if it failed.
fn note(
    journal: &mut Journal,
    target: &Target,
    load: &Load,
    outcome: &Outcome,
    now: Millis,
    random: u32,
) -> Millis {
    if matches!(outcome, Outcome::Accepted) {
        journal.kinds.was_told(&load.kind, load.held_back);
    } else if load.has_place {
        journal.kinds.give_back(&load.kind);
    }
    let known = journal.destination_mut(&target.key, now);
    match outcome {
        Outcome::Accepted => {
            known.succeeded();
            known.was_told(&load.counts);
            for (category, quantity) in &load.left_out {
                known.discard("ratelimit_backoff", category, *quantity);
            }
        }
        Outcome::Refused { .. } => {
            // The server works, and takes reports under this DSN.
            known.succeeded();
            known.discard("send_error", target.category, 1);
        }
        Outcome::WrongDsn { words, .. } => known.is_wrong(now, words),
        Outcome::Later { why, .. } => {
            let wait = |failures| backoff(failures, random);
            return known.failed(now, target.category, why, wait);
        }
    }
    now
}

/// How many sessions it has, by which servers count them.
fn sessions(envelope: &Envelope) -> u64 {
    envelope.items.iter().filter(|item| item.ty() == SESSION).count() as u64
}

/// Bytes of attachments, by which servers count them; an empty one counts too.
fn attached(envelope: &Envelope) -> u64 {
    let attachments = envelope.items.iter().filter(|item| item.ty() == ATTACHMENT);
    attachments.map(|item| item.payload().len().max(1) as u64).sum()
}

/// Says in the event how many of its kind were held back; `false`, and nothing is said, where it has
/// no room for it.
fn say_held_back(envelope: &mut Envelope, mut event: Map<String, Value>, held_back: u64) -> bool {
    let object = || Value::Object(Map::new());
    let contexts = event.entry("contexts").or_insert_with(object).as_object_mut();
    let ours = contexts.map(|contexts| contexts.entry("lastwords").or_insert_with(object));
    let Some(ours) = ours.and_then(Value::as_object_mut) else { return false };
    ours.insert("not_sent".to_owned(), Value::from(held_back));
    let event = Value::Object(event).to_string().into_bytes();
    let fits = event.len() <= EVENT_BYTES;
    if fits {
        envelope.set_event(event);
    }
    fits
}
