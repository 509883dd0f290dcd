//! Every way to die, in every setting: one event or none, with the lines up to the last and the place.
//!
//! What comes out is the table in the README, which has to be that: `LASTWORDS_BLESS=1 cargo test
//! --features cli --test deaths` writes it anew. How many events a death is, and that nothing is left
//! behind, is demanded whatever the table says.

#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "deaths/cell.rs"]
mod cell;
mod common;
#[path = "deaths/table.rs"]
mod table;
#[path = "deaths/ways.rs"]
mod ways;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cell::Cell;
use common::Setting;
use ways::{WAYS, Way};

/// How many die at once: most of them sleep.
const AT_ONCE: usize = 3;

#[test]
fn every_way_to_die_is_one_event_and_no_other_is_any() {
    // Built before anything is timed by anybody.
    for profile in [common::Profile::Dev, common::Profile::Abort] {
        profile.program("dying");
    }
    let ways: Vec<&Way> = WAYS.iter().filter(|way| way.can_be_had()).collect();
    let todo: Vec<(usize, Setting)> =
        (0..ways.len()).flat_map(|way| Setting::ALL.map(|setting| (way, setting))).collect();
    let (next, cells) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((way, setting)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            // One that is not as it should be hides no other.
            let cell = std::panic::catch_unwind(|| cell::of(ways[*way], *setting));
            if let Ok(cell) = cell {
                cells.lock().unwrap().insert((*way, *setting), cell);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    let cells: BTreeMap<(usize, Setting), Cell> = cells.into_inner().unwrap();
    let wrong: Vec<_> = todo.iter().filter(|cell| !cells.contains_key(cell)).collect();
    let wrong: Vec<_> = wrong.iter().map(|(way, setting)| (ways[*way].title, setting)).collect();
    assert!(wrong.is_empty(), "not as they should be: {wrong:?}");
    table::is_in_readme(&ways, &cells);
}
