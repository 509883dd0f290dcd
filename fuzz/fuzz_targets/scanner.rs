//! Arbitrary output of a child: scanning it ends, within the memory bound, and finds the same in any
//! chunks.
//!
//! ```text
//! cargo +nightly fuzz run scanner tests/corpus -- -rss_limit_mb=512 -timeout=10 -dict=fuzz/scanner.dict
//! ```
//!
//! The first byte says how the process ends, the second one how long the chunks are.

#![no_main]

use std::time::SystemTime;

use lastwords::detect::stderr::Scanner;
use lastwords::detect::{Crash, Ending};
use libfuzzer_sys::fuzz_target;

/// What a scanner may hold.
const MOST_HELD: usize = 48 << 20;

fn scan(text: &[u8], chunk: usize, ending: Option<Ending>) -> Vec<(Crash, (u64, u64), (u64, u64))> {
    let mut scanner = Scanner::new();
    let mut found = Vec::new();
    for chunk in text.chunks(chunk) {
        scanner.feed(chunk, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
        assert!(scanner.held_bytes() <= MOST_HELD);
    }
    scanner.finish(ending, &mut |new| found.push(new));
    // Ids are random, and joined crashes have the same one.
    let ids: Vec<_> = found.iter().map(|found| found.crash.event_id).collect();
    let place = |id| ids.iter().position(|other| *other == id).expect("one of them") as u128;
    found
        .into_iter()
        .map(|found| {
            let event_id = lastwords::sentry::types::Uuid::from_u128(place(found.crash.event_id));
            (Crash { event_id, ..found.crash }, found.lines, found.bytes)
        })
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let [ending, chunk, text @ ..] = input else { return };
    let ending = match ending % 4 {
        0 => None,
        1 => Some(Ending::Code(0)),
        2 => Some(Ending::Code(2)),
        _ => Some(Ending::Signal(6)),
    };
    let whole = scan(text, usize::MAX, ending);
    assert_eq!(scan(text, usize::from(*chunk).max(1), ending), whole);
    for (_, lines, bytes) in whole {
        assert!(lines.0 <= lines.1 && bytes.0 < bytes.1 && bytes.1 <= text.len() as u64);
    }
});
