//! From panics in the region to reports in the spool.
//!
//! **Guarantee:** each death is one report, under the id its first panic had before it happened;
//! what is learned later replaces the report under the same id. What was sent by then stays, and a
//! death that turns out to be behind it is a report of its own. A panic is marked as reported only
//! after its report is in `waiting/`. A report is given to the sender once it cannot change any more:
//! after [`SETTLED`], or when the process ends. (A main thread that unwinds for longer than that is
//! taken for one that caught its panic: level `error`, should it be sent before the end.) **Lost:** of a report that no directory takes, what the region
//! holds is left; the warning says so, once.

mod client;
mod held;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use sentry::protocol::Event;
use sentry::types::Uuid;

use held::{Held, HeldReport, Working};

use super::checksum::Checksum;
use super::delivery::Delivery;
use super::global::warn;
use super::seal::{Address, BeforeSend, Seal};
use super::sink::{Earlier, Sink};
#[cfg(target_os = "linux")]
use super::sweep::{self, Means, Sweeping, Which};
use super::{tags_file, thread};
use crate::config::Settings;
use crate::deliver::Claim;
use crate::detect::oom::MemoryCgroup;
use crate::detect::{
    Crash, CrashedThread, Family, OwnCrates, Severity, families, hook, learn_from_install,
};
use crate::record::{Identity, MemoryAtStart, PanicRecord, Recording, Region, Select, Snapshot};
use crate::report::{self, Ambient, ProcessInfo, Report, Scene, Usage};

/// When a panic of the main thread has not ended the process, it was caught.
pub(super) const SETTLED: Duration = Duration::from_secs(1);
/// How long a turn at making reports is waited for.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// The same for a thread of our own, which takes turns with nobody but threads that exit.
const OWN_TURN: Duration = Duration::from_millis(500);
/// The exit status of a program whose `main` panicked, from the standard library's runtime.
const PANICKED: i32 = 101;

/// How long a process has run when its start is over.
const START: Duration = Duration::from_secs(1);

/// Whether the limits of the program leave room for what may never be needed.
fn has_room() -> bool {
    #[cfg(target_os = "linux")]
    return crate::detect::outside::room::is_enough();
    #[cfg(not(target_os = "linux"))]
    true
}

/// Notes the counters by which a sweep tells the OOM killer from other kills.
fn note_memory(region: &Region) {
    let Some(cgroup) = MemoryCgroup::of_this_process() else { return };
    let Some(oom_kills) = cgroup.oom_kills() else { return };
    let Ok(cgroup) = serde_json::to_value(cgroup) else { return };
    let memory = MemoryAtStart { cgroup, oom_kills };
    region.change_identity(|identity| identity.memory = Some(memory));
}

/// Makes reports of a recording's panics.
pub(super) struct Publisher {
    settings: Settings,
    identity: Identity,
    recording: Arc<Recording>,
    sink: Sink,
    seal: Seal,
    delivery: Arc<Delivery>,
    checksum: Arc<Checksum>,
    /// What a `sentry` client knew of panics that are not reported yet, each with its thread.
    ambient: Mutex<Vec<(u64, Instant, Ambient)>>,
    /// Whether there is such a client.
    beside_sentry: AtomicBool,
    /// The sweep of what earlier processes left.
    #[cfg(target_os = "linux")]
    sweeping: OnceLock<Sweeping>,
    learned: OnceLock<OwnCrates>,
    /// Taken by whoever makes reports; never by a thread that only panics.
    working: Working,
    warned: AtomicBool,
}

