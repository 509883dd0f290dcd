//! The reports in the spool, and why those that wait do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lastwords::StateDir;
use lastwords::config::Settings;
use lastwords::deliver::{Entry, Spool, State, explain};
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
        *self.states.entry(entry.state.name().to_owned()).or_default() += 1;
        self.size += entry.size;
    }

    fn waiting(&self) -> u64 {
        self.states.get(State::Waiting.name()).copied().unwrap_or_default()
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
        if let Some(count) = self.states.get(State::Rejected.name()) {
            let count = counted(*count, "report");
            let how = "`lastwords send --rejected` sends again";
            findings.note(ABOUT, format!("{count}: refused by a server; {how}"));
        }
        if self.waiting() == 0 {
            return;
        }
        for (why, count) in waiting_why(self.directory.as_deref(), settings) {
            findings.note(ABOUT, format!("{}: {why}", counted(count, "report")));
        }
    }

    /// The counts as JSON.
    pub fn to_json(&self) -> Value {
        let mut map: Map<String, Value> =
            self.states.iter().map(|(state, count)| (state.clone(), (*count).into())).collect();
        for state in [State::Waiting, State::Sent] {
            map.entry(state.name()).or_insert_with(|| 0.into());
        }
        let directory = self.directory.as_ref().map(|path| path.display().to_string());
        map.insert("directory".to_owned(), directory.into());
        Value::Object(map)
    }
}

/// Why reports wait, and how many for each reason.
fn waiting_why(directory: Option<&Path>, settings: &Settings) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    let Some(spool) = directory.and_then(|dir| Spool::open_existing(dir).ok()) else {
        return reasons;
    };
    explain(&spool, settings.dsn.as_ref(), &mut |_, kept| {
        let why = match kept {
            _ if !settings.enable_sentry => "kept: sending is switched off".to_owned(),
            Some(kept) => kept.to_string(),
            None => "to be sent by the next program that starts, or by `lastwords send`".to_owned(),
        };
        *reasons.entry(why).or_default() += 1;
    });
    reasons
}

fn list(directory: &Path) -> Result<Vec<Entry>, String> {
    let spool = Spool::open_existing(directory).map_err(|error| sentence(&error))?;
    spool.list().map_err(|error| sentence(&error))
}
