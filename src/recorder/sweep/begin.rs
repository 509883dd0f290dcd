//! A sweep at the start of a process, beside everything else.
//!
//! **Guarantee:** the start waits for it only where deaths pile up: a program that dies faster than a
//! death can be reported would otherwise never tell of one; and where this process was another program
//! before, or this one: once it is dead nobody can tell that from a kill. The end of the process waits for it, for a
//! bounded time. **Lost:** nothing: what a sweep does not come to is left to the next, and where the limits
//! of the program leave no room for one to a sweep from outside.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Which;
use super::look::{is_replaced, mark_replaced, regions_in, sweep};
use crate::deliver::{Spool, SpoolError};
use crate::detect::outside::room;
use crate::recorder::delivery::Delivery;
use crate::recorder::post_mortem::Reporting;
use crate::recorder::seal::BeforeSend;
use crate::recorder::sink::Sink;
use crate::recorder::thread;

/// How many regions of one state directory are left to the programs whose they are: the oldest beyond are
/// reported by whoever starts, long before there are too many to be kept.
const LEFT: usize = 16;

/// So many regions of processes that are gone are a pile.
const PILE: usize = 4;

/// How long a start waits for a pile to be reported.
const LONGEST_START: Duration = Duration::from_secs(2);

/// A sweep that goes on.
#[derive(Debug, Clone, Default)]
pub(in crate::recorder) struct Sweeping(Arc<(Mutex<bool>, Condvar)>);

impl Sweeping {
    /// Waits for its end, at most for `longest`.
    pub(in crate::recorder) fn wait(&self, longest: Duration) {
        let (done, changed) = &*self.0;
        let deadline = Instant::now() + longest;
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        while !*done {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            done = changed.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self) {
        let (done, changed) = &*self.0;
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}

/// What a sweep reports with.
#[derive(Clone)]
pub(in crate::recorder) struct Means {
    /// Bytes of reports kept.
    pub(in crate::recorder) limit: u64,
    pub(in crate::recorder) scrub_keys: Vec<String>,
    pub(in crate::recorder) delivery: Arc<Delivery>,
    pub(in crate::recorder) before_send: Option<BeforeSend>,
}

impl Means {
    /// With the spool in a state directory.
    ///
    /// # Errors
    /// Where that cannot be opened.
    pub(in crate::recorder) fn reporting(self, state: &Path) -> Result<Reporting, SpoolError> {
        let Means { limit, scrub_keys, delivery, before_send } = self;
        let sink = Sink::Spool(Spool::open(state, limit)?, limit);
        Ok(Reporting { sink, delivery, scrub_keys, before_send })
    }
}

/// Begins to sweep the regions in a state directory, but for `own`. `None` where there is nothing to look
/// at, or no thread to do it; then the next start does.
pub(in crate::recorder) fn begin(
    state: &Path,
    own: Option<&Path>,
    which: Which,
    means: Means,
) -> Option<Sweeping> {
    // What cannot be read here the command says.
    let mut regions = regions_in(state).ok()?;
    regions.retain(|path| Some(path.as_path()) != own);
    let was_this =
        |path: &PathBuf| pid_in_name(path) == Some(std::process::id()) && is_replaced(path);
    let (before, regions): (Vec<_>, Vec<_>) = regions.into_iter().partition(was_this);
    // Whoever still watches what this process was before learns it even if this one dies at once.
    before.iter().for_each(|path| mark_replaced(path));
    if !before.is_empty()
        && let Ok(reporting) = means.clone().reporting(state)
    {
        before.iter().for_each(|path| drop(sweep(path, &Which::All, &reporting)));
    }
    if regions.is_empty() {
        return None;
    }
    if !room::is_enough() {
        return None;
    }
    let is_pile = regions.iter().filter(|path| is_of_the_gone(path)).count() >= PILE;
    let sweeping = Sweeping::default();
    let ends = Ends(sweeping.clone());
    let state = state.to_owned();
    let work = move || {
        // Also if a mistake of ours ends the thread.
        let _ends = ends;
        // Reports of others must not pass this program's own function.
        let for_others = Means { before_send: None, ..means.clone() };
        if let Ok(reporting) = means.reporting(&state) {
            regions.iter().for_each(|path: &PathBuf| drop(sweep(path, &which, &reporting)));
        }
        let oldest = beyond_bound(regions);
        if which != Which::All
            && !oldest.is_empty()
            && let Ok(reporting) = for_others.reporting(&state)
        {
            oldest.iter().for_each(|path| drop(sweep(path, &Which::All, &reporting)));
        }
    };
    thread::spawn("lastwords-sweep", work).ok()?;
    if is_pile {
        sweeping.wait(LONGEST_START);
    }
    Some(sweeping)
}

/// Of regions that are still there, the oldest beyond [`LEFT`].
fn beyond_bound(regions: Vec<PathBuf>) -> Vec<PathBuf> {
    let aged = |path: PathBuf| Some((path.symlink_metadata().ok()?.modified().ok()?, path));
    let mut regions: Vec<(SystemTime, PathBuf)> = regions.into_iter().filter_map(aged).collect();
    regions.sort_unstable_by(|a, b| b.cmp(a));
    regions.into_iter().skip(LEFT).map(|(_, path)| path).collect()
}

/// Says that it has ended.
struct Ends(Sweeping);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The process id in a region's name.
fn pid_in_name(path: &Path) -> Option<u32> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('-').next()?.parse().ok()
}

/// Whether nobody has the process id in a region's name any more.
pub(super) fn is_of_the_gone(path: &Path) -> bool {
    pid_in_name(path).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}
