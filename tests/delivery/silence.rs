//! Servers that do not answer, or are not there: the program ends as it would, and its report waits.

use lastwords::deliver::State;

use super::common::{Outcome, Profile, Run};
use super::faulty::{Faulty, Reply};
use super::support::{
    UNDER, forget_servers, lastwords_says, make_old, only, over, reports, sending, the_report,
    victim, wait_until,
};

/// Runs the program in every way there is to run it.
fn each_way(run: impl Fn() -> Run, check: impl Fn(Outcome)) {
    check(run().run());
    check(run().under(&UNDER).run());
    check(run().plain().under(&UNDER).run());
}

/// It ended as it does where nothing is sent.
#[track_caller]
fn ended_as_alone(outcome: &Outcome) {
    outcome.exits_with(101);
    assert_eq!(outcome.stdout, "");
    assert_eq!(outcome.warnings(), [""; 0]);
}

#[test]
fn a_silent_server_gets_the_report_another_time() {
    for silence in [Reply::StallForever, Reply::NeverRead] {
        let run = |server: &Faulty| victim("main", server).variable("LASTWORDS_FLUSH", "300ms");
        for under in [&[][..], &UNDER] {
            let server = Faulty::always(silence.clone());
            let outcome = run(&server).under(under).run();
            ended_as_alone(&outcome);
            let id = the_report(&outcome.state(), State::Waiting);
            assert_eq!(server.requests(), 1, "it was tried");
            server.set(|_| Reply::Ok200);
            let said = lastwords_says(&outcome.state(), &["send"]);
            assert!(said.contains("sent"), "{said}");
            assert_eq!(the_report(&outcome.state(), State::Sent), id);
            // The silent one may have read it; then a server drops the second.
            let ids = server.accepted_ids();
            assert_eq!(ids.last(), Some(&id));
            assert!(ids.iter().all(|accepted| *accepted == id), "{ids:?}");
            assert_eq!(server.requests(), 2);
            assert_eq!(lastwords_says(&outcome.state(), &["send"]), "");
            assert_eq!(server.requests(), 2);
        }
    }
}

#[test]
fn a_program_that_aborts_does_not_wait_for_ever() {
    let server = Faulty::always(Reply::StallForever);
    let run = sending(Run::victim(Profile::Abort, "main"), &server);
    let outcome = run.variable("LASTWORDS_FLUSH", "300ms").run();
    outcome.dies_by(rustix::process::Signal::ABORT.as_raw());
    the_report(&outcome.state(), State::Waiting);
    server.set(|_| Reply::Ok200);
    lastwords_says(&outcome.state(), &["send"]);
    the_report(&outcome.state(), State::Sent);
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_server_that_is_not_there_keeps_nobody_waiting() {
    each_way(
        || {
            let server = Faulty::always(Reply::Ok200);
            victim("main", &server).variable("LASTWORDS_FLUSH", "60s")
        },
        |outcome| {
            ended_as_alone(&outcome);
            the_report(&outcome.state(), State::Waiting);
        },
    );
}

#[test]
fn the_next_start_delivers_what_waits() {
    let server = Faulty::always(Reply::Ok200);
    let (address, run) = (server.addr(), victim("main", &server));
    drop(server);
    let outcome = run.run();
    let id = the_report(&outcome.state(), State::Waiting);
    let server = Faulty::at(address, Reply::Ok200);
    // It lives until the pause after the failure is over.
    let mut running = over(victim("wait", &server), &outcome).start();
    running.wait_for_line("ready");
    wait_until(&mut running, || reports(&outcome.state()) == [(id.clone(), State::Sent)]);
    assert_eq!(running.finish().stdout, "ready\nmain returns\n");
    assert_eq!(only(&server).event_id, Some(id));
}

#[test]
fn the_next_start_of_a_monitor_delivers_what_waits() {
    let server = Faulty::always(Reply::DropBeforeRead);
    let outcome = victim("main", &server).under(&UNDER).run();
    let id = the_report(&outcome.state(), State::Waiting);
    server.set(|_| Reply::Ok200);
    make_old(&outcome.state());
    forget_servers(&outcome.state());
    let mut running = over(victim("wait", &server), &outcome).plain().under(&UNDER).start();
    running.wait_for_line("ready");
    wait_until(&mut running, || reports(&outcome.state()) == [(id.clone(), State::Sent)]);
    running.finish().exits_with(0);
    assert_eq!(server.accepted_ids(), [id]);
}
