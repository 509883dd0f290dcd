//! `lastwords run`: one event for one death, whoever noticed it, and nothing for a life that ends well.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;

use std::path::Path;

use common::{Event, Outcome, Profile, Run, once, regions_in};
use lastwords::record::{Select, Snapshot};
use serde_json::json;

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// The words that put a command under a monitor.
const UNDER: [&str; 3] = [LASTWORDS, "run", "--"];

fn victim(scenario: &str) -> Run {
    Run::victim(Profile::Dev, scenario)
}

fn shell(script: &str) -> Run {
    Run::of(Profile::Dev, "victim").under(&[LASTWORDS, "run", "--", "sh", "-c", script, "sh"])
}

/// Runs a scenario with and without the monitor, and checks that nobody can tell the difference.
#[track_caller]
fn same_as_alone(run: impl Fn() -> Run) -> Outcome {
    let (alone, watched) = (run().run(), run().under(&UNDER).run());
    assert_eq!(watched.stdout, alone.stdout);
    assert_eq!(watched.normal_stderr(), alone.normal_stderr());
    let code = |outcome: &Outcome| {
        use std::os::unix::process::ExitStatusExt;
        outcome.status.code().or(outcome.status.signal().map(|signal| 128 + signal))
    };
    assert_eq!(code(&watched), code(&alone));
    watched.leaves_no_region();
    watched
}

fn process(event: &Event) -> &serde_json::Value {
    &event.0["contexts"]["process"]
}

// A program that records itself.

#[test]
fn a_panic_of_a_recording_program_is_one_event() {
    let outcome = same_as_alone(|| victim("main"));
    outcome.exits_with(101);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    assert_eq!(event.breadcrumb_messages(), ["the last line"]);
    assert_eq!(event.top_in_app()["function"], "victim::deaths::main");
    assert_eq!(process(&event)["exit_code"], 101);
    let attachments = outcome.attachments();
    assert_eq!(attachments[0].0, "stderr.txt");
    let text = String::from_utf8_lossy(&attachments[0].1).into_owned();
    assert_eq!(text, outcome.stderr);
}

#[test]
fn a_double_panic_of_a_recording_program_is_one_event() {
    let outcome = same_as_alone(|| victim("double"));
    outcome.exits_with(134);
    let event = outcome.event();
    assert_eq!(event.level(), "fatal");
    assert!(event.messages().len() >= 2, "{:?}", event.messages());
    assert_eq!(process(&event)["signal"], "SIGABRT");
}

/// Between the message of a panic and its backtrace, and between two panics of one death, the program
/// may have much to do.
#[test]
fn a_death_that_is_printed_slowly_is_one_event() {
    let text =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/rust195-double-panic/stderr");
    let print = |lines: &str| format!("sed -n {lines}p '{}' >&2", text.display());
    let parts = ["1,5", "6,7", "8,80", "81,84"].map(print);
    let outcome = shell(&format!("{}; kill -ABRT $$", parts.join("; sleep 0.8; "))).run();
    outcome.exits_with(134);
    let event = outcome.event();
    let cleanup = "panic in a destructor during cleanup";
    assert_eq!(event.messages(), ["first: work failed", "second: dropping lock", cleanup]);
    assert_eq!(process(&event)["signal"], "SIGABRT");
}

#[test]
fn a_thread_of_a_recording_program_takes_nothing_with_it() {
    let outcome = same_as_alone(|| victim("thread"));
    outcome.exits_with(0);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("a worker is no more", "error"));
    assert_eq!(process(&event)["exit_code"], json!(null));
}

#[test]
fn a_recording_program_reports_under_the_operators_settings() {
    let flags =
        ["run", "--release", "other@9.0.0", "--tag", "cluster=c1", "--tag-subcommand", "how"];
    let words: Vec<&str> = [LASTWORDS].into_iter().chain(flags).chain(["--"]).collect();
    let outcome = victim("main").under(&words).run();
    let event = outcome.event();
    assert_eq!(event.0["release"], "other@9.0.0");
    assert_eq!(event.0["tags"], json!({"cluster": "c1", "how": "main"}));
}

#[test]
fn a_silent_death_of_a_recording_program_has_its_breadcrumbs() {
    let outcome = victim("lines-then-kill").under(&UNDER).run();
    outcome.exits_with(137);
    let event = outcome.event();
    assert_eq!(event.exceptions()[0]["type"], "SIGKILL");
    assert_eq!(event.exceptions()[0]["mechanism"]["synthetic"], true);
    assert_eq!(event.0["release"], "victim@1.2.3");
    assert_eq!(event.breadcrumb_messages().last(), Some(&"the last line before the kill"));
    outcome.leaves_no_region();
}

// A program that does not.

