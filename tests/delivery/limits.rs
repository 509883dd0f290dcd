//! Limits of our own, and whose reports are whose.

use std::path::Path;

use lastwords::deliver::State;

use super::common::{is_root, skipped};
use super::faulty::{Faulty, Reply};
use super::support::{
    UNDER, event_of, forget_servers, make_old, only, over, reports, the_report, told, victim,
    wait_until,
};

fn count_sent(state: &Path) -> usize {
    reports(state).iter().filter(|(_, state)| *state == State::Sent).count()
}

#[test]
fn without_room_in_the_spool_a_report_is_sent_from_memory() {
    for (under, plain) in [(&[][..], false), (&UNDER, false), (&UNDER, true)] {
        let server = Faulty::always(Reply::Ok200);
        let run = victim("main", &server).variable("LASTWORDS_SPOOL_LIMIT", "0").under(under);
        let outcome = if plain { run.plain() } else { run }.run();
        outcome.exits_with(101);
        let event = event_of(&only(&server));
        assert_eq!((event.message(), event.level()), ("main is no more", "fatal"));
        assert_eq!(reports(&outcome.state()), []);
        assert_eq!(outcome.warnings(), [""; 0]);
    }
}

#[test]
fn where_no_directory_works_a_report_is_sent_from_memory() {
    if !is_root() {
        return skipped("only root can run a program as somebody else");
    }
    // The last resort of a user without home is taken.
    let user = 64_990;
    let taken = format!("/tmp/lastwords-{user}");
    std::fs::write(&taken, "").expect("a file");
    let server = Faulty::always(Reply::Ok200);
    let run = victim("main", &server).user(user).without_variable("HOME");
    let outcome = run.variable("LASTWORDS_STATE_DIR", format!("{taken}/below")).run();
    std::fs::remove_file(&taken).expect("it is still there");
    outcome.exits_with(101);
    assert_eq!(event_of(&only(&server)).level(), "fatal");
    let warnings = outcome.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("no state directory works"),
        "{warnings:?}"
    );
}

#[test]
fn a_crash_loop_sends_a_few_and_says_how_many_it_did_not() {
    let server = Faulty::always(Reply::Ok200);
    let run = |limit: &str| victim("main", &server).variable("LASTWORDS_RATE_LIMIT", limit);
    let outcome = run("2").run();
    for under in [&[][..], &UNDER, &[], &UNDER] {
        over(run("2"), &outcome).under(under).run().exits_with(101);
    }
    assert_eq!((server.accepted().len(), server.requests()), (2, 2));
    let mut states: Vec<_> = reports(&outcome.state()).iter().map(|(_, state)| *state).collect();
    states.sort_by_key(|state| state.name());
    assert_eq!(states, [State::Limited, State::Limited, State::Limited, State::Sent, State::Sent]);
    // Another kind has a limit of its own.
    over(victim("thread", &server).variable("LASTWORDS_RATE_LIMIT", "2"), &outcome).run();
    let other = server.accepted().pop().expect("a report");
    assert_eq!(event_of(&other).0["contexts"]["lastwords"].get("not_sent"), None);
    assert_eq!(told(&other), [("sample_rate".to_owned(), "error".to_owned(), 3)]);
    for expected in [Some(3), None] {
        over(run("100"), &outcome).run();
        let event = event_of(server.accepted().last().expect("a report"));
        let not_sent = event.0["contexts"]["lastwords"].get("not_sent");
        assert_eq!(not_sent.and_then(serde_json::Value::as_u64), expected);
    }
    assert_eq!(server.requests(), 5);
}

#[test]
fn two_programs_with_one_spool_send_each_its_own() {
    let (one, other) = (Faulty::always(Reply::DropBeforeRead), Faulty::always(Reply::Ok200));
    let outcome = victim("main", &one).run();
    let id = the_report(&outcome.state(), State::Waiting);
    one.set(|_| Reply::Ok200);
    make_old(&outcome.state());
    forget_servers(&outcome.state());
    let tried = one.requests();
    for (sent, under) in [(1, &[][..]), (2, &UNDER)] {
        let run = over(victim("thread-then-wait", &other), &outcome).under(under);
        let mut running = run.start();
        wait_until(&mut running, || count_sent(&outcome.state()) == sent);
        running.finish().exits_with(0);
    }
    assert_eq!(one.requests(), tried);
    assert_eq!((other.accepted().len(), other.requests()), (2, 2));
    assert!(!other.accepted_ids().contains(&id));
    // Its own program delivers it.
    let mut running = over(victim("wait", &one), &outcome).start();
    running.wait_for_line("ready");
    wait_until(&mut running, || count_sent(&outcome.state()) == 3);
    running.finish().exits_with(0);
    assert_eq!(one.accepted_ids(), [id]);
    assert_eq!(other.requests(), 2);
}
