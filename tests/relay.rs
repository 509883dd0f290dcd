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
use std::time::{Duration, SystemTime};

use lastwords::detect::{
    Crash, CrashedThread, Exception, Frame, Location, Mechanism, Runtime, Severity,
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

#[test]
fn relay_objects_to_nothing() {
    let Some(python) = std::env::var_os("LASTWORDS_RELAY_PYTHON") else {
        eprintln!("skipped: LASTWORDS_RELAY_PYTHON names no python with sentry-relay");
        return;
    };
    let scenes = [plain(), bare(), hostile(), large(), huge()];
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relay/normalise.py");
    let mut relay = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut input = relay.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for scene in &scenes {
            input.write_all(&report::build(scene).to_json_bytes()).unwrap();
            input.write_all(b"\n").unwrap();
        }
    });
    let output = relay.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{python:?} {script}: {}", output.status);
    let objections = String::from_utf8(output.stdout).unwrap();
    assert_eq!(objections, "[]\n".repeat(5), "in the order plain, bare, hostile, large, huge");
}