#[test]
fn a_panic_of_any_rust_program_is_read_from_its_standard_error() {
    let outcome = same_as_alone(|| victim("main").plain().variable("RUST_BACKTRACE", "1"));
    outcome.exits_with(101);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    assert_eq!(event.thread()["name"], "main");
    assert_eq!(event.top_in_app()["function"], "victim::deaths::main");
    assert_eq!(process(&event)["exit_code"], 101);
    assert!(once(String::from_utf8_lossy(&outcome.attachments()[0].1), "main is no more"));
}

#[test]
fn a_panic_in_a_panic_of_any_rust_program_is_one_event() {
    let outcome = same_as_alone(|| victim("double").plain());
    let event = outcome.event();
    assert_eq!(event.level(), "fatal");
    assert!(event.messages().len() >= 2, "{:?}", event.messages());
    assert_eq!(process(&event)["signal"], "SIGABRT");
}

#[test]
fn a_thread_of_any_rust_program_that_survives_is_an_error() {
    let outcome = same_as_alone(|| victim("thread").plain());
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("a worker is no more", "error"));
}

#[test]
fn lines_of_any_program_are_breadcrumbs_up_to_its_crash() {
    let script = r#"
        echo 'I1125 10:00:00.000000   7 main.go:9] starting' >&2
        echo 'time=2026-11-25T10:00:01Z level=warn msg="disk is slow" ms=12' >&2
        printf 'panic: boom\n\ngoroutine 1 [running]:\nmain.f()\n\t/srv/app/main.go:3 +0x1d\nexit status 2\n' >&2
        exit 2"#;
    let outcome = shell(script).run();
    outcome.exits_with(2);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("boom", "fatal"));
    assert_eq!(event.0["platform"], "go");
    assert_eq!(event.breadcrumb_messages(), ["starting", "disk is slow"]);
    assert_eq!(event.breadcrumbs()[1]["level"], "warning");
    assert_eq!(event.breadcrumbs()[1]["data"]["ms"], 12);
    assert_eq!(process(&event)["exit_code"], 2);
}

#[test]
fn a_silent_death_of_any_program_is_an_event() {
    for (signal, mechanism) in [("SEGV", "signal"), ("ABRT", "abort"), ("KILL", "signal")] {
        let outcome = shell(&format!("echo ready >&2; kill -{signal} $$")).run();
        let event = outcome.event();
        assert_eq!(event.exceptions()[0]["type"], format!("SIG{signal}"));
        assert_eq!(event.exceptions()[0]["mechanism"]["type"], mechanism);
        assert_eq!(event.level(), "fatal");
        assert_eq!(event.breadcrumb_messages(), ["ready"]);
        assert_eq!(process(&event)["signal"], format!("SIG{signal}"));
        outcome.leaves_no_region();
    }
}

#[test]
fn a_life_that_ends_well_is_no_event() {
    for script in [
        "echo fine >&2",
        "echo 'cannot open the database' >&2; exit 1",
        "kill -TERM $$",
        "kill -INT $$",
        "kill -PIPE $$",
    ] {
        let outcome = shell(script).run();
        assert_eq!(outcome.events().len(), 0, "{script}");
        outcome.leaves_no_region();
    }
}

// Trees of processes.

