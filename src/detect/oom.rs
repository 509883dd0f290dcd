//! The kernel's OOM killer, by the counters of the dead process's memory cgroup.
//!
//! **Guarantee:** where the kernel counted an OOM kill in the cgroup between two readings, it is seen,
//! whether the cgroup's own limit, that of an ancestor or the whole machine's memory was the reason: the
//! kernel counts by the victim's cgroup, before it sends the signal. Reading takes no lock, waits for
//! nobody and reads nothing that is not a file of the kernel's, wherever a recorded directory points.
//! **Lost:** the reason of a kill in a cgroup without counters (the root of version 2, a kernel before
//! 4.13 with version 1), or in one that is gone when it is read. Not told apart: which process of the
//! cgroup was the victim; a SIGKILL by somebody else while the OOM killer took a neighbour counts as
//! its work.
//!
//! Nothing is remembered here: who watches takes one reading when the process starts and one when it is
//! dead, and asks [`is_oom_kill`].

mod files;
mod find;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The memory cgroup of a process.
///
/// It may be kept where a later reader finds it: what it names is looked at again at each reading, and
/// a directory that is no cgroup's has no counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCgroup {
    version: CgroupVersion,
    directory: PathBuf,
}

/// Which interface of the kernel a cgroup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupVersion {
    /// A hierarchy of the memory controller's own
    /// (`Documentation/admin-guide/cgroup-v1/memory.rst` of the kernel).
    V1,
    /// The unified hierarchy (`Documentation/admin-guide/cgroup-v2.rst`).
    V2,
}

/// What a memory cgroup says of itself at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OomCounters {
    /// How many processes of it the OOM killer has killed; with version 2 those of the cgroups below
    /// count too.
    pub oom_kills: u64,
    /// The most bytes it may use: the smallest limit of its own and its ancestors', as far as they
    /// are seen from here. `None` where there is no limit.
    pub limit: Option<u64>,
    /// The most bytes it ever used, where the kernel says so (version 2: since 5.19).
    pub peak: Option<u64>,
    /// The bytes it uses now.
    pub usage: Option<u64>,
}

impl MemoryCgroup {
    /// The memory cgroup of this process. `None` where it has none, or none is mounted where it can be
    /// seen.
    #[must_use]
    pub fn of_this_process() -> Option<MemoryCgroup> {
        find::of("self")
    }

    /// As [`of_this_process`](Self::of_this_process), of another process, while it lives: the kernel has
    /// moved a zombie to the root of a version 1 hierarchy.
    #[must_use]
    pub fn of_process(pid: u32) -> Option<MemoryCgroup> {
        find::of(&pid.to_string())
    }

    /// Which interface it has.
    #[must_use]
    pub fn version(&self) -> CgroupVersion {
        self.version
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its counters now; `None` where it is gone, is no cgroup, or does not count OOM kills.
    #[must_use]
    pub fn read(&self) -> Option<OomCounters> {
        files::counters(self)
    }

    /// Only how often the OOM killer took one of its processes: what is to be known of the start of a
    /// program. `None` as with [`read`](Self::read).
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        files::oom_kills(self)
    }
}

/// Whether the OOM killer took a process of a cgroup between two readings of it.
#[must_use]
pub fn is_oom_kill(before: &OomCounters, after: &OomCounters) -> bool {
    after.oom_kills > before.oom_kills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_that_grew_is_a_kill() {
        let counters = |oom_kills| OomCounters { oom_kills, ..OomCounters::default() };
        assert!(is_oom_kill(&counters(0), &counters(1)));
        assert!(!is_oom_kill(&counters(3), &counters(3)));
        // Another cgroup of the same name: its predecessor's count says nothing of it.
        assert!(!is_oom_kill(&counters(3), &counters(0)));
    }

    #[test]
    fn it_can_be_kept() {
        let cgroup = MemoryCgroup { version: CgroupVersion::V2, directory: "/cg/a b".into() };
        let json = serde_json::to_string(&cgroup).unwrap();
        assert_eq!(json, r#"{"version":"v2","directory":"/cg/a b"}"#);
        assert_eq!(serde_json::from_str::<MemoryCgroup>(&json).unwrap(), cgroup);
    }

    #[test]
    fn a_directory_that_is_no_cgroup_has_no_counters() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("memory.events"), "oom_kill 7\n").unwrap();
        for directory in [directory.path().to_owned(), "/nowhere".into(), PathBuf::new()] {
            let cgroup = MemoryCgroup { version: CgroupVersion::V2, directory };
            assert_eq!((cgroup.read(), cgroup.oom_kills()), (None, None), "{cgroup:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[cfg_attr(miri, ignore = "there are no cgroups")]
    #[test]
    fn a_process_has_the_same_cgroup_by_its_number() {
        let this = MemoryCgroup::of_this_process();
        assert_eq!(this, MemoryCgroup::of_process(std::process::id()));
        assert_eq!(MemoryCgroup::of_process(u32::MAX), None);
        let Some(this) = this else { return eprintln!("skipped: no memory cgroup is to be seen") };
        assert_eq!(this.read().map(|counters| counters.oom_kills), this.oom_kills());
    }
}
