//! The atomics of this room, in one place, so that the ring's protocol runs unchanged under loom.
//!
//! `--cfg lastwords_loom` (not plain `loom`, which other crates of the tree also listen to) swaps
//! the standard library's atomics for loom's.

#[cfg(not(lastwords_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(lastwords_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Memory as a row of 64-bit words: all that the ring and the tables ask of a region.
///
/// Every access to a region goes through these atomics. Another process may write the same memory
/// and a thread may be stopped anywhere, so no reference to anything but an atomic is ever made
/// from it. A relaxed word copy costs the same instructions as a plain one.
pub(crate) trait Words {
    /// The word at `index`.
    ///
    /// # Panics
    /// When there is no such word; callers derive `index` from a checked layout.
    fn word(&self, index: usize) -> &AtomicU64;

    /// Stores `source` from word `at` on, relaxed.
    #[inline]
    fn store_words(&self, at: usize, source: &[u64]) {
        for (i, value) in source.iter().enumerate() {
            self.word(at + i).store(*value, Ordering::Relaxed);
        }
    }

    /// Stores `bytes` from word `at` on, relaxed; the last word is filled up with zeros.
    fn store_bytes(&self, at: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(at + i).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// Reads `len` bytes from word `at` on, relaxed.
    fn load_bytes(&self, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
        for i in 0..len.div_ceil(8) {
            bytes.extend_from_slice(&self.word(at + i).load(Ordering::Relaxed).to_ne_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
