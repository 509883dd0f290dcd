//! The sweep: what becomes of each region, by what the command says and by what is left on disk.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
#[path = "sweep/corpse.rs"]
mod corpse;
mod faulty;
#[path = "sweep/many.rs"]
mod many;
#[path = "sweep/places.rs"]
mod places;
#[path = "sweep/starts.rs"]
mod starts;

use corpse::{
    COMPLETE, Corpse, Grave, NOBODY, UNKEPT, age, hold, marked, own_start, wait_for_mark, word,
};
use serde_json::json;

#[test]
fn one_that_lives_is_left_and_reported_when_it_is_dead() {
    let (run, marks) = marked("hook", "waits");
    let mut running = run.start();
    wait_for_mark(&marks, "waits");
    let state = running.state();
    let told = corpse::told(&mut corpse::sweeper(&state));
    assert_eq!(told[0]["outcome"], "lives");
    assert_eq!(common::regions_in(&state).len(), 1);
    // Dead, and nobody has waited for it: a zombie.
    let region = common::regions_in(&state).remove(0);
    let id = corpse::death_id(&region);
    running.signal(libc::SIGKILL);
    let stat = format!("/proc/{}/stat", running.pid());
    corpse::wait_until("a zombie", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    let told = corpse::told(&mut corpse::sweeper(&state));
    assert_eq!((&told[0]["outcome"], &told[0]["ids"]), (&json!("reported"), &json!([id])));
    assert!(running.has_ended());
    let outcome = running.finish();
    assert_eq!(outcome.events().len(), 2, "its thread's panic, and its death");
    outcome.leaves_no_region();
}

#[test]
fn a_reused_process_id_is_another_process() {
    let grave = Grave::new();
    let own = json!(std::process::id());
    grave.lay(Corpse::new().with("pid", own).with("start_ticks", json!(1)));
    assert_eq!(grave.outcome(), "reported");
    assert_eq!(grave.types(), ["SIGKILL"]);
    grave.is_empty();
}

#[test]
fn a_process_that_executed_another_program_did_not_die() {
    let grave = Grave::new();
    let own = json!(std::process::id());
    grave.lay(Corpse::new().with("pid", own).with("start_ticks", json!(own_start())));
    assert_eq!(grave.outcome(), "replaced");
    assert_eq!(grave.events().len(), 0);
    grave.is_empty();
}

#[test]
fn a_restart_of_the_machine_is_no_death_but_what_was_written_down_is_told() {
    let grave = Grave::new();
    let restarted = || Corpse::new().with("boot_id", json!("00000000-another-boot"));
    grave.lay(restarted());
    assert_eq!(grave.outcome(), "restarted");
    assert_eq!(grave.events().len(), 0);
    grave.lay(restarted().panic_is(COMPLETE));
    assert_eq!(grave.outcome(), "reported");
    assert_eq!(grave.types(), ["panic"]);
    grave.is_empty();
}

#[test]
fn a_panic_that_no_directory_took_is_reported_beside_the_death() {
    for state in [COMPLETE, UNKEPT] {
        let grave = Grave::new();
        grave.lay(Corpse::new().panic_is(state));
        assert_eq!(grave.outcome(), "reported");
        let mut types = grave.types();
        types.sort();
        assert_eq!(types, ["SIGKILL", "panic"]);
        grave.is_empty();
    }
}

#[test]
fn another_namespace_is_told_by_the_lock() {
    let grave = Grave::new();
    let path = grave.lay(Corpse::new().with("pid_namespace", json!(1)));
    let held = hold(&path);
    assert_eq!(grave.outcome(), "lives");
    drop(held);
    assert_eq!(grave.outcome(), "reported");
    assert_eq!(grave.types(), ["SIGKILL"]);
}

#[test]
fn what_a_monitor_left_before_it_started_anything_is_no_death() {
    let grave = Grave::new();
    let unborn = || Corpse::new().with("pid", json!(0)).set_word(word::CHILD, 0);
    let path = grave.lay(unborn());
    let held = hold(&path);
    assert_eq!(grave.outcome(), "lives", "somebody may take it over");
    drop(held);
    assert_eq!(grave.outcome(), "ended-well");
    assert_eq!(grave.events().len(), 0);
    grave.is_empty();
}

#[test]
fn another_machines_region_is_left_alone() {
    let grave = Grave::new();
    let other = Corpse::new().with("boot_id", json!("x")).with("server_name", json!("elsewhere"));
    let path = grave.lay(other);
    let told = grave.sweep();
    assert_eq!(told[0]["outcome"], "other-machine");
    assert!(told[0]["words"].as_str().unwrap().contains("elsewhere"));
    assert!(path.exists() && grave.events().is_empty());
}

#[test]
fn an_asked_stop_and_a_clean_end_are_none() {
    for (end, asked, outcome) in [(2, 15, "stopped"), (1, 0, "ended-well")] {
        let grave = Grave::new();
        grave.lay(Corpse::new().set_word(word::END, end).set_word(word::ASKED, asked));
        assert_eq!(grave.outcome(), outcome);
        assert_eq!(grave.events().len(), 0);
        grave.is_empty();
    }
}

#[test]
fn a_death_that_is_in_the_spool_is_only_marked() {
    let grave = Grave::new();
    grave.lay(Corpse::new());
    assert_eq!(grave.outcome(), "reported");
    grave.lay(Corpse::new());
    assert_eq!(grave.outcome(), "had-reported");
    assert_eq!(grave.events().len(), 1);
    grave.is_empty();
}

#[test]
fn other_layouts_are_left_to_their_own_versions() {
    for version in [1, 99] {
        let grave = Grave::new();
        let path = grave.lay(Corpse::new().set_word(word::VERSION, version));
        age(&path, 100_000);
        let told = grave.sweep();
        assert_eq!(told[0]["outcome"], "other-layout");
        assert!(told[0]["words"].as_str().unwrap().contains(&version.to_string()));
        assert!(path.exists());
    }
}

#[test]
fn a_half_written_one_is_left_while_somebody_may_write_it() {
    let half = Corpse::new().set_word(word::MAGIC, 0).bytes();
    // Whose process id it is, its age in seconds, whether it is held; whether it goes.
    let cases = [
        (NOBODY, 0, false, false),
        (NOBODY, 5, false, true),
        (NOBODY, 100, true, false),
        (std::process::id(), 5, false, false),
        (std::process::id(), 100, false, true),
    ];
    for (pid, seconds, is_held, goes) in cases {
        for bytes in [&half[..], &[], &half[..100]] {
            let grave = Grave::new();
            let path = grave.put(pid, bytes);
            let held = is_held.then(|| hold(&path));
            age(&path, seconds);
            let outcome = if goes { "damaged" } else { "unfinished" };
            assert_eq!(grave.outcome(), outcome, "{pid} {seconds} {is_held}");
            assert_eq!((path.exists(), grave.events().len()), (!goes, 0));
            drop(held);
        }
    }
}

#[test]
fn whatever_is_in_a_region_the_sweep_ends_and_tells_of_it() {
    let grave = Grave::new();
    let whole = Corpse::numbered(1).bytes();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        random >> 16
    };
    for number in 0..30_usize {
        let length = if number % 2 == 0 { 4096 } else { whole.len() };
        grave.put(NOBODY, &whole[..next() as usize % length]);
        let mut damaged = whole.clone();
        for _ in 0..1 << (number % 10) {
            // Every other one in the header alone.
            let words = if number % 2 == 0 { 512 } else { damaged.len() / 8 };
            let at = next() as usize % words * 8;
            damaged[at..at + 8].copy_from_slice(&next().to_ne_bytes());
        }
        grave.put(NOBODY, &damaged);
    }
    common::regions_in(&grave.state()).iter().for_each(|path| age(path, 5));
    let told = grave.sweep();
    assert_eq!(told.len(), 60);
    // What is no region is gone; of the others each has its outcome.
    let left: Vec<_> = grave.sweep();
    let stays = ["other-layout", "other-machine", "unreadable", "lives", "waits-for-program"];
    assert!(left.iter().all(|one| stays.contains(&one["outcome"].as_str().unwrap())), "{left:?}");
}
