//! What servers ask for, and how many of a kind are sent.

use super::*;

#[test]
fn a_pause_that_a_server_asks_for_is_kept_by_persons_too() {
    let bench = Bench::with(&[1, 2]);
    bench.script([limited(429, 600, &["error"])]);
    let (fates, drained) = bench.drain(&order());
    let Fate::Kept(Kept::Failed { until, .. }) = fates[0].1 else { panic!("{fates:?}") };
    let wait = until.duration_since(bench.now.get()).unwrap();
    assert!(wait > Duration::from_secs(598), "the server's wish is longer than ours: {wait:?}");
    assert!(drained.next.unwrap() > Duration::from_secs(590));
    for order in [order(), requested(), Order { insist: &[id(1)], ..requested() }] {
        let fates = bench.fates(&order);
        assert!(matches!(fates[0], Fate::Kept(Kept::RateLimited { .. })), "{fates:?}");
    }
    assert_eq!(bench.posted_ids(), [1]);
    bench.later(Duration::from_secs(601));
    assert_eq!(bench.fates(&order()), [Fate::Sent, Fate::Sent]);
}

#[test]
fn limits_come_with_any_answer_and_count_at_once() {
    let bench = Bench::with(&[1, 2]);
    bench.script([limited(200, 60, &[])]);
    let fates = bench.fates(&order());
    assert_eq!(fates[0], Fate::Sent);
    assert!(matches!(fates[1], Fate::Kept(Kept::RateLimited { .. })), "{fates:?}");
    assert_eq!(bench.posted_ids(), [1]);
}

#[test]
fn a_limit_of_something_else_is_no_limit() {
    let bench = Bench::with(&[1, 2]);
    bench.script([limited(200, 60, &["session", "transaction"])]);
    assert_eq!(bench.fates(&order()), [Fate::Sent, Fate::Sent]);
}

#[test]
fn attachments_that_are_not_wanted_stay_here_and_are_counted() {
    let bench = Bench::with(&[1, 2, 3]);
    bench.script([limited(200, 60, &["attachment"]), no_answer()]);
    bench.drain(&order());
    bench.drain(&requested());
    let posted = bench.posted();
    let types: Vec<_> = posted.iter().map(Posted::types).collect();
    assert_eq!(types[0], ["event", "attachment"]);
    // The request that failed has cost no attachment yet.
    assert_eq!((&types[1], &types[2]), (&vec!["event"], &vec!["event"]));
    assert_eq!(types[3], ["event", "client_report"]);
    let counts = json!([
        {"reason": "ratelimit_backoff", "category": "attachment", "quantity": 7},
    ]);
    assert_eq!(posted[3].client_report(), Some(counts));
    let kept = Envelope::parse(&bench.spool.read(id(2)).unwrap()).unwrap();
    assert_eq!(kept.items.len(), 2);
}

fn of_one_kind(reports: &[u128]) -> Bench {
    let bench = Bench::new();
    reports.iter().for_each(|&n| bench.put(n, &report_of_kind(n, Some(HOST_A), "loop")));
    bench
}

#[test]
fn too_many_of_a_kind_are_held_back_and_the_next_one_says_so() {
    let bench = of_one_kind(&[1, 2, 3, 4, 5]);
    bench.put(6, &report(6, Some(HOST_A)));
    let hourly = Order { rate_limit: 2, ..order() };
    let (fates, drained) = bench.drain(&hourly);
    assert_eq!((drained.sent, drained.limited, drained.next), (3, 3, None));
    assert_eq!(fates[2..5].iter().filter(|(_, fate)| *fate == Fate::Limited).count(), 3);
    assert_eq!(bench.states()[2..5], [3, 4, 5].map(|n| (n, State::Limited)));
    let posted = bench.posted();
    assert_eq!(posted.iter().map(|posted| posted.id).collect::<Vec<_>>(), [1, 2, 6]);
    let counts = json!([{"reason": "sample_rate", "category": "error", "quantity": 3}]);
    assert_eq!(posted[2].client_report(), Some(counts));
    assert!(!posted[2].envelope.event().unwrap().contains_key("contexts"), "of another kind");
    // The hour is over. A failure takes the count along no less.
    bench.later(Duration::from_secs(3601));
    bench.put(7, &report_of_kind(7, Some(HOST_A), "loop"));
    bench.put(8, &report_of_kind(8, Some(HOST_A), "loop"));
    bench.script([no_answer()]);
    bench.drain(&hourly);
    bench.later(Duration::from_secs(600));
    bench.drain(&hourly);
    let said: Vec<_> = bench
        .posted()
        .iter()
        .map(|posted| posted.envelope.event().unwrap())
        .map(|event| {
            event.get("contexts").map(|contexts| contexts["lastwords"]["not_sent"].clone())
        })
        .collect();
    assert_eq!(said, [Some(json!(3)), Some(json!(3)), None]);
}

