//! Reports arrive: real programs die, and a real server has what they said.
//!
//! Skipped, visibly, where there is no Bugsink: see `bugsink/server.rs`.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
#[path = "bugsink/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{Event, Outcome, Profile, Run, skipped};
use lastwords::deliver::{Spool, State};
use serde_json::json;
use server::{Bugsink, Stored};

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// A program with the layer, told where to send.
fn victim(scenario: &str, dsn: &str) -> Run {
    Run::victim(Profile::Dev, scenario).variable("LASTWORDS_DSN", dsn)
}

/// A program of any language, told where to send by the command line.
fn watched(dsn: &str, more: &[&str], command: &[&str]) -> Outcome {
    let words = [LASTWORDS, "run", "--dsn", dsn].into_iter().chain(more.iter().copied());
    let words: Vec<&str> = words.chain(["--"]).chain(command.iter().copied()).collect();
    Run::of(Profile::Dev, "victim").under(&words).run()
}

/// How far the reports below a state directory have come.
fn states(outcome: &Outcome) -> Vec<State> {
    let spool = Spool::open_existing(&outcome.state()).expect("a spool");
    spool.list().expect("a spool").iter().map(|entry| entry.state).collect()
}

/// The one report has left by itself.
#[track_caller]
fn is_sent(outcome: &Outcome) {
    assert_eq!(states(outcome), [State::Sent]);
}

/// `lastwords send`: whether nothing is left.
fn send(outcome: &Outcome) -> bool {
    let mut command = Command::new(LASTWORDS);
    command.arg("send").arg("--state-dir").arg(outcome.state()).env_clear();
    command.status().expect("the command").success()
}

/// The Go program that the corpus is made of; `None`, said aloud, where there is no Go.
fn go_program() -> Option<&'static str> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-crash");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".");
        go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/programs/go"));
        go.envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0")]);
        go.status().is_ok_and(|status| status.success()).then_some(program)
    };
    let program = BUILT.get_or_init(build).as_ref().and_then(|path| path.to_str());
    if program.is_none() {
        skipped("there is no go here");
    }
    program
}

fn event(stored: &Stored) -> Event {
    Event(stored.event.clone())
}

#[test]
fn a_panic_of_a_recording_program_arrives_whole() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    let outcome = victim("ingest", &project.dsn())
        .variable("LASTWORDS_RELEASE", "service@1.4.2")
        .variable("LASTWORDS_EDITION", "oss")
        .variable("LASTWORDS_TAGS", "dgraph=alpha")
        .run();
    is_sent(&outcome);

    let stored = project.event();
    let sent = outcome.event();
    assert_eq!(sent.0["event_id"], stored.id);
    let event = event(&stored);
    assert_eq!(
        (&event.0["release"], &event.0["environment"]),
        (&json!("service@1.4.2"), &json!("prod-oss"))
    );
    assert_eq!(event.0["tags"], json!({"cid": "learned-at-run-time", "dgraph": "alpha"}));
    assert_eq!(event.top_in_app()["function"], "victim::ingest::index_batch");
    assert_eq!(event.message(), "index out of bounds: the len is 3 but the index is 3");
    assert_eq!(event.breadcrumb_messages().len(), 50);
    assert_eq!(event.breadcrumb_messages()[49], "line 49");
    assert_eq!(event.thread()["name"], "ingest");
    // All of it, not only what is looked at above.
    for key in ["exception", "breadcrumbs", "contexts", "threads", "fingerprint", "level"] {
        assert_eq!(event.0[key], sent.0[key], "{key}");
    }
}

#[test]
fn a_panic_of_a_go_program_arrives_whole() {
    let Some(server) = Bugsink::shared() else { return };
    let Some(program) = go_program() else { return };
    let project = server.project();
    let flags = ["--release", "alpha@24.1.0-rc1", "--tag", "cluster=c1", "--tag-subcommand", "how"];
    let script = r#"echo 'level=warn msg="the disk is nearly full"' >&2; exec "$0" "$1""#;
    let outcome = watched(&project.dsn(), &flags, &["sh", "-c", script, program, "named-error"]);
    outcome.exits_with(2);
    is_sent(&outcome);

    let event = event(&project.event());
    assert_eq!((&event.0["platform"], event.level()), (&json!("go"), "fatal"));
    assert_eq!(
        (&event.0["release"], &event.0["environment"]),
        (&json!("alpha@24.1.0-rc1"), &json!("dev"))
    );
    assert_eq!(event.0["tags"], json!({"cluster": "c1", "how": "-c"}));
    assert_eq!(event.top_in_app()["function"], "fail");
    assert_eq!(event.top_in_app()["module"], "main");
    assert_eq!(event.breadcrumb_messages(), ["the disk is nearly full"]);
    assert_eq!(event.breadcrumbs()[0]["level"], "warning");
    assert_eq!(event.0["contexts"]["process"]["exit_code"], 2);
}

