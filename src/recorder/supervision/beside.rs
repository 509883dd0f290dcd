//! A process beside the program, which waits for its end and reports it.
//!
//! **Guarantee:** as soon as the program has ended, however it did, what is known of that is published,
//! sent and the region removed; a panic that the program has survived is sent while it goes on. If the
//! program executes another one, what it left is reported and the watch is over. Standard error is not
//! held: whoever waits for its end waits for the program alone. **Lost:** if this process is killed as
//! well, nothing: the region is swept later. What it would have to say itself has no place to go.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sentry::types::Uuid;

use super::TOO_LATE;
use crate::config::Settings;
use crate::deliver::Spool;
use crate::detect::Ending;
use crate::detect::autopsy::Known;
use crate::detect::outside::Images;
use crate::record::{Fate, Identity, Region, Remains};
use crate::recorder::delivery::Delivery;
use crate::recorder::end_watch::EndWatch;
use crate::recorder::post_mortem::{Reported, Reporting};
use crate::recorder::seal::BeforeSend;
use crate::recorder::sessions::{self, Run};
use crate::recorder::sink::Sink;
use crate::report::CgroupMemory;
use crate::supervise::{self, Happened, Watched};

/// An end of which nothing is to be said.
const WELL: Option<Ending> = Some(Ending::Code(0));

/// How often it is looked whether the program has survived a panic.
const LOOK: Duration = Duration::from_secs(5);

/// How long the region's lock is waited for: a sweep may look at it just now.
const LONGEST_LOCK: Duration = Duration::from_secs(10);

/// Starts the process that watches over `region`; its id.
///
/// # Errors
/// In words.
pub(super) fn watch(
    region: &mut Region,
    settings: &Settings,
    before_send: Option<&BeforeSend>,
) -> Result<u32, String> {
    if !supervise::has_one_thread() {
        return Err(TOO_LATE.to_owned());
    }
    let Some(path) = region.path().map(Path::to_owned) else {
        return Err("no state directory works".to_owned());
    };
    let (settings, before_send) = (settings.clone(), before_send.cloned());
    let watch = move |watched| Vigil::open(path, settings, before_send).keep(watched);
    let monitor =
        supervise::detach(watch).map_err(|error| format!("cannot start a process: {error}"))?;
    region.leave_to_monitor();
    Ok(monitor)
}

/// What the process beside the program holds.
struct Vigil {
    path: PathBuf,
    remains: Option<Remains>,
    reporting: Reporting,
    memory: EndWatch,
    /// Reports of the program's own that were handed on.
    met: Vec<Uuid>,
}

impl Vigil {
    fn open(path: PathBuf, settings: Settings, before_send: Option<BeforeSend>) -> Vigil {
        let state = path.parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
        let limit = settings.spool_limit;
        let spool = Spool::open(&state, limit);
        let delivery = Arc::new(Delivery::new(&settings, None));
        let sink = spool.map_or(Sink::Nothing, |spool| Sink::Spool(spool, limit));
        let scrub_keys = settings.scrub_keys.clone();
        let reporting = Reporting { sink, delivery, scrub_keys, before_send };
        let remains = locked(&path);
        Vigil { path, remains, reporting, memory: EndWatch::default(), met: Vec::new() }
    }

    /// Waits for the end of the program, and reports it.
    fn keep(mut self, mut watched: Watched) {
        self.memory = EndWatch::of(watched.pid());
        loop {
            match watched.wait(LOOK) {
                Happened::Ended(ending) => return self.ended(ending),
                Happened::Untied | Happened::Nothing if self.is_replaced() => {
                    return self.replaced();
                }
                Happened::Untied => {}
                Happened::Nothing => {
                    self.memory.look();
                    self.look();
                }
            }
        }
    }

    fn identity(&self) -> Option<Identity> {
        let snapshot = self.remains.as_ref()?.brief().ok()?;
        Some(snapshot.identity)
    }

    fn is_replaced(&self) -> bool {
        let fate = self.identity().zip(self.remains.as_ref());
        fate.is_some_and(|(identity, remains)| remains.fate(&identity) == Fate::Replaced)
    }

    /// The program goes on: what it has survived is sent.
    fn look(&mut self) {
        if self.remains.is_none() {
            self.remains = locked(&self.path);
        }
        let Some(remains) = &self.remains else { return };
        let Ok(snapshot) = remains.brief() else { return };
        self.follow(&snapshot.identity);
        let reported = snapshot.panics.iter().filter(|panic| panic.reported);
        let ids: Vec<Uuid> = reported.map(|panic| Uuid::from_bytes(panic.event_id)).collect();
        for id in ids.iter().filter(|id| !self.met.contains(id)) {
            self.hand_on(*id);
        }
        self.met = ids;
    }

    /// What the program sets in its code holds for this process too.
    fn follow(&self, identity: &Identity) {
        let delivery = &self.reporting.delivery;
        if identity.silent {
            delivery.switch_off();
        }
        if let Some(dsn) = identity.dsn.as_deref().and_then(|dsn| dsn.parse().ok()) {
            delivery.adopt(&dsn);
        }
    }

    fn hand_on(&self, id: Uuid) {
        if let Some(spool) = self.reporting.sink.spool().filter(|spool| spool.is_waiting(id)) {
            self.reporting.delivery.published_below(id, spool);
            self.reporting.delivery.release(id);
        }
    }

    fn ended(mut self, mut ending: Option<Ending>) {
        let brief = self.remains.as_ref().and_then(|remains| remains.brief().ok());
        // What the kernel says to somebody who may not know it.
        if brief.is_some_and(|it| it.fatal.is_some() && !it.ended_cleanly) && ending == WELL {
            ending = None;
        }
        let (time, boot_nanos) = (Some(SystemTime::now()), Some(crate::record::boot_nanos()));
        let (around, memory) = self.memory.end(ending);
        self.report(&Known { ending, around, time, boot_nanos, ..Known::default() }, memory);
    }

    /// The program is another one now, which nobody watches.
    fn replaced(mut self) {
        self.report(&Known { is_no_death: true, ..Known::default() }, None);
    }

    fn report(&mut self, known: &Known, memory: Option<CgroupMemory>) {
        self.look();
        let Some(remains) = self.remains.take() else { return };
        let mut images = Images::new();
        // This process is the same program, whatever its file is by now.
        if let Ok(file) = File::open("/proc/self/exe") {
            images.offer(file);
        }
        let reported = self.reporting.report(&remains, known, &mut images, memory);
        if let Ok(reported) = reported {
            self.tell_session(&remains, &reported);
            let _ = remains.remove();
        }
        self.reporting.delivery.finish();
    }

    fn tell_session(&self, remains: &Remains, reported: &Reported) {
        let Ok(snapshot) = remains.brief() else { return };
        // Several panics of one death are one report.
        let sink = &self.reporting.sink;
        let is_error = |id: &&Uuid| Some(**id) != reported.end && sink.contains(**id);
        let errors = self.met.iter().chain(&reported.ids).filter(is_error).count() as u64;
        let run = Run {
            identity: &snapshot.identity,
            ended: SystemTime::now(),
            outcome: reported.outcome,
            errors,
            report: reported.end,
        };
        sessions::tell(&self.reporting.sink, &self.reporting.delivery, &run);
    }
}

/// The region under its lock.
fn locked(path: &Path) -> Option<Remains> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < LONGEST_LOCK {
        let remains = Remains::open(path).ok()?;
        match remains.lock() {
            Ok(true) => return Some(remains),
            Ok(false) if !path.exists() => return None,
            Ok(false) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
    None
}
