//! What the tests of delivery share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use lastwords::deliver::{Spool, State};
use lastwords::report::Envelope;
use serde_json::Value;

use super::common::{Event, Outcome, Profile, Run, Running};
use super::faulty::{Faulty, Received};

pub const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// The words that put a command under a monitor.
pub const UNDER: [&str; 3] = [LASTWORDS, "run", "--"];

/// What takes longer never comes.
const HANGS: Duration = Duration::from_secs(30);

/// A run of `victim` that reports to `server`.
pub fn victim(scenario: &str, server: &Faulty) -> Run {
    sending(Run::victim(Profile::Dev, scenario), server)
}

/// A shell script under a monitor that reports to `server`.
pub fn shell(script: &str, server: &Faulty) -> Run {
    let words = [LASTWORDS, "run", "--", "sh", "-c", script, "sh"];
    sending(Run::of(Profile::Dev, "victim").under(&words), server)
}

pub fn sending(run: Run, server: &Faulty) -> Run {
    run.variable("LASTWORDS_DSN", server.dsn().to_string())
}

/// Another run over the spool of an earlier one.
pub fn over(run: Run, earlier: &Outcome) -> Run {
    run.variable("LASTWORDS_STATE_DIR", earlier.state())
}

/// Runs the command over a spool.
pub fn lastwords(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(LASTWORDS);
    command.args(arguments).env_clear().env("LASTWORDS_STATE_DIR", state);
    command.output().expect("it can be run")
}

/// As [`lastwords`], and it must succeed; what it printed.
#[track_caller]
pub fn lastwords_says(state: &Path, arguments: &[&str]) -> String {
    let output = lastwords(state, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The reports of a spool, the newest first.
pub fn reports(state: &Path) -> Vec<(String, State)> {
    let spool = Spool::open_existing(state).expect("a spool, or none");
    let entries = spool.list().expect("a spool");
    entries.iter().map(|entry| (entry.id.simple().to_string(), entry.state)).collect()
}

/// The one report of a spool, which is in this state.
#[track_caller]
pub fn the_report(state: &Path, expected: State) -> String {
    let reports = reports(state);
    let [(id, found)] = &reports[..] else { panic!("one report: {reports:?}") };
    assert_eq!(*found, expected, "{id}");
    id.clone()
}

/// Every report of a spool is in this state; how many there are.
#[track_caller]
pub fn all_are(state: &Path, expected: State) -> usize {
    let reports = reports(state);
    assert!(reports.iter().all(|(_, found)| *found == expected), "{reports:?}");
    reports.len()
}

/// Where a report's file is.
pub fn file_of(state: &Path, folder: State, id: &str) -> PathBuf {
    state.join(folder.name()).join(format!("{id}.envelope"))
}

/// Makes what waits as old as what a process of yesterday has left.
pub fn make_old(state: &Path) {
    for (id, _) in reports(state).iter().filter(|(_, found)| *found == State::Waiting) {
        let file = File::options().write(true).open(file_of(state, State::Waiting, id));
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        file.and_then(|file| file.set_modified(long_ago)).expect("it is ours");
    }
}

/// Forgets what is known of servers.
pub fn forget_servers(state: &Path) {
    fs::remove_file(state.join("delivery.json")).expect("something was known");
}

/// The event of a request.
pub fn event_of(received: &Received) -> Event {
    let envelope = Envelope::parse(&received.body).expect("an envelope");
    let event = envelope.event().expect("an event");
    assert_eq!(event["event_id"].as_str(), received.event_id.as_deref());
    Event(Value::Object(event))
}

/// The one request that there was, which was accepted.
#[track_caller]
pub fn only(server: &Faulty) -> Received {
    let accepted = server.accepted();
    assert_eq!((accepted.len(), server.requests()), (1, 1));
    accepted.into_iter().next().expect("counted")
}

/// Name and bytes of an envelope's items of a type.
pub fn items(received: &Received, ty: &str) -> Vec<(String, Vec<u8>)> {
    let envelope = Envelope::parse(&received.body).expect("an envelope");
    let items = envelope.items.iter().filter(|item| item.ty() == ty);
    let name = |item: &lastwords::report::Item| item.filename().unwrap_or_default().to_owned();
    items.map(|item| (name(item), item.payload().to_vec())).collect()
}

/// What the server was told of what it never got: reasons, categories and quantities.
pub fn told(received: &Received) -> Vec<(String, String, u64)> {
    let reports = items(received, "client_report").into_iter();
    let reports = reports.map(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).expect("JSON"));
    let counts = reports.flat_map(|it| it["discarded_events"].as_array().expect("a list").clone());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let count = |it: Value| {
        (text(&it["reason"]), text(&it["category"]), it["quantity"].as_u64().expect("a number"))
    };
    counts.map(count).collect()
}

/// Waits until `condition` holds while a program runs.
#[track_caller]
pub fn wait_until(running: &mut Running, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANGS, "it never comes\n{running:?}");
        assert!(!running.has_ended(), "it has ended\n{running:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
