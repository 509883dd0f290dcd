//! Programs that die under monitors, and monitors that are killed, over one spool: one event for each
//! death, whoever came to send it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lastwords::deliver::{Spool, State};
use lastwords::report::Envelope;
use serde_json::Value;

use super::common::{Profile, processes};
use super::faulty::{Faulty, Received, Reply, mixed};
use super::{ids, last_drains};

/// How many programs die.
const DEATHS: u64 = 120;

/// How many at once.
const PROCESSES: usize = 4;

/// The longest that a monitor lives which is killed.
const LONGEST_LIFE: u64 = 300;

/// A program that dies, every third time one that records itself. Its event can be told by a tag.
fn start(number: u64, state: &Path, dsn: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastwords"));
    command.args(["run", "--"]);
    match number % 3 {
        0 => command.arg(Profile::Dev.program("victim")).arg("main"),
        1 => command.args(["sh", "-c", "echo ready >&2; kill -SEGV $$"]),
        _ => command.args(["sh", "-c", "printf 'panic: boom\\n\\ngoroutine 1 [running]:\\nmain.f()\\n\\t/srv/main.go:3 +0x1d\\n' >&2; exit 2"]),
    };
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LASTWORDS_STATE_DIR", state).env("LASTWORDS_DSN", dsn);
    command.env("LASTWORDS_TAGS", format!("death={number}")).env("LASTWORDS_RATE_LIMIT", "0");
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run")
}

/// Whether its monitor came to its own end.
fn dies(number: u64, state: &Path, dsn: &str) -> bool {
    let mut monitor = start(number, state, dsn);
    if mixed(number).is_multiple_of(2) {
        thread::sleep(Duration::from_millis(mixed(number + 1) % LONGEST_LIFE));
        monitor.kill().expect("it is ours");
    }
    let status = monitor.wait().expect("it is ours");
    // Else only a person would let servers be tried again within the next seconds.
    let _ = std::fs::remove_file(state.join("delivery.json"));
    status.code().is_some()
}

fn tag(received: &Received) -> (u64, Value) {
    let envelope = Envelope::parse(&received.body).expect("an envelope");
    let event = envelope.event().expect("an event");
    assert_eq!(event["event_id"].as_str(), received.event_id.as_deref());
    let number = event["tags"]["death"].as_str().expect("a tag").parse().expect("a number");
    (number, event["exception"]["values"][0]["type"].clone())
}

#[test]
fn every_death_is_one_event_whoever_is_killed() {
    let healthy = Arc::new(AtomicBool::new(false));
    let server = Faulty::start({
        let healthy = Arc::clone(&healthy);
        move |number| {
            let replies = Reply::mixed();
            let is_well = healthy.load(Ordering::SeqCst);
            let random = mixed(number as u64) as usize % replies.len();
            if is_well { Reply::Ok200 } else { replies[random].clone() }
        }
    });
    let directory = tempfile::tempdir().expect("a directory");
    let (state, dsn) = (directory.path(), server.dsn().to_string());
    let well = std::thread::scope(|scope| {
        let share = |first: usize| {
            let (state, dsn) = (state, &dsn);
            scope.spawn(move || {
                let numbers = (first as u64..DEATHS).step_by(PROCESSES);
                numbers.filter(|number| dies(*number, state, dsn)).collect::<Vec<_>>()
            })
        };
        let shares: Vec<_> = (0..PROCESSES).map(share).collect();
        shares.into_iter().flat_map(|share| share.join().expect("no panic")).collect::<Vec<_>>()
    });
    // What the killed have left behind still dies.
    processes::wait_until_ended(state);

    healthy.store(true, Ordering::SeqCst);
    let in_storm = server.accepted().len();
    let spool = Spool::open(state, u64::MAX).expect("a spool");
    last_drains(&spool);
    assert_eq!(ids(&spool, State::Waiting).len(), 0);

    let mut by_death = BTreeMap::<u64, BTreeMap<String, Value>>::new();
    for received in server.accepted() {
        let ((number, ty), id) = (tag(&received), received.event_id.expect("an id"));
        by_death.entry(number).or_default().insert(id, ty);
    }
    println!(
        "{DEATHS} deaths, {} monitors came to their end, {} events, {in_storm} accepted in the storm",
        well.len(),
        by_death.len(),
    );
    for number in &well {
        assert!(by_death.contains_key(number), "death {number} has no event");
    }
    for (number, events) in &by_death {
        assert_eq!(events.len(), 1, "death {number}: {events:?}");
        let expected = if number % 3 == 1 { "SIGSEGV" } else { "panic" };
        // Of a death that its monitor did not live to see a sweep knows no more than that.
        let unseen = |ty: &Value| ty == "SIGKILL" && !well.contains(number);
        let right = events.values().all(|ty| ty == expected || unseen(ty));
        assert!(right, "death {number}: {events:?}");
    }
    assert_eq!(ids(&spool, State::Sent).len(), by_death.len());
}
