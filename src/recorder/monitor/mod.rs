//! The monitor: it reads what its child prints, and reports how the child dies.
//!
//! **Guarantee:** whatever the child does, its end is noticed, and a crash is one event: by what it
//! printed, by its own panic hook, or by its exit status alone. The child's last lines are in a region
//! on disk before they are looked at, and a report is in the spool as soon as its crash has been read.
//! **Lost:** if the monitor is killed, what the child does afterwards; what it had read is in the
//! region. Crashes beyond
//! [`MOST_REPORTS`] of one run.
//!
//! It runs on one thread, in [`supervise::run`]'s loop, and does nothing there that waits for
//! anybody: what it writes goes to files of its own.

mod claims;
mod reports;
mod tail;

use std::ffi::OsString;
use std::time::{Duration, Instant, SystemTime};

use sentry::types::Uuid;

use super::above;
use super::global::warn;
use super::sink::Sink;
use super::state_dir::{self, Opened};
use crate::config::{Flags, Settings};
use crate::detect::stderr::{Found, Scanner};
use crate::detect::{Crash, Ending, exit, families};
use crate::record::{Identity, Region, Select, Snapshot, StderrWriter, random_id, wall_millis};
use crate::report::{self, Attachment, ProcessInfo, Scene, Usage};
use crate::supervise::{self, Ended, StartError, Watcher};
use claims::{Claims, Upward};
use reports::Reports;
use tail::Tail;

/// How long the stream must be quiet before a report that is whole is taken for ended.
const QUIET: Duration = Duration::from_millis(500);

/// How many reports one run makes of what its child prints: a program that catches panics in a loop
/// must not fill the disk.
const MOST_REPORTS: u64 = 1000;

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
    mut command: supervise::Command,
    mut settings: Settings,
    flags: &Flags,
) -> Result<Ended, StartError> {
    settings.tag_first_argument(command.arguments.first().map(OsString::as_os_str));
    let mut monitor = Monitor::open(&command, settings, flags);
    command.variables.extend(monitor.variables());
    command.keep.extend(monitor.region.descriptor());
    let outcome = supervise::run(&command, &mut monitor);
    match &outcome {
        Ok(ended) => monitor.end(ended),
        Err(_) => monitor.discard(),
    }
    outcome
}

/// Watches one child.
struct Monitor {
    region: Region,
    sink: Sink,
    writer: StderrWriter,
    scanner: Scanner,
    tail: Tail,
    last_bytes: Instant,
    reports: Reports,
    /// Crashes that were printed and are reported by the process itself under its ids, each with the
    /// id that the scanner knows it by.
    printed_too: Vec<(Uuid, Crash)>,
    claims: Claims,
    upward: Upward,
    identity: Identity,
    made: u64,
    warned: bool,
    /// Bytes read since a report began.
    reading: usize,
}

impl Monitor {
    fn open(command: &supervise::Command, settings: Settings, flags: &Flags) -> Monitor {
        let upward = Upward::new(above::ledger());
        let identity = identity(command, &settings, flags);
        let Opened { region, spool, .. } = state_dir::open(&settings, &identity, None);
        let limit = settings.spool_limit;
        let sink = spool.map_or(Sink::Nothing, |spool| Sink::Spool(spool, limit));
        Monitor {
            tail: Tail::new(settings.stderr_tail),
            region,
            sink,
            writer: StderrWriter::default(),
            scanner: Scanner::new(),
            last_bytes: Instant::now(),
            reports: Reports::default(),
            printed_too: Vec::new(),
            claims: Claims::default(),
            upward,
            identity,
            made: 0,
            warned: false,
            reading: 0,
        }
    }

