//! The monitor: it reads what its child prints, and reports how the child dies.
//!
//! **Guarantee:** whatever the child does, its end is noticed, and a crash is one event: by what it
//! printed, by its own panic hook, or by its exit status alone. The child's last lines are in a region
//! on disk before they are looked at, and a report is in the spool as soon as its crash has been read.
//! **Lost:** if the monitor is killed, what the child does afterwards; what it had read is in the
//! region. Crashes beyond [`MOST_REPORTS`] of one run. What was sent is not corrected: a death that turns
//! out, more than a second later, to be behind a panic that was sent is an event of its own.
//!
//! It runs on one thread, in [`supervise::run`]'s loop, and does nothing there that waits for
//! anybody: what it writes goes to files of its own, and what is sent is sent by threads that begin
//! with the first report. At the end of the run it waits for a silent server, at most
//! `LASTWORDS_FLUSH`.

mod below;
mod claims;
mod others;
mod reports;
mod tail;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sentry::types::Uuid;

use super::above;
use super::checksum::Checksum;
use super::delivery::Delivery;
use super::end_watch::EndWatch;
use super::global::{self, warn};
use super::seal::{Address, BeforeSend, Seal};
use super::sessions::{self, Run};
use super::sink::Sink;
use super::state_dir::{self, Opened};
use super::sweep::{self, Means, Sweeping, Which};
use super::{tags_file, thread};
use crate::config::{Flags, Settings};
use crate::detect::autopsy::{Known, Outcome};
use crate::detect::outside::{Images, room};
use crate::detect::stderr::{Found, Scanner};
use crate::detect::{Crash, Ending, Runtime};
use crate::record::{
    Identity, Region, Select, Snapshot, StderrWriter, random_id, remove_region, wall_millis,
};
use crate::report::{self, Ambient, Attachment, CgroupMemory, ProcessInfo, Scene, Usage};
use crate::supervise::{self, Ended, StartError, Watcher};
use below::Below;
use claims::{Claims, Upward};
use reports::{Held, Reports};
use tail::Tail;

/// How long the stream must be quiet before a report that is whole is taken for ended.
const QUIET: Duration = Duration::from_millis(500);

/// How many reports one run makes of what its child prints: a program that catches panics in a loop
/// must not fill the disk.
const MOST_REPORTS: u64 = 1000;

/// How long the child has run when its start is over.
const IDLE: Duration = Duration::from_secs(1);

/// How many bytes of a report are recorded: a dump of all goroutines must not push out the lines
/// before it.
const REPORT_IN_RING: usize = 64 * 1024;

/// How many crashes that are reported elsewhere are remembered.
const MOST_PRINTED: usize = 16;

/// The name of the attachment with the raw end of standard error.
const ATTACHMENT: &str = "stderr.txt";

/// Runs a command under a monitor and reports how it dies. `flags` are those that `settings` were
/// resolved with: a child that records itself resolves its own settings with them.
///
/// # Errors
/// [`StartError`] if the command could not be started. What the machine lacks for reports costs a
/// warning on standard error, not the start.
pub fn run(
    command: supervise::Command,
    settings: Settings,
    flags: &Flags,
) -> Result<Ended, StartError> {
    watch(command, settings, flags, None)
}

/// The same of this program itself, which runs once more as the command. `before_send` is its own.
#[cfg(target_os = "linux")]
pub(in crate::recorder) fn run_itself(
    command: supervise::Command,
    settings: Settings,
    flags: &Flags,
    before_send: Option<BeforeSend>,
) -> Result<Ended, StartError> {
    watch(command, settings, flags, before_send)
}

fn watch(
    mut command: supervise::Command,
    mut settings: Settings,
    flags: &Flags,
    before_send: Option<BeforeSend>,
) -> Result<Ended, StartError> {
    settings.tag_first_argument(command.arguments.first().map(OsString::as_os_str));
    // A program that runs itself once more sweeps for itself.
    let is_alone = command.files.is_empty();
    // And what is wrong with the machine it says itself.
    global::be_quiet(!is_alone);
    let mut monitor = Monitor::open(&command, settings, flags, before_send, is_alone);
    global::be_quiet(false);
    command.variables.extend(monitor.variables());
    command.keep.extend(monitor.region.descriptor());
    let region = Arc::clone(&monitor.region);
    command.born = Some(supervise::Born(Arc::new(move |pid| region.set_child_born(pid))));
    let outcome = supervise::run(&command, &mut monitor);
    match &outcome {
        Ok(ended) => monitor.end(ended),
        Err(_) => monitor.discard(),
    }
    outcome
}

