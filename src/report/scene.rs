//! Everything a report is made of, gathered before any of it is shaped: a [`Scene`].

use std::time::SystemTime;

use super::context::Usage;
use crate::detect::Crash;
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
}
