//! What became of a report in a drain, and of all of them.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::deliver::SpoolError;
use crate::report::rfc3339;

/// What became of a report that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The server has it.
    Sent,
    /// The server has had it before: nothing was sent, and this version is kept with the sent ones.
    SentBefore,
    /// The server refused it, and would again: it was set aside.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// Too many of its kind were sent in an hour: it was set aside.
    Limited,
    /// It was a session, and the server has it.
    SessionSent,
    /// It was a session, and the server refused it: it is gone.
    SessionRefused {
        /// The HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// It still waits.
    Kept(Kept),
}

/// Why a report still waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It names no DSN, and there is none for such reports.
    NoDestination,
    /// It was recorded with sending switched off.
    Local,
    /// It may still be corrected.
    Young {
        /// When it may not.
        ready_in: Duration,
    },
    /// Its server failed lately.
    BackingOff {
        /// Until when it is left alone.
        until: SystemTime,
        /// Why it failed.
        why: String,
    },
    /// Its server asked for a pause.
    RateLimited {
        /// Until when.
        until: SystemTime,
    },
    /// Its server takes nothing under this DSN.
    WrongDsn {
        /// The server's words.
        words: String,
    },
    /// It was not delivered just now.
    Failed {
        /// Why.
        why: String,
        /// When to try again.
        until: SystemTime,
    },
    /// Somebody else is sending or replacing it.
    BeingSent,
    /// There was no time left for a request.
    OutOfTime,
    /// It cannot be read.
    Unreadable(String),
    /// It names a DSN that is none.
    BadDsn(String),
}

/// What a drain came to.
#[derive(Debug, Default)]
pub struct Drained {
    /// When trying again makes sense, without new reports; `None`: not before something changes.
    pub next: Option<Duration>,
    /// Reports that were sent.
    pub sent: usize,
    /// Reports that were set aside because they had been sent before.
    pub sent_before: usize,
    /// Reports that a server refused.
    pub rejected: usize,
    /// Reports that were too many.
    pub limited: usize,
    /// Sessions that were sent, or that a server refused.
    pub sessions: usize,
    /// Reports and sessions that still wait.
    pub kept: usize,
    /// Destinations of which a server said just now that their DSN is wrong, each with its words: the
    /// moment to warn. A destination has no key in its name.
    pub wrong_dsns: Vec<(String, String)>,
    /// Why the reports could not be listed.
    pub trouble: Option<SpoolError>,
}

impl Drained {
    pub(super) fn count(&mut self, fate: &Fate) {
        let counter = match fate {
            Fate::Sent => &mut self.sent,
            Fate::SentBefore => &mut self.sent_before,
            Fate::Rejected { .. } => &mut self.rejected,
            Fate::Limited => &mut self.limited,
            Fate::SessionSent | Fate::SessionRefused { .. } => &mut self.sessions,
            Fate::Kept(_) => &mut self.kept,
        };
        *counter += 1;
    }

    pub(super) fn try_again_in(&mut self, wait: Duration) {
        self.next = Some(self.next.map_or(wait, |next| next.min(wait)));
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent => f.write_str("sent"),
            Self::SentBefore => f.write_str("sent before, and not again"),
            Self::Rejected { status, words } => {
                write!(f, "rejected by the server with status {status}")?;
                said(f, words)
            }
            Self::Limited => f.write_str("not sent: too many of its kind were sent in an hour"),
            Self::SessionSent => f.write_str("session sent"),
            Self::SessionRefused { status, words } => {
                write!(f, "session refused by the server with status {status}")?;
                said(f, words)
            }
            Self::Kept(kept) => kept.fmt(f),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDestination => f.write_str("kept: no DSN says where to send it"),
            Self::Local => f.write_str("kept: it was recorded with sending switched off"),
            Self::Young { .. } => f.write_str("kept: it may still be corrected"),
            Self::BackingOff { until, why } => {
                write!(f, "kept: the server failed, next attempt {}", Time(*until))?;
                said(f, why)
            }
            Self::RateLimited { until } => {
                write!(f, "kept: the server wants no reports until {}", Time(*until))
            }
            Self::WrongDsn { words } => {
                f.write_str("kept: the server takes nothing under this DSN")?;
                said(f, words)
            }
            Self::Failed { why, until } => {
                write!(f, "kept: not delivered, next attempt {}", Time(*until))?;
                said(f, why)
            }
            Self::BeingSent => f.write_str("kept: another process is sending it"),
            Self::OutOfTime => f.write_str("kept: no time was left to send it"),
            Self::Unreadable(why) => {
                f.write_str("kept: it cannot be read")?;
                said(f, why)
            }
            Self::BadDsn(why) => {
                f.write_str("kept: the DSN it names is none")?;
                said(f, why)
            }
        }
    }
}

/// Somebody's words behind ours, on the same line.
fn said(f: &mut fmt::Formatter<'_>, words: &str) -> fmt::Result {
    let mut words = words.split(|c: char| c.is_control()).filter(|part| !part.is_empty());
    if let Some(first) = words.next() {
        write!(f, ": {first}")?;
    }
    words.try_for_each(|part| write!(f, " {part}"))
}

/// A time to the second, in UTC.
struct Time(SystemTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        f.write_str(&rfc3339(second))
    }
}
