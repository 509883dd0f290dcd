use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use sentry::types::Uuid;
use serde_json::{Map, Value, json};
use tracing_core::Level;

use super::context::{Machine, Usage};
use super::*;
use crate::detect::{
    Crash, CrashedThread, Exception, Frame, Location, Mechanism, Runtime, Severity,
};
use crate::record::{Breadcrumb, Losses, Position, SpanInfo, ThreadInfo};

const START: u64 = 1_700_000_000;

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START) + Duration::from_millis(millis)
}

fn frame(function: &str, file: &str, line: u32, in_app: bool) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        symbol: None,
        module: function.rsplit_once("::").map(|(module, _)| module.to_owned()),
        file: Some(file.to_owned()),
        line: Some(line),
        column: Some(9),
        in_app,
        address: Some(0x5555_0000 + u64::from(line)),
        symbol_address: Some(0x5555_0000),
        inlined: false,
        image: None,
    }
}

fn panic(value: &str) -> Exception {
    Exception {
        ty: "panic".to_owned(),
        value: value.to_owned(),
        mechanism: Mechanism::Panic,
        signal: None,
        created_by: None,
        location: Some(Location { file: "service/src/ingest.rs".to_owned(), line: 41, column: 17 }),
        frames: vec![
            frame("core::option::expect_failed", "/rustc/abc/library/core/src/option.rs", 9, false),
            frame("service::ingest::parse_batch", "/build/ws/service/src/ingest.rs", 41, true),
            frame("service::main", "/build/ws/service/src/main.rs", 12, true),
        ],
        frames_elided: 0,
    }
}

fn crumb(message: &str, level: Level) -> Breadcrumb {
    Breadcrumb {
        time: at(2_500),
        boot_nanos: 1,
        level,
        target: "service::ingest".to_owned(),
        message: message.to_owned(),
        fields: json!({"rows": 3}).as_object().cloned().unwrap(),
        thread: ThreadInfo { id: 4242, name: Some("main".to_owned()) },
        spans: vec![SpanInfo {
            name: "request".to_owned(),
            target: "service".to_owned(),
            fields: json!({"id": 9}).as_object().cloned().unwrap(),
        }],
        file: None,
        line: None,
        cut: false,
        amid_panic: false,
        position: Position::default(),
    }
}

pub(super) fn scene() -> Scene {
    Scene {
        crash: Crash {
            event_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            time: at(3_000),
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: Severity::Fatal,
            thread: Some(CrashedThread {
                id: Some(4242),
                name: Some("main".to_owned()),
                main: true,
            }),
            exceptions: vec![panic("no batch 7"), panic("dropped while unwinding")],
            threads: Vec::new(),
            threads_elided: 0,
        },
        breadcrumbs: vec![
            crumb("forgotten", Level::INFO),
            crumb("batch begins", Level::INFO),
            crumb("batch is odd", Level::ERROR),
        ],
        breadcrumb_limit: 2,
        losses: Losses { overwritten: 5, ..Losses::default() },
        tags: vec![
            ("service".to_owned(), "ingest".to_owned()),
            ("cluster id".to_owned(), "a\nb".to_owned()),
            ("service".to_owned(), "later".to_owned()),
            ("empty".to_owned(), String::new()),
        ],
        release: Some("service/1.2.3".to_owned()),
        environment: "prod-oss".to_owned(),
        process: ProcessInfo {
            pid: 4242,
            started: Some(at(0)),
            executable: Some("/usr/bin/service".to_owned()),
            server_name: Some("host-1".to_owned()),
            usage: Usage { peak_memory: Some(3 << 20), memory: Some(2 << 20) },
            executable_sha256: None,
            cgroup: None,
            ending: None,
            found: None,
        },
        durable: true,
        ambient: Ambient::default(),
    }
}

fn machine() -> Machine {
    Machine {
        system: Some("Linux".to_owned()),
        kernel: Some("6.8.0".to_owned()),
        build: Some("#1 SMP".to_owned()),
        distribution: Some("Debian GNU/Linux".to_owned()),
        distribution_version: Some("12".to_owned()),
        memory: Some(8 << 30),
        processors: Some(4),
        booted: Some(at(0) - Duration::from_secs(3600)),
    }
}

fn shaped(scene: &Scene) -> Value {
    build_on(scene, &machine()).to_json()
}

#[test]
fn one_full_event() {
    let mut event = shaped(&scene());
    // The processor differs from machine to machine, the version from release to release.
    event["contexts"]["device"]["arch"] = Value::from("[arch]");
    event["contexts"]["lastwords"]["version"] = Value::from("[version]");
    event["contexts"]["runtime"]["version"] = Value::from("[version]");
    event["sdk"]["version"] = Value::from("[version]");
    insta::assert_json_snapshot!(event);
}

