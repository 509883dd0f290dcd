//! Relay, the server that normalises every event, must have nothing to object to in ours.
//!
//! The test needs Relay's library: it is skipped, and says so, unless `LASTWORDS_RELAY_PYTHON`
//! names a python that has it.
//!
//! ```text
//! python3 -m venv VENV && VENV/bin/pip install sentry-relay==0.10.1
//! LASTWORDS_RELAY_PYTHON=VENV/bin/python cargo test --test relay
//! ```

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lastwords::detect::stderr::{Found, Scanner};
use lastwords::detect::{
    Crash, CrashedThread, Ending, Exception, Frame, Location, Mechanism, Runtime, Severity,
    SignalInfo, ThreadStack, exit,
};
use lastwords::record::{Breadcrumb, Losses, SpanInfo, ThreadInfo};
use lastwords::report::{self, ProcessInfo, Scene, Usage};
use lastwords::sentry::types::Uuid;
use serde_json::{Map, Value, json};
use tracing_core::Level;

fn frame(function: &str, in_app: bool) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: function.rsplit_once("::").map(|(module, _)| module.to_owned()),
        file: Some("/build/service/src/ingest.rs".to_owned()),
        line: Some(41),
        symbol: None,
        column: Some(9),
        in_app,
        address: Some(0x5555_1234),
        symbol_address: Some(0x5555_1000),
        inlined: false,
    }
}

fn panic(value: &str, frames: Vec<Frame>) -> Exception {
    Exception {
        ty: "panic".to_owned(),
        value: value.to_owned(),
        mechanism: Mechanism::Panic,
        signal: None,
        created_by: None,
        location: Some(Location { file: "src/ingest.rs".to_owned(), line: 41, column: 17 }),
        frames,
        frames_elided: 0,
    }
}

fn crumb(message: &str, fields: Value) -> Breadcrumb {
    let span = |name: &str| SpanInfo {
        name: name.to_owned(),
        target: "service".to_owned(),
        fields: json!({"id": 9, "nested": {"a": {"b": {"c": [1, 2]}}}})
            .as_object()
            .unwrap()
            .clone(),
    };
    Breadcrumb {
        time: SystemTime::now(),
        boot_nanos: 1,
        level: Level::TRACE,
        target: "service::ingest".to_owned(),
        message: message.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_else(Map::new),
        thread: ThreadInfo { id: 7, name: Some("worker".to_owned()) },
        spans: vec![span("request"), span("parse")],
        file: None,
        line: None,
        cut: false,
    }
}

fn plain() -> Scene {
    let frames = vec![frame("service::ingest::parse_batch", true), frame("service::main", true)];
    Scene {
        crash: Crash {
            event_id: Uuid::from_u128(1),
            time: SystemTime::now(),
            runtime: Runtime::Rust,
            runtime_version: None,
            threads: Vec::new(),
            threads_elided: 0,
            severity: Severity::Fatal,
            thread: Some(CrashedThread { id: Some(7), name: Some("main".to_owned()), main: true }),
            exceptions: vec![panic("boom", frames.clone()), panic("again", frames)],
        },
        breadcrumbs: vec![crumb("batch begins", json!({"rows": 3, "share": 0.5, "ok": true}))],
        breadcrumb_limit: 1000,
        losses: Losses::default(),
        tags: vec![("cid".to_owned(), "abc".to_owned())],
        release: Some("service@1.2.3".to_owned()),
        environment: "prod-oss".to_owned(),
        process: ProcessInfo {
            pid: std::process::id(),
            started: Some(SystemTime::now() - Duration::from_secs(5)),
            executable: std::env::current_exe().ok().map(|path| path.display().to_string()),
            server_name: Some("host-1".to_owned()),
            usage: Usage::of_this_process(),
            ending: None,
        },
        durable: true,
    }
}

/// No stack, no thread, no message: the least there can be.
fn bare() -> Scene {
    let mut scene = plain();
    scene.crash.thread = None;
    scene.crash.severity = Severity::Error;
    scene.crash.exceptions = vec![Exception { location: None, ..panic("", Vec::new()) }];
    scene.breadcrumbs = vec![Breadcrumb { target: String::new(), ..crumb("", json!({})) }];
    scene.tags.clear();
    scene.release = None;
    scene.environment = String::new();
    scene.process = ProcessInfo::default();
    scene
}

/// Values that Relay would cut or drop.
fn hostile() -> Scene {
    let mut scene = plain();
    for release in ["latest", "a/b\\c\n", &"é".repeat(300)] {
        scene.tags.push((format!("release {release}"), release.to_owned()));
        scene.release = Some(release.to_owned());
    }
    scene.environment = "None".to_owned();
    scene.process.server_name = Some("h\n".repeat(300));
    scene.process.executable = Some("/x".repeat(9000));
    for key in ["user", "release", "environment", "dist", "filename", "function", "a b", "ä/ö", ""]
    {
        scene.tags.push((key.to_owned(), "x\ny".to_owned()));
        scene.tags.push((format!("{key}{}", "k".repeat(400)), "ä".repeat(400)));
        scene.tags.push((format!("empty{key}"), " ".to_owned()));
    }
    scene
}

