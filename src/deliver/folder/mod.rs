//! A directory that only we may write in, and the few things the spool does in it.
//!
//! [`Folder`] has a twin for each family of systems. On Unix every operation is relative to an open
//! directory whose owner was checked, no symbolic link is followed, and nothing but a regular file
//! is ever opened. Elsewhere it works by path, with what the system offers.

use std::time::SystemTime;

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub use other::Folder;
#[cfg(unix)]
pub use unix::Folder;

/// What is known of a regular file.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}
