//! Everything a report is made of, gathered before any of it is shaped: a [`Scene`].

use std::collections::BTreeMap;
use std::time::SystemTime;

use sentry::protocol::{Context, Event, Request, TraceContext, User, Value};

use super::context::Usage;
use crate::detect::oom::OomCounters;
use crate::detect::{Crash, Ending};
use crate::record::{Breadcrumb, Losses};

/// A crash and all that is known around it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What happened.
    pub crash: Crash,
    /// The last breadcrumbs, oldest first; `report` takes the newest of them.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// How many of them the event may carry at most (the setting `LASTWORDS_BREADCRUMBS`).
    pub breadcrumb_limit: usize,
    /// What the recorder could not keep.
    pub losses: Losses,
    /// Tags as they were set, static ones first; where a key stands twice the later one wins.
    pub tags: Vec<(String, String)>,
    /// Version of the program.
    pub release: Option<String>,
    /// Environment the program ran in, the edition already appended.
    pub environment: String,
    /// The process that crashed.
    pub process: ProcessInfo,
    /// Whether breadcrumbs were kept in a file that outlives the process, or only in memory.
    pub durable: bool,
    /// What another part of the program knows.
    pub ambient: Ambient,
}

/// What went on around a crash, as a `sentry` client in the same program knows it.
#[derive(Debug, Clone, Default)]
pub struct Ambient {
    /// The user.
    pub user: Option<User>,
    /// The trace and span.
    pub trace: Option<TraceContext>,
    /// The transaction's name.
    pub transaction: Option<String>,
    /// The web request.
    pub request: Option<Request>,
    /// Its tags; those of the recorder come before them.
    pub tags: BTreeMap<String, String>,
    /// Whatever the program added.
    pub extra: BTreeMap<String, Value>,
    /// Its contexts; those of the report come before them.
    pub contexts: BTreeMap<String, Context>,
    /// Its breadcrumbs, oldest first.
    pub breadcrumbs: Vec<sentry::Breadcrumb>,
}

impl Ambient {
    /// What the `sentry` client knows of this thread.
    ///
    /// It takes the lock of the thread's scope: a `before_breadcrumb` of the client's, which runs under
    /// it, must not get here.
    #[must_use]
    pub fn of_this_thread() -> Ambient {
        let scope = sentry::configure_scope(|scope| scope.clone());
        let event = scope.apply_to_event(Event::default());
        event.map(Ambient::of_event).unwrap_or_default()
    }

    /// What a `sentry` client has put on an event of its own.
    #[must_use]
    pub fn of_event(event: Event<'static>) -> Ambient {
        let mut contexts = event.contexts;
        let trace = match contexts.remove("trace") {
            Some(Context::Trace(trace)) => Some(*trace),
            _ => None,
        };
        Ambient {
            user: event.user,
            trace,
            transaction: event.transaction,
            request: event.request,
            tags: event.tags,
            extra: event.extra,
            contexts,
            breadcrumbs: event.breadcrumbs.values,
        }
    }
}

impl Scene {
    /// The scene of a crash that was read from text, on whatever machine it was written.
    #[must_use]
    pub fn of_text(crash: Crash, breadcrumbs: Vec<Breadcrumb>, ending: Option<Ending>) -> Scene {
        Scene {
            crash,
            breadcrumb_limit: breadcrumbs.len(),
            breadcrumbs,
            losses: Losses::default(),
            tags: Vec::new(),
            release: None,
            environment: String::new(),
            process: ProcessInfo { ending, ..ProcessInfo::default() },
            durable: false,
            ambient: Ambient::default(),
        }
    }
}

/// Where a crash stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first and its last line, from 1.
    pub lines: (u64, u64),
    /// Its first byte, from 0, and the one behind its last.
    pub bytes: (u64, u64),
}

/// The process that crashed.
#[derive(Debug, Clone, Default)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// When the process started; `None` where /proc does not say.
    pub started: Option<SystemTime>,
    /// Absolute path of the executable.
    pub executable: Option<String>,
    /// Name of the machine.
    pub server_name: Option<String>,
    /// Its memory, measured before the report itself took any.
    pub usage: Usage,
    /// The memory of its cgroup, where that is known.
    pub cgroup: Option<CgroupMemory>,
    /// SHA-256 of the executable in hexadecimal digits, where it is known.
    pub executable_sha256: Option<String>,
    /// How it ended, where this crash is what it ended of and its end is known.
    pub ending: Option<Ending>,
    /// When it was found dead, where nobody saw it die: the crash's time is then that of its last sign of
    /// life.
    pub found: Option<SystemTime>,
}

/// The memory of a process's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupMemory {
    /// The most bytes it may use, by its own limit or that of a cgroup above it.
    pub limit: Option<u64>,
    /// The most bytes it ever used.
    pub peak: Option<u64>,
    /// How many of its processes the kernel's OOM killer took since the process started; `None` where
    /// the count at its start is not known.
    pub oom_kills_since_start: Option<u64>,
}

impl CgroupMemory {
    /// The memory of a cgroup by its counters: those of the process's end, and the number of OOM kills
    /// that was counted at its start.
    #[must_use]
    pub fn new(now: &OomCounters, kills_at_start: Option<u64>) -> CgroupMemory {
        CgroupMemory {
            limit: now.limit,
            peak: now.peak,
            oom_kills_since_start: kills_at_start.map(|start| now.oom_kills.saturating_sub(start)),
        }
    }
}
