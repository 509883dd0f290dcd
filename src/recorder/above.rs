//! The monitor above this process, if there is one.
//!
//! **Guarantee:** a process records in its monitor's region only if the monitor is its parent and no
//! other process does; every other process below the monitor makes a region of its own, and only
//! notes its panics in the monitor's ledger. What a variable says that makes no sense is passed over:
//! the process is then like any other. **Lost:** with a monitor of another version, whose region is
//! laid out differently, the ledger: a panic may be reported by both.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::config::{Flags, TABLE};
use crate::record::{END_CLEAN, Region, is_running, process_generation, start_ticks_of};

/// Names the region that the monitor made for its child.
pub(crate) const REGION: &str = "LASTWORDS_REGION";
/// Names the monitor by its process id, as its child sees it.
pub(crate) const MONITOR: &str = "LASTWORDS_MONITOR";

/// The monitor above this process.
pub(super) struct Above {
    /// The monitor's region, for its ledger.
    pub(super) ledger: Arc<Region>,
    /// The same region, for this process to record in, if it may.
    pub(super) own: Option<Region>,
}

/// Looks for it.
pub(super) fn find() -> Option<Above> {
    let ledger = ledger()?;
    let path = ledger.path().filter(|_| is_our_parent());
    let own = path.and_then(|path| Region::open(path).ok()).filter(Region::take_over);
    Some(Above { ledger, own })
}

/// Takes leave of a monitor that was killed before this process got to record in its region: from here on
/// this process makes one of its own, and a sweep must not take the old one for that of a second death.
pub(super) fn leave_dead_monitor() {
    // The monitor has been this process's parent, so that it is dead if it is that no more.
    if let Some(region) = ledger().filter(|_| !is_our_parent())
        && region.child() == u64::from(std::process::id())
        && region.owner() == 0
    {
        region.mark_end(END_CLEAN);
    }
}

/// The region of the monitor above, for its ledger alone.
pub(super) fn ledger() -> Option<Arc<Region>> {
    let path = PathBuf::from(std::env::var_os(REGION).filter(|path| !path.is_empty())?);
    Region::open(&path).ok().map(Arc::new)
}

/// Whether the monitor that made the environment is this process's parent.
#[cfg(unix)]
pub(super) fn is_our_parent() -> bool {
    let monitor = std::env::var(MONITOR).ok().and_then(|pid| pid.parse::<i32>().ok());
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    monitor.is_some() && monitor == parent
}

#[cfg(not(unix))]
pub(super) fn is_our_parent() -> bool {
    false
}

/// The monitor beside this process: its id, its start time, and the process generation that it watches.
static BESIDE: OnceLock<(u32, Option<u64>, u32)> = OnceLock::new();

/// A monitor beside this process watches it.
pub(super) fn set_beside(monitor: u32) {
    let _ = BESIDE.set((monitor, start_ticks_of(monitor), process_generation()));
}

/// The monitor beside this process, if it lives. It does not watch forked children.
pub(super) fn beside() -> Option<u32> {
    let (monitor, started, generation) = *BESIDE.get()?;
    (generation == process_generation() && is_running(monitor, started)).then_some(monitor)
}

/// Whether a monitor watches this process, as its parent or beside it.
pub(super) fn is_watched() -> bool {
    is_our_parent() || beside().is_some()
}

impl Above {
    /// The flags that the operator gave to the monitor, for a process that records in its region.
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        let Some(region) = &self.own else { return flags };
        for (name, value) in region.identity().flags {
            let setting = TABLE.iter().find(|s| s.flag.is_some_and(|flag| flag.name == name));
            if let Some(setting) = setting {
                flags.push(setting.key, value);
            }
        }
        flags
    }
}
