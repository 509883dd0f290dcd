//! Kills in the middle of recording: what a thread had finished is there afterwards, and whole.
//!
//! Each test runs this binary again as a child that records as fast as it can, kills it with
//! SIGKILL at a random moment, and reads its region. The child keeps its own account of what it
//! did in a second shared file, with nothing of the library in between: for each record the
//! moment before the call and the moment after it. From that alone the parent derives which
//! breadcrumbs must be there.
//!
//! `LASTWORDS_KILLS` sets how often the first scenario kills (300 without it).

#![cfg(target_os = "linux")]

mod kills_support;

use kills_support::child::{self, Role};
use kills_support::parent::{Kill, Verdict, run};

fn kills() -> u32 {
    std::env::var("LASTWORDS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(300)
}

/// Not a test of its own: the child's side of every scenario. Without a role it has nothing to do.
#[test]
fn child() {
    if let Some(role) = Role::of_this_process() {
        child::record(role);
    }
}

/// Six threads at full speed, records from a few bytes to more than 3 KiB, inside spans.
#[test]
fn a_kill_at_full_speed_loses_nothing_finished() {
    let mut all = Verdict::default();
    for round in 0..kills() {
        let kill = Kill { threads: 6, after_records: 200 + u64::from(round) * 37 % 20_000 };
        all.add(run(&Role::FullSpeed { threads: kill.threads, seed: round }, kill));
    }
    println!("full speed: {all}");
    assert!(all.breadcrumbs > 128 * u64::from(kills()), "{all}");
    assert!(all.owed >= 128 * u64::from(kills()) / 2, "hardly anything was owed: {all}");
    if kills() >= 100 {
        assert!(all.killed_inside > 0, "no kill ever hit a record being copied: {all}");
    }
}

/// The smallest ring, and records that fill a block each: the guarantee at its edge.
#[test]
fn a_small_ring_of_large_records_keeps_the_newest_half() {
    let mut all = Verdict::default();
    for round in 0..kills().div_ceil(10) {
        let kill = Kill { threads: 4, after_records: 600 + u64::from(round) * 211 % 5_000 };
        all.add(run(&Role::BlockEach { threads: kill.threads, seed: round }, kill));
    }
    println!("a block each: {all}");
    assert!(all.owed > 100 * u64::from(kills().div_ceil(10)), "{all}");
}

/// Ten thousand threads of one to three records each, killed on the way.
#[test]
fn short_lived_threads_lose_nothing_finished() {
    let rounds = kills().div_ceil(10);
    let mut all = Verdict::default();
    for round in 0..rounds {
        let seed = u64::from(round);
        // The last round lets all of them run.
        let after_records = if round + 1 == rounds { 19_990 } else { 300 + seed * 653 % 15_000 };
        let kill = Kill { threads: 10_000, after_records };
        all.add(run(&Role::ShortLived { threads: kill.threads, seed: round }, kill));
    }
    println!("short-lived: {all}");
    assert!(all.owed > 100 * u64::from(rounds), "{all}");
}

/// Threads stopped by a signal in the middle of a record hold their blocks; one thread writes on.
#[test]
fn stopped_threads_take_nothing_from_the_one_that_writes() {
    let mut most_stopped_inside = 0;
    for (stopped, seed) in [(6, 1), (6, 2), (40, 3)] {
        let kill = Kill { threads: stopped + 1, after_records: 0 };
        let verdict = run(&Role::Stopped { threads: stopped, seed }, kill);
        println!("{stopped} stopped: {verdict}");
        assert!(verdict.killed_inside > 0, "no thread was stopped inside a record: {verdict}");
        assert!(verdict.killed_inside <= u64::from(stopped), "{verdict}");
        most_stopped_inside = most_stopped_inside.max(verdict.killed_inside);
    }
    assert!(most_stopped_inside >= 6, "at most {most_stopped_inside} were stopped inside a record");
}