#[test]
fn an_event_without_room_leaves_the_count_to_the_next() {
    let bench = of_one_kind(&[1, 2]);
    let hourly = Order { rate_limit: 1, ..order() };
    bench.drain(&hourly);
    bench.later(Duration::from_secs(3601));
    let room = crate::report::EVENT_BYTES - 40;
    let mut full = Envelope::new(id(3)).with_dsn(HOST_A);
    let event = json!({"fingerprint": ["loop"], "message": "x".repeat(room)}).to_string();
    full.push_event(event.clone().into_bytes());
    bench.spool.publish(id(3), &full.to_bytes()).unwrap();
    bench.drain(&hourly);
    bench.later(Duration::from_secs(3601));
    bench.put(4, &report_of_kind(4, Some(HOST_A), "loop"));
    bench.drain(&hourly);
    let posted = bench.posted();
    assert_eq!(posted.iter().map(|posted| posted.id).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(posted[1].envelope.items[0].payload(), event.as_bytes());
    assert_eq!(posted[2].envelope.event().unwrap()["contexts"]["lastwords"]["not_sent"], json!(1));
}

#[test]
fn a_failed_request_takes_no_place() {
    let bench = of_one_kind(&[1]);
    let hourly = Order { rate_limit: 1, ..requested() };
    bench.script((0..5).map(|_| no_answer()));
    for _ in 0..5 {
        assert!(matches!(bench.fates(&hourly)[0], Fate::Kept(Kept::Failed { .. })));
    }
    assert_eq!(bench.fates(&hourly), [Fate::Sent]);
}

#[test]
fn what_a_person_names_is_sent_though_there_were_too_many() {
    let bench = of_one_kind(&[1, 2, 3]);
    let hourly = Order { rate_limit: 1, ..order() };
    bench.drain(&hourly);
    assert_eq!(bench.states()[1..], [(2, State::Limited), (3, State::Limited)]);
    let named = Order { insist: &[id(2)], rate_limit: 1, ..requested() };
    assert_eq!(bench.drain(&named).0, [(2, Fate::Sent)]);
    assert_eq!(bench.states()[1..], [(2, State::Sent), (3, State::Limited)]);
}

#[test]
fn the_window_moves_with_a_clock_that_is_set_back() {
    let bench = of_one_kind(&[1]);
    let hourly = Order { rate_limit: 1, ..order() };
    bench.drain(&hourly);
    bench.now.set(bench.now.get() - Duration::from_secs(30 * 24 * 3600));
    bench.put(2, &report_of_kind(2, Some(HOST_A), "loop"));
    assert_eq!(bench.fates(&hourly), [Fate::Limited]);
    bench.later(Duration::from_secs(3601));
    bench.put(3, &report_of_kind(3, Some(HOST_A), "loop"));
    assert_eq!(bench.fates(&hourly), [Fate::Sent]);
}

/// Between the look at a server and the request to it another process hears what it wants.
#[test]
fn a_pause_that_is_heard_of_at_the_last_moment_keeps_the_report_whole() {
    for (limit, whole) in [(&[][..], true), (&["error"], true), (&["attachment"], false)] {
        let bench = Bench::with(&[1]);
        let heard = || {
            let Ok(answer) = limited(429, 60, limit) else { unreachable!("it is an answer") };
            let (now, key) = (millis(bench.now.get()), journal::key(&dsn(HOST_A)));
            bench.spool.change_journal(now, |journal| {
                journal.destination_mut(&key, now).note_limits(now, &answer.limits);
            });
        };
        let clock = || {
            // Whoever has claimed it has looked.
            if bench.spool.claim(id(1)).unwrap().is_none() {
                heard();
            }
            bench.now.get()
        };
        let hourly = Order { rate_limit: 1, ..order() };
        let mut fates = Vec::new();
        let drain = Drain::new(&bench.spool, &bench.script, &hourly, &clock, &|| RANDOM);
        drain.run(&mut |_, fate| fates.push(fate.clone()));
        if whole {
            assert!(matches!(fates[..], [Fate::Kept(Kept::RateLimited { .. })]), "{fates:?}");
            assert_eq!(bench.posted_ids(), []);
            bench.later(Duration::from_secs(61));
            // It has given its place back.
            assert_eq!(bench.fates(&hourly), [Fate::Sent]);
            assert_eq!(bench.posted()[0].types(), ["event", "attachment"]);
        } else {
            assert_eq!(fates, [Fate::Sent]);
            assert_eq!(bench.posted()[0].types(), ["event"]);
        }
    }
}
