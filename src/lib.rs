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

pub use sentry;
