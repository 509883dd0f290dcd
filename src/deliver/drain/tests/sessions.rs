//! Sessions: with a report, alone, and when a report is not sent.

use super::*;
use crate::report::{Session, SessionStatus};

const SID: u128 = 77;

fn session() -> Session {
    let now = SystemTime::now();
    let of = (Some("service@1.2.3"), "prod");
    Session::new(id(SID), (now, now), SessionStatus::Crashed, 0, of).unwrap()
}

fn with_session(n: u128, kind: &str) -> Envelope {
    let mut envelope = report_of_kind(n, Some(HOST_A), kind);
    envelope.set_session(&session());
    envelope
}

impl Bench {
    fn put_session(&self, n: u128) {
        let envelope = Envelope::of_session(&session()).with_dsn(HOST_A);
        self.spool.publish_session(id(n), &envelope.to_bytes()).unwrap();
    }

    fn sessions(&self) -> Vec<u128> {
        self.spool.sessions().unwrap().iter().map(|entry| entry.id.as_u128()).collect()
    }
}

#[test]
fn one_alone_is_sent_at_once_and_kept_by_nobody() {
    let bench = Bench::new();
    bench.put_session(SID);
    assert!(bench.spool.has_waiting() && bench.states().is_empty());
    // No hold: it was written this moment, by the drain's clock.
    bench.now.set(SystemTime::now());
    let (fates, drained) = bench.drain(&order());
    assert_eq!(fates, [(SID, Fate::SessionSent)]);
    assert_eq!((drained.sessions, drained.sent, drained.kept), (1, 0, 0));
    let posted = bench.posted();
    assert_eq!((posted.len(), posted[0].types(), posted[0].id), (1, vec!["session"], 0));
    assert_eq!(posted[0].envelope.dsn(), Some(HOST_A));
    assert!(!bench.spool.has_waiting() && bench.sessions().is_empty());
    assert_eq!(bench.drain(&order()).0, []);
}

#[test]
fn one_with_a_report_goes_in_the_same_envelope() {
    let bench = Bench::new();
    bench.put(1, &with_session(1, "kind"));
    assert_eq!(bench.fates(&order()), [Fate::Sent]);
    let posted = bench.posted();
    assert_eq!(posted[0].types(), ["event", "attachment", "session"]);
    assert!(!posted[0].envelope.says_session(), "what is ours alone is not sent");
}

#[test]
fn a_limit_of_sessions_keeps_no_report_and_one_of_errors_no_session() {
    let bench = Bench::new();
    bench.put(1, &report(1, Some(HOST_A)));
    bench.script([limited(200, 60, &["session"])]);
    assert_eq!(bench.fates(&order()), [Fate::Sent]);
    bench.put_session(SID);
    bench.put(2, &with_session(2, "two"));
    let fates = bench.fates(&order());
    assert!(matches!(fates[..], [Fate::Sent, Fate::Kept(Kept::RateLimited { .. })]), "{fates:?}");
    let posted = bench.posted();
    assert_eq!(posted[1].types(), ["event", "attachment"], "its session stays here");
    bench.later(Duration::from_secs(61));
    assert_eq!(bench.fates(&order()), [Fate::SessionSent]);
    let counts = json!([{"reason": "ratelimit_backoff", "category": "session", "quantity": 1}]);
    assert_eq!(bench.posted()[0].client_report(), Some(counts));

    bench.put(3, &report(3, Some(HOST_A)));
    bench.script([limited(429, 60, &["error"])]);
    bench.put_session(SID);
    let fates = bench.fates(&order());
    assert!(matches!(fates[..], [Fate::Kept(_), Fate::Kept(Kept::BackingOff { .. })]), "{fates:?}");
    // The failure is over before the limit is.
    let fates = bench.fates(&requested());
    let [Fate::Kept(Kept::RateLimited { .. }), Fate::SessionSent] = &fates[..] else {
        panic!("{fates:?}");
    };
}

