//! Answers that are no yes.

use lastwords::deliver::State;

use super::common::once;
use super::faulty::{Faulty, Reply};
use super::support::{
    all_are, event_of, items, lastwords, lastwords_says, only, over, shell, the_report, told,
    victim,
};

fn refusing(status: u16, words: &str) -> Reply {
    Reply::Status(status, vec![("X-Sentry-Error".to_owned(), words.to_owned())], Vec::new())
}

#[test]
fn a_wrong_dsn_keeps_the_reports_and_is_said_once() {
    let server = Faulty::always(refusing(403, "no such key"));
    let outcome = victim("two", &server).run();
    outcome.exits_with(0);
    assert_eq!(all_are(&outcome.state(), State::Waiting), 2);
    let warnings = outcome.warnings();
    let [warning] = warnings[..] else { panic!("one warning: {warnings:?}") };
    assert!(warning.contains("kept") && warning.contains("no such key"), "{warning}");
    // Two may be under way at once, and then none.
    let tried = server.requests();
    assert!(tried <= 2, "{tried}");
    over(victim("thread", &server), &outcome).run().exits_with(0);
    assert_eq!(server.requests(), tried);
    // Somebody has put it right.
    server.set(|_| Reply::Ok200);
    lastwords_says(&outcome.state(), &["send"]);
    assert_eq!(server.accepted().len(), 3);
    assert_eq!(all_are(&outcome.state(), State::Sent), 3);
}

#[test]
fn a_refused_report_is_set_aside_with_the_servers_words() {
    for (status, words) in [(413, "too fat"), (400, "no such thing"), (500, "out of order")] {
        let server = Faulty::always(refusing(status, words));
        let outcome = victim("main", &server).run();
        outcome.exits_with(101);
        let id = the_report(&outcome.state(), State::Rejected);
        let warnings = outcome.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(words) && warnings[0].contains(&status.to_string()));
        let listed = lastwords_says(&outcome.state(), &["list"]);
        assert!(once(&listed, words) && listed.contains(&status.to_string()), "{listed}");
        assert!(listed.contains("rejected"), "{listed}");
        // It is sent again only if somebody says so.
        server.set(|_| Reply::Ok200);
        assert_eq!(lastwords_says(&outcome.state(), &["send"]), "");
        assert_eq!(server.requests(), 1);
        lastwords_says(&outcome.state(), &["send", "--rejected"]);
        assert_eq!(server.accepted_ids(), [id.as_str()]);
        assert_eq!(the_report(&outcome.state(), State::Sent), id);
        assert_eq!(outcome.state().join("rejected").read_dir().expect("a folder").count(), 0);
    }
}

#[test]
fn a_refusal_is_told_with_the_next_report() {
    let server = Faulty::always(refusing(400, "not this one"));
    let outcome = victim("main", &server).run();
    server.set(|_| Reply::Ok200);
    for expected in [&[("send_error".to_owned(), "error".to_owned(), 1)][..], &[]] {
        over(victim("thread", &server), &outcome).run().exits_with(0);
        assert_eq!(told(server.accepted().last().expect("a report")), expected);
    }
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_limit_holds_for_every_process() {
    let server = Faulty::always(Reply::RateLimit("60:error:organization:quota".to_owned()));
    let outcome = victim("main", &server).run();
    outcome.exits_with(101);
    assert_eq!(server.requests(), 1);
    over(victim("two", &server), &outcome).run().exits_with(0);
    over(shell("kill -SEGV $$", &server), &outcome).run().exits_with(139);
    let asked = lastwords(&outcome.state(), &["send"]);
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert_eq!(said.matches("the server wants no reports until").count(), 4, "{said}");
    assert_eq!(server.requests(), 1);
    assert_eq!(all_are(&outcome.state(), State::Waiting), 4);
}

#[test]
fn a_limit_for_attachments_leaves_the_event() {
    let limits = vec![("X-Sentry-Rate-Limits".to_owned(), "60:attachment:key".to_owned())];
    let server = Faulty::always(Reply::Status(200, limits, Vec::new()));
    let die = || shell("echo 'last line' >&2; kill -SEGV $$", &server);
    let outcome = die().run();
    assert_eq!(items(&only(&server), "attachment").len(), 1);
    let second = over(die(), &outcome).run();
    second.exits_with(139);
    let received = server.accepted().pop().expect("a report");
    assert_eq!(event_of(&received).exceptions()[0]["type"], "SIGSEGV");
    assert_eq!(items(&received, "attachment").len(), 0);
    // It is still here.
    let id = received.event_id.expect("an id");
    let shown = lastwords_says(&outcome.state(), &["show", &id, "--stderr"]);
    assert_eq!(shown, "last line\n");
    over(die(), &outcome).run();
    let third = server.accepted().pop().expect("a report");
    let bytes = "last line\n".len() as u64;
    assert_eq!(told(&third), [("ratelimit_backoff".to_owned(), "attachment".to_owned(), bytes)]);
    assert_eq!(server.requests(), 3);
}
