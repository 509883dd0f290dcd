//! Room 4, deliver: an event becomes a file in the spool.
//!
//! A report is on disk before it is sent, and stays there until it is known to have arrived or
//! until the spool's limit pushes it out: see [`Spool`]. A [`Client`] carries it, and an
//! [`Outcome`] is what its answer means.
mod answer;
mod client;
mod error;
mod folder;
mod limits;
mod outcome;
mod spool;

use std::path::Path;

pub use answer::{Answer, Courier, NotAnswered, RateLimit, Stage};
pub use client::Client;
pub use error::SpoolError;
pub use outcome::{Outcome, backoff};
pub use spool::{Entry, Spool, State};

/// Makes `dir`, with its parents, or takes it as it is: a directory of ours that nobody else can
/// read.
///
/// # Errors
///
/// If it is not ours, is shared or a link, or cannot be made.
pub(crate) fn make_private_directory(dir: &Path) -> Result<(), SpoolError> {
    folder::Folder::open_private(dir).map(drop)
}
