//! The kernel's OOM killer, at work in a cgroup made for it.
//!
//! Where the machine lets nobody make a memory cgroup (no root, version 2 below a cgroup with processes)
//! a test says so and does nothing.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::SystemTime;

use lastwords::detect::oom::{CgroupVersion, MemoryCgroup, OomCounters, is_oom_kill};
use lastwords::detect::{Ending, Mechanism, ResourceLimits, exit};
use lastwords::report::{self, CgroupMemory, Scene};
use lastwords::sentry::types::Uuid;

/// What the cgroup may use, in bytes.
const LIMIT: u64 = 32 << 20;

/// A cgroup of this test's own, below that of the test; removed with it.
struct OwnCgroup(PathBuf);

impl OwnCgroup {
    /// Makes one with a limit, or says why it cannot be made.
    fn make(name: &str) -> Result<OwnCgroup, String> {
        let above = MemoryCgroup::of_this_process().ok_or("no memory cgroup is to be seen")?;
        let directory = above.directory().join(format!("lastwords-{name}-{}", std::process::id()));
        std::fs::create_dir(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let own = OwnCgroup(directory);
        let (limit, swap) = match above.version() {
            CgroupVersion::V1 => ("memory.limit_in_bytes", ("memory.swappiness", "0")),
            CgroupVersion::V2 => ("memory.max", ("memory.swap.max", "0")),
        };
        own.write(limit, &LIMIT.to_string())?;
        // Without swap there is nothing to switch off.
        let _ = own.write(swap.0, swap.1);
        Ok(own)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let path = self.0.join(file);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A shell that waits for a line before it executes `script`.
struct Waiting {
    child: Child,
    /// Where it runs.
    _directory: tempfile::TempDir,
}

impl Waiting {
    fn start(script: &str) -> Waiting {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read line; {script}")]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        command.current_dir(&directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("there is a shell");
        Waiting { child, _directory: directory }
    }

    /// Lets it go on; how it ended, and what `look` saw of it before it was waited for.
    fn go<T>(mut self, look: impl FnOnce(u32) -> T) -> (ExitStatus, T) {
        self.child.stdin.take().expect("piped").write_all(b"go\n").expect("it reads");
        let pid = self.child.id();
        let process = rustix::process::Pid::from_child(&self.child);
        let options =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(process), options).expect("a child");
        let seen = look(pid);
        (self.child.wait().expect("a child"), seen)
    }
}

/// Runs `script` in a limited cgroup: how it ended, and the readings before and after.
fn limited(name: &str, script: &str) -> Option<(ExitStatus, OomCounters, OomCounters)> {
    let run = || {
        let own = OwnCgroup::make(name)?;
        let shell = Waiting::start(script);
        own.write("cgroup.procs", &shell.child.id().to_string())?;
        let cgroup = MemoryCgroup::of_process(shell.child.id()).ok_or("not found")?;
        assert_eq!(cgroup.directory(), own.0);
        let before = cgroup.read().ok_or("no counters")?;
        // A zombie is in the root already (version 1): its cgroup is to be found while it lives.
        let (status, ()) = shell.go(|_| ());
        Ok::<_, String>((status, before, cgroup.read().ok_or("no counters")?))
    };
    run().map_err(|why| eprintln!("skipped: {why}")).ok()
}

#[test]
fn a_kill_by_the_oom_killer_is_told_by_the_counters() {
    // One block of 256 MiB, written as a whole.
    let dd = "exec dd if=/dev/zero of=/dev/null bs=256M count=1";
    let Some((status, before, after)) = limited("oom", dd) else { return };
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
    assert!(is_oom_kill(&before, &after), "{before:?} {after:?}");
    assert_eq!((before.oom_kills, after.oom_kills), (0, 1));
    assert_eq!(after.limit, Some(LIMIT));
    assert!(after.peak.is_none_or(|peak| (LIMIT / 2..=LIMIT).contains(&peak)), "{after:?}");

    let around = exit::Circumstances { oom: Some(after), limits: ResourceLimits::default() };
    let ending = Ending::Signal(libc::SIGKILL);
    let crash = exit::silent_crash_in(&around, ending, Uuid::from_u128(1), SystemTime::now());
    let mut scene = Scene::of_text(crash.expect("a crash"), Vec::new(), Some(ending));
    scene.process.cgroup = Some(CgroupMemory::new(&after, Some(before.oom_kills)));
    assert_eq!(scene.crash.exceptions[0].mechanism, Mechanism::Oom);
    let event = report::build(&scene).to_json();
    assert_eq!(event["exception"]["values"][0]["type"], "OutOfMemory");
    assert_eq!(event["exception"]["values"][0]["mechanism"]["meta"]["signal"]["name"], "SIGKILL");
    let process = &event["contexts"]["process"];
    assert_eq!(process["memory_limit_bytes"], LIMIT);
    assert_eq!(process["memory_peak_bytes"].as_u64(), after.peak);
    assert_eq!(process["oom_kills_since_start"], 1);
}

#[test]
fn any_other_kill_is_not() {
    let Some((status, before, after)) = limited("kill", "kill -KILL $$") else { return };
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert!(!is_oom_kill(&before, &after), "{before:?} {after:?}");
}

#[test]
fn the_limit_of_a_zombie_is_known() {
    // CPU time is not to be burnt for it: what is tested is that the limits are still there.
    let shell = Waiting::start("ulimit -f 8; exec dd if=/dev/zero of=big bs=64k count=1");
    let (status, limits) = shell.go(ResourceLimits::of_process);
    assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{status}");
    assert_eq!(limits.file_bytes.map(|bytes| bytes % 8 == 0 && bytes <= 8192), Some(true));
    let around = exit::Circumstances { limits, ..exit::Circumstances::default() };
    let ending = Ending::Signal(libc::SIGXFSZ);
    let crash = exit::silent_crash_in(&around, ending, Uuid::from_u128(1), SystemTime::now());
    let value = &crash.expect("a crash").exceptions[0].value;
    assert!(
        value.starts_with("file size limit of ") && value.ends_with(" bytes exceeded"),
        "{value}"
    );
}
