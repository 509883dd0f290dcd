//! One line about one thing that was checked.

use serde_json::{Value, json};

/// How a thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is lost by it.
    Note,
    /// Reports are lost or do not arrive.
    Problem,
}

impl Mark {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Note => "note",
            Mark::Problem => "problem",
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub mark: Mark,
    /// What was checked, in a word.
    pub about: &'static str,
    /// What was found, one line without full stop.
    pub text: String,
}

impl Finding {
    /// The finding as JSON.
    pub fn to_json(&self) -> Value {
        json!({"mark": self.mark.word(), "about": self.about, "text": self.text})
    }
}

/// The findings, in the order of the checks.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds that something is as it should be.
    pub fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Mark::Ok, about, text);
    }

    /// Adds something worth knowing.
    pub fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Mark::Note, about, text);
    }

    /// Adds a problem.
    pub fn problem(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Mark::Problem, about, text);
    }

    /// Adds a finding.
    pub fn add(&mut self, mark: Mark, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { mark, about, text: text.into() });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many there are of this mark.
    pub fn marked(&self, mark: Mark) -> usize {
        self.iter().filter(|finding| finding.mark == mark).count()
    }

    /// Whether there is one of this mark.
    pub fn has(&self, mark: Mark) -> bool {
        self.marked(mark) > 0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}