/// Watches one child.
struct Monitor {
    region: Arc<Region>,
    sink: Sink,
    seal: Seal,
    delivery: Arc<Delivery>,
    checksum: Arc<Checksum>,
    /// When the checksum is to be worked out; `None` once it is.
    idle_at: Option<Instant>,
    tags_file: Option<PathBuf>,
    writer: StderrWriter,
    scanner: Scanner,
    tail: Tail,
    last_bytes: Instant,
    reports: Reports,
    /// Crashes that were printed and are reported by the process itself under its ids, each with the
    /// id that the scanner knows it by.
    printed_too: Vec<(Uuid, Crash)>,
    /// Ids that the scanner gave to crashes, and those that they are reported under instead.
    renamed: Vec<(Uuid, Uuid)>,
    claims: Claims,
    below: Below,
    /// When the ledger is looked at next, if a process below writes in it.
    look_at: Option<Instant>,
    upward: Upward,
    identity: Identity,
    made: u64,
    warned: bool,
    /// What the child died of, and the report about that.
    outcome: Outcome,
    end: Option<Uuid>,
    /// The minidump of that, and the report it goes with.
    dump: Option<(Uuid, Attachment)>,
    /// How long the end waits for a sweep.
    longest_wait: Duration,
    /// What the memory cgroup says of the end.
    cgroup: Option<CgroupMemory>,
    /// Bytes read since a report began.
    reading: usize,
    /// What dead processes are reported with, until that begins.
    sweep: Option<Means>,
    sweeping: Option<Sweeping>,
    memory: EndWatch,
    /// The files that the child's code is in.
    images: Images,
}

impl Monitor {
    fn open(
        command: &supervise::Command,
        settings: Settings,
        flags: &Flags,
        before_send: Option<BeforeSend>,
        is_alone: bool,
    ) -> Monitor {
        let upward = Upward::new(above::ledger());
        let identity = identity(command, &settings, flags);
        let Opened { region, spool, .. } = state_dir::open(&settings, &identity, None);
        // Its child's death is this process's to report.
        region.lock_report();
        super::builder::warn_of_mended(&settings);
        let delivery = Arc::new(Delivery::new(&settings, None));
        let limit = settings.spool_limit;
        let sink = spool.map_or(Sink::Nothing, |spool| Sink::Spool(spool, limit));
        Monitor {
            seal: Seal::new(
                &settings.scrub_keys,
                before_send,
                Address::Here(Arc::clone(&delivery)),
            ),
            sweep: is_alone.then(|| sweep_means(&settings, &delivery)),
            delivery,
            sweeping: None,
            memory: EndWatch::default(),
            images: images(command),
            checksum: Arc::new(Checksum::of_file(command.find())),
            idle_at: None,
            tags_file: region.path().and_then(|path| tags_file::create(path).ok()),
            tail: Tail::new(settings.stderr_tail),
            region: Arc::new(region),
            sink,
            writer: StderrWriter::default(),
            scanner: Scanner::new(),
            last_bytes: Instant::now(),
            reports: Reports::default(),
            printed_too: Vec::new(),
            renamed: Vec::new(),
            claims: Claims::default(),
            below: Below::default(),
            look_at: None,
            upward,
            identity,
            made: 0,
            warned: false,
            cgroup: None,
            outcome: Outcome::Ended,
            end: None,
            dump: None,
            longest_wait: settings.flush,
            reading: 0,
        }
    }

