//! Times as a person reads them. Everything is UTC and says so; an age is always given beside it.
//! No input panics, however far in the past or the future.

use std::time::SystemTime;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// Reads a timestamp of an event: RFC 3339 (without an offset it is UTC), or seconds since 1970.
pub fn parse(value: &Value) -> Option<OffsetDateTime> {
    match value {
        Value::Number(seconds) => from_seconds(seconds.as_f64()?),
        Value::String(text) => from_text(text),
        _ => None,
    }
}

fn from_seconds(seconds: f64) -> Option<OffsetDateTime> {
    // A float of seconds carries microseconds; what is beyond them is noise of the conversion.
    let micros = (seconds * 1e6).round();
    if !micros.is_finite() || micros.abs() > 1e18 {
        return None;
    }
    OffsetDateTime::from_unix_timestamp_nanos(micros as i128 * 1000).ok()
}

fn from_text(text: &str) -> Option<OffsetDateTime> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    match parsed {
        Ok(time) => time.checked_to_offset(UtcOffset::UTC),
        Err(_) => from_seconds(text.parse().ok()?),
    }
}

/// `time` in UTC; `None` where the year is beyond what the clock crate knows.
pub fn from_system(time: SystemTime) -> Option<OffsetDateTime> {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    };
    from_seconds(seconds)
}

/// `2026-11-22 03:12:44 UTC`.
pub fn to_second(time: OffsetDateTime) -> String {
    format!("{} {} UTC", date(time), of_day(time))
}

/// `2026-11-22 03:12:44Z`, where room is dear.
pub fn to_second_short(time: OffsetDateTime) -> String {
    format!("{} {}Z", date(time), of_day(time))
}

/// `2026-11-22 03:12:44.512 UTC`.
pub fn to_millisecond(time: OffsetDateTime) -> String {
    format!("{} {}.{:03} UTC", date(time), of_day(time), time.millisecond())
}

/// RFC 3339 with milliseconds: `2026-11-22T03:12:44.512Z`.
pub fn rfc3339(time: OffsetDateTime) -> String {
    format!("{}T{}.{:03}Z", date(time), of_day(time), time.millisecond())
}

fn date(time: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

fn of_day(time: OffsetDateTime) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago `time` was, in one unit: `4m ago`, `3d ago`; `in 4m` if a clock is wrong.
pub fn age(now: OffsetDateTime, time: OffsetDateTime) -> String {
    let seconds = (now - time).whole_seconds();
    let (count, unit) = match seconds.abs() {
        0..5 => return "just now".to_owned(),
        s @ 5..MINUTE => (s, "s"),
        s @ MINUTE..HOUR => (s / MINUTE, "m"),
        s @ HOUR..DAY => (s / HOUR, "h"),
        s => (s / DAY, "d"),
    };
    if seconds < 0 { format!("in {count}{unit}") } else { format!("{count}{unit} ago") }
}

/// How long something took, in its two largest units: `2.250s`, `3m12s`, `4h05m`, `11d04h`.
pub fn span(seconds: f64) -> String {
    let whole = seconds as i64;
    match whole {
        ..MINUTE => format!("{seconds:.3}s"),
        MINUTE..HOUR => format!("{}m{:02}s", whole / MINUTE, whole % MINUTE),
        HOUR..DAY => format!("{}h{:02}m", whole / HOUR, whole % HOUR / MINUTE),
        _ => format!("{}d{:02}h", whole / DAY, whole % DAY / HOUR),
    }
}

/// The time of a breadcrumb relative to the crash: `-1.204s`, `-3m12s`, `+0.003s`; to the
/// microsecond, `-0.000412s`, where everything happened within a second.
pub fn offset(crash: OffsetDateTime, time: OffsetDateTime, within_a_second: bool) -> String {
    let difference: Duration = time - crash;
    if within_a_second {
        let seconds = difference.as_seconds_f64();
        let nothing = difference.whole_microseconds() == 0;
        let sign = if nothing {
            " "
        } else if seconds < 0.0 {
            "-"
        } else {
            "+"
        };
        return format!("{sign}{:.6}s", seconds.abs());
    }
    let millis = (difference.as_seconds_f64() * 1e3).round();
    let sign = match millis {
        m if m < 0.0 => '-',
        m if m > 0.0 => '+',
        _ => ' ',
    };
    format!("{sign}{}", span(millis.abs() / 1e3))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> OffsetDateTime {
        parse(&json!(text)).unwrap()
    }

    #[test]
    fn every_form_of_a_timestamp_means_the_same() {
        let expected = "2026-11-22 03:12:44.512 UTC";
        for form in [
            json!("2026-11-22T03:12:44.512Z"),
            json!("2026-11-22T05:12:44.512+02:00"),
            json!("2026-11-22T03:12:44.512"),
            json!(1795317164.512),
            json!("1795317164.512"),
        ] {
            assert_eq!(to_millisecond(parse(&form).unwrap()), expected, "{form}");
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        for form in [json!(null), json!("yesterday"), json!(1e300), json!("NaN"), json!([1])] {
            assert_eq!(parse(&form), None, "{form}");
        }
    }

    #[test]
    fn an_age_has_one_unit() {
        let now = at("2026-11-22T12:00:00Z");
        for (time, expected) in [
            ("2026-11-22T11:59:58Z", "just now"),
            ("2026-11-22T11:59:50Z", "10s ago"),
            ("2026-11-22T11:57:01Z", "2m ago"),
            ("2026-11-22T02:00:00Z", "10h ago"),
            ("2026-11-02T12:00:00Z", "20d ago"),
            ("2026-11-22T12:05:00Z", "in 5m"),
        ] {
            assert_eq!(age(now, at(time)), expected);
        }
    }

    #[test]
    fn an_offset_is_as_fine_as_it_is_near() {
        let crash = at("2026-11-22T12:00:00Z");
        for (time, expected) in [
            ("2026-11-22T11:59:58.796Z", "-1.204s"),
            ("2026-11-22T12:00:00.003Z", "+0.003s"),
            ("2026-11-22T12:00:00.0001Z", " 0.000s"),
            ("2026-11-22T11:56:47.9Z", "-3m12s"),
            ("2026-11-22T07:55:00Z", "-4h05m"),
            ("2026-11-11T08:00:00Z", "-11d04h"),
        ] {
            assert_eq!(offset(crash, at(time), false), expected);
        }
    }
}
