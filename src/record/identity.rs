//! Whose region it is: enough to find out, later and from outside, whether that process still
//! lives, and to report it as it would have reported itself.
//!
//! **Guarantee:** collecting never fails; what /proc does not say stays unknown. The identity is
//! written once, at install, as JSON: it is read rarely, by readers that may be of another version,
//! and an unknown key is no error.

use serde::{Deserialize, Serialize};

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
}

/// When a process started, in clock ticks since boot.
pub(super) fn start_ticks_of(pid: u32) -> Option<u64> {
    proc::start_ticks(&pid.to_string())
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
        Identity {
            pid: std::process::id(),
            start_ticks: proc::start_ticks("self"),
            boot_id: proc::boot_id(),
            pid_namespace: proc::pid_namespace(),
            executable: std::env::current_exe().ok().map(|path| path.display().to_string()),
            build_id: proc::build_id(),
            server_name: proc::server_name(),
            started_millis: super::clock::wall_nanos() / 1_000_000,
            silent_death_id: super::random::id().simple().to_string(),
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

    /// The build id from the program headers of the executable as it is loaded: the file may have
    /// been replaced since.
    pub(super) fn build_id() -> Option<String> {
        let mut id = None;
        // SAFETY: `first_object` has the signature that `dl_iterate_phdr` asks for, and `id`
        // outlives the call, which ends before this function does.
        unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut id).cast()) };
        id
    }

    /// Looks at the first object, which is the executable, and stops the iteration.
    unsafe extern "C" fn first_object(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        id: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the dynamic linker passes a valid `info`, whose headers stay mapped as long as
        // the executable does; `id` is the pointer that `build_id` passed.
        let (headers, base, id) = unsafe {
            let info = &*info;
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
            (headers, info.dlpi_addr, &mut *id.cast::<Option<String>>())
        };
        for note in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
            let address = base.wrapping_add(note.p_vaddr) as *const u8;
            // SAFETY: a PT_NOTE segment of the running executable is mapped and never written.
            let bytes = unsafe { std::slice::from_raw_parts(address, note.p_memsz as usize) };
            *id = id.take().or_else(|| build_id_note(bytes));
        }
        1
    }

    /// The description of the note of type NT_GNU_BUILD_ID (3) and name "GNU", by the ELF
    /// specification: three 4-byte words (sizes of name and description, type), then both, each
    /// filled up to 4 bytes.
    pub(super) fn build_id_note(mut notes: &[u8]) -> Option<String> {
        loop {
            let (head, rest) = notes.split_at_checked(12)?;
            let word = |at: usize| -> Option<usize> {
                let bytes = head.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(u32::from_ne_bytes(bytes)).ok()
            };
            let (name_len, desc_len, kind) = (word(0)?, word(4)?, word(8)?);
            let (name, rest) = rest.split_at_checked(name_len.checked_next_multiple_of(4)?)?;
            let desc = rest.get(..desc_len)?;
            if kind == 3 && name == b"GNU\0" {
                return Some(desc.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            notes = rest.get(desc_len.checked_next_multiple_of(4)?..)?;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_build_id_is_found_behind_other_notes() {
            let mut notes = Vec::new();
            for (kind, name, desc) in [(1u32, b"GNU\0", &[9u8; 5][..]), (3, b"GNU\0", &[0xab, 1])] {
                notes.extend((name.len() as u32).to_ne_bytes());
                notes.extend((desc.len() as u32).to_ne_bytes());
                notes.extend(kind.to_ne_bytes());
                notes.extend(name);
                notes.extend(desc);
                notes.resize(notes.len().next_multiple_of(4), 0);
            }
            assert_eq!(build_id_note(&notes).as_deref(), Some("ab01"));
            assert_eq!(build_id_note(&notes[..10]), None);
            assert_eq!(build_id_note(&[0xff; 64]), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod proc {
    pub(super) fn start_ticks(_process: &str) -> Option<u64> {
        None
    }
    pub(super) fn boot_id() -> Option<String> {
        None
    }
    pub(super) fn pid_namespace() -> Option<u64> {
        None
    }
    pub(super) fn build_id() -> Option<String> {
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
