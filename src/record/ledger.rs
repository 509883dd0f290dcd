//! The ledger: which crashes below a monitor are reported by somebody else than the monitor.
//!
//! **Guarantee:** a process that writes an entry before it prints anything of its crash is heard: the
//! monitor, which reads the print afterwards, finds the entry. Writing takes no lock and allocates
//! nothing. **Lost:** with more than 64 crashes in flight, the oldest entry; its crash may then be
//! reported twice.
//!
//! An entry is 16 words; every process that maps the region may write one:
//! ```text
//! word 0  number of the entry, from 1; 0 while it is being written
//! word 1  the event id, 16 bytes
//! word 3  kind | pid << 32
//! word 4  thread id, 0 for unknown
//! word 5  hash of the place (kind 1), or of the whole crash (kind 2)
//! word 6  hash of the message
//! ```
//! Hashes are FNV-1a of 64 bits, the same in every process.

use super::layout::{LEDGER_ENTRIES, LEDGER_WORDS, head};
use super::sync::{Ordering, Words, fence};

/// Words of an entry that are in use.
const USED: usize = 7;

/// Bytes of a message that count.
const HASHED_MESSAGE: usize = 512;

/// Who says what about a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LedgerKind {
    /// A panic hook: the place and the message of its panic.
    Panic = 1,
    /// A monitor below this one: the crash as it read it.
    Text = 2,
    /// The handler of a fatal signal, whose process has a region of its own.
    Fatal = 3,
}

/// One entry of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    /// The id under which the crash is reported; zeros where its writer cannot know it.
    pub(crate) event_id: [u8; 16],
    pub(crate) kind: LedgerKind,
    /// The process that reports it.
    pub(crate) pid: u32,
    /// The thread that crashed, 0 for unknown.
    pub(crate) thread: u64,
    /// Hash of `file:line:column`, or of the crash; of a fatal signal the wall time in nanoseconds.
    pub(crate) place: u64,
    /// Hash of the message as it is printed; of a fatal signal its number.
    pub(crate) message: u64,
}

/// FNV-1a over the parts, with a separator behind each.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    for part in parts {
        part.iter().for_each(|byte| take(*byte));
        take(0xFF);
    }
    hash
}

/// Hash of a message: of its beginning, since a panic's may be of any length.
pub(crate) fn hash_message(message: &[u8]) -> u64 {
    hash(&[&message[..message.len().min(HASHED_MESSAGE)]])
}

/// Hash of a place in the source.
pub(crate) fn hash_place(file: &str, line: u32, column: u32) -> u64 {
    hash(&[file.as_bytes(), &line.to_le_bytes(), &column.to_le_bytes()])
}

/// Writes an entry. Async-signal-safe: it stores atomics.
pub(crate) fn write(words: &impl Words, section: usize, entry: &LedgerEntry) {
    let number = words.word(head::LEDGER).fetch_add(1, Ordering::Relaxed) + 1;
    let at = place_of(section, number);
    words.word(at).store(0, Ordering::Relaxed);
    // Pairs with the acquire fence in `read`: who sees a word stored below sees the zero.
    fence(Ordering::Release);
    words.store_bytes(at + 1, &entry.event_id);
    let kind = entry.kind as u64 | u64::from(entry.pid) << 32;
    words.store_words(at + 3, &[kind, entry.thread, entry.place, entry.message]);
    words.word(at).store(number, Ordering::Release);
}

/// The entries after number `after`, each with its number, oldest first. Entries that are being
/// written are left out, and are there the next time.
pub(crate) fn read(words: &impl Words, section: usize, after: u64) -> Vec<(u64, LedgerEntry)> {
    let last = words.word(head::LEDGER).load(Ordering::Acquire);
    let first = last.saturating_sub(LEDGER_ENTRIES as u64).max(after);
    (first + 1..=last).filter_map(|number| Some((number, entry(words, section, number)?))).collect()
}

fn entry(words: &impl Words, section: usize, number: u64) -> Option<LedgerEntry> {
    let at = place_of(section, number);
    if words.word(at).load(Ordering::Acquire) != number {
        return None;
    }
    let mut copy = [0; USED];
    for (i, word) in copy.iter_mut().enumerate() {
        *word = words.word(at + i).load(Ordering::Relaxed);
    }
    fence(Ordering::Acquire);
    if words.word(at).load(Ordering::Relaxed) != number {
        return None;
    }
    let mut event_id = [0; 16];
    event_id[..8].copy_from_slice(&copy[1].to_ne_bytes());
    event_id[8..].copy_from_slice(&copy[2].to_ne_bytes());
    let kind = match copy[3] as u32 {
        1 => LedgerKind::Panic,
        2 => LedgerKind::Text,
        3 => LedgerKind::Fatal,
        _ => return None,
    };
    Some(LedgerEntry {
        event_id,
        kind,
        pid: (copy[3] >> 32) as u32,
        thread: copy[4],
        place: copy[5],
        message: copy[6],
    })
}

fn place_of(section: usize, number: u64) -> usize {
    section + ((number - 1) % LEDGER_ENTRIES as u64) as usize * LEDGER_WORDS
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::super::layout::MIN_RING_BYTES;
    use super::super::region::Region;
    use super::*;

    fn numbered(thread: u64) -> LedgerEntry {
        let event_id = [thread as u8; 16];
        LedgerEntry { event_id, kind: LedgerKind::Panic, pid: 7, thread, place: 5, message: 6 }
    }

    #[test]
    fn what_is_written_is_read_and_the_oldest_goes() {
        let region = Region::on_heap(MIN_RING_BYTES, &Identity::default());
        assert_eq!(region.ledger_after(0), []);
        region.note_in_ledger(&numbered(1));
        assert_eq!(region.ledger_after(0), [(1, numbered(1))]);
        assert_eq!(region.ledger_after(1), []);
        (2..=70).for_each(|thread| region.note_in_ledger(&numbered(thread)));
        let all = region.ledger_after(0);
        assert_eq!((all.len(), all[0]), (64, (7, numbered(7))));
        assert_eq!(region.ledger_after(69), [(70, numbered(70))]);
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash_place("a.rs", 1, 2), hash_place("a.rs", 2, 1));
        // The test vector of the algorithm's authors for "a" has no separator.
        assert_eq!(hash(&[b""]), (0xCBF2_9CE4_8422_2325_u64 ^ 0xFF).wrapping_mul(0x100_0000_01B3));
    }
}
