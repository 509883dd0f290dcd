//! How many reports of one kind were sent lately, so that a crash loop does not send thousands.
//!
//! **Guarantee:** in an hour no more than the limit of one kind are sent, from however many
//! processes: a place is taken before the request. How many were held back is told with the next one
//! that is sent. **Lost:** a place whose sender is killed, until the hour is over; the counts of the
//! kinds beyond the newest [`MOST`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::span::{Millis, Span};

/// The most kinds that are remembered.
const MOST: usize = 256;

/// How long a window is.
const WINDOW: Duration = Duration::from_hours(1);

/// What was sent lately, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kinds(BTreeMap<String, Window>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Window {
    #[serde(flatten)]
    span: Span,
    /// How many were sent in it.
    sent: u32,
    /// How many were held back since one was last sent.
    held_back: u64,
}

impl Kinds {
    /// Takes a place for one report; `false` if the hour is full. 0 is no limit.
    pub fn take_place(&mut self, kind: &str, limit: u32, now: Millis) -> bool {
        if limit == 0 {
            return true;
        }
        let window = self.window(kind, now);
        if !window.span.is_open(now) {
            window.span = Span::new(now, WINDOW);
            window.sent = 0;
        }
        if window.sent >= limit {
            return false;
        }
        window.sent += 1;
        true
    }

    /// Gives a place back that was taken for a report that was not sent.
    pub fn give_back(&mut self, kind: &str) {
        if let Some(window) = self.0.get_mut(kind) {
            window.sent = window.sent.saturating_sub(1);
        }
    }

    /// Counts one that was held back.
    pub fn hold_back(&mut self, kind: &str, now: Millis) {
        let window = self.window(kind, now);
        window.held_back = window.held_back.saturating_add(1);
    }

    /// How many were held back.
    pub fn held_back(&self, kind: &str) -> u64 {
        self.0.get(kind).map_or(0, |window| window.held_back)
    }

    /// The server was told of so many.
    pub fn was_told(&mut self, kind: &str, held_back: u64) {
        if let Some(window) = self.0.get_mut(kind) {
            window.held_back = window.held_back.saturating_sub(held_back);
        }
    }

    fn window(&mut self, kind: &str, now: Millis) -> &mut Window {
        let span = Span::new(now, WINDOW);
        self.0.entry(kind.to_owned()).or_insert(Window { span, sent: 0, held_back: 0 })
    }

    pub(super) fn settle(&mut self, now: Millis) {
        self.0.values_mut().for_each(|window| window.span = window.span.settled(now));
    }

    pub(super) fn trim(&mut self, now: Millis) {
        self.0.retain(|_, window| {
            window.held_back > 0 || (window.sent > 0 && window.span.is_open(now))
        });
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, window)| window.span.from);
            let Some(kind) = oldest.map(|(kind, _)| kind.clone()) else { break };
            self.0.remove(&kind);
        }
    }
}

/// The kind of an event at a destination: a hash of its fingerprint, and of the types and functions
/// of its stacks where the fingerprint leaves the grouping to the server (of its message where it has no stack).
pub fn kind(destination: &str, event: &Map<String, Value>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update(part.as_bytes());
        hash.update([0]);
    };
    add(destination);
    let fingerprint =
        event.get("fingerprint").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    fingerprint.iter().filter_map(Value::as_str).for_each(&mut add);
    let is_default = |part: &Value| part.as_str().is_some_and(|part| part.contains("default }}"));
    if fingerprint.is_empty() || fingerprint.iter().any(is_default) {
        let exceptions = list(event.get("exception"));
        for exception in exceptions {
            add(exception["type"].as_str().unwrap_or_default());
            let frames = exception["stacktrace"]["frames"].as_array();
            let functions = frames.into_iter().flatten().map(|frame| frame["function"].as_str());
            functions.for_each(|function| add(function.unwrap_or_default()));
        }
        if exceptions.is_empty() {
            let texts = [event.get("message"), event.get("logentry")];
            texts.into_iter().flatten().for_each(|text| add(&text.to_string()));
        }
    }
    let hash = hash.finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of an interface, which is a list or an object with one.
fn list(interface: Option<&Value>) -> &[Value] {
    let values = interface.map(|interface| interface.get("values").unwrap_or(interface));
    values.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
