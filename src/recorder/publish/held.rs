//! Reports that may still be corrected, and the turn at making them.
//!
//! **Guarantee:** a forked child has a turn of its own and none of its parent's reports. **Lost:** the
//! corrections of all but the last [`MOST_HELD`] reports.

use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use sentry::types::Uuid;

use super::{SETTLED, Scene};
use crate::detect::{Family, Severity};
use crate::record::process_generation;
use crate::report::Ambient;

/// How many reports are kept to be corrected.
const MOST_HELD: usize = 16;

/// The turn at making reports in one process. A forked child has a turn of its own: its parent's
/// may be held by a thread that the child does not have, and what the parent reported is the
/// parent's to correct.
pub(super) struct Working {
    generation: u32,
    held: Mutex<Held>,
    in_child: OnceLock<Box<Working>>,
}

impl Working {
    pub(super) fn of_this_process() -> Working {
        Working {
            generation: process_generation(),
            held: Mutex::default(),
            in_child: OnceLock::new(),
        }
    }

    pub(super) fn here(&self) -> &Mutex<Held> {
        let mut working = self;
        while working.generation != process_generation() {
            let in_child = || Box::new(Working::of_this_process());
            working = working.in_child.get_or_init(in_child);
        }
        &working.held
    }
}

/// Reports that may still be corrected.
#[derive(Default)]
pub(super) struct Held(pub(super) Vec<HeldReport>);

pub(super) struct HeldReport {
    pub(super) scene: Scene,
    /// Its panics, by their numbers.
    pub(super) panics: Vec<u64>,
    pub(super) since: Instant,
    /// Whether the sender may have it.
    pub(super) released: bool,
    /// Whether it says what a `sentry` client knew.
    pub(super) has_ambient: bool,
}

impl HeldReport {
    /// Whether more may still become known of what went on around it.
    pub(super) fn lacks_ambient(&self) -> bool {
        !self.has_ambient && !self.released && self.since.elapsed() < SETTLED
    }

    /// Whether it says that the process dies of it, which the next second may refute.
    pub(super) fn is_to_settle(&self) -> bool {
        self.scene.crash.severity == Severity::Fatal
    }
}

impl Held {
    /// What an earlier version of a report says of what went on around it.
    pub(super) fn ambient_of(&self, id: Uuid) -> Option<Ambient> {
        let held = self.0.iter().find(|held| held.scene.crash.event_id == id)?;
        held.has_ambient.then(|| held.scene.ambient.clone())
    }

    /// Keeps the report of a panic that something may still catch, or that may still turn out to be
    /// the end of the process.
    ///
    /// The oldest makes room, and is given back.
    pub(super) fn keep(
        &mut self,
        scene: Scene,
        has_ambient: bool,
        family: &Family<'_>,
    ) -> Option<HeldReport> {
        self.0.retain(|held| held.scene.crash.event_id != scene.crash.event_id);
        if family.members.iter().any(|panic| panic.aborts) {
            return None;
        }
        let oldest = (self.0.len() == MOST_HELD).then(|| self.0.remove(0));
        let panics = family.members.iter().map(|panic| panic.number).collect();
        self.0.push(HeldReport {
            scene,
            panics,
            since: Instant::now(),
            released: false,
            has_ambient,
        });
        oldest
    }
}
