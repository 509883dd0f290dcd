//! Sessions on their way out: with the report of the crash that they ended in, or alone.
//!
//! **Guarantee:** a session goes once. That of a crash is in the same envelope as the crash's event as
//! long as that waits; where it was sent already, or there is none (the program's `before_send` refused
//! it, its crash is no event), the session goes alone, and is counted all the same. Where nothing is to be
//! sent, none is written: nobody reads a session here. **Lost:** a session that neither the spool takes
//! nor the server at the first attempt.

use std::time::{Duration, SystemTime};

use sentry::types::Uuid;

use super::delivery::Delivery;
use super::global::warn;
use super::sink::Sink;
use crate::detect::autopsy::Outcome;
use crate::record::{Identity, random_id};
use crate::report::{Envelope, Session, SessionStatus};

/// A run that is over.
pub(super) struct Run<'a> {
    /// Whose it was.
    pub(super) identity: &'a Identity,
    /// When it ended.
    pub(super) ended: SystemTime,
    /// How.
    pub(super) outcome: Outcome,
    /// How many reports were made of it, that about its end not counted.
    pub(super) errors: u64,
    /// The report about its end.
    pub(super) report: Option<Uuid>,
}

/// Tells the session of a run, where sessions are asked for.
pub(super) fn tell(sink: &Sink, delivery: &Delivery, run: &Run<'_>) {
    let Identity { sessions, release, environment, started_millis, .. } = run.identity;
    if !sessions {
        return;
    }
    let started = u64::try_from(*started_millis).unwrap_or(0);
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(started);
    let status = match run.outcome {
        Outcome::Ended | Outcome::Stopped { .. } => SessionStatus::Exited,
        Outcome::Crashed => SessionStatus::Crashed,
        Outcome::Killed => SessionStatus::Abnormal,
    };
    let of = (release.as_deref(), environment.as_str());
    match Session::new(sid(run.identity), (started, run.ended), status, run.errors, of) {
        Ok(session) => match run.report {
            Some(id) => attach_session_to(id, sink, delivery, &session),
            None => publish_session(sink, delivery, &session),
        },
        Err(error) => warn(&error.to_string()),
    }
}

/// The id of a run's session: whoever tells it uses the same one. It is that of its death, with other
/// digits.
fn sid(identity: &Identity) -> Uuid {
    /// All random bits of the lower half; the other two say what kind of id it is.
    const DIGITS: u128 = 0x3fff_ffff_ffff_ffff;
    let death = Uuid::parse_str(&identity.silent_death_id).unwrap_or_else(|_| random_id());
    Uuid::from_u128(death.as_u128() ^ DIGITS)
}

/// Has a session sent that goes with no report.
pub(super) fn publish_session(sink: &Sink, delivery: &Delivery, session: &Session) {
    let Some(dsn) = delivery.dsn().filter(|_| delivery.is_on()) else { return };
    let mut envelope = Envelope::of_session(session);
    delivery.address(&mut envelope);
    let bytes = envelope.to_bytes();
    let spool = sink.publish_session(session.sid, &bytes);
    delivery.forwarded(session.sid, spool, &dsn, &bytes, spool.is_none());
}

/// Has a session sent with the report of `event`, if that still waits, else alone.
pub(super) fn attach_session_to(event: Uuid, sink: &Sink, delivery: &Delivery, session: &Session) {
    if delivery.dsn().is_none() || !delivery.is_on() {
        return;
    }
    if !sink.amend(event, |envelope| envelope.set_session(session)) {
        publish_session(sink, delivery, session);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::config::Settings;
    use crate::deliver::Spool;
    use crate::recorder::seal::Sealed;
    use crate::report::{SESSION, SessionStatus};

    const EVENT: Uuid = Uuid::from_u128(1);
    const SID: Uuid = Uuid::from_u128(2);

    /// A server that does not listen, so that everything stays where it is.
    fn settings() -> Settings {
        let dsn = "http://key@127.0.0.1:9/1".parse().ok();
        Settings { dsn, ..Settings::default() }
    }

    struct Bench {
        _root: tempfile::TempDir,
        spool: Spool,
        sink: Sink,
        delivery: Arc<Delivery>,
    }

    impl Bench {
        fn new(settings: &Settings) -> Bench {
            let root = tempfile::tempdir().unwrap();
            let spool = Spool::open(&root.path().join("state"), 1 << 20).unwrap();
            let sink = Sink::Spool(spool.clone(), 1 << 20);
            let delivery = Arc::new(Delivery::new(settings, None));
            Bench { _root: root, spool, sink, delivery }
        }

        fn sealed(&self, message: &str) -> Sealed {
            let mut envelope = Envelope::new(EVENT);
            envelope.push_event(format!("{{\"message\":\"{message}\"}}").into_bytes());
            self.delivery.address(&mut envelope);
            let event = sentry::protocol::Event { event_id: EVENT, ..Default::default() };
            Sealed { id: EVENT, bytes: envelope.to_bytes(), stays: false, event }
        }

        fn report(&self) -> Envelope {
            Envelope::parse(&self.spool.read(EVENT).unwrap()).unwrap()
        }

        /// The file of the session that goes alone.
        fn alone(&self) -> Option<Envelope> {
            let name = format!("sessions/{}.envelope", SID.simple());
            Envelope::parse(&std::fs::read(self.spool.dir().join(name)).ok()?).ok()
        }
    }

    fn session() -> Session {
        let now = SystemTime::now();
        let of = (Some("service@1"), "prod");
        Session::new(SID, (now, now), SessionStatus::Crashed, 0, of).unwrap()
    }

    #[test]
    fn that_of_a_crash_goes_with_its_event_and_stays_when_that_is_rewritten() {
        let bench = Bench::new(&settings());
        assert!(bench.sink.write(&bench.sealed("first")).is_ok());
        attach_session_to(EVENT, &bench.sink, &bench.delivery, &session());
        assert!(bench.report().has(SESSION) && bench.alone().is_none());
        assert!(bench.sink.replace(&bench.sealed("second")));
        let report = bench.report();
        assert_eq!(report.event().unwrap()["message"], "second");
        assert!(report.has(SESSION) && report.says_session());
        assert_eq!(report.session_alone().map(|(sid, _)| sid), Some(SID));
        attach_session_to(EVENT, &bench.sink, &bench.delivery, &session());
        assert_eq!(bench.report().items.len(), 2, "told again it is the same one");
    }

    #[test]
    fn that_of_a_crash_whose_event_has_gone_goes_alone() {
        let bench = Bench::new(&settings());
        assert!(bench.sink.write(&bench.sealed("first")).is_ok());
        bench.spool.mark_sent(EVENT).unwrap();
        attach_session_to(EVENT, &bench.sink, &bench.delivery, &session());
        assert!(!bench.report().has(SESSION));
        let alone = bench.alone().unwrap();
        assert_eq!((alone.event_id(), alone.items.len()), (None, 1));
        assert_eq!(alone.dsn(), Some("http://key@127.0.0.1:9/1"));
        assert_eq!(bench.spool.list().unwrap().len(), 1, "a session is no report");
    }

    #[test]
    fn where_nothing_is_sent_there_is_none() {
        for settings in [
            Settings { enable_sentry: false, ..settings() },
            Settings { dsn: None, ..Settings::default() },
        ] {
            let bench = Bench::new(&settings);
            assert!(bench.sink.write(&bench.sealed("first")).is_ok());
            attach_session_to(EVENT, &bench.sink, &bench.delivery, &session());
            publish_session(&bench.sink, &bench.delivery, &session());
            assert!(!bench.report().has(SESSION) && bench.alone().is_none());
        }
    }
}
