//! Where the memory cgroup of a process is: `/proc/PID/cgroup` says which one it is, and
//! `/proc/self/mountinfo` where that one is to be seen (`cgroups(7)`, `proc_pid_mountinfo(5)`).
//!
//! **Guarantee:** what is found is the process's own cgroup, or the nearest one above it that the
//! memory controller counts for it; never another's. Both files name it from where this process sees
//! the hierarchy begin, so in a container the part that the mount does not show is taken off. A machine
//! may have both versions mounted at once: the one that has the memory controller is taken. **Lost:** a
//! cgroup outside of what is mounted here is not found.

use super::MemoryCgroup;

/// The memory cgroup of the process below `/proc/PROCESS`.
#[cfg(target_os = "linux")]
pub(super) fn of(process: &str) -> Option<MemoryCgroup> {
    let cgroups = std::fs::read(format!("/proc/{process}/cgroup")).ok()?;
    let (version, path) = linux::membership(&cgroups)?;
    let directory = linux::usual_directory(version, path).or_else(|| {
        let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
        linux::directory(version, path, &mounts)
    })?;
    Some(super::files::nearest_counted(MemoryCgroup { version, directory }))
}

/// Elsewhere there are no cgroups.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_process: &str) -> Option<MemoryCgroup> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::PathBuf;

    use super::super::{CgroupVersion, files};

    /// Which version has the process's memory, and the cgroup's path in that hierarchy. A line is
    /// `HIERARCHY:CONTROLLERS:PATH`; version 2 is hierarchy 0 and names no controllers.
    pub(super) fn membership(cgroups: &[u8]) -> Option<(CgroupVersion, &[u8])> {
        let lines = cgroups.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            Some((parts.next()?, parts.next()?, parts.next()?))
        });
        let mut unified = None;
        for (hierarchy, controllers, path) in lines {
            if controllers.split(|byte| *byte == b',').any(|name| name == b"memory") {
                return Some((CgroupVersion::V1, path));
            }
            if hierarchy == b"0" && controllers.is_empty() {
                unified = Some((CgroupVersion::V2, path));
            }
        }
        unified
    }

    /// The inode of the initial cgroup namespace, `PROC_CGROUP_INIT_INO` in the kernel's
    /// `linux/proc_ns.h`, as `/proc/PID/ns/cgroup` names it.
    const INITIAL_NAMESPACE: &[u8] = b"cgroup:[4026531835]";

    /// The inode of the root of each hierarchy: kernfs counts from 1.
    const ROOT_INODE: u64 = 1;

    /// The directory of a cgroup where people mount the hierarchy, if that shows it from its very root
    /// and this process names cgroups from there, too: then nothing is to be taken off.
    pub(super) fn usual_directory(version: CgroupVersion, path: &[u8]) -> Option<PathBuf> {
        let mount = match version {
            CgroupVersion::V1 => "/sys/fs/cgroup/memory",
            CgroupVersion::V2 => "/sys/fs/cgroup",
        };
        let namespace = std::fs::read_link("/proc/self/ns/cgroup").ok()?;
        let facts = std::fs::symlink_metadata(mount).ok()?;
        let shows_all = facts.ino() == ROOT_INODE
            && namespace.as_os_str().as_bytes() == INITIAL_NAMESPACE
            && files::is_cgroup_at(mount, version);
        let mut directory = mount.as_bytes().to_vec();
        directory.extend_from_slice(below(path, b"/").filter(|_| shows_all)?);
        Some(PathBuf::from(OsString::from_vec(directory)))
    }

    /// The directory of a cgroup under the first mount that shows it.
    pub(super) fn directory(version: CgroupVersion, path: &[u8], mounts: &[u8]) -> Option<PathBuf> {
        let mounts = mounts.split(|byte| *byte == b'\n').filter_map(Mount::parse);
        let mut found = mounts.filter(|mount| mount.has_memory(version)).filter_map(|mount| {
            let below = below(path, &unescape(mount.root))?;
            let mut directory = unescape(mount.point);
            directory.extend_from_slice(below);
            Some(PathBuf::from(OsString::from_vec(directory)))
        });
        found.next()
    }

    /// What of `path` is below `root`: empty, or begins with a slash. `None` where it is not below, or
    /// leads out of it: a cgroup outside of this process's cgroup namespace is named from its root
    /// with `/..`.
    fn below<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
        let root = root.strip_suffix(b"/").unwrap_or(root);
        let rest = path.strip_prefix(root)?;
        let rest = rest.strip_suffix(b"/").unwrap_or(rest);
        let leads_out = rest.split(|byte| *byte == b'/').any(|name| name == b"..");
        ((rest.is_empty() || rest[0] == b'/') && !leads_out).then_some(rest)
    }

    /// One line of mountinfo: `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE
    /// SUPER_OPTIONS`.
    struct Mount<'a> {
        root: &'a [u8],
        point: &'a [u8],
        ty: &'a [u8],
        options: &'a [u8],
    }

    impl Mount<'_> {
        fn parse(line: &[u8]) -> Option<Mount<'_>> {
            let mut words = line.split(|byte| *byte == b' ');
            let (root, point) = (words.nth(3)?, words.next()?);
            words.find(|word| *word == b"-")?;
            let (ty, options) = (words.next()?, words.nth(1)?);
            Some(Mount { root, point, ty, options })
        }

        /// Whether it shows the hierarchy that has the memory controller.
        fn has_memory(&self, version: CgroupVersion) -> bool {
            let mut options = self.options.split(|byte| *byte == b',');
            match version {
                CgroupVersion::V1 => self.ty == b"cgroup" && options.any(|name| name == b"memory"),
                CgroupVersion::V2 => self.ty == b"cgroup2",
            }
        }
    }

    /// Space, tab, newline and backslash are written as three octal digits behind a backslash.
    fn unescape(text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [first, after @ ..] = rest {
            let code = match rest {
                [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                    Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
                }
                _ => None,
            };
            plain.push(code.unwrap_or(*first));
            rest = if code.is_some() { &rest[4..] } else { after };
        }
        plain
    }

    #[cfg(test)]
    mod tests {
        use std::path::Path;

        use proptest::prelude::*;

        use super::*;

        const HYBRID: &[u8] = b"9:name=systemd:/\n4:cpu,memory:/a/b c\n0::/unified\n";

        fn found(version: CgroupVersion, path: &str, mounts: &str) -> Option<PathBuf> {
            directory(version, path.as_bytes(), mounts.as_bytes())
        }

        #[test]
        fn the_version_that_has_the_memory_counts() {
            assert_eq!(membership(HYBRID), Some((CgroupVersion::V1, &b"/a/b c"[..])));
            assert_eq!(membership(b"0::/a:b\n"), Some((CgroupVersion::V2, &b"/a:b"[..])));
            let only_others = b"2:cpu:/\n1:name=memory:/\n";
            assert_eq!(membership(only_others), None);
        }

        #[test]
        fn a_mount_shows_what_is_below_its_root() {
            let v1 = "35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw master:9 - cgroup cgroup rw,memory\n";
            let v2 = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
            let both = format!("{v2}{v1}");
            for (version, path, expected) in [
                (CgroupVersion::V1, "/docker/1", Some("/sys/fs/cgroup/memory")),
                (CgroupVersion::V1, "/docker/1/x", Some("/sys/fs/cgroup/memory/x")),
                (CgroupVersion::V1, "/docker/12", None),
                (CgroupVersion::V1, "/", None),
                (CgroupVersion::V2, "/", Some("/sys/fs/cgroup")),
                (CgroupVersion::V2, "/a.slice/b.scope", Some("/sys/fs/cgroup/a.slice/b.scope")),
                (CgroupVersion::V2, "/../other", None),
            ] {
                let path_found = found(version, path, &both);
                assert_eq!(path_found.as_deref(), expected.map(Path::new), "{version:?} {path}");
            }
            assert_eq!(found(CgroupVersion::V1, "/docker/1", v2), None);
            assert_eq!(found(CgroupVersion::V2, "/", v1), None);
        }

        #[test]
        fn a_mount_from_outside_the_namespace_shows_what_both_name() {
            let mounts = "1 2 0:3 /.. /outer rw - cgroup2 cgroup2 rw\n";
            let expected = Some(PathBuf::from("/outer/sibling"));
            assert_eq!(found(CgroupVersion::V2, "/../sibling", mounts), expected);
            assert_eq!(found(CgroupVersion::V2, "/../../far", mounts), None);
        }

        #[cfg_attr(miri, ignore = "there are no cgroups")]
        #[test]
        fn the_short_way_leads_to_the_same_place() {
            let read = |name| std::fs::read(name).unwrap_or_default();
            let (cgroups, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
            let Some((version, path)) = membership(&cgroups) else { return };
            let Some(usual) = usual_directory(version, path) else {
                return eprintln!("skipped: the hierarchy is mounted elsewhere, or not as a whole");
            };
            assert_eq!(Some(usual), directory(version, path, &mounts));
        }

        #[test]
        fn names_are_unescaped() {
            let mounts = "1 2 0:3 /a\\040b /mnt/c\\134d\\011 rw - cgroup2 none rw\n";
            let expected = Some(PathBuf::from("/mnt/c\\d\t/x"));
            assert_eq!(found(CgroupVersion::V2, "/a b/x", mounts), expected);
            assert_eq!(unescape(b"\\04 \\999 \\"), b"\\04 \\999 \\");
        }

        proptest! {
            #[test]
            fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), path in ".{0,40}") {
                let _ = membership(&bytes);
                for version in [CgroupVersion::V1, CgroupVersion::V2] {
                    let _ = directory(version, path.as_bytes(), &bytes);
                }
            }

            #[test]
            fn no_directory_leads_out_of_the_mount(path in "(/(\\.\\.|[a-b]{1,2})){0,5}", root in "(/(\\.\\.|[a-b]{1,2})){0,3}") {
                let root = if root.is_empty() { "/" } else { root.as_str() };
                let mounts = format!("1 2 0:3 {root} /mnt rw - cgroup2 none rw\n");
                if let Some(found) = found(CgroupVersion::V2, &path, &mounts) {
                    prop_assert!(found.starts_with("/mnt"));
                    prop_assert!(!found.components().any(|part| part == std::path::Component::ParentDir));
                }
            }
        }
    }
}
