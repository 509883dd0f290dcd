//! Room 2, detect: a panic becomes a [`Crash`].
//!
//! `hook` writes what a panicking thread knows into the region; `panic` makes crashes of what it
//! wrote, with `stack` (symbolication, and what to cut), `rust_names` (names to group by) and
//! `in_app` (whose code it is). `outside` does the same for a process that has died, from its region
//! and the files it ran. `stderr` finds crashes in what a program prints, one file per
//! runtime; `error` takes what a program captures itself; `exit` knows what an exit
//! status says alone, with `oom` (the kernel's OOM killer) and `rlimits`; `signal` knows signals by name.

#[cfg(target_os = "linux")]
mod c_library;
mod crash;
mod error;
pub mod exit;
pub(crate) mod hook;
mod in_app;
pub mod oom;
#[cfg(target_os = "linux")]
pub(crate) mod outside;
mod panic;
mod rlimits;
pub mod rust_names;
pub mod signal;
mod stack;
pub mod stderr;

pub use crash::{
    Crash, CrashedThread, Ending, Exception, Frame, Image, Location, Mechanism, Runtime, Severity,
    SignalInfo, ThreadStack,
};
pub use error::captured;
pub use in_app::OwnCrates;
pub use panic::{Family, families};
pub use rlimits::ResourceLimits;
pub(crate) use stack::learn_from_install;
