//! What each answer does to a report, to the other ones, and to the next drain.

use super::*;
use crate::deliver::backoff;

#[test]
fn what_is_accepted_is_sent_once_oldest_first() {
    let bench = Bench::with(&[3, 1, 2]);
    let (fates, drained) = bench.drain(&order());
    assert_eq!(fates, [(1, Fate::Sent), (2, Fate::Sent), (3, Fate::Sent)]);
    assert_eq!((drained.sent, drained.kept, drained.next), (3, 0, None));
    let posted = bench.posted();
    assert_eq!(posted[0].types(), ["event", "attachment"]);
    assert_eq!(posted[0].limit, Duration::from_secs(30));
    assert_eq!(posted[0].envelope.dsn(), Some(HOST_A));
    assert_eq!(bench.states(), [(1, State::Sent), (2, State::Sent), (3, State::Sent)]);
    assert_eq!(bench.drain(&order()).0, []);
    assert_eq!(bench.posted_ids(), []);
}

#[test]
fn what_is_refused_is_set_aside_and_counted() {
    let bench = Bench::with(&[1, 2, 3]);
    bench.script([answer(413, "too large")]);
    let refused = Fate::Rejected { status: 413, words: "too large".to_owned() };
    assert_eq!(bench.fates(&order()), [refused, Fate::Sent, Fate::Sent]);
    assert_eq!(bench.states()[0], (1, State::Rejected));
    assert_eq!(bench.spool.verdict(id(1)).unwrap().words, "too large");
    let posted = bench.posted();
    let counts = json!([{"reason": "send_error", "category": "error", "quantity": 1}]);
    assert_eq!(posted[0].client_report(), None);
    assert_eq!(posted[1].client_report(), Some(counts));
    assert_eq!(posted[2].client_report(), None, "it was told already");
}

#[test]
fn counts_wait_for_an_envelope_that_arrives() {
    let bench = Bench::with(&[1, 2]);
    bench.script([answer(400, ""), no_answer()]);
    bench.drain(&order());
    bench.drain(&requested());
    let posted = bench.posted();
    assert_eq!(posted.iter().map(|posted| posted.id).collect::<Vec<_>>(), [1, 2, 2]);
    assert!(posted[1].client_report().is_some());
    assert_eq!(posted[1].client_report(), posted[2].client_report());
}

#[test]
fn a_server_that_fails_is_left_alone_and_another_one_is_not() {
    let bench = Bench::with(&[1, 2]);
    bench.put(3, &report(3, Some(HOST_B)));
    bench.script([no_answer()]);
    let (fates, drained) = bench.drain(&order());
    assert_eq!(bench.posted_ids(), [1, 3]);
    assert_eq!((drained.sent, drained.kept), (1, 2));
    let (Fate::Kept(Kept::Failed { why, until }), Fate::Kept(Kept::BackingOff { .. })) =
        (&fates[0].1, &fates[1].1)
    else {
        panic!("{fates:?}");
    };
    assert!(why.contains("refused"), "{why}");
    assert!(*until > bench.now.get());
    assert_eq!(fates[2].1, Fate::Sent);
    assert!(drained.next.unwrap() <= until.duration_since(bench.now.get()).unwrap());
}

#[test]
fn attempts_are_spaced_by_the_failures_in_a_row() {
    let bench = Bench::with(&[1]);
    bench.script((0..4).map(|_| no_answer()));
    for failures in 1..=4 {
        let wait = backoff(failures, RANDOM);
        let fates = bench.fates(&order());
        let Fate::Kept(Kept::Failed { until, .. }) = &fates[0] else { panic!("{fates:?}") };
        // The journal's clock has milliseconds.
        let off = until.duration_since(bench.now.get()).unwrap().abs_diff(wait);
        assert!(off <= Duration::from_millis(2), "{off:?}");
        assert_eq!(bench.posted_ids(), [1]);
        bench.later(wait.mul_f64(0.5));
        let fates = bench.fates(&order());
        assert!(matches!(&fates[0], Fate::Kept(Kept::BackingOff { .. })), "{fates:?}");
        assert_eq!(bench.posted_ids(), []);
        bench.later(wait);
    }
    assert_eq!(bench.fates(&order()), [Fate::Sent]);
    // And after a success from the beginning.
    bench.put(2, &report(2, Some(HOST_A)));
    bench.script([no_answer()]);
    let (_, drained) = bench.drain(&order());
    assert!(drained.next.unwrap() <= backoff(1, RANDOM));
}

