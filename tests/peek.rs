//! `lastwords peek` at real programs: recording themselves, watched, stopped, stuck, dead, somebody else's.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Profile, Run, Running, by_default, is_root, skipped};
use serde_json::Value;

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// What takes longer never comes.
const HANGS: Duration = Duration::from_secs(30);

fn peeked() -> Run {
    Run::of(Profile::Dev, "peeked")
}

/// Starts it and waits until it records; its own process id.
fn start(run: Run) -> (Running, String) {
    let mut running = run.start();
    let pid = running.wait_for_line_with("pid ");
    (running, pid["pid ".len()..].to_owned())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(LASTWORDS);
    command.arg("peek").args(arguments).env_clear();
    // Nothing of ours is to be found by the environment.
    command.env("HOME", "/nonexistent");
    by_default(&mut command);
    command
}

fn peek(arguments: &[&str]) -> Output {
    command(arguments).output().expect("it can be run")
}

/// What it prints, with success.
#[track_caller]
fn says(arguments: &[&str]) -> String {
    let output = peek(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Why it refuses.
#[track_caller]
fn refuses(arguments: &[&str]) -> String {
    why(&peek(arguments))
}

#[track_caller]
fn why(output: &Output) -> String {
    why_with(1, output)
}

#[track_caller]
fn why_with(code: i32, output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn messages(json: &str) -> Vec<String> {
    let values = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values.map(|crumb| crumb["message"].as_str().expect("a message").to_owned()).collect()
}

#[test]
fn a_program_that_records_itself_is_found_wherever_its_directory_is() {
    let (mut running, pid) = start(peeked());
    running.tell("log a second line");
    running.wait_for_line("done");
    let text = says(&[&pid]);
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    assert!(header.starts_with(&format!("peeked (pid {pid}), up ")), "{header}");
    assert!(header.contains("release peeked@1.2.3"), "{header}");
    assert_eq!(lines.next(), Some("2 breadcrumbs"));
    assert!(text.contains("WARN") && text.contains("a second line"), "{text}");
    assert!(text.contains("password=[Filtered]") && text.contains("color=[Filtered]"), "{text}");
    let text = says(&[&pid, "--unscrubbed"]);
    assert!(text.contains("password=s3cr3t") && text.contains("color=blue"), "{text}");
    assert_eq!(messages(&says(&[&pid, "--json"])), ["it begins", "a second line"]);
    assert_eq!(messages(&says(&[&pid, "--json", "--breadcrumbs", "1"])), ["a second line"]);
    assert!(says(&[&pid, "--breadcrumbs", "1"]).contains("the last 1 of 2 breadcrumbs"));
    // It was not disturbed.
    running.tell("log still here");
    running.finish().exits_with(0);
}

#[test]
fn a_region_that_was_removed_is_found() {
    let (running, pid) = start(peeked());
    std::fs::remove_dir_all(running.state().join("regions")).expect("ours");
    assert_eq!(messages(&says(&[&pid, "--json"])), ["it begins"]);
    running.finish().exits_with(0);
}

#[test]
fn under_a_monitor_both_ids_lead_to_the_program() {
    let (running, child) = start(peeked().under(&[LASTWORDS, "run", "--"]));
    let monitor = running.pid().to_string();
    assert_ne!(child, monitor);
    for pid in [&child, &monitor] {
        let text = says(&[pid]);
        assert!(text.starts_with(&format!("peeked (pid {child})")), "{text}");
        assert_eq!(messages(&says(&[pid, "--json"])), ["it begins"]);
    }
    running.finish().exits_with(0);
}

#[test]
fn a_program_without_the_library_is_known_by_its_lines() {
    let script = "echo one >&2; echo token=s3cr3t-0123456789 >&2; echo pid $$; read line";
    let words = [LASTWORDS, "run", "--", "sh", "-c", script];
    let (running, child) = start(peeked().under(&words));
    let monitor = running.pid().to_string();
    for pid in [&child, &monitor] {
        let begun = Instant::now();
        // Its lines pass through a pipe.
        let json = loop {
            let json = says(&[pid, "--json"]);
            if json.lines().count() >= 2 {
                break json;
            }
            assert!(begun.elapsed() < HANGS, "{json}");
        };
        assert_eq!(messages(&json)[0], "one");
        assert!(!json.contains("s3cr3t"), "{json}");
        // The name of the program that `sh` is here.
        let text = says(&[pid]);
        let header = text.lines().next().expect("a header");
        assert!(header.contains(&format!("sh (pid {child}), up ")), "{text}");
    }
    running.finish();
}

#[test]
fn a_stopped_process_and_one_that_holds_its_locks_can_be_read() {
    let (mut running, pid) = start(peeked());
    running.tell("hold");
    running.wait_for_line("held");
    let begun = Instant::now();
    while messages(&says(&[&pid, "--json"])).last().map(String::as_str) != Some("hangs here") {
        assert!(begun.elapsed() < HANGS, "{running:?}");
    }
    let process = rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("not 0");
    rustix::process::kill_process(process, rustix::process::Signal::STOP).expect("ours");
    let text = says(&[&pid]);
    assert!(text.contains("hangs here") && text.contains("stuck"), "{text}");
    running.kill();
}

#[test]
fn what_cannot_be_peeked_at_is_refused_with_the_reason() {
    for given in ["x", "-1", "0", "1.5", "4294967296", ""] {
        let said = why_with(2, &peek(&["--", given]));
        assert!(said.contains(&format!("'{given}' is no process id")), "{said}");
    }
    let said = refuses(&["4194304"]);
    assert!(said.contains("there is no process 4194304"), "{said}");

    let this = std::process::id().to_string();
    let state = tempfile::tempdir().expect("a directory");
    let directory = state.path().to_str().expect("text");
    let said = refuses(&[&this, "--state-dir", directory]);
    assert!(said.contains("has no region") && said.contains(directory), "{said}");

    let mut zombie = Command::new("true").spawn().expect("it can be run");
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    let process = rustix::process::Pid::from_child(&zombie);
    rustix::process::waitid(rustix::process::WaitId::Pid(process), options).expect("a child");
    let said = refuses(&[&zombie.id().to_string()]);
    assert!(said.contains("it is a zombie"), "{said}");
    zombie.wait().expect("a child");
}

#[test]
fn a_dead_process_is_left_to_the_sweep() {
    let (running, pid) = start(peeked());
    let state = running.state();
    let outcome = running.kill();
    let directory = state.to_str().expect("text");
    let said = refuses(&[&pid, "--state-dir", directory]);
    assert!(said.contains(&format!("process {pid} has ended")), "{said}");
    assert!(said.contains("lastwords sweep") && said.contains(directory), "{said}");
    drop(outcome);
}

#[test]
fn only_the_same_user_and_root_may_look() {
    if !is_root() {
        return skipped("only root can be somebody else");
    }
    let (running, pid) = start(peeked().user(12345));
    assert_eq!(messages(&says(&[&pid, "--json"])), ["it begins"], "root may");
    let copy = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a directory");
    let program = copy.path().join("lastwords");
    assert!(Command::new("cp").arg(LASTWORDS).arg(&program).status().expect("cp").success());
    let peek_as = |user: u32| {
        let mut command = Command::new(&program);
        command.arg("peek").arg(&pid).arg("--json").env_clear().uid(user).gid(user);
        command.output().expect("it can be run")
    };
    let said = why(&peek_as(12346));
    assert!(said.contains("belongs to user 12345, and you are user 12346"), "{said}");
    let own = peek_as(12345);
    assert_eq!(messages(&String::from_utf8_lossy(&own.stdout)), ["it begins"], "{own:?}");
    running.finish().exits_with(0);
}

/// Follows a process; it is killed if the test gives up.
struct Following(Option<Child>);

impl Following {
    fn start(pid: &str, more: &[&str]) -> Following {
        let mut command = command(&[&[pid, "--follow"], more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Following(Some(command.spawn().expect("it can be run")))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("not finished")
    }

    #[track_caller]
    fn finish(mut self) -> (String, String) {
        let output = self.0.take().expect("once").wait_with_output().expect("a child");
        assert!(output.status.success(), "{output:?}");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (text(output.stdout), text(output.stderr))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The counts of what was missed.
fn missed(stderr: &str) -> u64 {
    let counts = stderr.lines().filter(|line| line.contains("missed"));
    let count = |line: &str| {
        let words = line.trim_start_matches("lastwords: ").split(' ').next().expect("a word");
        words.replace(',', "").parse::<u64>().expect("a number")
    };
    counts.map(count).sum()
}

/// The numbers of the events of bursts, in the order printed.
fn numbers(json: &str) -> Vec<u64> {
    let values = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values.filter_map(|crumb| crumb["data"]["number"].as_u64()).collect()
}

/// Waits until what it follows was read once.
fn wait_for_first_line(following: &mut Following) -> std::io::BufReader<std::process::ChildStdout> {
    use std::io::BufRead as _;
    let mut stdout = std::io::BufReader::new(following.child().stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(line.contains("it begins"), "{line}");
    stdout
}

/// What it prints until it ends.
fn rest(mut stdout: std::io::BufReader<std::process::ChildStdout>) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut text).expect("text");
    text
}

#[test]
fn every_breadcrumb_is_followed_once_and_in_order_to_the_end() {
    for under in [&[][..], &[LASTWORDS, "run", "--"]] {
        let (mut running, pid) = start(peeked().under(under));
        let mut following = Following::start(&pid, &["--json", "--breadcrumbs", "all"]);
        let stdout = wait_for_first_line(&mut following);
        for from in (0..1000).step_by(100) {
            running.tell(&format!("burst {from} {}", from + 100));
        }
        // A clean end removes the region at once.
        running.finish().exits_with(0);
        let text = rest(stdout);
        let (_, stderr) = following.finish();
        assert_eq!(numbers(&text), (0..1000).collect::<Vec<_>>(), "{stderr}");
        assert!(stderr.contains(&format!("process {pid} has ended")), "{stderr}");
        assert_eq!(missed(&stderr), 0, "{stderr}");
    }
}

#[test]
fn what_a_burst_overwrites_is_counted() {
    const EACH: u64 = 100_000;
    let run = peeked().variable("LASTWORDS_RING_SIZE", "256KiB");
    let (mut running, pid) = start(run);
    let mut following = Following::start(&pid, &["--json", "--breadcrumbs", "all"]);
    let stdout = wait_for_first_line(&mut following);
    running.tell(&format!("threads 4 {EACH}"));
    running.finish().exits_with(0);
    let text = rest(stdout);
    let (_, stderr) = following.finish();
    let numbers = numbers(&text);
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "one was shown twice");
    for thread in 0..4 {
        let own = numbers.iter().filter(|number| **number / EACH == thread);
        assert!(own.is_sorted(), "thread {thread} is out of order");
    }
    let missed = missed(&stderr);
    assert!(missed > 0, "so many fit into the ring? {stderr}");
    assert_eq!(numbers.len() as u64 + missed, 4 * EACH, "{stderr}");
}

#[test]
fn lines_of_standard_error_are_followed_too() {
    let script = "echo it begins >&2; echo pid $$; read line; i=0; while [ $i -lt 300 ]; do \
                  echo line $i >&2; i=$((i + 1)); done; printf 'no newline' >&2";
    let words = [LASTWORDS, "run", "--", "sh", "-c", script];
    let (running, child) = start(peeked().under(&words));
    let mut following = Following::start(&child, &["--json", "--breadcrumbs", "all"]);
    let stdout = wait_for_first_line(&mut following);
    running.finish().exits_with(0);
    let messages = messages(&rest(stdout));
    let (_, stderr) = following.finish();
    let mut expected: Vec<_> = (0..300).map(|number| format!("line {number}")).collect();
    expected.push("no newline".to_owned());
    assert_eq!(messages, expected, "{stderr}");
}

#[test]
fn following_ends_with_an_interrupt_and_with_its_reader() {
    let (mut running, pid) = start(peeked());
    let mut interrupted = Following::start(&pid, &[]);
    let stdout = interrupted.child().stdout.take().expect("piped");
    let mut stdout = std::io::BufReader::new(stdout);
    let mut line = String::new();
    while !line.contains("it begins") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line") > 0);
    }
    let process = rustix::process::Pid::from_child(interrupted.child());
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("ours");
    assert!(rest(stdout).contains(&format!("process {pid} goes on")));
    interrupted.finish();

    // A reader that goes away is noticed although nothing is to be printed.
    let mut unread = Following::start(&pid, &["--json"]);
    drop(wait_for_first_line(&mut unread));
    let (_, stderr) = unread.finish();
    assert_eq!(missed(&stderr), 0);
    running.tell("log still here");
    running.finish().exits_with(0);
}