impl Publisher {
    pub(super) fn new(
        settings: Settings,
        identity: Identity,
        recording: Arc<Recording>,
        sink: Sink,
        outward: Outward,
    ) -> Publisher {
        let Outward { delivery, before_send } = outward;
        let seal =
            Seal::new(&settings.scrub_keys, before_send, Address::Here(Arc::clone(&delivery)));
        Publisher {
            settings,
            identity,
            recording,
            sink,
            seal,
            delivery,
            checksum: Arc::new(Checksum::of_this_process()),
            ambient: Mutex::default(),
            beside_sentry: AtomicBool::new(false),
            #[cfg(target_os = "linux")]
            sweeping: OnceLock::new(),
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

    /// Who sends the reports.
    pub(super) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// Begins what neither the start nor a panic is to wait for, in a thread that touches none of the
    /// program's descriptors: the counters by which a sweep tells the OOM killer from other kills are
    /// noted at once, what a report will need is prepared once the start is over.
    pub(super) fn begin_side_work(&self) {
        let recording = Arc::clone(&self.recording);
        let (checksum, scrubber) = (Arc::clone(&self.checksum), self.seal.scrubber());
        let work = move || {
            recording.existing_region().map(note_memory);
            std::thread::sleep(START);
            if has_room() {
                scrubber.prepare();
                checksum.prepare();
            }
        };
        // Without a thread the rest is done when it is needed.
        if thread::spawn_apart("lastwords-idle", work).is_err() {
            self.recording.existing_region().map(note_memory);
        }
    }

    /// Elsewhere no process leaves anything.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn sweep(&self) {}

    /// Elsewhere no process leaves anything.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn wait_for_sweep(&self) {}

    /// Begins to report what earlier processes of this program left, beside everything else.
    #[cfg(target_os = "linux")]
    pub(super) fn sweep(&self) {
        let Some(dir) = self.sink.spool().map(|spool| spool.dir().to_owned()) else { return };
        let Some(program) = self.identity.executable.clone() else { return };
        let region = self.recording.existing_region();
        let own = region.and_then(Region::path).map(Path::to_owned);
        let means = Means {
            limit: self.settings.spool_limit,
            scrub_keys: self.settings.scrub_keys.clone(),
            delivery: Arc::clone(&self.delivery),
            before_send: self.seal.before_send(),
        };
        if let Some(sweeping) = sweep::begin(&dir, own.as_deref(), Which::Of(program), means) {
            let _ = self.sweeping.set(sweeping);
        }
    }

    /// Waits for that, for a bounded time.
    #[cfg(target_os = "linux")]
    pub(super) fn wait_for_sweep(&self) {
        if let Some(sweeping) = self.sweeping.get() {
            sweeping.wait(self.settings.flush);
        }
    }

    /// The events of a recorder in memory.
    pub(super) fn events(&self) -> Vec<Event<'static>> {
        self.sink.events()
    }

    /// Waits for whoever makes reports now, but not for ever: it may wait for what this thread
    /// holds.
    fn begin_work(&self) -> Option<MutexGuard<'_, Held>> {
        // A program's own code that runs within a turn may get here again, as by exiting.
        let longest = if hook::is_own_thread() { OWN_TURN } else { LONGEST_TURN };
        let begun = Instant::now();
        while begun.elapsed() < longest {
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
        let mut crash = family.crash(&self.own_crates(&snapshot));
        let first = crash.event_id;
        let _claim;
        (crash.event_id, _claim) = self.id_to_report(family);
        // A destructor's panic was a death of its own until the runtime said what it was.
        let members = family.members[1..].iter().map(|panic| Uuid::from_bytes(panic.event_id));
        for id in members.filter(|id| *id != crash.event_id) {
            self.delivery.withdraw(id);
            self.sink.withdraw(id);
        }
        let mut scene = self.scene(crash, snapshot, usage, region);
        let thread = scene.crash.thread.as_ref().and_then(|thread| thread.id);
        let ambient = self.take_ambient(thread).or_else(|| held.ambient_of(first));
        let has_ambient = ambient.is_some();
        scene.ambient = ambient.unwrap_or_default();
        let is_kept = self.write(report::build(&scene));
        for panic in family.members.iter().filter(|panic| panic.complete) {
            region.settle_panic(panic.number, is_kept);
        }
        // Nobody waits for this.
        self.sink.prune(scene.crash.event_id);
        let Some(mut oldest) = held.keep(scene, has_ambient, family) else { return };
        if oldest.is_to_settle() {
            // The process went on after it, for as many panics as are held.
            oldest.scene.crash.severity = Severity::Error;
            self.rewrite(&oldest.scene);
        }
        self.delivery.release(oldest.scene.crash.event_id);
    }

    /// The id to report a family of panics under, and the right to replace the report that waits under it.
    ///
    /// What was sent, or is just being sent, is not corrected any more: a death that turns out to be behind
    /// it is a report of its own, whole, under the id of the panic that tells of it.
    fn id_to_report(&self, family: &Family<'_>) -> (Uuid, Option<Claim>) {
        let (reported, new): (Vec<&PanicRecord>, Vec<&PanicRecord>) =
            family.members.iter().partition(|panic| panic.reported);
        for id in reported.iter().map(|panic| Uuid::from_bytes(panic.event_id)) {
            match self.sink.earlier(id) {
                Earlier::Waits(claim) => return (id, Some(claim)),
                Earlier::Elsewhere if !self.delivery.has_sent(id) => return (id, None),
                Earlier::Elsewhere | Earlier::Left => {}
            }
        }
        let tells = new.first().copied().unwrap_or(family.first());
        (Uuid::from_bytes(tells.event_id), None)
    }

    /// Reports something that is no death: what the program captured itself.
    pub(super) fn capture(&self, crash: Crash, change: impl FnOnce(&mut Event<'static>)) -> Uuid {
        let id = crash.event_id;
        let Some(region) = self.recording.region() else { return id };
        let select = Select::newest(self.settings.breadcrumbs);
        let Ok(snapshot) = Snapshot::of_region(region, select) else { return id };
        let mut scene = self.scene(crash, snapshot, Usage::of_this_process(), region);
        if self.beside_sentry.load(Ordering::Relaxed) {
            scene.ambient = Ambient::of_this_thread();
        }
        let mut report = report::build(&scene);
        report.edit(change);
        self.write(report);
        self.sink.prune(id);
        self.delivery.is_alone_with(id);
        self.delivery.release(id);
        id
    }

    /// Writes a report, and says it if that is not as it should be; whether it is kept, or nobody
    /// wants it. The word is said before anybody stops waiting for the report: who waits may end the
    /// process.
    fn write(&self, report: Report) -> bool {
        let id = report.event_id();
        let Some(sealed) = self.seal.report(report) else {
            self.refused(id);
            return true;
        };
        match self.sink.write(&sealed) {
            Ok(spool) => {
                self.delivery.published(&sealed, spool);
                true
            }
            Err(trouble) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    warn(&trouble.to_string());
                }
                self.delivery.published(&sealed, trouble.kept_in());
                trouble.is_kept()
            }
        }
    }

