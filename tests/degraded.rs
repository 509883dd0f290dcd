//! A machine that offers less costs one warning, never the program: it runs on with the same exit
//! status and the same output.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::{Outcome, Profile, Run, can_mount, events_in, is_root, regions_in, skipped};
use lastwords::record::{Select, Snapshot};
use serde_json::json;

const SIGKILL: i32 = 9;
const NOBODY: u32 = 64_999;

fn victim(scenario: &str) -> Run {
    Run::victim(Profile::Dev, scenario)
}

/// The program runs as it does elsewhere, and says one line.
#[track_caller]
fn warns_once(outcome: &Outcome, parts: &[&str]) {
    let plain = victim("thread").plain().run();
    assert_eq!(outcome.status, plain.status);
    assert_eq!(outcome.stdout, plain.stdout);
    let warnings = outcome.warnings();
    let [warning] = warnings[..] else { panic!("one warning: {warnings:?}") };
    assert!(warning.starts_with("lastwords: "), "{warning}");
    for part in parts {
        assert!(warning.contains(part), "{part:?} in {warning:?}");
    }
    // Else standard error is that of any panic.
    let rest: Vec<_> = outcome.stderr.lines().filter(|line| *line != warning).collect();
    assert_eq!(rest.len(), plain.stderr.lines().count(), "{rest:?}");
}

#[test]
fn nothing_is_printed_where_nothing_is_missing() {
    let outcome = victim("clean").run();
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "all is well\nmain returns\n");
    assert_eq!(outcome.stderr, "all is well\n");
    assert_eq!(outcome.events().len(), 0);
    outcome.leaves_no_region();
}

#[test]
fn an_exit_with_a_status_is_no_event() {
    let outcome = victim("exit-3").run();
    outcome.exits_with(3);
    assert_eq!(outcome.events().len(), 0);
    outcome.leaves_no_region();
}

#[test]
fn without_a_setting_the_home_directory_is_used() {
    let outcome = victim("thread").without_variable("LASTWORDS_STATE_DIR").run();
    outcome.exits_with(0);
    assert_eq!(outcome.warnings(), [""; 0]);
    assert_eq!(events_in(&outcome.home().join(".local/state/lastwords")).len(), 1);
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let run = victim("thread");
    let file = run.home().join("file");
    fs::write(&file, "").expect("a file");
    let outcome = run.variable("LASTWORDS_STATE_DIR", file.join("below")).run();
    warns_once(&outcome, &["cannot use ", "file/below", "reports are kept in ", "instead"]);
    assert_eq!(events_in(&outcome.home().join(".local/state/lastwords")).len(), 1);
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    if !is_root() {
        return skipped("only root can run a program as somebody else");
    }
    let run = victim("thread").user(NOBODY);
    fs::create_dir(run.state()).expect("a directory");
    let outcome = run.run();
    // It is root's.
    warns_once(&outcome, &["cannot use ", "/state", "reports are kept in ", "instead"]);
    assert_eq!(events_in(&outcome.home().join(".local/state/lastwords")).len(), 1);
}

#[test]
fn no_directory_works() {
    if !is_root() {
        return skipped("only root can run a program as somebody else");
    }
    // The last resort of a user without home is taken.
    let user = NOBODY + 1;
    let taken = format!("/tmp/lastwords-{user}");
    fs::write(&taken, "").expect("a file");
    let run = victim("thread").user(user);
    let nowhere = Path::new(&taken).join("below");
    let outcome = run.without_variable("HOME").variable("LASTWORDS_STATE_DIR", &nowhere).run();
    fs::remove_file(&taken).expect("it is still there");
    warns_once(&outcome, &["no state directory works", "set LASTWORDS_STATE_DIR"]);
}

#[test]
fn no_home() {
    if !is_root() {
        return skipped("only root can run a program as somebody else");
    }
    let user = NOBODY + 2;
    let makeshift = format!("/tmp/lastwords-{user}");
    let run = victim("thread").user(user);
    let outcome = run.without_variable("HOME").without_variable("LASTWORDS_STATE_DIR").run();
    let mode = fs::metadata(&makeshift).map(|facts| facts.permissions().mode() & 0o7777);
    let events = fs::metadata(&makeshift).map(|_| ());
    let _ = fs::remove_dir_all(&makeshift);
    warns_once(&outcome, &["no home directory is known", &makeshift, "set LASTWORDS_STATE_DIR"]);
    events.expect("the makeshift");
    assert_eq!(mode.expect("the makeshift"), 0o700);
}

#[test]
fn no_proc() {
    if !can_mount() {
        return;
    }
    let script = r#"mount -t tmpfs none /proc && shift && exec "$@""#;
    let outcome = victim("thread").through(&["unshare", "-m"], script).run();
    warns_once(&outcome, &["cannot read /proc"]);
    let event = outcome.event();
    assert_eq!(event.message(), "a worker is no more");
    assert_eq!(event.thread()["name"], "worker");
}

