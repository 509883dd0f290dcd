//! Reports from four processes through a server that fails in every way, while the processes are
//! killed at random: nothing is lost, nothing is invented, and nothing is told twice that was heard.
//!
//! `LASTWORDS_STORM` says how many reports; `.ci/run` lets ten thousand go.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
mod faulty;

#[path = "storm/deaths.rs"]
mod deaths;
#[path = "storm/parent.rs"]
mod parent;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use faulty::{Faulty, Received, Reply, mixed};
use lastwords::deliver::{Client, Kept, Order, Spool, State, drain};
use lastwords::report::Envelope;
use parent::Parent;

/// How many reports there are if nobody says it.
const REPORTS: u64 = 2_000;

/// What the failures are drawn from.
const SEED: u64 = 20_240_229;

/// Of so many requests one is told to come back in a second.
const PAUSES: u64 = 1_500;

/// Of so many requests one is never answered.
const STALLS: u64 = 1_000;

/// Once all is well the last drain has to wait for pauses that are not over.
const MOST_DRAINS: usize = 20;

fn reports() -> u64 {
    let named = std::env::var("LASTWORDS_STORM").ok();
    named.map_or(REPORTS, |text| text.parse().expect("LASTWORDS_STORM is a number"))
}

/// What becomes of the request of this number in the storm.
fn reply(number: usize) -> Reply {
    let number = number as u64;
    let pause = || ("Retry-After".to_owned(), "1".to_owned());
    match number {
        _ if number % PAUSES == 700 => Reply::RateLimit("1:error:key:storm".to_owned()),
        _ if number % PAUSES == 1_400 => Reply::Status(503, vec![pause()], Vec::new()),
        _ if number % STALLS == 300 => Reply::StallForever,
        _ => {
            // Four of five are well.
            let mut replies = Reply::mixed();
            replies.retain(|reply| !matches!(reply, Reply::Status(503, ..)));
            let random = mixed(SEED.wrapping_add(number));
            match random % 5 {
                0 => replies[(random / 5 % replies.len() as u64) as usize].clone(),
                _ => Reply::Ok200,
            }
        }
    }
}

/// Whether whoever listens hears that a report was taken.
fn is_heard(reply: &Reply) -> bool {
    matches!(reply, Reply::Ok200 | Reply::HalfBody)
}

#[test]
fn every_report_arrives_once_whoever_is_killed() {
    let reports = reports();
    let healthy = Arc::new(AtomicBool::new(false));
    let server = Faulty::start({
        let healthy = Arc::clone(&healthy);
        move |number| if healthy.load(Ordering::SeqCst) { Reply::Ok200 } else { reply(number) }
    });
    let directory = tempfile::tempdir().expect("a directory");
    let spool = Spool::open(directory.path(), u64::MAX).expect("a spool");

    let mut parent = Parent::new(directory.path(), server.dsn().to_string(), reports, SEED);
    parent.kill_until_done();
    let told = parent.told();

    let published: BTreeMap<&str, u64> =
        told.published.iter().map(|(number, id)| (id.as_str(), *number)).collect();
    assert_eq!(published.len() as u64, reports, "every report was published in the end");
    let before = accepted(&server);
    let waiting = ids(&spool, State::Waiting);
    for id in published.keys() {
        assert!(before.contains_key(*id) || waiting.contains(*id), "{id} is lost");
    }

    healthy.store(true, Ordering::SeqCst);
    let in_storm = server.requests();
    let drains = last_drains(&spool);
    let after = accepted(&server);

    assert_eq!(ids(&spool, State::Waiting), BTreeSet::new());
    let invented: Vec<_> = after.keys().filter(|id| !published.contains_key(id.as_str())).collect();
    assert_eq!(invented, [""; 0], "accepted and never published");
    assert_eq!(after.len() as u64, reports, "a server counts one event for each id");
    assert_eq!(ids(&spool, State::Sent), after.keys().cloned().collect());
    assert_eq!(spool.list().expect("a spool").len() as u64, reports);
    after.values().flatten().for_each(|received| is_whole(received, &published));

    // What was heard is not told again, but by a process that was killed before it could note it,
    // or that had given up when the answer came.
    let heard =
        |received: &&Received| received.number >= in_storm || is_heard(&reply(received.number));
    let counts: Vec<usize> = after.values().map(|all| all.iter().filter(heard).count()).collect();
    let again: usize = counts.iter().map(|count| count.saturating_sub(1)).sum();
    let late = told.unheard.iter().filter(|why| why.contains("does not answer")).count();
    let repeats: usize = after.values().map(|all| all.len() - 1).sum();
    println!(
        "{reports} reports, {} requests, {} kills, {drains} last drains, {} left for them; \
         {} sent in vain ({late} without an answer in time), {repeats} accepted again, {again} of \
         them although the answer was whole",
        server.requests(),
        parent.kills(),
        waiting.len(),
        told.unheard.len(),
    );
    assert!(again <= parent.kills() + late, "{again} were sent again for nothing");

    // What the killed left is taken away once it is old.
    let left = make_old(directory.path());
    Spool::open(directory.path(), u64::MAX).expect("a spool");
    println!("{left} temporary files were left by the killed");
    assert_eq!(make_old(directory.path()), 0);
}