#[test]
fn one_that_is_refused_is_gone_and_counted_as_a_session() {
    let bench = Bench::new();
    bench.put_session(SID);
    bench.script([answer(400, "bad release")]);
    let refused = Fate::SessionRefused { status: 400, words: "bad release".to_owned() };
    assert_eq!(bench.fates(&order()), [refused]);
    assert!(bench.sessions().is_empty() && bench.states().is_empty());
    bench.put(1, &report(1, Some(HOST_A)));
    bench.posted();
    bench.drain(&order());
    let counts = json!([{"reason": "send_error", "category": "session", "quantity": 1}]);
    assert_eq!(bench.posted()[0].client_report(), Some(counts));
}

#[test]
fn one_that_is_not_delivered_waits() {
    let bench = Bench::new();
    bench.put_session(SID);
    bench.script([no_answer(), answer(403, "no such project")]);
    let fates = bench.fates(&order());
    assert!(matches!(fates[..], [Fate::Kept(Kept::Failed { .. })]), "{fates:?}");
    let wrong = Kept::WrongDsn { words: "no such project".to_owned() };
    assert_eq!(bench.fates(&requested()), [Fate::Kept(wrong)]);
    assert_eq!(bench.sessions(), [SID]);
}

#[test]
fn a_report_that_is_set_aside_leaves_its_session_behind() {
    let bench = Bench::new();
    bench.put(1, &report_of_kind(1, Some(HOST_A), "loop"));
    bench.put(2, &with_session(2, "loop"));
    let limit = Order { rate_limit: 1, ..order() };
    assert_eq!(bench.fates(&limit), [Fate::Sent, Fate::Limited, Fate::SessionSent]);
    assert_eq!(bench.posted()[1].types(), ["session", "client_report"]);
    // Sent after all, it does not count twice.
    let insist = [id(2)];
    assert_eq!(bench.fates(&Order { insist: &insist, ..requested() }), [Fate::Sent]);
    assert_eq!(bench.posted()[0].types(), ["event", "attachment"]);
}

#[test]
fn a_report_that_is_refused_leaves_its_session_behind() {
    let bench = Bench::new();
    bench.put(1, &with_session(1, "kind"));
    bench.script([answer(413, "too large")]);
    let fates = bench.fates(&order());
    assert!(matches!(fates[..], [Fate::Rejected { .. }, Fate::SessionSent]), "{fates:?}");
    let kept = Envelope::parse(&bench.spool.read(id(1)).unwrap()).unwrap();
    assert!(!kept.has("session") && !kept.says_session());
}

#[test]
fn what_is_no_session_is_not_sent() {
    let bench = Bench::new();
    for (n, bytes) in [
        (1, &b"half a li"[..]),
        (2, b"{}\n"),
        (3, b"{\"event_id\":\"00000000000000000000000000000003\"}\n"),
    ] {
        bench.spool.publish_session(id(n), bytes).unwrap();
    }
    let order = Order { fallback: Some(&dsn(HOST_A)), ..order() };
    let fates = bench.fates(&order);
    assert_eq!(fates.len(), 3);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Kept(Kept::Unreadable(_)))), "{fates:?}");
    assert!(bench.posted().is_empty());
}

#[test]
fn sessions_make_room_before_reports_that_wait() {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::open(root.path(), 600).unwrap();
    spool.publish_session(id(SID), &[b'x'; 300]).unwrap();
    spool.publish(id(1), &[b'x'; 200]).unwrap();
    spool.write(id(2), &[b'x'; 200]).unwrap();
    let pruned = spool.prune(id(2));
    let [lost] = &pruned[..] else { panic!("{pruned:?}") };
    assert_eq!((lost.entry.id, lost.entry.state, lost.session), (id(SID), State::Session, true));
    assert_eq!(spool.list().unwrap().len(), 2);
}
