//! `lastwords peek PID`: the breadcrumbs of a process that lives, perhaps hanging.
//!
//! **Guarantee:** the process is not stopped, signalled or written to, and takes no part in it: its region
//! is copied with `pread`, without a lock. What is shown is scrubbed as a report is, by the program's own
//! keys, unless a person asks for the secrets. Only the same user and root are shown anything. With
//! `--follow` every breadcrumb is shown once, in order, and what was overwritten too fast is counted.
//! **Lost:** what is overwritten while it is copied; the header counts it.

mod find;
mod follow;
mod print;
mod process;
mod refusal;
mod wait;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lastwords::record::{ReadError, Select, Snapshot};

use super::args::PeekArgs;
use super::error::Error;
use super::output::Output;
use find::Found;
use follow::Follower;
use print::Printer;
use process::Process;
pub use refusal::Refusal;

/// How long is waited between two readings, at least.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer than a reading the pause after it is: a large ring must not keep a processor busy.
const REST: u32 = 10;

/// Shows the breadcrumbs of a process.
pub fn run(args: &PeekArgs, state_dir: Option<&Path>, out: &mut Output) -> Result<(), Error> {
    let directories = super::store::candidates_of(state_dir);
    let user = rustix::process::geteuid().as_raw();
    let process = find_process(&args.pid, user, &directories).map_err(Error::Peek)?;
    let found = find_region(&process, user, directories).map_err(Error::Peek)?;
    let pid = process.pid;
    let unreadable = |source| unreadable(pid, &found.path, source);
    let read = |select| Snapshot::read_open_file(&found.file, select).map_err(unreadable);
    let before = read(Select::newest(0))?;
    let snapshot = read(Select::newest(usize::MAX))?;
    let watched = Process::find(snapshot.identity.pid)
        .filter(|child| snapshot.identity.start_ticks == Some(child.start_ticks));
    let watched = watched.unwrap_or(process);
    let mut printer = Printer::new(args, &watched, &snapshot, out);
    printer.header(&snapshot)?;
    if !args.follow {
        return printer.breadcrumbs(newest(snapshot.breadcrumbs, args.breadcrumbs.0));
    }
    let stop = wait::Stop::on_interrupt();
    let (mut follower, news) = Follower::begin(&before, snapshot, args.breadcrumbs.0);
    printer.breadcrumbs(news.breadcrumbs)?;
    printer.flush()?;
    loop {
        let lives = watched.lives();
        let begun = Instant::now();
        let news = follower.read(read(follower.select())?, false);
        printer.news(news)?;
        if !lives {
            // Everything that it wrote is there now, and was read once: the second reading counts.
            let last = read(follower.select())?;
            let news = follower.end(last);
            printer.news(news)?;
            return printer.ended(&watched);
        }
        if stop.wait(PAUSE.max(begun.elapsed() * REST)) {
            return printer.stopped();
        }
    }
}

fn newest<T>(mut all: Vec<T>, most: usize) -> Vec<T> {
    all.drain(..all.len().saturating_sub(most));
    all
}

fn unreadable(pid: u32, region: &Path, source: ReadError) -> Error {
    Error::Peek(Refusal::Unreadable { pid, region: region.to_owned(), source })
}

/// The process that was asked for, if it may be looked at.
fn find_process(given: &str, user: u32, directories: &[PathBuf]) -> Result<Process, Refusal> {
    let pid = given.parse().ok().filter(|pid| *pid > 0);
    let pid: u32 = pid.ok_or_else(|| Refusal::NotAPid { given: given.to_owned() })?;
    let Some(process) = Process::find(pid) else { return Err(gone(pid, directories)) };
    match process.is_ours(user) {
        false => Err(Refusal::NotOurs { pid, owner: process.users.1, user }),
        true if process.is_zombie => Err(Refusal::Zombie { pid }),
        true => Ok(process),
    }
}

/// There is no such process now.
fn gone(pid: u32, directories: &[PathBuf]) -> Refusal {
    match find::left_by(pid, directories) {
        Some(region) => Refusal::Ended { pid, region },
        None => Refusal::NoProcess { pid },
    }
}

fn find_region(process: &Process, user: u32, looked_in: Vec<PathBuf>) -> Result<Found, Refusal> {
    let pid = process.pid;
    match find::region_of(process, user, &looked_in) {
        Ok(Some(found)) => Ok(found),
        // It may have ended meanwhile.
        Ok(None) if !process.lives() => Err(gone(pid, &looked_in)),
        Ok(None) => Err(Refusal::NoRegion { pid, looked_in }),
        Err((region, source)) => Err(Refusal::Unreadable { pid, region, source }),
    }
}
