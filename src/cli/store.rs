//! Where reports are found and how their event is taken out of the file: the one place that knows
//! of the spool and of envelopes.
//!
//! Reading makes nothing, changes nothing and waits for nothing. A report that cannot be read is an
//! [`Unreadable`] of its own and hides no other.

use std::path::{Path, PathBuf};

use lastwords::deliver::{Entry, Spool, SpoolError, State, Verdict};
use lastwords::report::{Envelope, EnvelopeError, Item};
use lastwords::sentry::types::Uuid;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::clock;
use super::error::Error;

/// The name of the attachment that holds the raw end of standard error.
const STDERR: &str = "stderr.txt";

/// The spool that was found, or where one was looked for in vain.
pub struct Store {
    spool: Option<Spool>,
    candidates: Vec<PathBuf>,
}

/// A report in the spool.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// When it happened, else when the file was written.
    pub time: Option<OffsetDateTime>,
    /// Its file.
    pub path: PathBuf,
    /// How far it has come.
    pub state: State,
    /// What the server said when it refused it.
    pub verdict: Option<String>,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a report yields no event.
#[derive(Debug)]
pub enum Unreadable {
    /// The file cannot be read.
    File(SpoolError),
    /// It is no envelope, or one without an event.
    Envelope(EnvelopeError),
    /// The event is no text.
    NotUtf8(std::str::Utf8Error),
    /// The event is no JSON object.
    NotJson(serde_json::Error),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Envelope(error) => error.fmt(f),
            Self::NotUtf8(_) => write!(f, "the event is not UTF-8"),
            Self::NotJson(_) => write!(f, "the event is not a JSON object"),
        }
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::Envelope(error) => error.source(),
            Self::NotUtf8(error) => Some(error),
            Self::NotJson(error) => Some(error),
        }
    }
}

impl Store {
    /// Finds the state directory: the one asked for, else the first that exists and is ours.
    pub fn find(asked: Option<&Path>) -> Result<Self, Error> {
        let candidates = candidates_of(asked);
        let mut refused = None;
        for directory in candidates.iter().filter(|path| path.symlink_metadata().is_ok()) {
            match Spool::open_existing(directory) {
                Ok(spool) => return Ok(Self { spool: Some(spool), candidates }),
                // A recorder would not have used it either, but gone on to the next.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) => Err(Error::Spool(error)),
            None => Ok(Self { spool: None, candidates }),
        }
    }

    /// Its reports, the latest crash first.
    pub fn reports(&self) -> Result<Vec<Report>, Error> {
        let Some(spool) = &self.spool else { return Ok(Vec::new()) };
        let entries = spool.list().map_err(Error::Spool)?;
        let mut reports: Vec<_> = entries.into_iter().map(|entry| report(spool, entry)).collect();
        reports.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.id.cmp(&b.id)));
        Ok(reports)
    }

    /// The event of a report, as it stands in the envelope.
    pub fn event(&self, report: &Report) -> Result<String, Unreadable> {
        let id = Uuid::parse_str(&report.id).unwrap_or_default();
        match &self.spool {
            Some(spool) => event(spool, id),
            None => Err(Unreadable::File(SpoolError::NotFound { id })),
        }
    }

    /// The raw end of standard error that came with a report, if one did.
    pub fn stderr(&self, report: &Report) -> Result<Option<Vec<u8>>, Unreadable> {
        let id = Uuid::parse_str(&report.id).unwrap_or_default();
        let not_found = Unreadable::File(SpoolError::NotFound { id });
        let spool = self.spool.as_ref().ok_or(not_found)?;
        let bytes = spool.read(id).map_err(Unreadable::File)?;
        let envelope = Envelope::parse(&bytes).map_err(Unreadable::Envelope)?;
        let is_it = |item: &&Item| item.ty() == "attachment" && item.filename() == Some(STDERR);
        Ok(envelope.items.iter().find(is_it).map(|item| item.payload().to_vec()))
    }

    /// The spool, if there is one.
    pub fn spool(&self) -> Option<&Spool> {
        self.spool.as_ref()
    }

    /// The directory its reports come from; empty where there is none.
    pub fn directory(&self) -> PathBuf {
        self.spool.as_ref().map(|spool| spool.dir().to_owned()).unwrap_or_default()
    }

    /// That there is nothing, and where it was looked for.
    pub fn nothing_found(&self) -> String {
        let names = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let here = match (&self.spool, self.candidates.as_slice()) {
            (Some(spool), _) => format!("nothing has died in {} yet", spool.dir().display()),
            (None, [directory]) => format!("{} does not exist", directory.display()),
            (None, several) => format!("none of these exists: {}", names(several)),
        };
        match self.elsewhere() {
            Some((path, 1)) => format!("{here}; one is in {}", path.display()),
            Some((path, count)) => format!("{here}; {count} are in {}", path.display()),
            None => here,
        }
    }

    /// Another directory that has reports, and how many: one that was to be used may have been found
    /// unusable when they were written.
    fn elsewhere(&self) -> Option<(PathBuf, usize)> {
        let searched = self.directory();
        let others = lastwords::state_dir_candidates(None).into_iter();
        let count = |path: PathBuf| {
            let reports = Spool::open_existing(&path).ok()?.list().ok()?.len();
            (reports > 0).then_some((path, reports))
        };
        others.filter(|path| *path != searched).find_map(count)
    }
}

fn report(spool: &Spool, entry: Entry) -> Report {
    let crashed = event(spool, entry.id).ok().and_then(|event| crashed_at(&event));
    let verdict = verdict(spool, &entry);
    Report {
        id: entry.id.simple().to_string(),
        time: crashed.or_else(|| clock::from_system(entry.modified)),
        path: entry.path,
        state: entry.state,
        verdict,
        size: entry.size,
    }
}

/// The server's verdict on a report it refused, as part of a sentence.
fn verdict(spool: &Spool, entry: &Entry) -> Option<String> {
    if entry.state != State::Rejected {
        return None;
    }
    let Verdict { status, words, .. } = spool.verdict(entry.id)?;
    Some(match words.trim() {
        "" => format!("the server refused it with status {status}"),
        words => format!("the server refused it with status {status}: {words}"),
    })
}

/// When the event happened, without reading the rest of it.
fn crashed_at(event: &str) -> Option<OffsetDateTime> {
    #[derive(Deserialize)]
    struct Dated {
        timestamp: Value,
    }
    clock::parse(&serde_json::from_str::<Dated>(event).ok()?.timestamp)
}

/// The payload of the envelope's event item.
fn event(spool: &Spool, id: Uuid) -> Result<String, Unreadable> {
    let bytes = spool.read(id).map_err(Unreadable::File)?;
    let envelope = Envelope::parse(&bytes).map_err(Unreadable::Envelope)?;
    let item = envelope.items.iter().find(|item| item.ty() == "event");
    let payload = item.ok_or(Unreadable::Envelope(EnvelopeError::NoEvent))?.payload();
    std::str::from_utf8(payload).map(str::to_owned).map_err(Unreadable::NotUtf8)
}

/// Where the state directory may be: the one asked for, else as [`candidates`].
pub fn candidates_of(asked: Option<&Path>) -> Vec<PathBuf> {
    asked.map_or_else(candidates, |directory| vec![directory.to_owned()])
}

/// Where a state directory may be, best first.
fn candidates() -> Vec<PathBuf> {
    match std::env::var_os("LASTWORDS_STATE_DIR").filter(|value| !value.is_empty()) {
        Some(directory) => vec![directory.into()],
        None => lastwords::state_dir_candidates(None),
    }
}
