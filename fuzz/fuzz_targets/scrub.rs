//! Arbitrary text: scrubbing it ends, twice is once, and bytes, text and JSON agree.
//!
//! ```text
//! cargo +nightly fuzz run scrub -- -timeout=10
//! ```

#![no_main]

use std::sync::OnceLock;

use lastwords::report::Scrubber;
use libfuzzer_sys::fuzz_target;

fn scrubber() -> &'static Scrubber {
    static SCRUBBER: OnceLock<Scrubber> = OnceLock::new();
    SCRUBBER.get_or_init(|| Scrubber::new(&["pin"]))
}

fuzz_target!(|input: &[u8]| {
    let once = scrubber().bytes(input);
    if let Ok(text) = std::str::from_utf8(input) {
        assert_eq!(scrubber().text(text).map(String::into_bytes), once);
    }
    let once = once.unwrap_or_else(|| input.to_vec());
    assert_eq!(scrubber().bytes(&once), None);
    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(input) {
        scrubber().value(&mut value);
        assert!(!scrubber().value(&mut value));
        let mut again = value.clone();
        scrubber().event(&mut value);
        scrubber().event(&mut again);
        assert_eq!(value, again);
    }
});
