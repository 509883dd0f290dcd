//! `lastwords doctor`: what it finds, how it exits, and that it leaves nothing behind.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use cli_support::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A home of its own, and nothing else in the environment.
fn doctor(home: &Path, args: &[&str]) -> Command {
    let mut command = lastwords();
    command.arg("doctor").args(args).env("HOME", home);
    command
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn findings(output: &Output) -> Vec<(String, String, String)> {
    let parsed: Value = serde_json::from_str(&stdout(output)).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = parsed["findings"].as_array().unwrap().iter();
    findings.map(|f| (text(f, "mark"), text(f, "about"), text(f, "text"))).collect()
}

#[track_caller]
fn has(output: &Output, mark: &str, part: &str) {
    let found = findings(output).iter().any(|(m, _, text)| m == mark && text.contains(part));
    assert!(found, "no {mark} has {part:?}\n{}", told(output));
}

#[test]
fn a_fresh_machine_is_well() {
    let home = home();
    let output = run(&mut doctor(home.path(), &[]));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = stdout(&output);
    for part in [
        "enable_sentry   true  (default)",
        "every value that is given can be used",
        ".local/state/lastwords, made when it is needed",
        "regions are files in it",
        "no DSN is given: reports stay on this machine",
        "\nno problem\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn every_setting_is_shown_with_its_origin() {
    let home = home();
    let args = ["--json", "--release", "alpha@1.0.0", "--tag", "a=b", "--state-dir", "here"];
    let mut command = doctor(home.path(), &args);
    command.env("LASTWORDS_TAGS", "c=d").env("SENTRY_DSN", format!("https://{KEY}@host.invalid/7"));
    command.env("LASTWORDS_ENABLE_SENTRY", "false").current_dir(home.path());
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let parsed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let settings = parsed["settings"].as_array().unwrap();
    assert_eq!(settings.len(), lastwords::config::TABLE.len());
    let setting = |name: &str| settings.iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(setting("release")["origins"], json!(["--release"]));
    assert_eq!(setting("tags")["value"], "c=d,a=b");
    assert_eq!(setting("tags")["origins"], json!(["LASTWORDS_TAGS", "--tag"]));
    assert_eq!(setting("dsn")["origins"], json!(["SENTRY_DSN"]));
    assert_eq!(setting("dsn")["value"], "https://***@host.invalid/7");
    let state_dir = home.path().join("here");
    assert_eq!(setting("state_dir")["value"], state_dir.to_str().unwrap());
    assert_eq!(parsed["state_dirs"][0]["path"], state_dir.to_str().unwrap());
    assert_eq!(parsed["sent_as"]["environment"], "prod");
}

#[test]
fn the_key_of_a_dsn_is_never_shown() {
    let home = home();
    for dsn in [format!("https://{KEY}@host.invalid/7"), format!("htps://{KEY}@host.invalid/7")] {
        for args in [&["--dsn", &dsn, "--enable-sentry=off"][..], &["--json", "--dsn", &dsn]] {
            let mut command = doctor(home.path(), args);
            command.env("LASTWORDS_ENABLE_SENTRY", "off");
            assert!(!told(&run(&mut command)).contains(KEY));
        }
    }
}

#[test]
fn a_bad_value_is_a_problem() {
    let home = home();
    let mut command = doctor(home.path(), &["--json"]);
    let output = run(command.env("LASTWORDS_RING_SIZE", "12 parsecs"));
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    has(&output, "problem", "LASTWORDS_RING_SIZE: \"12 parsecs\" is not a size");
    assert_eq!(stderr(&output), "");
    let output = run(&mut doctor(home.path(), &["--frobnicate"]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_a_server_would_not_keep_is_said() {
    let home = home();
    let args = ["--json", "--release", "a/b@1", "--environment", "none", "--tag", "user=x"];
    let output = run(&mut doctor(home.path(), &args));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    has(&output, "note", r#"release "a/b@1" is sent as "a-b@1""#);
    has(&output, "note", r#"environment "none" is sent as "env-none""#);
    has(&output, "note", r#"tag "user""#);
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_its_reason() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let shared = home.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    for (path, why) in [
        (Path::new("/proc/nowhere"), "cannot write in /proc"),
        (&file, "is not a directory"),
        (&file.join("below"), "cannot write in"),
        (&shared, "is a shared directory"),
    ] {
        let args = ["--json", "--state-dir", path.to_str().unwrap()];
        let output = run(&mut doctor(home.path(), &args));
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        has(&output, "problem", why);
        has(&output, "ok", ".local/state/lastwords");
        let parsed: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(parsed["state_dirs"][0]["used"], false);
        assert_eq!(parsed["state_dirs"][1]["used"], true);
    }
}

#[test]
fn a_directory_of_somebody_else_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a directory away");
        return;
    }
    let home = home();
    let state = home.path().join("state");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(4711), None).unwrap();
    let args = ["--json", "--state-dir", state.to_str().unwrap()];
    let output = run(&mut doctor(home.path(), &args));
    has(&output, "problem", "belongs to user 4711, but a spool must belong to user 0");
}

#[test]
fn loose_permissions_are_said_and_stay() {
    let home = home();
    let state = home.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--json", "--state-dir", state.to_str().unwrap()];
    let output = run(&mut doctor(home.path(), &args));
    has(&output, "note", "its permissions are loose");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[test]
fn the_reports_that_wait_are_counted_and_explained() {
    let spool = Spool::with_two();
    let output = run(&mut spool.command(&["doctor", "--json"]));
    has(&output, "ok", "1 sent, 1 waiting");
    has(&output, "note", "1 report: kept: no DSN says where to send it");
    let dsn = format!("https://{KEY}@host.invalid/7");
    let args = ["doctor", "--json", "--enable-sentry=false", "--dsn", &dsn];
    let output = run(&mut spool.command(&args));
    has(&output, "note", "1 report: kept: sending is switched off");
    let parsed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&parsed["reports"]["sent"], &parsed["reports"]["waiting"]), (&json!(1), &json!(1)));
}

#[test]
fn nothing_is_opened_where_sending_is_off() {
    let home = home();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let dsn = format!("http://{KEY}@127.0.0.1:{}/1", server.local_addr().unwrap().port());
    for (more, code) in [(&[][..], 0), (&["--send-test"][..], 1)] {
        let args = [&["--json", "--dsn", &dsn, "--enable-sentry=false"], more].concat();
        let output = run(&mut doctor(home.path(), &args));
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        has(&output, "note", "sending is switched off: nothing leaves this machine");
    }
    assert!(server.accept().is_err(), "somebody connected");
}
