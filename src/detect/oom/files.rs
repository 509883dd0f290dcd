//! The files of a memory cgroup, read only where the kernel itself wrote them.
//!
//! **Guarantee:** the directory is opened without following a link in its last part and without waiting,
//! and nothing in it is opened unless it lies on a file system of cgroups: a directory that somebody
//! else named (a region may be damaged, or made to deceive whoever sweeps it) gives no counters. At most
//! [`MOST_LEVELS`] levels and 4 KiB of each file are read. **Lost:** limits above what is mounted here.

use super::{MemoryCgroup, OomCounters};

/// How many levels of a hierarchy are looked at: deeper ones are none that people make.
#[cfg(target_os = "linux")]
const MOST_LEVELS: usize = 64;

/// The counters of a cgroup.
#[cfg(target_os = "linux")]
pub(super) fn counters(cgroup: &MemoryCgroup) -> Option<OomCounters> {
    let directory = linux::open(cgroup)?;
    let names = linux::names(cgroup.version);
    let number = |name| linux::number(&linux::read(&directory, name)?);
    Some(OomCounters {
        oom_kills: linux::oom_kills(&directory, cgroup.version)?,
        peak: number(names.peak),
        usage: number(names.usage),
        limit: linux::limit(directory, cgroup.version),
    })
}

/// How many OOM kills a cgroup has counted.
#[cfg(target_os = "linux")]
pub(super) fn oom_kills(cgroup: &MemoryCgroup) -> Option<u64> {
    linux::oom_kills(&linux::open(cgroup)?, cgroup.version)
}

/// The cgroup itself if the memory controller is on in it, else the nearest one above it: that one is
/// charged for its processes (version 2). Itself where there is none.
#[cfg(target_os = "linux")]
pub(super) fn nearest_counted(cgroup: MemoryCgroup) -> MemoryCgroup {
    let counts = |directory: &std::path::Path| {
        directory.join(linux::names(cgroup.version).oom_kills).symlink_metadata().is_ok()
    };
    let levels = cgroup.directory.ancestors().take(MOST_LEVELS);
    let nearest = { levels }.find(|directory| counts(directory)).map(ToOwned::to_owned);
    MemoryCgroup { directory: nearest.unwrap_or(cgroup.directory), ..cgroup }
}

/// Whether a directory is one of a hierarchy of this version.
#[cfg(target_os = "linux")]
pub(super) fn is_cgroup_at(directory: &str, version: super::CgroupVersion) -> bool {
    linux::open(&MemoryCgroup { version, directory: directory.into() }).is_some()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn counters(_cgroup: &MemoryCgroup) -> Option<OomCounters> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn oom_kills(_cgroup: &MemoryCgroup) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;

    use rustix::fs::{Mode, OFlags, fstatfs, open as open_file, openat};
    use rustix::io::retry_on_intr;

    use super::super::{CgroupVersion, MemoryCgroup};
    use super::MOST_LEVELS;

    /// The `f_type` of the file systems, from the kernel's `linux/magic.h`.
    const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

    /// Version 1 writes a limit that is none as the largest number of pages in bytes; anything that
    /// no machine has is none.
    const NO_LIMIT: u64 = 1 << 60;

    /// What the same thing is called by a version.
    pub(super) struct Names {
        pub(super) oom_kills: &'static str,
        pub(super) limit: &'static str,
        pub(super) peak: &'static str,
        pub(super) usage: &'static str,
    }

    pub(super) const fn names(version: CgroupVersion) -> Names {
        match version {
            CgroupVersion::V1 => Names {
                oom_kills: "memory.oom_control",
                limit: "memory.limit_in_bytes",
                peak: "memory.max_usage_in_bytes",
                usage: "memory.usage_in_bytes",
            },
            CgroupVersion::V2 => Names {
                oom_kills: "memory.events",
                limit: "memory.max",
                peak: "memory.peak",
                usage: "memory.current",
            },
        }
    }

    const DIRECTORY: OFlags =
        OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    /// Opens the directory of a cgroup; `None` for anything else.
    pub(super) fn open(cgroup: &MemoryCgroup) -> Option<OwnedFd> {
        let directory = retry_on_intr(|| open_file(&cgroup.directory, DIRECTORY, Mode::empty()));
        directory.ok().filter(|directory| is_cgroup(directory, cgroup.version))
    }

    fn is_cgroup(directory: &OwnedFd, version: CgroupVersion) -> bool {
        let magic = match version {
            CgroupVersion::V1 => CGROUP_SUPER_MAGIC,
            CgroupVersion::V2 => CGROUP2_SUPER_MAGIC,
        };
        fstatfs(directory).is_ok_and(|facts| facts.f_type as u64 == magic)
    }

    /// A file of a cgroup, as far as it fits; the longest of those read here has 200 bytes.
    pub(super) fn read(directory: &OwnedFd, name: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = retry_on_intr(|| openat(directory, name, flags, Mode::empty())).ok()?;
        let mut buffer = [0; 4096];
        let length = retry_on_intr(|| rustix::io::read(&file, &mut buffer)).ok()?;
        std::str::from_utf8(&buffer[..length]).ok().map(str::to_owned)
    }

    pub(super) fn oom_kills(directory: &OwnedFd, version: CgroupVersion) -> Option<u64> {
        field(&read(directory, names(version).oom_kills)?, "oom_kill")
    }

    /// The smallest limit of a cgroup and those above it.
    pub(super) fn limit(mut directory: OwnedFd, version: CgroupVersion) -> Option<u64> {
        let mut smallest = None;
        for _ in 0..MOST_LEVELS {
            let Some(text) = read(&directory, names(version).limit) else { break };
            let own = number(&text).filter(|limit| *limit < NO_LIMIT);
            smallest = smallest.into_iter().chain(own).min();
            let above = openat(&directory, "..", DIRECTORY, Mode::empty());
            match above {
                Ok(above) if is_cgroup(&above, version) && counts_below(&above) => {
                    directory = above
                }
                Ok(_) | Err(_) => break,
            }
        }
        smallest
    }

    /// Whether what is above charges for what is below it: version 1 before Linux 5.11 could be told not
    /// to.
    fn counts_below(above: &OwnedFd) -> bool {
        read(above, "memory.use_hierarchy").is_none_or(|text| text.trim() != "0")
    }

    /// The one number of a file; `None` for version 2's `max`.
    pub(super) fn number(text: &str) -> Option<u64> {
        text.trim().parse().ok()
    }

    /// The number in the line that begins with the word `name`.
    fn field(text: &str, name: &str) -> Option<u64> {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_field_is_found_by_its_whole_name() {
            let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
            assert_eq!(field(events, "oom_kill"), Some(2));
            let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
            assert_eq!(field(control, "oom_kill"), Some(5));
            // A kernel before 4.13.
            assert_eq!(field("oom_kill_disable 0\nunder_oom 0\n", "oom_kill"), None);
        }

        #[test]
        fn max_is_no_number() {
            assert_eq!((number("max\n"), number("33554432\n")), (None, Some(32 << 20)));
        }
    }
}
