//! What the benchmarks of this package and those against rivals share.
//!
//! Each contender runs in child processes of its own, as the global subscriber (a scoped one costs
//! more), and the parent goes round all of them again and again, so that a change of the machine's
//! pace hits all alike. A child checks what it recorded before anything is timed.
#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod children;
pub mod contenders;
#[cfg(target_os = "linux")]
pub mod exits;
pub mod harness;
pub mod panics;
pub mod workload;