    /// What the child finds in its environment.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        let pid = std::process::id().to_string();
        // Without a region, too: a program that watches itself is to know that it is watched. And it is
        // not to find one of a monitor further up in its place.
        let path = self.region.path().unwrap_or(Path::new(""));
        let mut variables =
            vec![(above::REGION.into(), path.into()), (above::MONITOR.into(), pid.into())];
        if let Some(path) = &self.tags_file {
            variables.push((tags_file::VARIABLE.into(), path.into()));
        }
        variables
    }

    fn scan(&mut self, bytes: &[u8]) {
        let mut found = Vec::new();
        self.scanner.feed(bytes, SystemTime::now(), &mut |one| found.push(one));
        found.into_iter().for_each(|one| self.on_found(one));
    }

    /// A crash was read.
    fn on_found(&mut self, found: Found) {
        let Found { mut crash, bytes, takes_in, .. } = found;
        self.upward.note(&crash);
        self.claims.read(&self.region);
        self.follow_child();
        let scanned = crash.event_id;
        let earlier = self.printed_too.iter().position(|(id, _)| *id == scanned);
        if let Some(id) = earlier.map(|at| self.printed_too.remove(at).1.event_id) {
            // More became known of a crash that is reported elsewhere.
            self.claims.take(&crash);
            crash.event_id = id;
            self.printed_too.push((scanned, crash));
        } else if let Some(id) = self.claims.take(&crash) {
            crash.event_id = id;
            // The hook wrote its report before it let anything be printed.
            self.complete(id, None);
            self.printed_too.push((scanned, crash));
        } else {
            crash.event_id = self.id_to_report(&crash, &takes_in);
            self.withdraw(|part| {
                takes_in.contains(&part.event_id) && part.event_id != crash.event_id
            });
            self.report(crash, Some(bytes.0));
        }
        self.meet_below();
        let older = self.printed_too.len().saturating_sub(MOST_PRINTED);
        self.printed_too.drain(..older);
    }

    /// The id to report a crash under that the scanner has found: another one where its report was sent
    /// before all of it was read, for what was sent is not corrected any more.
    fn id_to_report(&mut self, crash: &Crash, takes_in: &[Uuid]) -> Uuid {
        let scanned = crash.event_id;
        let renamed = self.renamed.iter().rev().find(|(of, _)| *of == scanned);
        let id = renamed.map_or(scanned, |(_, id)| *id);
        let says_more = |held: &Held| held.scene.crash.exceptions.len() < crash.exceptions.len();
        let is_sent = self.sink.spool().is_some() && !self.sink.still_waits(id);
        if !is_sent || !self.reports.get(id).is_some_and(|held| held.published && says_more(held)) {
            return id;
        }
        let waits = takes_in.iter().copied().find(|part| self.sink.still_waits(*part));
        let id = waits.unwrap_or_else(random_id);
        self.renamed.push((scanned, id));
        self.renamed.drain(..self.renamed.len().saturating_sub(MOST_PRINTED));
        id
    }

    /// Makes a report and writes it.
    fn report(&mut self, crash: Crash, until_stderr: Option<u64>) {
        let id = crash.event_id;
        if self.reports.get(id).is_none() {
            self.made += 1;
            if self.made > MOST_REPORTS {
                return;
            }
        }
        let Some(scene) = self.scene(crash, until_stderr) else { return };
        if let Some(oldest) = self.reports.put(scene) {
            self.write(&oldest);
            self.delivery.release(oldest.crash.event_id);
        }
        self.publish(&[id]);
    }

    /// Everything a report is made of.
    fn scene(&self, mut crash: Crash, until_stderr: Option<u64>) -> Option<Scene> {
        let most = self.identity_now().breadcrumbs;
        let select =
            Select { until_stderr: until_stderr.unwrap_or(u64::MAX), ..Select::newest(most) };
        let snapshot = Snapshot::of_region(&self.region, select).ok()?;
        let own = snapshot.identity;
        if crash.runtime == Runtime::Rust && crash.runtime_version.is_none() {
            crash.runtime_version.clone_from(&own.runtime_version);
        }
        let started = u64::try_from(self.identity.started_millis).ok();
        let learned = self.tags_file.as_deref().map(tags_file::read).unwrap_or_default();
        let tags = own.static_tags.into_iter().chain(learned).chain(snapshot.tags);
        Some(self.seal.scene(Scene {
            crash,
            breadcrumbs: snapshot.breadcrumbs,
            breadcrumb_limit: most,
            losses: snapshot.losses,
            tags: tags.collect(),
            release: own.release,
            environment: own.environment,
            process: ProcessInfo {
                pid: self.identity.pid,
                started:
                    started.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
                executable: self.identity.executable.clone(),
                server_name: self.identity.server_name.clone(),
                usage: Usage::of_process(self.identity.pid),
                ending: None,
                found: None,
                executable_sha256: self.checksum.get(),
                cgroup: self.cgroup,
            },
            durable: self.region.path().is_some(),
            ambient: Ambient::default(),
        }))
    }

    /// Settings as the child has them, if it records here itself.
    fn identity_now(&self) -> Identity {
        self.region.identity()
    }

    /// Writes the reports of these ids as they are now.
    fn publish(&mut self, ids: &[Uuid]) {
        let tail = self.attachment();
        for held in self.reports.iter_mut() {
            let id = held.scene.crash.event_id;
            if !ids.contains(&id) {
                continue;
            }
            let mut report = report::build(&held.scene);
            report.attachments.extend(tail.clone());
            let dump = self.dump.as_ref().filter(|(of, _)| *of == id);
            report.attachments.extend(dump.map(|(_, dump)| dump.clone()));
            let Some(sealed) = self.seal.report(report) else { continue };
            // Once it was published it may have been sent.
            if std::mem::replace(&mut held.published, true) {
                if !self.sink.replace(&sealed) {
                    self.delivery.replace_in_memory(&sealed);
                }
                continue;
            }
            let outcome = self.sink.write(&sealed);
            let spool = match &outcome {
                Ok(spool) => *spool,
                Err(trouble) => trouble.kept_in(),
            };
            self.delivery.published(&sealed, spool);
            if let Err(trouble) = outcome
                && !std::mem::replace(&mut self.warned, true)
            {
                warn(&trouble.to_string());
            }
            self.sink.prune(id);
        }
        // If this process is killed next, a sweep is not to take the end for another death.
        self.region.mark_death(self.reports.may_be_the_end(|id| self.sink.contains(id)));
    }

    /// The raw end of standard error as an attachment, scrubbed, if there is any.
    fn attachment(&self) -> Option<Attachment> {
        attachment(self.tail.whole_lines()).map(|attachment| self.seal.attachment(attachment))
    }

    /// Corrects a report that is not held any more.
    fn write(&self, scene: &Scene) {
        let mut report = report::build(scene);
        report.attachments.extend(self.attachment());
        if let Some(sealed) = self.seal.report(report)
            && !self.sink.replace(&sealed)
        {
            self.delivery.replace_in_memory(&sealed);
        }
    }

    /// The child has ended: everything that is known is said.
    fn end(mut self, ended: &Ended) {
        self.follow_child();
        let mut found = Vec::new();
        std::mem::take(&mut self.scanner).finish(Some(ended.ending), &mut |one| found.push(one));
        found.into_iter().for_each(|one| self.on_found(one));
        self.withdraw_claimed();
        if !self.has_ended_quietly(ended.ending) {
            self.tell_of_end(ended);
        }
        self.tell_session();
        self.discard();
        self.deliver();
    }

    /// Whether the child has ended by itself and left nothing that could be a crash: the outcome is what it
    /// was from the beginning, [`Outcome::Ended`]. Most runs end like this, and are not to wait for more.
    fn has_ended_quietly(&self, ending: Ending) -> bool {
        matches!(ending, Ending::Code(_))
            && self.reports.is_empty()
            && self.printed_too.is_empty()
            && !self.region.has_panicked()
    }

    /// Says how the child ended, in a report of its own or in one that was made before.
    fn tell_of_end(&mut self, ended: &Ended) {
        let (around, memory) = self.memory.end(Some(ended.ending));
        self.cgroup = memory;
        let known = Known {
            ending: Some(ended.ending),
            asked_to_stop: ended.was_asked_to_stop(),
            around,
            time: Some(ended.time),
            boot_nanos: Some(crate::record::boot_nanos()),
            is_no_death: false,
        };
        let is_wanted = known.asked_to_stop || known.around.oom.is_some();
        let printed = self.reports.end(ended.ending, ended.time, is_wanted);
        self.conclude(&known, printed);
        let ids: Vec<Uuid> = self
            .reports
            .iter_mut()
            .map(|held| {
                let usage = &mut held.scene.process.usage;
                usage.peak_memory = Some(ended.usage.max_resident);
                held.scene.crash.event_id
            })
            .collect();
        self.publish(&ids);
    }

    fn tell_session(&self) {
        let now = self.identity_now();
        let identity = Identity {
            sessions: now.sessions || self.identity.sessions,
            started_millis: self.identity.started_millis,
            ..now
        };
        // Several panics of one death are one report.
        let below = self.claims.reported().filter(|id| self.sink.contains(*id)).count() as u64;
        let errors = (self.made + below).saturating_sub(u64::from(self.end.is_some()));
        let (outcome, report) = (self.outcome, self.end);
        let run = Run { identity: &identity, ended: SystemTime::now(), outcome, errors, report };
        sessions::tell(&self.sink, &self.delivery, &run);
    }

    /// Reports a crash that the child ended of.
    fn report_end(&mut self, crash: Crash, ending: Ending) {
        let id = crash.event_id;
        self.report(crash, None);
        for held in self.reports.iter_mut().filter(|held| held.scene.crash.event_id == id) {
            held.scene.process.ending = Some(ending);
        }
    }

    /// Does what the first report would have to wait for, once the start is over, beside everything
    /// else.
    fn use_idle_time(&mut self) {
        if self.idle_at.is_some_and(|time| time <= Instant::now()) {
            self.idle_at = None;
            if !room::is_enough() {
                return;
            }
            let (checksum, scrubber) = (Arc::clone(&self.checksum), self.seal.scrubber());
            let work = move || {
                scrubber.prepare();
                checksum.prepare();
            };
            // Without a thread it is done when it is needed.
            let _ = thread::spawn("lastwords-idle", work);
        }
    }

    /// Begins to report what other processes left, beside everything else.
    fn begin_sweep(&mut self) {
        let Some((means, spool)) = self.sweep.take().zip(self.sink.spool()) else { return };
        self.sweeping = sweep::begin(spool.dir(), self.region.path(), Which::All, means);
    }

    /// Removes the region, and the file of tags beside it.
    fn discard(&self) {
        if let Some(path) = self.region.path() {
            let _ = remove_region(path);
        }
    }
}

