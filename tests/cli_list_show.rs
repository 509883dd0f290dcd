//! `lastwords list` and `lastwords show` on good reports: what a user sees.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use std::fs;
use std::time::{Duration, SystemTime};

use cli_support::*;
use lastwords::detect::{Crash, CrashedThread, Exception, Frame, Mechanism, Runtime, Severity};
use lastwords::record::{Breadcrumb, Losses, Position, SpanInfo, ThreadInfo};
use lastwords::report::{Ambient, ProcessInfo, Scene, Usage};
use serde_json::{Value, json};

#[test]
fn list_shows_every_report_newest_first() {
    insta::assert_snapshot!("list_100", Spool::with_two().prints(&["list"], "100"));
    insta::assert_snapshot!("list_60", Spool::with_two().prints(&["list"], "60"));
}

#[test]
fn list_json_is_one_object_a_line() {
    let spool = Spool::with_two();
    let lines = spool.prints(&["list", "--json"], "40");
    let objects: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    let mut first = objects[0].clone();
    assert_eq!(first["size"], fs::metadata(spool.file("waiting", INGEST)).unwrap().len());
    first["size"] = json!("[size]");
    insta::assert_json_snapshot!("list_json", first);
    assert_eq!(objects[1]["value"], "nil pointer dereference\n[signal SIGSEGV: code=0x1 addr=0x0]");
    assert_eq!((&objects[1]["state"], &objects[1]["problem"]), (&json!("sent"), &Value::Null));
}

#[test]
fn what_the_server_rejected_is_told_with_its_words() {
    let spool = Spool::with_two();
    for state in ["rejected", "limited"] {
        fs::create_dir(spool.dir.path().join(state)).unwrap();
    }
    fs::rename(spool.file("waiting", INGEST), spool.file("rejected", INGEST)).unwrap();
    fs::rename(spool.file("sent", WALK), spool.file("limited", WALK)).unwrap();
    let verdict = spool.dir.path().join(format!("rejected/{INGEST}.json"));
    fs::write(verdict, r#"{"status":413,"words":"too \u001b[1m large","time":"x"}"#).unwrap();
    let list = spool.prints(&["list"], "100");
    assert!(list.contains("rejected  "), "{list}");
    assert!(list.contains("limited"), "{list}");
    assert!(list.contains("the server refused it with status 413: too "), "{list}");
    assert!(!list.contains('\u{1b}'), "{list}");
    let lines = spool.prints(&["list", "--json"], "40");
    let objects: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        (&objects[0]["state"], &objects[1]["state"]),
        (&json!("rejected"), &json!("limited"))
    );
    let problem = objects[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("the server refused it with status 413: too "), "{problem}");
    assert_eq!(objects[1]["problem"], Value::Null);
    let shown = spool.prints(&["show", &INGEST[..4]], "100");
    assert!(shown.contains("rejected: the server refused it with status 413"), "{shown}");
    let shown = spool.prints(&["show", &WALK[..4]], "100");
    assert!(shown.contains("limited: not sent"), "{shown}");
}

#[test]
fn show_puts_the_cause_into_the_first_two_lines() {
    let spool = Spool::with_two();
    let latest = spool.prints(&["show"], "100");
    let head: Vec<_> = latest.lines().take(2).collect();
    assert_eq!(
        head,
        [
            "thread 'ingest' panicked: index out of bounds: the len is 7 but the index is 7",
            "  in alpha::ingest::parse_batch at src/ingest.rs:7:9"
        ]
    );
    insta::assert_snapshot!("show_100", latest);
    insta::assert_snapshot!("show_60", spool.prints(&["show", &INGEST[..4]], "60"));
    insta::assert_snapshot!("show_full", spool.prints(&["show", "--full"], "100"));
}

#[test]
fn show_reads_other_runtimes_too() {
    let spool = Spool::with_two();
    insta::assert_snapshot!("show_go", spool.prints(&["show", "77AA"], "100"));
    let full = spool.prints(&["show", "77aa", "--full"], "100");
    assert!(full.contains("goroutine 7  chan receive\n    main.poll"), "{full}");
}

#[test]
fn show_takes_the_last_breadcrumbs_asked_for() {
    let text = Spool::with_two().prints(&["show", "--breadcrumbs", "2"], "100");
    assert!(text.contains("the last 2 of 5 breadcrumbs"), "{text}");
    assert!(!text.contains("short row") && text.contains("unwound"), "{text}");
}

#[test]
fn show_json_is_the_event_byte_for_byte() {
    let spool = Spool::new();
    let event = r#"{"z":1,  "a":"\u001b[31m","level":"fatal", "n":1.50}"#;
    spool.put("waiting", INGEST, event);
    assert_eq!(spool.prints(&["show", "--json"], "20"), format!("{event}\n"));
    let pretty = serde_json::to_string_pretty(&ingest(&spool)).unwrap();
    spool.put("waiting", INGEST, &pretty);
    let line = stdout(&run(&mut spool.command(&["show", "--json"])));
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), ingest(&spool));
}

#[test]
fn show_understands_what_the_library_writes() {
    let spool = Spool::new();
    let scene = scene(spool.crash.into());
    let report = lastwords::report::build(&scene);
    let written = lastwords::deliver::Spool::open(spool.dir.path(), 1 << 20).unwrap();
    written.publish(report.event_id(), &report.to_envelope_bytes()).unwrap();
    let shown = spool.prints(&["show"], "100");
    let lines: Vec<_> = shown.lines().filter(|line| !line.starts_with("  machine")).collect();
    insta::assert_snapshot!("show_written", lines.join("\n"));
}

