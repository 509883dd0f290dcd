//! A bound on the regions that unwatched deaths leave behind.
//!
//! **Guarantee:** a region whose process lives is never touched. **Lost:** of dead processes' regions
//! all but the newest [`KEPT`], reported or not: what cannot be reported, because no directory takes the
//! report or a program never starts again whose function it must pass, must not fill the disk. What can be
//! reported is so long before: each start sweeps what its program left, and the oldest of many whosever
//! they are.
//!
//! A region is one of the living while somebody holds its life lock, in whatever namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::byte_lock;
use super::fate::LIFE;
use super::remains::REPORT;

/// How many regions of dead processes are kept, of about 1.6 MiB each by default.
const KEPT: usize = 256;

/// The extension of a file of tags that stands beside a region.
pub(crate) const TAGS: &str = "tags";

/// Removes the oldest regions of dead processes in `regions` beyond [`KEPT`]. Errors are passed
/// over: what another process removes meanwhile is as gone as it should be.
pub(super) fn remove_beyond_bound(regions: &Path) {
    remove_lone_tags(regions);
    let Ok(entries) = std::fs::read_dir(regions) else { return };
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == REGION))
        .filter_map(|path| {
            let meta = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((meta.modified().ok()?, path))
        })
        .collect();
    if found.len() <= KEPT {
        return;
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let dead = found.into_iter().map(|(_, path)| path).filter(|path| is_dead(path));
    for path in dead.skip(KEPT) {
        let _ = std::fs::remove_file(path.with_extension(TAGS));
        let _ = std::fs::remove_file(path);
    }
}

/// Removes files of tags in `regions` whose region is gone.
pub(crate) fn remove_lone_tags(regions: &Path) {
    let files =
        std::fs::read_dir(regions).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_tags = |path: &PathBuf| path.extension().is_some_and(|extension| extension == TAGS);
    for path in files.filter(is_tags) {
        if !path.with_extension(REGION).exists() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The extension of a region.
const REGION: &str = "region";

fn is_dead(path: &Path) -> bool {
    let held = |place| File::open(path).and_then(|file| byte_lock::is_held(&file, place));
    // Where locks are not known there are no regions either.
    matches!((held(LIFE), held(REPORT)), (Ok(false), Ok(false)))
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "files are the kernel's")]
    fn the_oldest_dead_ones_go_and_the_living_stay() {
        let dir = tempfile::tempdir().unwrap();
        let begin = SystemTime::UNIX_EPOCH;
        let path = |age: usize| dir.path().join(format!("{age}.region"));
        let make = |age: usize| {
            let file = File::create(path(age)).unwrap();
            let seconds = std::time::Duration::from_secs(1_000_000 - age as u64);
            file.set_modified(begin + seconds).unwrap();
            std::fs::write(path(age).with_extension(TAGS), "").unwrap();
            file
        };
        for age in 0..KEPT + 5 {
            make(age);
        }
        let living = make(1000);
        assert!(byte_lock::take(&living, LIFE).unwrap());
        std::fs::write(dir.path().join("other"), "").unwrap();

        std::fs::write(dir.path().join("gone.tags"), "").unwrap();

        remove_beyond_bound(dir.path());

        assert!(!dir.path().join("gone.tags").exists());

        assert!(path(1000).exists() && dir.path().join("other").exists());
        let kept: Vec<usize> = (0..KEPT + 5).filter(|age| path(*age).exists()).collect();
        assert_eq!(kept, (0..KEPT).collect::<Vec<_>>());
        for age in 0..KEPT + 5 {
            assert_eq!(path(age).with_extension(TAGS).exists(), kept.contains(&age));
        }
    }
}
