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
