//! What the sender's threads do.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sentry::types::{Dsn, Uuid};

use super::{Shared, Stage, State, Which};
use crate::deliver::Spool;
use crate::deliver::drain::{self, Fate, Kept, Order};
use crate::deliver::letters::Taken;

/// How long one request may take where nobody waits for it.
const REQUEST: Duration = Duration::from_secs(30);

/// The age at which a report of another process is anybody's to send: well after its own process
/// would have amended it.
const ORPHANED: Duration = Duration::from_secs(5);

/// How long is waited between two reports that others have left, so that a long outage does not end in
/// a flood.
const SPACING: Duration = Duration::from_millis(100);

/// When to try again after a mistake of our own.
const OWN_MISTAKE: Duration = Duration::from_secs(60);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread, which is started if it does not run.
    pub(super) fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.calls += 1;
        let start = !std::mem::replace(&mut state.started, true);
        drop(state);
        self.changed.notify_all();
        if start {
            let shared = Arc::clone(self);
            if (self.means.spawn)("lastwords-send", Box::new(move || shared.work())).is_err() {
                // Tried again at the next call; a flush sends without it.
                self.lock().started = false;
            }
        }
    }

    /// Sends, for ever.
    fn work(&self) {
        loop {
            let seen = self.lock().calls;
            let next = self.round(None);
            let mut state = self.lock();
            let begun = Instant::now();
            while state.calls == seen {
                let left = next.map(|next| next.saturating_sub(begun.elapsed()));
                state = match left {
                    Some(left) if left.is_zero() => break,
                    Some(left) => self.wait_timeout(state, left),
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
        }
    }

    fn wait_timeout<'a>(
        &self,
        state: MutexGuard<'a, State>,
        longest: Duration,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, longest);
        waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
    }

    pub(super) fn wait_until_settled(&self, until: Instant, which: Which) -> bool {
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_settled(which) || left.is_zero() {
                return state.is_settled(which);
            }
            state = self.wait_timeout(state, left);
        }
    }

    /// Releases the reports of a process that ends; whether all of them are settled.
    pub(super) fn release_and_look(&self, which: Which) -> bool {
        let mut state = self.lock();
        for own in state.own.iter_mut() {
            if own.stage == Stage::Held && which.has(own) {
                own.stage = Stage::Released;
            }
        }
        state.is_settled(which)
    }

    /// Looks at everything there is to send once; when to look again. With `until` a process is about
    /// to end: then only its own reports count.
    pub(super) fn round(&self, until: Option<Instant>) -> Option<Duration> {
        let round = || sooner(self.send_reports(until), self.send_letters(until));
        catch_unwind(AssertUnwindSafe(round)).unwrap_or_else(|_| {
            (self.means.say)(
                "a mistake in lastwords keeps reports from being sent; please report it",
            );
            Some(OWN_MISTAKE)
        })
    }

    fn send_reports(&self, until: Option<Instant>) -> Option<Duration> {
        let (spools, dsn, others, own, calls) = {
            let state = self.lock();
            let own = state.own.iter().map(|own| (own.id, own.stage));
            let own: HashMap<Uuid, Stage> = own.collect();
            (state.spools.clone(), state.dsn.clone(), state.others.clone(), own, state.calls)
        };
        let is_ours = |to: &Dsn| dsn.as_ref() == Some(to) || others.contains(to);
        let own_ones = |id: Uuid, _: Option<&Dsn>| match own.get(&id) {
            Some(Stage::Released) => true,
            Some(Stage::Settled) => until.is_none(),
            Some(Stage::Held) | None => false,
        };
        // Something new of our own comes before the rest of what others have left.
        let others_ones = |id: Uuid, to: Option<&Dsn>| {
            !own.contains_key(&id) && to.is_some_and(is_ours) && self.lock().calls == calls
        };
        let own_order = Order {
            ready: &|id| own.contains_key(&id),
            wants: &own_ones,
            // None but our own are wanted without a destination.
            fallback: dsn.as_ref(),
            instead: None,
            on_request: false,
            insist: &[],
            until,
            hold: ORPHANED,
            pause: Duration::ZERO,
            rate_limit: self.means.rate_limit,
        };
        let others_order =
            Order { wants: &others_ones, fallback: None, pause: SPACING, ..own_order };
        let drain = |order: &Order<'_>| {
            let tell = &mut |id, fate: &Fate| self.tell(id, fate);
            let next = |spool| drain::drain(spool, &*self.courier, order, tell).next;
            spools.iter().filter_map(next).min()
        };
        let mut next = drain(&own_order);
        self.settle_vanished(&spools);
        if until.is_none() {
            next = sooner(next, drain(&others_order));
        }
        next
    }

    /// A report came to this.
    fn tell(&self, id: Uuid, fate: &Fate) {
        let said = self.words_about(id, fate);
        // Before anybody stops waiting for the report: who waits may end the process. What the program's
        // standard error does is none of a lock's business.
        said.into_iter().for_each(|words| (self.means.say)(&words));
        match fate {
            Fate::Kept(Kept::Young { .. } | Kept::BeingSent | Kept::OutOfTime) => {}
            // The destination has become known since this round began.
            Fate::Kept(Kept::NoDestination) if self.lock().dsn.is_some() => {}
            Fate::Sent
            | Fate::SentBefore
            | Fate::Rejected { .. }
            | Fate::Limited
            | Fate::SessionSent
            | Fate::SessionRefused { .. }
            | Fate::Kept(_) => {
                self.lock().advance(id, Stage::Settled);
            }
        }
        self.changed.notify_all();
    }

    /// What the operator is told of it: each kind of trouble once.
    fn words_about(&self, id: Uuid, fate: &Fate) -> Option<String> {
        let mut state = self.lock();
        match fate {
            Fate::Kept(Kept::WrongDsn { words }) => {
                let first = !std::mem::replace(&mut state.said.wrong_dsn, true);
                first.then(|| {
                    format!("reports are kept, not sent: the server takes nothing under this DSN: {words}")
                })
            }
            Fate::Rejected { status, words } => {
                let first = !std::mem::replace(&mut state.said.refused, true);
                let id = id.simple();
                first.then(|| format!("the server refused report {id} ({status}): {words}"))
            }
            Fate::SessionRefused { status, words } => {
                let first = !std::mem::replace(&mut state.said.refused_session, true);
                first.then(|| format!("the server refused a session ({status}): {words}"))
            }
            _ => None,
        }
    }

    /// What another process has sent meanwhile, or the limit pushed out, is not waited for.
    fn settle_vanished(&self, spools: &[Spool]) {
        let waited: Vec<Uuid> = {
            let state = self.lock();
            let released = state.own.iter().filter(|own| own.stage == Stage::Released);
            released.map(|own| own.id).filter(|id| !state.letters.contains(*id)).collect()
        };
        // A disk may take its time: nobody is to wait for the lock meanwhile.
        let is_gone = |id: &Uuid| !spools.iter().any(|spool| spool.is_to_be_sent(*id));
        for id in waited.into_iter().filter(is_gone) {
            self.lock().advance(id, Stage::Settled);
            self.changed.notify_all();
        }
    }

    /// Sends what is on no disk; when to try again.
    fn send_letters(&self, until: Option<Instant>) -> Option<Duration> {
        let ids: Vec<Uuid> = {
            let state = self.lock();
            let released = state.own.iter().filter(|own| own.stage != Stage::Held);
            released.map(|own| own.id).filter(|id| state.letters.contains(*id)).collect()
        };
        ids.into_iter().filter_map(|id| self.send_letter(id, until)).min()
    }

    fn send_letter(&self, id: Uuid, until: Option<Instant>) -> Option<Duration> {
        let taken = self.lock().letters.take(id, Instant::now());
        let (dsn, bytes) = match taken {
            Taken::Due(dsn, bytes) => (dsn, bytes),
            Taken::Later(time) => {
                // Nobody waits for what cannot go now.
                self.lock().advance(id, Stage::Settled);
                self.changed.notify_all();
                return Some(time);
            }
            Taken::Gone => return None,
        };
        let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
        let limit = limit.map_or(REQUEST, |left| left.min(REQUEST));
        let answer = self.courier.post(&dsn, &bytes, limit);
        let random = crate::record::random_id().as_u128() as u32;
        let mut state = self.lock();
        let next = state.letters.settle(id, &answer, Instant::now(), random);
        state.advance(id, Stage::Settled);
        drop(state);
        self.changed.notify_all();
        next
    }
}

fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}
