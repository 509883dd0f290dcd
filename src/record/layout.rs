//! The bytes of a region, drawn before they are coded.
//!
//! **Guarantee:** a reader that finds [`MAGIC`] and [`VERSION`] can find every part by the section
//! table, and can bound every part by the file's length alone. **Not offered:** reading a region of
//! another version (the reader says which it met) or of another byte order (its magic differs).
//!
//! ```text
//! byte 0      header, 4096 bytes (all fields are 64-bit words of the machine's byte order)
//!             word  0  magic; written last, so a half-made region has none
//!             word  1  layout version
//!             word  2  length of the file in bytes
//!             word  3  how the process ended: 0 not yet, 1 cleanly, 2 asked to stop
//!             word  4  section table: 8 pairs (byte offset, byte length); unknown pairs are skipped
//!                      0 identity  1 tags  2 callsites  3 panic slots  4 blocks  5 ledger
//!                      6 fatal signal  7 not used yet
//!             word 20  bytes of one block
//!             word 21  pid of the child that a monitor made this region for, 0 for none
//!             word 22  that child's start time in clock ticks since boot
//!             word 24  events overwritten        ┐
//!             word 25  events cut                │ counters of loss; added to rarely
//!             word 26  events without a block    │
//!             word 27  tags without an entry     ┘
//!             word 28  panics that found a slot: the number of the last one
//!             word 29  panics that found none
//!             word 30  pid of the process that records here under its monitor, 0 for none
//!             word 31  number of ledger entries ever written
//!             word 32  next lease                  a cache line of its own
//!             word 40  signal that asked the process to stop last, 0 for none
//!             word 41  boot nanoseconds of that
//!             word 42  1: the report of the end of the process is published
//!             word 43  signal at its default disposition that ends the process and is neither a
//!                      crash nor a stop (SIGALRM, SIGUSR1, ...), 0 for none
//!             word 44  16 random bytes that the ids of panics are made from
//!             word 46  who looks for what the process died of, and has not come to an end
//!             word 48  boot time of the next look at the wall clock
//!             word 49  number of clock anchors ever written
//!             word 56  32 clock anchors: pairs (boot nanoseconds, wall nanoseconds since 1970)
//! identity    one word: length | first word << 32, then JSON; a later version is written behind the
//!             one before it, and then the first word says where
//! tags        64 entries of 1024 bytes
//!             word 0  0 free, else the number of the `set_tag` that wrote it (later wins)
//!             word 1  key bytes | value bytes << 16
//!             word 2  key (200 bytes), then value (800 bytes)
//! callsites   word 0  words in use; then entries, each
//!             word 0  0x4341_4C4C | words of the entry << 32, written last
//!             word 1  the static parts, as `encode` writes them
//! slots       16 panic slots of 12 KiB, see `slots`
//! blocks      256 blocks, see `ring`
//!             word  0  state: lease << 18 | busy << 17 | committed words
//!             word  1  events in it
//!             word  2  thread id
//!             word  3  bytes of the thread's name
//!             word  4  the name (64 bytes)
//!             word 12  records, one after another, each
//!                      word 0  bytes | kind << 16 | flags << 24 | callsite << 32
//!                      word 1  boot nanoseconds
//!                      word 2  span serial: of the span it is in (event), its own (span)
//!                      word 3  values, see `encode`; the last word is filled up with zeros
//!                      of standard error (kind 3): word 2 is where its bytes lie in the stream,
//!                      and from word 3 on stand those bytes, of any number of lines
//! ledger      64 entries of 128 bytes, see `ledger`
//! fatal       one fatal signal: facts, registers, stack and module map, see `fatal`
//! ```
//!
//! After a crash of the process every word may be trusted to be one that the process stored: the
//! pages belong to the kernel, and a killed process loses none. What may *not* be trusted is that
//! a group of words belongs together; the state word of each part says up to where it does. After
//! a crash of the machine nothing may be trusted, and the boot id in the identity tells.

/// `"lastword"` as the machine reads it.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"lastword");
/// The layout drawn above. A change of the drawing is a change of this number.
pub(crate) const VERSION: u64 = 2;

/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = 4096;

