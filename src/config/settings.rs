//! What the rest of the program reads: [`Settings`].

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sentry::types::Dsn;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::environment;
use super::form::{KIB, MIB};
use super::table::TABLE;

/// Every setting, resolved and within its bounds. What each one means stands in
/// [`TABLE`].
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// Whether anything may leave this machine.
    pub enable_sentry: bool,
    /// Where to send; `None` leaves reports in the spool.
    pub dsn: Option<Dsn>,
    /// Version of the program, as given.
    pub release: Option<String>,
    /// Where the program runs: as given, else derived from release and edition. Never empty.
    pub environment: String,
    /// The program's edition, as given; the derived environment already carries it.
    pub edition: Option<String>,
    /// Static tags, each key once.
    pub tags: Vec<(String, String)>,
    /// The key under which the watched program's first argument becomes a tag.
    pub tag_subcommand: Option<String>,
    /// Which tracing events become breadcrumbs.
    pub filter: Targets,
    /// How many breadcrumbs an event carries at most.
    pub breadcrumbs: usize,
    /// Bytes of the ring, a multiple of 16 KiB.
    pub ring_size: u64,
    /// Bytes of raw stderr attached at most.
    pub stderr_tail: u64,
    /// Where spool and regions are, as given: possibly relative. `None` leaves the search for a
    /// directory that works.
    pub state_dir: Option<PathBuf>,
    /// Bytes of reports kept; 0 sends from memory.
    pub spool_limit: u64,
    /// Longest wait of a dying process without monitor.
    pub flush: Duration,
    /// How many reports of one fingerprint are sent in an hour; 0 sends all.
    pub rate_limit: usize,
    /// More key names whose values are scrubbed, each once.
    pub scrub_keys: Vec<String>,
    /// How the program is to be watched; `None` leaves it to the call of `supervise`. A program that
    /// makes no such call is not watched, whatever stands here.
    pub supervise: Option<SuperviseMode>,
    /// Whether sessions are sent.
    pub sessions: bool,
    /// Whether native crashes carry a minidump.
    pub minidump: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enable_sentry: true,
            dsn: None,
            release: None,
            environment: environment::derive(None, None),
            edition: None,
            tags: Vec::new(),
            tag_subcommand: None,
            filter: Targets::new().with_default(LevelFilter::INFO),
            breadcrumbs: 100,
            ring_size: MIB,
            stderr_tail: 64 * KIB,
            state_dir: None,
            spool_limit: 64 * MIB,
            flush: Duration::from_secs(2),
            rate_limit: 30,
            scrub_keys: Vec::new(),
            supervise: None,
            sessions: false,
            minidump: false,
        }
    }
}

impl Settings {
    /// Adds the tag that [`tag_subcommand`](Self::tag_subcommand) asks for: the program's first
    /// argument, if it has one.
    pub(crate) fn tag_first_argument(&mut self, first: Option<&OsStr>) {
        if let (Some(key), Some(first)) = (&self.tag_subcommand, first) {
            self.tags.retain(|(known, _)| known != key);
            self.tags.push((key.clone(), first.to_string_lossy().into_owned()));
        }
    }
}

impl fmt::Debug for Settings {
    /// Every setting as [`show`](Settings::show) has it, so that no key of a DSN is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(TABLE.iter().map(|setting| (setting.name, self.show(setting.key))))
            .finish()
    }
}

/// How a program that calls `supervise` is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuperviseMode {
    /// Not at all.
    Off,
    /// By its parent: the monitor starts the program as its child.
    Wrap,
    /// By a detached child: the program keeps its process id.
    Monitor,
}

impl fmt::Display for SuperviseMode {
    /// The word that [`parse::mode`](super::parse::mode) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SuperviseMode::Off => "off",
            SuperviseMode::Wrap => "wrap",
            SuperviseMode::Monitor => "monitor",
        })
    }
}