impl Watcher for Monitor {
    fn started(&mut self, pid: u32) {
        self.identity.pid = pid;
        self.identity.started_millis = wall_millis();
        if self.identity.executable.is_none() {
            let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
            self.identity.executable = executable.map(|path| path.display().to_string());
        }
        self.region.set_child(pid);
        self.idle_at = Some(Instant::now() + IDLE);
        self.look_at = Some(Instant::now() + below::LOOK);
        self.memory = EndWatch::of(pid);
        self.delivery.begin(self.sink.spool());
        self.begin_sweep();
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.last_bytes = Instant::now();
        self.reading = if self.scanner.is_waiting() { self.reading + bytes.len() } else { 0 };
        if self.region.owner() == 0 && self.reading <= REPORT_IN_RING {
            self.writer.write(&self.region, bytes);
        } else {
            self.writer.skip(bytes);
        }
        self.tail.push(bytes);
        self.scan(bytes);
        // A report may have taken its time; what was printed meanwhile is still to be read.
        self.last_bytes = Instant::now();
    }

    fn next_wake(&self) -> Option<Instant> {
        let quiet = self.scanner.is_waiting().then(|| self.last_bytes + QUIET);
        let others = [self.reports.next_settling(), self.idle_at, self.below.next(), self.look_at];
        quiet.into_iter().chain(others.into_iter().flatten()).min()
    }

