//! Models of the ring's protocol: every order of every store and load that the memory model allows
//! for a few threads and a tiny ring.
//!
//! ```text
//! RUSTFLAGS="--cfg lastwords_loom" cargo test --lib --release loom_
//! ```
//!
//! A record is two equal words (the second is its time), so a torn one shows itself; the numbers
//! say who wrote it. What is checked at any moment is that a reader gets whole records of one
//! lease, and at the end that nothing finished is missing among the newest.
//!
//! The models are as strong as they should be; each of these changes makes one of them fail:
//! * `fence(Release)` in `Ring::try_lease` removed: a reader sees words of a new lease under the
//!   state of the old one (`loom_a_reader_gets_whole_records`);
//! * `fence(Acquire)` in `Ring::read_block` removed: the same;
//! * the commit's `Release` store relaxed, or the reader's `Acquire` load of the state: a reader
//!   sees a length before the words (`loom_a_reader_gets_whole_records`);
//! * the check of a lease's age removed: the newest finished record is overwritten
//!   (`loom_the_newest_is_not_the_next_to_go`);
//! * a block taken though it is busy: its owner's copy lands in another's lease
//!   (`loom_writers_keep_apart`).

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::super::layout::{BLOCK_HEADER_WORDS, NAME_BYTES};
use super::super::ring::{Appended, Cursor, Refused, Ring, RingPlace, State, Writer};
use super::super::sync::{AtomicU64, Ordering, Words};

/// Records that fit a block.
const PER_BLOCK: usize = 2;
/// Words of a record.
const RECORD: usize = 2;

struct Memory(Vec<AtomicU64>);

impl Words for Memory {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0[index]
    }
}

/// A ring and its counters.
struct Model {
    memory: Memory,
    place: RingPlace,
}

impl Model {
    fn new(block_count: usize, stale: u64) -> Model {
        let block_words = BLOCK_HEADER_WORDS + PER_BLOCK * RECORD;
        let words = 2 + block_count * block_words;
        let place = RingPlace {
            id: 1,
            blocks: 2,
            block_count,
            block_words,
            next_lease: 0,
            overwritten: 1,
            stale,
        };
        Model { memory: Memory((0..words).map(|_| AtomicU64::new(0)).collect()), place }
    }

    fn ring(&self) -> Ring<'_, Memory> {
        Ring::new(&self.memory, &self.place)
    }

    /// Appends a record that is `value` twice, for a thread of number `value / 10`.
    fn append(&self, cursor: &mut Cursor, value: u64) -> Result<Appended, Refused> {
        let thread = value / 10;
        let writer =
            || Writer { id: thread, name_len: thread as usize, name: [thread; NAME_BYTES / 8] };
        self.ring().append(cursor, writer, &mut [value; RECORD], 1, || value)
    }

    /// The records of every block, after checking that they are whole.
    fn read(&self) -> Vec<u64> {
        (0..self.place.block_count).flat_map(|i| self.read_one(i).unwrap_or_default()).collect()
    }

    fn read_one(&self, index: usize) -> Option<Vec<u64>> {
        let (state, words) = self.ring().read_block(index)?;
        check(state, &words);
        let records = words.get(BLOCK_HEADER_WORDS..).unwrap_or_default();
        Some(records.chunks_exact(RECORD).map(|record| record[0]).collect())
    }
}

/// Whether all records of a block are whole, and of the thread its header names.
fn check(state: State, words: &[u64]) {
    let Some(records) = words.get(BLOCK_HEADER_WORDS..) else {
        assert_eq!(state.lease, 0, "a leased block has a header");
        return;
    };
    assert!(records.len().is_multiple_of(RECORD), "a length between records: {state:?}");
    let mut last = 0;
    for record in records.chunks_exact(RECORD) {
        assert_eq!(record[0], record[1], "a torn record: {state:?} {words:?}");
        assert!(record[0] > last, "out of order: {state:?} {words:?}");
        last = record[0];
        for of_thread in &words[2..BLOCK_HEADER_WORDS] {
            assert_eq!(*of_thread, record[0] / 10, "of another thread: {state:?} {words:?}");
        }
    }
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&executions);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        f();
    });
    println!("{} executions", executions.load(std::sync::atomic::Ordering::Relaxed));
}

/// One block: every third record takes it over, under the reader's eyes.
#[test]
fn loom_a_reader_gets_whole_records() {
    model(3, || {
        let model = Arc::new(Model::new(1, 8));
        let writing = Arc::clone(&model);
        let writer = thread::spawn(move || {
            let mut cursor = Cursor::NONE;
            for value in [11, 12, 13] {
                writing.append(&mut cursor, value).unwrap();
            }
        });
        let reading = Arc::clone(&model);
        let reader = thread::spawn(move || {
            let seen = reading.read();
            assert!(matches!(seen[..], [] | [11] | [11, 12] | [13]), "{seen:?}");
        });
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(model.read(), [13]);
        assert_eq!(model.memory.word(1).load(Ordering::Relaxed), 2, "two were overwritten");
    });
}

