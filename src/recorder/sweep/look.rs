//! Looking at one region after another, and reporting those whose process is dead.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Which;
use super::begin;
use super::outcome::SweepOutcome;
use crate::detect::autopsy::{Known, Outcome};
use crate::detect::outside::Images;
use crate::record::{Fate, Identity, ReadError, Refused, Remains, Snapshot};
use crate::recorder::end_watch::EndWatch;
use crate::recorder::post_mortem::{NotReported, Reported, Reporting};
use crate::recorder::sessions::{self, Run};
use crate::recorder::state_dir::REGIONS;
use crate::report::CgroupMemory;

/// How old a file that is no whole region, and that nobody holds, must be to be taken for one that is never
/// finished: making a region takes milliseconds.
const UNFINISHED: Duration = Duration::from_secs(60);

/// The same where nobody has its maker's process id: who makes it in another PID namespace holds it right
/// after the file is there.
const UNHELD: Duration = Duration::from_secs(2);

/// The files of regions in a state directory, the oldest names first.
///
/// # Errors
/// Where the folder is there and cannot be read.
pub(super) fn regions_in(state: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(state.join(REGIONS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.flatten(),
    };
    let paths = entries.map(|entry| entry.path());
    let is_region =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "region");
    let mut regions: Vec<_> = paths.filter(is_region).collect();
    regions.sort_unstable();
    Ok(regions)
}

/// Looks at one region, and reports its process if that is due.
pub(super) fn sweep(path: &Path, which: &Which, reporting: &Reporting) -> Option<SweepOutcome> {
    let remains = match Remains::open(path) {
        Ok(remains) => remains,
        Err(Refused::Gone) => return None,
        Err(Refused::OtherUser { uid }) => return Some(SweepOutcome::OtherUser { uid }),
        Err(Refused::Io(error)) => {
            return Some(SweepOutcome::Unreadable { why: error.to_string() });
        }
    };
    let identity = match identity(&remains) {
        Ok(identity) => identity,
        Err(error) => return Some(unreadable(remains, &error)),
    };
    if let Which::Of(program) = which
        && identity.executable.as_deref().map(plain) != Some(plain(program))
    {
        return None;
    }
    Some(sweep_region(remains, &identity, reporting))
}

/// The process that recorded in a region, where that can be read.
pub(super) fn pid_in(path: &Path) -> Option<u32> {
    let identity = identity(&Remains::open(path).ok()?).ok()?;
    (identity.pid != 0).then_some(identity.pid)
}

fn identity(remains: &Remains) -> Result<Identity, ReadError> {
    remains.brief().map(|Snapshot { identity, .. }| identity)
}

/// Whether the process of a region lives, but as another program, or as the same one once more.
pub(super) fn is_replaced(path: &Path) -> bool {
    let Ok(remains) = Remains::open(path) else { return false };
    let snapshot = remains.brief();
    snapshot.is_ok_and(|snapshot| remains.fate(&snapshot.identity) == Fate::Replaced)
}

/// Marks in the region of a replaced program that it has not died.
pub(super) fn mark_replaced(path: &Path) {
    // Where that cannot be written its watcher judges by what it sees.
    let _ = Remains::open(path).map(|remains| remains.mark_ended());
}

/// The path of a program, without what the kernel says of a file that was replaced.
fn plain(executable: &str) -> &str {
    executable.strip_suffix(" (deleted)").unwrap_or(executable)
}

