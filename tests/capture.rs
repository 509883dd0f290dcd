//! What a program reports itself, and what it says about reports: captured errors and messages,
//! `before_send`, the build, private fields.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
mod faulty;
mod scenes;

use std::path::Path;
use std::process::Command;

use common::{Event, Outcome, Profile, Run, events_in, line_of};
use faulty::{Faulty, Reply};
use serde_json::{Value, json};

const SOURCE: &str = include_str!("programs/src/bin/capture.rs");
const SIGABRT: i32 = 6;

fn program(scenario: &str) -> Run {
    Run::of(Profile::Dev, "capture").argument(scenario)
}

/// The one event of a run that captures it.
fn captured(scenario: &str) -> (Outcome, Event) {
    let outcome = program(scenario).run();
    outcome.exits_with(0);
    outcome.leaves_no_region();
    let event = outcome.event();
    let id = outcome.stdout.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
    assert_eq!(event.0["event_id"], id.replace('-', ""));
    assert_eq!(event.0["tags"]["cid"], "eu-7");
    assert_eq!(event.0["release"], "orders@1.4.2");
    assert_eq!(event.breadcrumb_messages(), ["opened"]);
    assert_eq!(event.breadcrumbs()[0]["data"]["shard"], 7);
    (outcome, event)
}

