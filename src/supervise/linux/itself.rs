//! Running this program once more, as the child of what it was: so that a program watches itself.
//!
//! **Guarantee:** the child is the same program with the same arguments, environment, directory,
//! descriptors and process name, also where its file was replaced or deleted meanwhile; the first
//! process ends as the child ends. **Not offered:** more than one thread before: a fork would leave the
//! others behind.

use std::ffi::{OsString, c_int};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::Command;
use super::signals;

/// The kernel's own way to the program that runs, whatever its file is called by now.
const EXECUTABLE: &str = "/proc/self/exe";

/// This program as a command. The second value is the name of the process, where the kernel would give
/// the child another one.
///
/// # Errors
/// Where `/proc` does not say what runs.
pub(crate) fn itself() -> io::Result<(Command, Option<OsString>)> {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_else(|| EXECUTABLE.into());
    let runs = fs::metadata(EXECUTABLE)?;
    let same = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == (runs.dev(), runs.ino()))
    };
    // By its own name where that is still this program: tools that show it know it by that.
    let named = fs::read_link(EXECUTABLE).ok().filter(same);
    let name = fs::read("/proc/self/comm").ok().map(|name| trimmed(&name));
    let given = named.as_deref().unwrap_or(Path::new(EXECUTABLE));
    let name = name.filter(|name| *name != kernels_name(given));
    let files = named.into_iter().chain([EXECUTABLE.into()]).collect();
    Ok((Command { program, arguments: words.collect(), files, ..Command::default() }, name))
}

fn trimmed(name: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(name.strip_suffix(b"\n").unwrap_or(name).to_vec())
}

/// How the kernel names a process that executes `file`: by the first 15 bytes of the file's name
/// (`TASK_COMM_LEN`).
fn kernels_name(file: &Path) -> OsString {
    let name = file.file_name().unwrap_or_default().as_bytes();
    trimmed(&name[..name.len().min(15)])
}

/// Whether this process has no thread but the one that asks.
pub(crate) fn has_one_thread() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Ends this process by a signal, without a core; returns where the signal does not end it.
pub(crate) fn die_by(signal: c_int) {
    // SAFETY: the calls change this process's own attributes and take no memory.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        // Where cores go to a program, that limit is not asked.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    signals::raise_by_default(signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found_by_its_name_first() {
        let (command, _) = itself().unwrap();
        assert_eq!(command.files[0], std::env::current_exe().unwrap());
        assert_eq!(command.files.last().unwrap(), Path::new(EXECUTABLE));
        let words: Vec<_> = std::env::args_os().collect();
        assert_eq!((&command.program, &command.arguments[..]), (&words[0], &words[1..]));
    }

    #[test]
    fn the_kernel_names_processes_by_15_bytes() {
        assert_eq!(kernels_name(Path::new("/a/b")), "b");
        assert_eq!(kernels_name(Path::new("/a/0123456789abcdefg")), "0123456789abcde");
    }
}
