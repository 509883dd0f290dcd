//! From panics in the region to reports in the spool.
//!
//! **Guarantee:** each death is one report, under the id its first panic had before it happened;
//! what is learned later replaces the report under the same id. A panic is marked as reported only
//! after its report is in `waiting/`. **Lost:** of a report that no directory takes, what the region
//! holds is left; the warning says so, once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use sentry::protocol::Event;
use sentry::types::Uuid;

use super::global::warn;
use super::sink::Sink;
use crate::config::Settings;
use crate::detect::{
    Crash, CrashedThread, Family, OwnCrates, Severity, families, hook, learn_from_install,
};
use crate::record::{
    Identity, PanicRecord, Recording, Region, Select, Snapshot, process_generation,
};
use crate::report::{self, ProcessInfo, Report, Scene, Usage};

/// How many reports are kept to be corrected.
const MOST_HELD: usize = 16;
/// When a panic of the main thread has not ended the process, it was caught.
pub(super) const SETTLED: Duration = Duration::from_secs(1);
/// How long a turn at making reports is waited for.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// The exit status of a program whose `main` panicked, from the standard library's runtime.
const PANICKED: i32 = 101;
/// Frames of the call of `install` that are looked at.
const INSTALL_FRAMES: usize = 32;

/// Makes reports of a recording's panics.
pub(super) struct Publisher {
    settings: Settings,
    identity: Identity,
    recording: Arc<Recording>,
    sink: Sink,
    /// The stack of the call that made this publisher: it tells whose code the program's is.
    made_at: Vec<u64>,
    learned: OnceLock<OwnCrates>,
    /// Taken by whoever makes reports; never by a thread that only panics.
    working: Working,
    warned: AtomicBool,
}

/// The turn at making reports in one process. A forked child has a turn of its own: its parent's
/// may be held by a thread that the child does not have, and what the parent reported is the
/// parent's to correct.
struct Working {
    generation: u32,
    held: Mutex<Held>,
    in_child: OnceLock<Box<Working>>,
}

impl Working {
    fn of_this_process() -> Working {
        Working {
            generation: process_generation(),
            held: Mutex::default(),
            in_child: OnceLock::new(),
        }
    }

    fn here(&self) -> &Mutex<Held> {
        let mut working = self;
        while working.generation != process_generation() {
            let in_child = || Box::new(Working::of_this_process());
            working = working.in_child.get_or_init(in_child);
        }
        &working.held
    }
}

/// Reports that may still be corrected.
#[derive(Default)]
struct Held(Vec<HeldReport>);

struct HeldReport {
    scene: Scene,
    since: Instant,
}

impl Publisher {
    pub(super) fn new(
        settings: Settings,
        identity: Identity,
        recording: Arc<Recording>,
        sink: Sink,
    ) -> Publisher {
        let mut made_at = Vec::with_capacity(INSTALL_FRAMES);
        hook::walk(|address| {
            made_at.push(address);
            made_at.len() < INSTALL_FRAMES
        });
        Publisher {
            settings,
            identity,
            recording,
            sink,
            made_at,
            learned: OnceLock::new(),
            working: Working::of_this_process(),
            warned: AtomicBool::new(false),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// The events of a recorder in memory.
    pub(super) fn events(&self) -> Vec<Event<'static>> {
        self.sink.events()
    }

    /// Waits for whoever makes reports now, but not for ever: it may wait for what this thread
    /// holds.
    fn begin_work(&self) -> Option<MutexGuard<'_, Held>> {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_TURN {
            match self.working.here().try_lock() {
                Ok(held) => return Some(held),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        None
    }

    /// Reports every panic of `region` that is complete and not yet reported.
    pub(super) fn publish_pending(&self, region: &Region) {
        let Some(mut held) = self.begin_work() else { return };
        let Ok(panics) = Snapshot::panics_of_region(region) else { return };
        for family in families(&panics) {
            let members = &family.members;
            let waits = |panic: &&PanicRecord| panic.complete && !panic.reported && !panic.unkept;
            if members.iter().any(waits) {
                self.publish(region, &family, &mut held);
            }
        }
    }

    /// Reports one death.
    fn publish(&self, region: &Region, family: &Family<'_>, held: &mut Held) {
        // Before symbolication, which may take more than the program ever did.
        let usage = Usage::of_this_process();
        let until = family.first().boot_nanos;
        let select = Select { until, ..Select::newest(self.settings.breadcrumbs) };
        let Ok(snapshot) = Snapshot::of_region(region, select) else { return };
        let crash = family.crash(&self.own_crates(&snapshot));
        // A destructor's panic was a death of its own until the runtime said what it was.
        for member in &family.members[1..] {
            self.sink.withdraw(Uuid::from_bytes(member.event_id));
        }
        let scene = self.scene(crash, snapshot, usage, region);
        let is_kept = self.write(&report::build(&scene));
        for panic in family.members.iter().filter(|panic| panic.complete) {
            region.settle_panic(panic.number, is_kept);
        }
        // Nobody waits for this.
        self.sink.prune(scene.crash.event_id);
        if let Some(mut survived) = held.keep(scene, family) {
            // The process went on after it, for as many panics as are held.
            survived.crash.severity = Severity::Error;
            if self.sink.still_waits(survived.crash.event_id) {
                self.write(&report::build(&survived));
            }
        }
    }

    /// Writes a report, and says it if that is not as it should be; whether it is kept. The word is
    /// said before anybody stops waiting for the report: who waits may end the process.
    fn write(&self, report: &Report) -> bool {
        let Err(trouble) = self.sink.write(report) else { return true };
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn(&trouble.to_string());
        }
        trouble.is_kept()
    }

