//! `lastwords list` and `lastwords show` in trouble: bad usage, bad reports, bad streams.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use std::fs;
use std::process::Stdio;

use cli_support::*;
use serde_json::json;

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    for args in [&["show", "xyz"][..], &["list", "--color", "blue"], &["frobnicate"]] {
        let output = run(lastwords().args(args));
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(stderr(&output).starts_with("lastwords: "), "{}", told(&output));
    }
    let output = run(lastwords().args(["show", "xyz"]));
    insta::assert_snapshot!("usage", stderr(&output));
}

#[test]
fn an_unreadable_report_is_listed_and_hides_no_other() {
    let spool = Spool::with_two();
    let garbled = "ab".repeat(16);
    fs::write(spool.file("waiting", &garbled), "{\"event_id\":").unwrap();
    spool.put("waiting", &"cd".repeat(16), "[\"no object\"]");
    fs::write(spool.file("sent", &"ef".repeat(16)), "{}\n{\"type\":\"event\",\"length\":99}\nx")
        .unwrap();
    fs::write(spool.dir.path().join("waiting/notes.txt"), "mine").unwrap();

    let listed = spool.prints(&["list"], "200");
    assert_eq!(listed.matches("unreadable: ").count(), 3, "{listed}");
    assert!(listed.contains("index out of bounds") && listed.contains("nil pointer"), "{listed}");
    let json = spool.prints(&["list", "--json"], "200");
    assert_eq!(json.lines().count(), 5);
    assert_eq!(json.matches("\"problem\":null").count(), 2, "{json}");

    let shown = run(&mut spool.command(&["show", "abab"]));
    assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    let message = spool.pinned(&stderr(&shown));
    let expected =
        format!("lastwords: cannot read the report [state]/waiting/{garbled}.envelope: ");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_fifo_or_a_link_in_the_spool_is_no_report() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let spool = Spool::with_two();
    mknodat(CWD, spool.file("waiting", &"ab".repeat(16)), FileType::Fifo, Mode::RWXU, 0).unwrap();
    std::os::unix::fs::symlink("/dev/zero", spool.file("waiting", &"cd".repeat(16))).unwrap();
    let listed = spool.prints(&["list"], "200");
    assert_eq!(listed.lines().count(), 4, "{listed}");
    for id in ["abab", "cdcd"] {
        let shown = run(&mut spool.command(&["show", id]));
        assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    }
}

#[test]
fn an_empty_or_missing_spool_is_said_kindly() {
    let spool = Spool::new();
    let missing = spool.dir.path().join("nowhere");
    for (dir, expected) in [
        (spool.dir.path(), "lastwords: no reports: nothing has died in [state] yet\n"),
        (&missing, "lastwords: no reports: [state]/nowhere does not exist\n"),
    ] {
        let dir = dir.to_str().unwrap();
        let listed = run(&mut spool.command(&["list", "--state-dir", dir]));
        assert_eq!((listed.status.code(), stdout(&listed).as_str()), (Some(0), ""));
        assert_eq!(spool.pinned(&stderr(&listed)), expected);
        let shown = run(&mut spool.command(&["show", "--state-dir", dir]));
        assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    }
}

#[test]
fn nothing_in_a_report_commands_the_terminal() {
    let spool = Spool::new();
    let nasty = "a\x1b[2J\x1b]0;title\x07\r\u{9b}31m\u{202e}\u{7f}\n\x08z";
    let frame = json!({"function": nasty, "filename": nasty, "lineno": 1, "in_app": true,
                       "context_line": nasty, "pre_context": [nasty]});
    let crumb = json!({"timestamp": 1.5, "level": nasty, "category": nasty, "message": nasty,
        "data": {nasty: nasty, "thread": nasty, "spans": [{"name": nasty, nasty: nasty}]}});
    let event = json!({
        "level": nasty, "platform": nasty, "release": nasty, "environment": nasty,
        "server_name": nasty, "tags": {nasty: nasty},
        "exception": [{"type": nasty, "value": nasty, "thread_id": 1,
            "mechanism": {"data": {"location": nasty}}, "stacktrace": {"frames": [frame]}}],
        "threads": [{"id": 1, "name": nasty}, {"id": 2, "name": nasty, "state": nasty,
            "stacktrace": {"frames": [frame]}}],
        "breadcrumbs": [crumb],
        "contexts": {"process": {nasty: nasty}, "os": {"name": nasty}, "device": {"arch": nasty}},
    });
    spool.put("waiting", INGEST, &event.to_string());
    spool.put("waiting", "3f000000000000000000000000000000", &event.to_string());
    fs::write(spool.file("waiting", &"ab".repeat(16)), nasty).unwrap();
    for args in [
        &["list"][..],
        &["show", "3f2a"],
        &["show", "3f2a", "--full"],
        &["show", "3f"],
        &["show", "ab"],
    ] {
        for color in ["never", "always"] {
            let output = run(spool.command(args).args(["--color", color]).env("COLUMNS", "70"));
            let text = without_colors(&(stdout(&output) + &stderr(&output)));
            let raw: Vec<char> = text.chars().filter(|&c| c != '\n' && commands(c)).collect();
            assert!(!text.is_empty() && raw.is_empty(), "{args:?}: {raw:?}");
        }
    }
}

fn commands(c: char) -> bool {
    c.is_control() || c == '\u{202e}'
}

/// Takes away what sets a colour: escape, bracket, digits, `m`.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix('m') {
            Some(rest) => kept.push_str(rest),
            None => kept.push_str(&format!("\x1b[{part}")),
        }
    }
    kept
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let spool = Spool::new();
    let mut event = ingest(&spool);
    let crumb = json!({"timestamp": 1.5, "message": "x".repeat(500)});
    event["breadcrumbs"] = json!(vec![crumb; 2000]);
    spool.put("waiting", INGEST, &event.to_string());
    for args in [&["show"][..], &["show", "--json"], &["list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = spool.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn nobody_to_complain_to_is_no_panic() {
    let spool = Spool::new();
    for (args, code) in [(&["show"][..], 1), (&["list"], 0), (&["show", "xyz"], 2), (&[], 2)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = spool.command(args).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let spool = Spool::with_two();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = spool.command(&["show"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.starts_with("lastwords: cannot write to standard output: "), "{message}");
}

#[test]
fn any_object_is_an_event() {
    let spool = Spool::new();
    for event in [
        "{}",
        r#"{"exception":7,"breadcrumbs":{"values":[1,null,{}]},"threads":"x","tags":[1,["a"]]}"#,
        r#"{"exception":[{}],"timestamp":"soon","contexts":[],"breadcrumbs":[{"data":[]}]}"#,
        r#"{"exception":[{"stacktrace":{"frames":[{},7]},"thread_id":{}}],"timestamp":1e300}"#,
        r#"{"message":"only words","timestamp":-62167219200}"#,
    ] {
        spool.put("waiting", INGEST, event);
        for args in [&["list"][..], &["list", "--json"], &["show"], &["show", "--full"]] {
            for columns in ["1", "40", "100000"] {
                let output = run(spool.command(args).env("COLUMNS", columns));
                assert!(output.status.success(), "{event} {args:?}\n{}", told(&output));
            }
        }
    }
}
