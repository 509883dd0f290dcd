//! Whose region it is: enough to find out, later and from outside, whether that process still
//! lives, and to report it as it would have reported itself.
//!
//! **Guarantee:** collecting never fails; what /proc does not say stays unknown. The identity is
//! written once, at install, as JSON: it is read rarely, by readers that may be of another version,
//! and an unknown key is no error.

use serde::{Deserialize, Serialize};

use super::loaded::{LoadedModule, loaded_modules};

/// Identity of a recording process, and the settings that a later reader needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Process id, as the process itself sees it.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22); with pid and boot id it
    /// names a process for ever.
    pub start_ticks: Option<u64>,
    /// `/proc/sys/kernel/random/boot_id`: another one means that the machine was restarted.
    pub boot_id: Option<String>,
    /// Inode of `/proc/self/ns/pid`: a pid means something only within its namespace.
    pub pid_namespace: Option<u64>,
    /// Absolute path of the executable.
    pub executable: Option<String>,
    /// GNU build id of the executable in hexadecimal, where it has one.
    pub build_id: Option<String>,
    /// Name of the machine.
    pub server_name: Option<String>,
    /// Wall time of the start of recording, in milliseconds since 1970-01-01 UTC.
    pub started_millis: i64,
    /// The event id that a silent death of this process is reported under, 32 hex digits.
    pub silent_death_id: String,
    /// Version of the program.
    pub release: Option<String>,
    /// Environment, edition included.
    pub environment: String,
    /// Where reports go.
    pub dsn: Option<String>,
    /// Whether sending is switched off.
    pub silent: bool,
    /// Tags set before the program ran.
    pub static_tags: Vec<(String, String)>,
    /// Key names whose values are scrubbed besides the usual ones.
    pub scrub_keys: Vec<String>,
    /// How many breadcrumbs a report carries.
    pub breadcrumbs: usize,
    /// Flags that the monitor was given, by name, for the settings of the program that records here.
    pub flags: Vec<(String, String)>,
    /// What was loaded into the process at its start, the executable first.
    pub modules: Vec<LoadedModule>,
    /// Return addresses of the call that installed lastwords, innermost first: they tell whose code the
    /// program's is.
    pub install_stack: Vec<u64>,
    /// Whether the program has a function of its own that every report must pass.
    pub has_before_send: bool,
    /// Whether a monitor watched the process from its start.
    pub watched: bool,
    /// Whether sessions are sent.
    pub sessions: bool,
    /// Whether a native crash is to have a minidump.
    pub minidump: bool,
    /// The compiler that built the program, where it is known.
    pub runtime_version: Option<String>,
    /// The memory cgroup at the start, by whose counters the OOM killer is found out.
    pub memory: Option<MemoryAtStart>,
}

/// The memory cgroup of a process at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryAtStart {
    /// The cgroup, as the room that knows cgroups writes it.
    pub cgroup: serde_json::Value,
    /// How many of its processes the OOM killer had killed before.
    pub oom_kills: u64,
}

/// When a process started, in clock ticks since boot.
pub(crate) fn start_ticks_of(pid: u32) -> Option<u64> {
    proc::start_ticks(&pid.to_string())
}

/// Boot id, PID namespace and name of the machine, as this process sees them.
pub(super) fn of_this_machine() -> (Option<String>, Option<u64>, Option<String>) {
    (proc::boot_id(), proc::pid_namespace(), proc::server_name())
}

/// Whether process `pid`, started at `start_ticks` (unknown: whenever), runs. One that has died and
/// was not waited for yet does not.
pub(crate) fn is_running(pid: u32, start_ticks: Option<u64>) -> bool {
    let process = pid.to_string();
    let started = proc::start_ticks(&process);
    let is_it = started.is_some() && (start_ticks.is_none() || started == start_ticks);
    is_it && !proc::has_ended(&process)
}

/// Where in the identity section the JSON lies by the section's first word: first word and bytes.
pub(super) fn place(word: u64) -> (usize, usize) {
    ((word >> 32) as usize, (word & 0xFFFF_FFFF) as usize)
}

/// The identity in the words of its section; what makes no sense is left out.
pub(super) fn read(section: &[u64]) -> Identity {
    let Some(word) = section.first() else { return Identity::default() };
    let (first, length) = place(*word);
    let bytes = super::decode::bytes_of(section.get(first..).unwrap_or_default());
    serde_json::from_slice(bytes.get(..length).unwrap_or_default()).unwrap_or_default()
}

impl Identity {
    /// What this process can say of itself; settings are left empty.
    pub(crate) fn of_this_process() -> Identity {
        let executable = std::env::current_exe().ok().map(|path| path.display().to_string());
        let modules = loaded_modules(executable.as_deref());
        Identity {
            pid: std::process::id(),
            start_ticks: proc::start_ticks("self"),
            boot_id: proc::boot_id(),
            pid_namespace: proc::pid_namespace(),
            executable,
            build_id: modules.first().and_then(|module| module.build_id.clone()),
            server_name: proc::server_name(),
            started_millis: super::clock::wall_nanos() / 1_000_000,
            silent_death_id: super::random::id().simple().to_string(),
            modules,
            ..Identity::default()
        }
    }
}

#[cfg(target_os = "linux")]
mod proc {
    use std::os::unix::fs::MetadataExt;

    pub(super) fn start_ticks(process: &str) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name in parentheses may hold anything; the fields after it start with the third.
        let after_name = stat.rsplit_once(')')?.1;
        after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
    }

    /// Whether a process that is still listed has died: all its threads have. (A main thread may end
    /// before the others.)
    pub(super) fn has_ended(process: &str) -> bool {
        if !is_zombie(&format!("/proc/{process}/stat")) {
            return false;
        }
        let threads = std::fs::read_dir(format!("/proc/{process}/task"));
        threads.into_iter().flatten().flatten().all(|it| {
            let stat = it.path().join("stat");
            is_zombie(&stat.to_string_lossy())
        })
    }

    /// Whether a `stat` file says so; what is gone is no more than that.
    fn is_zombie(stat: &str) -> bool {
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        matches!(state, None | Some('Z' | 'X' | 'x'))
    }

    pub(super) fn boot_id() -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }

    pub(super) fn pid_namespace() -> Option<u64> {
        std::fs::metadata("/proc/self/ns/pid").ok().map(|meta| meta.ino())
    }

    pub(super) fn server_name() -> Option<String> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        (!name.is_empty()).then_some(name)
    }
}

#[cfg(not(target_os = "linux"))]
mod proc {
    pub(super) fn start_ticks(_process: &str) -> Option<u64> {
        None
    }
    pub(super) fn has_ended(_process: &str) -> bool {
        false
    }
    pub(super) fn boot_id() -> Option<String> {
        None
    }
    pub(super) fn pid_namespace() -> Option<u64> {
        None
    }
    pub(super) fn server_name() -> Option<String> {
        std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_keys_are_no_error() {
        let identity: Identity = serde_json::from_str(r#"{"pid": 7, "moon": true}"#).unwrap();
        assert_eq!((identity.pid, identity.start_ticks), (7, None));
    }

    #[cfg(target_os = "linux")]
    #[cfg_attr(miri, ignore = "the dynamic linker is not to be asked there")]
    #[test]
    fn this_process_knows_itself() {
        let identity = Identity::of_this_process();
        assert_eq!(identity.pid, std::process::id());
        assert!(identity.start_ticks.is_some_and(|ticks| ticks > 0));
        assert_eq!(identity.silent_death_id.len(), 32);
    }
}
