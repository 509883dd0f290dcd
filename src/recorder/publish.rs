//! From panics in the region to reports in the spool.
//!
//! **Guarantee:** each death is one report, under the id its first panic had before it happened;
//! what is learned later replaces the report under the same id. A panic is marked as reported only
//! after its report is in `waiting/`. **Lost:** a report that cannot be written stays a panic in
//! the region, which a later sweep can report; the warning says so, once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use sentry::protocol::Event;
use sentry::types::Uuid;

use super::global::warn;
use super::state_dir;
use crate::config::Settings;
use crate::deliver::{Spool, SpoolError};
use crate::detect::{Crash, Family, OwnCrates, Severity, families, hook, learn_from_install};
use crate::record::{Identity, Recording, Region, Select, Snapshot};
use crate::report::{self, ProcessInfo, Report, Scene, Usage};

/// How many reports are kept to be corrected.
const MOST_HELD: usize = 16;
/// When a panic of the main thread has not ended the process, it was caught.
pub(super) const SETTLED: Duration = Duration::from_secs(1);
/// How long a turn at making reports is waited for.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// Frames of the call of `install` that are looked at.
const INSTALL_FRAMES: usize = 32;

/// Where reports go.
pub(super) enum Sink {
    /// Files.
    Spool(Spool),
    /// A recorder without globals.
    Memory(Mutex<Vec<Event<'static>>>),
    /// No directory works.
    Nothing,
}

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
    working: Mutex<Held>,
    /// Numbers of panics that need no more waiting for, by their last digits.
    done: [AtomicU64; 16],
    warned: AtomicBool,
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
            working: Mutex::default(),
            done: Default::default(),
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
        match &self.sink {
            Sink::Memory(events) => events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Spool(_) | Sink::Nothing => Vec::new(),
        }
    }

    /// Whether panic `number` needs no more waiting for: it is reported, or cannot be.
    pub(super) fn is_done(&self, number: u64) -> bool {
        self.done[number as usize % self.done.len()].load(Ordering::Acquire) >= number
    }

    /// Waits for whoever makes reports now, but not for ever: in a forked child it may be a thread
    /// that only the parent has.
    fn begin_work(&self) -> Option<MutexGuard<'_, Held>> {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_TURN {
            match self.working.try_lock() {
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
            if members.iter().any(|panic| !panic.reported && panic.complete) {
                self.publish(region, &family, &mut held);
            }
        }
    }

    /// Reports one death.
    fn publish(&self, region: &Region, family: &Family<'_>, held: &mut Held) {
        // Before symbolication, which may take more than the program ever did.
        let usage = Usage::of_this_process();
        let until = family.first().boot_nanos;
        let select = Select { most: self.settings.breadcrumbs, until };
        let Ok(snapshot) = Snapshot::of_region(region, select) else { return };
        let crash = family.crash(&self.own_crates(&snapshot));
        // A destructor's panic was a death of its own until the runtime said what it was.
        for member in &family.members[1..] {
            self.withdraw(Uuid::from_bytes(member.event_id));
        }
        let scene = self.scene(crash, snapshot, usage, region);
        let outcome = self.write(&report::build(&scene));
        for panic in &family.members {
            if outcome.is_ok() && panic.complete {
                region.mark_reported(panic.number);
            }
            let slot = &self.done[panic.number as usize % self.done.len()];
            slot.fetch_max(panic.number, Ordering::Release);
        }
        if let Err(error) = outcome {
            self.warn_once(&error, "a report is not kept");
        }
        held.keep(scene, family);
    }

    /// Writes a report, in place of an earlier one of the same id.
    fn write(&self, report: &Report) -> Result<(), SpoolError> {
        match &self.sink {
            Sink::Spool(spool) => {
                let (id, bytes) = (report.event_id(), report.to_envelope_bytes());
                spool
                    .publish(id, &bytes)
                    .map(drop)
                    .or_else(|error| self.write_elsewhere(id, &bytes, error))
            }
            Sink::Memory(events) => {
                let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                events.retain(|event| event.event_id != report.event_id());
                events.push(report.event().clone());
                Ok(())
            }
            Sink::Nothing => Ok(()),
        }
    }

    /// Writes a report that its spool refused (the program has given up the rights to write there,
    /// the disk is full) to the first other directory that takes it.
    fn write_elsewhere(&self, id: Uuid, bytes: &[u8], error: SpoolError) -> Result<(), SpoolError> {
        let Sink::Spool(spool) = &self.sink else { return Err(error) };
        if matches!(error, SpoolError::KeepsNothing) {
            return Err(error);
        }
        for other in state_dir::other_spools(spool.dir(), self.settings.spool_limit) {
            if other.publish(id, bytes).is_ok() {
                let kept = format!("a report is kept in {} instead", other.dir().display());
                self.warn_once(&error, &kept);
                return Ok(());
            }
        }
        Err(error)
    }

    fn withdraw(&self, id: Uuid) {
        match &self.sink {
            Sink::Spool(spool) => drop(spool.withdraw(id)),
            Sink::Memory(events) => {
                let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                events.retain(|event| event.event_id != id);
            }
            Sink::Nothing => {}
        }
    }

    fn warn_once(&self, error: &SpoolError, consequence: &str) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let cause = std::error::Error::source(error).map_or(String::new(), |e| format!(": {e}"));
        warn(&format!("{error}{cause}; {consequence}"));
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
        let waiting = held.0.iter().filter(|held| held.scene.crash.severity == Severity::Fatal);
        waiting.map(|held| SETTLED.saturating_sub(held.since.elapsed())).min()
    }

    /// Corrects the reports of the main thread's panics that have not ended the process within
    /// [`SETTLED`]: they were caught.
    pub(super) fn correct_settled(&self) {
        self.correct(|held| (held.since.elapsed() >= SETTLED).then_some(Severity::Error));
    }

    /// Corrects what the end of the process tells: with exit status 101 the main thread's last
    /// panic was what ended it, otherwise it was caught.
    pub(super) fn correct_at_exit(&self, status: i32) {
        let Some(held) = self.begin_work() else { return };
        let last = held.0.last().map(|held| held.scene.crash.event_id);
        drop(held);
        self.correct(|held| {
            let ended_it = status == 101 && Some(held.scene.crash.event_id) == last;
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
            if self.still_waits(held.scene.crash.event_id) {
                let outcome = self.write(&report::build(&held.scene));
                outcome.unwrap_or_else(|error| {
                    self.warn_once(&error, "a report is not corrected");
                });
            }
        }
    }

    fn still_waits(&self, id: Uuid) -> bool {
        match &self.sink {
            Sink::Spool(spool) => spool.is_waiting(id),
            Sink::Memory(_) => true,
            Sink::Nothing => false,
        }
    }
}

impl Held {
    /// Keeps the report of a main thread's panic that something may still catch.
    fn keep(&mut self, scene: Scene, family: &Family<'_>) {
        self.0.retain(|held| held.scene.crash.event_id != scene.crash.event_id);
        let may_be_caught = family.first().main && !family.members.iter().any(|p| p.aborts);
        if may_be_caught {
            if self.0.len() == MOST_HELD {
                self.0.remove(0);
            }
            self.0.push(HeldReport { scene, since: Instant::now() });
        }
    }
}
