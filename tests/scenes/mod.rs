//! Every kind of event there is, made from scenes and from the corpus, and what others say of them.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lastwords::detect::stderr::{Found, Scanner};
use lastwords::detect::{
    Crash, CrashedThread, Ending, Exception, Frame, Image, Location, Mechanism, Runtime, Severity,
    SignalInfo, ThreadStack, exit,
};
use lastwords::record::{Breadcrumb, Losses, Position, SpanInfo, ThreadInfo};
use lastwords::report::{self, Ambient, CgroupMemory, ProcessInfo, Scene, Usage};
use lastwords::sentry::types::Uuid;
use serde_json::{Map, Value, json};
use tracing_core::Level;

/// The scenes, in the order plain, bare, hostile, large, huge, goroutines, silent, beside, outside.
pub fn all() -> [Scene; 9] {
    let silent = silent();
    [plain(), bare(), hostile(), large(), huge(), goroutines(), silent, beside_sentry(), outside()]
}

/// A signal whose stack was made outside of the process, in part of files that are gone.
fn outside() -> Scene {
    let image = |base, path: &str, id: Option<&str>| {
        let (path, build_id) = (path.to_owned(), id.map(str::to_owned));
        Some(Arc::new(Image { base, size: 0x20_0000, path, build_id }))
    };
    let service =
        image(0x5555_0000, "/srv/service", Some("bebfd396ca06ccffe1bde9bba7b262be47b5d027"));
    let plugin = image(0x7f00_0000_0000, "/srv/plugin.so", None);
    let mut scene = silent();
    let named = Frame { image: service.clone(), ..frame("service::ingest::parse", true) };
    let bare = |image, address| Frame { image, address: Some(address), ..Frame::default() };
    scene.crash.exceptions[0].frames =
        vec![bare(plugin, 0x7f00_0000_1234), named, bare(service, 0x5555_2345), bare(None, 0x10)];
    scene
}

/// In a program with a `sentry` client of its own.
fn beside_sentry() -> Scene {
    use lastwords::sentry::protocol::{TraceContext, User};
    let user = User { id: Some("7".to_owned()), ..User::default() };
    let trace = TraceContext { op: Some("http.server".to_owned()), ..TraceContext::default() };
    let transaction = Some("GET /orders".to_owned());
    let ambient =
        Ambient { user: Some(user), trace: Some(trace), transaction, ..Ambient::default() };
    let mut scene = Scene { ambient, ..plain() };
    scene.process.executable_sha256 = Some("0".repeat(64));
    scene
}

/// The events of all scenes, as they are sent.
pub fn events() -> Vec<Vec<u8>> {
    all().iter().map(|scene| report::build(scene).to_json_bytes()).collect()
}

/// The events of every crash of the corpus that is read.
pub fn events_of_corpus() -> Vec<Vec<u8>> {
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
    assert!(events.len() > 60, "{}", events.len());
    events
}

/// What a script of `tests/` prints about each event, one line each. `None`, said aloud, where
/// `variable` names no python.
pub fn judged(variable: &str, script: &str, events: Vec<Vec<u8>>) -> Option<String> {
    let Some(python) = std::env::var_os(variable) else {
        eprintln!("skipped: {variable} names no python for {script}");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let mut judge = Command::new(&python)
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut input = judge.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for event in &events {
            input.write_all(event)?;
            input.write_all(b"\n")?;
        }
        std::io::Result::Ok(())
    });
    let output = judge.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    assert!(output.status.success(), "{python:?} {script:?}: {}", output.status);
    written.unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

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
        image: None,
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

pub fn crumb(message: &str, fields: Value) -> Breadcrumb {
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
        amid_panic: false,
        position: Position::default(),
    }
}

pub fn plain() -> Scene {
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
            executable_sha256: None,
            cgroup: Some(CgroupMemory {
                limit: Some(64 << 20),
                peak: Some(32 << 20),
                oom_kills_since_start: Some(0),
            }),
            ending: None,
            found: None,
        },
        durable: true,
        ambient: Ambient::default(),
    }
}

/// No stack, no thread, no message: the least there can be.
pub fn bare() -> Scene {
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
pub fn hostile() -> Scene {
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
pub fn large() -> Scene {
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
pub fn huge() -> Scene {
    let mut scene = plain();
    scene.breadcrumbs = (0..900).map(|_| crumb(&"x".repeat(4000), json!({}))).collect();
    scene
}

/// More goroutines than an event has room for, and a fault that names its signal.
pub fn goroutines() -> Scene {
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

/// A death that only the exit status tells of, found later.
pub fn silent() -> Scene {
    let mut scene = plain();
    let id = Uuid::from_u128(2);
    let ending = Ending::Signal(9);
    scene.crash = exit::silent_crash(ending, id, SystemTime::now()).expect("a crash");
    scene.process.ending = Some(ending);
    scene.process.found = Some(SystemTime::now());
    scene
}
