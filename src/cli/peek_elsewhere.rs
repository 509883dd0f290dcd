//! `lastwords peek` where regions are in the memory of their process: it says so.

#[path = "peek/refusal.rs"]
mod refusal;

use std::path::Path;

use super::args::PeekArgs;
use super::error::Error;
use super::output::Output;
pub use refusal::Refusal;

/// Says that it cannot be done.
pub fn run(_args: &PeekArgs, _state_dir: Option<&Path>, _out: &mut Output) -> Result<(), Error> {
    Err(Error::Peek(Refusal::Unsupported))
}
