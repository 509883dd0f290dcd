//! Who sweeps when it starts: the same program its own, `lastwords run` all, another program none.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::json;

use super::corpse::{Corpse, Grave, LASTWORDS, NOBODY, marked, wait_for_mark, word};
use crate::common::{Event, Profile, events_in, regions_in};

/// Runs the program, or a copy of it, to a clean end over a state directory.
fn start(program: &Path, grave: &Grave, variables: &[(&str, &str)]) {
    let marks = grave.state().with_file_name("marks");
    let mut command = Command::new(program);
    command.arg("hook").arg(marks).arg("quiet").env_clear();
    command.env("LASTWORDS_STATE_DIR", grave.state()).envs(variables.iter().copied());
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_next_start_of_the_program_reports_it_and_that_of_another_does_not() {
    let program = Profile::Dev.program("marked");
    let grave = Grave::new();
    let path = grave.lay(Corpse::new());
    let other = grave.state().with_file_name("other");
    // Not by this process: one that it forks meanwhile would hold the copy open for writing.
    let copied = Command::new("cp").args([&program, &other]).status();
    assert!(copied.expect("cp can be run").success());
    start(&other, &grave, &[]);
    assert!(path.exists() && grave.events().is_empty());
    start(&program, &grave, &[]);
    assert_eq!(grave.types(), ["SIGKILL"]);
    grave.is_empty();
}

#[test]
fn run_reports_all_at_its_start() {
    let grave = Grave::new();
    grave.lay(Corpse::numbered(1).with("executable", json!("/opt/one")));
    grave.lay(Corpse::numbered(2).with("executable", json!("/opt/two")));
    let mut command = Command::new(LASTWORDS);
    command.args(["run", "--", "sleep", "0.1"]).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LASTWORDS_STATE_DIR", grave.state());
    assert!(command.status().expect("it can be run").success());
    assert_eq!(grave.types(), ["SIGKILL", "SIGKILL"]);
    grave.is_empty();
}

#[test]
fn what_must_pass_the_programs_own_function_waits_for_its_start() {
    let program = Profile::Dev.program("marked");
    let grave = Grave::new();
    let path = grave.lay(Corpse::new().with("has_before_send", json!(true)));
    let told = grave.sweep();
    assert_eq!(told[0]["outcome"], "waits-for-program");
    assert!(told[0]["words"].as_str().unwrap().contains(program.to_str().unwrap()));
    assert!(path.exists() && grave.events().is_empty());
    start(&program, &grave, &[("MARKED_BEFORE_SEND", "1")]);
    let events = grave.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0["tags"]["passed"], "its own function");
    grave.is_empty();
}

#[test]
fn a_start_reports_the_oldest_of_many_whosever_they_are_and_not_by_its_own_function() {
    let program = Profile::Dev.program("marked");
    let grave = Grave::new();
    for number in 1..=20 {
        let corpse = Corpse::numbered(number).with("executable", json!("/opt/other"));
        let path = grave.lay(corpse);
        super::corpse::age(&path, 1000 - number as u64);
    }
    start(&program, &grave, &[("MARKED_BEFORE_SEND", "1")]);
    assert_eq!(regions_in(&grave.state()).len(), 16);
    let events = grave.events();
    let mut ids: Vec<_> = events.iter().map(id).collect();
    ids.sort();
    assert_eq!(ids, (1..=4).map(|number| format!("{number:032x}")).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.0["tags"].get("passed").is_none()));
}

fn id(event: &Event) -> String {
    event.0["event_id"].as_str().expect("an id").replace('-', "")
}

#[test]
fn of_a_death_that_nobody_saw_the_time_is_that_of_the_last_sign() {
    let begun = SystemTime::now();
    let (run, marks) = marked("hook", "waits");
    let running = run.start();
    wait_for_mark(&marks, "waits");
    let outcome = running.kill();
    let state = outcome.state();
    super::corpse::told(&mut super::corpse::sweeper(&state));
    let swept = SystemTime::now();
    let events = events_in(&state);
    let death = events.iter().find(|it| it.exceptions()[0]["type"] == "SIGKILL").expect("it");
    let time = death.0["timestamp"].as_f64().expect("a time");
    let last = death.breadcrumbs().last().expect("a line")["timestamp"].as_f64().expect("a time");
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()
    };
    assert!((last..=seconds(swept)).contains(&time) && time >= seconds(begun), "{last} {time}");
}

#[test]
fn a_program_that_dies_right_after_its_start_again_and_again_is_reported_each_time() {
    const DEATHS: usize = 60;
    let program = Profile::Dev.program("marked");
    let grave = Grave::new();
    let marks = grave.state().with_file_name("marks");
    for _ in 0..DEATHS {
        let mut command = Command::new(&program);
        command.arg("hook").arg(&marks).arg("dies").env_clear();
        command.env("LASTWORDS_STATE_DIR", grave.state());
        let status = command.status().expect("it can be run");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(libc::SIGSEGV));
    }
    grave.sweep();
    grave.is_empty();
    let types = grave.types();
    assert_eq!(types.len(), DEATHS);
    assert!(types.iter().all(|ty| ty == "SIGSEGV"), "{types:?}");
}

#[test]
fn more_than_start_between_two_sweeps_are_kept_until_they_are_reported() {
    let grave = Grave::new();
    for number in 1..=40 {
        grave.put(NOBODY, &Corpse::numbered(number).bytes());
    }
    // A start of another program makes a region, and may not make room for it among these.
    start(&Profile::Dev.program("marked"), &grave, &[]);
    grave.sweep();
    assert_eq!(grave.events().len(), 40);
    grave.is_empty();
}

#[test]
fn a_monitor_that_was_killed_before_its_child_recorded_leaves_no_second_death() {
    let program = Profile::Dev.program("marked");
    let grave = Grave::new();
    let region = grave.state().join(format!("regions/{NOBODY}-{:032x}.region", 1));
    let mut command = Command::new("sh");
    let script = "read go; exec \"$0\" hook \"$1\" quiet";
    command.args(["-c", script]).arg(&program).arg(grave.state().with_file_name("marks"));
    // The parent that made the region is PID 1 here: this test is not.
    command.env("LASTWORDS_REGION", &region).env("LASTWORDS_MONITOR", "1");
    command.env("LASTWORDS_STATE_DIR", grave.state()).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sh can be run");
    let orphan = Corpse::numbered(1).with("pid", json!(0));
    let orphan = orphan.set_word(word::CHILD, child.id().into());
    std::fs::write(&region, orphan.bytes()).expect("a file");
    child.stdin.take().expect("piped").write_all(b"go\n").expect("it reads");
    assert!(child.wait().expect("a child").success());
    let told = grave.sweep();
    assert!(told.iter().all(|one| one["outcome"] == "ended-well"), "{told:?}");
    assert_eq!(grave.events().len(), 0);
    grave.is_empty();
}