#[test]
fn a_disk_without_room_for_the_region() {
    if !can_mount() {
        return;
    }
    let script =
        r#"mkdir -p "$1" && mount -t tmpfs -o mode=0700,size=256k none "$1" && shift && exec "$@""#;
    let outcome = victim("thread").through(&["unshare", "-m"], script).run();
    warns_once(&outcome, &["cannot use ", "No space left on device", "instead"]);
    assert_eq!(events_in(&outcome.home().join(".local/state/lastwords")).len(), 1);
}

#[test]
fn a_disk_without_room_for_the_report() {
    if !can_mount() {
        return;
    }
    let script =
        r#"mkdir -p "$1" && mount -t tmpfs -o mode=0700,size=4m none "$1" && shift && exec "$@""#;
    let outcome = victim("fill-disk").through(&["unshare", "-m"], script).run();
    warns_once(&outcome, &["No space left on device", "a report is kept in"]);
}

#[test]
fn a_closed_stderr() {
    let script = r#"shift; exec "$@" 2>&-"#;
    let outcome = victim("thread").through(&[], script).run();
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "died: true\nmain returns\n");
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.event().message(), "a worker is no more");
}

#[test]
fn a_stderr_that_nobody_reads_and_a_warning_for_it() {
    // `false` ends at once; what is written to the pipe after that fails.
    let script = r#"shift; { "$@" 2>&3; echo "status $?"; } 3>&1 >&2 | false"#;
    let run = victim("thread").through(&[], script);
    let outcome = run.variable("LASTWORDS_RING_SIZE", "banana").run();
    assert!(outcome.stderr.ends_with("main returns\nstatus 0\n"), "the program ran to its end");
    assert_eq!(outcome.event().message(), "a worker is no more");
}

#[test]
fn directories_and_files_are_private() {
    let mut running = victim("wait").start();
    running.wait_for_line("ready");
    let state = running.state();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("regions")), 0o700);
    assert_eq!(mode(&state.join("waiting")), 0o700);
    assert_eq!(mode(&state.join("sent")), 0o700);
    let regions = regions_in(&state);
    assert_eq!(regions.len(), 1);
    assert_eq!(mode(&regions[0]), 0o600);
    let outcome = running.finish();
    outcome.exits_with(0);
    outcome.leaves_no_region();
}

#[test]
fn reports_are_private() {
    let outcome = victim("thread").run();
    let waiting = outcome.state().join("waiting").read_dir().expect("a folder");
    let modes: Vec<_> =
        waiting.map(|entry| entry.unwrap().metadata().unwrap().mode() & 0o7777).collect();
    assert_eq!(modes, [0o600]);
}

#[test]
fn a_killed_process_leaves_its_breadcrumbs() {
    let mut running = victim("wait").start();
    running.wait_for_line("ready");
    let outcome = running.kill();
    outcome.dies_by(SIGKILL);
    assert_eq!(outcome.events().len(), 0);
    let region = outcome.region();
    assert!(!region.ended_cleanly);
    assert_eq!(region.identity.pid, outcome.pid);
    assert_eq!(region.identity.release.as_deref(), Some("victim@1.2.3"));
    assert_eq!(region.tags, [("cid".to_owned(), "c-1".to_owned())]);
    let messages: Vec<_> = region.breadcrumbs.iter().map(|crumb| &crumb.message).collect();
    assert_eq!(messages, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    for (number, crumb) in region.breadcrumbs.iter().enumerate() {
        assert_eq!(crumb.fields["number"], json!(number));
        assert_eq!(crumb.spans.len(), 1);
        assert_eq!(crumb.spans[0].name, "loop");
        assert_eq!(crumb.thread.name.as_deref(), Some("main"));
    }
    let newest = Snapshot::read_file(&outcome.regions()[0], Select::newest(2)).expect("a region");
    assert_eq!(newest.breadcrumbs[0].message, "line 3");
}

#[test]
fn a_second_install_is_refused_and_the_first_goes_on() {
    let outcome = victim("second-install").run();
    outcome.exits_with(0);
    assert_eq!(outcome.stdout, "AlreadyInstalled\nmain returns\n");
    assert_eq!(outcome.warnings(), [""; 0]);
    assert_eq!(outcome.event().message(), "after a second install");
}

#[test]
fn bad_literals_are_refused() {
    let outcome = victim("bad-literals").run();
    outcome.exits_with(0);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("dsn set in code: "), "{lines:?}");
    assert!(lines[1].starts_with("filter set in code: \"=\""), "{lines:?}");
    assert!(lines[2].starts_with("breadcrumbs set in code: \"100000\""), "{lines:?}");
}

#[test]
fn a_bad_variable_costs_a_warning() {
    let outcome = victim("thread").variable("LASTWORDS_RING_SIZE", "banana").run();
    warns_once(&outcome, &["LASTWORDS_RING_SIZE", "\"banana\"", "using 1MiB"]);
    assert_eq!(outcome.event().message(), "a worker is no more");
}