    fn asked_to_stop(&mut self, signal: i32) {
        // Should we be killed with it, a sweep is to know.
        self.region.mark_asked(signal, false);
    }

    fn wake(&mut self) {
        if self.scanner.is_waiting() && self.last_bytes.elapsed() >= QUIET {
            let mut found = Vec::new();
            self.reading = 0;
            self.scanner.quiet(&mut |one| found.push(one));
            found.into_iter().for_each(|one| self.on_found(one));
        }
        self.use_idle_time();
        self.withdraw_claimed();
        let settled = self.reports.settle();
        self.publish(&settled.changed);
        self.meet_below();
        let due = self.below.take_due();
        settled.all.into_iter().chain(due).for_each(|id| self.delivery.release(id));
        if self.look_at.is_some_and(|time| time <= Instant::now()) {
            self.memory.look();
            self.look_at = Some(Instant::now() + below::LOOK);
        }
    }
}

/// The raw end of standard error as an attachment, if there is any.
fn attachment(tail: Vec<u8>) -> Option<Attachment> {
    (!tail.is_empty()).then(|| Attachment {
        filename: ATTACHMENT.to_owned(),
        content_type: "text/plain".to_owned(),
        data: tail,
    })
}

fn sweep_means(settings: &Settings, delivery: &Arc<Delivery>) -> Means {
    Means {
        limit: settings.spool_limit,
        scrub_keys: settings.scrub_keys.clone(),
        delivery: Arc::clone(delivery),
        before_send: None,
    }
}

/// The files that a command's code is in, held open: they may be replaced while it runs.
fn images(command: &supervise::Command) -> Images {
    let mut images = Images::new();
    if let Some(file) = command.find().and_then(|path| std::fs::File::open(path).ok()) {
        images.offer(file);
    }
    images
}

/// Who the child will be, as far as that is known before it starts.
fn identity(command: &supervise::Command, settings: &Settings, flags: &Flags) -> Identity {
    Identity {
        // Known to the region once the child runs.
        pid: 0,
        start_ticks: None,
        watched: true,
        install_stack: Vec::new(),
        modules: Vec::new(),
        // Known before the start: a process that dies at once cannot be asked any more.
        executable: command.find().map(|path| path.display().to_string()),
        build_id: None,
        flags: flags.to_pairs(),
        ..super::builder::identity(settings)
    }
}