    /// What the child finds in its environment.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        let Some(path) = self.region.path() else { return Vec::new() };
        let pid = std::process::id().to_string();
        vec![(above::REGION.into(), path.into()), (above::MONITOR.into(), pid.into())]
    }

    fn scan(&mut self, bytes: &[u8]) {
        let mut found = Vec::new();
        self.scanner.feed(bytes, SystemTime::now(), &mut |one| found.push(one));
        found.into_iter().for_each(|one| self.on_found(one));
    }

    /// A crash was read.
    fn on_found(&mut self, found: Found) {
        let Found { mut crash, bytes, .. } = found;
        self.upward.note(&crash);
        self.claims.read(&self.region);
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
            self.report(crash, Some(bytes.0));
        }
        let older = self.printed_too.len().saturating_sub(MOST_PRINTED);
        self.printed_too.drain(..older);
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
        if let Some(survived) = self.reports.put(scene) {
            self.write(&survived);
        }
        self.publish(&[id]);
    }

    /// Everything a report is made of.
    fn scene(&self, crash: Crash, until_stderr: Option<u64>) -> Option<Scene> {
        let most = self.identity_now().breadcrumbs;
        let select =
            Select { until_stderr: until_stderr.unwrap_or(u64::MAX), ..Select::newest(most) };
        let snapshot = Snapshot::of_region(&self.region, select).ok()?;
        let own = snapshot.identity;
        let started = u64::try_from(self.identity.started_millis).ok();
        Some(Scene {
            crash,
            breadcrumbs: snapshot.breadcrumbs,
            breadcrumb_limit: most,
            losses: snapshot.losses,
            tags: own.static_tags.into_iter().chain(snapshot.tags).collect(),
            release: own.release,
            environment: own.environment,
            process: ProcessInfo {
                pid: self.identity.pid,
                started: started
                    .map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
                executable: self.identity.executable.clone(),
                server_name: self.identity.server_name.clone(),
                usage: Usage::of_process(self.identity.pid),
                ending: None,
            },
            durable: self.region.path().is_some(),
        })
    }

    /// Settings as the child has them, if it records here itself.
    fn identity_now(&self) -> Identity {
        self.region.identity()
    }

    /// Writes the reports of these ids as they are now.
    fn publish(&mut self, ids: &[Uuid]) {
        let tail = self.tail.to_vec();
        for held in self.reports.iter_mut() {
            let id = held.scene.crash.event_id;
            if !ids.contains(&id) {
                continue;
            }
            let mut report = report::build(&held.scene);
            report.attachments.extend(attachment(tail.clone()));
            if let Err(trouble) = self.sink.write(&report)
                && !std::mem::replace(&mut self.warned, true)
            {
                warn(&trouble.to_string());
            }
            self.sink.prune(id);
        }
    }

    /// Corrects a report that is not held any more.
    fn write(&self, scene: &Scene) {
        let id = scene.crash.event_id;
        if self.sink.still_waits(id) {
            let mut report = report::build(scene);
            report.attachments.extend(attachment(self.tail.to_vec()));
            // What keeps it from being written was said when it was written first.
            let _ = self.sink.write(&report);
        }
    }

    /// Takes back reports that turn out to be made by somebody else.
    fn withdraw_claimed(&mut self) {
        self.claims.read(&self.region);
        let claims = &mut self.claims;
        for id in self.reports.withdraw(|crash| claims.take(crash).is_some()) {
            self.sink.withdraw(id);
        }
    }

    /// The child has ended: everything that is known is said.
    fn end(mut self, ended: &Ended) {
        let mut found = Vec::new();
        std::mem::take(&mut self.scanner).finish(Some(ended.ending), &mut |one| found.push(one));
        found.into_iter().for_each(|one| self.on_found(one));
        self.withdraw_claimed();
        self.report_pending_panics();
        let explained = self.reports.end(ended.ending) | self.complete_reports_below(ended.ending);
        let asked = ended.asked_to_stop.is_some() && is_kill(ended.ending);
        if !explained && !asked {
            self.report_silent_death(ended.ending);
        }
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
        self.discard();
    }

    /// Reports panics of the child's hook whose report it did not live to write. What the child
    /// printed of one has names; the addresses in the region have not.
    fn report_pending_panics(&mut self) {
        if self.region.owner() == 0 {
            return;
        }
        let Ok(panics) = Snapshot::panics_of_region(&self.region) else { return };
        for family in families(&panics) {
            if family.members.iter().any(|panic| panic.reported) {
                continue;
            }
            let mut crash = family.crash_from_outside();
            let is_it = |(_, printed): &&(Uuid, Crash)| printed.event_id == crash.event_id;
            if let Some((_, printed)) = self.printed_too.iter().find(is_it) {
                crash.exceptions.clone_from(&printed.exceptions);
            }
            if !self.sink.contains(crash.event_id) {
                self.report(crash, None);
            }
        }
    }

    /// Adds how the child ended, and what it printed, to the last report that its own hook made;
    /// whether that report is about the end.
    fn complete_reports_below(&mut self, ending: Ending) -> bool {
        let Some(id) = self.claims.reported_by(self.identity.pid).last() else { return false };
        let panics = Snapshot::panics_of_region(&self.region).unwrap_or_default();
        let families = families(&panics);
        let family = families.iter().find(|family| {
            family.members.iter().any(|panic| Uuid::from_bytes(panic.event_id) == id)
        });
        let Some(family) = family else { return false };
        let explains = reports::panic_explains(family, ending);
        if explains || family.is_younger(reports::JUST_BEFORE) {
            let id = Uuid::from_bytes(family.first().event_id);
            self.complete(id, explains.then_some(ending));
        }
        explains
    }

    /// Adds to a report of the process's own how it ended, and what it has printed.
    fn complete(&self, id: Uuid, ending: Option<Ending>) {
        let attachment = attachment(self.tail.to_vec());
        self.sink.amend(id, |envelope| report::complete(envelope, ending, attachment.as_ref()));
    }

    fn report_silent_death(&mut self, ending: Ending) {
        let id = Uuid::parse_str(&self.identity.silent_death_id).unwrap_or_else(|_| random_id());
        if let Some(crash) = exit::silent_crash(ending, id, SystemTime::now()) {
            self.report(crash, None);
            // It is about the end by its nature.
            for held in self.reports.iter_mut().filter(|h| h.scene.crash.event_id == id) {
                held.scene.process.ending = Some(ending);
            }
        }
    }

    /// Removes the region.
    fn discard(self) {
        if let Some(path) = self.region.path() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Watcher for Monitor {
    fn started(&mut self, pid: u32) {
        self.identity.pid = pid;
        self.identity.started_millis = wall_millis();
        if let Ok(executable) = std::fs::read_link(format!("/proc/{pid}/exe")) {
            self.identity.executable = Some(executable.display().to_string());
        }
        self.region.set_child(pid);
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
    }

    fn next_wake(&self) -> Option<Instant> {
        let quiet = self.scanner.is_waiting().then(|| self.last_bytes + QUIET);
        quiet.into_iter().chain(self.reports.next_settling()).min()
    }

    fn wake(&mut self) {
        if self.scanner.is_waiting() && self.last_bytes.elapsed() >= QUIET {
            let mut found = Vec::new();
            self.reading = 0;
            self.scanner.quiet(&mut |one| found.push(one));
            found.into_iter().for_each(|one| self.on_found(one));
        }
        self.withdraw_claimed();
        let changed = self.reports.settle();
        self.publish(&changed);
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

#[cfg(unix)]
fn is_kill(ending: Ending) -> bool {
    ending == Ending::Signal(libc::SIGKILL)
}

#[cfg(not(unix))]
fn is_kill(_ending: Ending) -> bool {
    false
}

/// Who the child will be, as far as that is known before it starts.
fn identity(command: &supervise::Command, settings: &Settings, flags: &Flags) -> Identity {
    Identity {
        // Known to the region once the child runs.
        pid: 0,
        start_ticks: None,
        executable: Some(command.program.to_string_lossy().into_owned()),
        build_id: None,
        flags: flags.to_pairs(),
        ..super::builder::identity(settings)
    }
}
