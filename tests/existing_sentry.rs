//! lastwords beside a `sentry` client that the program has: a panic is one event, and what the client
//! sends stays what it was.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
mod faulty;
mod scenes;

use std::collections::BTreeMap;
use std::process::Command;

use common::{Event, Outcome, Profile, Run, once};
use faulty::{Faulty, Reply};
use lastwords::deliver::Spool;
use lastwords::report::Envelope;
use serde_json::{Value, json};
use tempfile::TempDir;

const SIGABRT: i32 = 6;

const THEIR_DSN: &str = "http://theirs@127.0.0.1:9/7";

/// A run of the program, and what its client sent.
struct Beside {
    outcome: Outcome,
    theirs: Vec<Envelope>,
}

fn run(scenario: &str, variables: &[(&str, &str)]) -> Beside {
    let folder: TempDir = tempfile::tempdir().expect("a temporary directory");
    let mut run = Run::of(Profile::Dev, "beside_sentry").argument(scenario);
    run = run.variable("ENVELOPES", folder.path());
    // What is sent by lastwords is looked at in the spool, unless a test says more.
    run = run.variable("LASTWORDS_FLUSH", "0");
    for (name, value) in variables {
        run = run.variable(name, *value);
    }
    let outcome = run.run();
    let files = folder.path().read_dir().expect("the folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |file| Envelope::parse(&std::fs::read(file).expect("an envelope")).expect("whole");
    Beside { outcome, theirs: files.iter().map(read).collect() }
}

impl Beside {
    /// The events that the client sent.
    fn their_events(&self) -> Vec<Value> {
        let items = self.theirs.iter().flat_map(|envelope| &envelope.items);
        let events = items.filter(|item| item.ty() == "event");
        events.map(|item| serde_json::from_slice(item.payload()).expect("JSON")).collect()
    }

    /// Trace and span as the program printed them.
    fn trace(&self) -> [&str; 2] {
        let line = self.outcome.stdout.lines().find_map(|line| line.strip_prefix("trace: "));
        let (trace, span) = line.expect("a line").split_once(' ').expect("two words");
        [trace, span]
    }
}

#[track_caller]
fn has_their_scope(event: &Event, trace: [&str; 2]) {
    let event = &event.0;
    assert_eq!(event["user"], json!({"id": "ada"}));
    assert_eq!(event["transaction"], "GET /orders");
    assert_eq!(event["extra"]["shard"], 7);
    let tags = json!({"theirs": "kept", "role": "alpha", "cid": "eu-7"});
    assert_eq!(event["tags"], tags);
    let context = &event["contexts"]["trace"];
    assert_eq!([&context["trace_id"], &context["span_id"]], trace.map(|id| id));
    assert_eq!(event["release"], "ours@2.0.0");
}

// One panic, one event.

#[test]
fn a_panic_is_one_event_with_what_the_client_knows() {
    for order in [&[][..], &[("HOOK_FIRST", "1")]] {
        for (scenario, status) in [("thread", 0), ("caught", 0), ("task", 0), ("main", 101)] {
            let beside = run(scenario, order);
            beside.outcome.exits_with(status);
            assert!(once(&beside.outcome.stderr, "no space in shard 7"));
            assert_eq!(beside.their_events(), [] as [Value; 0], "{scenario} {order:?}");
            let event = beside.outcome.event();
            assert_eq!(event.message(), "no space in shard 7");
            assert_eq!(event.level(), if status == 0 { "error" } else { "fatal" });
            has_their_scope(&event, beside.trace());
            let lines = ["their own breadcrumb", "a line outside", "a line inside"];
            assert_eq!(event.breadcrumb_messages(), lines, "{scenario} {order:?}");
            let function = event.top_in_app()["function"].as_str().expect("a name");
            assert!(function.starts_with("beside_sentry::"), "{function}");
        }
    }
}

#[test]
fn without_the_clients_hook_a_panic_is_reported_too() {
    let beside = run("thread", &[("NO_HOOK", "1")]);
    assert_eq!(beside.their_events(), [] as [Value; 0]);
    let event = beside.outcome.event();
    assert_eq!(event.breadcrumb_messages(), ["a line outside", "a line inside"]);
    assert_eq!(event.0["user"], Value::Null);
}

#[test]
fn a_panic_inside_configure_scope_is_reported() {
    for order in [&[][..], &[("HOOK_FIRST", "1")]] {
        let beside = run("in-configure-scope", order);
        beside.outcome.exits_with(0);
        assert_eq!(beside.their_events(), [] as [Value; 0]);
        let event = beside.outcome.event();
        assert_eq!(event.message(), "inside configure_scope");
        assert_eq!(event.0["user"]["id"], "ada");
    }
}

/// sentry's hook itself panics there, and with it the process: that is so without lastwords.
#[test]
fn a_panic_in_a_thread_local_destructor_ends_the_process_only_if_it_did_before() {
    run("in-thread-local", &[("PLAIN", "1")]).outcome.dies_by(SIGABRT);
    run("in-thread-local", &[]).outcome.dies_by(SIGABRT);

    let reported = run("in-thread-local", &[("HOOK_FIRST", "1")]).outcome;
    reported.dies_by(SIGABRT);
    let messages: Vec<_> = reported.events().iter().map(|e| e.message().to_owned()).collect();
    assert!(messages.contains(&"in a destructor".to_owned()), "{messages:?}");

    let survives = run("in-thread-local", &[("NO_HOOK", "1")]).outcome;
    survives.exits_with(0);
    assert_eq!(survives.event().message(), "in a destructor");
}

/// With all that the client's scope adds: see `tests/schema.rs` and `tests/relay.rs`.
#[test]
fn a_server_does_not_object_to_what_the_client_adds() {
    let event = run("thread", &[]).outcome.event().0.to_string().into_bytes();
    let judges = [
        ("LASTWORDS_BUGSINK_PYTHON", "bugsink/validate.py"),
        ("LASTWORDS_RELAY_PYTHON", "relay/normalise.py"),
    ];
    for (variable, script) in judges {
        let Some(mistakes) = scenes::judged(variable, script, vec![event.clone()]) else {
            continue;
        };
        assert_eq!(mistakes, "[]\n");
    }
}

// What the client sends.

/// An event without what two runs never share, and without breadcrumbs and tags.
fn common_part(mut event: Value) -> Value {
    let fields = event.as_object_mut().expect("an object");
    for key in ["event_id", "timestamp", "breadcrumbs", "tags"] {
        fields.remove(key);
    }
    event["sdk"]["integrations"] = Value::Null;
    for key in ["trace_id", "span_id", "parent_span_id"] {
        event["contexts"]["trace"][key] = Value::Null;
    }
    // A panic's thread, and the addresses of its stack.
    let text = event.to_string();
    let mut rest = text.as_str();
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\"0x") {
        plain += before;
        plain += "\"0x";
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    serde_json::from_str(&(plain + rest)).expect("JSON")
}

fn messages(event: &Value) -> Vec<&str> {
    let crumbs = event["breadcrumbs"]["values"].as_array().or(event["breadcrumbs"].as_array());
    crumbs.into_iter().flatten().filter_map(|crumb| crumb["message"].as_str()).collect()
}

#[test]
fn what_the_client_captures_gets_breadcrumbs_and_tags_and_nothing_else() {
    let (plain, beside) = (run("captures", &[("PLAIN", "1")]), run("captures", &[]));
    let (plain, with) = (plain.their_events(), beside.their_events());
    let level = |event: &Value| event["level"].as_str().unwrap_or("error").to_owned();
    assert_eq!(with.iter().map(level).collect::<Vec<_>>(), ["error", "warning", "error"]);
    let parts =
        |events: &[Value]| -> Vec<Value> { events.iter().cloned().map(common_part).collect() };
    assert_eq!(parts(&with), parts(&plain));
    for (event, plain) in with.iter().zip(&plain) {
        let tags: BTreeMap<_, _> = event["tags"].as_object().expect("tags").iter().collect();
        let ours = [("cid", json!("eu-7")), ("role", json!("alpha"))];
        for (key, value) in ours {
            assert_eq!(tags[&key.to_owned()], &value);
        }
        let theirs = plain["tags"].as_object().expect("tags");
        assert!(theirs.iter().all(|(key, value)| tags[key] == value), "{theirs:?} in {tags:?}");
        assert_eq!(tags.len(), theirs.len() + 2);
        assert_eq!(messages(event)[..2], ["their own breadcrumb", "a line outside"]);
    }
    assert_eq!(beside.outcome.events().len(), 0, "none of them is a report of ours");
}

#[test]
fn switched_off_the_client_is_as_if_alone() {
    for scenario in ["captures", "thread"] {
        let plain = run(scenario, &[("PLAIN", "1")]);
        let off = run(scenario, &[("LASTWORDS_ENABLE_SENTRY", "false")]);
        let (plain, with) = (plain.their_events(), off.their_events());
        assert!(!plain.is_empty());
        assert_eq!(with.len(), plain.len());
        for (with, plain) in with.into_iter().zip(plain) {
            assert_eq!(messages(&with), messages(&plain));
            assert_eq!(with["tags"], plain["tags"]);
            if scenario == "captures" {
                assert_eq!(common_part(with), common_part(plain));
            } else {
                let what = |event: &Value| {
                    let exception = &event["exception"]["values"][0];
                    [&exception["type"], &exception["value"], &exception["mechanism"]]
                        .map(Value::clone)
                };
                assert_eq!(what(&with), what(&plain));
            }
        }
    }
}

#[test]
fn transactions_and_sessions_pass() {
    let types = |beside: &Beside| -> Vec<String> {
        let items = beside.theirs.iter().flat_map(|envelope| &envelope.items);
        items.map(|item| item.ty().to_owned()).collect()
    };
    let (plain, with) = (run("transaction", &[("PLAIN", "1")]), run("transaction", &[]));
    assert_eq!(types(&plain), ["transaction", "session"]);
    assert_eq!(types(&with), types(&plain));
}

#[test]
fn what_lastwords_captures_knows_the_clients_scope() {
    let beside = run("own-captures", &[]);
    beside.outcome.exits_with(0);
    assert_eq!(beside.their_events(), [] as [Value; 0]);
    let events = beside.outcome.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].message(), "invalid digit found in string");
    has_their_scope(&events[0], beside.trace());
    assert_eq!(events[1].0["logentry"]["formatted"], "inside configure_scope");
    assert_eq!(events[1].0["user"]["id"], "ada");
}

