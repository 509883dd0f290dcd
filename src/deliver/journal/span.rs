//! Times that another process reads, perhaps after the clock was set.
//!
//! **Guarantee:** a [`Span`] is never open for longer than it was made for, nor for longer than
//! [`LONGEST`], whatever the clock does and whatever its numbers say. **Lost:** the rest of a span,
//! if the clock jumps ahead.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 by the wall clock.
pub type Millis = u64;

/// The longest span there is: a server that wants nothing for longer is asked again after it.
pub const LONGEST: Duration = Duration::from_hours(24);

/// From when to when something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When it was made.
    pub from: Millis,
    /// The first moment it does not hold any more.
    pub until: Millis,
}

impl Span {
    /// A span from now.
    pub fn new(now: Millis, lasts: Duration) -> Span {
        let lasts = lasts.min(LONGEST).as_millis();
        Span { from: now, until: now.saturating_add(u64::try_from(lasts).unwrap_or(0)) }
    }

    /// Whether it holds.
    pub fn is_open(self, now: Millis) -> bool {
        now < self.until
    }

    /// What is left of it counts from now if it was made later than now; and it is no longer than
    /// the longest.
    #[must_use]
    pub fn settled(self, now: Millis) -> Span {
        let lasts = Duration::from_millis(self.until.saturating_sub(self.from));
        Span::new(self.from.min(now), lasts)
    }

    /// The one that ends later.
    #[must_use]
    pub fn longer(self, other: Option<Span>) -> Span {
        other.filter(|other| other.until > self.until).unwrap_or(self)
    }
}

/// A time in milliseconds; before 1970 it is 1970.
pub fn millis(time: SystemTime) -> Millis {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that milliseconds name; what no clock can show is 1970.
pub fn system_time(millis: Millis) -> SystemTime {
    let since = Duration::from_millis(millis);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
