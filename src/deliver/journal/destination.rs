//! What is known of one destination: its failures, what it wants nothing of, and what it was never
//! told about.
//!
//! **Guarantee:** of two limits of a category the longer one stays. **Lost:** a category or a count
//! beyond the first [`MOST`] of a destination.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::span::{Millis, Span, system_time};
use crate::deliver::RateLimit;
use crate::report::rfc3339;

/// The most categories, and the most counts.
const MOST: usize = 64;

/// The most characters of what is kept of a server's or the system's words.
const MOST_WORDS: usize = 512;

/// The most characters of a category.
const MOST_CATEGORY: usize = 64;

/// For how long a destination is left alone whose DSN is wrong.
const WRONG_LASTS: Duration = Duration::from_hours(1);

/// The category of all categories.
const EVERY: &str = "";

/// What is known of one destination.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// When something about it changed last.
    pub(super) used: Millis,
    /// Requests that failed since one last succeeded.
    failures: u32,
    /// When to try again after the last of them.
    retry: Option<Span>,
    /// Why it failed.
    why: String,
    /// For how long its DSN is taken for wrong.
    wrong: Option<Span>,
    /// What the server said when it refused the DSN.
    wrong_words: String,
    /// What it wants nothing of.
    limits: BTreeMap<String, Span>,
    /// What it was not told of yet.
    discarded: Vec<Discarded>,
}

/// A count for a client report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    reason: String,
    category: String,
    quantity: u64,
}

/// Why nothing is to be sent to a destination now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// It asked for it.
    RateLimited {
        /// Until when.
        until: Millis,
    },
    /// Its DSN is wrong.
    WrongDsn {
        /// Until when that is believed.
        until: Millis,
        /// The server's words.
        words: String,
    },
    /// It failed lately.
    BackingOff {
        /// Until when.
        until: Millis,
        /// Why it failed.
        why: String,
    },
}

impl Destination {
    /// Why nothing of a category is to be sent now. What a person asks for passes over everything but
    /// what the server has asked for.
    pub fn hindrance(&self, now: Millis, category: &str, on_request: bool) -> Option<Hindrance> {
        if let Some(until) = self.limited(now, category) {
            return Some(Hindrance::RateLimited { until });
        }
        if on_request {
            return None;
        }
        if let Some(span) = self.wrong.filter(|span| span.is_open(now)) {
            let words = self.wrong_words.clone();
            return Some(Hindrance::WrongDsn { until: span.until, words });
        }
        let span = self.retry.filter(|span| span.is_open(now))?;
        Some(Hindrance::BackingOff { until: span.until, why: self.why.clone() })
    }

    /// Until when it wants nothing of a category.
    pub fn limited(&self, now: Millis, category: &str) -> Option<Millis> {
        let spans = [EVERY, category].into_iter().filter_map(|category| self.limits.get(category));
        spans.filter(|span| span.is_open(now)).map(|span| span.until).max()
    }

    /// Notes what an answer said of limits; the longer one of a category stays.
    pub fn note_limits(&mut self, now: Millis, limits: &[RateLimit]) {
        for limit in limits {
            let span = Span::new(now, limit.lasts);
            let every = [EVERY.to_owned()];
            let categories =
                if limit.categories.is_empty() { &every[..] } else { &limit.categories };
            for category in categories.iter().take(MOST) {
                let category: String = category.chars().take(MOST_CATEGORY).collect();
                let longer = span.longer(self.limits.get(&category).copied());
                self.limits.insert(category, longer);
            }
        }
    }

    /// It took a report.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.retry = None;
        self.why.clear();
        self.wrong = None;
        self.wrong_words.clear();
    }

    /// A request about a category failed; `wait` tells how long to wait after so many in a row.
    pub fn failed(
        &mut self,
        now: Millis,
        category: &str,
        why: &str,
        wait: impl FnOnce(u32) -> Duration,
    ) -> Millis {
        self.failures = self.failures.saturating_add(1);
        let span = Span::new(now, wait(self.failures));
        self.retry = Some(span);
        self.why = cut(why);
        self.limited(now, category).map_or(span.until, |limit| limit.max(span.until))
    }

    /// It takes nothing under this DSN.
    pub fn is_wrong(&mut self, now: Millis, words: &str) {
        self.wrong = Some(Span::new(now, WRONG_LASTS));
        self.wrong_words = cut(words);
    }

    /// Counts what it is never sent.
    pub fn discard(&mut self, reason: &str, category: &str, quantity: u64) {
        let is_it = |one: &&mut Discarded| one.reason == reason && one.category == category;
        match self.discarded.iter_mut().find(is_it) {
            Some(one) => one.quantity = one.quantity.saturating_add(quantity),
            None => self.discarded.push(Discarded {
                reason: reason.to_owned(),
                category: category.to_owned(),
                quantity,
            }),
        }
    }

    /// What it was not told of yet.
    pub fn discarded(&self) -> &[Discarded] {
        &self.discarded
    }

    /// It was told of these.
    pub fn was_told(&mut self, told: &[Discarded]) {
        for told in told {
            let is_it =
                |one: &&mut Discarded| one.reason == told.reason && one.category == told.category;
            if let Some(one) = self.discarded.iter_mut().find(is_it) {
                one.quantity = one.quantity.saturating_sub(told.quantity);
            }
        }
        self.discarded.retain(|one| one.quantity > 0);
    }

    pub(super) fn settle(&mut self, now: Millis) {
        let spans = self.limits.values_mut().chain(&mut self.retry).chain(&mut self.wrong);
        spans.for_each(|span| *span = span.settled(now));
    }

    pub(super) fn trim(&mut self, now: Millis) {
        self.limits.retain(|_, span| span.is_open(now));
        while self.limits.len() > MOST {
            self.limits.pop_last();
        }
        self.wrong = self.wrong.filter(|span| span.is_open(now));
        self.discarded.retain(|one| one.quantity > 0);
        self.discarded.truncate(MOST);
        for words in [&mut self.why, &mut self.wrong_words] {
            *words = cut(words);
        }
    }

    pub(super) fn says_nothing(&self) -> bool {
        self.failures == 0
            && self.wrong.is_none()
            && self.limits.is_empty()
            && self.discarded.is_empty()
    }
}

/// The client report about these counts; none about none.
pub fn client_report(now: Millis, counts: &[Discarded]) -> Option<Value> {
    let timestamp = rfc3339(system_time(now));
    (!counts.is_empty()).then(|| json!({ "timestamp": timestamp, "discarded_events": counts }))
}

fn cut(words: &str) -> String {
    words.chars().take(MOST_WORDS).collect()
}
