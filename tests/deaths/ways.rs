//! The ways to die, and what each must yield.

use std::path::Path;

use crate::common::Setting;
use crate::common::{self, Profile};

/// A way to die, or to end well.
pub struct Way {
    /// Its name, as the program takes it.
    pub name: &'static str,
    /// Its words in the table.
    pub title: &'static str,
    /// How the program is built.
    pub profile: Profile,
    /// What is done to it from outside, once it is ready.
    pub act: Act,
    /// Whether it is a crash.
    pub is_crash: bool,
    /// The function that the event is about, where it is not `the_end`.
    pub top: Option<&'static str>,
    /// Cells that are not as the way demands, and why.
    pub except: &'static [(Setting, usize, &'static str)],
}

/// What is done from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Nothing,
    /// A signal is sent to the program, once it says that it is ready.
    Signal(i32),
    /// Everything is killed at once, who watches too; a sweep finds it.
    KillAll,
    /// It runs in a memory cgroup of 64 MiB.
    Cgroup,
}

const NOTHING: Way = Way {
    name: "",
    title: "",
    profile: Profile::Dev,
    act: Act::Nothing,
    is_crash: true,
    top: None,
    except: &[],
};

const fn dies(name: &'static str, title: &'static str) -> Way {
    Way { name, title, ..NOTHING }
}

const fn lives(name: &'static str, title: &'static str) -> Way {
    Way { name, title, is_crash: false, ..NOTHING }
}

// Why cells are as they are.
const BEFORE: &str = "the panic is raised before anything is installed";
const LEFT: &str = "nobody sees the status: `_exit` looks like a kill";

pub const WAYS: &[Way] = &[
    dies("panic-main", "panic in `main`"),
    dies("panic-thread", "panic in a thread, which `main` survives"),
    Way { profile: Profile::Abort, ..dies("panic-main", "panic with `panic = \"abort\"`") },
    dies("panic-any", "`panic_any` with a payload that is no text"),
    dies("panic-in-drop", "panic in a `Drop` while another panic unwinds"),
    dies("panic-in-panic", "panic in the program's own hook"),
    Way {
        top: Some("fmt"),
        ..dies("panic-in-message", "panic while a panic's message is written")
    },
    dies("panic-no-unwind", "panic in a function that cannot unwind"),
    dies("panic-thread-local", "panic in a thread-local's destructor"),
    dies("later-hook", "panic with a hook set after ours"),
    Way {
        except: &[(Setting::Hook, 0, BEFORE), (Setting::Monitor, 0, BEFORE)],
        ..dies("before-install", "panic before `install`")
    },
    dies("unsafe-precondition", "violated precondition of `unsafe` code"),
    dies("allocation", "allocation failure"),
    dies("process-abort", "`process::abort`"),
    dies("abort-thread", "C's `abort` in a thread"),
    dies("segv-main", "SIGSEGV in `main`"),
    dies("segv-thread", "SIGSEGV in a thread"),
    dies("null-call", "call of a function that is not there"),
    dies("bus", "SIGBUS: a mapped file that was cut"),
    dies("ill", "SIGILL"),
    dies("fpe", "SIGFPE: division by zero"),
    dies("trap", "SIGTRAP"),
    dies("sys", "SIGSYS"),
    dies("overflow-main", "stack overflow in `main`"),
    dies("overflow-thread", "stack overflow in a thread"),
    dies("cpu-limit", "SIGXCPU: the limit on processor time"),
    dies("file-limit", "SIGXFSZ: the limit on a file's size"),
    Way { act: Act::Signal(libc::SIGSEGV), ..dies("segv-sent", "SIGSEGV sent by `kill`") },
    Way { act: Act::Signal(libc::SIGKILL), top: NONE, ..dies("wait", "SIGKILL") },
    dies("panic-killed", "SIGKILL while a panic of `main` unwinds"),
    Way { top: NONE, ..dies("panic-caught-then-killed", "SIGKILL, a second after a caught panic") },
    Way {
        act: Act::KillAll,
        top: NONE,
        ..dies("wait", "SIGKILL of the program and who watches it")
    },
    Way { act: Act::Cgroup, top: NONE, ..dies("oom", "the kernel's OOM killer") },
    lives("return", "`main` returns"),
    lives("exit-0", "`exit(0)`"),
    lives("exit-3", "`exit(3)`"),
    lives("exit-from-thread", "`exit(0)` in a thread"),
    lives("quick-exit", "`quick_exit(0)`"),
    Way { except: &[(Setting::Hook, 1, LEFT)], top: NONE, ..lives("_exit", "`_exit(0)`") },
    lives("term", "SIGTERM"),
    lives("term-handled", "SIGTERM, handled"),
    lives("int", "SIGINT"),
    lives("hup", "SIGHUP"),
    lives("alarm", "SIGALRM"),
];

/// No stack is to be had: the process ran no code of its own.
const NONE: Option<&str> = Some("");

impl Way {
    /// How many events it must yield.
    pub fn events(&self, setting: Setting) -> usize {
        match self.except.iter().find(|(of, ..)| *of == setting) {
            Some((_, events, _)) => *events,
            None if self.name == "panic-caught-then-killed" => 2,
            None => usize::from(self.is_crash),
        }
    }

    /// Whether this machine offers what it takes.
    pub fn can_be_had(&self) -> bool {
        let can = self.act != Act::Cgroup || cgroup().is_some();
        if !can {
            common::skipped("no memory cgroup can be made here");
        }
        can
    }
}

/// Where memory cgroups of this process can be made: version and directory.
pub fn cgroup() -> Option<(u8, std::path::PathBuf)> {
    if !common::is_root() {
        return None;
    }
    let v1 = Path::new("/sys/fs/cgroup/memory");
    let (version, directory) = match v1.join("memory.oom_control").exists() {
        true => (1, v1),
        false => (2, Path::new("/sys/fs/cgroup")),
    };
    let probe = directory.join(format!("lastwords-probe-{}", std::process::id()));
    std::fs::create_dir(&probe).ok()?;
    let limit = if version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
    let works = std::fs::write(probe.join(limit), "67108864").is_ok();
    let _ = std::fs::remove_dir(&probe);
    works.then(|| (version, directory.to_owned()))
}