/// Everything longer, deeper and more than Relay keeps.
fn large() -> Scene {
    let mut scene = plain();
    let wide = "ü".repeat(20_000);
    scene.crash.exceptions[0].ty.clone_from(&wide);
    scene.crash.exceptions[0].value.clone_from(&wide);
    scene.crash.exceptions[0].location = Some(Location { file: wide.clone(), line: 1, column: 0 });
    scene.crash.exceptions[0].frames = vec![frame(&wide, true); 900];
    scene.crash.exceptions[1].frames = vec![Frame::default(); 3];
    scene.crash.thread =
        Some(CrashedThread { id: Some(u64::MAX), name: Some(wide.clone()), main: false });
    let mut deep = json!(1);
    for _ in 0..9 {
        deep = json!({"k": deep, "l": [1]});
    }
    let many: Map<_, _> = (0..500).map(|n| (format!("key{n}"), json!(n))).collect();
    scene.breadcrumbs = vec![
        crumb(&wide, json!({"deep": deep})),
        crumb("many", Value::Object(many)),
        crumb("long", json!({"text": "\"".repeat(5000), "list": (0..3000).collect::<Vec<_>>()})),
        crumb("own names", json!({"thread": 1, "span": 2, "spans": 3, "cut": 4})),
    ];
    scene.breadcrumbs[0].target.clone_from(&wide);
    scene.breadcrumbs[1].time = SystemTime::UNIX_EPOCH - Duration::from_secs(9);
    scene.breadcrumbs[2].time = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 45);
    scene
}

/// More than the 1 MiB of an event.
fn huge() -> Scene {
    let mut scene = plain();
    scene.breadcrumbs = (0..900).map(|_| crumb(&"x".repeat(4000), json!({}))).collect();
    scene
}

/// More goroutines than an event has room for, and a fault that names its signal.
fn goroutines() -> Scene {
    let mut scene = plain();
    let stack = |n: u32| -> Arc<[Frame]> {
        let own = Frame {
            function: Some("(*server).serve".to_owned()),
            module: Some("example.com/orders".to_owned()),
            symbol: Some("example.com/orders.(*server[...]).serve.func1".to_owned()),
            line: Some(n),
            ..frame("", true)
        };
        vec![frame("park", false), own].into()
    };
    scene.crash.runtime = Runtime::Go;
    scene.crash.thread = Some(CrashedThread { id: Some(1), name: None, main: true });
    scene.crash.exceptions = vec![Exception {
        ty: "SIGSEGV".to_owned(),
        mechanism: Mechanism::Signal,
        signal: Some(SignalInfo {
            number: Some(11),
            name: "SIGSEGV".to_owned(),
            code: Some(1),
            address: Some(0),
        }),
        created_by: Some(Arc::new(frame("main", true))),
        ..panic("segmentation violation", stack(1).to_vec())
    }];
    scene.crash.threads = (2..9000)
        .map(|id| ThreadStack {
            id: Some(id.into()),
            name: None,
            state: Some("chan receive".to_owned()),
            blocked_minutes: Some(7),
            frames: stack(id),
            frames_elided: 0,
            created_by: Some(Arc::new(frame("main", true))),
        })
        .collect();
    scene.crash.threads_elided = 12;
    scene.process.ending = Some(Ending::Code(2));
    scene
}

/// A death that only the exit status tells of.
fn silent() -> Scene {
    let mut scene = plain();
    let id = Uuid::from_u128(2);
    let ending = Ending::Signal(9);
    scene.crash = exit::silent_crash(ending, id, SystemTime::now()).expect("a crash");
    scene.process.ending = Some(ending);
    scene
}

#[test]
fn an_event_has_the_most_telling_goroutines_it_has_room_for() {
    let report = report::build(&goroutines());
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
    let scenes = [plain(), bare(), hostile(), large(), huge(), goroutines(), silent()];
    let events = scenes.iter().map(|scene| report::build(scene).to_json_bytes()).collect();
    let Some(objections) = objections(events) else { return };
    let none = "[]\n".repeat(7);
    assert_eq!(
        objections, none,
        "in the order plain, bare, hostile, large, huge, goroutines, silent"
    );
}

/// Every crash of the corpus that is read.
#[test]
fn relay_objects_to_nothing_that_is_read_from_text() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut events = Vec::new();
    for case in std::fs::read_dir(corpus).expect("the corpus") {
        let Ok(text) = std::fs::read(case.expect("a case").path().join("stderr")) else { continue };
        let mut add = |found: Found| {
            let scene = Scene::of_text(found.crash, Vec::new(), None);
            let place = report::Place { lines: found.lines, bytes: found.bytes };
            events.push(report::build_from_text(&scene, Some(place)).to_json_bytes());
        };
        let mut scanner = Scanner::new();
        scanner.feed(&text, SystemTime::now(), &mut add);
        scanner.finish(None, &mut add);
    }
    let count = events.len();
    assert!(count > 60, "{count}");
    let Some(objections) = objections(events) else { return };
    assert_eq!(objections, "[]\n".repeat(count));
}

/// An event that was scrubbed, with its notes about it: Relay keeps these, and adds none.
#[test]
fn relay_keeps_the_notes_of_the_scrubber() {
    let mut scene = plain();
    scene.tags.push(("session".to_owned(), "s3cr3t".to_owned()));
    scene.tags.push(("url".to_owned(), "https://bob:s3cr3t@example.com/x".to_owned()));
    scene.process.server_name = Some("10.0.0.7".to_owned());
    scene.crash.exceptions[0].value = "ü password=s3cr3t at 10.0.0.7".to_owned();
    scene.breadcrumbs = vec![crumb("token: s3cr3t", json!({"password": "s3cr3t", "n": 1}))];
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

/// What Relay has to say of each event; nothing, said aloud, where there is no Relay.
fn objections(events: Vec<Vec<u8>>) -> Option<String> {
    let Some(python) = std::env::var_os("LASTWORDS_RELAY_PYTHON") else {
        eprintln!("skipped: LASTWORDS_RELAY_PYTHON names no python with sentry-relay");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relay/normalise.py");
    let mut relay = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut input = relay.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for event in &events {
            input.write_all(event).unwrap();
            input.write_all(b"\n").unwrap();
        }
    });
    let output = relay.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{python:?} {script}: {}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}
