//! Which file's code lay where in a process that has died.
//!
//! **Guarantee:** any bytes make a list, of at most [`MOST_MODULES`] modules that do not overlap: a
//! line that is no mapping is passed over, and what came first stays. **Lost:** mappings that are not
//! executable, since no code is in them.
//!
//! Two sources are joined. The lines of `/proc/PID/maps` (`proc_pid_maps(5)`) say what was mapped when
//! the process died, with device and inode; the list that the program recorded at its start says with
//! which build id.

use crate::record::{LoadedModule, VDSO};

/// How many modules are kept; a line of a map is some 100 bytes.
const MOST_MODULES: usize = 4096;

/// Bytes that a path may have, as on the machine (`PATH_MAX`).
const MOST_PATH_BYTES: usize = 4096;

/// A piece of a process's memory that held code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its first address.
    pub(crate) start: u64,
    /// The address behind its last.
    pub(crate) end: u64,
    /// Where in the file the byte at `start` is from, for a mapping; `None` where only the load base
    /// of the whole object is known.
    pub(crate) file_offset: Option<u64>,
    /// The file, without the mark of a deleted one; empty for memory without a file.
    pub(crate) path: String,
    /// Device number (as `stat` gives it) and inode of the file, for a mapping of a file.
    pub(crate) device_inode: Option<(u64, u64)>,
    /// The object that the program recorded as loaded here.
    pub(crate) loaded: Option<Loaded>,
}

/// What a program recorded of an object at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// The address of its first page.
    pub(crate) base: u64,
    /// Bytes from there to its end.
    pub(crate) size: u64,
    /// GNU build id in hexadecimal digits.
    pub(crate) build_id: Option<String>,
}

impl Module {
    /// The build id in hexadecimal digits, where it is known.
    pub(crate) fn build_id(&self) -> Option<&str> {
        self.loaded.as_ref()?.build_id.as_deref()
    }
}

/// Where code lay in a process, by address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Modules {
    /// In the order of their addresses, none over another.
    sorted: Vec<Module>,
}

impl Modules {
    /// The modules of a process whose executable mappings were copied when it died: `maps` holds lines
    /// of `/proc/PID/maps`, which may be cut or damaged, `recorded` what it had loaded at its start.
    pub(crate) fn of_maps(maps: &[u8], recorded: &[LoadedModule]) -> Modules {
        let mut modules = Modules::default();
        let parsed = maps.split(|byte| *byte == b'\n').filter_map(mapping).take(MOST_MODULES);
        let mut parsed: Vec<Module> = parsed.collect();
        for module in &mut parsed {
            module.loaded = recorded
                .iter()
                .find(|loaded| holds(loaded, module) && same_object(&loaded.path, &module.path))
                .map(of_record);
        }
        modules.add(parsed);
        // A map that was cut off leaves the record.
        modules.add(recorded.iter().take(MOST_MODULES).filter_map(whole).collect());
        modules
    }

    /// The modules as the program recorded them at its start, where nobody has copied its mappings.
    pub(crate) fn of_record(recorded: &[LoadedModule]) -> Modules {
        Modules::of_maps(&[], recorded)
    }

    /// The module that holds an address.
    pub(crate) fn at(&self, address: u64) -> Option<&Module> {
        let behind = self.sorted.partition_point(|module| module.start <= address);
        self.sorted.get(behind.checked_sub(1)?).filter(|module| address < module.end)
    }

    /// All of them, in the order of their addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Module> {
        self.sorted.iter()
    }

    /// Adds what lies over none that is there already; of two that overlap the lower one stays.
    fn add(&mut self, mut more: Vec<Module>) {
        more.sort_by_key(|module| module.start);
        let mut end = 0;
        more.retain(|module| {
            let free = module.start >= end && self.is_free(module);
            end = if free { module.end } else { end };
            free
        });
        more.truncate(MOST_MODULES.saturating_sub(self.sorted.len()));
        self.sorted.append(&mut more);
        self.sorted.sort_by_key(|module| module.start);
    }

    fn is_free(&self, module: &Module) -> bool {
        let behind = self.sorted.partition_point(|other| other.start < module.end);
        behind.checked_sub(1).is_none_or(|last| self.sorted[last].end <= module.start)
    }
}

/// A recorded object as one module.
fn whole(loaded: &LoadedModule) -> Option<Module> {
    let end = loaded.base.checked_add(loaded.size)?;
    (loaded.size > 0 && loaded.path.len() <= MOST_PATH_BYTES).then(|| Module {
        start: loaded.base,
        end,
        file_offset: None,
        path: loaded.path.clone(),
        device_inode: None,
        loaded: Some(of_record(loaded)),
    })
}

fn of_record(loaded: &LoadedModule) -> Loaded {
    Loaded { base: loaded.base, size: loaded.size, build_id: loaded.build_id.clone() }
}

/// Whether a mapping lies within what was recorded. The end of the last mapping is that of its page.
fn holds(loaded: &LoadedModule, module: &Module) -> bool {
    const LARGEST_PAGE: u64 = 64 * 1024;
    let end = loaded.base.saturating_add(loaded.size).checked_next_multiple_of(LARGEST_PAGE);
    loaded.base <= module.start && end.is_none_or(|end| module.end <= end)
}

/// Whether two paths can be those of one object: the dynamic linker names it as it was asked for, a
/// symbolic link for most libraries (`libssl.so.3`), and the kernel as it is (`libssl.so.3.0.15`,
/// `libc-2.31.so`).
fn same_object(recorded: &str, mapped: &str) -> bool {
    let stem = |path: &str| -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.chars().take_while(|c| !matches!(c, '.' | '-')).collect()
    };
    recorded == mapped || stem(recorded) == stem(mapped)
}

