//! The event of `--send-test`: that a way exists, and nothing else.

use std::time::SystemTime;

use lastwords::report::{AsSent, Envelope, Scrubber};
use lastwords::sentry::types::{Uuid, random_uuid};
use serde_json::{Value, json};

/// What it says.
pub const MESSAGE: &str = "lastwords doctor: test";

/// A test event on its way: its id and the envelope.
pub fn make(sent_as: &AsSent) -> (Uuid, Vec<u8>) {
    let id = random_uuid();
    let now = SystemTime::now();
    let mut envelope = Envelope::new(id);
    envelope.push_event(event(id, now, sent_as).to_string().into_bytes());
    envelope.set_sent_at(now);
    (id, envelope.to_bytes())
}

fn event(id: Uuid, now: SystemTime, sent_as: &AsSent) -> Value {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut event = json!({
        "event_id": id.simple().to_string(),
        "timestamp": seconds,
        "level": "info",
        "platform": "native",
        "logentry": {"formatted": MESSAGE},
        "logger": "lastwords",
        "tags": sent_as.tags,
        "sdk": {"name": "lastwords", "version": env!("CARGO_PKG_VERSION")},
    });
    for (key, value) in [("release", &sent_as.release), ("environment", &sent_as.environment)] {
        if let Some(value) = value {
            event[key] = value.as_str().into();
        }
    }
    // As every event is before it leaves.
    Scrubber::new::<&str>(&[]).event(&mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_carries_what_every_event_carries() {
        let sent_as = lastwords::report::as_sent(Some("a/b"), "prod", &[("k".into(), "v".into())]);
        let (id, bytes) = make(&sent_as);
        let envelope = Envelope::parse(&bytes).unwrap();
        assert_eq!(envelope.event_id(), Some(id));
        let event = envelope.event().unwrap();
        assert_eq!((&event["release"], &event["environment"]), (&json!("a-b"), &json!("prod")));
        assert_eq!(event["tags"], json!({"k": "v"}));
    }
}
