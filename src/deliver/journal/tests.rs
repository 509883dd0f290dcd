use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::json;

use super::span::Span;
use super::*;
use crate::deliver::{Entry, RateLimit};

const HOUR: Millis = 3_600_000;
const NOW: Millis = 1_800_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

fn spool() -> (tempfile::TempDir, Spool) {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::open(root.path(), 1 << 20).unwrap();
    (root, spool)
}

fn dsn(text: &str) -> Dsn {
    text.parse().unwrap()
}

fn limit(seconds: u64, categories: &[&str]) -> RateLimit {
    let categories = categories.iter().map(|&category| category.to_owned()).collect();
    RateLimit { lasts: Duration::from_secs(seconds), categories }
}

/// Something of everything.
fn full() -> Journal {
    let mut journal = Journal::default();
    let known = journal.destination_mut("https://a/1#0", NOW);
    known.failed(NOW, ERROR, "no way", |failures| SECOND * failures);
    known.is_wrong(NOW, "no such project");
    known.note_limits(NOW, &[limit(60, &["error", "attachment"]), limit(30, &[])]);
    known.discard("send_error", "error", 2);
    journal.kinds.take_place("k", 1, NOW);
    journal.kinds.hold_back("k", NOW);
    journal
}

#[test]
fn a_destination_is_named_without_its_secrets() {
    let key1 = key(&dsn("https://public:secret@host.invalid/42"));
    assert!(key1.starts_with("https://host.invalid/42#"), "{key1}");
    assert!(!key1.contains("public") && !key1.contains("secret"), "{key1}");
    assert_eq!(key1, key(&dsn("https://public@host.invalid:443/42")));
    assert_ne!(key1, key(&dsn("https://other@host.invalid/42")));
    let named = key(&dsn("http://k@host.invalid:8000/behind/42"));
    assert!(named.starts_with("http://host.invalid:8000/behind/42#"), "{named}");
}

#[test]
fn what_was_written_is_read_by_the_next() {
    let (root, spool) = spool();
    assert_eq!(spool.journal(NOW), Journal::default());
    spool.change_journal(NOW, |journal| *journal = full());
    assert_eq!(spool.journal(NOW), full());
    let known = full().destination("https://a/1#0").cloned().unwrap();
    assert_eq!(
        known.hindrance(NOW, ERROR, false),
        Some(Hindrance::RateLimited { until: NOW + 60_000 })
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let facts = std::fs::metadata(root.path().join(FILE)).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, 0o600);
    }
    let written = facts(root.path());
    spool.change_journal(NOW, |_| ());
    assert_eq!(facts(root.path()), written, "what did not change is not written");
}

fn facts(dir: &std::path::Path) -> SystemTime {
    std::fs::metadata(dir.join(FILE)).unwrap().modified().unwrap()
}

#[test]
fn changes_of_many_do_not_undo_each_other() {
    let (_root, spool) = spool();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    spool.change_journal(NOW, |journal| {
                        journal.destination_mut("d", NOW).discard("r", "error", 1);
                    });
                }
            });
        }
    });
    let journal = spool.journal(NOW);
    let counts = serde_json::to_value(journal.destination("d").unwrap().discarded()).unwrap();
    assert_eq!(counts, json!([{"reason": "r", "category": "error", "quantity": 100}]));
}

#[test]
fn a_damaged_journal_begins_anew_and_a_newer_one_is_read() {
    let (root, spool) = spool();
    for damaged in ["", "{", "[]", "{\"destinations\": 7}", "\u{0}\u{0}", "{\"kinds\":{\"k\":{}}}"]
    {
        std::fs::write(root.path().join(FILE), damaged).unwrap();
        assert_eq!(spool.journal(NOW), Journal::default(), "{damaged}");
    }
    let newer = json!({
        "version": 9,
        "destinations": {"d": {"failures": 3, "mood": "bad"}},
        "kinds": {"k": {"from": NOW, "until": NOW + HOUR, "sent": 1, "held_back": 0, "more": []}},
    });
    std::fs::write(root.path().join(FILE), newer.to_string()).unwrap();
    let mut journal = spool.journal(NOW);
    assert!(journal.destination("d").is_some());
    assert!(!journal.kinds.take_place("k", 1, NOW));
}

#[cfg(unix)]
#[test]
fn what_is_planted_as_the_journal_is_not_read() {
    let (root, spool) = spool();
    let file = root.path().join(FILE);
    let secret = root.path().join("secret");
    std::fs::write(&secret, "{\"destinations\":{\"d\":{\"failures\":1}}}").unwrap();
    std::os::unix::fs::symlink(&secret, &file).unwrap();
    assert_eq!(spool.journal(NOW), Journal::default());
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(spool.journal(NOW), Journal::default());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let kept = spool.change_journal(NOW, |journal| {
        *journal = full();
        7
    });
    assert_eq!((kept, spool.journal(NOW)), (7, Journal::default()));
    let names = std::fs::read_dir(root.path()).unwrap().count();
    assert_eq!(names, 5, "lock, secret, journal, waiting, sent, and nothing half-written");
}