/// A line of `/proc/PID/maps`: `start-end perms offset major:minor inode path`, numbers in hexadecimal
/// digits but the inode. `None` for what is not executable, or no such line.
fn mapping(line: &[u8]) -> Option<Module> {
    if line.len() > MOST_PATH_BYTES * 4 + 128 {
        return None;
    }
    let line = String::from_utf8_lossy(line);
    let mut rest = line.as_ref();
    let mut field = || {
        let text = rest.trim_start_matches(' ');
        let (field, after) = text.split_at(text.find(' ').unwrap_or(text.len()));
        rest = after;
        field
    };
    let (range, permissions, offset, device, inode) = (field(), field(), field(), field(), field());
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let (major, minor) = device.split_once(':')?;
    let device = device_number(hexadecimal(major)?, hexadecimal(minor)?)?;
    let inode: u64 = inode.parse().ok()?;
    if start >= end || permissions.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let path = path_of(rest.trim_start_matches(' '), inode);
    (path.len() <= MOST_PATH_BYTES).then_some(Module {
        start,
        end,
        file_offset: Some(hexadecimal(offset)?),
        path,
        device_inode: (inode != 0).then_some((device, inode)),
        loaded: None,
    })
}

fn hexadecimal(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain)
}

fn device_number(major: u64, minor: u64) -> Option<u64> {
    Some(rustix::fs::makedev(u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

/// A path as the kernel writes it: a line break in it is `\012`, and behind that of a file without a
/// name is ` (deleted)`.
fn path_of(text: &str, inode: u64) -> String {
    let text = match text.strip_suffix(" (deleted)") {
        Some(path) if inode != 0 => path,
        _ => text,
    };
    text.replace("\\012", "\n")
}

/// Whether a module is the code that the kernel maps into each process, which is in no file.
pub(super) fn is_vdso(module: &Module) -> bool {
    module.path == VDSO
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0001000 r--p 00000000 08:01 77                         /srv/a b/service (deleted)
55d0c0001000-55d0c0005000 r-xp 00001000 08:01 77                         /srv/a b/service (deleted)
7f0000000000-7f0000021000 r-xp 00028000 fd:103 9                         /usr/lib/libc-2.31.so
7f0000030000-7f0000031000 rwxp 00000000 00:00 0 
7f0000040000-7f0000041000 r-xp 00000000 08:01 5                          /srv/line\\012break
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn recorded(base: u64, size: u64, path: &str, id: &str) -> LoadedModule {
        LoadedModule { base, size, path: path.to_owned(), build_id: Some(id.to_owned()) }
    }

    #[test]
    fn only_code_is_kept_with_what_is_known_of_its_file() {
        let own = recorded(0x55d0_c000_0000, 0x4f00, "/srv/a b/service", "ab01");
        let libc = recorded(0x7eff_fffd_8000, 0x60000, "/lib/x86_64-linux-gnu/libc.so.6", "cd02");
        let other = recorded(0x7f00_0004_0000, 0x1000, "/srv/before.so", "ef03");
        let modules = Modules::of_maps(MAPS.as_bytes(), &[own.clone(), libc, other]);
        let at = |address| modules.at(address);
        let service = at(0x55d0_c000_1000).unwrap();
        assert_eq!(service.path, "/srv/a b/service");
        assert_eq!(service.file_offset, Some(0x1000));
        assert_eq!(service.device_inode, Some((rustix::fs::makedev(8, 1), 77)));
        assert_eq!(service.loaded, Some(of_record(&own)));
        assert_eq!(at(0x7f00_0000_0000).unwrap().build_id(), Some("cd02"));
        assert_eq!(at(0x7f00_0003_0000).unwrap().path, "");
        // Another library was there at the start.
        let broken = at(0x7f00_0004_0000).unwrap();
        assert_eq!((broken.path.as_str(), broken.build_id()), ("/srv/line\nbreak", None));
        assert!(is_vdso(at(0x7ffc_0000_1fff).unwrap()));
        assert_eq!(at(0x7ffc_0000_2000), None);
        assert_eq!(at(0x7f00_0002_1000), None, "libc's data");
        assert_eq!(at(0), None);
        assert_eq!(at(u64::MAX), None);
    }

    #[test]
    fn a_record_alone_gives_modules() {
        let modules = Modules::of_record(&[recorded(0x1000, 0x800, "/a", "00")]);
        assert_eq!(modules.at(0x17ff).unwrap().build_id(), Some("00"));
        assert_eq!(modules.at(0x1800), None);
        assert_eq!(Modules::of_record(&[recorded(u64::MAX, 9, "/a", "00")]), Modules::default());
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_list(
            lines in prop::collection::vec(
                prop_oneof![
                    "[0-9a-f]{1,17}-[0-9a-f]{1,17} r-xp [0-9a-f]{1,9} [0-9a-f]{2}:[0-9a-f]{2} [0-9]{1,3} .{0,20}",
                    ".{0,60}",
                ],
                0..20,
            ),
            garbage in prop::collection::vec(any::<u8>(), 0..200),
            base: u64,
            size: u64,
            probe: u64,
        ) {
            let mut maps = lines.join("\n").into_bytes();
            maps.extend(garbage);
            let modules = Modules::of_maps(&maps, &[recorded(base, size, "/a", "00")]);
            for pair in modules.sorted.windows(2) {
                prop_assert!(pair[0].start < pair[0].end && pair[0].end <= pair[1].start);
            }
            if let Some(module) = modules.at(probe) {
                prop_assert!(module.start <= probe && probe < module.end);
            }
        }
    }
}
