//! Panic slots: what the hook says first, in the region, before anything can go wrong.
//!
//! **Guarantee:** taking and filling a slot allocates nothing, takes no lock and makes no system
//! call; the event id of each panic is settled by its number and a seed in the region, before it happens. **Lost:** of a message all but
//! its first 8,192 bytes, of a path all but its last 512; with 16 panics not yet reported there is
//! no slot for a further one.
//!
//! ```text
//! word  0  state: 0 free, 1 being written, 2 facts written, 3 addresses written, 4 reported,
//!          5 tried in vain: no directory took its report
//! word  1  event id, 16 bytes
//! word  3  boot nanoseconds         word  4  wall nanoseconds since 1970
//! word  5  thread id                word  6  flags: 1 main thread, 2 process aborts,
//! word  7  serial of the span                4 the message is a placeholder, 8 its thread was
//! word  8  line | column << 32               already unwinding and must die
//! word  9  number of the panic in this process, from 1
//! word 10  number of the panic that this one is chained to, 0 for none
//! word 11  bytes: name | file << 16 | message << 32     word 12  bytes of the whole message
//! word 13  addresses kept           word 14  frames walked
//! word 15  the panic's number again, once the process has outlived it
//! word 16  thread name (64)         word 24  file (512)        word 88  message (8192)
//! word 1112  256 addresses, innermost first; when more frames were walked, the first 206 and the
//!            last 50
//! word 1370  boot nanoseconds when the facts were written
//! word 1371  boot nanoseconds when the addresses were written, 0 for not yet
//! ```

use super::clock;
use super::layout::{NAME_BYTES, SLOT_WORDS, SLOTS, head};
use super::random;
use super::sync::{Ordering, Words};

pub(crate) mod state {
    pub(crate) const FREE: u64 = 0;
    pub(crate) const WRITING: u64 = 1;
    pub(crate) const FACTS: u64 = 2;
    pub(crate) const ADDRESSES: u64 = 3;
    pub(crate) const REPORTED: u64 = 4;
    pub(crate) const UNKEPT: u64 = 5;
}

pub(crate) mod flags {
    /// The panicking thread runs `main`.
    pub(crate) const MAIN: u64 = 1;
    /// The program is built with `panic = "abort"`.
    pub(crate) const ABORT: u64 = 2;
    /// The payload was no string: the message is a placeholder.
    pub(crate) const PLACEHOLDER: u64 = 4;
    /// The runtime itself panics because the thread cannot unwind: the process aborts.
    pub(crate) const NO_UNWIND: u64 = 8;
}

const ID: usize = 1;
const TIME: usize = 3;
const THREAD: usize = 5;
const FLAGS: usize = 6;
const SPAN: usize = 7;
const PLACE: usize = 8;
pub(super) const NUMBER: usize = 9;
const CHAINED_TO: usize = 10;
const LENGTHS: usize = 11;
const MESSAGE_BYTES: usize = 12;
const KEPT: usize = 13;
const WALKED: usize = 14;
const OUTLIVED: usize = 15;
const NAME_AT: usize = 16;
const FILE_AT: usize = 24;
const MESSAGE_AT: usize = 88;
const ADDRESSES_AT: usize = 1112;
const FACTS_TIME: usize = 1370;
const ADDRESSES_TIME: usize = 1371;

/// Most bytes of a message: the protocol takes 8,192 characters.
pub(crate) const MOST_MESSAGE: usize = 8192;
const MOST_FILE: usize = 512;
/// Most addresses of a stack; the protocol keeps 250 frames.
pub(crate) const MOST_ADDRESSES: usize = 256;
/// Of a longer stack, how many addresses of its outermost part are kept.
const OUTERMOST: usize = 50;

/// The facts of a panic as the hook has them.
pub(crate) struct Facts<'a> {
    pub(crate) message: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) thread: u64,
    /// Bytes of the thread's name, and the name filled up with zeros.
    pub(crate) name: (usize, [u64; NAME_BYTES / 8]),
    pub(crate) flags: u64,
    pub(crate) span: u64,
    pub(crate) boot: u64,
    pub(crate) wall: i64,
    pub(crate) chained_to: u64,
}

/// One slot, taken by the thread that panics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a, W> {
    words: &'a W,
    base: usize,
    /// The panic's number in this process.
    pub(crate) number: u64,
}

