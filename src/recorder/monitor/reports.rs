//! The monitor's own reports: published as soon as a crash is known, corrected until the end.
//!
//! **Guarantee:** a report is in `waiting/` before anything else is done with its crash, and what is
//! learned later (another panic of the same death, whether the process survived it, how it ended)
//! takes its place under the same id. **Lost:** corrections of all but the last [`MOST_HELD`] reports.

use std::time::{Duration, Instant, SystemTime};

use sentry::types::Uuid;

use crate::detect::{Crash, Ending, Mechanism, NoUnwind, Runtime, Severity, exit};
use crate::recorder::publish::SETTLED;
use crate::report::Scene;

/// How many reports can still be corrected.
const MOST_HELD: usize = 16;

/// How long before its end a process printed a panic that an abort is about.
pub(super) const JUST_BEFORE: Duration = Duration::from_secs(2);

/// A report that may still be corrected.
pub(super) struct Held {
    pub(super) scene: Scene,
    since: Instant,
    /// Whether it was looked at once it was [`SETTLED`].
    settled: bool,
    /// Whether it was written.
    pub(super) published: bool,
}

/// Reports whose time has come.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// All of them.
    pub(super) all: Vec<Uuid>,
    /// Those that say something else now.
    pub(super) changed: Vec<Uuid>,
}

/// The reports of one run.
#[derive(Default)]
pub(super) struct Reports(Vec<Held>);

impl Reports {
    /// Takes a report, in place of an earlier one of the same id. The oldest makes room, and is given
    /// back as it is now, when the process has survived it.
    pub(super) fn put(&mut self, scene: Scene) -> Option<Scene> {
        let id = scene.crash.event_id;
        let earlier = self.0.iter().position(|held| held.scene.crash.event_id == id);
        let published = earlier.is_some_and(|at| self.0.remove(at).published);
        let oldest = (self.0.len() == MOST_HELD).then(|| self.0.remove(0).scene);
        self.0.push(Held { scene, since: Instant::now(), settled: false, published });
        let mut oldest = oldest?;
        if oldest.crash.runtime == Runtime::Rust && oldest.crash.severity == Severity::Fatal {
            oldest.crash.severity = Severity::Error;
        }
        Some(oldest)
    }

    /// Whether there was none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of the last report.
    pub(super) fn last(&self) -> Option<Uuid> {
        self.0.last().map(|held| held.scene.crash.event_id)
    }

    /// The report of this id.
    pub(super) fn get(&self, id: Uuid) -> Option<&Held> {
        self.0.iter().find(|held| held.scene.crash.event_id == id)
    }

    /// Removes the reports of which `is_taken` says that somebody else makes them.
    pub(super) fn withdraw(&mut self, mut is_taken: impl FnMut(&Crash) -> bool) -> Vec<Uuid> {
        let taken: Vec<Uuid> = self
            .0
            .iter()
            .map(|held| &held.scene.crash)
            .filter(|crash| is_taken(crash))
            .map(|crash| crash.event_id)
            .collect();
        self.0.retain(|held| !taken.contains(&held.scene.crash.event_id));
        taken
    }

    /// When the next one is to be settled.
    pub(super) fn next_settling(&self) -> Option<Instant> {
        self.0.iter().filter(|held| !held.settled).map(|held| held.since + SETTLED).min()
    }

    /// Settles those whose time has come while the process goes on: a panic that it survived took a
    /// thread, or was caught.
    pub(super) fn settle(&mut self) -> Settled {
        let mut settled = Settled::default();
        for held in self.0.iter_mut().filter(|held| !held.settled) {
            if held.since.elapsed() < SETTLED {
                continue;
            }
            held.settled = true;
            settled.all.push(held.scene.crash.event_id);
            let crash = &mut held.scene.crash;
            // What another runtime calls fatal ended its process, which was not the one watched; and who
            // says that it aborts is still at it.
            let may_go_on = crash.runtime == Runtime::Rust && !says_that_it_aborts(crash);
            if may_go_on && crash.severity == Severity::Fatal {
                crash.severity = Severity::Error;
                settled.changed.push(crash.event_id);
            }
        }
        settled
    }

    /// Whether a report that is kept may be about the end of the process: it says fatal, and the process
    /// has not gone on for long enough to have survived it.
    pub(super) fn may_be_the_end(&self, is_kept: impl Fn(Uuid) -> bool) -> bool {
        self.0.iter().any(|held| {
            let crash = &held.scene.crash;
            let is_open = held.published && !held.settled && crash.severity == Severity::Fatal;
            is_open && is_kept(crash.event_id)
        })
    }

