//! Fault injection: programs are killed at random instants, in every setting, and each death has exactly
//! one report, a clean end or an asked stop none, and nothing is left behind.
//!
//! `LASTWORDS_FAULTS=1000` sets the number of kills (200 otherwise), `LASTWORDS_FAULTS_SEED` repeats the
//! choices of a run, whose seed the summary names: what is killed, and when; not the machine's own timing.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
#[path = "faults/judge.rs"]
mod judge;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/plan.rs"]
mod plan;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use common::Setting;
use plan::{Plan, Random};

/// How many are killed at once: some of the time each waits.
const AT_ONCE: usize = 4;

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no number")))
}

#[test]
fn whenever_a_program_is_killed_its_death_is_reported_once() {
    common::Profile::Dev.program("marked");
    let kills = number_of("LASTWORDS_FAULTS").unwrap_or(200);
    let clock = || SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
    let seed = number_of("LASTWORDS_FAULTS_SEED").unwrap_or_else(clock);
    let lengths: BTreeMap<Setting, _> =
        Setting::ALL.into_iter().map(|setting| (setting, kill::length(setting))).collect();
    let next = AtomicU64::new(0);
    let (counts, wrong) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= kills {
                return;
            }
            let plan = Plan::random(&mut Random::new(seed, number), &lengths);
            match catch_unwind(|| kill::carry_out(&plan)) {
                Ok(case) => {
                    let mut counts = counts.lock().unwrap();
                    *counts.entry((plan.setting, case.phase())).or_insert(0_u64) += 1;
                }
                Err(_) => wrong.lock().unwrap().push((number, plan)),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    let (counts, wrong) = (counts.into_inner().unwrap(), wrong.into_inner().unwrap());
    say(seed, kills, &counts);
    assert!(wrong.is_empty(), "seed {seed}: {} of {kills} were wrong: {wrong:#?}", wrong.len());
}

/// Says what was killed when, past the harness's capture.
fn say(seed: u64, kills: u64, counts: &BTreeMap<(Setting, &str), u64>) {
    let mut lines = format!("faults: {kills} kills, seed {seed}\n");
    for setting in Setting::ALL {
        let of = counts.iter().filter(|((it, _), _)| *it == setting);
        let words: Vec<_> = of.map(|((_, phase), count)| format!("{phase} {count}")).collect();
        lines.push_str(&format!("faults: {}: {}\n", setting.word(), words.join(", ")));
    }
    let _ = std::io::stderr().write_all(lines.as_bytes());
}
