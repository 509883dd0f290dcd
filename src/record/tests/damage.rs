//! A region is untrusted input: whatever its bytes are, reading ends, in a snapshot or an error.

use std::io;

use proptest::prelude::*;
use tracing::{info, info_span};

use super::super::layout::{
    BLOCK_HEADER_WORDS, CALLSITE_MARK, HEADER_BYTES, Layout, MAGIC, SECTIONS, SLOT_WORDS, Section,
    VERSION, head,
};
use super::super::snapshot::{ReadError, Select, Snapshot};
use super::layer::CASES;
use super::support::{Bench, section, section_entry, set_word, word};

fn all() -> Select {
    Select::newest(usize::MAX)
}

/// A region with something in each of its parts.
fn region() -> Vec<u8> {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    bench.region().set_tag("cid", "7");
    let _outer = info_span!("outer", job = 1).entered();
    let _inner = info_span!("inner", text = "t".repeat(100)).entered();
    for number in 0..20 {
        info!(number, wide = 1_u128, text = "x".repeat(number * 9), "message");
    }
    if let Some(slot) = bench.region().claim_slot() {
        slot.write_address(0, 1);
        slot.finish_addresses(1);
    }
    #[cfg(target_os = "linux")]
    super::fatal::write_all(bench.region().fatal());
    bench.bytes()
}

#[test]
fn a_region_reads_the_same_from_bytes() {
    let snapshot = Snapshot::read_bytes(&region(), all()).unwrap();
    assert_eq!(snapshot.breadcrumbs.len(), 20);
    assert_eq!(snapshot.panics.len(), 1);
    assert_eq!(snapshot.tags, [("cid".to_owned(), "7".to_owned())]);
    assert_eq!(snapshot.breadcrumbs[3].spans.len(), 2);
}

#[test]
fn what_is_no_region_is_named() {
    let read = |bytes: &[u8]| Snapshot::read_bytes(bytes, all());
    assert!(matches!(read(b""), Err(ReadError::NotARegion)));
    assert!(matches!(read(&[0; 2 * HEADER_BYTES]), Err(ReadError::NotARegion)));
    let mut bytes = region();
    set_word(&mut bytes, head::VERSION, 99);
    assert!(matches!(read(&bytes), Err(ReadError::OtherVersion { found: 99 })));
    let bytes = region();
    assert!(matches!(read(&bytes[..bytes.len() - 8]), Err(ReadError::Damaged { .. })));
    assert!(matches!(read(&bytes[..HEADER_BYTES]), Err(ReadError::Damaged { .. })));
}

/// Fewer addresses kept than walked: the outermost ones cannot be put in order.
#[test]
fn mad_counts_of_addresses_do_no_harm() {
    for (kept, walked) in [(0, 300), (206, 300), (230, 299), (u64::MAX, u64::MAX)] {
        let mut bytes = region();
        let (slots, _) = section(&bytes, Section::Slots);
        set_word(&mut bytes, slots + 13, kept);
        set_word(&mut bytes, slots + 14, walked);
        let snapshot = Snapshot::read_bytes(&bytes, all()).unwrap();
        assert!(snapshot.panics[0].addresses.len() <= 256);
    }
}

/// Sections longer than any writer makes them: reading would take time in their square.
#[test]
fn a_section_too_long_is_damage() {
    for part in [
        Section::Identity,
        Section::Tags,
        Section::Callsites,
        Section::Slots,
        #[cfg(target_os = "linux")]
        Section::Fatal,
    ] {
        let mut bytes = region();
        bytes.resize(bytes.len() + 4 * 1024 * 1024, 0);
        let length = bytes.len() as u64;
        set_word(&mut bytes, head::FILE_BYTES, length);
        set_word(&mut bytes, section_entry(part) + 1, 3 * 1024 * 1024);
        let read = Snapshot::read_bytes(&bytes, all());
        assert!(matches!(read, Err(ReadError::Damaged { .. })), "{part:?}");
    }
}

/// Callsites that all reach to the end of the table.
#[test]
fn overlapping_callsites_are_not_followed() {
    let mut bytes = region();
    let (callsites, words) = section(&bytes, Section::Callsites);
    for i in 1..words {
        set_word(&mut bytes, callsites + i, CALLSITE_MARK | ((words - i) as u64) << 32);
    }
    let snapshot = Snapshot::read_bytes(&bytes, all()).unwrap();
    assert!(snapshot.breadcrumbs.is_empty());
    assert_eq!(snapshot.losses.torn, 20);
}

