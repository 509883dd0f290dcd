//! What it costs to record one event: lastwords, a floor, two yardsticks, and `fmt`.
//!
//! ```text
//! cargo bench --bench events [-- --rounds=N]
//! cargo bench --manifest-path benches/rivals/Cargo.toml     the same, with rivals
//! benches/instructions.sh                                   instructions instead of time
//! ```

mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::harness::main("one event", &common::contenders::OWN)
}