/// Two threads take one block from each other: the words of neither land under the other's lease.
#[test]
fn loom_writers_keep_apart() {
    model(2, || {
        let model = Arc::new(Model::new(1, 8));
        let writers = [1, 2].map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut cursor = Cursor::NONE;
                let write = |value| model.append(&mut cursor, value).is_ok();
                [10 * number + 1, 10 * number + 2].map(write)
            })
        });
        // A ring of one block refuses a record while the other thread is in the middle of one.
        let finished: usize = writers
            .into_iter()
            .map(|writer| writer.join().unwrap().iter().filter(|done| **done).count())
            .sum();
        let left = model.read().len();
        let overwritten = model.memory.word(1).load(Ordering::Relaxed) as usize;
        assert!(left > 0);
        assert_eq!(left + overwritten, finished, "every finished record is kept or counted");
    });
}

/// A thread that comes back to a lease which others have made old leaves it, so that its newest
/// record is not the next to be overwritten. (Concurrent threads are all spawned: the model does
/// not try every order against its first thread.)
#[test]
fn loom_an_old_lease_is_left() {
    model(3, || {
        let model = Arc::new(Model::new(2, 0));
        let mut cursor = Cursor::NONE;
        model.append(&mut cursor, 11).unwrap();
        let (one, other) = (Arc::clone(&model), Arc::clone(&model));
        let coming_back = thread::spawn(move || one.append(&mut cursor, 12));
        let newcomer = thread::spawn(move || {
            let mut cursor = Cursor::NONE;
            other.append(&mut cursor, 21)
        });
        let came_back = coming_back.join().unwrap();
        let new = newcomer.join().unwrap();
        let kept = model.read();
        // A ring of two keeps what has the newest lease, whoever wrote it.
        let newest = match (came_back, new) {
            (Ok(back), Ok(new)) if new.lease > back.lease => 21,
            (Ok(_), _) => 12,
            (Err(_), _) => 21,
        };
        assert!(kept.contains(&newest), "{kept:?} lacks {newest}: {came_back:?} {new:?}");
        if let (Ok(back), Ok(new)) = (came_back, new) {
            // The last of the two to look at the counter saw the ticket of the first: its record
            // lies under a lease that is not the next to go.
            let mut cursor = Cursor::NONE;
            model.append(&mut cursor, 31).unwrap();
            let kept = model.read();
            let newest = if back.lease < new.lease { 21 } else { 12 };
            assert!(kept.contains(&newest), "{kept:?} lost {newest} to one more lease");
        }
    });
}

/// The same without a race: a record under a lease that had grown old would be the next to go.
#[test]
fn loom_the_newest_is_not_the_next_to_go() {
    model(1, || {
        let model = Model::new(2, 0);
        let (mut one, mut other, mut third) = (Cursor::NONE, Cursor::NONE, Cursor::NONE);
        model.append(&mut one, 11).unwrap();
        model.append(&mut other, 21).unwrap();
        model.append(&mut one, 12).unwrap();
        model.append(&mut third, 31).unwrap();
        assert_eq!(model.read(), [31, 12]);
    });
}

/// While one thread is in the middle of a record, its block is passed over and stays whole.
#[test]
fn loom_a_busy_block_is_passed_over() {
    model(2, || {
        let model = Arc::new(Model::new(4, 1));
        let (slow, fast) = (Arc::clone(&model), Arc::clone(&model));
        let slow = thread::spawn(move || {
            let mut cursor = Cursor::NONE;
            slow.append(&mut cursor, 11).is_ok()
        });
        let fast = thread::spawn(move || {
            // A lease for each record: the fifth comes round to the slow thread's block.
            for value in [21, 22, 23, 24, 25] {
                let mut cursor = Cursor::NONE;
                assert!(fast.append(&mut cursor, value).is_ok(), "there is always a block");
            }
        });
        fast.join().unwrap();
        let slow = slow.join().unwrap();
        let kept = model.read();
        let overwritten = model.memory.word(1).load(Ordering::Relaxed) as usize;
        // The memory model allows a thread to load a state of long ago, and to throw a ticket away
        // for it. In a ring of four that can be all tickets, so which records are kept is not
        // said here, but each is whole, and kept or counted.
        assert_eq!(kept.len() + overwritten, 5 + usize::from(slow), "{kept:?}");
    });
}
