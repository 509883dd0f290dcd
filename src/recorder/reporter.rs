//! The thread that writes reports, so that a panicking thread does not have to.
//!
//! **Guarantee:** a panicking thread only wakes this one and waits, at most [`LONGEST_WAIT`]; what
//! it holds (the allocator, `backtrace`'s lock, standard error) cannot block it for longer, and its
//! stack, which may be small, is not used for symbolication. A forked child starts a thread of its
//! own at its first panic. Where none could be started, the panicking thread does the work itself.
//!
//! The thread is named `lastwords`, takes no signals, and sleeps until a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::global::warn;
use super::publish::Publisher;
use super::thread;
use crate::detect::hook::{self, Carrier, Sink};
use crate::record::{Region, process_generation};

/// The longest time a panicking or exiting thread waits for its report. It is reached only where
/// that thread holds what the report needs, or where the debug info of the program takes that long
/// to read.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long the start of the thread is waited for.
const LONGEST_START: Duration = Duration::from_millis(100);

/// How long is slept at most before looking again.
const POLL: Duration = Duration::from_millis(10);

/// The stages of a process that aborts.
mod last {
    pub(super) const NOT_YET: u32 = 0;
    pub(super) const WANTED: u32 = 1;
    pub(super) const DONE: u32 = 2;
}

/// A handle to the thread.
pub(super) struct Reporter {
    /// `None` where it could not be started.
    thread: Option<Thread>,
    /// The process it runs in: a forked child has no thread but the one that forked.
    generation: u32,
    /// Counts the rounds it has made; who waits for a report sleeps on it.
    rounds: AtomicU32,
    /// Whether the process aborts as soon as what can be sent was: one of the [`last`] stages.
    last: AtomicU32,
    /// The reporter of a forked child.
    in_child: OnceLock<Arc<Reporter>>,
}

impl Reporter {
    /// Starts the thread.
    pub(super) fn start(publisher: Arc<Publisher>) -> Arc<Reporter> {
        let (send, receive) = std::sync::mpsc::sync_channel::<Arc<Reporter>>(1);
        let (say_running, running) = std::sync::mpsc::sync_channel(1);
        let started = thread::spawn("lastwords", move || {
            let _ = say_running.send(());
            if let Ok(reporter) = receive.recv() {
                reporter.work(&publisher);
            }
        });
        if let Err(error) = &started {
            warn(&format!("cannot start a thread ({error}): panics report themselves"));
        }
        let thread = started.ok();
        let reporter = Arc::new(Reporter {
            thread,
            generation: process_generation(),
            rounds: AtomicU32::new(0),
            last: AtomicU32::new(last::NOT_YET),
            in_child: OnceLock::new(),
        });
        let _ = send.send(Arc::clone(&reporter));
        // What a thread needs to begin (a signal stack of its own) it must get before the program
        // limits its memory.
        let _ = running.recv_timeout(LONGEST_START);
        reporter
    }

    /// The reporter of this process: this one, or in a forked child one that is started now.
    fn here(&self, publisher: &Arc<Publisher>) -> &Reporter {
        let mut reporter = self;
        while reporter.generation != process_generation() {
            let start = || Reporter::start(Arc::clone(publisher));
            reporter = reporter.in_child.get_or_init(start);
        }
        reporter
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }

    /// Reports panics as they come, for ever.
    fn work(&self, publisher: &Publisher) {
        if let Some(region) = publisher.recording().existing_region() {
            region.prefault();
        }
        publisher.begin_side_work();
        loop {
            let round = catch_unwind(AssertUnwindSafe(|| {
                if let Some(region) = publisher.recording().existing_region() {
                    publisher.publish_pending(region);
                }
                publisher.correct_settled();
            }));
            if round.is_err() {
                warn("a mistake in lastwords has cost a report; please report it");
            }
            if self.last.load(Ordering::Acquire) == last::WANTED {
                publisher.delivery().finish();
                self.last.store(last::DONE, Ordering::Release);
            }
            // Last: whoever waits may end the process.
            self.rounds.fetch_add(1, Ordering::Release);
            wait::wake_all(&self.rounds);
            match publisher.next_correction() {
                Some(time) => std::thread::park_timeout(time),
                None => std::thread::park(),
            }
        }
    }

    /// Has everything sent that can be, and waits for that: the process aborts next. The thread that
    /// panics may hold the allocator, so it does no more than to ask.
    fn send_before_abort(&self, publisher: &Publisher) {
        if self.thread.is_none() {
            return publisher.delivery().finish();
        }
        self.last.store(last::WANTED, Ordering::Release);
        self.wake();
        let longest = LONGEST_WAIT + publisher.settings().flush;
        self.wait_at_most(longest, || self.last.load(Ordering::Acquire) == last::DONE);
    }

