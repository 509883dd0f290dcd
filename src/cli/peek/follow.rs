//! What is new in a region since it was read last.
//!
//! **Guarantee:** every breadcrumb that a reading finds is given out exactly once, and what was recorded
//! and overwritten between two readings is counted. They come in their order: each waits for one more
//! reading, so that one recorded before it by a thread that was slower to finish goes first. **Lost:** the
//! order, where a thread takes longer than the time between two readings to finish a record.
//!
//! Lines of standard error that belong together wait until no line joins them any more, at most
//! [`MOST_WAITS`] readings; a line without a newline waits for it, or for the end.

use std::collections::HashSet;

use lastwords::record::{Breadcrumb, Position, Select, Snapshot};

/// How many readings a group of lines waits that grows and grows.
const MOST_WAITS: usize = 10;

/// A reader's memory of a region.
#[derive(Debug, Default)]
pub struct Follower {
    /// The records and pieces of standard error that the last reading found.
    present: HashSet<Position>,
    /// How many the readings have found, each counted once.
    found: u64,
    /// What waits: records, then groups of lines.
    records: Vec<Breadcrumb>,
    lines: Vec<Breadcrumb>,
    /// How many readings the first group of lines has waited.
    waits: usize,
    /// The byte of standard error that comes next.
    next: u64,
    /// How many were overwritten before, and when the last reading was over.
    base: u64,
    overwritten: u64,
    /// How much was told to be missed.
    told: Missed,
}

/// What was overwritten before it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missed {
    /// Records, pieces of standard error among them.
    pub records: u64,
    /// Bytes of standard error.
    pub stderr: u64,
}

/// What a reading came to.
#[derive(Debug, Default)]
pub struct News {
    /// What was missed since the last one.
    pub missed: Missed,
    /// What is given out, the oldest first.
    pub breadcrumbs: Vec<Breadcrumb>,
}

impl Follower {
    /// Begins with the second of two readings, the first of which tells what was gone before; the newest
    /// `most` of what is there are given out, most of them after the next reading.
    pub fn begin(before: &Snapshot, first: Snapshot, most: usize) -> (Follower, News) {
        let gone = overwritten(before);
        let next = first.first_stderr.unwrap_or_default();
        let mut follower = Follower { base: gone, overwritten: gone, next, ..Follower::default() };
        let mut news = follower.read(first, false);
        let waiting = follower.records.len() + follower.lines.len();
        let mut older = (news.breadcrumbs.len() + waiting).saturating_sub(most);
        for crumbs in [&mut news.breadcrumbs, &mut follower.records] {
            let gone = older.min(crumbs.len());
            crumbs.drain(..gone);
            older -= gone;
        }
        (follower, news)
    }

    /// What to read next.
    pub fn select(&self) -> Select {
        Select { from_stderr: self.next, ..Select::newest(usize::MAX) }
    }

    /// Takes what was read, by [`select`](Self::select). With `all` nothing waits any longer, but a line
    /// without a newline.
    pub fn read(&mut self, snapshot: Snapshot, all: bool) -> News {
        let missed = self.missed(&snapshot);
        let (records, lines): (Vec<_>, Vec<_>) = snapshot
            .breadcrumbs
            .into_iter()
            .partition(|crumb| matches!(crumb.position, Position::Record { .. }));
        let new = records.into_iter().filter(|crumb| !self.present.contains(&crumb.position));
        let mut breadcrumbs = self.due_records(new.collect(), all);
        self.present = missed.present;
        breadcrumbs.extend(self.due_lines(lines, all));
        // Stable: lines of one piece have one time.
        breadcrumbs.sort_by_key(|crumb| crumb.boot_nanos);
        News { missed: missed.since, breadcrumbs }
    }

    /// Everything that still waits, lines without a newline too: nothing will be added to them.
    pub fn end(mut self, snapshot: Snapshot) -> News {
        self.waits = MOST_WAITS;
        let mut news = self.read(snapshot, true);
        news.breadcrumbs.append(&mut self.lines);
        news
    }

