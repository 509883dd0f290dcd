//! lastwords is the flight recorder of a process.
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod deliver;
#[doc(hidden)]
pub mod detect;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod report;

mod recorder;

#[doc(hidden)]
pub use recorder::existing_state_dir;
pub use recorder::{Builder, InstallError, Recorder, builder, remove_tag, set_tag};
pub use sentry;