#[test]
fn the_longer_limit_of_a_category_stays() {
    let mut known = Destination::default();
    known.note_limits(NOW, &[limit(60, &["error"]), limit(10, &["error", "attachment"])]);
    assert_eq!(known.limited(NOW, "error"), Some(NOW + 60_000));
    assert_eq!(known.limited(NOW, "attachment"), Some(NOW + 10_000));
    assert_eq!(known.limited(NOW, "session"), None);
    assert_eq!(known.limited(NOW + 60_000, "error"), None);
    known.note_limits(NOW, &[limit(90, &[])]);
    assert_eq!(known.limited(NOW, "error"), Some(NOW + 90_000));
    assert_eq!(known.limited(NOW, "session"), Some(NOW + 90_000));
    // What a person asks for passes over failures, and over no limit.
    assert!(matches!(known.hindrance(NOW, ERROR, true), Some(Hindrance::RateLimited { .. })));
}

#[test]
fn failures_in_a_row_are_counted_and_forgotten_after_a_success() {
    let mut known = Destination::default();
    let wait = |failures| SECOND * failures;
    assert_eq!(known.failed(NOW, ERROR, "a", wait), NOW + 1000);
    assert_eq!(known.failed(NOW, ERROR, "b", wait), NOW + 2000);
    let hindrance = Hindrance::BackingOff { until: NOW + 2000, why: "b".to_owned() };
    assert_eq!(known.hindrance(NOW, ERROR, false), Some(hindrance));
    assert_eq!(known.hindrance(NOW, ERROR, true), None);
    assert_eq!(known.hindrance(NOW + 2000, ERROR, false), None);
    known.note_limits(NOW, &[limit(60, &["error"])]);
    assert_eq!(
        known.failed(NOW, ERROR, "c", wait),
        NOW + 60_000,
        "the server's own wish is longer"
    );
    known.succeeded();
    assert_eq!(known.failed(NOW, ERROR, "a", wait), NOW + 60_000);
    assert_eq!(known.hindrance(NOW + 60_000, ERROR, false), None);
}

#[test]
fn a_wrong_dsn_is_believed_for_an_hour() {
    let mut known = Destination::default();
    known.is_wrong(NOW, "no such project");
    let words = "no such project".to_owned();
    let hindrance = Hindrance::WrongDsn { until: NOW + HOUR, words };
    assert_eq!(known.hindrance(NOW + HOUR - 1, ERROR, false), Some(hindrance));
    assert_eq!(known.hindrance(NOW, ERROR, true), None);
    assert_eq!(known.hindrance(NOW + HOUR, ERROR, false), None);
}

#[test]
fn a_clock_that_is_set_back_makes_no_wait_longer() {
    for jump in [1, HOUR, 48 * HOUR, NOW] {
        let now = NOW - jump;
        let mut journal = full();
        journal.settle(now);
        let known = journal.destination("https://a/1#0").unwrap();
        assert_eq!(known.limited(now, "error"), Some(now + 60_000), "{jump}");
        assert!(!journal.kinds.take_place("k", 1, now));
        assert!(journal.kinds.take_place("k", 1, now + HOUR));
    }
    // Forward: what is over is over.
    let mut journal = full();
    journal.settle(NOW + 2 * HOUR);
    let known = journal.destination("https://a/1#0").unwrap();
    assert_eq!(known.hindrance(NOW + 2 * HOUR, ERROR, false), None);
}

#[test]
fn a_kind_has_so_many_places_in_an_hour() {
    let mut kinds = Kinds::default();
    assert!((0..3).all(|_| kinds.take_place("k", 3, NOW)));
    assert!(!kinds.take_place("k", 3, NOW + HOUR - 1));
    assert!(kinds.take_place("other", 3, NOW));
    kinds.give_back("k");
    assert!(kinds.take_place("k", 3, NOW) && !kinds.take_place("k", 3, NOW));
    assert!(kinds.take_place("k", 0, NOW), "0 is no limit");
    kinds.hold_back("k", NOW);
    kinds.hold_back("k", NOW);
    assert!(kinds.take_place("k", 3, NOW + HOUR));
    assert_eq!(kinds.held_back("k"), 2);
    kinds.was_told("k", 1);
    assert_eq!(kinds.held_back("k"), 1);
    assert_eq!(kinds.held_back("other"), 0);
}