/// Every event in the deepest path of the largest spans: a few hundred kilobytes that would unfold
/// into gigabytes.
#[test]
fn shared_spans_do_not_unfold_without_end() {
    let bench = Bench::new(1 << 20);
    let _guard = bench.subscribe();
    let text = "x".repeat(3700);
    let _spans: Vec<_> = (0..64).map(|n| info_span!("deep", n, text).entered()).collect();
    let events = if cfg!(miri) { 50 } else { 8_000 };
    for n in 0..events {
        info!(n);
    }
    let snapshot = bench.snapshot();
    let lost = snapshot.losses.torn + snapshot.losses.overwritten;
    assert_eq!(snapshot.breadcrumbs.len() as u64 + lost, events);
    let paths = snapshot.breadcrumbs.iter().flat_map(|crumb| &crumb.spans).map(|span| {
        span.fields.values().map(|value| value.as_str().map_or(8, str::len)).sum::<usize>()
    });
    let unfolded: usize = paths.sum();
    assert!(unfolded <= 128 * 1024 * 1024, "{unfolded} bytes");
    assert_eq!(snapshot.breadcrumbs.last().map(|crumb| crumb.spans.len()), Some(64));
}

/// A source that changes between one read and the next, as a live region does.
fn read_changing(
    bytes: &mut Vec<u8>,
    mut change: impl FnMut(&mut Vec<u8>, u64, usize),
) -> Result<Snapshot, ReadError> {
    let len = bytes.len() as u64;
    let mut read = |offset: u64, buffer: &mut [u8]| -> io::Result<usize> {
        let at = offset as usize;
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        change(bytes, offset, buffer.len());
        Ok(buffer.len())
    };
    Snapshot::read(&mut read, len, all())
}

/// A block that gets a new owner while it is read is read again, and what it held before is
/// counted once: by its new owner.
#[test]
fn a_block_taken_over_while_it_is_read_is_read_again() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    let mut bytes = Vec::new();
    // One record in each of 257 blocks: the last takes over the first.
    for number in 0..257 {
        if number == 256 {
            bytes = bench.bytes();
        }
        info!(number, text = "x".repeat(700));
    }
    let after = bench.bytes();
    let (blocks, _) = section(&bytes, Section::Blocks);
    let block_words = word(&bytes, head::BLOCK_BYTES) as usize / 8;
    let first = (blocks + block_words) * 8;
    let mut reads = 0;
    let snapshot = read_changing(&mut bytes, |bytes, offset, _| {
        let inside = (first as u64..(first + block_words * 8) as u64).contains(&offset);
        reads += usize::from(inside);
        // Its state is read, and then all of it changes.
        if inside && reads == 1 {
            bytes.copy_from_slice(&after);
        }
    });
    let snapshot = snapshot.unwrap();
    let numbers: Vec<_> =
        snapshot.breadcrumbs.iter().map(|crumb| crumb.fields["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..257).collect::<Vec<_>>());
    assert_eq!((snapshot.losses.overwritten, snapshot.losses.torn), (1, 0));
}

/// Nothing says in which order the bytes of one read are copied: words of a record must not be
/// taken from a copy that is older than the length that covers them.
#[test]
fn words_are_read_after_the_length_that_covers_them() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    info!("first");
    let before = bench.bytes();
    info!("second");
    let bytes = bench.bytes();
    let (blocks, _) = section(&bytes, Section::Blocks);
    let block_words = word(&bytes, head::BLOCK_BYTES) as usize / 8;
    let first = (blocks + block_words) * 8;
    let len = bytes.len() as u64;
    let mut state_reads = 0;
    let mut read = |offset: u64, buffer: &mut [u8]| -> io::Result<usize> {
        let at = offset as usize;
        let end = at + buffer.len();
        if at == first && buffer.len() > 8 && state_reads == 0 {
            // The whole block at once, and its end before its beginning: as it was earlier.
            buffer.copy_from_slice(&before[at..end]);
            buffer[..8].copy_from_slice(&bytes[at..at + 8]);
        } else {
            buffer.copy_from_slice(&bytes[at..end]);
        }
        state_reads += usize::from(at == first);
        Ok(buffer.len())
    };
    let snapshot = Snapshot::read(&mut read, len, all()).unwrap();
    let messages: Vec<_> = snapshot.breadcrumbs.iter().map(|crumb| &crumb.message).collect();
    assert_eq!(messages, ["first", "second"]);
    assert_eq!(snapshot.losses.torn, 0);
}

/// An event of a callsite that is new while the region is read.
#[test]
fn a_callsite_made_while_blocks_are_read_is_known() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    info!("old");
    let mut bytes = bench.bytes();
    info!("new");
    let after = bench.bytes();
    let (blocks, _) = section(&bytes, Section::Blocks);
    let mut reached = false;
    let snapshot = read_changing(&mut bytes, |bytes, offset, _| {
        if offset >= blocks as u64 * 8 && !reached {
            reached = true;
            bytes.copy_from_slice(&after);
        }
    });
    let snapshot = snapshot.unwrap();
    assert_eq!(snapshot.breadcrumbs.len(), 2);
    assert_eq!(snapshot.losses.torn, 0);
}

