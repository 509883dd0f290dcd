//! Sessions: how one run of a program ended, for release health
//! (<https://develop.sentry.dev/sdk/telemetry/sessions/>).
//!
//! **Guarantee:** a session is told once, when it is over, with `init` set, in the form that the protocol
//! has: one run is one session of one release, so that rates of crash-free runs are right for a program
//! in any language. **Lost:** a session without a release, which servers refuse; the duration where the
//! clock was set back meanwhile. **Not offered:** a session that is told while it lasts, users
//! (`did`), and aggregates: a run of a server is neither a request nor a person's visit.

use std::fmt;
use std::time::SystemTime;

use sentry::types::Uuid;
use serde_json::{Map, Value, json};

use super::envelope::{Item, rfc3339};
use super::mend;

/// The type of its item in an envelope, which is also its category for rate limits and client reports.
pub const SESSION: &str = "session";

/// One run of a program, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id. Whoever tells it again uses the same one.
    pub sid: Uuid,
    started: SystemTime,
    ended: SystemTime,
    status: SessionStatus,
    errors: u64,
    release: String,
    environment: Option<String>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// The program ended by its own will, or was asked to stop.
    Exited,
    /// It crashed.
    Crashed,
    /// It is gone, and nobody knows how it ended.
    Abnormal,
}

/// There is no release, so there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRelease;

impl fmt::Display for NoRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no session is sent without a release: set LASTWORDS_RELEASE or --release")
    }
}

impl std::error::Error for NoRelease {}

impl Session {
    /// A session that is over. `errors` counts what was reported of it and did not end it; a crash
    /// counts by itself. Release and environment are those of the reports.
    ///
    /// # Errors
    /// [`NoRelease`] where the release is missing or empty.
    pub fn new(
        sid: Uuid,
        (started, ended): (SystemTime, SystemTime),
        status: SessionStatus,
        errors: u64,
        (release, environment): (Option<&str>, &str),
    ) -> Result<Session, NoRelease> {
        let release = release.and_then(mend::release).ok_or(NoRelease)?;
        let environment = mend::environment(environment);
        let errors = match status {
            SessionStatus::Crashed => errors.saturating_add(1),
            SessionStatus::Exited | SessionStatus::Abnormal => errors,
        };
        Ok(Session { sid, started, ended, status, errors, release, environment })
    }

    /// It as the protocol has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut session = json!({
            "sid": self.sid.hyphenated().to_string(),
            "init": true,
            "started": rfc3339(self.started),
            "timestamp": rfc3339(self.ended),
            "status": self.status.name(),
            "errors": self.errors,
            "attrs": { "release": self.release },
        });
        // Seconds, to the millisecond; none where the clock says that it ended before it began.
        if let Ok(lasted) = self.ended.duration_since(self.started) {
            session["duration"] = Value::from((lasted.as_secs_f64() * 1e3).round() / 1e3);
        }
        if let Some(environment) = &self.environment {
            session["attrs"]["environment"] = Value::from(environment.as_str());
        }
        session
    }

    /// It as an item of an envelope.
    pub(super) fn to_item(&self) -> Item {
        let mut header = Map::new();
        header.insert("type".to_owned(), Value::from(SESSION));
        header.insert("content_type".to_owned(), Value::from("application/json"));
        Item::new(header, self.to_json().to_string().into_bytes())
    }
}

impl SessionStatus {
    fn name(self) -> &'static str {
        match self {
            SessionStatus::Exited => "exited",
            SessionStatus::Crashed => "crashed",
            SessionStatus::Abnormal => "abnormal",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use sentry::protocol::{SessionStatus as TheirStatus, SessionUpdate};

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn session(status: SessionStatus, times: (SystemTime, SystemTime)) -> Session {
        let of = (Some("service@1.2.3"), "prod-oss");
        Session::new(Uuid::from_u128(7), times, status, 2, of).unwrap()
    }

    #[test]
    fn it_reads_as_the_protocol_has_it() {
        let session = session(SessionStatus::Crashed, (at(1_000), at(3_500)));
        let expected = json!({
            "sid": "00000000-0000-0000-0000-000000000007",
            "init": true,
            "started": "1970-01-01T00:00:01Z",
            "timestamp": "1970-01-01T00:00:03.5Z",
            "duration": 2.5,
            "status": "crashed",
            "errors": 3,
            "attrs": {"release": "service@1.2.3", "environment": "prod-oss"},
        });
        assert_eq!(session.to_json(), expected);
    }

    #[test]
    fn the_sdk_reads_what_we_write() {
        for (ours, theirs) in [
            (SessionStatus::Exited, TheirStatus::Exited),
            (SessionStatus::Crashed, TheirStatus::Crashed),
            (SessionStatus::Abnormal, TheirStatus::Abnormal),
        ] {
            let json = session(ours, (at(1_000), at(2_000))).to_json();
            let update: SessionUpdate<'_> = serde_json::from_value(json).unwrap();
            assert_eq!((update.status, update.init), (theirs, true));
            assert_eq!(update.session_id, Uuid::from_u128(7));
            assert_eq!((update.started, update.timestamp), (at(1_000), Some(at(2_000))));
            assert_eq!(update.distinct_id, None);
        }
    }

    #[test]
    fn without_a_release_there_is_none() {
        for release in [None, Some(""), Some("  ")] {
            let made = Session::new(
                Uuid::nil(),
                (at(0), at(1)),
                SessionStatus::Exited,
                0,
                (release, "prod"),
            );
            assert_eq!(made, Err(NoRelease), "{release:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_costs_the_duration_alone() {
        let json = session(SessionStatus::Exited, (at(2_000), at(1_000))).to_json();
        assert_eq!((json.get("duration"), &json["errors"]), (None, &json!(2)));
    }

    proptest! {
        #[test]
        fn any_session_can_be_read(from: u64, to: u64, errors: u64, release in ".{1,300}", environment in ".{0,99}") {
            let times = (at(from % (1 << 60)), at(to % (1 << 60)));
            let of = (Some(&*release), &*environment);
            let made = Session::new(Uuid::nil(), times, SessionStatus::Crashed, errors, of);
            if let Ok(session) = made {
                let read = serde_json::from_value::<SessionUpdate<'_>>(session.to_json());
                prop_assert!(read.is_ok(), "{:?}", read);
                prop_assert!(read.unwrap().attributes.release.len() <= 200);
            }
        }
    }
}
