//! The switch: off, nothing leaves this machine, and nobody even tries.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lastwords::deliver::{Spool, State};
use lastwords::report::Envelope;
use lastwords::sentry::types::Uuid;

use super::common::{Outcome, Profile, Run, skipped};
use super::faulty::{Faulty, Reply};
use super::support::{
    LASTWORDS, UNDER, all_are, forget_servers, lastwords, lastwords_says, make_old, over, reports,
    victim, wait_until,
};

/// A way to run a program that is not to send anything.
type Way = (&'static str, fn(Run) -> Run);

const OFF: [Way; 8] = [
    ("by the environment", |run| run.variable("LASTWORDS_ENABLE_SENTRY", "false")),
    ("misspelt", |run| run.variable("LASTWORDS_ENABLE_SENTRY", "flase")),
    ("by the code", |run| run.variable("SENDS_NOTHING", "1")),
    ("under a monitor, by the environment", |run| {
        run.variable("LASTWORDS_ENABLE_SENTRY", "0").under(&UNDER)
    }),
    ("under a monitor, plain", |run| {
        run.variable("LASTWORDS_ENABLE_SENTRY", "off").plain().under(&UNDER)
    }),
    ("under a monitor, misspelt", |run| {
        run.variable("LASTWORDS_ENABLE_SENTRY", "nein").under(&UNDER)
    }),
    ("under a monitor, by a flag", |run| {
        run.under(&[LASTWORDS, "run", "--enable-sentry=false", "--"])
    }),
    ("under a monitor, by a flag that has the last word", |run| {
        let run = run.variable("LASTWORDS_ENABLE_SENTRY", "true");
        run.under(&[LASTWORDS, "run", "--enable-sentry=no", "--"])
    }),
];

/// The report is here, and says that it stays.
#[track_caller]
fn is_local(outcome: &Outcome, way: &str) -> Uuid {
    let spool = Spool::open_existing(&outcome.state()).expect("a spool");
    let entries = spool.list().expect("a spool");
    let [entry] = &entries[..] else { panic!("{way}: {entries:?}") };
    assert_eq!(entry.state, State::Waiting, "{way}");
    let envelope = Envelope::parse(&spool.read(entry.id).expect("a report")).expect("whole");
    assert!(envelope.is_local(), "{way}");
    entry.id
}

#[test]
fn switched_off_nothing_connects_and_the_report_stays() {
    for (way, off) in OFF {
        let server = Faulty::always(Reply::Ok200);
        let outcome = off(victim("main", &server)).run();
        outcome.exits_with(101);
        let warnings = outcome.warnings().len();
        assert_eq!(warnings > 0, way.contains("misspelt"), "{way}: {}", outcome.stderr);
        let id = is_local(&outcome, way).simple().to_string();

        // Nobody sends it who is on, and nobody who sends all.
        make_old(&outcome.state());
        let mut running = over(victim("thread-then-wait", &server), &outcome).start();
        running.wait_for_line("ready");
        let sent = |(_, state): &(String, State)| *state == State::Sent;
        wait_until(&mut running, || {
            reports(&outcome.state()).iter().filter(|it| sent(it)).count() == 1
        });
        running.finish().exits_with(0);
        forget_servers_if_any(&outcome);
        let said = lastwords_says(&outcome.state(), &["send"]);
        assert!(said.contains("it was recorded with sending switched off"), "{way}: {said}");
        assert_eq!(server.requests(), 1, "{way}");
        assert!(!server.accepted_ids().contains(&id), "{way}");

        // Who names it means it, and says where to.
        let nowhere = lastwords(&outcome.state(), &["send", &id]);
        assert!(String::from_utf8_lossy(&nowhere.stdout).contains("no DSN"), "{nowhere:?}");
        let dsn = server.dsn().to_string();
        lastwords_says(&outcome.state(), &["send", &id[..8], "--dsn", &dsn]);
        assert_eq!(server.accepted_ids().last(), Some(&id), "{way}");
        assert_eq!(server.requests(), 2, "{way}");
        assert_eq!(all_are(&outcome.state(), State::Sent), 2, "{way}");
    }
}

fn forget_servers_if_any(outcome: &Outcome) {
    if outcome.state().join("delivery.json").exists() {
        forget_servers(&outcome.state());
    }
}

#[test]
fn switched_off_the_command_sends_nothing() {
    let server = Faulty::always(Reply::DropBeforeRead);
    let outcome = victim("main", &server).run();
    let tried = server.requests();
    let mut command = Command::new(LASTWORDS);
    command.env_clear().env("LASTWORDS_STATE_DIR", outcome.state());
    command.env("LASTWORDS_ENABLE_SENTRY", "false").arg("send");
    let output = command.output().expect("it can be run");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("LASTWORDS_ENABLE_SENTRY"));
    assert_eq!(server.requests(), tried);
    assert!(lastwords(&outcome.state(), &["list"]).status.success());
}