/// Word indices of the header.
pub(crate) mod head {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const FILE_BYTES: usize = 2;
    pub(crate) const END: usize = 3;
    pub(crate) const SECTIONS: usize = 4;
    pub(crate) const BLOCK_BYTES: usize = 20;
    pub(crate) const CHILD: usize = 21;
    pub(crate) const CHILD_START: usize = 22;
    pub(crate) const OVERWRITTEN: usize = 24;
    pub(crate) const CUT: usize = 25;
    pub(crate) const DROPPED: usize = 26;
    pub(crate) const TAGS_DROPPED: usize = 27;
    pub(crate) const PANICS: usize = 28;
    pub(crate) const PANICS_LOST: usize = 29;
    pub(crate) const OWNER: usize = 30;
    pub(crate) const LEDGER: usize = 31;
    pub(crate) const NEXT_LEASE: usize = 32;
    pub(crate) const ASKED: usize = 40;
    pub(crate) const ASKED_AT: usize = 41;
    pub(crate) const SILENT: usize = 42;
    pub(crate) const ENDED_BY: usize = 43;
    pub(crate) const SEED: usize = 44;
    pub(crate) const EXAMINED: usize = 46;
    pub(crate) const ANCHOR_DUE: usize = 48;
    pub(crate) const ANCHOR_COUNT: usize = 49;
    pub(crate) const ANCHORS: usize = 56;
}

/// Values of the header's `END` word.
pub(crate) mod end {
    /// The process ended by returning from `main` or by `exit`.
    pub(crate) const CLEAN: u64 = 1;
    /// The signal in the word `ASKED` ends the process: it is at its default disposition.
    pub(crate) const ASKED: u64 = 2;
}

/// How many clock anchors are kept.
pub(crate) const ANCHOR_SLOTS: usize = 32;

/// Bytes of the identity section.
pub(crate) const IDENTITY_BYTES: usize = 32 * 1024;

/// Entries of the tag table.
pub(crate) const TAG_ENTRIES: usize = 64;
/// Words of one tag entry.
pub(crate) const TAG_WORDS: usize = 128;
/// Most bytes of a tag's key: the protocol takes 200 characters, all of them ASCII.
pub(crate) const TAG_KEY_BYTES: usize = 200;
/// Most bytes of a tag's value: the protocol takes 200 characters.
pub(crate) const TAG_VALUE_BYTES: usize = 800;

/// Bytes of the callsite section: about 1,500 callsites.
pub(crate) const CALLSITE_BYTES: usize = 256 * 1024;
/// Low half of the first word of a finished callsite entry.
pub(crate) const CALLSITE_MARK: u64 = 0x4341_4C4C;

/// How many panics a region holds.
pub(crate) const SLOTS: usize = 16;
/// Words of one panic slot.
pub(crate) const SLOT_WORDS: usize = 1536;

/// How many blocks the ring has. A power of two, so that a lease's block is a mask away.
pub(crate) const BLOCKS: usize = 256;
/// Words of a block before its first record.
pub(crate) const BLOCK_HEADER_WORDS: usize = 4 + NAME_BYTES / 8;
/// Most bytes of a thread's name in a block or a slot. Models of the ring try every order of every
/// store: for them a name is one word.
pub(crate) const NAME_BYTES: usize = if cfg!(lastwords_loom) { 8 } else { 64 };
/// Entries of the ledger.
pub(crate) const LEDGER_ENTRIES: usize = 64;
/// Words of one ledger entry.
pub(crate) const LEDGER_WORDS: usize = 16;

/// Words of the fatal section before its registers.
pub(crate) const FATAL_HEAD_WORDS: usize = 24;
/// Words for the registers of a fatal signal.
pub(crate) const FATAL_REGISTERS: usize = 40;
/// Most bytes of the stack of a fatal signal.
pub(crate) const FATAL_STACK_BYTES: usize = 64 * 1024;
/// Most bytes of the module map of a fatal signal.
pub(crate) const FATAL_MAPS_BYTES: usize = 32 * 1024;
/// Bytes of the fatal section.
pub(crate) const FATAL_BYTES: usize =
    (FATAL_HEAD_WORDS + FATAL_REGISTERS) * 8 + FATAL_STACK_BYTES + FATAL_MAPS_BYTES;

