//! Every kind of end, and a server that works: one event, at once, under the id that is in the spool.

use std::collections::BTreeSet;

use lastwords::deliver::State;
use serde_json::Value;

use super::common::{Profile, Run};
use super::faulty::{Faulty, Reply};
use super::support::{
    UNDER, all_are, event_of, items, lastwords_says, only, reports, sending, shell, the_report,
    victim, wait_until,
};

fn well() -> Faulty {
    Faulty::always(Reply::Ok200)
}

#[test]
fn a_panic_of_main_is_sent_before_the_process_has_ended() {
    let server = well();
    let outcome = victim("main", &server).run();
    outcome.exits_with(101);
    let received = only(&server);
    let event = event_of(&received);
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    assert_eq!(event.breadcrumb_messages(), ["the last line"]);
    assert_eq!(Some(the_report(&outcome.state(), State::Sent)), received.event_id);
    assert_eq!(outcome.warnings(), [""; 0]);
}

#[test]
fn a_panic_that_a_program_survives_is_sent_once_that_is_known() {
    for scenario in ["thread-then-wait", "caught-then-wait"] {
        let server = well();
        let mut running = victim(scenario, &server).start();
        running.wait_for_line("ready");
        let state = running.state();
        wait_until(&mut running, || matches!(reports(&state)[..], [(_, State::Sent)]));
        let event = event_of(&only(&server));
        assert_eq!(event.level(), "error", "{scenario}");
        let outcome = running.finish();
        outcome.exits_with(0);
        only(&server);
        the_report(&outcome.state(), State::Sent);
    }
}

#[test]
fn a_program_that_aborts_sends_before_it_dies() {
    let server = well();
    let outcome = sending(Run::victim(Profile::Abort, "main"), &server).run();
    outcome.dies_by(libc_sigabrt());
    let event = event_of(&only(&server));
    assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
    the_report(&outcome.state(), State::Sent);
}

fn libc_sigabrt() -> i32 {
    rustix::process::Signal::ABORT.as_raw()
}

#[test]
fn a_panic_in_a_panic_is_sent_before_it_aborts() {
    let server = well();
    let outcome = victim("double", &server).run();
    outcome.dies_by(libc_sigabrt());
    let event = event_of(&only(&server));
    assert_eq!(event.level(), "fatal");
    assert!(event.messages().len() >= 2, "{:?}", event.messages());
    the_report(&outcome.state(), State::Sent);
}

#[test]
fn under_a_monitor_the_one_event_says_how_it_ended() {
    for plain in [false, true] {
        let server = well();
        let run = victim("main", &server);
        let outcome = if plain { run.plain() } else { run }.under(&UNDER).run();
        outcome.exits_with(101);
        let received = only(&server);
        let event = event_of(&received);
        assert_eq!((event.message(), event.level()), ("main is no more", "fatal"), "{plain}");
        assert_eq!(event.0["contexts"]["process"]["exit_code"], 101);
        let attachments = items(&received, "attachment");
        let [(name, bytes)] = &attachments[..] else { panic!("{}", attachments.len()) };
        assert_eq!(name, "stderr.txt");
        assert_eq!(String::from_utf8_lossy(bytes), outcome.stderr);
        assert_eq!(Some(the_report(&outcome.state(), State::Sent)), received.event_id);
    }
}

#[test]
fn a_silent_death_under_a_monitor_is_sent() {
    let server = well();
    let outcome = shell("echo ready >&2; kill -SEGV $$", &server).run();
    outcome.exits_with(139);
    let event = event_of(&only(&server));
    assert_eq!(event.exceptions()[0]["type"], "SIGSEGV");
    assert_eq!(event.0["contexts"]["process"]["signal"], "SIGSEGV");
    the_report(&outcome.state(), State::Sent);
}

#[test]
fn a_monitor_below_a_monitor_sends_once() {
    let server = well();
    let outcome = victim("main", &server).under(&[UNDER, UNDER].concat()).run();
    outcome.exits_with(101);
    assert_eq!(event_of(&only(&server)).0["contexts"]["process"]["exit_code"], 101);
    the_report(&outcome.state(), State::Sent);
}