#[test]
fn off_again_after_a_failure_keeps_what_waits_from_leaving() {
    let server = Faulty::always(Reply::DropBeforeRead);
    let outcome = victim("main", &server).run();
    let (tried, connected) = (server.requests(), server.connections());
    server.set(|_| Reply::Ok200);
    make_old(&outcome.state());
    forget_servers(&outcome.state());
    for (way, off) in OFF {
        off(over(victim("main", &server), &outcome)).run().exits_with(101);
        assert_eq!((server.requests(), server.connections()), (tried, connected), "{way}");
    }
    assert_eq!(all_are(&outcome.state(), State::Waiting), 1 + OFF.len());
}

/// The calls of a run, of all its processes and threads: those about the network, and the files that
/// are opened. `None` where nobody can watch.
fn calls(run: Run) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().expect("a directory");
    let trace: PathBuf = directory.path().join("trace");
    let watch = ["strace", "-f", "-e", "trace=network,open,openat", "-o"];
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        skipped("no strace here");
        return None;
    }
    let mut words: Vec<&str> = watch.to_vec();
    let path = trace.display().to_string();
    words.push(&path);
    let outcome = run.before_all(&words).run();
    outcome.exits_with(101);
    let text = fs::read_to_string(&trace).expect("a trace");
    Some(text.lines().map(str::to_owned).collect())
}

/// What a program does that looks for a server.
fn outward(calls: &[String]) -> Vec<&String> {
    let signs =
        ["AF_INET", "AF_NETLINK", "connect(", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch"];
    calls.iter().filter(|call| signs.iter().any(|sign| call.contains(sign))).collect()
}

#[test]
fn switched_off_no_socket_is_made_and_no_name_looked_up() {
    let server = Faulty::always(Reply::Ok200);
    let by_name = || {
        let run = Run::victim(Profile::Dev, "main");
        run.variable("LASTWORDS_DSN", server.dsn_at("localhost").to_string())
    };
    // A run that sends does all of it, so that this test can see it.
    for under in [&[][..], &UNDER] {
        let Some(calls) = calls(by_name().under(under)) else { return };
        let all = outward(&calls).iter().map(|call| call.as_str()).collect::<Vec<_>>().join("\n");
        for sign in ["socket(AF_INET", "connect(", "/etc/hosts", "/etc/resolv.conf"] {
            assert!(all.contains(sign), "{sign} in\n{all}");
        }
    }
    assert_eq!(server.accepted().len(), 2);
    for (way, off) in OFF {
        let Some(calls) = calls(off(by_name())) else { return };
        assert!(calls.len() > 10, "{way}: {calls:?}");
        assert_eq!(outward(&calls), [""; 0], "{way}");
        assert!(!calls.iter().any(|call| call.contains("socket(")), "{way}: {calls:?}");
    }
    assert_eq!(server.accepted().len(), 2);
}