/// A panic, a panic while it unwound, and all that can be lost, as the recorder hands them on.
fn scene(crash: SystemTime) -> Scene {
    let frame = |function: &str, file: &str, in_app| Frame {
        function: Some(function.to_owned()),
        file: Some(file.to_owned()),
        line: Some(41),
        in_app,
        ..Frame::default()
    };
    let frames = vec![
        frame("core::option::expect_failed", "/rustc/abc/library/core/src/option.rs", false),
        frame("service::ingest::parse_batch", "/build/service/src/ingest.rs", true),
        frame("service::main", "/build/service/src/main.rs", true),
    ];
    let panic = |value: &str| Exception {
        ty: "panic".to_owned(),
        value: value.to_owned(),
        mechanism: Mechanism::Panic,
        signal: None,
        created_by: None,
        location: None,
        frames: frames.clone(),
        frames_elided: 9,
    };
    let request = SpanInfo {
        name: "request".to_owned(),
        target: "service".to_owned(),
        fields: json!({"id": 9}).as_object().unwrap().clone(),
    };
    let breadcrumb = Breadcrumb {
        time: crash - Duration::from_millis(1500),
        boot_nanos: 1,
        level: tracing_core::Level::WARN,
        target: "service::ingest".to_owned(),
        message: "batch begins".to_owned(),
        fields: json!({"rows": 3, "thread": "theirs"}).as_object().unwrap().clone(),
        thread: ThreadInfo { id: 7, name: Some("worker".to_owned()) },
        spans: vec![request],
        file: None,
        line: None,
        cut: true,
        amid_panic: false,
        position: Position::default(),
    };
    Scene {
        crash: Crash {
            event_id: lastwords::sentry::types::Uuid::from_u128(0x1234),
            time: crash,
            runtime: Runtime::Rust,
            runtime_version: None,
            severity: Severity::Fatal,
            thread: Some(CrashedThread {
                id: Some(7),
                name: Some("worker".to_owned()),
                main: false,
            }),
            exceptions: vec![panic("no batch 7"), panic("dropped while unwinding")],
            threads: Vec::new(),
            threads_elided: 0,
        },
        breadcrumbs: vec![breadcrumb.clone(), breadcrumb],
        breadcrumb_limit: 1,
        losses: Losses {
            overwritten: 312,
            torn: 1,
            cut: 2,
            dropped: 3,
            spans_missing: 1,
            panics: 1,
        },
        tags: vec![("cluster id".to_owned(), "a".to_owned())],
        release: Some("service@1.2.3".to_owned()),
        environment: "prod".to_owned(),
        process: ProcessInfo {
            pid: u32::MAX,
            started: Some(crash - Duration::from_secs(75)),
            executable: Some("/usr/bin/service".to_owned()),
            server_name: Some("host-1".to_owned()),
            usage: Usage::default(),
            executable_sha256: None,
            cgroup: None,
            ending: None,
            found: None,
        },
        durable: false,
        ambient: Ambient::default(),
    }
}

#[test]
fn an_id_is_any_unambiguous_beginning() {
    let spool = Spool::with_two();
    spool.put("waiting", "3f2a91bc0d1e00000000000000000000", &walk(&spool).to_string());
    let of = |id: &str| run(&mut spool.command(&["show", id]));
    assert!(of("3f2a91bc-0d1e-4F").status.success());
    let ambiguous = of("3f2a");
    assert_eq!(ambiguous.status.code(), Some(1));
    insta::assert_snapshot!("ambiguous", spool.pinned(&stderr(&ambiguous)));
    let unknown = of("beef");
    assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (Some(1), ""));
    insta::assert_snapshot!("unknown", spool.pinned(&stderr(&unknown)));
}

#[test]
fn the_first_state_directory_that_exists_is_read() {
    let spool = Spool::with_two();
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let waiting = home.path().join(".local/state/lastwords/waiting");
    fs::create_dir_all(&waiting).unwrap();
    let name = format!("{INGEST}.envelope");
    fs::copy(spool.file("waiting", INGEST), waiting.join(name)).unwrap();
    let mut command = lastwords();
    command.arg("list").env("HOME", home.path()).env("XDG_STATE_HOME", &state);
    assert_eq!(stdout(&run(&mut command)).lines().count(), 2);
    fs::create_dir_all(state.join("lastwords")).unwrap();
    assert_eq!(stdout(&run(&mut command)), "");
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    let spool = Spool::with_two();
    let colored = |args: &[&str], variables: &[(&str, &str)]| {
        let output = run(spool.command(args).envs(variables.iter().copied()));
        stdout(&output).contains('\x1b')
    };
    assert!(!colored(&["show"], &[]));
    assert!(colored(&["show", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colored(&["list"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&["list", "--color=never"], &[("CLICOLOR_FORCE", "1")]));
    insta::assert_snapshot!(
        "show_color",
        spool.prints(&["show", "--color=always"], "100").replace('\x1b', "␛")
    );
}

#[test]
fn help_says_what_there_is() {
    for (name, args) in [
        ("help_short", &["-h"][..]),
        ("help_long", &["--help"]),
        ("help_list_short", &["list", "-h"]),
        ("help_list_long", &["list", "--help"]),
        ("help_show_short", &["show", "-h"]),
        ("help_show_long", &["show", "--help"]),
        ("help_run_short", &["run", "-h"]),
        ("help_run_long", &["run", "--help"]),
        ("help_parse_short", &["parse", "-h"]),
        ("help_parse_long", &["parse", "--help"]),
    ] {
        let output = run(lastwords().args(args));
        assert!(output.status.success(), "{}", told(&output));
        insta::assert_snapshot!(name, stdout(&output));
    }
}
