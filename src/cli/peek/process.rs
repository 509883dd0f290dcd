//! A process as `/proc` knows it (`proc_pid_stat(5)`, `proc_pid_status(5)`).
//!
//! **Guarantee:** a process is told from a later one of its number by the time of its start.

use std::fs;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id, as it is seen from here.
    pub pid: u32,
    /// Its id as it is seen in each PID namespace that it is in, its own last.
    pub pids: Vec<u32>,
    /// The process that it is a child of.
    pub parent: u32,
    /// Its real and its effective user id.
    pub users: (u32, u32),
    /// Whether it has ended, and its parent has not waited for it.
    pub is_zombie: bool,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl Process {
    /// The process of this id; that of a thread is its process. `None` if there is none.
    pub fn find(pid: u32) -> Option<Process> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let pid = numbers(&status, "Tgid:").next()?;
        let (state, parent, start_ticks) = stat(pid)?;
        let mut users = numbers(&status, "Uid:");
        let users = (users.next()?, users.next()?);
        let mut pids: Vec<u32> = numbers(&status, "NSpid:").collect();
        if pids.is_empty() {
            pids.push(pid);
        }
        Some(Process { pid, pids, parent, users, is_zombie: is_dead(state), start_ticks })
    }

    /// Whether it still runs, or is stopped.
    pub fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|(state, _, ticks)| !is_dead(state) && ticks == self.start_ticks)
    }

    /// Whether this process may look at it: it belongs to the same user, or we are root.
    pub fn is_ours(&self, user: u32) -> bool {
        user == 0 || user == self.users.0 || user == self.users.1
    }

    /// What it calls itself: the beginning of its executable's name, unless it has chosen another one.
    pub fn name(&self) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_end_matches('\n').to_owned())
    }

    /// For how many seconds it has run, time that the machine was suspended included.
    pub fn age(&self) -> Option<f64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        // SAFETY: the call takes a number and gives one.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        (ticks > 0).then(|| (uptime - self.start_ticks as f64 / ticks as f64).max(0.0))
    }
}

/// A zombie, or one that is just being taken down.
fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// State, parent and start. The name in parentheses may hold anything; the fields after it begin with the
/// third, the state, and the 22nd is the start.
fn stat(pid: u32) -> Option<(char, u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse().ok()?);
    Some((state, parent, fields.nth(22 - 5)?.parse().ok()?))
}

/// The numbers in the line that begins with `name`.
fn numbers<T: std::str::FromStr>(text: &str, name: &str) -> impl Iterator<Item = T> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let words: Vec<T> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_knows_itself() {
        let this = Process::find(std::process::id()).expect("it is there");
        assert_eq!((this.pid, this.is_zombie), (std::process::id(), false));
        assert_eq!(this.parent, std::os::unix::process::parent_id());
        assert!(this.lives() && this.pids.contains(&std::process::id()));
        assert!(this.age().is_some_and(|age| age < 24.0 * 3600.0), "{:?}", this.age());
        let later = Process { start_ticks: this.start_ticks + 1, ..this };
        assert!(!later.lives(), "another process of the same number");
        assert_eq!(Process::find(u32::MAX), None);
    }

    #[test]
    fn root_and_the_same_user_may_look() {
        let this = Process::find(std::process::id()).expect("it is there");
        let other = Process { users: (7, 8), ..this };
        assert!(other.is_ours(0) && other.is_ours(7) && other.is_ours(8) && !other.is_ours(9));
    }
}
