//! The callsite table: what all events of one place in the source have in common, written once.
//!
//! **Guarantee:** a record refers to a callsite only after its entry is whole; looking one up is a
//! hash of an address and, in the usual case, two loads. It never waits: an event that comes while
//! another thread is writing the entry, or when the table is full, carries its static parts
//! itself. **Lost:** nothing.
//!
//! Entries are made at a callsite's first event. `register_callsite` would be too late for the
//! events of other threads, and records of the `log` crate never register.

use std::sync::atomic::{AtomicU32, AtomicUsize};

use tracing_core::Metadata;

use super::encode::Encoder;
use super::layout::{CALLSITE_BYTES, CALLSITE_MARK, RECORD_WORDS};
use super::sync::{Ordering, Words};

/// Entries of the process's own index; a power of two. It is never filled beyond a half.
const INDEX: usize = 4096;
/// How many places are tried for an address.
const PROBES: usize = 16;

/// The value of an index entry whose callsite did not fit the region.
const INLINE: u32 = u32::MAX;

/// From a callsite's address to the place of its entry, for one region.
pub(crate) struct CallsiteIndex {
    entries: Box<[IndexEntry]>,
    /// First word of the region's callsite section.
    section: usize,
}

#[derive(Default)]
struct IndexEntry {
    /// Address of the metadata, 0 for a free entry. It is set once.
    address: AtomicUsize,
    /// Word offset of the entry in the section; 0 while it is being written, or [`INLINE`].
    place: AtomicU32,
}

impl CallsiteIndex {
    pub(crate) fn new(section: usize) -> CallsiteIndex {
        let entries = std::iter::repeat_with(IndexEntry::default).take(INDEX).collect();
        CallsiteIndex { entries, section }
    }

    /// Where the entry of `metadata` is, in words from the start of the section. `None` if the
    /// record has to carry its static parts.
    #[inline]
    pub(crate) fn find(
        &self,
        words: &impl Words,
        metadata: &'static Metadata<'static>,
    ) -> Option<u32> {
        let address = std::ptr::from_ref(metadata) as usize;
        // The golden ratio's bits spread neighbouring addresses; the top ones are the best mixed.
        let hash = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
        let entry = &self.entries[hash as usize % INDEX];
        if entry.address.load(Ordering::Relaxed) == address {
            // Acquire pairs with the release in `insert`: the entry in the region is whole.
            let place = entry.place.load(Ordering::Acquire);
            return (place != 0 && place != INLINE).then_some(place);
        }
        self.find_further(words, metadata, hash as usize)
    }

    #[cold]
    fn find_further(
        &self,
        words: &impl Words,
        metadata: &'static Metadata<'static>,
        hash: usize,
    ) -> Option<u32> {
        let address = std::ptr::from_ref(metadata) as usize;
        for probe in 0..PROBES {
            let entry = &self.entries[(hash + probe) % INDEX];
            let found = match entry.address.load(Ordering::Relaxed) {
                0 => entry
                    .address
                    .compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed)
                    .map_or_else(
                        |taken_by| taken_by,
                        |_| {
                            self.insert(words, metadata, entry);
                            address
                        },
                    ),
                taken_by => taken_by,
            };
            if found == address {
                let place = entry.place.load(Ordering::Acquire);
                return (place != 0 && place != INLINE).then_some(place);
            }
        }
        None
    }

    /// Writes the entry of a callsite. Only the thread that took the index entry comes here.
    fn insert(&self, words: &impl Words, metadata: &'static Metadata<'static>, entry: &IndexEntry) {
        let mut encoder = Encoder::new(RECORD_WORDS);
        encoder.static_parts(metadata);
        let parts = encoder.values();
        let needed = 1 + parts.len().div_ceil(8);
        let used = words.word(self.section);
        let section_words = CALLSITE_BYTES / 8;
        // Word 0 counts the words in use after it, so that a fresh section is all zeros.
        let reserved = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let end = used as usize + needed;
            (!encoder.was_cut() && end < section_words).then_some(end as u64)
        });
        let Ok(before) = reserved else {
            return entry.place.store(INLINE, Ordering::Release);
        };
        let place = 1 + before as usize;
        words.store_bytes(self.section + place + 1, parts);
        let mark = CALLSITE_MARK | (needed as u64) << 32;
        words.word(self.section + place).store(mark, Ordering::Release);
        entry.place.store(place as u32, Ordering::Release);
    }
}