    /// Those that waited before, and those of the new ones that belong before the last of them.
    fn due_records(&mut self, new: Vec<Breadcrumb>, all: bool) -> Vec<Breadcrumb> {
        let mut due = std::mem::take(&mut self.records);
        let last = due.iter().map(|crumb| crumb.boot_nanos).max();
        for crumb in new {
            if all || last.is_some_and(|last| crumb.boot_nanos < last) {
                due.push(crumb);
            } else {
                self.records.push(crumb);
            }
        }
        due
    }

    /// The groups of lines that have not grown. What they hold is not read again.
    fn due_lines(&mut self, found: Vec<Breadcrumb>, all: bool) -> Vec<Breadcrumb> {
        let waiting = std::mem::replace(&mut self.lines, found);
        let mut due = Vec::new();
        while let Some(first) = self.lines.first() {
            let Position::Stderr { to, open, .. } = first.position else { break };
            let has_waited = waiting.iter().any(|crumb| crumb.position == first.position);
            let is_followed = self.lines.len() > 1;
            if open || !(all || has_waited || is_followed || self.waits >= MOST_WAITS) {
                break;
            }
            self.next = to;
            due.push(self.lines.remove(0));
        }
        let grows = !self.lines.is_empty() && due.is_empty();
        self.waits = if grows { self.waits + 1 } else { 0 };
        due
    }

    /// What was overwritten and never found. A record is counted as missed once the reading before this
    /// one has ended after its end: then it cannot be among what this one found.
    fn missed(&mut self, snapshot: &Snapshot) -> Found {
        let records = snapshot.breadcrumbs.iter().map(|crumb| crumb.position);
        let records = records.filter(|at| matches!(at, Position::Record { .. }));
        let present: HashSet<Position> = records.chain(snapshot.pieces.iter().copied()).collect();
        self.found += present.difference(&self.present).count() as u64;
        let found_and_gone = self.found - present.len() as u64;
        let gone = self.overwritten.saturating_sub(self.base);
        self.overwritten = overwritten(snapshot);
        let gap = snapshot.first_stderr.map_or(0, |first| first.saturating_sub(self.next));
        self.next += gap;
        let records = gone.saturating_sub(found_and_gone).max(self.told.records);
        let since = Missed { records: records - self.told.records, stderr: gap };
        self.told.records = records;
        Found { present, since }
    }
}

/// What a reading found, and missed.
struct Found {
    present: HashSet<Position>,
    since: Missed,
}

