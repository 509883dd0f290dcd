//! Everything a report is made of, gathered before any of it is shaped: a [`Scene`].

use std::time::SystemTime;

use super::context::Usage;
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
    /// How it ended, where this crash is what it ended of and its end is known.
    pub ending: Option<Ending>,
}