    /// Sleeps until `done` says so, looking after each round, for at most [`LONGEST_WAIT`].
    fn wait_until(&self, done: impl Fn() -> bool) {
        self.wait_at_most(LONGEST_WAIT, done);
    }

    fn wait_at_most(&self, longest: Duration, done: impl Fn() -> bool) {
        let begun = Instant::now();
        loop {
            let round = self.rounds.load(Ordering::Acquire);
            let left = longest.saturating_sub(begun.elapsed());
            if done() || left.is_zero() {
                return;
            }
            // What is waited for may be true before the round is over.
            wait::wait(&self.rounds, round, left.min(POLL));
        }
    }

    /// Waits until no panic of `region` is left to report. For a process that is about to exit.
    pub(super) fn finish(&self, publisher: &Arc<Publisher>, region: &Region) {
        // A program's own code that exits from within this thread must not wait for it.
        if hook::is_own_thread() || !region.has_pending_panics() {
            return;
        }
        let reporter = self.here(publisher);
        if reporter.thread.is_none() {
            return publisher.publish_pending(region);
        }
        // A thread may be in the hook, between its slot and waking this one.
        let begun = Instant::now();
        let mut complete_since = None;
        while region.has_pending_panics() && begun.elapsed() < LONGEST_WAIT {
            let round = reporter.rounds.load(Ordering::Acquire);
            if region.has_incomplete_panics() {
                complete_since = None;
            } else if round.wrapping_sub(*complete_since.get_or_insert(round)) >= 2 {
                // The first round since may have begun before the last panic was complete; after
                // the second, what is pending cannot be reported.
                return;
            }
            reporter.wake();
            wait::wait(&reporter.rounds, round, POLL);
        }
    }
}

/// The sink of the installed recorder: panics are handed to the reporter.
pub(super) fn sink(
    publisher: &Arc<Publisher>,
    reporter: &Arc<Reporter>,
    ledger: Option<Arc<Region>>,
) -> Sink {
    let recording = Arc::clone(publisher.recording());
    let (publisher, reporter) = (Arc::clone(publisher), Arc::clone(reporter));
    Sink { recording, carrier: Box::new(HandOver { publisher, reporter }), ledger }
}

/// Hands panics to the reporter's thread.
struct HandOver {
    publisher: Arc<Publisher>,
    reporter: Arc<Reporter>,
}

impl HandOver {
    fn wait_until(&self, region: &Region, done: impl Fn() -> bool) {
        let reporter = self.reporter.here(&self.publisher);
        if reporter.thread.is_some() {
            reporter.wake();
            reporter.wait_until(done);
        } else {
            self.publisher.publish_pending(region);
        }
    }
}

impl Carrier for HandOver {
    fn publish(&self, region: &Region, number: u64) {
        self.wait_until(region, || !region.is_pending_panic(number));
    }

    fn after_hooks(&self, aborts: bool) {
        let reporter = self.reporter.here(&self.publisher);
        if aborts {
            reporter.send_before_abort(&self.publisher);
        } else if self.publisher.has_ambient() {
            // The hook of a `sentry` client has run after ours.
            reporter.wake();
        }
    }

    fn make_room(&self, region: &Region) {
        self.wait_until(region, || region.has_usable_slot());
    }
}

/// The sink of a recorder without a thread of its own: panics report themselves.
pub(super) fn inline_sink(publisher: &Arc<Publisher>) -> Sink {
    let recording = Arc::clone(publisher.recording());
    Sink { recording, carrier: Box::new(Inline(Arc::clone(publisher))), ledger: None }
}

/// Reports panics on the thread that panics.
struct Inline(Arc<Publisher>);

impl Carrier for Inline {
    fn publish(&self, region: &Region, _number: u64) {
        self.0.publish_pending(region);
    }

    fn after_hooks(&self, _aborts: bool) {}

    fn make_room(&self, region: &Region) {
        self.0.publish_pending(region);
    }
}

/// Sleeping on a number without allocating and without a lock.
#[cfg(target_os = "linux")]
mod wait {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use rustix::thread::futex::{self, Flags};

    /// Sleeps while `number` is `value`, for at most `longest`.
    pub(super) fn wait(number: &AtomicU32, value: u32, longest: Duration) {
        let timeout = futex::Timespec::try_from(longest).ok();
        // Woken, interrupted, timed out or too late: the caller looks again.
        let _ = futex::wait(number, Flags::PRIVATE, value, timeout.as_ref());
    }

    pub(super) fn wake_all(number: &AtomicU32) {
        let _ = futex::wake(number, Flags::PRIVATE, i32::MAX as u32);
    }
}

#[cfg(not(target_os = "linux"))]
mod wait {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    pub(super) fn wait(number: &AtomicU32, value: u32, longest: Duration) {
        if number.load(Ordering::Acquire) == value {
            std::thread::sleep(longest.min(Duration::from_micros(500)));
        }
    }

    pub(super) fn wake_all(_number: &AtomicU32) {}
}
