//! `lastwords parse`: crash output in a file or on standard input.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use cli_support::*;
use serde_json::{Value, json};

fn corpus(case: &str) -> String {
    format!("{}/tests/corpus/{case}/stderr", env!("CARGO_MANIFEST_DIR"))
}

fn parse(args: &[&str]) -> Output {
    run(lastwords().arg("parse").args(args))
}

fn events(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_crash_is_shown_with_its_place_and_the_lines_before_it() {
    let output = parse(&[&corpus("go125-log-noise"), "--exit-code", "2"]);
    assert!(output.status.success(), "{}", told(&output));
    let shown = stdout(&output).replace(env!("CARGO_MANIFEST_DIR"), "[package]");
    let timeless = shown.lines().filter(|line| !line.starts_with("  when"));
    // Offsets from the time of the file, which a checkout sets.
    let timeless = timeless.map(|line| match line.split_once("s  ") {
        Some((time, rest)) if time.trim_start().starts_with(['-', '+']) => {
            format!("  [time]  {rest}")
        }
        _ => line.to_owned(),
    });
    insta::assert_snapshot!("parse_go", timeless.collect::<Vec<_>>().join("\n"));
}

#[test]
fn json_is_one_event_a_line_with_its_place() {
    let before = "starting\nready\n";
    let panic =
        "panic: boom\n\ngoroutine 1 [running]:\nmain.f()\n\t/srv/main.go:3 +0x1d\nexit status 2\n";
    let between = "2026/11/25 10:00:00 started again\n";
    let rust = "\nthread 'main' (7) panicked at src/main.rs:3:9:\nno more\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
    let text = [before, panic, between, rust].concat();
    let output = piped(&["parse", "--json"], text.as_bytes());
    assert!(output.status.success(), "{}", told(&output));
    let events = events(&output);
    assert_eq!(events.len(), 2, "{events:?}");
    let told = |event: &Value| {
        let place = &event["contexts"]["lastwords"];
        (event["platform"].clone(), place["lines"].clone(), place["bytes"][0].clone())
    };
    let second = text.find("thread 'main'").expect("it is there");
    assert_eq!(told(&events[0]), (json!("go"), json!([3, 8]), json!(before.len())));
    assert_eq!(told(&events[1]), (json!("native"), json!([11, 13]), json!(second)));
    let crumbs = events[0]["breadcrumbs"]["values"].as_array().expect("breadcrumbs");
    assert_eq!(crumbs[0]["message"], "starting");
    assert_eq!(crumbs.len(), 2);
    let id = |event: &Value| event["event_id"].as_str().expect("an id").len();
    assert_eq!(events.iter().map(id).collect::<Vec<_>>(), [32, 32]);
    // Nothing is said of the machine that reads.
    for context in ["os", "device", "app"] {
        assert_eq!(events[0]["contexts"].get(context), None);
    }
}

#[test]
fn the_exit_code_says_whether_anything_was_found() {
    for (args, code) in [
        (&["go119-index"][..], 0),
        (&["go125-log-line"], 1),
        (&["go125-traceback-none", "--exit-code", "2"], 0),
        (&["go125-traceback-none", "--exit-code", "0"], 1),
        (&["c-segv-silent", "--signal", "SEGV"], 0),
        (&["c-sigterm", "--signal", "SIGTERM"], 1),
        (&["rust195-alloc-failure", "--signal", "6"], 0),
    ] {
        let file = corpus(args[0]);
        let all: Vec<&str> = [&*file].into_iter().chain(args[1..].iter().copied()).collect();
        let output = parse(&all);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", told(&output));
        assert_eq!(stdout(&output).is_empty(), code == 1, "{args:?}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let missing = parse(&["/nowhere/at.log"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(
        stderr(&missing),
        "lastwords: cannot read /nowhere/at.log: No such file or directory (os error 2)\n"
    );
    let directory = parse(&["/"]);
    assert_eq!(directory.status.code(), Some(2));
    assert!(stderr(&directory).contains("cannot read /: Is a directory"), "{}", told(&directory));
    let signal = parse(&["--signal", "SIGFOO"]);
    assert_eq!(signal.status.code(), Some(2));
    assert!(stderr(&signal).contains("'SIGFOO'"), "{}", told(&signal));
    assert!(stderr(&signal).contains("expected a signal by name or number"), "{}", told(&signal));
}

#[test]
fn several_panics_of_one_death_are_one_event() {
    let output = parse(&["--json", &corpus("rust195-double-panic"), "--signal", "ABRT"]);
    let events = events(&output);
    assert_eq!(events.len(), 1);
    let values = events[0]["exception"]["values"].as_array().expect("exceptions");
    assert_eq!(values.len(), 3);
    assert_eq!(values[2]["value"], "first: work failed");
}

#[test]
fn an_input_larger_than_memory_is_read() {
    let script = format!(
        r#"ulimit -v 100000
           {{ head -c 200000000 /dev/zero | tr '\0' '\n'
              head -c 200000000 /dev/zero
              printf '\npanic: at last\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:3 +0x1d\n'
           }} | {} parse --json"#,
        env!("CARGO_BIN_EXE_lastwords")
    );
    let output = run(Command::new("sh").args(["-c", &script]));
    assert!(output.status.success(), "{}", stderr(&output));
    let events = events(&output);
    assert_eq!(events[0]["exception"]["values"][0]["value"], "at last");
    assert_eq!(events[0]["contexts"]["lastwords"]["lines"][0], 200_000_002);
}

/// Runs it with `input` on standard input.
fn piped(args: &[&str], input: &[u8]) -> Output {
    let mut command = lastwords();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}
