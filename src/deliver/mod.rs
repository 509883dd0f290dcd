//! Room 4, deliver: an event becomes a file in the spool, and from there goes to its server.
//!
//! A report is on disk before it is sent, and stays there until it is known to have arrived or
//! until the spool's limit pushes it out: see [`Spool`]. [`drain()`] sends what waits: a [`Client`]
//! carries it, and an [`Outcome`] is what the answer means.
mod answer;
mod claim;
mod client;
mod drain;
mod error;
mod folder;
mod journal;
mod letters;
mod limits;
mod lock;
mod outcome;
mod sender;
mod spool;

use std::path::Path;

pub use answer::{Answer, Courier, NotAnswered, RateLimit, Stage};
pub use claim::Claim;
pub use client::Client;
pub use drain::{Drained, Fate, Kept, Order, drain, explain};
pub use error::SpoolError;
pub use outcome::{Outcome, backoff};
pub use sender::{Means, Sender};
pub use spool::{Entry, Pruned, Spool, State, Verdict};

/// Makes a state directory, with its parents, for us alone; one that is there stays as it is.
///
/// # Errors
///
/// As [`make_private_directory`].
pub(crate) fn make_state_directory(dir: &Path) -> Result<(), SpoolError> {
    folder::Folder::open_or_make(dir).map(drop)
}

/// Makes `dir`, with its parents, or takes it where it is there: a directory of ours within a state
/// directory, that nobody else can read from then on.
///
/// # Errors
///
/// If it is not ours, is shared or a link, or cannot be made.
pub(crate) fn make_private_directory(dir: &Path) -> Result<(), SpoolError> {
    folder::Folder::open_private(dir).map(drop)
}
