//! The sender: a thread that takes reports from spools to servers, as they become ready.
//!
//! **Guarantee:** nobody waits for it who does not call [`Sender::flush`], and that wait is bounded.
//! A report of this process is sent only after it was [released](Sender::release), so that what is
//! learned in the first second of its life amends it before it leaves; a report of another process
//! only once it is old enough. Which report was sent, refused or kept is on disk; this room's memory
//! holds none of it. **Lost:** letters (what no directory takes) that are not sent when the process
//! ends.
//!
//! The thread starts with the first report, is named `lastwords-send`, and sleeps while there is
//! nothing to send. A forked child starts its own with its own first report.

mod work;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use sentry::types::{Dsn, Uuid};

use super::letters::Letters;
use super::{Courier, Spool};
use crate::record::process_generation;

/// How many reports of this process are remembered.
const MOST_OWN: usize = 256;

/// The longest that anybody waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a report is looked at that another process is just sending.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How the sender gets its threads: as the recorder starts all of its own.
pub type Spawn = fn(&str, Box<dyn FnOnce() + Send>) -> std::io::Result<()>;

/// What a sender works with.
pub struct Means {
    /// Makes who carries envelopes; each process has its own: a forked child must not share its
    /// parent's connections.
    pub courier: Box<dyn Fn() -> Arc<dyn Courier> + Send + Sync>,
    /// Starts a thread.
    pub spawn: Spawn,
    /// Says something to the operator, in one line.
    pub say: fn(&str),
    /// How many reports of one fingerprint are sent in an hour; 0 sends all.
    pub rate_limit: u32,
}

/// The sender of one process.
pub struct Sender {
    shared: Arc<Shared>,
    generation: u32,
    in_child: OnceLock<Box<Sender>>,
}

struct Shared {
    means: Arc<Means>,
    courier: Arc<dyn Courier>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Where reports are.
    spools: Vec<Spool>,
    /// Where our reports go. Those of other processes that go there are sent too.
    dsn: Option<Dsn>,
    /// Where other clients of this program send by us: likewise.
    others: Vec<Dsn>,
    /// Reports of this process, the oldest first.
    own: VecDeque<Own>,
    letters: Letters,
    /// Whether there are reports that name a destination of their own.
    below: bool,
    /// Counts what there is to look at.
    calls: u64,
    started: bool,
    said: Said,
}

/// A report of this process.
#[derive(Debug, Clone, Copy)]
struct Own {
    id: Uuid,
    stage: Stage,
    /// Whether nobody else sends it when this process has ended.
    alone: bool,
}

/// Which reports of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All that there are.
    All,
    /// Those that nobody else sends when this process has ended.
    Alone,
    /// Those that may be sent already.
    Released,
}

impl Which {
    fn has(self, own: &Own) -> bool {
        match self {
            Which::All => true,
            Which::Alone => own.alone,
            Which::Released => own.stage != Stage::Held,
        }
    }
}

/// How far a report of this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may still be amended.
    Held,
    /// It may be sent.
    Released,
    /// It was sent, or will not be by waiting longer now.
    Settled,
}

/// What the operator was told, once each.
#[derive(Default)]
struct Said {
    wrong_dsn: bool,
    refused: bool,
    refused_session: bool,
}

impl Sender {
    /// A sender that has nothing to do yet. It starts no thread.
    #[must_use]
    pub fn new(means: Means) -> Sender {
        Sender::with(Arc::new(means), State::default())
    }

    fn with(means: Arc<Means>, state: State) -> Sender {
        let state = Mutex::new(state);
        let courier = (means.courier)();
        let shared = Arc::new(Shared { means, courier, state, changed: Condvar::new() });
        Sender { shared, generation: process_generation(), in_child: OnceLock::new() }
    }