impl<'a, W: Words> Slot<'a, W> {
    /// Takes a free slot, else the longest reported one, else the longest that was tried in vain.
    /// `None` if all wait to be reported.
    pub(crate) fn claim(words: &'a W, section: usize) -> Option<Slot<'a, W>> {
        for _ in 0..SLOTS {
            let base = oldest_usable(words, section)?;
            let old = words.word(base).load(Ordering::Relaxed);
            let usable = [state::FREE, state::REPORTED, state::UNKEPT];
            if usable.contains(&old)
                && words
                    .word(base)
                    .compare_exchange(old, state::WRITING, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                let number = words.word(head::PANICS).fetch_add(1, Ordering::Relaxed) + 1;
                words.store_bytes(base + ID, &event_id(words, number));
                words.word(base + NUMBER).store(number, Ordering::Relaxed);
                return Some(Slot { words, base, number });
            }
        }
        None
    }

    /// The id of the panic's event.
    pub(crate) fn event_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        for (i, half) in id.chunks_exact_mut(8).enumerate() {
            let word = self.words.word(self.base + ID + i).load(Ordering::Relaxed);
            half.copy_from_slice(&word.to_ne_bytes());
        }
        id
    }

    /// Writes the facts; from here on the panic is known to whoever reads the region.
    pub(crate) fn write_facts(&self, facts: &Facts<'_>) {
        let set = |at: usize, value: u64| {
            self.words.word(self.base + at).store(value, Ordering::Relaxed);
        };
        let message = &facts.message[..facts.message.floor_char_boundary(MOST_MESSAGE)];
        let file = tail(facts.file, MOST_FILE);
        set(TIME, facts.boot);
        set(TIME + 1, facts.wall as u64);
        set(THREAD, facts.thread);
        set(FLAGS, facts.flags);
        set(SPAN, facts.span);
        set(PLACE, u64::from(facts.line) | u64::from(facts.column) << 32);
        set(CHAINED_TO, facts.chained_to);
        let lengths = facts.name.0 | file.len() << 16 | message.len() << 32;
        set(LENGTHS, lengths as u64);
        set(MESSAGE_BYTES, facts.message.len() as u64);
        set(KEPT, 0);
        set(WALKED, 0);
        self.words.store_words(self.base + NAME_AT, &facts.name.1);
        self.words.store_bytes(self.base + FILE_AT, file.as_bytes());
        self.words.store_bytes(self.base + MESSAGE_AT, message.as_bytes());
        set(ADDRESSES_TIME, 0);
        set(FACTS_TIME, clock::boot_nanos());
        self.words.word(self.base).store(state::FACTS, Ordering::Release);
    }

    /// Writes the address of the `walked`-th frame, counted from 0, innermost first.
    pub(crate) fn write_address(&self, walked: usize, address: u64) {
        let inner = MOST_ADDRESSES - OUTERMOST;
        let at = if walked < inner { walked } else { inner + (walked - inner) % OUTERMOST };
        self.words.word(self.base + ADDRESSES_AT + at).store(address, Ordering::Relaxed);
    }

    /// Says that all addresses are written.
    pub(crate) fn finish_addresses(&self, walked: usize) {
        let kept = walked.min(MOST_ADDRESSES) as u64;
        self.words.word(self.base + KEPT).store(kept, Ordering::Relaxed);
        self.words.word(self.base + WALKED).store(walked as u64, Ordering::Relaxed);
        let now = clock::boot_nanos();
        self.words.word(self.base + ADDRESSES_TIME).store(now, Ordering::Relaxed);
        self.words.word(self.base).store(state::ADDRESSES, Ordering::Release);
    }
}

/// The slot to use next: a free one, else the reported one with the lowest number, else the unkept
/// one with the lowest.
fn oldest_usable(words: &impl Words, section: usize) -> Option<usize> {
    let bases = (0..SLOTS).map(|i| section + i * SLOT_WORDS);
    bases
        .filter_map(|base| match words.word(base).load(Ordering::Relaxed) {
            state::FREE => Some((0, 0, base)),
            done @ (state::REPORTED | state::UNKEPT) => {
                Some((done, words.word(base + NUMBER).load(Ordering::Relaxed), base))
            }
            _ => None,
        })
        .min()
        .map(|(_, _, base)| base)
}

