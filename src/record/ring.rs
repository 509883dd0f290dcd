//! The ring: 256 blocks, each leased to one thread at a time.
//!
//! **Guarantee.** A record that [`Ring::append`] has finished is whole for every reader, and stays
//! among the newest 128 until 128 newer ones are finished, whatever the number, the churn and the
//! stops of threads (up to 63 threads stopped in the middle of a record at once; each one beyond
//! takes one record off the 128). Appending never waits, never allocates and takes no lock.
//! **Lost:** a kill costs the one record each thread was copying; a record larger than a block is
//! refused; with every block held by a thread in the middle of a record, new ones are refused and
//! counted.
//!
//! # Protocol
//! Each block has one state word: `lease << 18 | busy << 17 | committed words`.
//! * *Taking a lease:* a ticket from the one shared counter names the block `ticket % 256`, which
//!   holds the oldest lease. If it is not busy it becomes ours by one compare-exchange, already
//!   busy, with nothing committed. If it is busy its thread was stopped in the middle of a record:
//!   the ticket is thrown away and the next one tried.
//! * *Writing:* the owner marks its block busy (compare-exchange from exactly the lease and length
//!   it remembers, which fails if the block was taken from it meanwhile), copies the record behind
//!   the committed words, and commits by a release store of the new length.
//! * *Moving on:* while busy, and after it has read the clock, the owner compares its lease with
//!   the counter. If more than [`STALE`] tickets were drawn since, it takes a new lease. So a
//!   record with time *t* lies in a block that at *t* had at least 256 − `STALE` = 192 tickets
//!   before it, and each of those that is not thrown away brings a record later than *t*.
//!
//! # Reading
//! A reader loads a state (acquire), copies what is committed, and loads the state again: if the
//! lease is the same, what it copied is whole, because within a lease words are only appended. It
//! is a sequence lock whose sequence is the lease: the new owner's compare-exchange is followed by
//! a release fence, the reader's copy by an acquire fence, so a reader that saw any word of the
//! new lease also sees the new state.
//!
//! # Costs
//! One uncontended compare-exchange, one load of a shared word that changes once per block, and
//! the copy. Threads share no cache line but the counter's, and that one only when a block is full.

use super::layout::{BLOCK_HEADER_WORDS, BLOCKS, NAME_BYTES};
use super::sync::{Ordering, Words, fence};

/// How many tickets old a lease may be when a record is written under it.
pub(crate) const STALE: u64 = BLOCKS as u64 / 4;

/// How many leases old the last copy of a span may be when an event in it is written: the span
/// must live as long as the event stays among the newest half of the ring.
pub(crate) const SPAN_STALE: u64 = BLOCKS as u64 / 2 - BLOCKS as u64 / 8;

const BUSY: u64 = 1 << 17;
const COMMITTED: u64 = BUSY - 1;
const LEASE_SHIFT: u32 = 18;

/// A block's state word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// The lease the block is under; 0 for a block that was never leased.
    pub(crate) lease: u64,
    /// Whether its owner is in the middle of a record.
    pub(crate) busy: bool,
    /// Words committed, counted from the block's first word.
    pub(crate) committed: usize,
}

impl State {
    pub(crate) fn unpack(word: u64) -> State {
        State {
            lease: word >> LEASE_SHIFT,
            busy: word & BUSY != 0,
            committed: (word & COMMITTED) as usize,
        }
    }
}

const fn pack(lease: u64, committed: usize) -> u64 {
    lease << LEASE_SHIFT | committed as u64
}

/// Where a thread writes next. A plain value without a destructor: a thread that ends leaves
/// nothing to clean up, its lease grows old by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    /// The ring this cursor is of (see [`Ring::new`]); 0 for none.
    ring: u64,
    lease: u64,
    committed: usize,
}

impl Cursor {
    /// A cursor without a lease.
    pub(crate) const NONE: Cursor = Cursor { ring: 0, lease: 0, committed: 0 };
}