    /// The sender of this process: this one, or in a forked child one that begins with nothing. The
    /// locks of its parent's may be held by threads that the child does not have.
    fn here(&self) -> &Arc<Shared> {
        let mut sender = self;
        while sender.generation != process_generation() {
            let means = &sender.shared.means;
            let begin = || {
                // Another thread of the parent's may have held the lock as it forked; then only what this
                // child publishes is known.
                let state = sender.shared.state.try_lock().map_or_else(
                    |_| State::default(),
                    |state| State {
                        spools: state.spools.clone(),
                        dsn: state.dsn.clone(),
                        others: state.others.clone(),
                        ..State::default()
                    },
                );
                Box::new(Sender::with(Arc::clone(means), state))
            };
            sender = sender.in_child.get_or_init(begin);
        }
        &sender.shared
    }

    /// Reports that other processes left in `spool`, and that go where ours go, are sent too.
    pub fn serve(&self, spool: &Spool) {
        let mut state = self.here().lock();
        if !state.spools.iter().any(|known| known.dir() == spool.dir()) {
            state.spools.push(spool.clone());
        }
    }

    /// Says where the reports of this process go, those among them that named no destination so far.
    pub fn send_to(&self, dsn: Option<Dsn>) {
        let shared = self.here();
        let mut state = shared.lock();
        state.dsn = dsn;
        let mut any = false;
        for own in state.own.iter_mut().filter(|own| own.stage != Stage::Held) {
            own.stage = Stage::Released;
            any = true;
        }
        if any {
            shared.call(state);
        }
    }

    /// Another client of this program sends to `dsn` by this sender.
    pub fn also_send_to(&self, dsn: &Dsn) {
        let mut state = self.here().lock();
        if state.dsn.as_ref() != Some(dsn) && !state.others.contains(dsn) {
            state.others.push(dsn.clone());
        }
    }

    /// Begins to send what earlier processes left, if they left anything.
    pub fn begin_backlog(&self) {
        let shared = self.here();
        let state = shared.lock();
        let knows_where = state.dsn.is_some() || !state.others.is_empty();
        let spools = state.spools.clone();
        drop(state);
        // A disk may take its time: nobody else is to wait for it.
        if knows_where && spools.iter().any(Spool::has_waiting) {
            shared.call(shared.lock());
        }
    }

    /// A report of this process is in `spool`, and may still be amended.
    pub fn published(&self, id: Uuid, spool: &Spool) {
        self.serve(spool);
        self.here().lock().note(id);
    }

    /// An envelope that no directory took is kept in memory, in place of an earlier one of its id. One
    /// that is to be sent `once` is given up with the first failure.
    pub fn published_in_memory(&self, id: Uuid, dsn: &Dsn, envelope: Vec<u8>, once: bool) {
        let mut state = self.here().lock();
        state.note(id);
        if let Some(lost) = state.letters.put(id, dsn, envelope, once) {
            state.forget(lost);
        }
    }

    /// A letter that was not sent yet is another one now.
    pub fn replace_in_memory(&self, id: Uuid, envelope: &[u8]) {
        self.here().lock().letters.replace(id, envelope);
    }

    /// Whether nothing is left of a report to be sent.
    pub fn has_settled(&self, id: Uuid) -> bool {
        let state = self.here().lock();
        let is_settled = |own: &Own| own.id == id && own.stage == Stage::Settled;
        state.own.iter().any(is_settled) && !state.letters.contains(id)
    }

    /// Nothing more will be learned of a report: it may be sent.
    pub fn release(&self, id: Uuid) {
        let shared = self.here();
        let mut state = shared.lock();
        if state.advance(id, Stage::Released) {
            shared.call(state);
        }
    }

    /// Nobody else sends a report when this process has ended.
    pub fn is_alone_with(&self, id: Uuid) {
        let mut state = self.here().lock();
        state.own.iter_mut().filter(|own| own.id == id).for_each(|own| own.alone = true);
    }

