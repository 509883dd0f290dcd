//! Arbitrary bytes in a region: reading them ends, in a snapshot or an error, and does no harm.
//!
//! ```text
//! cargo +nightly fuzz run region -- -rss_limit_mb=1024 -timeout=10
//! ```
//!
//! The first byte says what the rest is. 0: the bytes of a whole region. Anything else: changes to
//! a valid one, 12 bytes each (where: u32, what: u64), so that the fuzzer need not first find out
//! what a region looks like.

#![no_main]

use std::sync::OnceLock;

use lastwords::record::{Select, Snapshot};
use libfuzzer_sys::fuzz_target;
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

/// A region with something in each of its parts.
fn valid() -> &'static [u8] {
    static REGION: OnceLock<Vec<u8>> = OnceLock::new();
    REGION.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let recorder = lastwords::builder()
            .state_dir(dir.path())
            .ring_size(256 * 1024)
            .filter("trace")
            .enable_sentry(false)
            .install()
            .expect("install");
        let subscriber = tracing_subscriber::registry().with(recorder.layer());
        tracing::subscriber::with_default(subscriber, || {
            let _outer = info_span!("outer", job = 1).entered();
            let inner = info_span!("inner", text = "t".repeat(100), at = tracing::field::Empty);
            let _inner = inner.entered();
            for number in 0..30_usize {
                tracing::Span::current().record("at", number);
                info!(number, wide = 1_u128, ratio = 0.5, text = "x".repeat(number * 9), "one");
                error!(signed = -1, flag = true, cut = "y".repeat(number * 100), "two");
            }
        });
        recorder.set_tag("cid", "7");
        recorder.set_tag("role", "alpha");
        let regions = dir.path().join("regions");
        let mut files = std::fs::read_dir(regions).expect("regions");
        let file = files.next().expect("a region").expect("its name");
        let mut bytes = std::fs::read(file.path()).expect("its bytes");
        add_fatal_signal(&mut bytes);
        bytes
    })
}

/// The word of a region's header where the offset of its fatal-signal section stands.
const FATAL: usize = 4 + 2 * 6;

fn word(bytes: &[u8], at: usize) -> usize {
    u64::from_ne_bytes(bytes[at * 8..at * 8 + 8].try_into().expect("eight bytes")) as usize
}

/// Writes as a signal handler does: a complete record of a SIGSEGV with registers, stack and maps.
fn add_fatal_signal(bytes: &mut [u8]) {
    let first = word(bytes, FATAL) / 8;
    for (at, value) in [(0, 3), (1, 11), (9, 8), (18, 62), (19, 23), (21, 4096), (22, 100)] {
        bytes[(first + at) * 8..][..8].copy_from_slice(&u64::to_ne_bytes(value));
    }
}

/// Where the fuzzer's number points: mostly into what is in use.
fn place(number: u32, words: usize) -> usize {
    let number = number as usize;
    let part = number >> 28;
    let blocks = words - 256 * 128;
    match part {
        // The header, and the tables behind it.
        0..=3 => number % 128,
        4 => number % blocks,
        5 => word(valid(), FATAL) / 8 + number % 64,
        // The first blocks that were leased.
        6..=13 => blocks + number % (16 * 128),
        _ => number % words,
    }
}

fn changed(changes: &[u8]) -> Vec<u8> {
    let mut bytes = valid().to_vec();
    let words = bytes.len() / 8;
    for change in changes.chunks_exact(12) {
        let (place_bytes, value) = change.split_at(4);
        let number = u32::from_le_bytes(place_bytes.try_into().expect("four bytes"));
        if number == u32::MAX {
            let value = u64::from_le_bytes(value.try_into().expect("eight bytes"));
            bytes.truncate((value % (words as u64 * 8)) as usize);
            break;
        }
        let at = place(number, words) * 8;
        bytes[at..at + 8].copy_from_slice(value);
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let changed_bytes;
    let bytes = if *kind == 0 {
        rest
    } else {
        changed_bytes = changed(rest);
        &changed_bytes
    };
    if let Ok(snapshot) = Snapshot::read_bytes(bytes, Select::newest(usize::MAX)) {
        assert!(snapshot.breadcrumbs.is_sorted_by_key(|crumb| crumb.boot_nanos));
    }
});
