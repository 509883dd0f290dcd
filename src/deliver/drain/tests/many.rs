//! Several drains of one spool, in threads and in processes.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

const CHILD_DIR: &str = "LASTWORDS_TEST_DRAIN_DIR";

/// Notes each id in a file, by one write: several processes may share it.
struct Ledger(std::path::PathBuf);

impl Courier for Ledger {
    fn post(&self, _: &Dsn, envelope: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
        let id = Envelope::parse(envelope).unwrap().event_id().unwrap();
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(format!("{}\n", id.simple()).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        answer(200, "")
    }
}

impl Ledger {
    fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for line in fs::read_to_string(&self.0).unwrap().lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
        counts
    }
}

/// Drains until nothing waits.
fn drain_all(spool: &Spool, courier: &dyn Courier) {
    while !spool.waiting().unwrap().is_empty() {
        drain(spool, courier, &requested(), &mut |_, fate| {
            assert!(matches!(fate, Fate::Sent | Fate::Kept(Kept::BeingSent)), "{fate}");
        });
    }
}

#[test]
fn drains_in_threads_send_nothing_twice() {
    let bench = Bench::with(&(1..=60).collect::<Vec<_>>());
    let ledger = Ledger(bench.spool.dir().join("ledger"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| drain_all(&bench.spool, &ledger));
        }
    });
    let counts = ledger.counts();
    assert_eq!(counts.len(), 60);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(bench.states().iter().all(|(_, state)| *state == State::Sent));
}

/// Started by the test below in a process of its own.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let spool = Spool::open_existing(dir.as_ref()).unwrap();
    drain_all(&spool, &Ledger(spool.dir().join("ledger")));
}

fn start_child(spool: &Spool) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "deliver::drain::tests::many::child"])
        .env(CHILD_DIR, spool.dir())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn drains_in_processes_send_nothing_twice() {
    let bench = Bench::with(&(1..=60).collect::<Vec<_>>());
    let children: Vec<_> = (0..3).map(|_| start_child(&bench.spool)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let counts = Ledger(bench.spool.dir().join("ledger")).counts();
    assert_eq!(counts.len(), 60);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn a_killed_drain_costs_at_most_one_report_sent_again() {
    let bench = Bench::with(&(1..=200).collect::<Vec<_>>());
    let ledger = Ledger(bench.spool.dir().join("ledger"));
    let mut kills = 0;
    while kills < 5 {
        let mut child = start_child(&bench.spool);
        let before = fs::read(&ledger.0).map_or(0, |bytes| bytes.len());
        while child.try_wait().unwrap().is_none()
            && fs::read(&ledger.0).map_or(0, |bytes| bytes.len()) < before + 33 * 7
        {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    drain_all(&bench.spool, &ledger);
    let counts = ledger.counts();
    assert_eq!(counts.len(), 200);
    let again = counts.values().map(|count| count - 1).sum::<usize>();
    assert!(again <= kills, "{again} sent again after {kills} kills");
    assert!(bench.states().iter().all(|(_, state)| *state == State::Sent));
}

#[test]
fn who_is_sent_by_another_is_left_to_him() {
    let bench = Bench::with(&[1, 2]);
    let claim = bench.spool.claim(id(1)).unwrap();
    let (fates, drained) = bench.drain(&requested());
    assert_eq!(fates, [(1, Fate::Kept(Kept::BeingSent)), (2, Fate::Sent)]);
    assert!(drained.next.is_some());
    drop(claim);
    assert_eq!(bench.fates(&requested()), [Fate::Sent]);
}

#[test]
fn a_report_is_not_replaced_while_it_is_sent() {
    struct Replacer<'a>(&'a Spool);
    impl Courier for Replacer<'_> {
        fn post(&self, _: &Dsn, _: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
            assert!(!self.0.change(id(1), |_| Some(b"amended".to_vec())).unwrap());
            // Nothing but the claim is held: others can be sent, and the journal can be read.
            #[cfg(target_os = "linux")]
            assert!(self.0.claim(id(2)).unwrap().is_some());
            self.0.change_journal(0, |_| ());
            answer(200, "")
        }
    }
    let bench = Bench::with(&[1]);
    let replacer = Replacer(&bench.spool);
    assert_eq!(drain(&bench.spool, &replacer, &requested(), &mut |_, _| ()).sent, 1);
}