/// A tag that is set again and again while the tags are read: it is there, with one of its values.
#[test]
fn a_tag_set_while_tags_are_read_is_not_missing() {
    let bench = Bench::small();
    bench.region().set_tag("cid", "1");
    let mut bytes = bench.bytes();
    bench.region().set_tag("cid", "2");
    let after = bench.bytes();
    let (tags, words) = section(&bytes, Section::Tags);
    let len = bytes.len() as u64;
    let mut read = |offset: u64, buffer: &mut [u8]| -> io::Result<usize> {
        let at = offset as usize;
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        if at == tags * 8 {
            // The first half was copied before the change, the second after it; the new value
            // lies in the first half.
            assert_eq!(buffer.len(), words * 8);
            buffer[..8].copy_from_slice(&after[at..at + 8]);
            bytes.copy_from_slice(&after);
        }
        Ok(buffer.len())
    };
    let snapshot = Snapshot::read(&mut read, len, all()).unwrap();
    assert_eq!(snapshot.tags, [("cid".to_owned(), "2".to_owned())]);
}

/// A change to a valid region.
#[derive(Debug, Clone)]
enum Mutation {
    Flip { at: usize, bit: u8 },
    Word { at: usize, value: u64 },
    HeaderWord { at: usize, value: u64 },
    BlockWord { block: usize, at: usize, value: u64 },
    FatalWord { at: usize, value: u64 },
    Truncate(usize),
    Extend(usize),
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..4096,
        (0_u64..64).prop_map(|shift| 1 << shift),
        Just(u64::MAX),
        (0_u64..1 << 20).prop_map(|committed| 1 << 18 | committed),
    ]
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let mutation =
        prop_oneof![
            (any::<usize>(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
            (any::<usize>(), value()).prop_map(|(at, value)| Mutation::Word { at, value }),
            (0_usize..128, value()).prop_map(|(at, value)| Mutation::HeaderWord { at, value }),
            (0_usize..4, 0_usize..128, value())
                .prop_map(|(block, at, value)| Mutation::BlockWord { block, at, value }),
            (0_usize..64, value()).prop_map(|(at, value)| Mutation::FatalWord { at, value }),
            any::<usize>().prop_map(Mutation::Truncate),
            (0_usize..100_000).prop_map(Mutation::Extend),
        ];
    proptest::collection::vec(mutation, 1..12)
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let words = bytes.len() / 8;
    match *mutation {
        _ if words == 0 => {}
        Mutation::Flip { at, bit } => {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        Mutation::Word { at, value } => set_word(bytes, at % words, value),
        Mutation::HeaderWord { at, value } => set_word(bytes, at % words, value),
        Mutation::BlockWord { block, at, value } => {
            // Where the first leases are, wherever the section table points by now.
            let from_end = (256 - block) * 128;
            set_word(bytes, (words.saturating_sub(from_end) + at) % words, value);
        }
        Mutation::FatalWord { at, value } => {
            let fatal = Layout::new(0).word_of(Section::Fatal);
            set_word(bytes, (fatal + at) % words, value);
        }
        Mutation::Truncate(len) => bytes.truncate(len % bytes.len()),
        Mutation::Extend(more) => bytes.resize(bytes.len() + more, 0xA5),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_region_does_no_harm(mutations in mutations()) {
        let mut bytes = region();
        mutations.iter().for_each(|mutation| apply(&mut bytes, mutation));
        if let Ok(snapshot) = Snapshot::read_bytes(&bytes, all()) {
            prop_assert!(snapshot.breadcrumbs.is_sorted_by_key(|crumb| crumb.boot_nanos));
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), HEADER_BYTES..16 * HEADER_BYTES),
        sections in proptest::collection::vec((0_u64..40_000, 0_u64..70_000), SECTIONS),
        block_bytes in 16_u64..64,
    ) {
        let length = bytes.len() as u64;
        set_word(&mut bytes, head::MAGIC, MAGIC);
        set_word(&mut bytes, head::VERSION, VERSION);
        set_word(&mut bytes, head::FILE_BYTES, length);
        set_word(&mut bytes, head::BLOCK_BYTES, block_bytes * 64);
        for (i, (offset, len)) in sections.iter().enumerate() {
            let inside = (length - offset % length) / 8 * 8;
            set_word(&mut bytes, head::SECTIONS + 2 * i, offset % length / 8 * 8);
            set_word(&mut bytes, head::SECTIONS + 2 * i + 1, (len / 8 * 8).min(inside));
        }
        let slot_words = bytes.len() / 8 / SLOT_WORDS;
        prop_assert!(BLOCK_HEADER_WORDS > 0 && slot_words < 1000);
        let _ = Snapshot::read_bytes(&bytes, all());
    }
}
