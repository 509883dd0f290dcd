//! Which region is a process's own.
//!
//! **Guarantee:** a region is taken only if it says that it is of this process, or if the process has it
//! mapped and made it (a monitor has that of its child). What the process itself has mapped or open comes
//! first, wherever its state directory is, in a container too; then what its parent has, which may be
//! its monitor; the state directories last. Nothing is opened but regular files, without waiting: what a
//! process names may be a trap for root. **Lost:** a region of a process whose directory in /proc is closed
//! to us although it is ours (it has dropped its dumpable flag), unless a state directory has it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lastwords::record::{ReadError, Select, Snapshot};

use super::process::Process;

/// What the name of a region ends in.
const REGION: &str = ".region";

/// What the kernel writes behind the name of a file that was removed.
const REMOVED: &str = " (deleted)";

/// What a region without a file is called, by `/proc/PID/fd`.
const IN_MEMORY: &str = "/memfd:lastwords-region";

/// A region that was found.
#[derive(Debug)]
pub struct Found {
    /// The file, which may be removed while it is open.
    pub file: File,
    /// Its name, for a person.
    pub path: PathBuf,
}

/// The region of a process; the error is that of one which is its own as far as can be told.
pub fn region_of(
    process: &Process,
    user: u32,
    directories: &[PathBuf],
) -> Result<Option<Found>, (PathBuf, ReadError)> {
    let mut failed = None;
    for found in of_process(process.pid) {
        let made = maker(&found.path).is_some_and(|pid| process.pids.contains(&pid));
        match Snapshot::read_open_file(&found.file, Select::newest(0)) {
            Ok(snapshot) if made || is_of(&snapshot, process) => return Ok(Some(found)),
            Ok(_) => {}
            Err(error) if made => failed = failed.or(Some((found.path, error))),
            Err(_) => {}
        }
    }
    let of_parent = Process::find(process.parent).filter(|parent| parent.is_ours(user));
    let of_parent = of_parent.into_iter().flat_map(|parent| of_process(parent.pid));
    let mut others = of_parent.chain(directories.iter().flat_map(|path| in_directory(path)));
    let found = others.find(|found| {
        let snapshot = Snapshot::read_open_file(&found.file, Select::newest(0));
        snapshot.is_ok_and(|snapshot| is_of(&snapshot, process))
    });
    match (found, failed) {
        (None, Some(failed)) => Err(failed),
        (found, _) => Ok(found),
    }
}

/// The region that a process of this id left in a state directory.
pub fn left_by(pid: u32, directories: &[PathBuf]) -> Option<PathBuf> {
    let mut regions = directories.iter().flat_map(|path| in_directory(path));
    let found = regions.find(|found| {
        let snapshot = || Snapshot::read_open_file(&found.file, Select::newest(0)).ok();
        maker(&found.path) == Some(pid)
            || snapshot().is_some_and(|snapshot| snapshot.identity.pid == pid)
    });
    found.map(|found| found.path)
}

/// Whether a region says that it is of this process, and not of an earlier one of its number.
fn is_of(snapshot: &Snapshot, process: &Process) -> bool {
    let identity = &snapshot.identity;
    let same_start = identity.start_ticks.is_none_or(|ticks| ticks == process.start_ticks);
    process.pids.contains(&identity.pid) && same_start
}

/// The process that made a region, by its name: `PID-ID.region`.
fn maker(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

/// The regions that a process has mapped, then those that it has open.
fn of_process(pid: u32) -> impl Iterator<Item = Found> {
    mapped(pid).into_iter().chain(opened(pid))
}

/// A line of maps is `ADDRESSES PERMISSIONS OFFSET DEVICE INODE PATH`, the path as the process sees it
/// (`proc_pid_maps(5)`). One with a newline in it is written otherwise; it is found among the open
/// files.
fn mapped(pid: u32) -> Vec<Found> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let path = |line: &str| line.find('/').map(|at| line[at..].to_owned());
    let mut paths: Vec<String> = maps.lines().filter_map(path).collect();
    paths.retain(|path| path.ends_with(REGION));
    paths.dedup();
    let open = |path: String| {
        let seen_from_there = format!("/proc/{pid}/root{path}");
        let file = open(Path::new(&seen_from_there), libc::O_NOFOLLOW)?;
        Some(Found { file, path: path.into() })
    };
    paths.into_iter().filter_map(open).collect()
}

/// A region whose file was removed, or that has none, is still open in the process that records there.
fn opened(pid: u32) -> Vec<Found> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let region = |entry: fs::DirEntry| {
        let name = fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok()?;
        let name = name.strip_suffix(REMOVED).unwrap_or(&name);
        let is_region = name.ends_with(REGION) || name.starts_with(IN_MEMORY);
        let file = open(&entry.path(), 0).filter(|_| is_region)?;
        Some(Found { file, path: name.into() })
    };
    entries.filter_map(region).collect()
}

/// The regions in a state directory.
fn in_directory(state: &Path) -> Vec<Found> {
    let entries = fs::read_dir(state.join("regions")).into_iter().flatten().flatten();
    let region = |entry: fs::DirEntry| {
        let path = entry.path();
        let is_region = path.to_str().is_some_and(|path| path.ends_with(REGION));
        let file = is_region.then(|| open(&path, libc::O_NOFOLLOW))??;
        Some(Found { file, path })
    };
    entries.filter_map(region).collect()
}

/// Opens a regular file; a pipe or a device that is named like one is not read.
fn open(path: &Path, flags: i32) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).ok()?;
    file.metadata().is_ok_and(|facts| facts.is_file()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_in_the_name() {
        assert_eq!(maker(Path::new("/x/12-ab.region")), Some(12));
        for other in ["/memfd:lastwords-region", "/x/-1.region", "/x/12.region", "/"] {
            assert_eq!(maker(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let regions = directory.path().join("regions");
        fs::create_dir(&regions).expect("made");
        let path = |name: &str| regions.join(name);
        fs::write(path("1-a.region"), "x").expect("written");
        fs::create_dir(path("2-a.region")).expect("made");
        std::os::unix::fs::symlink("/dev/zero", path("3-a.region")).expect("made");
        let pipe =
            rustix::fs::mkfifoat(rustix::fs::CWD, path("4-a.region"), rustix::fs::Mode::RWXU);
        pipe.expect("made");
        let found = in_directory(directory.path());
        let paths: Vec<_> = found.into_iter().map(|found| found.path).collect();
        assert_eq!(paths, [path("1-a.region")]);
        assert_eq!(left_by(1, &[directory.path().to_owned()]), Some(path("1-a.region")));
        assert_eq!(left_by(7, &[directory.path().to_owned()]), None);
    }
}