    /// Everything a report is made of.
    fn scene(&self, crash: Crash, snapshot: Snapshot, usage: Usage, region: &Region) -> Scene {
        let Identity { pid, executable, server_name, started_millis, .. } = snapshot.identity;
        let mut tags = self.settings.tags.clone();
        tags.extend(snapshot.tags);
        Scene {
            crash,
            breadcrumbs: snapshot.breadcrumbs,
            breadcrumb_limit: self.settings.breadcrumbs,
            losses: snapshot.losses,
            tags,
            release: self.settings.release.clone(),
            environment: self.settings.environment.clone(),
            process: ProcessInfo {
                pid,
                started: u64::try_from(started_millis)
                    .ok()
                    .map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
                executable: executable.or_else(|| self.identity.executable.clone()),
                server_name: server_name.or_else(|| self.identity.server_name.clone()),
                usage,
                ending: None,
            },
            durable: region.path().is_some(),
        }
    }

    /// Which crates are the program's own, by all that is known now.
    fn own_crates(&self, snapshot: &Snapshot) -> OwnCrates {
        let learned = self.learned.get_or_init(|| {
            let mut own = OwnCrates::default();
            learn_from_install(&self.made_at, &mut own);
            own
        });
        let mut own = learned.clone();
        for (module, file) in &snapshot.modules {
            own.learn(module, file);
        }
        own
    }

    /// How long until a report is to be corrected, if there is one.
    pub(super) fn next_correction(&self) -> Option<Duration> {
        let held = self.begin_work()?;
        let waiting = held.0.iter().filter(|held| held.is_to_settle());
        waiting.map(|held| SETTLED.saturating_sub(held.since.elapsed())).min()
    }

    /// Corrects the reports of the main thread's panics that have not ended the process within
    /// [`SETTLED`]: they were caught.
    pub(super) fn correct_settled(&self) {
        self.correct(|held| {
            (held.is_to_settle() && held.since.elapsed() >= SETTLED).then_some(Severity::Error)
        });
    }

    /// Corrects what the end of the process tells. With exit status 101 the main thread's last panic
    /// was what ended it; a thread that exits while it panics (in a hook that was set around ours,
    /// or in a destructor) ends the process for its last panic. Any other was caught, or took its
    /// thread alone.
    pub(super) fn correct_at_exit(&self, status: i32) {
        let Some(held) = self.begin_work() else { return };
        let last_of = |is_it: &dyn Fn(&CrashedThread) -> bool| {
            let thread = |held: &&HeldReport| held.scene.crash.thread.as_ref().is_some_and(is_it);
            held.0.iter().rev().find(thread).map(|held| held.scene.crash.event_id)
        };
        let amid_panic = std::thread::panicking().then(crate::record::thread_id);
        let ended_it = match amid_panic {
            Some(id) => last_of(&|thread| thread.id == Some(id)),
            None if status == PANICKED => last_of(&|thread| thread.main),
            None => None,
        };
        drop(held);
        self.correct(|held| {
            let ended_it = Some(held.scene.crash.event_id) == ended_it;
            Some(if ended_it { Severity::Fatal } else { Severity::Error })
        });
    }

    /// Writes again each held report of which `severity` says another one, while it still waits.
    fn correct(&self, severity: impl Fn(&HeldReport) -> Option<Severity>) {
        let Some(mut held) = self.begin_work() else { return };
        for held in &mut held.0 {
            let Some(right) = severity(held) else { continue };
            if right == held.scene.crash.severity {
                continue;
            }
            held.scene.crash.severity = right;
            if self.sink.still_waits(held.scene.crash.event_id) {
                self.write(&report::build(&held.scene));
            }
        }
    }
}

impl HeldReport {
    /// Whether it says that the process dies of it, which the next second may refute.
    fn is_to_settle(&self) -> bool {
        self.scene.crash.severity == Severity::Fatal
    }
}

impl Held {
    /// Keeps the report of a panic that something may still catch, or that may still turn out to be
    /// the end of the process.
    ///
    /// The oldest makes room; it is given back if it says that the process died of it.
    fn keep(&mut self, scene: Scene, family: &Family<'_>) -> Option<Scene> {
        self.0.retain(|held| held.scene.crash.event_id != scene.crash.event_id);
        if family.members.iter().any(|panic| panic.aborts) {
            return None;
        }
        let oldest = (self.0.len() == MOST_HELD).then(|| self.0.remove(0));
        self.0.push(HeldReport { scene, since: Instant::now() });
        oldest.filter(HeldReport::is_to_settle).map(|held| held.scene)
    }
}
