//! What a server says of when it wants to hear from us again: its headers become [`RateLimit`]s.
//!
//! Any header can be read, whatever is in it: a part that makes no sense is passed over, and the
//! rest counts.
//!
//! What is lost: the scope, the reason and the namespaces of a limit, which are for people and for
//! metrics, and whatever is longer than [`LONGEST`].

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::RateLimit;

/// A limit is at most this long. A server may speak of the end of a month's quota, or have a wrong
/// clock; to ask once a day costs neither side anything, and a quota may have been raised.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long a server that says 429 and nothing else is left alone.
const UNSAID: Duration = Duration::from_secs(60);

/// The limits of an answer: what `X-Sentry-Rate-Limits` says, which counts on every answer; else
/// `Retry-After` on a 429 or a 503, for every category; else a minute on a 429.
pub(super) fn of<'a>(
    status: u16,
    rate_limits: impl Iterator<Item = &'a str>,
    retry_after: Option<&str>,
    now: SystemTime,
) -> Vec<RateLimit> {
    let limits: Vec<_> = rate_limits.flat_map(|line| line.split(',')).filter_map(one).collect();
    if !limits.is_empty() {
        return limits;
    }
    let said = retry_after.and_then(|text| wait(text, now));
    let lasts = match status {
        429 => said.unwrap_or(UNSAID),
        503 => said.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    match lasts.is_zero() {
        true => Vec::new(),
        false => vec![RateLimit { lasts, categories: Vec::new() }],
    }
}

/// One limit: `seconds:category;category:scope:reason:namespaces`.
fn one(part: &str) -> Option<RateLimit> {
    let (lasts, rest) = part.split_once(':').unwrap_or((part, ""));
    let lasts = seconds(lasts)?;
    let categories = rest.split(':').next().unwrap_or_default();
    let categories = categories.split(';').map(str::trim).filter(|category| !category.is_empty());
    let categories = categories.map(str::to_owned).collect();
    (!lasts.is_zero()).then_some(RateLimit { lasts, categories })
}

/// `Retry-After`: a number of seconds, or when.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    seconds(text).or_else(|| {
        let then = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
        let left = then - OffsetDateTime::from(now);
        Some(Duration::try_from(left).unwrap_or_default().min(LONGEST))
    })
}

/// Whole seconds, rounded up: some servers give fractions.
fn seconds(text: &str) -> Option<Duration> {
    let number = text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0)?;
    let whole = number.ceil().min(LONGEST.as_secs_f64());
    Some(Duration::from_secs_f64(whole))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn read(status: u16, rate_limits: &[&str], retry_after: Option<&str>) -> Vec<(u64, String)> {
        let limits = of(status, rate_limits.iter().copied(), retry_after, now());
        limits.iter().map(|limit| (limit.lasts.as_secs(), limit.categories.join("+"))).collect()
    }

    fn all(seconds: u64) -> Vec<(u64, String)> {
        vec![(seconds, String::new())]
    }

    #[test]
    fn the_protocols_examples() {
        let header = "60:transaction:key, 2700:default;error;security:organization:quota:a;b";
        let expected =
            vec![(60, "transaction".to_owned()), (2700, "default+error+security".to_owned())];
        assert_eq!(read(200, &[header], None), expected);
        assert_eq!(read(429, &[header], Some("5")), expected);
        assert_eq!(
            read(200, &["60:transaction:key", "2700:default;error;security"], None),
            expected
        );
    }

    #[test]
    fn no_category_means_every_one() {
        for header in ["60::organization", "60:", "60", " 60 : ; ; :key:reason"] {
            assert_eq!(read(200, &[header], None), all(60), "{header}");
        }
    }

    #[test]
    fn an_unknown_category_is_kept() {
        assert_eq!(read(200, &["1:feedback_v9"], None), vec![(1, "feedback_v9".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        let header = "soon:error, -1:error, :error, , NaN, 7:error, 0:transaction, 1e";
        assert_eq!(read(200, &[header], None), vec![(7, "error".to_owned())]);
        assert_eq!(read(200, &["nothing of use"], Some("5")), Vec::new());
    }

    #[test]
    fn absurd_limits_last_a_day() {
        let day = all(LONGEST.as_secs());
        for header in ["86401", "99999999999999999999999", "inf", "1e300"] {
            assert_eq!(read(200, &[header], None), day, "{header}");
            assert_eq!(read(429, &[], Some(header)), day, "{header}");
        }
        assert_eq!(read(429, &[], Some("Sun, 06 Nov 2094 08:49:37 GMT")), day);
    }

    #[test]
    fn retry_after_counts_where_nothing_better_is_said() {
        assert_eq!(read(429, &[], Some("120")), all(120));
        assert_eq!(read(429, &["nothing of use"], Some("120")), all(120));
        assert_eq!(read(429, &[], Some("0.2")), all(1));
        assert_eq!(read(503, &[], Some(" 30 ")), all(30));
        assert_eq!(read(200, &[], Some("120")), Vec::new());
        assert_eq!(read(500, &[], Some("120")), Vec::new());
    }

    #[test]
    fn retry_after_may_be_a_date() {
        assert_eq!(read(429, &[], Some("Sun, 06 Nov 1994 08:51:37 GMT")), all(120));
        assert_eq!(read(429, &[], Some("Sun, 06 Nov 1994 08:49:36 GMT")), Vec::new());
        assert_eq!(read(429, &[], Some("Sunday")), all(60));
    }

    #[test]
    fn a_bare_429_means_a_minute() {
        assert_eq!(read(429, &[], None), all(60));
        assert_eq!(read(503, &[], None), Vec::new());
        assert_eq!(read(503, &[], Some("soon")), Vec::new());
    }

    proptest! {
        #[test]
        fn any_header_can_be_read(
            status in 100_u16..600,
            lines in proptest::collection::vec(".{0,60}|[0-9:;,. a-z-]{0,60}", 0..4),
            retry_after in proptest::option::of(".{0,40}|[0-9.e+-]{0,20}"),
        ) {
            let lines = lines.iter().map(String::as_str);
            for limit in of(status, lines, retry_after.as_deref(), now()) {
                prop_assert!(!limit.lasts.is_zero() && limit.lasts <= LONGEST);
                prop_assert!(limit.categories.iter().all(|category| !category.is_empty()));
            }
        }

        #[test]
        fn a_written_limit_is_read_back(
            lasts in 1_u64..86_400,
            categories in proptest::collection::vec("[a-z_]{1,12}", 0..4),
        ) {
            let line = format!("{lasts}:{}:key:reason", categories.join(";"));
            let read = of(200, std::iter::once(line.as_str()), None, now());
            let expected = RateLimit { lasts: Duration::from_secs(lasts), categories };
            prop_assert_eq!(read, vec![expected]);
        }
    }
}
