//! The processes of a run: all that have its state directory in their environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::wait_until;

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`: a thread of the kernel itself.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What can be told of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Others,
    /// It has no memory: it has given its own back and is about to close its files, whose locks still
    /// hold, or it is in the middle of an `execve`.
    Unclear,
}

/// Those that live now, with the whole of what is left to run of each.
pub fn of(state: &Path) -> Vec<u32> {
    all().into_iter().filter(|pid| whose(*pid, state) == Whose::Ours).collect()
}

/// Waits until all have ended, and hold no lock any more.
#[track_caller]
pub fn wait_until_ended(state: &Path) {
    let has_ended = |pid| whose(pid, state) == Whose::Others;
    wait_until("a process stays", || all().into_iter().all(has_ended));
}

fn whose(pid: u32, state: &Path) -> Whose {
    let environment = match std::fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => environment,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Whose::Others,
        Err(_) => Vec::new(),
    };
    let mark = [OsStr::new("LASTWORDS_STATE_DIR=").as_bytes(), state.as_os_str().as_bytes()];
    if environment.split(|byte| *byte == 0).any(|variable| variable == mark.concat()) {
        return Whose::Ours;
    }
    let is_memoryless = || {
        let line = std::fs::read(format!("/proc/{pid}/cmdline"));
        line.unwrap_or_default().is_empty() && Stat::of(pid).is_some_and(|stat| stat.has_files())
    };
    if environment.is_empty() && is_memoryless() { Whose::Unclear } else { Whose::Others }
}

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
struct Stat {
    state: char,
    group: u32,
    flags: u64,
    threads: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything; the first field behind it is the third of the manual.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
        Some(Stat {
            state: fields.first()?.chars().next()?,
            group: number(5)?.try_into().ok()?,
            flags: number(9)?,
            threads: number(20)?,
        })
    }

    fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Whether it is no thread of the kernel, and some thread of it still has its files open.
    fn has_files(&self) -> bool {
        let has_ended = self.state == 'X' || self.is_zombie() && self.threads <= 1;
        self.flags & KERNEL_THREAD == 0 && !has_ended
    }
}

/// Processes of the group that have ended and that nobody has waited for.
pub fn zombies_of_group(group: u32) -> Vec<u32> {
    let is_one = |pid: &u32| Stat::of(*pid).is_some_and(|it| it.is_zombie() && it.group == group);
    all().into_iter().filter(is_one).collect()
}

/// The first child of a process, if it has one.
pub fn child_of(parent: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children.ok()?.split_whitespace().next()?.parse().ok()
}

/// Sends a signal; whether there was somebody to take it.
pub fn send(signal: i32, pid: u32) -> bool {
    // SAFETY: the call touches no memory of ours. The process is of this test's own making; its id is
    // not given anew before its parent has waited for it, or within the milliseconds until this call.
    unsafe { libc::kill(pid.cast_signed(), signal) == 0 }
}

fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("a /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
