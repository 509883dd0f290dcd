//! What would come of each candidate for the state directory, for a person to read.
//!
//! **Guarantee:** nothing is left behind or changed: a directory that is there is looked at and given
//! a directory of a passing name inside; of one that is not there the nearest parent is. **Lost:** what
//! only a real recorder meets, such as a quota that a whole region exceeds.

use std::path::{Path, PathBuf};

use super::state_dir::{self, Candidate};
use crate::deliver::Spool;

/// A candidate for the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    /// Its path.
    pub path: PathBuf,
    /// Whether a recorder warns where it has to use it.
    pub makeshift: bool,
    /// Whether it is there already.
    pub exists: bool,
    /// Its permissions, the lowest 12 bits, where it is there and the system has such.
    pub mode: Option<u32>,
    /// The user it belongs to, likewise.
    pub owner: Option<u32>,
    /// Bytes that may still be written there, where the system says so.
    pub free: Option<u64>,
    /// Why it cannot be used; `None` if it can.
    pub trouble: Option<String>,
}

/// The candidates in their order. A recorder takes the first without trouble; if there is none, its
/// region is in memory and reports are not kept.
#[must_use]
pub fn inspect_state_dirs(setting: Option<&Path>) -> Vec<StateDir> {
    state_dir::candidates_here(setting).into_iter().map(inspect).collect()
}

fn inspect(candidate: Candidate) -> StateDir {
    let Candidate { path, makeshift } = candidate;
    let exists = path.symlink_metadata().is_ok();
    let base = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    let (mode, owner) = if exists { facts(&path) } else { (None, None) };
    let free = base.and_then(free);
    let trouble = trouble(&path, exists, base);
    StateDir { path, makeshift, exists, mode, owner, free, trouble }
}

fn trouble(path: &Path, exists: bool, base: Option<&Path>) -> Option<String> {
    if exists && let Err(error) = Spool::open_existing(path) {
        return Some(with_causes(&error));
    }
    let base = base?;
    if state_dir::is_on_network(base) {
        return Some("it is on a network filesystem".to_owned());
    }
    let probe = base.join(format!(".lastwords-{}", std::process::id()));
    match std::fs::create_dir(&probe) {
        Ok(()) => std::fs::remove_dir(&probe).err().map(|error| error.to_string()),
        Err(error) => Some(format!("cannot write in {}: {error}", base.display())),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(unix)]
fn facts(path: &Path) -> (Option<u32>, Option<u32>) {
    use std::os::unix::fs::MetadataExt;
    match path.symlink_metadata() {
        Ok(facts) => (Some(facts.mode() & 0o7777), Some(facts.uid())),
        Err(_) => (None, None),
    }
}

#[cfg(not(unix))]
fn facts(_path: &Path) -> (Option<u32>, Option<u32>) {
    (None, None)
}

#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(path).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(not(unix))]
fn free(_path: &Path) -> Option<u64> {
    None
}