#[test]
fn a_grandchild_that_records_itself_is_reported_once() {
    let outcome = shell(r#""$@"; exit 0"#).argument("main").run();
    outcome.exits_with(0);
    let event = outcome.event();
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    assert_eq!(event.breadcrumb_messages(), ["the last line"]);
}

#[test]
fn a_monitor_below_a_monitor_reports_alone() {
    for plain in [true, false] {
        let run = victim("main");
        let run = if plain { run.plain() } else { run };
        let outcome = run.under(&[LASTWORDS, "run", "--", LASTWORDS, "run", "--"]).run();
        outcome.exits_with(101);
        assert_eq!(outcome.event().message(), "main is no more");
        outcome.leaves_no_region();
    }
}

#[test]
fn two_programs_in_one_tree_keep_theirs_apart() {
    let script = format!(
        r#"{LASTWORDS} run -- sh -c 'echo "one speaks" >&2; kill -SEGV $$' &
           {LASTWORDS} run -- sh -c 'echo "two speaks" >&2; kill -ABRT $$' &
           wait"#
    );
    let outcome = shell(&script).run();
    let mut told: Vec<_> = outcome
        .events()
        .iter()
        .map(|event| (event.exceptions()[0]["type"].clone(), event.breadcrumb_messages().join("|")))
        .collect();
    told.sort_by_key(|(_, lines)| lines.clone());
    assert_eq!(
        told,
        [(json!("SIGSEGV"), "one speaks".into()), (json!("SIGABRT"), "two speaks".into())]
    );
}

#[test]
fn a_program_that_executes_another_keeps_its_monitor() {
    // What is still in the pipe when the program takes the region over is no breadcrumb any more, so
    // the shell goes on once the monitor has passed its line on.
    let script = r#"echo "before the exec" >&2; read -r _; exec "$@""#;
    let mut running = shell(script).argument("main").start();
    running.wait_for_error_line("before the exec");
    let outcome = running.finish();
    outcome.exits_with(101);
    let event = outcome.event();
    assert_eq!(event.breadcrumb_messages(), ["before the exec", "the last line"]);
    assert_eq!(process(&event)["exit_code"], 101);
}

// Whatever the program prints.

#[test]
fn a_flood_leaves_the_last_lines() {
    let script = r#"
        i=0; while [ $i -lt 3000 ]; do echo "line $i of a flood that goes on and on" >&2; i=$((i+1)); done
        head -c 3000000 /dev/zero | tr '\0' x >&2; echo >&2
        head -c 300000 /dev/urandom >&2; echo >&2
        echo "the last line" >&2; kill -SEGV $$"#;
    let outcome = shell(script).run();
    let event = outcome.event();
    assert_eq!(event.breadcrumb_messages().last(), Some(&"the last line"));
    assert!(event.breadcrumbs().len() <= 100);
    // As much as is kept, from the first line that is whole.
    let length = outcome.attachments()[0].1.len();
    assert!((56 * 1024..=64 * 1024).contains(&length), "{length}");
}

#[test]
fn a_monitor_that_is_killed_leaves_what_it_had_read() {
    let script = r#"echo "first line" >&2; sleep 0.2; kill -KILL $PPID; sleep 0.1; echo done"#;
    let outcome = shell(script).run();
    assert_eq!(outcome.events().len(), 0);
    let regions = regions_in(&outcome.state());
    let is_tags_file = |path: &Path| path.extension().is_some_and(|ending| ending == "tags");
    let region = regions.iter().find(|path| !is_tags_file(path)).expect("a region");
    let region = Snapshot::read_file(region, Select::newest(10)).expect("a region");
    assert_eq!(region.breadcrumbs[0].message, "first line");
    assert!(region.identity.pid > 0 && region.identity.start_ticks.is_some());
    assert_eq!(outcome.stdout, "done\n", "the program lives on");
}

#[test]
fn nothing_that_can_be_written_is_no_reason_not_to_start() {
    let outcome = shell("exit 3").variable("LASTWORDS_STATE_DIR", "/proc/nowhere").run();
    outcome.exits_with(3);
    let outcome = shell("exit 3")
        .variable("LASTWORDS_BREADCRUMBS", "many")
        .variable("LASTWORDS_RING_SIZE", "1")
        .run();
    outcome.exits_with(3);
    assert_eq!(outcome.warnings().len(), 2, "{}", outcome.stderr);
}

#[test]
fn a_dump_larger_than_the_ring_leaves_the_lines_before_it() {
    let script = r#"
        echo 'the last line before' >&2
        printf 'panic: boom\n\ngoroutine 1 [running]:\nmain.f()\n\t/srv/app/main.go:3 +0x1d\n' >&2
        awk 'BEGIN { for (i = 2; i < 30000; i++)
            printf "\ngoroutine %d [chan receive]:\nmain.wait()\n\t/srv/app/main.go:%d +0x1d\n", i, i }' >&2
        exit 2"#;
    let outcome = shell(script).run();
    let event = outcome.event();
    assert_eq!(event.message(), "boom");
    assert_eq!(event.breadcrumb_messages(), ["the last line before"]);
}

#[test]
fn a_silent_death_is_grouped_by_its_program() {
    let outcome = shell("kill -SEGV $$").run();
    let event = outcome.event();
    let fingerprint = event.0["fingerprint"].as_array().expect("a fingerprint");
    assert_eq!(fingerprint.len(), 2, "{fingerprint:?}");
    assert_eq!(fingerprint[0], "SIGSEGV");
}

#[test]
fn panics_that_were_survived_are_errors_however_many() {
    for plain in [false, true] {
        let run = victim("caught-often");
        let outcome = if plain { run.plain() } else { run }.under(&UNDER).run();
        outcome.exits_with(0);
        let levels: Vec<_> = outcome.events().iter().map(|e| e.level().to_owned()).collect();
        assert_eq!(levels, ["error"; 20], "plain: {plain}");
    }
}

#[test]
fn an_abort_is_not_laid_to_a_panic_caught_long_before() {
    let outcome = victim("caught-long-before-an-abort").under(&UNDER).run();
    outcome.exits_with(134);
    let events = outcome.events();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].message(), events[0].level()), ("caught at the start", "error"));
    assert_eq!(events[1].exceptions()[0]["type"], "SIGABRT");
    assert_eq!(events[1].breadcrumb_messages().last(), Some(&"the last line"));
}
