//! The reports in the spool, and why those that wait do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lastwords::StateDir;
use lastwords::config::Settings;
use lastwords::deliver::{Entry, Spool, State};
use serde_json::{Map, Value};

use super::finding::Findings;
use crate::cli::error::sentence;
use crate::cli::text::{bytes, counted};

/// What it is about.
const ABOUT: &str = "reports";

/// What there is in the spool that would be used.
#[derive(Debug, Default)]
pub struct Reports {
    directory: Option<PathBuf>,
    /// How many there are, by the name of their state.
    states: BTreeMap<String, u64>,
    size: u64,
    unreadable: Option<String>,
}

impl Reports {
    /// Counts them.
    pub fn count(used: Option<&StateDir>) -> Reports {
        let Some(dir) = used.filter(|dir| dir.exists) else { return Reports::default() };
        let mut reports = Reports { directory: Some(dir.path.clone()), ..Reports::default() };
        match list(&dir.path) {
            Ok(entries) => entries.iter().for_each(|entry| reports.add(entry)),
            Err(why) => reports.unreadable = Some(why),
        }
        reports
    }

    fn add(&mut self, entry: &Entry) {
        *self.states.entry(name(entry.state)).or_default() += 1;
        self.size += entry.size;
    }

    fn waiting(&self) -> u64 {
        self.states.get(&name(State::Waiting)).copied().unwrap_or_default()
    }

    /// Says how many there are, and why they wait.
    pub fn check(&self, settings: &Settings, findings: &mut Findings) {
        if let Some(why) = &self.unreadable {
            findings.problem(ABOUT, format!("cannot read the spool: {why}"));
            return;
        }
        if self.states.is_empty() {
            findings.ok(ABOUT, "none yet");
            return;
        }
        let counts = self.states.iter().map(|(state, count)| format!("{count} {state}"));
        let counts: Vec<_> = counts.collect();
        findings.ok(ABOUT, format!("{}, {} of disk", counts.join(", "), bytes(self.size)));
        if self.waiting() > 0
            && let Some(why) = waiting_why(self.directory.as_deref(), settings)
        {
            let count = counted(self.waiting(), "report");
            findings.note(ABOUT, format!("{count} not sent: {why}"));
        }
    }

    /// The counts as JSON.
    pub fn to_json(&self) -> Value {
        let mut map: Map<String, Value> =
            self.states.iter().map(|(state, count)| (state.clone(), (*count).into())).collect();
        for state in [State::Waiting, State::Sent] {
            map.entry(name(state)).or_insert_with(|| 0.into());
        }
        let directory = self.directory.as_ref().map(|path| path.display().to_string());
        map.insert("directory".to_owned(), directory.into());
        Value::Object(map)
    }
}

/// Why reports wait, as far as it is known; `None` says nothing.
fn waiting_why(_directory: Option<&Path>, settings: &Settings) -> Option<String> {
    if !settings.enable_sentry {
        return Some("sending is switched off".to_owned());
    }
    if settings.dsn.is_none() {
        return Some("there is no DSN".to_owned());
    }
    None
}

fn list(directory: &Path) -> Result<Vec<Entry>, String> {
    let spool = Spool::open_existing(directory).map_err(|error| sentence(&error))?;
    spool.list().map_err(|error| sentence(&error))
}

/// The word for a state: its own name.
fn name(state: State) -> String {
    format!("{state:?}").to_lowercase()
}