    /// Whether nobody else sends a report when this process has ended.
    pub fn has_alone(&self, id: Uuid) -> bool {
        self.here().lock().own.iter().any(|own| own.id == id && own.alone)
    }

    /// Whether reports are left that are on no disk.
    pub fn has_letters(&self) -> bool {
        self.here().lock().letters.has_lasting()
    }

    /// Whether there is anywhere to send to.
    pub fn knows_where(&self) -> bool {
        let state = self.here().lock();
        state.dsn.is_some() || !state.others.is_empty() || state.below
    }

    /// Reports of processes below may go where ours do not.
    pub fn sends_for_others(&self) {
        self.here().lock().below = true;
    }

    /// A report was taken back.
    pub fn withdraw(&self, id: Uuid) {
        let mut state = self.here().lock();
        state.letters.remove(id);
        state.forget(id);
    }

    /// Waits until each report that was released was sent, refused or found to be unsendable now, at
    /// most `longest`; whether that is so. It releases none.
    pub fn wait(&self, longest: Duration) -> bool {
        let shared = self.here();
        let state = shared.lock();
        if state.is_settled(Which::Released) {
            return true;
        }
        shared.call(state);
        shared.wait_until_settled(end_of(longest), Which::Released)
    }

    /// Releases every report of this process, since it ends, and waits until each was sent, refused or
    /// found to be unsendable now, at most `longest`; whether that is so.
    ///
    /// A server that answers, or does not listen, ends the wait at once. The work is done by a thread of
    /// its own: the usual one may be waiting for another server.
    pub fn flush(&self, longest: Duration) -> bool {
        self.flush_those(longest, Which::All)
    }

    /// The same of the reports that nobody else sends.
    pub fn flush_alone(&self, longest: Duration) -> bool {
        self.flush_those(longest, Which::Alone)
    }

    fn flush_those(&self, longest: Duration, which: Which) -> bool {
        let (shared, until) = (self.here(), end_of(longest));
        if shared.release_and_look(which) {
            return true;
        }
        if longest.is_zero() {
            return false;
        }
        let worker = Arc::clone(shared);
        let work = move || {
            // Another thread may panic meanwhile: its report is released too.
            while !worker.release_and_look(which) && Instant::now() < until {
                let again = worker.round(Some(until)).unwrap_or(LOOK_AGAIN);
                std::thread::sleep(again.min(LOOK_AGAIN));
            }
            worker.changed.notify_all();
        };
        if (shared.means.spawn)("lastwords-flush", Box::new(work)).is_err() {
            shared.round(Some(until));
        }
        shared.wait_until_settled(until, which)
    }
}

/// When a wait of at most `longest` is over.
fn end_of(longest: Duration) -> Instant {
    Instant::now() + longest.min(FOR_EVER)
}

impl State {
    fn note(&mut self, id: Uuid) {
        self.forget(id);
        self.own.push_back(Own { id, stage: Stage::Held, alone: false });
        if self.own.len() > MOST_OWN {
            // One that still waits is the last to be forgotten.
            let done = self.own.iter().position(|own| own.stage == Stage::Settled).unwrap_or(0);
            let forgotten = self.own.remove(done);
            forgotten.into_iter().for_each(|own| self.letters.remove(own.id));
        }
    }

    fn forget(&mut self, id: Uuid) {
        self.own.retain(|own| own.id != id);
    }

    /// Brings a report to a later stage; whether that changed anything.
    fn advance(&mut self, id: Uuid, stage: Stage) -> bool {
        let found = self.own.iter_mut().find(|own| own.id == id);
        match found {
            Some(own) if own.stage != stage && own.stage != Stage::Settled => {
                own.stage = stage;
                true
            }
            _ => false,
        }
    }

    fn is_settled(&self, which: Which) -> bool {
        self.own.iter().filter(|own| which.has(own)).all(|own| own.stage == Stage::Settled)
    }
}

#[cfg(test)]
mod tests;