    /// The program refuses a report, and an earlier version of it with it.
    fn refused(&self, id: Uuid) {
        self.delivery.withdraw(id);
        self.sink.withdraw(id);
        self.sink.count_refused(self.delivery.dsn().as_ref());
    }

    /// Writes a report again that still waits.
    fn rewrite(&self, scene: &Scene) {
        let Some(sealed) = self.seal.report(report::build(scene)) else {
            return self.refused(scene.crash.event_id);
        };
        if !self.sink.replace(&sealed) {
            self.delivery.replace_in_memory(&sealed);
        }
    }

    /// Everything a report is made of.
    fn scene(&self, crash: Crash, snapshot: Snapshot, usage: Usage, region: &Region) -> Scene {
        let Identity { pid, executable, server_name, started_millis, .. } = snapshot.identity;
        let mut tags = self.settings.tags.clone();
        tags.extend(tags_file::from_environment());
        tags.extend(snapshot.tags);
        self.seal.scene(Scene {
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
                found: None,
                executable_sha256: self.checksum.get(),
                cgroup: None,
            },
            durable: region.path().is_some(),
            ambient: Ambient::default(),
        })
    }

    /// Which crates are the program's own, by all that is known now.
    fn own_crates(&self, snapshot: &Snapshot) -> OwnCrates {
        let mut own = self.learned.get().cloned().unwrap_or_else(|| {
            let mut own = OwnCrates::default();
            learn_from_install(&self.identity.install_stack, &mut own);
            // Not `get_or_init`: a child that is forked meanwhile would wait for ever.
            let _ = self.learned.set(own.clone());
            own
        });
        for (module, file) in &snapshot.modules {
            own.learn(module, file);
        }
        own
    }

    /// How long until a report is settled, if there is one that is not.
    pub(super) fn next_correction(&self) -> Option<Duration> {
        let Some(held) = self.begin_work() else { return Some(SETTLED) };
        let waiting = held.0.iter().filter(|held| !held.released);
        waiting.map(|held| SETTLED.saturating_sub(held.since.elapsed())).min()
    }

    /// Corrects the reports of the main thread's panics that have not ended the process within
    /// [`SETTLED`]: they were caught. What is this old may be sent.
    pub(super) fn correct_settled(&self) {
        if let Some(mut held) = self.begin_work() {
            self.add_ambient(&mut held);
        }
        let is_due = |held: &HeldReport| held.since.elapsed() >= SETTLED;
        // First: should the process be killed now, a sweep must find in the region what the report says.
        if let (Some(held), Some(region)) = (self.begin_work(), self.recording.existing_region()) {
            let due = held.0.iter().filter(|held| !held.released && is_due(held));
            due.flat_map(|held| &held.panics).for_each(|number| region.outlive_panic(*number));
        }
        self.correct(|held| (held.is_to_settle() && is_due(held)).then_some(Severity::Error));
        let Some(mut held) = self.begin_work() else { return };
        for held in held.0.iter_mut().filter(|held| !held.released && is_due(held)) {
            held.released = true;
            self.delivery.release(held.scene.crash.event_id);
        }
    }

    /// Corrects what the end of the process tells. With exit status 101 the main thread's last panic
    /// was what ended it; a thread that exits while it panics (in a hook that was set around ours,
    /// or in a destructor) ends the process for its last panic. Any other was caught, or took its
    /// thread alone.
    pub(super) fn correct_at_exit(&self, status: i32) {
        if let Some(mut held) = self.begin_work() {
            self.add_ambient(&mut held);
        }
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
            self.rewrite(&held.scene);
        }
    }
}

/// How reports leave.
pub(super) struct Outward {
    pub(super) delivery: Arc<Delivery>,
    pub(super) before_send: Option<BeforeSend>,
}
