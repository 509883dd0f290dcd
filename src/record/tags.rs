//! The tag table: what `set_tag` said, in the region, so that it survives any death.
//!
//! **Guarantee:** a tag is whole for every reader: an old or the new value, never a mixture, also
//! when the process is killed inside `set_tag`. **Lost:** bytes beyond 200 of a key and 800 of a
//! value are cut; with 63 keys set, a further key is refused and counted.
//!
//! A new value goes into a free entry, which one release store makes valid; only then is the old
//! entry freed. In between a reader sees both and takes the later. Writers take turns by a lock,
//! which no recording thread, hook or reader ever takes, and no foreign code runs under it.

use std::sync::Mutex;

use super::layout::{TAG_ENTRIES, TAG_KEY_BYTES, TAG_VALUE_BYTES, TAG_WORDS, head};
use super::sync::{Ordering, Words, fence};

/// How often a tag section is copied again because a tag was set meanwhile.
pub(crate) const TAG_TRIES: usize = 8;

/// The writing side of a region's tag table.
pub(crate) struct Tags {
    /// First word of the section.
    section: usize,
    /// The number of the last `set_tag`.
    last: Mutex<u64>,
}

impl Tags {
    /// The tags in `words`, which another process may have set before.
    pub(crate) fn new(words: &impl Words, section: usize) -> Tags {
        let tags = Tags { section, last: Mutex::new(0) };
        let last = tags.entries().map(|at| words.word(at).load(Ordering::Acquire)).max();
        Tags { last: Mutex::new(last.unwrap_or(0)), ..tags }
    }

    /// Sets `key` to `value`; false if there is no entry left.
    pub(crate) fn set(&self, words: &impl Words, key: &str, value: &str) -> bool {
        let key = &key[..key.floor_char_boundary(TAG_KEY_BYTES)];
        let value = &value[..value.floor_char_boundary(TAG_VALUE_BYTES)];
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let old = self.find(words, key);
        let mut free = self.entries().filter(|at| words.word(*at).load(Ordering::Relaxed) == 0);
        let first = free.next();
        // A new key may not take the last entry: no value could be changed any more.
        let free = if old.is_some() { first } else { first.filter(|_| free.next().is_some()) };
        let Some(free) = free else {
            words.word(head::TAGS_DROPPED).fetch_add(1, Ordering::Relaxed);
            return false;
        };
        *last += 1;
        // Pairs with the readers' acquire fence: who sees a word stored below sees that the entry
        // was freed before.
        fence(Ordering::Release);
        let lengths = key.len() as u64 | (value.len() as u64) << 16;
        words.word(free + 1).store(lengths, Ordering::Relaxed);
        words.store_bytes(free + 2, key.as_bytes());
        words.store_bytes(free + 2 + TAG_KEY_BYTES / 8, value.as_bytes());
        words.word(free).store(*last, Ordering::Release);
        if let Some(old) = old {
            words.word(old).store(0, Ordering::Release);
        }
        true
    }

    /// Removes `key`, if it is set.
    pub(crate) fn remove(&self, words: &impl Words, key: &str) {
        let key = &key[..key.floor_char_boundary(TAG_KEY_BYTES)];
        let _last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(at) = self.find(words, key) {
            words.word(at).store(0, Ordering::Release);
        }
    }

    fn entries(&self) -> impl Iterator<Item = usize> + use<> {
        let section = self.section;
        (0..TAG_ENTRIES).map(move |i| section + i * TAG_WORDS)
    }

    fn find(&self, words: &impl Words, key: &str) -> Option<usize> {
        self.entries().find(|at| {
            let lengths = words.word(at + 1).load(Ordering::Relaxed);
            words.word(*at).load(Ordering::Relaxed) != 0
                && (lengths & 0xFFFF) as usize == key.len()
                && words.load_bytes(at + 2, key.len()) == key.as_bytes()
        })
    }

    /// All tags of a live region, in the order they were set.
    pub(crate) fn all(&self, words: &impl Words) -> Vec<(String, String)> {
        let copy = || -> Vec<u64> {
            let words = (0..TAG_ENTRIES * TAG_WORDS).map(|i| words.word(self.section + i));
            words.map(|word| word.load(Ordering::Acquire)).collect()
        };
        let mut tags = copy();
        for _ in 0..TAG_TRIES {
            fence(Ordering::Acquire);
            let later = copy();
            if same(&tags, &later) {
                break;
            }
            tags = later;
        }
        read(&tags)
    }
}

/// Whether no tag was set or removed between two copies of a tag section, so that the first is of
/// one moment: every change gives some entry another number.
pub(crate) fn same(copy: &[u64], later: &[u64]) -> bool {
    let numbers = |section: &[u64]| -> Vec<u64> {
        section.chunks_exact(TAG_WORDS).map(|entry| entry[0]).collect()
    };
    numbers(copy) == numbers(later)
}

/// The tags in the words of a tag section, in the order they were set, the last value of each key.
pub(crate) fn read(section: &[u64]) -> Vec<(String, String)> {
    let mut tags: Vec<(u64, String, String)> = Vec::new();
    for entry in section.chunks_exact(TAG_WORDS).filter(|entry| entry[0] != 0) {
        let key_len = (entry[1] & 0xFFFF) as usize;
        let value_len = (entry[1] >> 16 & 0xFFFF) as usize;
        let bytes = super::decode::bytes_of(&entry[2..]);
        let (key, value) = bytes.split_at(TAG_KEY_BYTES);
        let (Some(key), Some(value)) = (key.get(..key_len), value.get(..value_len)) else {
            continue;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        tags.push((entry[0], text(key), text(value)));
    }
    tags.sort_unstable();
    let mut kept: Vec<(String, String)> = Vec::with_capacity(tags.len());
    for (_, key, value) in tags {
        kept.retain(|(earlier, _)| *earlier != key);
        kept.push((key, value));
    }
    kept
}
