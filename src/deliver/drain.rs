//! Draining: what waits in the spool goes to its servers.
//!
//! **Guarantee:** a report is sent by one process and one thread at a time, under the id it has had
//! since before the death it is about; two drains send nothing twice. What was accepted moves to
//! `sent/`, what was refused to `rejected/`; everything else waits on, and the teller hears why. No
//! report blocks another one, but a server that fails is left alone for a while with all of its
//! reports. No lock is held during a request but the claim of its report, and nothing panics.
//! **Lost:** nothing that waits. If the sender is killed between the server's answer and the move,
//! the same id is sent once more, which servers drop; the counts that go with reports may then be
//! told twice, as they may by two drains at once.
//!
//! A report that waits although one of its id was sent (published again by somebody who did not see
//! the other) is not sent again: servers keep the first of an id, or count both. It takes the place of
//! the sent one.
//!
//! Sessions that go with no report are sent after the reports, under a limit of their own, and are kept
//! by nobody afterwards.

mod fate;
mod order;
mod sending;
mod session;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use sentry::types::{Dsn, Uuid};

use super::claim::Claim;
use super::journal::{self, ERROR, Hindrance, Millis, millis, system_time};
use super::spool::{Entry, Spool, State};
use super::{Answer, Courier, NotAnswered, SpoolError, Stage};
use crate::report::{Envelope, SESSION};

pub use fate::{Drained, Fate, Kept};
pub use order::Order;

/// When to look again at a report that somebody else has claimed.
const OTHERS_WORK: Duration = Duration::from_secs(5);

/// When to try again after something on this machine failed.
const OWN_TROUBLE: Duration = Duration::from_mins(1);

/// Sends what waits in `spool` by `courier`, the oldest first, and tells of each report that `order`
/// wants what became of it.
pub fn drain(
    spool: &Spool,
    courier: &dyn Courier,
    order: &Order<'_>,
    tell: &mut dyn FnMut(Uuid, &Fate),
) -> Drained {
    let random = || crate::record::random_id().as_u128() as u32;
    Drain::new(spool, courier, order, &SystemTime::now, &random).run(tell)
}

/// Says of each report that waits why it does, without sending anything; those that nothing keeps
/// would go with the next drain.
pub fn explain(spool: &Spool, fallback: Option<&Dsn>, tell: &mut dyn FnMut(Uuid, Option<Kept>)) {
    struct Nobody;
    impl Courier for Nobody {
        fn post(&self, _: &Dsn, _: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
            // Never asked: nothing is sent to explain why nothing was.
            Err(NotAnswered { at: Stage::Connect, words: String::new() })
        }
    }
    let order = Order {
        ready: &|_| false,
        wants: &|_, _| true,
        fallback,
        instead: None,
        on_request: false,
        insist: &[],
        until: None,
        hold: Duration::ZERO,
        pause: Duration::ZERO,
        rate_limit: 0,
    };
    let mut drain = Drain::new(spool, &Nobody, &order, &SystemTime::now, &|| 0);
    for entry in spool.waiting().unwrap_or_default() {
        let header = drain.wanted_header(&entry);
        let target = header.and_then(|header| drain.target(&entry, &header));
        match target.and_then(|target| drain.look_for_hindrance(&target)) {
            Ok(()) => tell(entry.id, None),
            Err(Some(kept)) => tell(entry.id, Some(kept)),
            Err(None) => {}
        }
    }
}

/// One drain.
struct Drain<'a> {
    spool: &'a Spool,
    courier: &'a dyn Courier,
    order: &'a Order<'a>,
    clock: &'a dyn Fn() -> SystemTime,
    random: &'a dyn Fn() -> u32,
    /// Whether the last report was sent, or tried to be.
    posted: bool,
    /// Destinations that are left alone for the rest of this drain, with what.
    stopped: HashMap<(String, &'static str), Kept>,
    drained: Drained,
}

/// Where a report or a session goes.
struct Target {
    dsn: Dsn,
    key: String,
    state: State,
    /// What limits it.
    category: &'static str,
}

/// What a step yields, or why the report is kept; `None` where there is nothing to say of it.
type Step<T> = Result<T, Option<Kept>>;

