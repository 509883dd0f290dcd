//! What came back when an envelope was sent: an [`Answer`], or that there was none.
//!
//! These are facts; what they mean for a report is decided in `outcome.rs`.

use std::fmt;
use std::time::Duration;

use sentry::types::Dsn;

/// Something that carries an envelope to a server: the HTTP client, or a test's stand-in.
pub trait Courier: Send + Sync {
    /// Sends `envelope`, complete and not compressed, to where `dsn` points, and waits for the answer
    /// for at most `limit`.
    ///
    /// # Errors
    /// [`NotAnswered`] where no whole status line came back in time. The server may have taken the
    /// envelope all the same.
    fn post(&self, dsn: &Dsn, envelope: &[u8], limit: Duration) -> Result<Answer, NotAnswered>;
}

/// A server's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `X-Sentry-Rate-Limits` says, else `Retry-After` as a limit of every category.
    pub limits: Vec<RateLimit>,
    /// The server's words for a person: its `X-Sentry-Error` header, or the beginning of its body, one
    /// line of at most 512 characters.
    pub words: String,
}

/// For how long a server wants nothing of some categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// From when the answer came.
    pub lasts: Duration,
    /// The categories as Sentry names them (`error`, `attachment`, ...); empty means every one.
    pub categories: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnswered {
    /// At what it failed.
    pub at: Stage,
    /// What the system or the library said, on one line, without the DSN's key.
    pub words: String,
}

/// At what a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The host's name has no address.
    Resolve,
    /// No connection came about.
    Connect,
    /// TLS was not agreed on: a wrong certificate, a server that speaks something else.
    Tls,
    /// Time ran out, at whatever.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Broken,
}

impl fmt::Display for NotAnswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.at {
            Stage::Resolve => "the server's name cannot be resolved",
            Stage::Connect => "cannot connect to the server",
            Stage::Tls => "no TLS with the server",
            Stage::Timeout => "the server does not answer",
            Stage::Broken => "the connection broke",
        };
        match self.words.is_empty() {
            true => f.write_str(at),
            false => write!(f, "{at}: {}", self.words),
        }
    }
}

impl std::error::Error for NotAnswered {}
