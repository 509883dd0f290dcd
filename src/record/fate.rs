//! Whether the process of a region still lives.
//!
//! **Guarantee:** a process is taken for dead only where that is certain: nobody has its PID and start
//! time under the same boot and in the same PID namespace, or, from another namespace and where a monitor
//! has not written yet whom it started, nobody holds the region's life lock. A process that has died and was not waited for yet is dead. **Not decided:** on
//! which machine a region of another boot was written, beyond the machine's name.
//!
//! A lock alone proves nothing within a namespace: forked children keep it, and a program that closes
//! all descriptors or executes another program frees it.

use std::fs::File;
use std::path::Path;

use super::byte_lock;
use super::identity::{self, Identity};

/// Byte of a region's file that every process which records there holds, with others.
pub(crate) const LIFE: i64 = 1 << 40;

/// What has become of the process of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It lives and records.
    Lives,
    /// It is dead.
    Dead,
    /// It lives, but has executed another program, or the same one again: what recorded is gone.
    Replaced,
    /// The machine was restarted since.
    Restarted,
    /// Another machine's: nobody here can know.
    OnOtherMachine {
        /// Its name.
        name: String,
    },
}

/// What has become of the process `whose`, which recorded in `file` at `path`.
pub(crate) fn of(whose: &Identity, file: &File, path: &Path) -> Fate {
    let here = Here::this();
    if let (Some(theirs), Some(ours)) = (&whose.boot_id, &here.boot_id)
        && theirs != ours
    {
        return match (&whose.server_name, &here.server_name) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                Fate::OnOtherMachine { name: theirs.clone() }
            }
            _ => Fate::Restarted,
        };
    }
    if whose.pid_namespace != here.pid_namespace || whose.pid == 0 {
        // Where nobody can say, it lives: a report too many is worse than one too late.
        let held = byte_lock::is_held(file, LIFE).unwrap_or(true);
        return if held { Fate::Lives } else { Fate::Dead };
    }
    if !identity::is_running(whose.pid, whose.start_ticks) {
        return Fate::Dead;
    }
    match records_in(whose.pid, path) {
        Some(false) => Fate::Replaced,
        Some(true) | None => Fate::Lives,
    }
}

/// Whether a living process has the region mapped; `None` where it is not to be known.
fn records_in(pid: u32, path: &Path) -> Option<bool> {
    let maps = std::fs::read(format!("/proc/{pid}/maps")).ok()?;
    // The name is one of its kind, whatever the path is called in another mount namespace.
    let name = path.file_name()?.as_encoded_bytes();
    (!maps.is_empty()).then(|| memchr::memmem::find(&maps, name).is_some())
}

/// What the identities of processes are compared with.
struct Here {
    boot_id: Option<String>,
    pid_namespace: Option<u64>,
    server_name: Option<String>,
}

impl Here {
    fn this() -> Here {
        let (boot_id, pid_namespace, server_name) = identity::of_this_machine();
        Here { boot_id, pid_namespace, server_name }
    }
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(any(miri, lastwords_loom))))]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A region's file, which nobody has mapped, and its path.
    struct Left {
        file: File,
        path: std::path::PathBuf,
        _dir: tempfile::TempDir,
    }

    impl Left {
        fn new() -> Left {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("7-some.region");
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
            Left { file, path, _dir: dir }
        }

        fn fate(&self, whose: &Identity) -> Fate {
            of(whose, &self.file, &self.path)
        }

        /// Another process that records in it.
        fn share(&self) -> File {
            let other = File::options().read(true).write(true).open(&self.path).unwrap();
            assert!(byte_lock::share(&other, LIFE).unwrap());
            other
        }
    }

    /// A child that waits for the end of its input.
    fn waits() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn identity(child: &Child) -> Identity {
        let start_ticks = identity::start_ticks_of(child.id());
        Identity { pid: child.id(), start_ticks, ..Identity::of_this_process() }
    }

    #[test]
    fn a_process_is_told_from_the_next_with_its_number() {
        let left = Left::new();
        let mut child = waits();
        let whose = identity(&child);
        assert_eq!(left.fate(&whose), Fate::Replaced, "it lives and has not mapped the file");
        let earlier = whose.start_ticks.map(|ticks| ticks - 1);
        assert_eq!(left.fate(&Identity { start_ticks: earlier, ..whose.clone() }), Fate::Dead);
        drop(child.stdin.take());
        // It is a zombie from some moment on, and then waited for.
        while left.fate(&whose) == Fate::Replaced {
            std::thread::yield_now();
        }
        assert_eq!(left.fate(&whose), Fate::Dead);
        child.wait().unwrap();
        assert_eq!(left.fate(&whose), Fate::Dead);
    }

    #[test]
    fn who_has_the_file_mapped_lives() {
        let left = Left::new();
        left.file.set_len(4096).unwrap();
        // SAFETY: the file is the test's own, and nobody shortens it.
        let map = unsafe { memmap2::Mmap::map(&left.file) }.unwrap();
        assert_eq!(left.fate(&Identity::of_this_process()), Fate::Lives);
        drop(map);
        assert_eq!(left.fate(&Identity::of_this_process()), Fate::Replaced);
    }

    #[test]
    fn another_boot_is_a_restart_or_another_machine() {
        let left = Left::new();
        let _other = left.share();
        let own = Identity::of_this_process();
        let before = Identity { boot_id: Some("another".to_owned()), ..own };
        assert_eq!(left.fate(&before), Fate::Restarted);
        let name = "elsewhere".to_owned();
        let there = Identity { server_name: Some(name.clone()), ..before.clone() };
        assert_eq!(left.fate(&there), Fate::OnOtherMachine { name });
        let nameless = Identity { server_name: None, ..before };
        assert_eq!(left.fate(&nameless), Fate::Restarted);
    }

    #[test]
    fn where_a_number_means_nothing_the_lock_decides() {
        let left = Left::new();
        let own = Identity::of_this_process();
        let elsewhere = own.pid_namespace.map(|inode| inode + 1);
        let in_namespace = Identity { pid_namespace: elsewhere, ..own.clone() };
        let not_started = Identity { pid: 0, ..own };
        for whose in [in_namespace, not_started] {
            let other = left.share();
            assert_eq!(left.fate(&whose), Fate::Lives);
            drop(other);
            assert_eq!(left.fate(&whose), Fate::Dead);
        }
    }
}