/// The id of panic `number`'s event: a UUID of version 4 by its form, whose random bits are mixed from the
/// region's seed and the number.
fn event_id(words: &impl Words, number: u64) -> [u8; 16] {
    /// An odd number near 2^64 divided by the golden ratio: multiples of it are far apart.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut id = [0; 16];
    for (i, half) in id.chunks_exact_mut(8).enumerate() {
        let seed = words.word(head::SEED + i).load(Ordering::Relaxed);
        let mixed = mix(seed.wrapping_add(number.wrapping_mul(STEP)));
        half.copy_from_slice(&mixed.to_ne_bytes());
    }
    random::as_version_4(id)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014): one to one, and each bit of what goes in changes half of what comes out.
fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// First word of the slot that holds panic `number`, if one does.
fn find(words: &impl Words, section: usize, number: u64) -> Option<usize> {
    (0..SLOTS).map(|i| section + i * SLOT_WORDS).find(|base| {
        words.word(base + NUMBER).load(Ordering::Relaxed) == number
            && words.word(*base).load(Ordering::Relaxed) >= state::FACTS
    })
}

/// Whether a slot can be taken.
pub(crate) fn any_usable(words: &impl Words, section: usize) -> bool {
    oldest_usable(words, section).is_some()
}

/// Whether any slot is taken and not yet reported.
pub(crate) fn any_pending(words: &impl Words, section: usize) -> bool {
    (0..SLOTS).map(|i| section + i * SLOT_WORDS).any(|base| {
        let state = words.word(base).load(Ordering::Acquire);
        (state::WRITING..=state::ADDRESSES).contains(&state)
    })
}

/// Whether a thread is still writing into a slot.
pub(crate) fn any_incomplete(words: &impl Words, section: usize) -> bool {
    (0..SLOTS).map(|i| section + i * SLOT_WORDS).any(|base| {
        let state = words.word(base).load(Ordering::Acquire);
        state == state::WRITING || state == state::FACTS
    })
}

/// Whether panic `number` still waits for its report.
pub(crate) fn is_pending(words: &impl Words, section: usize, number: u64) -> bool {
    find(words, section, number)
        .is_some_and(|base| words.word(base).load(Ordering::Acquire) <= state::ADDRESSES)
}

/// Whether a panic was tried in vain.
pub(crate) fn any_unkept(words: &impl Words, section: usize) -> bool {
    (0..SLOTS)
        .any(|i| words.word(section + i * SLOT_WORDS).load(Ordering::Acquire) == state::UNKEPT)
}

/// Marks the slot of panic `number` as reported, or as tried in vain.
pub(crate) fn settle(words: &impl Words, section: usize, number: u64, is_kept: bool) {
    if let Some(base) = find(words, section, number) {
        let state = if is_kept { state::REPORTED } else { state::UNKEPT };
        words.word(base).store(state, Ordering::Release);
    }
}

/// Notes that the process has outlived panic `number`.
pub(crate) fn outlive(words: &impl Words, section: usize, number: u64) {
    if let Some(base) = find(words, section, number) {
        // A slot that was taken again meanwhile has another number.
        words.word(base + OUTLIVED).store(number, Ordering::Release);
    }
}

/// Notes that panic `number` was raised while `earlier` unwound.
pub(crate) fn chain(words: &impl Words, section: usize, number: u64, earlier: u64) {
    if let Some(base) = find(words, section, number) {
        words.word(base + CHAINED_TO).store(earlier, Ordering::Release);
    }
}

/// The last `most` bytes of a path, at a character.
fn tail(path: &str, most: usize) -> &str {
    let from = path.len().saturating_sub(most);
    &path[path.ceil_char_boundary(from)..]
}

