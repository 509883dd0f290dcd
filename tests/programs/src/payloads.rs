//! What a panic may carry besides a text.

use std::panic::panic_any;

pub(crate) const SCENARIOS: [crate::Scenario; 3] =
    [("payload-string", string), ("payload-custom", custom), ("payload-number", number)];

/// A payload of the program's own.
struct ShardLost {
    _shard: u32,
}

fn string() {
    panic_any(String::from("an owned text"));
}

fn custom() {
    panic_any(ShardLost { _shard: 7 });
}

fn number() {
    panic_any(7_i32);
}
