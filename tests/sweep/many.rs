//! Sixteen sweepers at once, some of them killed at any instant.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::corpse::{Corpse, Grave, LASTWORDS, marked, sweeper, wait_until};
use crate::common::regions_in;
use crate::faulty::{Faulty, Reply, mixed};

const SWEEPERS: u64 = 16;
const DEAD: u128 = 40;

fn id(number: u128) -> String {
    format!("{number:032x}")
}

fn lay(grave: &Grave, dsn: Option<&str>) -> BTreeSet<String> {
    for number in 1..=DEAD {
        grave.lay(Corpse::numbered(number).with("dsn", json!(dsn)));
    }
    (1..=DEAD).map(id).collect()
}

fn spawn(state: &Path) -> Child {
    let mut command = sweeper(state);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run")
}

/// Rounds of sweepers, half of them killed, until no region is left.
fn sweep_and_kill(state: &Path, seed: u64) {
    for round in 0..100 {
        if regions_in(state).is_empty() {
            return;
        }
        let mut sweepers: Vec<_> = (0..SWEEPERS).map(|_| spawn(state)).collect();
        for (number, sweeper) in sweepers.iter_mut().enumerate() {
            let random = mixed(seed + round * SWEEPERS + number as u64);
            if random.is_multiple_of(2) {
                thread::sleep(Duration::from_micros(random >> 8 & 0xFFFF));
                sweeper.kill().expect("it is ours");
            }
        }
        sweepers.iter_mut().for_each(|sweeper| drop(sweeper.wait()));
    }
    panic!("regions are left: {:?}", super::corpse::told(&mut sweeper(state)));
}

/// The reports in a spool, by the names of their files; nothing else may be there.
fn reports(state: &Path) -> Vec<String> {
    // Opened once more by somebody who is not killed: what the killed left goes.
    let status = sweeper(state).stdout(Stdio::null()).status();
    assert!(status.expect("it can be run").success());
    let mut found = Vec::new();
    for folder in ["waiting", "sent", "rejected", "limited", "regions", "."] {
        for entry in std::fs::read_dir(state.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().expect("text");
            match name.strip_suffix(".envelope") {
                Some(id) => found.push(id.to_owned()),
                None => assert!(
                    entry.path().is_dir() || ["lock", "delivery.json"].contains(&name.as_str()),
                    "{folder}/{name}"
                ),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn sixteen_sweepers_of_which_some_are_killed_report_each_death_once() {
    for seed in 0..3 {
        let grave = Grave::new();
        let ids = lay(&grave, None);
        sweep_and_kill(&grave.state(), seed * 10_000);
        assert_eq!(reports(&grave.state()), ids.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn they_deliver_each_death_under_its_own_id_to_a_server_that_fails() {
    let server = Faulty::random(7, Reply::mixed());
    let grave = Grave::new();
    let ids = lay(&grave, Some(&server.dsn().to_string()));
    sweep_and_kill(&grave.state(), 1);
    assert_eq!(reports(&grave.state()), ids.iter().cloned().collect::<Vec<_>>());
    server.set(|_| Reply::Ok200);
    let sent = || std::fs::read_dir(grave.state().join("sent")).expect("a folder").count();
    wait_until("all are sent", || {
        let mut send = Command::new(LASTWORDS);
        send.arg("send").env_clear().env("LASTWORDS_STATE_DIR", grave.state());
        send.env("LASTWORDS_RATE_LIMIT", "0");
        let output = send.output().expect("it can be run");
        assert!(output.status.code().is_some(), "{output:?}");
        sent() == ids.len()
    });
    let accepted: BTreeSet<String> =
        server.accepted_ids().into_iter().map(|id| id.replace('-', "")).collect();
    assert_eq!(accepted, ids);
}

#[test]
fn programs_that_start_and_die_beside_them_are_told_apart() {
    let grave = Grave::new();
    let mut ids = lay(&grave, None);
    let state = grave.state();
    let living = |end: &str| {
        let (run, _marks) = marked("hook", end);
        run.variable("LASTWORDS_STATE_DIR", state.clone())
    };
    let (waits, marks) = marked("hook", "waits");
    let waits = waits.variable("LASTWORDS_STATE_DIR", state.clone()).start();
    super::corpse::wait_for_mark(&marks, "waits");
    thread::scope(|scope| {
        let sweeps = scope.spawn(|| {
            (0..3).for_each(|_| {
                let mut sweepers: Vec<_> = (0..SWEEPERS).map(|_| spawn(&state)).collect();
                sweepers.iter_mut().step_by(3).for_each(|sweeper| drop(sweeper.kill()));
                sweepers.iter_mut().for_each(|sweeper| drop(sweeper.wait()));
            });
        });
        for _ in 0..5 {
            living("quiet").run().exits_with(0);
            living("dies").run().dies_by(libc::SIGSEGV);
        }
        sweeps.join().expect("no panic");
    });
    wait_until("only the living has a region", || {
        let _ = super::corpse::told(&mut sweeper(&state));
        regions_in(&state).len() == 1
    });
    assert!(reports_but_living(&state, &mut ids) == 5, "five died beside them");
    drop(waits);
}

/// How many reports are of nobody that lay there before, but of faults; all that did are among them.
fn reports_but_living(state: &Path, ids: &mut BTreeSet<String>) -> usize {
    let events = crate::common::events_in(state);
    let faults = events.iter().filter(|it| it.exceptions()[0]["type"] == "SIGSEGV").count();
    let panics = events.iter().filter(|it| it.exceptions()[0]["type"] == "panic").count();
    assert_eq!(panics, 1, "of the thread of the one that lives");
    assert_eq!(events.len(), faults + panics + ids.len());
    for event in &events {
        ids.remove(&event.0["event_id"].as_str().expect("an id").replace('-', ""));
    }
    assert!(ids.is_empty(), "{ids:?}");
    faults
}
