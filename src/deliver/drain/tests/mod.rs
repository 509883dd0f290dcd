//! Drains with a courier that answers by a script, and a clock that is set by hand.

mod damage;
mod limits;
mod many;
mod outcomes;
mod sessions;
mod which;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::deliver::{Answer, NotAnswered, RateLimit, Stage};
use crate::report::Attachment;

const HOST_A: &str = "https://key@a.invalid/1";
const HOST_B: &str = "https://key@b.invalid/2";
const RANDOM: u32 = u32::MAX / 2;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn dsn(text: &str) -> Dsn {
    text.parse().unwrap()
}

/// A report of a kind of its own.
fn report(n: u128, dsn: Option<&str>) -> Envelope {
    report_of_kind(n, dsn, &format!("kind {n}"))
}

fn report_of_kind(n: u128, dsn: Option<&str>, kind: &str) -> Envelope {
    let mut envelope = Envelope::new(id(n));
    if let Some(dsn) = dsn {
        envelope.set_dsn(dsn);
    }
    envelope.push_event(json!({ "fingerprint": [kind] }).to_string().into_bytes());
    envelope.push_attachment(&Attachment {
        filename: "stderr.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        data: b"the end".to_vec(),
    });
    envelope
}

fn answer(status: u16, words: &str) -> Result<Answer, NotAnswered> {
    Ok(Answer { status, words: words.to_owned(), limits: Vec::new() })
}

fn limited(status: u16, seconds: u64, categories: &[&str]) -> Result<Answer, NotAnswered> {
    let categories = categories.iter().map(|&category| category.to_owned()).collect();
    let lasts = Duration::from_secs(seconds);
    let limits = vec![RateLimit { lasts, categories }];
    Ok(Answer { status, words: String::new(), limits })
}

fn no_answer() -> Result<Answer, NotAnswered> {
    Err(NotAnswered { at: Stage::Connect, words: "refused".to_owned() })
}

/// What was sent.
#[derive(Debug, Clone)]
struct Posted {
    id: u128,
    host: String,
    envelope: Envelope,
    limit: Duration,
}

impl Posted {
    fn types(&self) -> Vec<&str> {
        self.envelope.items.iter().map(crate::report::Item::ty).collect()
    }

    fn client_report(&self) -> Option<Value> {
        let item = self.envelope.items.iter().find(|item| item.ty() == "client_report")?;
        let report: Value = serde_json::from_slice(item.payload()).unwrap();
        assert!(report["timestamp"].is_string());
        Some(report["discarded_events"].clone())
    }
}

/// Answers as it was told to, and then takes everything.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Answer, NotAnswered>>>,
    posted: Mutex<Vec<Posted>>,
}

impl Courier for Script {
    fn post(&self, dsn: &Dsn, envelope: &[u8], limit: Duration) -> Result<Answer, NotAnswered> {
        let envelope = Envelope::parse(envelope).unwrap();
        // A session names no event.
        let id = envelope.event_id().map_or(0, |id| id.as_u128());
        let host = dsn.host().to_owned();
        self.posted.lock().unwrap().push(Posted { id, host, envelope, limit });
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| answer(200, ""))
    }
}

/// A spool, a server and a clock.
struct Bench {
    _root: tempfile::TempDir,
    spool: Spool,
    script: Script,
    now: Cell<SystemTime>,
}

fn always(_: Uuid, _: Option<&Dsn>) -> bool {
    true
}

fn never(_: Uuid) -> bool {
    false
}

/// The order that the recorder gives in the background.
fn order() -> Order<'static> {
    Order {
        ready: &never,
        wants: &always,
        fallback: None,
        instead: None,
        on_request: false,
        insist: &[],
        until: None,
        hold: Duration::from_secs(1),
        pause: Duration::ZERO,
        rate_limit: 0,
    }
}

fn requested() -> Order<'static> {
    Order { on_request: true, ..order() }
}

impl Bench {
    fn new() -> Bench {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(&root.path().join("state"), 1 << 20).unwrap();
        let now = Cell::new(SystemTime::now() + Duration::from_secs(3600));
        Bench { _root: root, spool, script: Script::default(), now }
    }

    /// Publishes a report for each, a second apart, for A.
    fn with(reports: &[u128]) -> Bench {
        let bench = Bench::new();
        reports.iter().for_each(|&n| bench.put(n, &report(n, Some(HOST_A))));
        bench
    }

    /// Publishes a report, a second after the one with the number before it.
    fn put(&self, n: u128, envelope: &Envelope) {
        self.put_bytes(n, &envelope.to_bytes());
    }

    fn put_bytes(&self, n: u128, bytes: &[u8]) {
        let path = self.spool.publish(id(n), bytes).unwrap();
        let file = fs::OpenOptions::new().append(true).open(path).unwrap();
        let age = Duration::from_secs(1000 - u64::try_from(n % 1000).unwrap());
        file.set_modified(self.now.get() - age).unwrap();
    }

    fn script(&self, answers: impl IntoIterator<Item = Result<Answer, NotAnswered>>) {
        self.script.answers.lock().unwrap().extend(answers);
    }

    fn later(&self, wait: Duration) {
        self.now.set(self.now.get() + wait);
    }

    /// Drains; what became of each report, in order.
    fn drain(&self, order: &Order<'_>) -> (Vec<(u128, Fate)>, Drained) {
        let mut fates = Vec::new();
        let clock = || self.now.get();
        let drain = Drain::new(&self.spool, &self.script, order, &clock, &|| RANDOM);
        let drained = drain.run(&mut |id, fate| fates.push((id.as_u128(), fate.clone())));
        assert!(fates.iter().all(|(_, fate)| !fate.to_string().contains('\n')));
        (fates, drained)
    }

    fn fates(&self, order: &Order<'_>) -> Vec<Fate> {
        self.drain(order).0.into_iter().map(|(_, fate)| fate).collect()
    }

    /// What was sent since this was asked last.
    fn posted(&self) -> Vec<Posted> {
        std::mem::take(&mut *self.script.posted.lock().unwrap())
    }

    fn posted_ids(&self) -> Vec<u128> {
        self.posted().iter().map(|posted| posted.id).collect()
    }

    fn states(&self) -> Vec<(u128, State)> {
        let mut states: Vec<_> = self
            .spool
            .list()
            .unwrap()
            .into_iter()
            .map(|entry| (entry.id.as_u128(), entry.state))
            .collect();
        states.sort_by_key(|(id, _)| *id);
        states
    }
}