/// What `lastwords` prints about the reports of a run.
fn told(outcome: &Outcome, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastwords"));
    command.args(words).env_clear().env("HOME", outcome.home()).env("COLUMNS", "100");
    command.env("LASTWORDS_STATE_DIR", outcome.state());
    let output = command.output().expect("the command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

// Errors.

#[test]
fn the_sources_of_an_error_are_exceptions_the_root_cause_first() {
    let (outcome, event) = captured("sources");
    assert_eq!(event.level(), "error");
    let values = event.0["exception"]["values"].as_array().expect("exceptions");
    let each: Vec<_> = values.iter().map(|it| [&it["type"], &it["value"]]).collect();
    let expected = [
        ["ParseIntError", "invalid digit found in string"],
        ["Layer", "bad header"],
        ["Layer", "cannot open shard"],
    ];
    assert_eq!(json!(each), json!(expected));
    assert!(values.iter().all(|it| it["mechanism"]["handled"] == true), "{values:?}");
    let line = line_of(SOURCE, "lastwords::capture_error(&sources())");
    let location = values[2]["mechanism"]["data"]["location"].as_str().expect("a place");
    assert!(location.starts_with(&format!("src/bin/capture.rs:{line}:")), "{location}");

    let shown = told(&outcome, &["show"]);
    let place = format!("  at src/bin/capture.rs:{line}:");
    assert!(shown.starts_with("Layer: cannot open shard\n"), "{shown}");
    assert!(shown.lines().nth(1).is_some_and(|second| second.starts_with(&place)), "{shown}");
    let causes: Vec<_> = shown.lines().filter(|line| line.contains("caused by: ")).collect();
    let expected =
        ["caused by: Layer: bad header", "caused by: ParseIntError: invalid digit found in string"];
    assert_eq!(causes, expected);
}

#[track_caller]
fn has_the_stack_of(event: &Event, function: &str, mark: &str) {
    let top = event.top_in_app();
    assert_eq!(top["function"], function, "{:?}", event.functions());
    assert_eq!(top["lineno"], line_of(SOURCE, mark));
    assert_eq!(event.functions()[0], function, "frames that took the stack are cut");
    assert!(event.functions().contains(&"capture::main"), "{:?}", event.functions());
    let fingerprint = &event.0["fingerprint"];
    assert_eq!(fingerprint, &json!(["{{ default }}", function]));
}

#[test]
fn a_backtrace_that_debug_prints_is_the_stack() {
    let (outcome, event) = captured("printed");
    assert_eq!(event.messages(), ["cannot open shard 7"]);
    assert_eq!(event.exceptions()[0]["type"], "Printed");
    has_the_stack_of(&event, "capture::Printed::new", "Printed(Backtrace::force_capture())");
    let shown = told(&outcome, &["show"]);
    assert!(
        shown.starts_with("Printed: cannot open shard 7\n  in capture::Printed::new at "),
        "{shown}"
    );
}

#[test]
fn a_backtrace_field_is_the_stack() {
    let (_, event) = captured("field");
    has_the_stack_of(&event, "capture::Field::new", "backtrace: Backtrace::force_capture()");
}

#[test]
fn a_backtrace_that_is_given_is_the_stack() {
    let (_, event) = captured("given");
    has_the_stack_of(&event, "capture::given", "let backtrace = Backtrace::force_capture()");
}

#[test]
fn the_same_error_is_one_issue_and_another_one_another() {
    let events = program("twice").run().events();
    let prints: Vec<_> = events.iter().map(|event| &event.0["fingerprint"]).collect();
    assert_eq!(prints[0], prints[1]);
    assert_ne!(prints[1], prints[2]);
    assert_eq!(prints[3], prints[4], "errors without a stack that differ in a number");
    assert_ne!(prints[2], prints[3]);
}

// Messages.

#[test]
fn a_message_has_its_level() {
    let (outcome, event) = captured("message");
    assert_eq!(event.level(), "warning");
    assert_eq!(event.0["logentry"], json!({"formatted": "disk is nearly full\n3 of 4 TiB"}));
    assert_eq!(event.0.get("message"), None);
    assert_eq!(event.0.get("exception"), None);

    let shown = told(&outcome, &["show"]);
    assert!(shown.starts_with("disk is nearly full\n  3 of 4 TiB\n"), "{shown}");
    let listed = told(&outcome, &["list"]);
    assert!(
        listed.contains("  warning  ") && listed.contains("  disk is nearly full\n"),
        "{listed}"
    );
    let json: Value = serde_json::from_str(&told(&outcome, &["list", "--json"])).expect("JSON");
    assert_eq!(json["value"], "disk is nearly full\n3 of 4 TiB");
    assert_eq!((&json["level"], &json["type"]), (&json!("warning"), &Value::Null));
}

#[test]
fn before_install_nothing_is_captured() {
    let outcome = program("early").run();
    let nil = "id: 00000000-0000-0000-0000-000000000000\n".repeat(2);
    assert!(outcome.stdout.starts_with(&nil), "{}", outcome.stdout);
    assert_eq!(outcome.event().message(), "no space in shard 7");
}

/// What is captured is as valid as a crash: see `tests/schema.rs` and `tests/relay.rs`.
#[test]
fn a_server_objects_to_none_of_it() {
    let scenarios = ["sources", "printed", "message"];
    let event = |scenario: &str| program(scenario).run().event().0.to_string().into_bytes();
    let events: Vec<_> = scenarios.into_iter().map(event).collect();
    let judges = [
        ("LASTWORDS_BUGSINK_PYTHON", "bugsink/validate.py"),
        ("LASTWORDS_RELAY_PYTHON", "relay/normalise.py"),
    ];
    for (variable, script) in judges {
        let Some(mistakes) = scenes::judged(variable, script, events.clone()) else { continue };
        assert_eq!(mistakes, "[]\n".repeat(events.len()), "in the order {scenarios:?}");
    }
}

// before_send.

#[test]
fn before_send_changes_a_report_which_is_scrubbed_after_it() {
    let outcome = program("change").run();
    outcome.exits_with(0);
    let event = outcome.event();
    assert_eq!(event.0["tags"]["added"], "by before_send");
    assert_eq!(event.0.get("server_name"), None);
    let text = event.0.to_string();
    assert!(!text.contains("hunter2") && !text.contains("sk_live"), "{}", event.0["extra"]);
    assert!(event.0["extra"]["password"].is_string());
}

#[test]
fn what_before_send_refuses_is_no_report() {
    let server = Faulty::always(Reply::Ok200);
    let run =
        |scenario| program(scenario).variable("LASTWORDS_DSN", server.dsn().to_string()).run();
    let outcome = run("drop");
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("caught: true"));
    assert!(outcome.stderr.contains("no space in shard 7"));
    assert_eq!(outcome.warnings(), [""; 0]);
    assert_eq!(outcome.events().len(), 0);
    outcome.leaves_no_region();
    let sends_events = |server: &Faulty| {
        let received = server.received();
        received.iter().filter(|it| it.event_id.is_some()).count()
    };
    assert_eq!(sends_events(&server), 0);

    let some = run("drop-some");
    assert_eq!(some.event().0["logentry"]["formatted"], "worth one");
    assert_eq!(sends_events(&server), 1);
}

#[test]
fn where_before_send_panics_the_report_stays_here() {
    let server = Faulty::always(Reply::Ok200);
    let outcome = program("panic").variable("LASTWORDS_DSN", server.dsn().to_string()).run();
    outcome.exits_with(0);
    assert!(outcome.stdout.contains("caught: true\nmain returns"));
    assert_eq!(outcome.warnings().len(), 1, "{:?}", outcome.warnings());
    assert!(outcome.warnings()[0].contains("before_send"));
    assert_eq!(outcome.event().message(), "no space in shard 7");
    told(&outcome, &["send"]);
    assert_eq!(server.connections(), 0);
}

// Settings that a server would lose.

#[test]
fn values_that_a_server_would_lose_are_said_once() {
    let outcome = program("odd-values").run();
    let warnings = outcome.warnings();
    for word in ["orders/1.4.2", "none", "zone", "grö\u{df}e"] {
        let about = warnings.iter().filter(|warning| warning.contains(word)).count();
        assert_eq!(about, 1, "{word}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(outcome.event().0["tags"]["fine"], "yes");
}

// Private fields.

fn files_below(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in directory.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn private_fields_are_written_nowhere() {
    for under in [&[][..], &[env!("CARGO_BIN_EXE_lastwords"), "run", "--"]] {
        let outcome = program("private").under(under).run();
        if under.is_empty() {
            outcome.dies_by(SIGABRT);
            assert_eq!(outcome.regions().len(), 1);
        }
        let mut files = Vec::new();
        files_below(&outcome.state(), &mut files);
        assert!(files.iter().any(|file| file.extension().is_some_and(|it| it == "envelope")));
        for file in files {
            let bytes = std::fs::read(&file).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("-secret"), "{}", file.display());
        }
        let events = outcome.events();
        let event = events.iter().find(|event| event.message() == "after a private field");
        let crumb = event.expect("its event").breadcrumbs()[1].clone();
        assert_eq!(crumb["message"], "signed in");
        assert_eq!(crumb["data"]["spans"], json!([{"name": "login", "user": 7}]));
    }
}

// The build.

/// Builds a program with variables, and gives the event of its end.
fn built_with(variables: &[(&str, &str)]) -> Event {
    let program = Profile::Dev.program("build_info");
    let mut cargo = Command::new(env!("CARGO"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/Cargo.toml");
    cargo.args(["build", "--locked", "--quiet", "--bin", "build_info", "--manifest-path"]);
    cargo.arg(manifest).arg("--target-dir").arg(program.ancestors().nth(2).expect("a target"));
    for source in ["COMMIT", "BRANCH", "TIME"] {
        cargo.env_remove(format!("LASTWORDS_BUILD_{source}"));
    }
    assert!(cargo.envs(variables.iter().copied()).status().expect("cargo").success());
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(program);
    command.env_clear().env("LASTWORDS_STATE_DIR", state.path()).env("HOME", state.path());
    assert_eq!(command.output().expect("the program").status.code(), Some(101));
    events_in(state.path()).into_iter().next().expect("an event")
}

/// One test: they build the same program.
#[test]
fn the_build_is_in_release_and_tags() {
    let tags = |event: &Event| event.0["tags"].clone();
    let ours = [
        ("LASTWORDS_BUILD_COMMIT", "0123abc"),
        ("LASTWORDS_BUILD_BRANCH", "main"),
        ("LASTWORDS_BUILD_TIME", "2026-11-25T10:00:00Z"),
    ];
    let event = built_with(&ours);
    assert_eq!(event.0["release"], "victim@0.0.0");
    let expected =
        json!({"commit": "0123abc", "branch": "main", "build_time": "2026-11-25T10:00:00Z"});
    assert_eq!(tags(&event), expected);

    // As a build script of `vergen-gitcl` sets them; ours come first.
    let vergen = [
        ("VERGEN_GIT_SHA", "fedcba9"),
        ("VERGEN_GIT_BRANCH", "release/24.1"),
        ("VERGEN_BUILD_TIMESTAMP", "2026-11-25T11:00:00Z"),
        ("LASTWORDS_BUILD_COMMIT", "0123abc"),
    ];
    let event = built_with(&vergen);
    let expected = json!({
        "commit": "0123abc", "branch": "release/24.1", "build_time": "2026-11-25T11:00:00Z",
    });
    assert_eq!(tags(&event), expected);

    assert_eq!(tags(&built_with(&[("VERGEN_GIT_SHA", "")])), Value::Null);
}
