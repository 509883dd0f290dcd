//! What a setting accepts, in words: [`Form`], and the bounds both the words and the parsing use.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::show;

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

/// How many breadcrumbs an event may carry: Sentry was seen to take 1,000.
pub(super) const BREADCRUMBS: RangeInclusive<usize> = 0..=1000;
/// Reports of one fingerprint in an hour; no real limit.
pub(super) const RATE_LIMIT: RangeInclusive<usize> = 0..=100_000;
/// A ring's bytes: from blocks of 1 KiB to blocks of 1 MiB.
pub(super) const RING_SIZE: RangeInclusive<u64> = 256 * KIB..=256 * MIB;
/// A ring's size is a multiple of this: 256 blocks, each of whole cache lines of 64 bytes.
pub(super) const RING_STEP: u64 = 256 * 64;
/// The tail is held in memory, and is part of every report.
pub(super) const STDERR_TAIL: RangeInclusive<u64> = 0..=16 * MIB;
/// No real limit, but low enough that sums of it cannot overflow.
pub(super) const SPOOL_LIMIT: RangeInclusive<u64> = 0..=1024 * GIB;
/// A service manager's patience ends after about this long.
pub(super) const FLUSH: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);

/// What a setting accepts.
#[derive(Debug, Clone)]
pub enum Form {
    /// A boolean: [`parse::boolean`](super::parse::boolean).
    Bool,
    /// Where to send: [`parse::dsn`](super::parse::dsn).
    Dsn,
    /// Any text, taken as it is.
    Text,
    /// Tags: [`parse::tags`](super::parse::tags).
    Tags,
    /// A filter: [`parse::filter`](super::parse::filter).
    Filter,
    /// A whole number within bounds: [`parse::count`](super::parse::count).
    Count(RangeInclusive<usize>),
    /// Bytes within bounds: [`parse::size`](super::parse::size).
    Size(RangeInclusive<u64>),
    /// A directory; any bytes will do.
    Directory,
    /// A duration within bounds: [`parse::duration`](super::parse::duration).
    Duration(RangeInclusive<Duration>),
    /// A list of names: [`parse::names`](super::parse::names).
    Names,
    /// A [`SuperviseMode`](super::SuperviseMode).
    Mode,
}

impl Form {
    /// What a value is called, with its article.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Form::Bool => "a boolean",
            Form::Dsn => "a DSN",
            Form::Text => "a text",
            Form::Tags => "a tag",
            Form::Filter => "a filter",
            Form::Count(_) => "a count",
            Form::Size(_) => "a size",
            Form::Directory => "a directory",
            Form::Duration(_) => "a duration",
            Form::Names => "a name",
            Form::Mode => "a mode",
        }
    }

    /// What is accepted, in words of Markdown that may follow "give".
    pub fn words(&self) -> String {
        match self {
            Form::Bool => "`true`, `yes`, `on` or `1`; `false`, `no`, `off` or `0`".into(),
            Form::Dsn => "`https://KEY@HOST/PROJECT`".into(),
            Form::Text => "any text".into(),
            Form::Tags => r"`k=v,k=v`, with `\,` for a comma and `\\` for a backslash".into(),
            Form::Filter => {
                "`LEVEL`, `TARGET=LEVEL` or several with commas between, where LEVEL is \
                             `off`, `error`, `warn`, `info`, `debug` or `trace`"
                    .into()
            }
            Form::Count(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Form::Size(range) => format!(
                "bytes, or a number with KiB, MiB or GiB, from {} to {}",
                show::size(*range.start()),
                show::size(*range.end())
            ),
            Form::Directory => "a path".into(),
            Form::Duration(range) => format!(
                "seconds, or a number with ms, s or m, from {} to {}",
                show::duration(*range.start()),
                show::duration(*range.end())
            ),
            Form::Names => "names with commas between".into(),
            Form::Mode => "`off`, `wrap` or `monitor`".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_the_ring_are_whole_steps() {
        assert_eq!(RING_SIZE.start() % RING_STEP, 0);
        assert_eq!(RING_SIZE.end() % RING_STEP, 0);
    }

    #[test]
    fn words_state_the_bounds() {
        assert!(Form::Size(RING_SIZE).words().ends_with("from 256KiB to 256MiB"));
        assert!(Form::Size(STDERR_TAIL).words().ends_with("from 0 to 16MiB"));
        assert!(Form::Duration(FLUSH).words().ends_with("from 0s to 1m"));
        assert_eq!(Form::Count(BREADCRUMBS).words(), "a whole number from 0 to 1000");
    }
}
