//! The flight recorder of a process: its last log lines, attached to one report of its death.
//!
//! ```no_run
//! use tracing_subscriber::prelude::*;
//!
//! fn main() -> Result<(), lastwords::InstallError> {
//!     let recorder = lastwords::builder().release("alpha@24.1.0").tag("dgraph", "alpha").install()?;
//!     tracing_subscriber::registry()
//!         .with(recorder.layer())
//!         .with(tracing_subscriber::fmt::layer())
//!         .init();
//!     // As soon as it is known, from any thread; it is in every report from then on.
//!     lastwords::set_tag("cluster", "eu-west-7");
//!     // ...
//!     Ok(())
//! }
//! ```
//!
//! # What is guaranteed
//!
//! * **Log lines outlive the process.** Events and spans go into a ring in a mapped file, whose
//!   pages belong to the kernel: whatever kills the process, the last 128 finished records and more
//!   are there. A kill costs the one record that each thread was writing.
//! * **One death is one report.** A panic is reported with its stack, the breadcrumbs before it,
//!   tags and context, as one Sentry envelope in the spool. A panic while another one unwinds, or at
//!   a function that cannot unwind, belongs to the first one's report, and so does the abort that
//!   follows. A signal, a kill and an exit are told apart; a stop that was asked for is none.
//! * **The program behaves as if nobody watched.** Recording an event takes no lock, allocates nothing
//!   and never blocks; the panic hook hands its work to a thread and waits for a bounded time; the
//!   previous hook runs as before; what the machine lacks costs a warning, never the start.
//!
//! # What is not
//!
//! * Deaths that run no hook (SIGKILL, SIGSEGV, a stack overflow) are reported at once only where somebody
//!   watches: a monitor that [`supervise`] or [`Builder::supervise`] starts, or `lastwords run`. Otherwise
//!   they leave the region behind, with its breadcrumbs and, of a fault, an abort or a limit, the
//!   thread's registers, stack and module map; the next start of the same program reports them, as does
//!   `lastwords sweep`.
//! * Only what is panicked with or [captured](capture_error) is sent; with no DSN, or with sending
//!   switched off, reports stay in the spool, for `lastwords list` and `lastwords show`.
//! * After a crash of the machine the file may hold anything; it is read as untrusted input.
//! * On other systems than Linux breadcrumbs live in the process, and reports are made by the panic
//!   hook only.
//!
//! # What `install` changes in the process
//!
//! A panic hook before the one that is set, one thread named `lastwords` that takes no signals and
//! sleeps until a panic (a second one, `lastwords-send`, once there is something to send), one exit
//! handler and one `fork` handler of the C library, one open file
//! (close-on-exec) and its mapping of 1.6 MiB. Settings in the environment
//! (`LASTWORDS_...`) have the last word over the builder's: see [`config`].
//!
//! On Linux, signal handlers, which write what they know into the region and then have happen what
//! would have happened without them (exit status, core dump and the runtime's message about a stack
//! overflow included):
//!
//! * of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU and SIGXFSZ, unless
//!   they are ignored. A handler that was there before is called next. One thing is different: a
//!   SIGSEGV or SIGBUS that somebody *sends* ends the process, where the Rust runtime's handler
//!   alone returns from the first one;
//! * where they are at their default, of SIGTERM, SIGINT, SIGHUP and SIGQUIT, and of SIGALRM,
//!   SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT and SIGPIPE. A handler that the
//!   program sets later simply replaces them. PID 1 of a PID namespace gets those of the first four alone,
//!   and they only note that it was asked: the kernel lets none of these end it.
//!
//! # The rooms
//!
//! Data moves one way: [`record`] (events to breadcrumbs in a region), [`detect`] (a panic, or
//! what a program printed, to a crash), [`report`] (crash, breadcrumbs, tags and context to a scrubbed
//! event), [`deliver`] (an event to the spool, and to the server); [`supervise`] runs a program and tells what it prints and how it ends; the recorder
//! connects them. The rooms are public for the `lastwords` command and for tests; only what stands on
//! this page is kept stable.

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "most of what watches a process is for Linux alone")
)]

mod build_info;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod deliver;
#[doc(hidden)]
pub mod detect;
#[doc(hidden)]
pub mod record;
mod recorder;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod supervise;

pub use build_info::BuildInfo;
pub use config::SuperviseMode;
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use recorder::monitor::run as run_monitored;

/// Elsewhere programs are not run under a monitor.
///
/// # Errors
/// Always [`supervise::StartError::Unsupported`].
#[cfg(not(target_os = "linux"))]
#[doc(hidden)]
pub fn run_monitored(
    command: supervise::Command,
    _settings: config::Settings,
    _flags: &config::Flags,
) -> Result<supervise::Ended, supervise::StartError> {
    let _ = command;
    Err(supervise::StartError::Unsupported)
}
#[doc(hidden)]
pub use recorder::sweep::{SweepOutcome, Swept, run as sweep};
pub use recorder::{
    Builder, InstallError, Recorder, SentryIntegration, SentryTransport, Supervision, builder,
    capture_error, capture_error_with_backtrace, capture_message, remove_tag, set_tag, supervise,
};
#[doc(hidden)]
pub use recorder::{StateDir, inspect_state_dirs, state_dir_candidates};
/// The version of `sentry` whose types this crate's interface uses.
pub use sentry;
