//! Reports what a dead process left in its region.
//!
//! **Guarantee:** each of its crashes is a report exactly once: under an id that the region had before,
//! published before the region is marked, by whoever holds the region's report lock; who finds the id in
//! the spool only marks. A report that the process wrote and did not come to send is sent at once, too,
//! however young it is. The region goes when everything in it is reported, and not before. **Lost:** log
//! lines beyond what an event carries; and where the process ended well, all of it, as it should be.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sentry::types::Uuid;

use super::delivery::Delivery;
use super::seal::{Address, BeforeSend, Seal};
use super::sink::{Sink, Trouble};
use super::tags_file;
use crate::deliver::Spool;
use crate::detect::autopsy::{self, Findings, Found, Known, Outcome};
use crate::detect::outside::Images;
use crate::detect::{Ending, Mechanism};
use crate::record::{Identity, ReadError, Remains, Select, Snapshot, TAGS};
use crate::report::{self, Ambient, Attachment, CgroupMemory, Deceased, ProcessInfo, Scene, Usage};

/// Most breadcrumbs of a report, whatever a region says.
const MOST_BREADCRUMBS: usize = 1000;

/// Who reports, and where to.
pub(super) struct Reporting {
    pub(super) sink: Sink,
    pub(super) delivery: Arc<Delivery>,
    /// More key names whose values are scrubbed.
    pub(super) scrub_keys: Vec<String>,
    pub(super) before_send: Option<BeforeSend>,
}

/// What was reported.
#[derive(Debug)]
pub(super) struct Reported {
    /// Ids of the reports that were published now.
    pub(super) ids: Vec<Uuid>,
    /// Whether others were there already.
    pub(super) had_some: bool,
    /// What the process died of.
    pub(super) outcome: Outcome,
    /// The report that is about the end.
    pub(super) end: Option<Uuid>,
}

/// Why not all was reported; the region stays.
#[derive(Debug)]
pub(super) enum NotReported {
    /// The region cannot be read.
    Unreadable(ReadError),
    /// No directory takes a report.
    NotKept(Trouble),
}

impl Reporting {
    /// Reports everything in a region whose report lock is held. The region is left to the caller.
    pub(super) fn report(
        &self,
        remains: &Remains,
        known: &Known,
        images: &mut Images,
        memory: Option<CgroupMemory>,
    ) -> Result<Reported, NotReported> {
        let all = Select::newest(MOST_BREADCRUMBS);
        let snapshot = remains.snapshot(all).map_err(NotReported::Unreadable)?;
        let findings = examine(remains, &snapshot, known, images);
        let identity = snapshot.identity.clone();
        let seal = self.seal(&identity);
        let explained_by = self.sink.reported_as(&findings.explained_by);
        let mut reported = Reported {
            ids: Vec::new(),
            had_some: explained_by.is_some(),
            outcome: findings.outcome,
            end: explained_by,
        };
        let mut left = reported_by_itself(&snapshot);
        for found in findings.crashes {
            let (id, panics, is_end) = (found.crash.event_id, found.panics.clone(), found.is_end);
            if self.sink.contains(id) {
                reported.had_some = true;
                left.push(id);
            } else if self.publish(&seal, remains, &snapshot, found, known, memory)? {
                reported.ids.push(id);
            }
            reported.end = reported.end.or(is_end.then_some(id));
            // Where the mark is refused, the id in the spool tells the next who looks.
            let _ = match &panics[..] {
                [] => remains.mark_death(),
                numbers => numbers.iter().try_for_each(|number| remains.mark_panic(*number)),
            };
        }
        let ending =
            known.ending.or_else(|| snapshot.fatal.as_ref().map(|it| Ending::Signal(it.signal)));
        if let Some(id) = explained_by {
            self.sink.amend(id, |envelope| match ending {
                Some(_) => report::complete(envelope, ending, None),
                None => report::mark_end(envelope),
            });
        }
        self.sink.mark_outlived(&findings.outlived);
        // Nobody amends them any more.
        for id in left {
            self.hand_on(id, self.sink.spool().filter(|spool| spool.is_waiting(id)));
        }
        Ok(reported)
    }

    /// What seals reports as that process would have.
    fn seal(&self, identity: &Identity) -> Seal {
        let mut keys = identity.scrub_keys.clone();
        keys.extend(
            self.scrub_keys.iter().filter(|key| !identity.scrub_keys.contains(key)).cloned(),
        );
        let dsn = identity.dsn.as_deref().and_then(|dsn| dsn.parse().ok());
        let address = match (identity.silent || !self.delivery.is_on(), dsn) {
            (true, _) => Address::Stays,
            (false, Some(dsn)) => Address::Of(Some(dsn)),
            (false, None) => Address::Here(Arc::clone(&self.delivery)),
        };
        Seal::new(&keys, self.before_send.clone(), address)
    }