#[test]
fn a_person_waits_for_no_failure() {
    let bench = Bench::with(&[1, 2]);
    bench.script([no_answer(), no_answer()]);
    bench.drain(&order());
    let fates = bench.fates(&requested());
    assert!(matches!(&fates[0], Fate::Kept(Kept::Failed { .. })), "{fates:?}");
    assert!(matches!(&fates[1], Fate::Kept(Kept::BackingOff { .. })), "one request is enough");
    assert_eq!(bench.posted_ids(), [1, 1]);
    assert_eq!(bench.fates(&requested()), [Fate::Sent, Fate::Sent]);
}

#[test]
fn a_wrong_dsn_is_told_once_and_keeps_its_reports() {
    let bench = Bench::with(&[1, 2]);
    bench.script([answer(403, "no such project")]);
    let (fates, drained) = bench.drain(&order());
    let wrong = Fate::Kept(Kept::WrongDsn { words: "no such project".to_owned() });
    assert_eq!(fates, [(1, wrong.clone()), (2, wrong.clone())]);
    let told = [("https://a.invalid/1".to_owned(), "no such project".to_owned())];
    assert_eq!(drained.wrong_dsns, told);
    assert!(drained.next.unwrap() <= Duration::from_secs(3600));
    assert_eq!(bench.posted_ids(), [1]);
    bench.later(Duration::from_secs(3599));
    let (fates, drained) = bench.drain(&order());
    assert_eq!((fates[0].1.clone(), drained.wrong_dsns), (wrong, Vec::new()));
    assert_eq!(bench.posted_ids(), []);
    bench.later(Duration::from_secs(2));
    assert_eq!(bench.fates(&order()), [Fate::Sent, Fate::Sent]);
}

#[test]
fn a_report_that_vanishes_meanwhile_harms_nobody() {
    struct Remover<'a>(&'a Spool);
    impl Courier for Remover<'_> {
        fn post(&self, _: &Dsn, bytes: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
            let id = Envelope::parse(bytes).unwrap().event_id().unwrap();
            self.0.withdraw(id).unwrap();
            answer(200, "")
        }
    }
    let bench = Bench::with(&[1]);
    let mut fates = Vec::new();
    let remover = Remover(&bench.spool);
    drain(&bench.spool, &remover, &requested(), &mut |_, fate| fates.push(fate.clone()));
    assert_eq!(fates, [Fate::Sent]);
    assert_eq!(bench.states(), []);
}

#[test]
fn the_same_id_goes_out_once_though_it_was_published_again() {
    let bench = Bench::with(&[1]);
    bench.drain(&order());
    bench.put(1, &report_of_kind(1, Some(HOST_A), "amended"));
    let (fates, drained) = bench.drain(&order());
    assert_eq!(fates, [(1, Fate::SentBefore)]);
    assert_eq!((drained.sent_before, bench.posted_ids().len()), (1, 1));
    assert_eq!(bench.states(), [(1, State::Sent)]);
    let kept = Envelope::parse(&bench.spool.read(id(1)).unwrap()).unwrap();
    assert_eq!(kept.event().unwrap()["fingerprint"], json!(["amended"]));
    assert_eq!(bench.fates(&order()), []);
}

#[test]
fn a_sender_killed_after_the_answer_sends_the_same_id_and_no_other() {
    let bench = Bench::with(&[1]);
    bench.drain(&order());
    // As if the kill had come before the move.
    let dir = bench.spool.dir();
    let name = format!("{}.envelope", id(1).simple());
    fs::rename(dir.join("sent").join(&name), dir.join("waiting").join(&name)).unwrap();
    assert_eq!(bench.fates(&order()), [Fate::Sent]);
    assert_eq!(bench.posted_ids(), [1, 1]);
}

#[test]
fn a_jump_of_the_clock_makes_no_wait_longer() {
    let bench = Bench::with(&[1]);
    bench.script([no_answer()]);
    bench.drain(&order());
    bench.now.set(bench.now.get() - Duration::from_secs(7 * 24 * 3600));
    let (_, drained) = bench.drain(&order());
    assert!(drained.next.unwrap() <= backoff(1, RANDOM), "{drained:?}");
    assert_eq!(bench.posted_ids(), [1]);
}
