//! Relay, the server that normalises every event, must have nothing to object to in ours.
//!
//! The test needs Relay's library: it is skipped, and says so, unless `LASTWORDS_RELAY_PYTHON`
//! names a python that has it.
//!
//! ```text
//! python3 -m venv VENV && VENV/bin/pip install sentry-relay==0.10.1
//! LASTWORDS_RELAY_PYTHON=VENV/bin/python cargo test --test relay
//! ```

mod scenes;

use lastwords::report;
use serde_json::{Map, Value, json};

/// What Relay has to say of each event; nothing, said aloud, where there is no Relay.
fn objections(events: Vec<Vec<u8>>) -> Option<String> {
    scenes::judged("LASTWORDS_RELAY_PYTHON", "relay/normalise.py", events)
}

#[test]
fn an_event_has_the_most_telling_goroutines_it_has_room_for() {
    let report = report::build(&scenes::goroutines());
    let event = report.to_json();
    assert!(report.to_json_bytes().len() <= 1 << 20);
    let threads = event["threads"]["values"].as_array().expect("threads");
    assert!(threads.len() > 1000, "{}", threads.len());
    assert_eq!((&threads[0]["id"], &threads[1]["id"]), (&json!(1), &json!(2)));
    assert_eq!(threads[0].get("stacktrace"), None, "the exception has it");
    assert_eq!(threads[1]["state"], "chan receive, 7 minutes");
    assert!(threads[1]["name"].as_str().is_some_and(|name| name.starts_with("created by main")));
    let left_out = event["contexts"]["lastwords"]["threads_left_out"].as_u64();
    assert_eq!(left_out, Some(8999 - threads.len() as u64 + 12));
    assert_eq!(event["exception"]["values"][0]["mechanism"]["meta"]["signal"]["number"], 11);
    assert_eq!(event["exception"]["values"][0]["mechanism"]["synthetic"], true);
}

#[test]
fn relay_objects_to_nothing() {
    let Some(objections) = objections(scenes::events()) else { return };
    let none = "[]\n".repeat(scenes::all().len());
    assert_eq!(
        objections, none,
        "in the order plain, bare, hostile, large, huge, goroutines, silent, beside, outside"
    );
}

/// Every crash of the corpus that is read.
#[test]
fn relay_objects_to_nothing_that_is_read_from_text() {
    let events = scenes::events_of_corpus();
    let count = events.len();
    let Some(objections) = objections(events) else { return };
    assert_eq!(objections, "[]\n".repeat(count));
}

/// An event that was scrubbed, with its notes about it: Relay keeps these, and adds none.
#[test]
fn relay_keeps_the_notes_of_the_scrubber() {
    let mut scene = scenes::plain();
    scene.tags.push(("session".to_owned(), "s3cr3t".to_owned()));
    scene.tags.push(("url".to_owned(), "https://bob:s3cr3t@example.com/x".to_owned()));
    scene.process.server_name = Some("10.0.0.7".to_owned());
    scene.crash.exceptions[0].value = "ü password=s3cr3t at 10.0.0.7".to_owned();
    scene.breadcrumbs = vec![scenes::crumb("token: s3cr3t", json!({"password": "s3cr3t", "n": 1}))];
    let mut event = report::build(&scene).to_json();
    event["user"] = json!({"id": "7", "ip_address": "10.0.0.7", "username": "bob"});
    event["request"] = json!({
        "url": "https://h/x?token=s3cr3t",
        "headers": [["Authorization", "Bearer s3cr3t"], ["Accept", "*/*"]],
        "cookies": "a=s3cr3t",
    });
    report::Scrubber::new::<&str>(&[]).event(&mut event);
    let bytes = event.to_string().into_bytes();
    assert!(!event.to_string().contains("s3cr3t"), "{event:#}");
    let Some(objections) = objections(vec![bytes]) else { return };
    let objections: Vec<(String, Value)> = serde_json::from_str(&objections).expect("a list");
    assert!(objections.len() > 6, "{objections:?}");
    for (path, note) in objections {
        assert_eq!(note.as_object().map(Map::len), Some(1), "{path}: {note}");
        let remarks = note["rem"].as_array().unwrap_or_else(|| panic!("{path}: {note}"));
        assert!(remarks.iter().all(|remark| remark[0] == "lastwords:scrub"), "{path}: {note}");
    }
}
