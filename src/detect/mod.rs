//! Room 2, detect: a panic becomes a [`Crash`].
//!
//! `hook` writes what a panicking thread knows into the region; `panic` makes crashes of what it
//! wrote, with `stack` (symbolication, and what to cut), `rust_names` (names to group by) and
//! `in_app` (whose code it is). `outside` does the same for a process that has died, from its region
//! and the files it ran. `fatal` and `stop` are signal handlers, with `disposition`: they write into the
//! region what the process dies of. `stderr` finds crashes in what a program prints, one file per
//! runtime; `error` takes what a program captures itself; `exit` knows what an exit
//! status says alone, with `oom` (the kernel's OOM killer) and `rlimits`; `signal` knows signals by name.

#[cfg(target_os = "linux")]
pub(crate) mod autopsy;
#[cfg(target_os = "linux")]
mod c_library;
mod crash;
#[cfg(target_os = "linux")]
mod disposition;
mod error;
pub mod exit;
#[cfg(target_os = "linux")]
mod fatal;
#[cfg(target_os = "linux")]
mod fault;
pub(crate) mod hook;
mod in_app;
mod no_unwind;
pub mod oom;
#[cfg(target_os = "linux")]
pub(crate) mod outside;
mod panic;
mod rlimits;
pub mod rust_names;
pub mod signal;
mod stack;
pub mod stderr;
#[cfg(target_os = "linux")]
mod stop;

pub use crash::{
    Crash, CrashedThread, Ending, Exception, Frame, Image, Location, Mechanism, Runtime, Severity,
    SignalInfo, ThreadStack,
};
pub use error::captured;
pub use in_app::OwnCrates;
pub(crate) use no_unwind::NoUnwind;
pub(crate) use panic::rustc_version;
pub use panic::{Family, families};
pub use rlimits::ResourceLimits;
#[cfg(target_os = "linux")]
pub(crate) use stack::learn_from_frames;
pub(crate) use stack::learn_from_install;

/// Sets the handlers of [`fatal`] and [`stop`], once; see there which signals they take. `ledger` is the
/// region of the monitor above.
#[cfg(target_os = "linux")]
pub(crate) fn install_signal_handlers(
    recording: &std::sync::Arc<crate::record::Recording>,
    ledger: Option<std::sync::Arc<crate::record::Region>>,
) {
    fatal::install(recording, ledger);
    stop::install(recording);
}

/// Elsewhere a region does not outlive its process, so that nothing is to be written into it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn install_signal_handlers(
    _recording: &std::sync::Arc<crate::record::Recording>,
    _ledger: Option<std::sync::Arc<crate::record::Region>>,
) {
}
