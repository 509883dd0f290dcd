//! Sessions: what a server gets of them, and what the command says of those that wait.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lastwords::deliver::{Client, Fate, Order, Spool, drain};
use lastwords::report::{Envelope, Session, SessionStatus};
use lastwords::sentry::protocol::{EnvelopeItem, SessionStatus as TheirStatus, SessionUpdate};
use lastwords::sentry::types::Uuid;
use serde_json::json;

use super::faulty::{Faulty, Received, Reply};
use super::support::{lastwords, lastwords_says, make_old, reports};

const EVENT: Uuid = Uuid::from_u128(0xe0);

fn session(sid: u128, status: SessionStatus) -> Session {
    let ended = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_003_500);
    let started = ended - Duration::from_millis(2_500);
    let of = (Some("service@1.2.3"), "prod-oss");
    Session::new(Uuid::from_u128(sid), (started, ended), status, 0, of).expect("it has a release")
}

/// A spool with the report of a crash, whose session goes with it, and a session that goes alone.
fn spool(state: &Path, server: &Faulty) -> Spool {
    let spool = Spool::open(state, 1 << 20).expect("a spool");
    let dsn = server.dsn().to_string();
    let mut report = Envelope::new(EVENT).with_dsn(&dsn);
    let event = json!({"event_id": EVENT.simple().to_string(), "exception": {"values": [{"type": "panic"}]}});
    report.push_event(event.to_string().into_bytes());
    report.set_session(&session(1, SessionStatus::Crashed));
    spool.publish(EVENT, &report.to_bytes()).expect("published");
    let alone = Envelope::of_session(&session(2, SessionStatus::Exited)).with_dsn(&dsn);
    spool.publish_session(Uuid::from_u128(2), &alone.to_bytes()).expect("published");
    make_old(state);
    spool
}

/// Sends what waits as a program would; what became of it.
fn send(spool: &Spool) -> Vec<Fate> {
    let order = Order {
        ready: &|_| false,
        wants: &|_, _| true,
        fallback: None,
        instead: None,
        on_request: true,
        insist: &[],
        until: None,
        hold: Duration::from_secs(1),
        pause: Duration::ZERO,
        rate_limit: 0,
    };
    let mut fates = Vec::new();
    drain(spool, &Client::new(), &order, &mut |_, fate| fates.push(fate.clone()));
    fates
}

/// The sessions of a request, as the SDK's own types read them.
fn sessions(received: &Received) -> Vec<SessionUpdate<'static>> {
    let envelope = lastwords::sentry::Envelope::from_slice(&received.body).expect("an envelope");
    let sessions = envelope.items().filter_map(|item| match item {
        EnvelopeItem::SessionUpdate(session) => Some(session.clone()),
        _ => None,
    });
    sessions.collect()
}

#[test]
fn a_server_gets_that_of_a_crash_with_its_event_and_the_others_alone() {
    let (server, state) = (Faulty::always(Reply::Ok200), tempfile::tempdir().expect("a directory"));
    let spool = spool(state.path(), &server);
    assert_eq!(send(&spool), [Fate::Sent, Fate::SessionSent]);
    let accepted = server.accepted();
    let [crash, exit] = &accepted[..] else { panic!("two requests: {}", accepted.len()) };
    for (received, event, sid, status, errors) in [
        (crash, Some(EVENT.simple().to_string()), 1, TheirStatus::Crashed, 1),
        (exit, None, 2, TheirStatus::Exited, 0),
    ] {
        assert_eq!(received.event_id, event);
        let sessions = sessions(received);
        let [session] = &sessions[..] else { panic!("one session: {sessions:?}") };
        assert_eq!((session.session_id, session.init), (Uuid::from_u128(sid), true));
        assert_eq!((session.status, session.errors), (status, errors));
        assert_eq!((session.duration, session.distinct_id.as_ref()), (Some(2.5), None));
        assert_eq!(session.attributes.release, "service@1.2.3");
        assert_eq!(session.attributes.environment.as_deref(), Some("prod-oss"));
        let text = String::from_utf8_lossy(&received.body);
        assert!(text.contains(r#""started":"2023-11-14T22:13:21Z""#), "{text}");
        assert!(!text.lines().next().expect("a header").contains("lastwords"), "{text}");
    }
    assert_eq!(send(&spool), []);
}

#[test]
fn a_server_that_limits_sessions_gets_the_event_without() {
    let server = Faulty::start(|number| match number {
        0 => Reply::RateLimit("60:session:key".to_owned()),
        _ => Reply::Ok200,
    });
    let state = tempfile::tempdir().expect("a directory");
    let spool = spool(state.path(), &server);
    // The session alone is what it refuses first; the report comes later.
    spool.withdraw(EVENT).expect("it waits");
    assert!(matches!(send(&spool)[..], [Fate::Kept(_)]));
    let mut report = Envelope::new(EVENT).with_dsn(&server.dsn().to_string());
    report.push_event(b"{}".to_vec());
    report.set_session(&session(1, SessionStatus::Crashed));
    spool.publish(EVENT, &report.to_bytes()).expect("published");
    make_old(state.path());
    assert!(matches!(send(&spool)[..], [Fate::Sent, Fate::Kept(_)]));
    let accepted = server.accepted();
    let last = accepted.last().expect("one was accepted");
    assert_eq!(
        (last.event_id.as_deref(), sessions(last).len()),
        (Some(&*EVENT.simple().to_string()), 0)
    );
}

#[test]
fn the_command_takes_a_session_for_no_report() {
    let (server, state) = (Faulty::always(Reply::Ok200), tempfile::tempdir().expect("a directory"));
    let spool = spool(state.path(), &server);
    let list = lastwords_says(state.path(), &["list", "--json"]);
    assert_eq!(list.lines().count(), 1, "{list}");
    assert_eq!(reports(state.path()).len(), 1);
    spool.withdraw(EVENT).expect("it waits");
    let show = lastwords(state.path(), &["show"]);
    assert!(String::from_utf8_lossy(&show.stderr).contains("no report to show"), "{show:?}");
    let show = lastwords(state.path(), &["show", &Uuid::from_u128(2).simple().to_string()]);
    assert_eq!(show.status.code(), Some(1), "{show:?}");
    let doctor = lastwords(state.path(), &["doctor", "--json"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains(r#""waiting":0"#) || said.contains(r#""waiting": 0"#), "{said}");
    let sent = lastwords_says(state.path(), &["send"]);
    assert!(sent.contains("session sent"), "{sent}");
    assert_eq!(server.accepted().len(), 1);
    let nothing = lastwords(state.path(), &["send"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing waits"), "{nothing:?}");
}