/// How many records were overwritten for good.
fn overwritten(snapshot: &Snapshot) -> u64 {
    snapshot.losses.overwritten.saturating_sub(snapshot.overtaken)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use lastwords::record::{Identity, Losses, ThreadInfo};
    use proptest::prelude::*;

    use super::*;

    fn crumb(boot_nanos: u64, position: Position) -> Breadcrumb {
        Breadcrumb {
            time: SystemTime::UNIX_EPOCH,
            boot_nanos,
            level: tracing_core::Level::INFO,
            target: String::new(),
            message: boot_nanos.to_string(),
            fields: serde_json::Map::new(),
            thread: ThreadInfo::default(),
            spans: Vec::new(),
            file: None,
            line: None,
            cut: false,
            amid_panic: false,
            position,
        }
    }

    fn record(number: u64) -> Breadcrumb {
        crumb(number, Position::Record { lease: number, word: 0 })
    }

    fn lines(from: u64, to: u64, open: bool) -> Breadcrumb {
        crumb(from, Position::Stderr { from, to, open })
    }

    fn snapshot(breadcrumbs: Vec<Breadcrumb>, overwritten: u64) -> Snapshot {
        Snapshot {
            identity: Identity::default(),
            ended_cleanly: false,
            breadcrumbs,
            losses: Losses { overwritten, ..Losses::default() },
            overtaken: 0,
            pieces: Vec::new(),
            first_stderr: None,
            tags: Vec::new(),
            fatal: None,
            asked: None,
            ended_by: None,
            silent_reported: false,
            child_pid: 0,
            owner_pid: 0,
            panics: Vec::new(),
            leases: 0,
            modules: Vec::new(),
        }
    }

    fn told(news: &News) -> Vec<u64> {
        news.breadcrumbs.iter().map(|crumb| crumb.boot_nanos).collect()
    }

    fn begin(breadcrumbs: Vec<Breadcrumb>, most: usize) -> (Follower, Vec<u64>) {
        let before = snapshot(Vec::new(), 0);
        let (follower, news) = Follower::begin(&before, snapshot(breadcrumbs, 0), most);
        (follower, told(&news))
    }

    #[test]
    fn a_record_that_was_finished_late_comes_in_its_place() {
        let (mut follower, first) = begin([1, 2, 4].map(record).to_vec(), 2);
        assert!(first.is_empty());
        let all = |numbers: &[u64]| numbers.iter().copied().map(record).collect::<Vec<_>>();
        let news = follower.read(snapshot(all(&[1, 2, 3, 4, 5]), 0), false);
        assert_eq!(told(&news), [2, 3, 4], "the newest 2, and one between them");
        assert_eq!(told(&follower.end(snapshot(all(&[1, 2, 3, 4, 5, 6]), 0))), [5, 6]);
    }

    #[test]
    fn lines_wait_for_those_that_belong_to_them() {
        let (mut follower, first) = begin(vec![lines(0, 10, false), lines(10, 20, false)], 9);
        assert_eq!(first, [0]);
        assert_eq!(follower.select().from_stderr, 10);
        let news = follower.read(snapshot(vec![lines(10, 30, false)], 0), false);
        assert!(told(&news).is_empty(), "it has grown");
        let news =
            follower.read(snapshot(vec![lines(10, 30, false), lines(30, 33, true)], 0), false);
        assert_eq!(told(&news), [10]);
        let open = || snapshot(vec![lines(30, 33, true)], 0);
        assert!(told(&follower.read(open(), false)).is_empty(), "it has no newline yet");
        assert_eq!(told(&follower.end(open())), [30], "and never will have");
    }

    #[test]
    fn lines_that_grow_for_ever_are_shown() {
        let (mut follower, _) = begin(Vec::new(), 9);
        let grows = |to| snapshot(vec![lines(0, to, false)], 0);
        let shown = (1..100).position(|to| !told(&follower.read(grows(to), false)).is_empty());
        assert!(shown.is_some_and(|readings| readings <= MOST_WAITS), "{shown:?}");
    }

    #[test]
    fn a_gap_in_standard_error_is_told_in_bytes() {
        let (mut follower, _) = begin(vec![lines(0, 10, false)], 9);
        follower.read(snapshot(vec![lines(0, 10, false)], 0), false);
        let later = Snapshot { first_stderr: Some(50), ..snapshot(vec![lines(50, 60, false)], 0) };
        let missed = follower.read(later, false).missed;
        assert_eq!(missed, Missed { records: 0, stderr: 40 });
    }

    proptest! {
        /// A ring of eight, and a reader that comes now and then, before some have been finished.
        #[test]
        fn what_is_shown_and_what_is_missed_is_everything(
            rounds in prop::collection::vec((0u64..20, any::<bool>()), 1..40),
        ) {
            const ROOM: u64 = 8;
            let (mut follower, _) = begin(Vec::new(), usize::MAX);
            let (mut written, mut shown, mut missed) = (0, BTreeMap::new(), 0);
            let ring = |written: u64, late: bool| {
                let from = written.saturating_sub(ROOM);
                // The one before the last is being copied still.
                let there = (from..written).filter(|n| !(late && n + 2 == written));
                snapshot(there.map(record).collect(), from)
            };
            let mut take = |news: News| {
                missed += news.missed.records;
                let told = told(&news);
                let sorted = told.is_sorted();
                told.into_iter().for_each(|n| *shown.entry(n).or_insert(0) += 1);
                sorted
            };
            for (more, late) in rounds {
                written += more;
                // One that is new, and only that, may not be finished yet.
                let late = late && more >= 2;
                prop_assert!(take(follower.read(ring(written, late), false)));
            }
            prop_assert!(take(follower.read(ring(written, false), false)));
            prop_assert!(take(follower.end(ring(written, false))));
            prop_assert!(shown.values().all(|times| *times == 1), "{shown:?}");
            prop_assert_eq!(shown.len() as u64 + missed, written);
        }
    }
}