/// What [`Ring::append`] did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The lease it was written under.
    pub(crate) lease: u64,
    /// The time it was given.
    pub(crate) time: u64,
}

/// Why a record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is larger than a block.
    TooLarge,
    /// Every block is held by a thread in the middle of a record.
    AllBusy,
}

/// Who writes, for the header of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    /// The thread's id.
    pub(crate) id: u64,
    /// Bytes of the thread's name.
    pub(crate) name_len: usize,
    /// The thread's name, filled up with zeros.
    pub(crate) name: [u64; NAME_BYTES / 8],
}

/// The writing side of a ring that lies in `words`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a, W> {
    words: &'a W,
    place: &'a RingPlace,
}

/// Where a ring and its counters lie, in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingPlace {
    /// Number that no other ring of this process has, and not 0.
    pub(crate) id: u64,
    /// First word of the first block.
    pub(crate) blocks: usize,
    /// How many blocks: a power of two.
    pub(crate) block_count: usize,
    /// Words of one block.
    pub(crate) block_words: usize,
    /// The word that counts leases.
    pub(crate) next_lease: usize,
    /// The word that counts overwritten events.
    pub(crate) overwritten: usize,
    /// See [`STALE`].
    pub(crate) stale: u64,
}

impl<'a, W: Words> Ring<'a, W> {
    #[inline]
    pub(crate) fn new(words: &'a W, place: &'a RingPlace) -> Ring<'a, W> {
        Ring { words, place }
    }

    /// How many leases were given so far.
    #[inline]
    pub(crate) fn leases(&self) -> u64 {
        // Relaxed: the number only says how old a lease is, and no data is reached through it.
        self.words.word(self.place.next_lease).load(Ordering::Relaxed)
    }

    /// Writes `record`, whose word 1 is set to the time that `clock` gives, and counts it as
    /// `events` events.
    ///
    /// # Errors
    /// [`Refused`]; the record is then nowhere, and it is the caller's to count it.
    #[inline]
    pub(crate) fn append(
        &self,
        cursor: &mut Cursor,
        writer: impl FnOnce() -> Writer,
        record: &mut [u64],
        events: u64,
        clock: impl Fn() -> u64,
    ) -> Result<Appended, Refused> {
        if let Some(appended) = self.append_to_lease(cursor, record, events, &clock) {
            return Ok(appended);
        }
        self.append_to_new_lease(cursor, writer(), record, events, clock)
    }

    /// Writes `record` into the block the cursor has leased, if it still has it, the record fits
    /// and the lease is young enough.
    #[inline]
    fn append_to_lease(
        &self,
        cursor: &mut Cursor,
        record: &mut [u64],
        events: u64,
        clock: impl Fn() -> u64,
    ) -> Option<Appended> {
        let Cursor { ring, lease, committed } = *cursor;
        if ring != self.place.id || committed + record.len() > self.place.block_words {
            return None;
        }
        let block = self.block_of(lease);
        let idle = pack(lease, committed);
        // Acquire keeps the copy below it. It fails if another thread took the block, or if a
        // signal handler of this thread interrupted a record and writes one of its own.
        let state = self.words.word(block);
        state.compare_exchange(idle, idle | BUSY, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let time = clock();
        if self.leases().wrapping_sub(lease) > self.place.stale {
            state.store(idle, Ordering::Release);
            return None;
        }
        self.copy_and_commit(block, lease, committed, record, events, time);
        cursor.committed = committed + record.len();
        Some(Appended { lease, time })
    }

    /// Takes the oldest block that is not busy and writes `record` as its first.
    #[cold]
    #[inline(never)]
    fn append_to_new_lease(
        &self,
        cursor: &mut Cursor,
        writer: Writer,
        record: &mut [u64],
        events: u64,
        clock: impl Fn() -> u64,
    ) -> Result<Appended, Refused> {
        if BLOCK_HEADER_WORDS + record.len() > self.place.block_words {
            return Err(Refused::TooLarge);
        }
        for _ in 0..self.place.block_count {
            let Some(lease) = self.try_lease() else { continue };
            let block = self.block_of(lease);
            self.begin_block(block, writer);
            let time = clock();
            let committed = BLOCK_HEADER_WORDS;
            if self.leases().wrapping_sub(lease) > self.place.stale {
                // Stopped since the ticket was drawn: this block is old already.
                self.words.word(block).store(pack(lease, committed), Ordering::Release);
                continue;
            }
            self.copy_and_commit(block, lease, committed, record, events, time);
            *cursor = Cursor { ring: self.place.id, lease, committed: committed + record.len() };
            return Ok(Appended { lease, time });
        }
        Err(Refused::AllBusy)
    }

    /// Draws one ticket and takes its block, busy and empty, unless it is busy.
    fn try_lease(&self) -> Option<u64> {
        let lease = self.words.word(self.place.next_lease).fetch_add(1, Ordering::Relaxed) + 1;
        let state = self.words.word(self.block_of(lease));
        let new = pack(lease, BLOCK_HEADER_WORDS) | BUSY;
        let mut old = state.load(Ordering::Relaxed);
        for _ in 0..2 {
            // A ticket drawn long ago by a thread stopped here may meet a newer lease: leave it be.
            if old & BUSY != 0 || State::unpack(old).lease >= lease {
                return None;
            }
            match state.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    // Pairs with the reader's acquire fence: who sees a word stored below sees
                    // `new`.
                    fence(Ordering::Release);
                    return Some(lease);
                }
                // What was loaded is out of date. A ticket is not thrown away for that alone.
                Err(now) => old = now,
            }
        }
        None
    }

    /// Writes the header of a block just taken.
    fn begin_block(&self, block: usize, writer: Writer) {
        let events = self.words.word(block + 1);
        let gone = events.load(Ordering::Relaxed);
        if gone > 0 {
            self.words.word(self.place.overwritten).fetch_add(gone, Ordering::Relaxed);
        }
        events.store(0, Ordering::Relaxed);
        self.words.word(block + 2).store(writer.id, Ordering::Relaxed);
        self.words.word(block + 3).store(writer.name_len as u64, Ordering::Relaxed);
        self.words.store_words(block + 4, &writer.name);
    }

    /// Copies a record into a busy block and commits it. Only the block's owner comes here.
    #[inline]
    fn copy_and_commit(
        &self,
        block: usize,
        lease: u64,
        committed: usize,
        record: &mut [u64],
        events: u64,
        time: u64,
    ) {
        record[1] = time;
        self.words.store_words(block + committed, record);
        if events > 0 {
            let count = self.words.word(block + 1);
            count.store(count.load(Ordering::Relaxed) + events, Ordering::Relaxed);
        }
        // Release: a reader that sees this length sees the words above.
        let done = pack(lease, committed + record.len());
        self.words.word(block).store(done, Ordering::Release);
    }

    /// First word of the block of a lease.
    #[inline]
    fn block_of(&self, lease: u64) -> usize {
        let index = lease as usize & (self.place.block_count - 1);
        self.place.blocks + index * self.place.block_words
    }

    /// The reading side in one process, for models of the protocol; `snapshot` does the same with
    /// copies of the region. Copies out block `index` as it is, if it can be had whole: its state and its
    /// committed words, header included. `None` while it is being taken over.
    #[cfg(all(test, lastwords_loom))]
    pub(crate) fn read_block(&self, index: usize) -> Option<(State, Vec<u64>)> {
        let block = self.place.blocks + index * self.place.block_words;
        let state = self.words.word(block).load(Ordering::Acquire);
        let before = State::unpack(state);
        let mut words = vec![state];
        for i in 1..before.committed.min(self.place.block_words) {
            words.push(self.words.word(block + i).load(Ordering::Relaxed));
        }
        fence(Ordering::Acquire);
        let after = State::unpack(self.words.word(block).load(Ordering::Relaxed));
        (before.lease == after.lease).then_some((before, words))
    }
}
