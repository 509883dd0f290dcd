//! Waiting for what has to come.

use std::thread;
use std::time::{Duration, Instant};

/// What takes longer hangs, on any machine.
pub const HANGS: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANGS, "it hangs: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
