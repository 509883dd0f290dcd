//! Events: what is scrubbed, what stays, and what is said of it.

use serde_json::{Value, json};

use super::super::*;
use crate::report::limits;

fn scrubbed(mut event: Value) -> Value {
    Scrubber::new(&["pin"]).event(&mut event);
    event
}

#[test]
fn every_field_of_an_event_is_scrubbed() {
    let event = scrubbed(json!({
        "event_id": "4111111111111111",
        "timestamp": "1.2.3.4",
        "level": "fatal",
        "platform": "native",
        "release": "app@1.2.3.4",
        "environment": "env password=S1",
        "server_name": "10.0.0.1",
        "transaction": "GET /x?token=S2",
        "logger": "https://S3@h",
        "fingerprint": ["{{ default }}", "token=S4"],
        "message": "password=S5",
        "logentry": {"message": "%s", "params": ["password=S6"]},
        "tags": {"session": "S7", "url": "https://S8@h", "cid": "abc"},
        "extra": {"a": {"pin": "S9"}},
        "modules": {"cookie": "0.16.2", "token": "1.2.3.4"},
        "sdk": {"name": "lastwords", "version": "1.2.3.4"},
        "user": {"ip_address": "10.0.0.1", "email": "bob@example.com", "id": "7", "token": "S10"},
        "request": {
            "url": "https://h/?token=S11",
            "cookies": "a=S12",
            "query_string": "token=S13&a=1",
            "headers": [["Authorization", "Bearer S14"], ["Accept", "x"]],
            "env": {"REMOTE_ADDR": "10.0.0.1"},
        },
        "contexts": {
            "trace": {"type": "trace", "trace_id": "4111111111111111", "span_id": "1"},
            "session": {"type": "session", "id": "S15"},
            "process": {"executable": "/home/S16/x", "args": ["x", "--password", "S17"]},
        },
        "breadcrumbs": {"values": [{
            "type": "default",
            "category": "app::token",
            "message": "password=S18",
            "data": {"password": "S19", "n": 1, "env": [{"name": "API_KEY", "value": "S20"}]},
        }]},
        "exception": {"values": [{
            "type": "E 10.0.0.1", "value": "dsn=S21",
            "mechanism": {"type": "panic", "data": {"location": "/home/S22/x.rs:1:2"}},
            "stacktrace": {"frames": [{
                "function": "token::parse", "module": "a::token", "lineno": 3,
                "filename": "/home/S23/x.rs", "abs_path": "https://S24@h/x.rs",
                "package": "/Users/S25/x", "vars": {"password": "S26"},
                "context_line": "password = S27", "instruction_addr": "0x1",
            }]},
        }]},
        "threads": {"values": [{"id": 4_111_111_111_111_111_u64, "name": "secret=S28"}]},
        "debug_meta": {"images": [{"type": "elf", "code_file": "/home/S29/x", "debug_id": "0-1"}]},
        "of_the_future": {"password": "S30", "text": "10.0.0.1"},
        "password": "S31",
    }));
    let json = event.to_string();
    for number in 1..=31 {
        let survives = json
            .match_indices(&format!("S{number}"))
            .any(|(at, found)| !json[at + found.len()..].starts_with(|c: char| c.is_ascii_digit()));
        assert!(!survives, "S{number} in {json}");
    }
    assert!(!json.contains("10.0.0.1"), "{event:#}");
    for (pointer, kept) in [
        ("/event_id", json!("4111111111111111")),
        ("/timestamp", json!("1.2.3.4")),
        ("/release", json!("app@1.2.3.4")),
        ("/modules/cookie", json!("0.16.2")),
        ("/sdk/version", json!("1.2.3.4")),
        ("/tags/cid", json!("abc")),
        ("/user/email", json!("bob@example.com")),
        ("/contexts/trace/trace_id", json!("4111111111111111")),
        ("/contexts/session/type", json!("session")),
        ("/breadcrumbs/values/0/category", json!("app::token")),
        ("/exception/values/0/stacktrace/frames/0/function", json!("token::parse")),
        ("/exception/values/0/stacktrace/frames/0/filename", json!("/home/[Filtered]/x.rs")),
        ("/exception/values/0/mechanism/data/location", json!("/home/[Filtered]/x.rs:1:2")),
        ("/threads/values/0/id", json!(4_111_111_111_111_111_u64)),
        ("/request/headers/1/1", json!("x")),
        ("/contexts/process/args/1", json!("--password")),
        ("/fingerprint/0", json!("{{ default }}")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&kept), "{pointer}");
    }
}