/// A panic as a reader finds it in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanicRecord {
    /// The id of its event.
    pub event_id: [u8; 16],
    /// Its number in its process, from 1, in the order in which panics began.
    pub number: u64,
    /// The number of the panic that this one belongs to: it was raised while that one unwound.
    pub chained_to: Option<u64>,
    /// Nanoseconds since the machine's boot.
    pub boot_nanos: u64,
    /// Wall time in nanoseconds since 1970-01-01 UTC.
    pub wall_nanos: i64,
    /// When the hook had written all but the addresses, in nanoseconds since the machine's boot.
    pub facts_nanos: u64,
    /// When it had written the addresses too.
    pub addresses_nanos: Option<u64>,
    /// Id of the thread.
    pub thread: u64,
    /// Name of the thread, where it is known.
    pub thread_name: Option<String>,
    /// Whether the thread runs `main`.
    pub main: bool,
    /// Whether the process dies of it whatever catches it: it is built to abort, or the runtime
    /// cannot unwind.
    pub aborts: bool,
    /// Whether it is the runtime's own panic about another one that cannot unwind.
    pub no_unwind: bool,
    /// Whether the process went on for a while after it: it was caught, or took a thread alone.
    pub outlived: bool,
    /// Serial number of the span the thread was in, 0 for none.
    pub span: u64,
    /// Whether the payload was no text, and the message stands for it.
    pub placeholder: bool,
    /// The message, cut to 8,192 bytes.
    pub message: String,
    /// Bytes of the whole message.
    pub message_bytes: u64,
    /// Source file, cut to its last 512 bytes.
    pub file: String,
    /// Source line, from 1.
    pub line: u32,
    /// Source column, from 1.
    pub column: u32,
    /// Return addresses, innermost first, as the unwinder gave them.
    pub addresses: Vec<u64>,
    /// How many frames were left out before the outermost 50.
    pub addresses_elided: u64,
    /// Whether all of it was written: the process was not killed, and the thread is not still,
    /// between the facts and the addresses.
    pub complete: bool,
    /// Whether its report is in the spool.
    pub reported: bool,
    /// Whether its report was made and no directory took it.
    pub unkept: bool,
}

/// The panics in the words of a slot section, in the order in which they began.
pub(crate) fn read(section: &[u64]) -> Vec<PanicRecord> {
    let mut panics: Vec<_> = section.chunks_exact(SLOT_WORDS).filter_map(read_slot).collect();
    panics.sort_by_key(|panic| panic.number);
    panics
}

fn read_slot(slot: &[u64]) -> Option<PanicRecord> {
    if !(state::FACTS..=state::UNKEPT).contains(&slot[0]) {
        return None;
    }
    let bytes = |at: usize, len: usize, most: usize| {
        let mut bytes = super::decode::bytes_of(&slot[at..at + most / 8]);
        bytes.truncate(len);
        bytes
    };
    let text = |at, len, most| String::from_utf8_lossy(&bytes(at, len, most)).into_owned();
    let lengths = slot[LENGTHS];
    let name = text(NAME_AT, (lengths & 0xFFFF) as usize, NAME_BYTES);
    let has = |flag| slot[FLAGS] & flag != 0;
    Some(PanicRecord {
        event_id: bytes(ID, 16, 16).try_into().ok()?,
        number: slot[NUMBER],
        chained_to: (slot[CHAINED_TO] != 0).then_some(slot[CHAINED_TO]),
        boot_nanos: slot[TIME],
        wall_nanos: slot[TIME + 1] as i64,
        facts_nanos: slot[FACTS_TIME],
        addresses_nanos: (slot[ADDRESSES_TIME] != 0).then_some(slot[ADDRESSES_TIME]),
        thread: slot[THREAD],
        thread_name: (!name.is_empty()).then_some(name),
        main: has(flags::MAIN),
        aborts: has(flags::ABORT | flags::NO_UNWIND),
        no_unwind: has(flags::NO_UNWIND),
        outlived: slot[OUTLIVED] == slot[NUMBER],
        placeholder: has(flags::PLACEHOLDER),
        span: slot[SPAN],
        message: text(MESSAGE_AT, (lengths >> 32 & 0xFFFF) as usize, MOST_MESSAGE),
        message_bytes: slot[MESSAGE_BYTES],
        file: text(FILE_AT, (lengths >> 16 & 0xFFFF) as usize, MOST_FILE),
        line: slot[PLACE] as u32,
        column: (slot[PLACE] >> 32) as u32,
        addresses: read_addresses(slot),
        addresses_elided: slot[WALKED].saturating_sub(MOST_ADDRESSES as u64),
        complete: slot[0] >= state::ADDRESSES,
        reported: slot[0] == state::REPORTED,
        unkept: slot[0] == state::UNKEPT,
    })
}

/// The kept addresses, the outermost ones put back in order.
fn read_addresses(slot: &[u64]) -> Vec<u64> {
    let kept = (slot[KEPT] as usize).min(MOST_ADDRESSES);
    let mut addresses = slot[ADDRESSES_AT..ADDRESSES_AT + kept].to_vec();
    let inner = MOST_ADDRESSES - OUTERMOST;
    if kept == MOST_ADDRESSES && slot[WALKED] > MOST_ADDRESSES as u64 {
        let oldest = (slot[WALKED] - inner as u64) % OUTERMOST as u64;
        addresses[inner..].rotate_left(oldest as usize);
    }
    addresses
}
