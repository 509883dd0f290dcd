//! Every kind of event is one that the public schema of Sentry events allows.
//!
//! Bugsink's wheel carries the schema: the test is skipped, and says so, unless
//! `LASTWORDS_BUGSINK_PYTHON` names a python that has Bugsink.

mod scenes;

/// What the schema forbids in each event.
fn mistakes(events: Vec<Vec<u8>>) -> Option<String> {
    scenes::judged("LASTWORDS_BUGSINK_PYTHON", "bugsink/validate.py", events)
}

#[test]
fn the_schema_allows_every_kind_of_event() {
    let Some(mistakes) = mistakes(scenes::events()) else { return };
    let none = "[]\n".repeat(scenes::all().len());
    assert_eq!(
        mistakes, none,
        "in the order plain, bare, hostile, large, huge, goroutines, silent, beside"
    );
}

/// The schema knows no `_meta`, which the protocol has (and Relay keeps, see `relay.rs`); all the rest of
/// an event that was scrubbed is as it allows.
#[test]
fn the_schema_allows_scrubbed_events() {
    let scrubber = lastwords::report::Scrubber::new::<&str>(&[]);
    let scrub = |scene: &lastwords::report::Scene| {
        let mut event = lastwords::report::build(scene).to_json();
        event["server_name"] = "10.0.0.7".into();
        event["tags"]["session"] = "s3cr3t".into();
        event["exception"]["values"][0]["value"] = "password=s3cr3t".into();
        scrubber.event(&mut event);
        let meta = event.as_object_mut().and_then(|event| event.remove("_meta"));
        assert!(meta.is_some() && !event.to_string().contains("s3cr3t"));
        event.to_string().into_bytes()
    };
    let events: Vec<_> = [scenes::plain(), scenes::goroutines()].iter().map(scrub).collect();
    let Some(mistakes) = mistakes(events) else { return };
    assert_eq!(mistakes, "[]\n".repeat(2));
}

/// Where frames were left out is said where the schema has a place for it.
#[test]
fn omitted_frames_are_noted_in_the_mechanism() {
    let event = lastwords::report::build(&scenes::large()).to_json();
    let about = event["exception"]["values"].as_array().unwrap().last().unwrap();
    assert_eq!(about["mechanism"]["data"]["frames_omitted"], serde_json::json!([50, 700]));
    assert_eq!(about["stacktrace"].get("frames_omitted"), None);
}

#[test]
fn the_schema_allows_what_is_read_from_text() {
    let events = scenes::events_of_corpus();
    let count = events.len();
    let Some(mistakes) = mistakes(events) else { return };
    assert_eq!(mistakes, "[]\n".repeat(count));
}

/// The validator does look: what no event may have is found.
#[test]
fn the_schema_forbids_something() {
    let event = br#"{"no_such_key":1,"exception":{"values":[{"value":"x"}]}}"#;
    let Some(mistakes) = mistakes(vec![event.to_vec()]) else { return };
    assert!(mistakes.contains("no_such_key"), "{mistakes}");
}