#[test]
fn the_first_panic_stands_last_and_is_number_zero() {
    let event = shaped(&scene());
    let values = &event["exception"]["values"];
    assert_eq!(values[1]["value"], "no batch 7");
    assert_eq!(values[1]["mechanism"]["exception_id"], 0);
    assert_eq!(values[1]["mechanism"].get("parent_id"), None);
    assert_eq!(values[0]["mechanism"]["exception_id"], 1);
    assert_eq!(values[0]["mechanism"]["parent_id"], 0);
}

#[test]
fn without_a_stack_none_is_made_up() {
    let mut scene = scene();
    scene.crash.exceptions.truncate(1);
    scene.crash.exceptions[0].frames.clear();
    let event = shaped(&scene);
    let exception = &event["exception"]["values"][0];
    assert_eq!(exception.get("stacktrace"), None);
    assert_eq!(exception["mechanism"]["data"]["location"], "service/src/ingest.rs:41:17");
    assert_eq!(exception["mechanism"].get("exception_id"), None);
    assert_eq!(event["fingerprint"], json!(["panic", "service/src/ingest.rs", "no batch #"]));
}

#[test]
fn an_edit_keeps_the_id_and_the_limits() {
    let mut report = build(&scene());
    let id = report.event_id();
    report.edit(|event| {
        event.event_id = Uuid::nil();
        event.timestamp = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        event.breadcrumbs.values[0].message = Some("x".repeat(10_000));
        event.exception.values[1].value = Some("***".to_owned());
    });
    assert_eq!(report.event_id(), id);
    let json = report.to_json();
    assert_eq!(json["exception"]["values"][1]["value"], "***");
    assert_eq!(json["breadcrumbs"]["values"][0]["message"].as_str().map(str::len), Some(8192));
}

#[test]
fn what_an_edit_adds_cannot_cost_the_report() {
    let mut report = build(&scene());
    report.edit(|event| {
        event.extra.insert("dump".to_owned(), Value::from("x".repeat(2 << 20)));
    });
    assert!(report.to_json_bytes().len() <= limits::EVENT_BYTES);
    assert_eq!(report.event().exception.values.len(), 2);
}

#[test]
fn the_envelope_holds_the_event_and_what_is_attached() {
    let mut report = build(&scene());
    report.attachments.push(Attachment {
        filename: "stderr.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        data: b"last line\n".to_vec(),
    });
    let envelope = Envelope::parse(&report.to_envelope_bytes()).unwrap();
    assert_eq!(envelope.event_id(), Some(report.event_id()));
    assert_eq!(Value::Object(envelope.event().unwrap()), report.to_json());
    assert_eq!(envelope.items[1].payload(), b"last line\n");
}

#[test]
fn too_many_breadcrumbs_lose_the_oldest_only() {
    let mut scene = scene();
    scene.breadcrumb_limit = usize::MAX;
    scene.breadcrumbs =
        (0..400).map(|n| crumb(&format!("{n} {}", "\\".repeat(8000)), Level::INFO)).collect();
    let report = build(&scene);
    assert!(report.to_json_bytes().len() <= limits::EVENT_BYTES);
    assert!(report.to_json_bytes().len() > limits::EVENT_BYTES - 32 * 1024, "trimmed too much");
    let event = report.to_json();
    let crumbs = event["breadcrumbs"]["values"].as_array().unwrap();
    assert!(crumbs.last().unwrap()["message"].as_str().unwrap().starts_with("399 "));
    assert_eq!(event["contexts"]["lastwords"]["trimmed"], json!(["breadcrumbs"]));
    let trimmed = &event["contexts"]["lastwords"]["breadcrumbs_trimmed"];
    assert_eq!(trimmed, &json!(400 - crumbs.len()));
    assert!(event["exception"]["values"][1]["stacktrace"]["frames"][0]["abs_path"].is_string());
}

#[test]
fn the_largest_event_there_can_be_is_trimmed_and_kept() {
    let mut scene = scene();
    let long = "\u{1}".repeat(20_000);
    let wide = Frame { function: Some(long.clone()), ..frame(&long, &long, 1, true) };
    let one = Exception {
        ty: long.clone(),
        value: long.clone(),
        frames: vec![wide; 400],
        location: Some(Location { file: long.clone(), line: 1, column: 1 }),
        ..panic("")
    };
    scene.crash.exceptions = vec![one; 20];
    scene.breadcrumb_limit = 1000;
    scene.breadcrumbs = (0..30).map(|_| crumb(&long, Level::INFO)).collect();
    scene.tags = (0..5000).map(|n| (format!("k{n}"), "\"".repeat(200))).collect();
    scene.process.executable = Some(long.clone());
    let event = build(&scene).to_json();
    assert!(event.to_string().len() <= limits::EVENT_BYTES);
    assert_eq!(event["exception"]["values"].as_array().map(Vec::len), Some(16));
    let frames = &event["exception"]["values"][15]["stacktrace"]["frames"];
    assert!(frames.as_array().is_some_and(|frames| frames.len() >= 50));
    assert_eq!(event["breadcrumbs"]["values"].as_array().map(Vec::len), Some(10));
}

