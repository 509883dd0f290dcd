//! Which reports are sent, where to, and when.

use super::*;

#[test]
fn a_report_that_may_still_be_corrected_is_left_alone() {
    let bench = Bench::new();
    let path = bench.spool.publish(id(1), &report(1, Some(HOST_A)).to_bytes()).unwrap();
    let written = fs::metadata(path).unwrap().modified().unwrap();
    bench.now.set(written + Duration::from_millis(300));
    let (fates, drained) = bench.drain(&requested());
    let ready_in = Duration::from_millis(700);
    assert_eq!(fates, [(1, Fate::Kept(Kept::Young { ready_in }))]);
    assert_eq!(drained.next, Some(ready_in));
    // A time in the future is a clock that was set back.
    bench.now.set(written - Duration::from_secs(60));
    assert_eq!(bench.fates(&order()), [Fate::Sent]);
}

#[test]
fn a_report_of_a_process_that_has_ended_waits_no_longer() {
    let bench = Bench::new();
    for n in [1, 2] {
        bench.spool.publish(id(n), &report(n, Some(HOST_A)).to_bytes()).unwrap();
    }
    bench.now.set(SystemTime::now());
    let mut fates = bench.drain(&Order { ready: &|report| report == id(2), ..order() }).0;
    fates.sort_by_key(|(id, _)| *id);
    assert!(matches!(fates[0].1, Fate::Kept(Kept::Young { .. })), "{fates:?}");
    assert_eq!(fates[1], (2, Fate::Sent));
}

#[test]
fn only_what_is_wanted_is_looked_at() {
    let bench = Bench::with(&[1, 2]);
    bench.put(3, &report(3, None));
    bench.put_bytes(4, b"garbled");
    let seen = Mutex::new(Vec::new());
    let wants = |report: Uuid, dsn: Option<&Dsn>| {
        seen.lock().unwrap().push((report.as_u128(), dsn.map(|dsn| dsn.host().to_owned())));
        report == id(2)
    };
    assert_eq!(bench.drain(&Order { wants: &wants, ..order() }).0, [(2, Fate::Sent)]);
    let host = Some("a.invalid".to_owned());
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen, [(1, host.clone()), (2, host), (3, None), (4, None)]);
}

#[test]
fn a_report_without_dsn_goes_where_others_of_its_kind_go() {
    let bench = Bench::with(&[1]);
    bench.put(2, &report(2, None));
    assert_eq!(bench.fates(&order()), [Fate::Sent, Fate::Kept(Kept::NoDestination)]);
    let fallback = dsn(HOST_B);
    assert_eq!(bench.fates(&Order { fallback: Some(&fallback), ..order() }), [Fate::Sent]);
    let hosts: Vec<_> = bench.posted().into_iter().map(|posted| posted.host).collect();
    assert_eq!(hosts, ["a.invalid", "b.invalid"]);
}

#[test]
fn a_better_dsn_takes_the_place_of_every_one() {
    let bench = Bench::with(&[1]);
    bench.put(2, &report(2, Some("http://nowhere")));
    let better = dsn(HOST_B);
    let order = Order { instead: Some(&better), ..requested() };
    assert_eq!(bench.fates(&order), [Fate::Sent, Fate::Sent]);
    let hosts: Vec<_> = bench.posted().into_iter().map(|posted| posted.host).collect();
    assert_eq!(hosts, ["b.invalid", "b.invalid"]);
}

#[test]
fn a_dsn_that_is_none_is_told() {
    let bench = Bench::new();
    bench.put(1, &report(1, Some("http://nowhere")));
    let fallback = dsn(HOST_B);
    let fates = bench.fates(&Order { fallback: Some(&fallback), ..order() });
    assert!(matches!(fates[0], Fate::Kept(Kept::BadDsn(_))), "{fates:?}");
    assert_eq!(bench.posted_ids(), []);
}

#[test]
fn a_local_report_leaves_only_if_a_person_names_it() {
    let bench = Bench::new();
    for n in [1, 2] {
        let mut local = report(n, Some(HOST_A));
        local.set_local(true);
        bench.put(n, &local);
    }
    for order in [order(), requested()] {
        assert_eq!(bench.fates(&order), [Fate::Kept(Kept::Local), Fate::Kept(Kept::Local)]);
    }
    let named = Order { insist: &[id(2)], ..requested() };
    assert_eq!(bench.drain(&named).0, [(1, Fate::Kept(Kept::Local)), (2, Fate::Sent)]);
    let posted = bench.posted();
    assert_eq!(posted.len(), 1);
    let text = String::from_utf8(posted[0].envelope.to_bytes()).unwrap();
    assert!(!text.contains("lastwords") && !text.contains("local"), "{text}");
}

#[test]
fn what_was_rejected_is_tried_again_if_a_person_names_it() {
    let bench = Bench::with(&[1, 2]);
    bench.script([answer(400, "no"), answer(400, "no")]);
    bench.drain(&order());
    assert_eq!(bench.fates(&requested()), []);
    let named = Order { insist: &[id(1), id(7)], ..requested() };
    assert_eq!(bench.drain(&named).0, [(1, Fate::Sent)]);
    assert_eq!(bench.states(), [(1, State::Sent), (2, State::Rejected)]);
    assert_eq!(bench.spool.verdict(id(1)), None);
}

#[test]
fn no_request_starts_or_lasts_beyond_the_end() {
    let bench = Bench::with(&[1, 2]);
    let over = Order { until: Some(Instant::now()), ..order() };
    let (fates, drained) = bench.drain(&over);
    assert!(fates.iter().all(|(_, fate)| *fate == Fate::Kept(Kept::OutOfTime)), "{fates:?}");
    assert_eq!(drained.next, Some(Duration::ZERO));
    assert_eq!(bench.posted_ids(), []);
    let soon = Duration::from_secs(20);
    let order = Order { until: Some(Instant::now() + soon), ..order() };
    assert_eq!(bench.fates(&order), [Fate::Sent, Fate::Sent]);
    assert!(bench.posted().iter().all(|posted| posted.limit <= soon));
}
