//! Regions of the dead, as a program left them and changed as a test needs them.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use lastwords::record::{Select, Snapshot};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use crate::common::wait_until;
use crate::common::{Event, HANGS, Profile, Run, events_in, regions_in};

pub const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// A process id that no system gives.
pub const NOBODY: u32 = i32::MAX as u32;

/// Words of a region's header, as `record/layout.rs` draws it.
pub mod word {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 1;
    pub const END: usize = 3;
    pub const SECTIONS: usize = 4;
    pub const CHILD: usize = 21;
    pub const ASKED: usize = 40;
}

/// The section of panics in that table, and what a slot's first word says of its panic.
const SLOTS: usize = 3;
pub const COMPLETE: u64 = 3;
pub const UNKEPT: u64 = 5;

/// The byte that every process which records in a region holds, with others.
const LIFE: i64 = 1 << 40;

/// The bytes of a region.
#[derive(Clone)]
pub struct Corpse(Vec<u8>);

impl Corpse {
    /// Of a program that was killed while it waited, after a thread of it had panicked and that was
    /// reported.
    pub fn new() -> Corpse {
        static LEFT: OnceLock<Corpse> = OnceLock::new();
        let make = || {
            let (run, marks) = marked("hook", "waits");
            let running = run.start();
            wait_for_mark(&marks, "waits");
            let outcome = running.kill();
            let regions = outcome.regions();
            assert_eq!(regions.len(), 1, "{outcome:?}");
            Corpse(std::fs::read(&regions[0]).expect("a region"))
        };
        LEFT.get_or_init(make).clone()
    }

    /// As [`new`](Self::new), without what takes long to work out, and under an id of its own.
    pub fn numbered(number: u128) -> Corpse {
        let id = format!("{number:032x}");
        Corpse::new()
            .with("silent_death_id", json!(id))
            .with("install_stack", json!([]))
            .with("pid", json!(NOBODY))
    }

    pub fn set_word(mut self, at: usize, value: u64) -> Corpse {
        self.0[8 * at..8 * at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.0[8 * at..8 * at + 8].try_into().expect("eight"))
    }

    /// The word at which a section begins.
    fn section(&self, section: usize) -> usize {
        self.word(word::SECTIONS + 2 * section) as usize / 8
    }

    /// What it says of whose it is.
    pub fn identity(&self) -> Value {
        let section = self.section(0);
        let place = self.word(section);
        let begin = 8 * (section + (place >> 32) as usize);
        let length = (place & 0xFFFF_FFFF) as usize;
        serde_json::from_slice(&self.0[begin..begin + length]).expect("JSON")
    }

    /// Another value in that.
    pub fn with(self, key: &str, value: Value) -> Corpse {
        let mut identity = self.identity();
        identity[key] = value;
        let text = identity.to_string();
        let section = self.section(0);
        let mut changed = self.set_word(section, text.len() as u64 | 1 << 32);
        changed.0[8 * section + 8..8 * section + 8 + text.len()].copy_from_slice(text.as_bytes());
        changed
    }

    /// Of the one panic in it.
    pub fn panic_is(self, state: u64) -> Corpse {
        let slots = self.section(SLOTS);
        assert_ne!(self.word(slots), 0, "a thread has panicked");
        self.set_word(slots, state)
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A run of the program `marked`, and the file of its marks.
pub fn marked(setting: &str, end: &str) -> (Run, PathBuf) {
    let run = Run::of(Profile::Dev, "marked");
    let marks = run.home().join("marks");
    (run.argument(setting).argument(&marks).argument(end), marks)
}

pub fn wait_for_mark(marks: &Path, mark: &str) {
    wait_until(mark, || std::fs::read_to_string(marks).is_ok_and(|text| text.contains(mark)));
}

/// A state directory, for regions of the dead.
pub struct Grave(TempDir);

impl Grave {
    pub fn new() -> Grave {
        let grave = Grave(tempfile::tempdir().expect("a temporary directory"));
        for folder in ["", "regions", "waiting", "sent"] {
            let path = grave.state().join(folder);
            std::fs::create_dir(&path).expect("a folder");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(path, mode).expect("ours");
        }
        grave
    }

    pub fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Puts bytes there under the name of a region of process `pid`.
    pub fn put(&self, pid: u32, bytes: &[u8]) -> PathBuf {
        let count = std::fs::read_dir(self.state().join("regions")).expect("a folder").count();
        let path = self.state().join(format!("regions/{pid}-{count:032x}.region"));
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Puts a region there.
    pub fn lay(&self, corpse: Corpse) -> PathBuf {
        self.put(NOBODY, &corpse.bytes())
    }

    /// The one region there is, swept: what the command says became of it.
    #[track_caller]
    pub fn outcome(&self) -> String {
        let told = self.sweep();
        assert_eq!(told.len(), 1, "{told:?}");
        told[0]["outcome"].as_str().expect("a word").to_owned()
    }

    /// What the command says of each region.
    pub fn sweep(&self) -> Vec<Value> {
        told(&mut sweeper(&self.state()))
    }

    pub fn events(&self) -> Vec<Event> {
        events_in(&self.state())
    }

    /// Types of the events' exceptions.
    pub fn types(&self) -> Vec<String> {
        let ty = |event: &Event| event.exceptions()[0]["type"].as_str().expect("a type").to_owned();
        self.events().iter().map(ty).collect()
    }

    #[track_caller]
    pub fn is_empty(&self) {
        assert_eq!(regions_in(&self.state()), Vec::<PathBuf>::new());
    }
}

/// The command that sweeps a state directory.
pub fn sweeper(state: &Path) -> Command {
    let mut command = Command::new(LASTWORDS);
    command.args(["sweep", "--json", "--state-dir"]).arg(state).env_clear();
    // What dies here dies of the same.
    command.env("LASTWORDS_RATE_LIMIT", "0");
    command
}

/// What it says. It ends by itself, whatever it meets.
pub fn told(command: &mut Command) -> Vec<Value> {
    let output = command.output().expect("lastwords can be run");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Makes a file look as if nobody had written it for so many seconds; with 0, as if somebody just did, however
/// slow this machine is.
pub fn age(path: &Path, seconds: u64) {
    let file = std::fs::File::options().write(true).open(path).expect("a file");
    let now = SystemTime::now();
    let time = if seconds == 0 { now + HANGS } else { now - Duration::from_secs(seconds) };
    file.set_modified(time).expect("ours");
}

/// Holds a region's life lock as a process that records there does, as long as the file is open.
pub fn hold(path: &Path) -> std::fs::File {
    let file = std::fs::File::options().read(true).write(true).open(path).expect("a file");
    // SAFETY: `flock` is a structure of integers, for which zero is a value.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = libc::F_RDLCK as libc::c_short;
    range.l_start = LIFE;
    range.l_len = 1;
    // SAFETY: the descriptor is open, and the structure is borrowed for the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut range) };
    assert_eq!(done, 0);
    file
}

/// When this process started, in clock ticks since boot.
pub fn own_start() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a /proc");
    let after_name = stat.rsplit_once(')').expect("a name").1;
    // Field 22 by proc_pid_stat(5), of which the state is the third.
    after_name.split_ascii_whitespace().nth(22 - 3).expect("a field").parse().expect("a number")
}

/// The identity of a region on disk.
pub fn death_id(region: &Path) -> String {
    Snapshot::read_file(region, Select::newest(0)).expect("a region").identity.silent_death_id
}
