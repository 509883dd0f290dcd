//! What is to be run, and how.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::Rewrites;

/// A descriptor's number.
#[cfg(unix)]
pub use std::os::fd::RawFd;
/// A descriptor's number, where there are none.
#[cfg(not(unix))]
pub type RawFd = i32;

/// A program to run, and how to run it.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program: a path, or a name that is looked for in `PATH` as `execvp` does.
    pub program: OsString,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Set in its environment, over what is inherited.
    pub variables: Vec<(OsString, OsString)>,
    /// Which signals reach it as another one, or not at all.
    pub rewrites: Rewrites,
    /// Whether it leads a session or process group of its own, to all of which signals go, and of
    /// which nothing outlives it.
    pub group: bool,
    /// Whether its standard error is a terminal.
    pub pty: PtyMode,
    /// Descriptors of the monitor's that stay open although they are not close-on-exec. All others
    /// of that kind are taken for inherited ones and closed once the program runs.
    pub keep: Vec<RawFd>,
    /// Where the program is this one again: the files it may be, tried in this order instead of a search
    /// for [`program`](Self::program), which is then only what the program is called.
    pub files: Vec<PathBuf>,
    /// Told of the process before it becomes the program.
    pub born: Option<Born>,
}

/// A function that is called in the forked process, with its process id, right before that becomes the
/// program: what it writes is there even if the monitor is killed before it learns of the child. It must be
/// async-signal-safe, and allocate nothing.
#[derive(Clone)]
pub struct Born(pub Arc<dyn Fn(u32) + Send + Sync>);

impl fmt::Debug for Born {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Born")
    }
}

impl Command {
    /// The file that the program's name means, by its absolute path with links resolved: the same
    /// search as at its start, and for a script the script. `None` if there is none.
    pub fn find(&self) -> Option<PathBuf> {
        if let Some(file) = self.files.first() {
            return file.canonicalize().ok();
        }
        let name = Path::new(&self.program);
        if name.components().count() > 1 || name.is_absolute() {
            return name.canonicalize().ok();
        }
        let folders = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let files = std::env::split_paths(&folders).map(|folder| folder.join(name));
        files.into_iter().find(|file| is_executable(file))?.canonicalize().ok()
    }
}

/// Where programs are looked for without `PATH`, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

/// Whether the program's standard error is a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PtyMode {
    /// It is if ours is.
    #[default]
    Auto,
    /// It is.
    Always,
    /// It is a pipe.
    Never,
}

impl FromStr for PtyMode {
    type Err = PtyModeError;

    fn from_str(text: &str) -> Result<Self, PtyModeError> {
        match text {
            "auto" => Ok(PtyMode::Auto),
            "always" => Ok(PtyMode::Always),
            "never" => Ok(PtyMode::Never),
            _ => Err(PtyModeError { value: text.to_owned() }),
        }
    }
}

/// A text that names no [`PtyMode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtyModeError {
    value: String,
}

impl fmt::Display for PtyModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not one of auto, always and never", self.value)
    }
}

impl std::error::Error for PtyModeError {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn found(program: &str) -> Option<PathBuf> {
        Command { program: program.into(), ..Command::default() }.find()
    }

    #[test]
    fn a_program_is_found_by_name_and_by_path_with_its_links_resolved() {
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        assert_eq!(found("/bin/sh"), Some(shell.clone()));
        assert_eq!(found("sh"), Some(shell));
        assert_eq!(found("no-such-program-anywhere"), None);
        assert_eq!(found("/no/such/program"), None);
    }
}
