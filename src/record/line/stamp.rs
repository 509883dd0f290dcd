//! Times as loggers print them, and the instants they mean.
//!
//! A time may lack its year, its date and its zone. What is missing is taken from the moment the line
//! was read: the year and the day that bring it nearest. A time without a zone is UTC, unless it is a
//! whole number of half hours away from the moment it was read, as a local time is.
//! **Not believed:** of a line that was read as it was written, a time more than a day away from
//! that. Then the reading itself is the time.

use std::time::SystemTime;

use time::{Date, Month, OffsetDateTime};

const HALF_HOUR: i128 = 1800 * SECOND;
const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// How far a local time may be from a whole number of half hours.
const NEARLY: i128 = 90 * SECOND;

/// A time as it was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    year: Option<i32>,
    /// Month and day.
    day: Option<(u8, u8)>,
    /// Since midnight.
    nanos: i128,
    /// Seconds east of UTC.
    zone: Option<i32>,
}

impl Stamp {
    /// The time of a line that was read at `read`, `live` if it was written then.
    pub fn resolve(&self, read: SystemTime, live: bool) -> SystemTime {
        let read_nanos = nanos_of(read);
        let Some(nanos) = self.nearest(read_nanos) else { return read };
        if !live && self.year.is_some() {
            return time_of(nanos).unwrap_or(read);
        }
        let away = nanos - read_nanos;
        let zones = (away + away.signum() * HALF_HOUR / 2) / HALF_HOUR;
        let local = self.zone.is_none() && (1..=28).contains(&zones.abs());
        let nanos = match nanos - zones * HALF_HOUR {
            shifted if local && (shifted - read_nanos).abs() <= NEARLY => shifted,
            _ => nanos,
        };
        let believable = (nanos - read_nanos).abs() <= DAY;
        if believable { time_of(nanos).unwrap_or(read) } else { read }
    }

    /// Nanoseconds since 1970 with what is missing filled in.
    fn nearest(&self, read: i128) -> Option<i128> {
        let zone = i128::from(self.zone.unwrap_or(0)) * SECOND;
        let at = |date: Date| {
            let days = i128::from(date.to_julian_day()) - i128::from(UNIX_DAY);
            days * DAY + self.nanos - zone
        };
        let today = OffsetDateTime::from_unix_timestamp_nanos(read).ok()?.date();
        let dated = |year: i32, (month, day): (u8, u8)| {
            Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
        };
        let dates = match (self.year, self.day) {
            (Some(year), Some(day)) => [dated(year, day), None, None],
            (_, Some(day)) => [-1, 0, 1].map(|step| dated(today.year() + step, day)),
            _ => [today.previous_day(), Some(today), today.next_day()],
        };
        dates.into_iter().flatten().map(at).min_by_key(|nanos| (nanos - read).abs())
    }

    /// A number since 1970: of seconds, or where it is too large for that, of parts of them.
    pub fn of_number(number: f64) -> Option<Stamp> {
        let unit = match number {
            n if n < 1e8 => return None,
            n if n < 1e11 => 1e9,
            n if n < 1e14 => 1e6,
            n if n < 1e17 => 1e3,
            n if n < 1e19 => 1.0,
            _ => return None,
        };
        Stamp::of_nanos((number * unit) as i128)
    }

    fn of_nanos(nanos: i128) -> Option<Stamp> {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Stamp {
            year: Some(moment.year()),
            day: Some((moment.month().into(), moment.day())),
            nanos: nanos.rem_euclid(DAY),
            zone: Some(0),
        })
    }

    /// The month and day in four digits and the time of glog: `0314 12:00:01.123456`.
    pub fn glog(text: &str) -> Option<(Stamp, &str)> {
        let (month, rest) = digits(text, 2)?;
        let (day, rest) = digits(rest, 2)?;
        let (nanos, rest) = clock(rest.strip_prefix(' ')?)?;
        let day = Some((u8::try_from(month).ok()?, u8::try_from(day).ok()?));
        Some((Stamp { year: None, day, nanos, zone: None }, rest))
    }

    /// The time at the start of a text, in any usual form, and what follows.
    pub fn leading(text: &str) -> Option<(Stamp, &str)> {
        let first = *text.as_bytes().first()?;
        if first.is_ascii_alphabetic() {
            return named_month_first(text);
        }
        if !first.is_ascii_digit() {
            return None;
        }
        numbers(text).or_else(|| day_first(text)).or_else(|| {
            let (nanos, rest) = clock(text)?;
            let (zone, rest) = zone(rest);
            Some((Stamp { year: None, day: None, nanos, zone }, rest))
        })
    }
}

/// 1970-01-01 as a Julian day.
const UNIX_DAY: i32 = 2_440_588;

fn nanos_of(time: SystemTime) -> i128 {
    let nanos = |duration: std::time::Duration| duration.as_nanos() as i128;
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

fn time_of(nanos: i128) -> Option<SystemTime> {
    let nanos = u64::try_from(nanos).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_nanos(nanos))
}