impl<'a> Drain<'a> {
    fn new(
        spool: &'a Spool,
        courier: &'a dyn Courier,
        order: &'a Order<'a>,
        clock: &'a dyn Fn() -> SystemTime,
        random: &'a dyn Fn() -> u32,
    ) -> Drain<'a> {
        let (stopped, drained) = (HashMap::new(), Drained::default());
        Drain { spool, courier, order, clock, random, posted: false, stopped, drained }
    }

    fn run(mut self, tell: &mut dyn FnMut(Uuid, &Fate)) -> Drained {
        for id in self.order.insist {
            // What cannot be moved stays where it is, and is not among those that wait.
            let _ = self.spool.requeue(*id);
        }
        // Sessions second: a report that is set aside leaves its own behind.
        for list in [Spool::waiting, Spool::sessions] {
            match list(self.spool) {
                Ok(entries) => self.run_those(entries, tell),
                Err(error) => {
                    self.drained.trouble = Some(error);
                    break;
                }
            }
        }
        self.drained
    }

    fn run_those(&mut self, entries: Vec<Entry>, tell: &mut dyn FnMut(Uuid, &Fate)) {
        for entry in entries {
            if std::mem::take(&mut self.posted) && !self.order.pause.is_zero() {
                std::thread::sleep(self.order.pause);
            }
            let fate = match self.attempt(&entry) {
                Ok(fate) => fate,
                Err(Some(kept)) => Fate::Kept(kept),
                Err(None) => continue,
            };
            self.drained.count(&fate);
            if let Some(wait) = self.wait_of(&fate) {
                self.drained.try_again_in(wait);
            }
            tell(entry.id, &fate);
        }
    }

    /// Everything that happens to one report or session.
    fn attempt(&mut self, entry: &Entry) -> Step<Fate> {
        let id = entry.id;
        let header = self.wanted_header(entry)?;
        let target = self.target(entry, &header)?;
        self.look_for_hindrance(&target)?;
        self.time_left()?;
        let claim = self.claim(id)?;
        // Only now nobody else sends or replaces it.
        let (bytes, entry) = match self.spool.read_in(entry.state, id) {
            Ok(Some(read)) => read,
            Ok(None) => return Err(None),
            Err(error) => return Err(Some(unreadable(&error))),
        };
        if entry.state == State::Waiting && self.spool.holds(State::Sent, id) {
            return self.file_with_sent(id);
        }
        let envelope = Envelope::parse(&bytes).map_err(|error| Some(unreadable(&error)))?;
        let again = self.target(&entry, &envelope)?;
        if again.key != target.key {
            // It was replaced by one for somebody else, who may be stopped or not wanted.
            return Err(Some(Kept::Young { ready_in: self.order.hold }));
        }
        match entry.state {
            State::Session => self.send_session(&claim, &target, &envelope),
            _ => self.send(&claim, &target, &envelope),
        }
    }

    /// The envelope's header, as an envelope without items, of one that is wanted.
    fn wanted_header(&self, entry: &Entry) -> Step<Envelope> {
        let id = entry.id;
        let read = self.spool.read_header(entry.state, id);
        let line = match read {
            Ok(None) => return Err(None),
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(unreadable(&error)),
        };
        let header = line.and_then(|line| Envelope::parse(&line).map_err(|e| unreadable(&e)));
        let dsn = header.as_ref().ok().and_then(Envelope::dsn).and_then(|dsn| dsn.parse().ok());
        if !(self.order.wants)(id, dsn.as_ref()) {
            return Err(None);
        }
        header.map_err(Some)
    }

    /// Where a report or a session is to go, if it may leave at all.
    fn target(&self, entry: &Entry, header: &Envelope) -> Step<Target> {
        let (id, is_session) = (entry.id, entry.state == State::Session);
        let why = match header.event_id() {
            Some(_) if is_session => Some("a session names an event"),
            None if is_session => None,
            Some(named) if named == id => None,
            Some(_) => Some("its event has another id than its file"),
            None => Some("its header names no event"),
        };
        if let Some(why) = why {
            return Err(Some(Kept::Unreadable(why.to_owned())));
        }
        if header.is_local() && !self.order.insist.contains(&id) {
            return Err(Some(Kept::Local));
        }
        let dsn = match (self.order.instead, header.dsn()) {
            (Some(instead), _) => instead.clone(),
            (None, Some(named)) => {
                named.parse().map_err(|error: sentry::types::ParseDsnError| {
                    Some(Kept::BadDsn(error.to_string()))
                })?
            }
            (None, None) => self.order.fallback.cloned().ok_or(Some(Kept::NoDestination))?,
        };
        // A time in the future has no age: such a file is old. A session is never corrected.
        let hold = if is_session { Duration::ZERO } else { self.order.hold };
        let age = (self.clock)().duration_since(entry.modified).unwrap_or(hold);
        if age < hold && !(self.order.ready)(id) {
            return Err(Some(Kept::Young { ready_in: hold - age }));
        }
        let category = if is_session { SESSION } else { ERROR };
        Ok(Target { key: journal::key(&dsn), dsn, state: entry.state, category })
    }

    /// Whether its server is to be left alone.
    fn look_for_hindrance(&mut self, target: &Target) -> Step<()> {
        if let Some(kept) = self.stopped.get(&(target.key.clone(), target.category)) {
            return Err(Some(kept.clone()));
        }
        let now = self.now();
        let journal = self.spool.journal(now);
        let destination = journal.destination(&target.key);
        let on_request = self.order.on_request;
        match destination.and_then(|known| known.hindrance(now, target.category, on_request)) {
            Some(hindrance) => Err(Some(self.stop(target, hindrance))),
            None => Ok(()),
        }
    }

    /// Leaves a destination alone for the rest of this drain, with what such a limit is about; why that is
    /// kept.
    fn stop(&mut self, target: &Target, hindrance: Hindrance) -> Kept {
        let (until, kept) = match hindrance {
            Hindrance::RateLimited { until } => {
                (until, Kept::RateLimited { until: system_time(until) })
            }
            Hindrance::WrongDsn { until, words } => (until, Kept::WrongDsn { words }),
            Hindrance::BackingOff { until, why } => {
                (until, Kept::BackingOff { until: system_time(until), why })
            }
        };
        self.drained.try_again_in(Duration::from_millis(until.saturating_sub(self.now())));
        let categories: &[&'static str] = match kept {
            Kept::RateLimited { .. } => &[target.category],
            _ => &[ERROR, SESSION],
        };
        for category in categories {
            self.stopped.insert((target.key.clone(), category), kept.clone());
        }
        kept
    }

    fn claim(&self, id: Uuid) -> Step<Claim> {
        match self.spool.claim(id) {
            Ok(Some(claim)) => Ok(claim),
            Ok(None) => Err(Some(Kept::BeingSent)),
            Err(error) => Err(Some(self.own_trouble(&error))),
        }
    }

    fn file_with_sent(&self, id: Uuid) -> Step<Fate> {
        match self.spool.mark_sent(id) {
            Ok(_) => Ok(Fate::SentBefore),
            Err(error) => Err(Some(self.own_trouble(&error))),
        }
    }

    /// What is left for a request, if there is an end.
    fn time_left(&self) -> Step<Option<Duration>> {
        let Some(until) = self.order.until else { return Ok(None) };
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Some(Kept::OutOfTime)),
            left => Ok(Some(left)),
        }
    }

    fn own_trouble(&self, error: &SpoolError) -> Kept {
        Kept::Failed { why: sentence(error), until: (self.clock)() + OWN_TROUBLE }
    }

    fn now(&self) -> Millis {
        millis((self.clock)())
    }

    /// When to look again at a report, as far as that is not known of its destination.
    fn wait_of(&self, fate: &Fate) -> Option<Duration> {
        let Fate::Kept(kept) = fate else { return None };
        match kept {
            Kept::Young { ready_in } => Some(*ready_in),
            Kept::BackingOff { until, .. }
            | Kept::RateLimited { until }
            | Kept::Failed { until, .. } => {
                Some(until.duration_since((self.clock)()).unwrap_or_default())
            }
            Kept::BeingSent => Some(OTHERS_WORK),
            Kept::OutOfTime => Some(Duration::ZERO),
            Kept::NoDestination
            | Kept::Local
            | Kept::WrongDsn { .. }
            | Kept::Unreadable(_)
            | Kept::BadDsn(_) => None,
        }
    }
}

fn unreadable(error: &dyn std::error::Error) -> Kept {
    Kept::Unreadable(sentence(error))
}

/// An error and its causes on one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence.push_str(": ");
        sentence.push_str(&error.to_string());
        cause = error.source();
    }
    sentence
}

#[cfg(test)]
mod tests;