/// Text short and long, with characters that JSON writes as six bytes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,24}",
        2 => "[a-z/.:\\\\\n\u{1}ä]{0,400}",
        1 => (".", 0usize..12_000).prop_map(|(unit, count)| unit.repeat(count)),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("thread|span|spans|cut|name|.{0,8}", json_value(), 0..5)
        .prop_map(|map| map.into_iter().collect())
}

fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        Just(SystemTime::UNIX_EPOCH - Duration::from_secs(10)),
        Just(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50)),
        (0u64..1 << 40).prop_map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
    ]
}

fn any_crumb() -> impl Strategy<Value = Breadcrumb> {
    (
        time(),
        text(),
        text(),
        fields(),
        prop::option::of(text()),
        any::<u64>(),
        prop::collection::vec((text(), fields()), 0..4),
        any::<bool>(),
    )
        .prop_map(|(time, target, message, fields, name, id, spans, cut)| Breadcrumb {
            time,
            boot_nanos: 0,
            level: Level::WARN,
            target,
            message,
            fields,
            thread: ThreadInfo { id, name },
            spans: spans
                .into_iter()
                .map(|(name, fields)| SpanInfo { name, target: String::new(), fields })
                .collect(),
            file: None,
            line: None,
            cut,
            amid_panic: false,
            position: Position::default(),
        })
}

fn any_exception() -> impl Strategy<Value = Exception> {
    let frame =
        (prop::option::of(text()), prop::option::of(text()), any::<Option<u32>>(), any::<bool>())
            .prop_map(|(function, file, line, in_app)| Frame {
                module: function.clone(),
                function,
                file,
                line,
                in_app,
                address: Some(u64::MAX),
                ..Frame::default()
            });
    let frames = (frame, 0usize..600, prop::option::of(0usize..9))
        .prop_map(|(frame, many, few)| vec![frame; few.unwrap_or(many)]);
    (text(), text(), prop::option::of(text()), frames, any::<u64>()).prop_map(
        |(ty, value, file, frames, frames_elided)| Exception {
            ty,
            value,
            mechanism: Mechanism::Panic,
            signal: None,
            created_by: None,
            location: file.map(|file| Location { file, line: u32::MAX, column: 0 }),
            frames,
            frames_elided,
        },
    )
}

prop_compose! {
    fn any_scene()(
        exceptions in prop::collection::vec(any_exception(), 1..5),
        crumb in prop::collection::vec(any_crumb(), 0..6),
        repeat in 1usize..60,
        breadcrumb_limit in prop_oneof![Just(0usize), 1usize..50, Just(usize::MAX)],
        tags in prop::collection::vec((text(), text()), 0..8),
        release in prop::option::of(text()),
        environment in text(),
        texts in (prop::option::of(text()), prop::option::of(text()), prop::option::of(text())),
        crash_time in time(),
        started in prop::option::of(time()),
    ) -> Scene {
        let (thread, executable, server_name) = texts;
        let base = scene();
        Scene {
            crash: Crash {
                time: crash_time,
                exceptions,
                thread: Some(CrashedThread { id: Some(u64::MAX), name: thread, main: false }),
                ..base.crash
            },
            breadcrumbs: crumb.iter().cycle().take(crumb.len() * repeat).cloned().collect(),
            breadcrumb_limit,
            tags,
            release,
            environment,
            process: ProcessInfo {
                pid: std::process::id(),
                started,
                executable,
                server_name,
                usage: Usage::of_this_process(),
                executable_sha256: None,
                cgroup: None,
                ending: None,
                found: None,
            },
            ..base
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_scene_becomes_a_report_that_a_server_takes(scene in any_scene()) {
        let report = build(&scene);
        let bytes = report.to_json_bytes();
        prop_assert!(bytes.len() <= limits::EVENT_BYTES);
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        let id = scene.crash.event_id.simple().to_string();
        prop_assert_eq!(&event["event_id"], &Value::from(id));
        let values = event["exception"]["values"].as_array().unwrap();
        prop_assert_eq!(values.len(), scene.crash.exceptions.len());
        let first = scene.crash.exceptions[0].value.get(..1).unwrap_or_default();
        prop_assert!(values[values.len() - 1]["value"].as_str().unwrap().starts_with(first));

        let wanted = scene.breadcrumbs.len().min(scene.breadcrumb_limit);
        let kept = report.event().breadcrumbs.values.len();
        prop_assert!(kept <= wanted && kept >= wanted.min(10));
        for crumb in &report.event().breadcrumbs.values {
            let data = serde_json::to_vec(&crumb.data).unwrap();
            prop_assert!(data.len() <= limits::CRUMB_DATA_BYTES);
        }
        let envelope = Envelope::parse(&report.to_envelope_bytes()).unwrap();
        prop_assert_eq!(Value::Object(envelope.event().unwrap()), event);
    }
}