/// `2026-03-04T05:06:07.123Z`, `2026/03/04 05:06:07`, `2026-03-04 05:06:07,123 UTC`.
fn numbers(text: &str) -> Option<(Stamp, &str)> {
    let (year, rest) = digits(text, 4)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (month, rest) = digits(rest.strip_prefix(separator)?, 2)?;
    let (day, rest) = digits(rest.strip_prefix(separator)?, 2)?;
    let rest = rest.strip_prefix("][").or_else(|| rest.strip_prefix([' ', 'T', 't', '-']))?;
    let (nanos, rest) = clock(rest)?;
    let (zone, rest) = zone(rest);
    let day = Some((u8::try_from(month).ok()?, u8::try_from(day).ok()?));
    Some((Stamp { year: i32::try_from(year).ok(), day, nanos, zone }, rest))
}

/// `02 Jan 2026 03:04:05.678`, `02/Jan/2026:03:04:05 +0000`.
fn day_first(text: &str) -> Option<(Stamp, &str)> {
    let (day, rest) = digits(text, 2)?;
    let separator = rest.chars().next().filter(|c| matches!(c, ' ' | '/' | '-'))?;
    let (month, rest) = month(rest.strip_prefix(separator)?)?;
    let (year, rest) = digits(rest.strip_prefix(separator)?, 4)?;
    let (nanos, rest) = clock(rest.strip_prefix([' ', ':'])?)?;
    let (zone, rest) = zone(rest);
    let day = Some((month, u8::try_from(day).ok()?));
    Some((Stamp { year: i32::try_from(year).ok(), day, nanos, zone }, rest))
}

/// `Mar  4 05:06:07`, `Mar 04 05:06:07.123`, `Wed Mar  4 05:06:07 2026`, `Mar  4 2026 05:06:07`.
fn named_month_first(text: &str) -> Option<(Stamp, &str)> {
    const DAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
    let text = DAYS.iter().find_map(|day| text.strip_prefix(day)).unwrap_or(text);
    let (month, rest) = month(text)?;
    let rest = rest.strip_prefix(' ')?;
    let (day, rest) = match rest.strip_prefix(' ') {
        Some(rest) => digits(rest, 1)?,
        None => digits(rest, 2).or_else(|| digits(rest, 1))?,
    };
    let rest = rest.strip_prefix([' ', ',']).map(|rest| rest.trim_start_matches(' '))?;
    let year_before =
        digits(rest, 4).and_then(|(year, rest)| Some((year, rest.strip_prefix(' ')?)));
    let (nanos, rest) = clock(year_before.map_or(rest, |(_, rest)| rest))?;
    let year_after = rest.strip_prefix(' ').and_then(|rest| digits(rest, 4));
    let year_after = year_after.filter(|(year, rest)| {
        (1970..2200).contains(year) && !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
    });
    let (year, rest) = match (year_before, year_after) {
        (Some((year, _)), _) => (Some(year), rest),
        (None, Some((year, rest))) => (Some(year), rest),
        (None, None) => (None, rest),
    };
    let day = Some((month, u8::try_from(day).ok()?));
    Some((
        Stamp { year: year.and_then(|year| i32::try_from(year).ok()), day, nanos, zone: None },
        rest,
    ))
}

fn month(text: &str) -> Option<(u8, &str)> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|month| text.starts_with(month))?;
    Some((month as u8 + 1, &text[3..]))
}

/// `05:06:07`, with any fraction behind a point or a comma, as nanoseconds since midnight.
fn clock(text: &str) -> Option<(i128, &str)> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 2)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let whole = i128::from(hour * 3600 + minute * 60 + second.min(59)) * SECOND;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((whole, rest)) };
    let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return Some((whole, rest));
    }
    let nanos = format!("{:0<9}", &fraction[..len.min(9)]).parse::<i128>().ok()?;
    Some((whole + nanos, &fraction[len..]))
}

/// `Z`, `+02:00`, ` +0200`, ` UTC`; `None` where there is none.
fn zone(text: &str) -> (Option<i32>, &str) {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return (Some(0), rest);
    }
    let spaced = text.strip_prefix(' ').unwrap_or(text);
    for name in ["UTC", "GMT"] {
        if let Some(rest) = spaced.strip_prefix(name)
            && !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return (Some(0), rest);
        }
    }
    let offset = || {
        let sign = if spaced.starts_with('-') { -1 } else { 1 };
        let (hours, rest) = digits(spaced.strip_prefix(['+', '-'])?, 2)?;
        let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2)?;
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        (hours < 24 && minutes < 60).then_some((Some(sign * seconds), rest))
    };
    offset().unwrap_or((None, text))
}

/// A number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let digits = text.get(..count).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[count..]))
}
