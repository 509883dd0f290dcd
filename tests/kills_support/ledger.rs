//! What a child says it did, in a shared file: per thread how many records it started and
//! finished, and of the last ones when.
//!
//! ```text
//! word 0  records finished by all threads     word 1  not 0: the child has done all it wanted
//! then for each thread
//! word 0  records started                     word 1  records finished
//! word 2  for the record with number n, at n % history: boot time before, boot time after
//! ```

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Ledger {
    map: memmap2::MmapRaw,
    threads: usize,
    history: usize,
}

/// One record as its thread saw it. Numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub thread: u64,
    pub number: u64,
    /// Boot time before the call.
    pub before: u64,
    /// Boot time after the call, if it had returned.
    pub after: Option<u64>,
}

impl Ledger {
    /// How many records are kept of each of `threads`: enough for the newest 128, whichever
    /// threads they are of.
    fn history(threads: usize) -> usize {
        if threads > 1000 { 4 } else { 256 }
    }

    pub fn open(path: &Path, threads: usize) -> Ledger {
        let history = Ledger::history(threads);
        let bytes = 8 * (2 + threads * (2 + 2 * history));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.expect("the ledger opens");
        file.set_len(bytes as u64).expect("the ledger has a length");
        let map = memmap2::MmapOptions::new().map_raw(&file).expect("the ledger is mapped");
        Ledger { map, threads, history }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index * 8 < self.map.len());
        // SAFETY: the mapping is page-aligned, lives as long as `self`, and the index is inside.
        unsafe { &*self.map.as_mut_ptr().cast::<AtomicU64>().add(index) }
    }

    fn of_thread(&self, thread: u64) -> usize {
        assert!((thread as usize) < self.threads);
        2 + thread as usize * (2 + 2 * self.history)
    }

    fn times(&self, thread: u64, number: u64) -> usize {
        self.of_thread(thread) + 2 + 2 * (number as usize % self.history)
    }

    /// Calls `record` between two entries in the account of `thread`.
    pub fn account(&self, thread: u64, number: u64, record: impl FnOnce()) {
        let (of_thread, times) = (self.of_thread(thread), self.times(thread, number));
        self.word(times).store(boot_nanos(), Ordering::Relaxed);
        self.word(of_thread).store(number, Ordering::Release);
        record();
        self.word(times + 1).store(boot_nanos(), Ordering::Relaxed);
        self.word(of_thread + 1).store(number, Ordering::Release);
        self.word(0).fetch_add(1, Ordering::Release);
    }

    pub fn set_done(&self) {
        self.word(1).store(1, Ordering::Release);
    }

    pub fn is_done(&self) -> bool {
        self.word(1).load(Ordering::Acquire) != 0
    }

    pub fn finished(&self) -> u64 {
        self.word(0).load(Ordering::Acquire)
    }

    /// How many records a thread started.
    pub fn started_by(&self, thread: u64) -> u64 {
        self.word(self.of_thread(thread)).load(Ordering::Acquire)
    }

    /// The last records of all threads, as far as the history goes.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for thread in 0..self.threads as u64 {
            let started = self.started_by(thread);
            let finished = self.word(self.of_thread(thread) + 1).load(Ordering::Acquire);
            // The oldest entry of the history may be that of the next record already.
            for number in started.saturating_sub(self.history as u64 - 2).max(1)..=started {
                let times = self.times(thread, number);
                let before = self.word(times).load(Ordering::Relaxed);
                let after = self.word(times + 1).load(Ordering::Relaxed);
                let after = (number <= finished).then_some(after);
                entries.push(Entry { thread, number, before, after });
            }
        }
        entries
    }
}

pub fn boot_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
