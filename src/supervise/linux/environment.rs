//! The program's environment: ours, with what is set for it, and with its own process id where a
//! variable names ours.
//!
//! Everything is built before the fork. The child, which may not allocate, fills in the digits.

use std::ffi::{CStr, CString, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// Variables whose value is the process id of the process they are meant for.
const PROCESS_IDS: [&[u8]; 3] = [b"LISTEN_PID", b"WATCHDOG_PID", b"SYSTEMD_EXEC_PID"];
/// Its value is the inode of a pidfd of the process it is meant for.
const PIDFD_ID: &[u8] = b"LISTEN_PIDFDID";
/// The digits of a `u64` at most.
const DIGITS: usize = 20;

/// An environment for `execve`.
pub(super) struct Environment {
    /// What `pointers` points to, beside `slots`. Never changed once it is pointed to.
    entries: Vec<CString>,
    slots: Vec<Slot>,
    pointers: Vec<*const c_char>,
}

/// A variable that the child fills in.
struct Slot {
    /// `NAME=` and room for the digits and a NUL.
    text: Vec<u8>,
    name: usize,
    is_pidfd: bool,
}

impl Environment {
    /// Ours, with `variables` set.
    pub(super) fn new(variables: &[(OsString, OsString)]) -> io::Result<Self> {
        let mut environment = Environment { entries: ours(), slots: vec![], pointers: vec![] };
        environment.take_slots();
        for (name, value) in variables {
            let mut prefix = name.as_bytes().to_vec();
            prefix.push(b'=');
            let set = |entry: &CString| entry.as_bytes().starts_with(&prefix);
            environment.entries.retain(|entry| !set(entry));
            environment.slots.retain(|slot| !slot.text.starts_with(&prefix));
            prefix.extend(value.as_bytes());
            environment.entries.push(CString::new(prefix)?);
        }
        let entries = environment.entries.iter().map(|entry| entry.as_ptr());
        let slots = environment.slots.iter().map(|slot| slot.text.as_ptr().cast());
        environment.pointers = entries.chain(slots).chain([ptr::null()]).collect();
        Ok(environment)
    }

    /// Moves the variables that name this process to `slots`.
    fn take_slots(&mut self) {
        let own_pid = std::process::id().to_string();
        let mut slots = Vec::new();
        self.entries.retain(|entry| {
            let entry = entry.as_bytes();
            let Some(end) = entry.iter().position(|byte| *byte == b'=') else { return true };
            let (name, value) = (&entry[..end], &entry[end + 1..]);
            let is_pidfd = name == PIDFD_ID;
            let ours = if is_pidfd {
                own_pidfd_id().is_some_and(|id| id.to_string().as_bytes() == value)
            } else {
                PROCESS_IDS.contains(&name) && value == own_pid.as_bytes()
            };
            if ours {
                let mut text = entry[..=end].to_vec();
                text.resize(end + 1 + DIGITS + 1, 0);
                slots.push(Slot { text, name: end + 1, is_pidfd });
            }
            !ours
        });
        self.slots = slots;
    }

    /// The value of a variable, as the program will find it.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let value = |entry: &'_ CString| {
            let at = entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(entry.as_bytes().len() - at.len())
        };
        self.entries.iter().find_map(|entry| Some(&entry.as_bytes()[value(entry)?..]))
    }

    /// Fills in this process's ids. For a forked child: async-signal-safe, allocates nothing.
    pub(super) fn name_this_process(&mut self) {
        for slot in &mut self.slots {
            // SAFETY: the call has no preconditions.
            let pid = unsafe { libc::getpid() };
            let id = if slot.is_pidfd { own_pidfd_id() } else { u64::try_from(pid).ok() };
            write_digits(id.unwrap_or(0), &mut slot.text[slot.name..]);
        }
    }

    /// What `execve` takes: valid as long as `self` is neither changed nor dropped.
    pub(super) fn pointers(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// The environment as it stands, entries that are no `NAME=VALUE` among it.
fn ours() -> Vec<CString> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: `environ` is null, or an array of strings that ends in a null pointer. Nobody
    // changes it meanwhile: the process has one thread, which is here.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            entries.push(CStr::from_ptr(*next).to_owned());
            next = next.add(1);
        }
    }
    entries
}

/// The inode of a pidfd of this process, which identifies it where pidfds have inodes of their own.
fn own_pidfd_id() -> Option<u64> {
    let pidfd = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    );
    Some(rustix::fs::fstat(pidfd.ok()?).ok()?.st_ino)
}

/// Writes `number` and a NUL to the beginning of `text`, which has room for both.
fn write_digits(mut number: u64, text: &mut [u8]) {
    let mut digits = [0; DIGITS];
    let mut first = DIGITS;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let length = DIGITS - first;
    text[..length].copy_from_slice(&digits[first..]);
    text[length] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_fits() {
        for number in [0, 7, 4_194_304, u64::MAX] {
            let mut text = [b'x'; DIGITS + 1];
            write_digits(number, &mut text);
            let text = CStr::from_bytes_until_nul(&text).unwrap();
            assert_eq!(text.to_str().unwrap(), number.to_string());
        }
    }

    #[test]
    fn what_is_set_replaces_what_is_inherited() {
        let set = [("PATH".into(), "/nowhere".into()), ("ADDED".into(), "1=2".into())];
        let environment = Environment::new(&set).unwrap();
        assert_eq!(environment.get("PATH"), Some(b"/nowhere".as_slice()));
        assert_eq!(environment.get("ADDED"), Some(b"1=2".as_slice()));
        let named =
            environment.entries.iter().filter(|entry| entry.as_bytes().starts_with(b"PATH="));
        assert_eq!(named.count(), 1);
        assert!(Environment::new(&[("A".into(), "\0".into())]).is_err());
    }
}