#[test]
fn what_was_replaced_is_noted() {
    let event = scrubbed(json!({
        "message": "ü password=hunter2",
        "tags": {"a": "b"},
        "exception": {"values": [{"value": "token=a b 10.0.0.1"}]},
        "_meta": {"message": {"": {"len": 9, "rem": [["x", "s", 0, 1]]}}, "tags": {"": {"err": []}}},
    }));
    assert_eq!(
        event["_meta"],
        json!({
            "message": {"": {"len": 9, "rem": [["x", "s", 0, 1], ["lastwords:scrub", "s", 12, 22]]}},
            "tags": {"": {"err": []}},
            "exception": {"values": {"0": {"value": {"": {"rem": [
                ["lastwords:scrub", "s", 6, 16], ["lastwords:scrub", "s", 19, 29],
            ]}}}}},
        })
    );
    assert_eq!(scrubbed(json!({"message": "fine"})), json!({"message": "fine"}));
}

#[test]
fn what_grew_is_within_its_limits_again() {
    let crumb = json!({"message": "10.0.0.1 ".repeat(900), "data": {"a": "/home/x/ ".repeat(220)}});
    let event = scrubbed(json!({
        "tags": {"paths": "/home/x/ ".repeat(22), "same": "x".repeat(300)},
        "exception": {"values": [{"value": "/home/x/ ".repeat(910)}]},
        "breadcrumbs": {"values": vec![crumb; 300]},
    }));
    let chars = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::len);
    assert!(chars("/tags/paths").is_some_and(|len| len <= 200));
    assert_eq!(chars("/tags/same"), Some(300), "no one's business");
    assert!(chars("/exception/values/0/value").is_some_and(|len| len <= 8192));
    let data = event["breadcrumbs"]["values"][0]["data"].to_string();
    assert!(data.len() <= limits::CRUMB_DATA_BYTES);
    let tag = event["tags"]["paths"].as_str().unwrap();
    assert!(!tag.trim_end_matches("...").ends_with("[Fil"), "{tag}");
    assert!(event.to_string().len() <= limits::EVENT_BYTES);
    assert!(event["breadcrumbs"]["values"].as_array().unwrap().len() > 10);
}

#[test]
fn nothing_is_too_deep() {
    let mut deep = json!({"password": "hunter2"});
    for _ in 0..5_000 {
        deep = Value::Array(vec![deep]);
    }
    let mut value = json!({"extra": null});
    value["extra"] = deep;
    Scrubber::new::<&str>(&[]).event(&mut value);
    let text = value.to_string();
    assert!(!text.contains("hunter2") && text.contains("[Filtered]"));
}

#[test]
fn keys_are_scrubbed_and_stay_apart() {
    let mut value = json!({"10.0.0.1": 1, "10.0.0.2": 2, "user": "bob"});
    assert!(Scrubber::new::<&str>(&[]).value(&mut value));
    assert_eq!(value, json!({"[Filtered]": 1, "[Filtered] 2": 2, "user": "bob"}));
}

#[test]
fn a_value_that_says_nothing_stays() {
    let kept = json!({"password": null, "session": true, "token": "", "cookie": [], "card": 4});
    let mut value = kept.clone();
    assert!(!Scrubber::new::<&str>(&[]).value(&mut value));
    assert_eq!(value, kept);
    let mut value = json!({"pan": 4_111_111_111_111_111_u64, "password": 7});
    Scrubber::new::<&str>(&[]).value(&mut value);
    assert_eq!(value, json!({"pan": "[Filtered]", "password": "[Filtered]"}));
}

#[test]
fn a_tag_loses_what_is_secret_in_its_key() {
    let mut tags = [("password=hunter2", "x"), ("token", "k7f3"), ("token_count", "3"), ("a", "b")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    scrub_tags(&mut tags, &super::scrubber());
    let tags = tags.map(|(key, value)| format!("{key}: {value}"));
    let expected =
        ["password=[Filtered]: [Filtered]", "token: [Filtered]", "token_count: 3", "a: b"];
    assert_eq!(tags, expected);
}

#[test]
fn a_value_that_is_no_secret_of_its_key_stays() {
    let value = json!({
        "token_type": "bearer", "total_tokens": 42, "password_file": "/run/secrets/db",
        "session_timeout": 30, "pass": 3, "cookies": 2,
    });
    let mut scrubbed = value.clone();
    assert!(!super::scrubber().value(&mut scrubbed), "{scrubbed}");
    let mut secret =
        json!({"user": "bob", "pass": "x", "password_file": "hunter2", "tokens": ["a"]});
    assert!(super::scrubber().value(&mut secret));
    let hidden = "[Filtered]";
    assert_eq!(
        secret,
        json!({"user": "bob", "pass": hidden, "password_file": hidden, "tokens": hidden})
    );
}

#[test]
fn cookies_keep_their_names() {
    let event = scrubbed(json!({"request": {"cookies": "a=s3cr3t; b=s3cr3t"}}));
    let hidden = json!([["a", "[Filtered]"], ["b", "[Filtered]"]]);
    assert_eq!(event["request"]["cookies"], hidden);
    let event = scrubbed(json!({"request": {"cookies": {"a": "s3cr3t"}}}));
    assert_eq!(event["request"]["cookies"], json!({"a": "[Filtered]"}));
}