// The client's destination.

/// Where each report in the spool goes.
fn destinations(outcome: &Outcome) -> Vec<Option<String>> {
    let spool = Spool::open_existing(&outcome.state()).expect("a spool");
    let entries = spool.list().expect("a spool").into_iter();
    let read = |id| Envelope::parse(&spool.read(id).expect("a report")).expect("whole");
    entries.map(|entry| read(entry.id).dsn().map(str::to_owned)).collect()
}

#[test]
fn reports_go_where_the_client_sends_unless_told_otherwise() {
    assert_eq!(destinations(&run("thread", &[]).outcome), [Some(THEIR_DSN.to_owned())]);
    let ours = "http://ours@127.0.0.1:9/1";
    let told = run("thread", &[("LASTWORDS_DSN", ours)]).outcome;
    assert_eq!(destinations(&told), [Some(ours.to_owned())]);
}

#[test]
fn a_death_that_only_a_later_reader_sees_goes_there_too() {
    let outcome = run("abort", &[]).outcome;
    outcome.dies_by(SIGABRT);
    assert_eq!(outcome.region().identity.dsn.as_deref(), Some(THEIR_DSN));
}

#[test]
fn what_was_reported_before_the_client_was_there_is_sent_there() {
    let server = Faulty::always(Reply::Ok200);
    let dsn = server.dsn().to_string();
    let variables = [("EARLY", "1"), ("THEIR_DSN", &dsn), ("LASTWORDS_FLUSH", "10s")];
    let beside = run("thread", &variables);
    let ids = |events: Vec<Event>| -> Vec<String> {
        let mut ids: Vec<_> =
            events.iter().map(|event| event.0["event_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let mut sent: Vec<_> = server.accepted_ids().iter().map(|id| id.replace('-', "")).collect();
    sent.sort();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent, ids(beside.outcome.events()));
}

// The client's events by our transport.

/// The types of all items that a server accepted.
fn accepted_types(server: &Faulty) -> Vec<String> {
    let mut types = Vec::new();
    for received in server.accepted() {
        let envelope = Envelope::parse(&received.body).expect("whole");
        types.extend(envelope.items.iter().map(|item| item.ty().to_owned()));
    }
    types.sort();
    types
}

fn send(outcome: &Outcome) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastwords"));
    let state = outcome.state();
    command.arg("send").env_clear().env("HOME", outcome.home()).env("LASTWORDS_STATE_DIR", state);
    let output = command.output().expect("the command");
    println!("{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_flush_sends_everything() {
    let server = Faulty::always(Reply::Ok200);
    let dsn = server.dsn().to_string();
    let beside = run("captures", &[("OUR_TRANSPORT", "1"), ("THEIR_DSN", &dsn)]);
    assert!(beside.outcome.stdout.contains("flushed: true"));
    assert_eq!(accepted_types(&server), ["event", "event", "event", "transaction"]);

    let server = Faulty::always(Reply::Ok200);
    let dsn = server.dsn().to_string();
    run("transaction", &[("OUR_TRANSPORT", "1"), ("THEIR_DSN", &dsn)]);
    assert_eq!(accepted_types(&server), ["session", "transaction"]);
}

#[test]
fn the_clients_events_survive_a_server_that_is_down() {
    let server = Faulty::always(Reply::DropBeforeRead);
    let dsn = server.dsn().to_string();
    let beside = run("captures", &[("OUR_TRANSPORT", "1"), ("THEIR_DSN", &dsn)]);
    beside.outcome.exits_with(0);
    assert_eq!(accepted_types(&server), [""; 0]);
    assert_eq!(destinations(&beside.outcome), vec![Some(dsn.replace(":@", "@")); 3]);

    server.set(|_| Reply::Ok200);
    send(&beside.outcome);
    assert_eq!(accepted_types(&server), ["event"; 3]);
    for received in server.accepted() {
        let envelope = Envelope::parse(&received.body).expect("whole");
        let event = envelope.event().expect("an event");
        assert_eq!(event["release"], "theirs@1.0.0");
        assert_eq!(
            envelope.event_id().map(|id| id.simple().to_string()).as_deref(),
            event["event_id"].as_str()
        );
    }
}

#[test]
fn a_panic_by_our_transport_is_one_event() {
    let server = Faulty::always(Reply::Ok200);
    let dsn = server.dsn().to_string();
    let variables = [("OUR_TRANSPORT", "1"), ("THEIR_DSN", &dsn), ("LASTWORDS_FLUSH", "10s")];
    let beside = run("thread", &variables);
    let types = accepted_types(&server);
    assert_eq!(types.iter().filter(|ty| *ty == "event").count(), 1, "{types:?}");
    assert_eq!(beside.outcome.event().message(), "no space in shard 7");
}

#[test]
fn switched_off_our_transport_keeps_events_here() {
    let server = Faulty::always(Reply::Ok200);
    let dsn = server.dsn().to_string();
    let off = ("LASTWORDS_ENABLE_SENTRY", "false");
    let beside = run("captures", &[("OUR_TRANSPORT", "1"), ("THEIR_DSN", &dsn), off]);
    beside.outcome.exits_with(0);
    assert_eq!(beside.outcome.events().len(), 3);
    send(&beside.outcome);
    assert_eq!(server.connections(), 0);
}