    /// Says how the process ended and when, and whether somebody wanted it to (or the OOM killer did);
    /// whether one of the reports is about that.
    pub(super) fn end(&mut self, ending: Ending, time: SystemTime, is_wanted: bool) -> bool {
        let last = self.0.len().saturating_sub(1);
        let mut explained = false;
        for (index, held) in self.0.iter_mut().enumerate() {
            let is_last = index == last;
            let explains = is_last
                && (explains(&held.scene.crash, held.since, ending)
                    || !is_wanted && meets(&held.scene.crash, ending, time));
            let crash = &mut held.scene.crash;
            if explains {
                crash.severity = Severity::Fatal;
                held.scene.process.ending = Some(ending);
                explained = true;
            } else if crash.runtime == Runtime::Rust && survives_panics(ending) {
                crash.severity = Severity::Error;
            }
        }
        explained
    }

    /// Adds to the last report, which is about the end, the stack that the signal of that end had, and
    /// the thread, where it knows none. That of a panic is `in_panic`: the same thread was still at it.
    pub(super) fn add_stack(&mut self, death: &Crash, in_panic: bool) {
        let Some(Held { scene, .. }) = self.0.last_mut() else { return };
        let crash = &mut scene.crash;
        let id_of = |crash: &Crash| crash.thread.as_ref().and_then(|thread| thread.id);
        let is_its = in_panic && id_of(crash).is_none_or(|id| Some(id) == id_of(death));
        let (Some(exception), Some(found)) =
            (crash.exceptions.first_mut(), death.exceptions.first())
        else {
            return;
        };
        let is_panic = exception.mechanism == Mechanism::Panic;
        if is_panic && !is_its || !exception.frames.is_empty() {
            return;
        }
        exception.frames.clone_from(&found.frames);
        exception.frames_elided = found.frames_elided;
        if !is_panic {
            exception.signal.clone_from(&found.signal);
        }
        crash.thread = death.thread.clone().or(crash.thread.take());
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.0.iter_mut()
    }
}

/// Whether the standard library has said of a crash that the process aborts.
fn says_that_it_aborts(crash: &Crash) -> bool {
    crash.exceptions.iter().any(|exception| {
        let why = NoUnwind::of_exception(exception);
        exception.mechanism == Mechanism::Abort
            || matches!(why, Some(NoUnwind::InCleanup | NoUnwind::AtBoundary))
    })
}

/// Whether a process that ended like this has survived the panics that its end is not about.
fn survives_panics(ending: Ending) -> bool {
    matches!(ending, Ending::Code(0) | Ending::Signal(_))
}

/// The exit status of a Rust program whose `main` panicked, from the standard library's runtime.
const PANICKED: i32 = 101;
/// The exit status of a Go program that panicked, from its runtime's `panic.go`.
const GO_PANICKED: i32 = 2;

/// Whether a crash printed at `since` is what the process ended of.
fn explains(crash: &Crash, since: Instant, ending: Ending) -> bool {
    let is_main = crash.thread.as_ref().is_some_and(|thread| thread.main);
    match (ending, crash.runtime) {
        (Ending::Code(0), _) => false,
        (Ending::Code(code), Runtime::Go) => code == GO_PANICKED,
        (Ending::Code(code), Runtime::Rust) => code == PANICKED && is_main,
        (Ending::Code(_), _) => false,
        (Ending::Signal(number), _) => {
            let signal = crash.exceptions.first().and_then(|e| e.signal.as_ref());
            let same = signal.is_some_and(|signal| signal.number == Some(number));
            let fatal = crash.severity == Severity::Fatal;
            same || exit::is_abort(ending) && (fatal || since.elapsed() < JUST_BEFORE)
        }
    }
}

/// Whether a kill has met a crash before it was over: what was just printed of it ends the process anyway.
fn meets(crash: &Crash, ending: Ending, time: SystemTime) -> bool {
    let since = time.duration_since(crash.time).unwrap_or_default();
    let is_main = crash.thread.as_ref().is_some_and(|thread| thread.main);
    let is_last = crash.runtime == Runtime::Go || is_main;
    exit::is_killed(ending) && since < SETTLED && crash.severity == Severity::Fatal && is_last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_goes_on_after_is_not_its_end() {
        let ending = Ending::Signal(11);
        let id = Uuid::from_u128(1);
        let crash = exit::silent_crash(ending, id, SystemTime::now()).expect("a crash");
        let mut reports = Reports::default();
        // As of a Go program below a shell that goes on.
        let crash = Crash { runtime: Runtime::Go, ..crash };
        assert!(reports.put(Scene::of_text(crash, Vec::new(), None)).is_none());
        assert!(!reports.may_be_the_end(|_| true), "it is not published");
        reports.0[0].published = true;
        assert!(reports.may_be_the_end(|kept| kept == id) && !reports.may_be_the_end(|_| false));
        reports.0[0].since = Instant::now().checked_sub(SETTLED).expect("the machine runs");
        assert_eq!(reports.settle().all, [id]);
        assert!(!reports.may_be_the_end(|_| true));
    }
}