#[test]
fn a_life_that_ends_well_makes_no_connection() {
    let server = well();
    for run in [victim("clean", &server), victim("clean", &server).under(&UNDER)] {
        run.run().exits_with(0);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_a_program_captures_is_sent_before_it_has_ended() {
    for under in [&[][..], &UNDER] {
        let server = well();
        let outcome = victim("capture", &server).under(under).run();
        outcome.exits_with(0);
        let event = event_of(&only(&server));
        assert_eq!((event.message(), event.level()), ("invalid digit found in string", "error"));
        the_report(&outcome.state(), State::Sent);
    }
}

#[test]
fn what_was_captured_does_not_keep_the_monitor_from_amending_a_panic() {
    let server = well();
    let outcome = victim("capture-then-panic", &server).under(&UNDER).run();
    outcome.exits_with(101);
    let events: Vec<_> = server.accepted().iter().map(event_of).collect();
    assert_eq!((events.len(), server.requests()), (2, 2));
    let about = |message: &str| {
        let found = events.iter().find(|event| event.message() == message).expect("an event");
        found.0["contexts"]["process"]["exit_code"].clone()
    };
    assert_eq!(about("invalid digit found in string"), Value::Null);
    assert_eq!(about("for want of a number"), 101);
    assert_eq!(all_are(&outcome.state(), State::Sent), 2);
}

#[test]
fn what_a_forked_child_reports_is_sent() {
    for (scenario, messages) in [
        ("fork", &["the child panics", "the parent panics"][..]),
        ("fork-twice", &["child 1 panics", "child 2 panics"]),
        ("fork-in-thread", &["a forked thread panics"]),
    ] {
        let server = well();
        let outcome = victim(scenario, &server).run();
        outcome.exits_with(0);
        let accepted = server.accepted();
        assert_eq!((accepted.len(), server.requests()), (messages.len(), messages.len()));
        let events: Vec<_> = accepted.iter().map(event_of).collect();
        let said: BTreeSet<_> = events.iter().map(|event| event.message()).collect();
        assert_eq!(said, messages.iter().copied().collect(), "{scenario}");
        assert_eq!(all_are(&outcome.state(), State::Sent), messages.len());
    }
}

#[test]
fn threads_that_die_at_once_are_an_event_each() {
    for under in [&[][..], &UNDER] {
        let server = well();
        let run = victim("forty", &server).variable("LASTWORDS_FLUSH", "60s");
        let run = run.variable("LASTWORDS_RATE_LIMIT", "0");
        let outcome = run.under(under).run();
        outcome.exits_with(0);
        let (accepted, published) = (server.accepted(), all_are(&outcome.state(), State::Sent));
        // There are 16 slots for panics, which are waited for, but not for ever.
        assert!(published >= 16, "{published}");
        assert_eq!((accepted.len(), server.requests()), (published, published));
        let events: Vec<_> = accepted.iter().map(event_of).collect();
        let messages: BTreeSet<_> = events.iter().map(|event| event.message()).collect();
        assert_eq!(messages.len(), published);
        assert!(messages.iter().all(|message| message.ends_with("is no more")), "{messages:?}");
        assert!(events.iter().all(|event| event.level() == "error"));
    }
}

/// What the program's code says of sending holds for what only its monitor sees.
#[test]
fn a_monitor_sends_where_the_code_says_and_not_where_it_says_no() {
    let server = well();
    let quiet = victim("killed", &server).variable("SENDS_NOTHING", "1").under(&UNDER).run();
    quiet.exits_with(137);
    assert_eq!(server.connections(), 0);
    the_report(&quiet.state(), State::Waiting);

    let run = Run::victim(Profile::Dev, "killed");
    let told = run.variable("DSN_IN_CODE", server.dsn().to_string()).under(&UNDER).run();
    told.exits_with(137);
    let event = event_of(&only(&server));
    assert_eq!(event.exceptions()[0]["type"], "SIGKILL");
    the_report(&told.state(), State::Sent);
}

/// The hook has published its report, and the program's own hook aborts before anything is sent: who looks
/// at the dead process's region next sends it, without waiting for the report to be old.
#[test]
fn a_report_that_its_process_did_not_come_to_send_is_sent_by_the_next_sweep() {
    let server = well();
    let run = Run::of(Profile::Dev, "dying").argument("panic-in-panic").argument("hook");
    let outcome = run.variable("LASTWORDS_DSN", server.dsn().to_string()).run();
    outcome.dies_by(libc_sigabrt());
    let id = reports(&outcome.state())[0].0.clone();
    lastwords_says(&outcome.state(), &["sweep"]);
    let received = only(&server);
    assert_eq!(event_of(&received).message(), "told by a hook that panics");
    assert_eq!(
        (received.event_id, the_report(&outcome.state(), State::Sent)),
        (Some(id.clone()), id)
    );
    outcome.leaves_no_region();
}

/// The monitor attaches what was printed, the process corrects the level a second later: both stay.
#[test]
fn what_a_monitor_attached_outlives_a_correction() {
    let server = well();
    let mut running = victim("caught-then-wait", &server).under(&UNDER).start();
    running.wait_for_line("ready");
    let state = running.state();
    wait_until(&mut running, || matches!(reports(&state)[..], [(_, State::Sent)]));
    let received = only(&server);
    assert_eq!(event_of(&received).level(), "error");
    let attached = items(&received, "attachment");
    assert!(String::from_utf8_lossy(&attached[0].1).contains("caught on main"), "{attached:?}");
    running.finish().exits_with(0);
}

/// What was sent is not corrected: the death that turns out to be behind it is an event of its own, whole.
#[test]
fn a_death_that_is_printed_when_its_first_panic_was_sent_arrives() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/rust195-double-panic/stderr");
    for pause in ["", "sleep 0.7; "] {
        let server = well();
        let script = format!(
            "sed -n 1,5p '{text}' >&2; \
             until ls \"$LASTWORDS_STATE_DIR\"/sent/*.envelope >/dev/null 2>&1; do sleep 0.05; done; \
             sed -n 6,7p '{text}' >&2; {pause}sed -n '8,$p' '{text}' >&2; kill -ABRT $$"
        );
        let outcome = shell(&script, &server).run();
        outcome.exits_with(134);
        let events: Vec<_> = server.accepted().iter().map(event_of).collect();
        let [first, death] = &events[..] else { panic!("two events: {}", events.len()) };
        assert_eq!((first.level(), first.messages()), ("error", vec!["first: work failed"]));
        let cleanup = "panic in a destructor during cleanup";
        assert_eq!(death.messages(), ["first: work failed", "second: dropping lock", cleanup]);
        assert_eq!(
            (death.level(), &death.0["contexts"]["process"]["signal"]),
            ("fatal", &Value::from("SIGABRT"))
        );
        all_are(&outcome.state(), State::Sent);
    }
}

/// The same of a program that records itself, whoever sends.
#[test]
fn a_death_whose_first_panic_was_sent_arrives() {
    for under in [&[][..], &UNDER] {
        let server = well();
        let mut running = victim("slow-double-panic", &server).under(under).start();
        running.wait_for_line("ready");
        let state = running.state();
        wait_until(&mut running, || matches!(reports(&state)[..], [(_, State::Sent)]));
        let outcome = running.finish();
        lastwords_says(&state, &["sweep", "--all"]);
        let events: Vec<_> = server.accepted().iter().map(event_of).collect();
        let [first, death] = &events[..] else { panic!("{} events: {outcome:?}", events.len()) };
        assert_eq!((first.level(), first.messages()), ("error", vec!["main unwinds"]));
        assert_eq!(death.level(), "fatal");
        assert_eq!(death.messages()[..2], ["main unwinds", "the destructor panics, too"]);
        // Alone it sends before it dies.
        let signal = if under.is_empty() { Value::Null } else { "SIGABRT".into() };
        assert_eq!(death.0["contexts"]["process"]["signal"], signal);
        all_are(&state, State::Sent);
    }
}

/// Who says that it aborts has not survived, however long its core takes.
#[test]
fn an_abort_that_takes_its_time_is_fatal() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/rust195-stack-overflow/stderr");
    let server = well();
    let script = format!(
        "sed -n 1,2p '{text}' >&2; sleep 0.7; sed -n '3,$p' '{text}' >&2; \
         until ls \"$LASTWORDS_STATE_DIR\"/sent/*.envelope >/dev/null 2>&1; do sleep 0.05; done; kill -ABRT $$"
    );
    let outcome = shell(&script, &server).run();
    outcome.exits_with(134);
    let event = event_of(&only(&server));
    assert_eq!((event.message(), event.level()), ("stack overflow", "fatal"));
}