/// Words of a record before its values.
pub(crate) const RECORD_HEADER_WORDS: usize = 3;
/// Most words of one record, whatever the size of a block.
pub(crate) const RECORD_WORDS: usize = 504;

/// Kinds of record.
pub(crate) mod kind {
    /// An event.
    pub(crate) const EVENT: u8 = 1;
    /// A span, whole: its parent and all fields known so far.
    pub(crate) const SPAN: u8 = 2;
    /// A piece of the standard error of a supervised program.
    pub(crate) const STDERR: u8 = 3;
}

/// Flags of a record.
pub(crate) mod flag {
    /// A value was cut.
    pub(crate) const CUT: u8 = 1;
    /// The static parts stand in the record itself, before its values.
    pub(crate) const INLINE: u8 = 2;
    /// A piece of standard error that begins in the middle of a line.
    pub(crate) const CONTINUES: u8 = 4;
    /// An event that was recorded while its thread panicked: by a hook, or while it unwound.
    pub(crate) const AMID_PANIC: u8 = 8;
}

/// Indices into the section table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Identity = 0,
    Tags = 1,
    Callsites = 2,
    Slots = 3,
    Blocks = 4,
    Ledger = 5,
    Fatal = 6,
}

/// How many sections there are.
pub(crate) const SECTIONS: usize = 7;

/// Where everything lies in a region of a given ring size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Byte offset and byte length of each [`Section`].
    pub(crate) sections: [(usize, usize); SECTIONS],
    /// Bytes of one block.
    pub(crate) block_bytes: usize,
    /// Bytes of the whole region.
    pub(crate) bytes: usize,
}

/// Smallest ring: 256 blocks of 1 KiB.
pub const MIN_RING_BYTES: u64 = 256 * 1024;
/// Largest ring: 256 blocks of 1 MiB, the most that a state word can count.
pub const MAX_RING_BYTES: u64 = 256 * 1024 * 1024 - 256 * 64;

impl Layout {
    /// The layout of a region whose ring has `ring_bytes`, which is brought into the range
    /// [`MIN_RING_BYTES`] to [`MAX_RING_BYTES`] and rounded down to whole blocks of 64-byte lines.
    pub(crate) fn new(ring_bytes: u64) -> Layout {
        let ring = ring_bytes.clamp(MIN_RING_BYTES, MAX_RING_BYTES) as usize;
        let block_bytes = ring / BLOCKS / 64 * 64;
        let lengths = [
            IDENTITY_BYTES,
            TAG_ENTRIES * TAG_WORDS * 8,
            CALLSITE_BYTES,
            SLOTS * SLOT_WORDS * 8,
            BLOCKS * block_bytes,
            LEDGER_ENTRIES * LEDGER_WORDS * 8,
            FATAL_BYTES,
        ];
        let mut sections = [(0, 0); SECTIONS];
        let mut offset = HEADER_BYTES;
        // The blocks last: they are most of the file.
        for section in [0, 1, 2, 3, 5, 6, 4] {
            sections[section] = (offset, lengths[section]);
            offset += lengths[section];
        }
        Layout { sections, block_bytes, bytes: offset }
    }

    /// First word of a section.
    pub(crate) fn word_of(&self, section: Section) -> usize {
        self.sections[section as usize].0 / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_ring_has_blocks_of_4_kib() {
        let layout = Layout::new(1024 * 1024);
        assert_eq!(layout.block_bytes, 4096);
        assert_eq!(layout.sections[Section::Blocks as usize].1, 1024 * 1024);
    }

    #[test]
    fn sections_are_line_aligned_and_do_not_overlap() {
        for ring in [0, 300_000, 1024 * 1024, 10_000_001, u64::MAX] {
            let layout = Layout::new(ring);
            let mut end = HEADER_BYTES;
            let mut sections = layout.sections;
            sections.sort_unstable();
            for (offset, length) in sections {
                assert_eq!((offset, offset % 64, length % 64), (end, 0, 0));
                end = offset + length;
            }
            assert_eq!(layout.bytes, end);
        }
    }

    #[test]
    fn the_largest_block_fits_a_state_word() {
        let words = Layout::new(u64::MAX).block_bytes / 8;
        assert!(words < 1 << 17);
    }
}
