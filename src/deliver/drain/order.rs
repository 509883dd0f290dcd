//! What a drain is asked to do.

use std::fmt;
use std::time::{Duration, Instant};

use sentry::types::{Dsn, Uuid};

/// What is to be sent, and until when.
pub struct Order<'a> {
    /// Reports whose hold is over although they are younger than it: their process has ended.
    pub ready: &'a dyn Fn(Uuid) -> bool,
    /// Whether a report is to be looked at at all, by its id and the DSN that its envelope names, if
    /// it names one that can be read.
    pub wants: &'a dyn Fn(Uuid, Option<&Dsn>) -> bool,
    /// Where reports go that name no DSN; `None` keeps them.
    pub fallback: Option<&'a Dsn>,
    /// Where reports go whatever DSN they name: a person knows a better one.
    pub instead: Option<&'a Dsn>,
    /// Whether a person asked for it: then nobody waits after a failure. What a server asked for
    /// still counts, and local reports stay unless they are in `insist`.
    pub on_request: bool,
    /// Reports that a person named: they are sent even if they are local, rejected, limited, or too
    /// many of their kind.
    pub insist: &'a [Uuid],
    /// No request starts or lasts beyond this.
    pub until: Option<Instant>,
    /// How old a report must be that is not `ready`: until then its own process may correct it.
    pub hold: Duration,
    /// How long to wait between two requests: nobody is in a hurry for what has waited long already.
    pub pause: Duration,
    /// How many reports of one kind are sent in an hour; 0 is no limit.
    pub rate_limit: u32,
}

impl fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("on_request", &self.on_request)
            .field("insist", &self.insist)
            .field("until", &self.until)
            .field("rate_limit", &self.rate_limit)
            .finish_non_exhaustive()
    }
}