#[test]
fn kinds_differ_by_place_where_the_server_groups_by_stack() {
    let event = |fingerprint: &[&str], function: &str, value: &str| {
        let frames = json!([{"function": "main"}, {"function": function}]);
        let exception = json!({"type": "panic", "value": value, "stacktrace": {"frames": frames}});
        let event = json!({"fingerprint": fingerprint, "exception": {"values": [exception]}});
        event.as_object().unwrap().clone()
    };
    let default = ["{{ default }}", "f"];
    let one = kind("d", &event(&default, "f", "index 1"));
    assert_eq!(one, kind("d", &event(&default, "f", "index 2")));
    assert_ne!(one, kind("e", &event(&default, "f", "index 1")));
    assert_ne!(one, kind("d", &event(&default, "g", "index 1")));
    assert_eq!(kind("d", &event(&["x"], "f", "")), kind("d", &event(&["x"], "g", "")));
    assert_ne!(kind("d", &event(&["x"], "f", "")), kind("d", &event(&["y"], "f", "")));
    assert_ne!(kind("d", &event(&[], "f", "")), kind("d", &event(&[], "g", "")));
    let said = |message: &str| json!({ "message": message }).as_object().unwrap().clone();
    assert_ne!(kind("d", &said("a")), kind("d", &said("b")));
}

#[test]
fn the_journal_is_bounded() {
    let mut journal = Journal::default();
    for n in 0..100u64 {
        let known = journal.destination_mut(&format!("d{n:03}"), NOW + n);
        known.failed(NOW, ERROR, &"x".repeat(10_000), |_| SECOND);
        let categories: Vec<_> = (0..200).map(|n| format!("{n:0200}")).collect();
        known.note_limits(NOW, &[RateLimit { lasts: SECOND * 600, categories }]);
        for n in 0..200 {
            known.discard(&format!("reason{n}"), "error", 1);
        }
    }
    for n in 0..1000 {
        journal.kinds.hold_back(&format!("k{n}"), NOW + n);
    }
    journal.trim(NOW);
    assert_eq!(journal.destinations.len(), MOST_DESTINATIONS);
    assert!(journal.destinations.contains_key("d099"));
    assert_eq!((journal.kinds.held_back("k0"), journal.kinds.held_back("k999")), (0, 1));
    let size = serde_json::to_vec(&journal).unwrap().len() as u64;
    assert!(size < LARGEST, "{size}");
}

#[test]
fn what_says_nothing_is_forgotten() {
    let mut journal = full();
    let known = journal.destination_mut("https://a/1#0", NOW);
    known.succeeded();
    let told = known.discarded().to_vec();
    known.was_told(&told);
    journal.kinds.was_told("k", 1);
    journal.trim(NOW + HOUR);
    assert_eq!(journal, Journal::default());
}

#[test]
fn reports_pruned_unsent_are_counted_once() {
    let (_root, spool) = spool();
    let (named, other) = ("https://key@host.invalid/1", "https://key@host.invalid/2");
    let pruned = |state, dsn: Option<&str>| Pruned {
        entry: Entry {
            id: Uuid::nil(),
            path: "x".into(),
            state,
            modified: SystemTime::UNIX_EPOCH,
            size: 1,
        },
        dsn: dsn.map(str::to_owned),
        session: state == State::Session,
    };
    let fallback = dsn("https://key@fallback.invalid/1");
    spool.count_pruned(
        &[
            pruned(State::Waiting, Some(named)),
            pruned(State::Waiting, Some("no DSN")),
            pruned(State::Waiting, None),
            pruned(State::Limited, None),
            pruned(State::Rejected, None),
            pruned(State::Session, Some(other)),
            Pruned { session: true, ..pruned(State::Waiting, Some(other)) },
        ],
        Some(&fallback),
    );
    let journal = spool.journal(NOW);
    let of_other = journal.destination(&key(&dsn(other))).unwrap().discarded();
    let of_other = serde_json::to_value(of_other).unwrap();
    let count = |category, quantity| json!({"reason": "cache_overflow", "category": category, "quantity": quantity});
    assert_eq!(of_other, json!([count("error", 1), count("session", 2)]));
    for dsn in [dsn(named), fallback] {
        let counts = journal.destination(&key(&dsn)).unwrap().discarded();
        let counts = serde_json::to_value(counts).unwrap();
        let expected = json!([{"reason": "cache_overflow", "category": "error", "quantity": 1}]);
        assert_eq!(counts, expected);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_journal(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let mut journal = Journal::parse(&bytes);
        journal.settle(NOW);
        journal.trim(NOW);
    }

    #[test]
    fn damage_costs_no_more_than_the_journal(at in 0usize..4096, byte: u8, now: u64) {
        let mut bytes = serde_json::to_vec(&full()).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let mut journal = Journal::parse(&bytes);
        journal.settle(now);
        let known = journal.destination_mut("https://a/1#0", now);
        known.failed(now, ERROR, "again", |failures| SECOND * failures);
        known.discard("send_error", "error", u64::MAX);
        journal.kinds.take_place("k", 1, now);
        journal.trim(now);
    }

    #[test]
    fn no_span_is_longer_than_it_was_made_for(from: u64, until: u64, now: u64) {
        let span = Span { from, until }.settled(now);
        prop_assert!(span.from <= now);
        let longest = u64::try_from(span::LONGEST.as_millis()).unwrap();
        prop_assert!(span.until.saturating_sub(now) <= until.saturating_sub(from).min(longest));
        prop_assert_eq!(span.settled(now), span);
        prop_assert_eq!(millis(system_time(now % (1 << 50))), now % (1 << 50));
    }
}