/// What was accepted, by id.
fn accepted(server: &Faulty) -> HashMap<String, Vec<Received>> {
    let mut by_id = HashMap::<_, Vec<Received>>::new();
    for received in server.accepted() {
        by_id.entry(received.event_id.clone().expect("an id")).or_default().push(received);
    }
    by_id
}

fn ids(spool: &Spool, state: State) -> BTreeSet<String> {
    let entries = spool.list().expect("a spool");
    let entries = entries.iter().filter(|entry| entry.state == state);
    entries.map(|entry| entry.id.simple().to_string()).collect()
}

/// Sends what is left; how many drains it took.
fn last_drains(spool: &Spool) -> usize {
    let client = Client::new();
    for drains in 1..=MOST_DRAINS {
        let order = Order {
            ready: &|_| true,
            wants: &|_, _| true,
            fallback: None,
            instead: None,
            on_request: true,
            insist: &[],
            until: None,
            hold: Duration::ZERO,
            pause: Duration::ZERO,
            rate_limit: 0,
        };
        let drained = drain(spool, &client, &order, &mut |id, fate| {
            use lastwords::deliver::Fate::{Kept as Waits, Sent};
            let fine = matches!(fate, Sent | Waits(Kept::RateLimited { .. }));
            assert!(fine, "{id}: {fate}");
        });
        if drained.kept == 0 {
            return drains;
        }
        std::thread::sleep(drained.next.expect("a time"));
    }
    panic!("something waits for ever");
}

/// What arrived is what was published under its id.
fn is_whole(received: &Received, published: &BTreeMap<&str, u64>) {
    let id = received.event_id.as_deref().expect("an id");
    let envelope = Envelope::parse(&received.body).expect("an envelope");
    let event = envelope.event().expect("an event");
    assert_eq!(event["event_id"], id);
    assert_eq!(event["message"], format!("number {}", published[id]));
    let attachments: Vec<_> = envelope.items.iter().filter(|it| it.ty() == "attachment").collect();
    let [attachment] = attachments[..] else { panic!("one attachment of {id}") };
    let line = format!("{id}\n");
    let expected = line.bytes().cycle().take(1 + mixed(published[id]) as usize % 3000);
    assert!(expected.eq(attachment.payload().iter().copied()), "the attachment of {id}");
}

/// Makes temporary files look as if they had been left long ago; how many there are.
fn make_old(state: &Path) -> usize {
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    let folders = ["", "waiting", "sent", "rejected", "limited"].map(|name| state.join(name));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let paths = files.map(|entry| entry.expect("an entry").path());
    let temporary: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(".tmp")).collect();
    for path in &temporary {
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_modified(long_ago).expect("it is ours");
    }
    temporary.len()
}
