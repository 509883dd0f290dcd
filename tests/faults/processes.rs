//! The processes of a run: all that have its state directory in their environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Those that live now, with the whole of what is left to run of each.
pub fn of(state: &Path) -> Vec<u32> {
    let ours = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let mark = [OsStr::new("LASTWORDS_STATE_DIR=").as_bytes(), state.as_os_str().as_bytes()];
        variables.any(|variable| variable == mark.concat())
    };
    all().into_iter().filter(ours).collect()
}

/// Processes of the group that have ended and that nobody has waited for.
pub fn zombies_of_group(group: u32) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, fields)) = stat.rsplit_once(')') else { return false };
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        // State and group are the third and the fifth field (proc_pid_stat(5)).
        fields.first() == Some(&"Z") && fields.get(2).is_some_and(|it| *it == group.to_string())
    };
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