fn sweep_region(remains: Remains, identity: &Identity, reporting: &Reporting) -> SweepOutcome {
    let fate = remains.fate(identity);
    match fate {
        Fate::Lives if remains.is_watched() => return SweepOutcome::Watched { pid: identity.pid },
        Fate::Lives => return SweepOutcome::Lives { pid: identity.pid },
        Fate::OnOtherMachine { name } => return SweepOutcome::OtherMachine { name },
        Fate::Dead | Fate::Replaced | Fate::Restarted => {}
    }
    match remains.lock() {
        Ok(true) => {}
        Ok(false) => return SweepOutcome::Watched { pid: identity.pid },
        Err(error) => {
            return SweepOutcome::Unreadable { why: format!("it cannot be locked: {error}") };
        }
    }
    // A monitor's child may have taken it over, and said who it is, between the look and the lock.
    match self::identity(&remains) {
        Ok(now) if now.pid != identity.pid => return SweepOutcome::Lives { pid: now.pid },
        Ok(_) => {}
        Err(error) => return unreadable(remains, &error),
    }
    if identity.has_before_send && reporting.before_send.is_none() {
        return SweepOutcome::WaitsForProgram {
            program: identity.executable.clone().unwrap_or_default(),
        };
    }
    if identity.pid == 0 {
        // Its monitor was killed before it started anything.
        return removed(remains, SweepOutcome::EndedWell);
    }
    let (known, memory) = known(identity, &fate);
    let mut images = Images::new();
    match reporting.report(&remains, &known, &mut images, memory) {
        Ok(reported) => {
            if identity.watched && fate == Fate::Dead {
                // Whoever watched it was killed as well.
                tell_session(identity, &reported, reporting);
            }
            removed(remains, settled(reported, fate))
        }
        Err(NotReported::NotKept(trouble)) => SweepOutcome::NotKept { why: trouble.to_string() },
        Err(NotReported::Unreadable(error)) => unreadable(remains, &error),
    }
}

/// What can still be learned of a death that nobody saw.
fn known(identity: &Identity, fate: &Fate) -> (Known, Option<CgroupMemory>) {
    let mut known = Known::default();
    if *fate != Fate::Dead {
        // It did not die, or with its machine: only what it left unreported is to be told.
        known.is_no_death = true;
        return (known, None);
    }
    let before = identity.memory.as_ref();
    let cgroup = before.and_then(|start| serde_json::from_value(start.cgroup.clone()).ok());
    let Some((before, cgroup)) = before.zip(cgroup) else { return (known, None) };
    let (around, memory) = EndWatch::since(cgroup, before.oom_kills).end(None);
    known.around = around;
    (known, memory)
}

fn tell_session(identity: &Identity, reported: &Reported, reporting: &Reporting) {
    let errors = reported.ids.iter().filter(|id| Some(**id) != reported.end).count() as u64;
    let (outcome, report) = (reported.outcome, reported.end);
    let run = Run { identity, ended: SystemTime::now(), outcome, errors, report };
    sessions::tell(&reporting.sink, &reporting.delivery, &run);
}

/// What became of a region that is done with.
fn settled(reported: Reported, fate: Fate) -> SweepOutcome {
    match (reported, fate) {
        (Reported { ids, .. }, _) if !ids.is_empty() => SweepOutcome::Reported { ids },
        (Reported { had_some: true, .. }, _) => SweepOutcome::HadReported,
        (_, Fate::Replaced) => SweepOutcome::Replaced,
        (_, Fate::Restarted) => SweepOutcome::Restarted,
        (Reported { outcome: Outcome::Stopped { signal }, .. }, _) => {
            SweepOutcome::Stopped { signal }
        }
        _ => SweepOutcome::EndedWell,
    }
}

/// Removes a region, under its lock.
fn removed(remains: Remains, outcome: SweepOutcome) -> SweepOutcome {
    match remains.remove() {
        Ok(()) => outcome,
        Err(error) => SweepOutcome::Unreadable { why: format!("it cannot be removed: {error}") },
    }
}

/// A file that cannot be read as a region of this version.
fn unreadable(remains: Remains, error: &ReadError) -> SweepOutcome {
    let least = if begin::is_of_the_gone(remains.path()) { UNHELD } else { UNFINISHED };
    let is_old = !remains.is_alive() && remains.age().is_some_and(|age| age >= least);
    match error {
        ReadError::OtherVersion { found } => SweepOutcome::OtherLayout { found: *found },
        ReadError::NotARegion if !is_old => SweepOutcome::Unfinished,
        ReadError::NotARegion | ReadError::Damaged { .. } if is_old => match remains.lock() {
            Ok(true) => removed(remains, SweepOutcome::Damaged { why: error.to_string() }),
            _ => SweepOutcome::Unfinished,
        },
        ReadError::Damaged { .. } => SweepOutcome::Unfinished,
        error => SweepOutcome::Unreadable { why: error.to_string() },
    }
}