#[test]
fn crashes_are_grouped_by_what_and_where() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    for scenario in ["main", "ingest", "main", "thread"] {
        let outcome = victim(scenario, &project.dsn()).run();
        is_sent(&outcome);
    }
    let mut expected = vec![0, 1, 0, 2];
    if let Some(program) = go_program() {
        for scenario in ["named-error", "method-value", "named-error"] {
            let outcome = watched(&project.dsn(), &[], &[program, scenario]);
            is_sent(&outcome);
        }
        expected.extend([3, 4, 3]);
    }
    let issues: Vec<String> = project.events().into_iter().map(|stored| stored.issue).collect();
    // The number of an issue: where it was first seen among the issues.
    let mut known: Vec<&String> = Vec::new();
    let numbers: Vec<usize> = issues
        .iter()
        .map(|issue| {
            known.iter().position(|known| *known == issue).unwrap_or_else(|| {
                known.push(issue);
                known.len() - 1
            })
        })
        .collect();
    assert_eq!(numbers, expected);
}

#[test]
fn a_silent_death_arrives() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    let outcome = watched(&project.dsn(), &[], &["sh", "-c", "echo ready >&2; kill -SEGV $$"]);
    outcome.exits_with(139);
    is_sent(&outcome);
    let event = event(&project.event());
    assert_eq!(event.exceptions()[0]["type"], "SIGSEGV");
    assert_eq!(event.breadcrumb_messages(), ["ready"]);
}

#[test]
fn a_report_of_the_time_without_a_server_arrives_once() {
    let Some(mut server) = Bugsink::start() else { return };
    let dsn = server.project().dsn();
    server.stop();
    let outcome = victim("main", &dsn).run();
    assert_eq!(states(&outcome), [State::Waiting]);
    assert!(!send(&outcome), "nobody answers");
    let id = outcome.event().0["event_id"].clone();
    server.restart();
    assert!(send(&outcome) && send(&outcome));
    is_sent(&outcome);
    assert_eq!(id, server.projects()[0].event().id);
}

#[test]
fn a_wrong_key_keeps_the_report() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    let outcome = victim("main", &project.dsn_with_wrong_key()).run();
    assert_eq!(states(&outcome), [State::Waiting]);
    assert_eq!(outcome.warnings().len(), 1, "the operator is told");
    assert_eq!(project.events().len(), 0);
    assert_eq!(outcome.event().message(), "main is no more", "it can still be read here");
}

/// The server takes an event of 1 MiB, and no more.
#[test]
fn no_report_is_too_large() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    let script = r#"
        awk 'BEGIN { for (i = 0; i < 40000; i++) printf "%s ", i > "/dev/stderr"
             for (n = 0; n < 1500; n++) { printf "line %d ", n > "/dev/stderr"
             for (i = 0; i < 700; i++) printf "\"%d\t", i > "/dev/stderr"; print "" > "/dev/stderr" } }'
        kill -SEGV $$"#;
    let flags = ["--breadcrumbs", "1000", "--stderr-tail", "16MiB", "--ring-size", "16MiB"];
    let outcome = watched(&project.dsn(), &flags, &["sh", "-c", script]);
    is_sent(&outcome);
    let event = event(&project.event());
    let size = outcome.event().0.to_string().len();
    assert!(size <= 1 << 20 && size > 900_000, "{size}");
    assert!(event.breadcrumbs().len() > 100, "{}", event.breadcrumbs().len());
}

/// What `lastwords doctor` finds, as JSON; `None`, said aloud, while it cannot send.
fn doctor(arguments: &[&str]) -> Option<serde_json::Value> {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(LASTWORDS);
    command.args(["doctor", "--json"]).args(arguments).env_clear().env("HOME", home.path());
    let output = command.output().expect("the doctor");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let well = output.status.success();
    assert_eq!(found["well"], well, "{found}");
    if found["sending"]["checked"] == false {
        skipped("the doctor opens no connection");
        return None;
    }
    Some(found)
}

#[test]
fn the_doctors_test_event_arrives() {
    let Some(server) = Bugsink::shared() else { return };
    let project = server.project();
    let dsn = project.dsn();
    let arguments =
        ["--send-test", "--dsn", &dsn, "--release", "alpha@1.0.0", "--tag", "cluster=c1"];
    let Some(found) = doctor(&arguments) else { return };
    assert_eq!(found["well"], true, "{found}");
    let stored = project.event();
    assert_eq!(found["sending"]["test_event"], stored.id);
    assert_eq!(stored.event["logentry"]["formatted"], "lastwords doctor: test");
    assert_eq!(
        (&stored.event["level"], &stored.event["environment"]),
        (&json!("info"), &json!("prod"))
    );
    assert_eq!(stored.event["tags"]["cluster"], "c1");
}

#[test]
fn the_doctor_asks_the_server_and_stores_nothing() {
    let Some(mut server) = Bugsink::start() else { return };
    let (dsn, wrong) = {
        let project = server.project();
        (project.dsn(), project.dsn_with_wrong_key())
    };
    let Some(found) = doctor(&["--dsn", &dsn]) else { return };
    assert_eq!((&found["well"], &found["sending"]["status"]), (&json!(true), &json!(200)));
    let Some(found) = doctor(&["--dsn", &wrong]) else { return };
    assert_eq!((&found["well"], &found["sending"]["status"]), (&json!(false), &json!(403)));
    assert_eq!(server.projects()[0].events().len(), 0);
    server.stop();
    let Some(found) = doctor(&["--dsn", &dsn]) else { return };
    assert_eq!((&found["well"], &found["sending"]["status"]), (&json!(false), &json!(null)));
}