    /// Publishes one crash; whether there is a report, which the program itself may refuse.
    fn publish(
        &self,
        seal: &Seal,
        remains: &Remains,
        snapshot: &Snapshot,
        found: Found,
        known: &Known,
        memory: Option<CgroupMemory>,
    ) -> Result<bool, NotReported> {
        let id = found.crash.event_id;
        let dump = minidump(snapshot, &found);
        let mut snapshot = snapshot.clone();
        if let Some(until) = found.until {
            // Lines before a panic may have been followed by as many as a report carries.
            let select = Select { until, ..Select::newest(MOST_BREADCRUMBS) };
            snapshot = remains.snapshot(select).map_err(NotReported::Unreadable)?;
        }
        let mut scene = scene(remains, snapshot, found, known);
        scene.process.cgroup = memory;
        let mut report = report::build(&seal.scene(scene));
        report.attachments.extend(dump);
        let Some(sealed) = seal.report(report) else {
            self.sink.count_refused(self.delivery.dsn().as_ref());
            return Ok(false);
        };
        let kept;
        let spool = match self.sink.write(&sealed) {
            Ok(spool) => spool,
            Err(trouble) if trouble.is_kept() => {
                kept = trouble;
                kept.kept_in()
            }
            Err(trouble) => return Err(NotReported::NotKept(trouble)),
        };
        self.hand_on(id, spool);
        self.sink.prune(id);
        Ok(true)
    }

    fn hand_on(&self, id: Uuid, spool: Option<&Spool>) {
        if let Some(spool) = spool {
            self.delivery.published_below(id, spool);
            self.delivery.release(id);
        }
    }
}

/// Finds out what the process died of. Where somebody did not survive that, as where there is too little
/// memory to read the program's symbols, it is done without the files: whoever starts next must not die of
/// it, too.
fn examine(remains: &Remains, snapshot: &Snapshot, known: &Known, images: &mut Images) -> Findings {
    let is_dangerous = remains.begin_examination();
    let findings = match is_dangerous {
        true => autopsy::examine(snapshot, known, &mut Images::none()),
        false => autopsy::examine(snapshot, known, images),
    };
    remains.end_examination();
    findings
}

/// The minidump that the process asked for, of the signal that it died of.
pub(super) fn minidump(snapshot: &Snapshot, found: &Found) -> Option<Attachment> {
    let (fatal, modules) = (snapshot.fatal.as_ref()?, found.modules.as_deref()?);
    let Identity { pid, started_millis, .. } = snapshot.identity;
    report::minidump(&Deceased { fatal, modules, pid, started_millis })
}

/// The reports that the process published, and may not have come to send.
fn reported_by_itself(snapshot: &Snapshot) -> Vec<Uuid> {
    let reported = snapshot.panics.iter().filter(|panic| panic.reported);
    reported.map(|panic| Uuid::from_bytes(panic.event_id)).collect()
}

/// Everything a report is made of.
fn scene(remains: &Remains, snapshot: Snapshot, found: Found, known: &Known) -> Scene {
    let identity = snapshot.identity;
    let mut crash = found.crash;
    crash.runtime_version.clone_from(&identity.runtime_version);
    let learned = tags_file::read(&remains.path().with_extension(TAGS));
    let tags = identity.static_tags.into_iter().chain(learned).chain(snapshot.tags);
    let started = u64::try_from(identity.started_millis).ok();
    let ending = known.ending.or_else(|| signal_of(&crash)).filter(|_| found.is_end);
    let most = identity.breadcrumbs.min(MOST_BREADCRUMBS);
    // A signal that was written down and a panic have times of their own.
    let is_silent = found.is_end && found.panics.is_empty() && snapshot.fatal.is_none();
    let found = (is_silent && known.time.is_none()).then(SystemTime::now);
    Scene {
        crash,
        breadcrumbs: snapshot.breadcrumbs,
        breadcrumb_limit: most,
        losses: snapshot.losses,
        tags: tags.collect(),
        release: identity.release,
        environment: identity.environment,
        process: ProcessInfo {
            pid: identity.pid,
            started: started.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
            executable: identity.executable,
            server_name: identity.server_name,
            usage: Usage::default(),
            ending,
            found,
            executable_sha256: None,
            cgroup: None,
        },
        durable: true,
        ambient: Ambient::default(),
    }
}

/// The signal that a crash ended the process by, as far as it tells.
fn signal_of(crash: &crate::detect::Crash) -> Option<Ending> {
    let exception = crash.exceptions.first()?;
    // The standard library answers an overflow by an abort.
    if exception.mechanism == Mechanism::Abort {
        return Some(Ending::Signal(crate::detect::exit::ABORT));
    }
    exception.signal.as_ref()?.number.map(Ending::Signal)
}
