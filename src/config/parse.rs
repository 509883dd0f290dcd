//! Text to values, one function for each form of the table.
//!
//! Every function takes any text at all and never panics: what is not of the form is `None`, or an
//! `Err` for the one entry that is not. White space around a value does not count. Bounds are not
//! looked at here, they belong to the setting.

use std::time::Duration;

use sentry::types::Dsn;
use tracing_subscriber::filter::Targets;

use super::form::{GIB, KIB, MIB};
use super::settings::SuperviseMode;

/// `true`, `yes`, `on` or `1`; `false`, `no`, `off` or `0`; in upper or lower case.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number, in digits alone.
pub fn count(text: &str) -> Option<usize> {
    let (number, unit) = number(text)?;
    if unit.is_empty() { usize::try_from(number).ok() } else { None }
}

/// Bytes: a whole number, alone or with a unit, in upper or lower case, after a space or none.
///
/// Units are powers of 1024 however they are spelled: `K`, `KB` and `KiB` are 1,024 bytes, `M`, `MB`
/// and `MiB` 1,048,576, `G`, `GB` and `GiB` 1,073,741,824; `B` is one. Fractions are not accepted.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number(text)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => KIB,
        "m" | "mb" | "mib" => MIB,
        "g" | "gb" | "gib" => GIB,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// A duration: a whole number of seconds, or one with `ms`, `s` or `m` (minutes), in upper or lower
/// case, after a space or none. Fractions are not accepted.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number(text)?;
    match unit.to_ascii_lowercase().as_str() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// The digits a text begins with, and what follows them.
fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start()))
}

/// A Sentry DSN: `https://KEY@HOST/PROJECT`.
pub fn dsn(text: &str) -> Option<Dsn> {
    text.trim().parse().ok()
}

/// [`Targets`] syntax, in which white space around an entry and empty entries do not count.
///
/// `Targets` itself would take `"info, db=debug"` for a target with a space before it, and the
/// nothing after the comma of `"info,"` for the level `error`.
///
/// A word that is no level is a target with all its levels, and a filter that names only targets
/// silences everything else. So a level in another system's words, such as `warning`, would silence
/// the program: it is refused. (`warning=trace` still names such a target.)
pub fn filter(text: &str) -> Option<Targets> {
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let is_foreign = |it: &&str| FOREIGN_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(it));
    // `db=` would be taken for `db=error`, and `=` for `error`.
    let lacks_half = |it: &&str| {
        it.split_once('=')
            .is_some_and(|(target, level)| target.trim().is_empty() || level.trim().is_empty())
    };
    if entries.is_empty() || entries.iter().any(|it| is_foreign(it) || lacks_half(it)) {
        return None;
    }
    entries.join(",").parse().ok()
}

/// Levels of other logging systems, and words that some take for one.
const FOREIGN_LEVELS: [&str; 10] =
    ["all", "crit", "critical", "err", "fatal", "fine", "none", "notice", "verbose", "warning"];

/// `off`, `wrap` or `monitor`, in upper or lower case.
pub fn mode(text: &str) -> Option<SuperviseMode> {
    let modes = [SuperviseMode::Off, SuperviseMode::Wrap, SuperviseMode::Monitor];
    modes.into_iter().find(|mode| mode.to_string().eq_ignore_ascii_case(text.trim()))
}

/// Names with commas between; empty ones are left out.
pub fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// `k=v,k=v`: tags with commas between; an entry that is no [`tag`] is an `Err`.
///
/// `\,` is a comma and `\\` a backslash; a backslash before anything else is itself, so that paths
/// need no care. Empty entries are left out.
pub fn tags(text: &str) -> Vec<Result<(String, String), String>> {
    let entries = split_unescaped(text).into_iter().filter(|entry| !entry.trim().is_empty());
    entries.map(|entry| tag(&entry).ok_or_else(|| entry.trim().to_owned())).collect()
}

/// `KEY=VALUE`: one tag. The first `=` ends the key, which may not be empty; the value may be, and
/// commas and backslashes in it mean nothing.
pub fn tag(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() { None } else { Some((key.to_owned(), value.to_owned())) }
}

/// The parts between the commas that no backslash precedes, without the backslashes that escape.
fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![];
    let mut part = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ',' => parts.push(std::mem::take(&mut part)),
            '\\' => part.push(chars.next_if(|next| matches!(next, ',' | '\\')).unwrap_or(c)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing_core::Level;

    use super::*;
    use crate::config::show;

    #[test]
    fn booleans() {
        for text in ["true", "TRUE", "1", "yes", "Yes", "on", " on "] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["false", "False", "0", "no", "NO", "off", "off\n"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "2", "00", "y", "enabled", "true false", "ｏｎ"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", MIB),
            ("1MiB", MIB),
            ("1mib", MIB),
            ("1MB", MIB),
            ("1M", MIB),
            ("1 M", MIB),
            (" 64 KiB ", 64 * KIB),
            ("64kb", 64 * KIB),
            ("007k", 7 * KIB),
            ("12B", 12),
            ("2G", 2 * GIB),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "+1",
            "1.5MiB",
            "1,5",
            "1_000",
            "0x10",
            "1T",
            "1 M B",
            "1MiBs",
            "12 parsecs",
            "١",
            "18446744073709551616",
            "17179869184G",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in
            [("2", 2000), ("2s", 2000), ("2 S", 2000), ("500ms", 500), ("1m", 60_000), ("0", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "1h", "1 m s", "307445734561825861m", "soon"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(count(" 100 "), Some(100));
        for text in ["", "-1", "1k", "1.0", "18446744073709551616"] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(mode("off"), Some(SuperviseMode::Off));
        assert_eq!(mode(" Wrap "), Some(SuperviseMode::Wrap));
        assert_eq!(mode("MONITOR"), Some(SuperviseMode::Monitor));
        assert_eq!(mode("always"), None);
    }

    #[test]
    fn filters_forgive_spaces_and_spare_commas() {
        let filter = |text: &str| super::filter(text).map(|filter| filter.to_string());
        assert_eq!(filter("info").as_deref(), Some("info"));
        assert_eq!(filter(" INFO , db = debug").as_deref(), None);
        assert_eq!(filter("INFO, db=debug,").as_deref(), Some("db=debug,info"));
        for text in [
            "",
            " , ",
            "warning",
            "db=debug,Verbose",
            "db=loud",
            "db=a=b",
            "db[{a=info",
            "=",
            "db=",
            "=info",
        ] {
            assert_eq!(filter(text), None, "{text}");
        }
        let only_targets = super::filter("db").expect("a target is a filter");
        assert!(only_targets.would_enable("db::pool", &Level::TRACE));
        assert!(!only_targets.would_enable("http", &Level::ERROR));
    }

    #[test]
    fn tags_escape_commas_and_nothing_else() {
        for (text, expected) in [
            ("a=1,b=2", vec![Ok(("a", "1")), Ok(("b", "2"))]),
            (" a = 1 , b = 2 ,", vec![Ok(("a", "1")), Ok(("b", "2"))]),
            ("query=x=1", vec![Ok(("query", "x=1"))]),
            (r"names=a\,b,path=C:\dir\", vec![Ok(("names", "a,b")), Ok(("path", r"C:\dir\"))]),
            (r"a=\\,b=2", vec![Ok(("a", r"\")), Ok(("b", "2"))]),
            ("empty=", vec![Ok(("empty", ""))]),
            ("a=1,loose,=3,b=2", vec![Ok(("a", "1")), Err("loose"), Err("=3"), Ok(("b", "2"))]),
            ("", vec![]),
        ] {
            let expected: Vec<Result<(String, String), String>> = expected
                .into_iter()
                .map(|entry| entry.map(|(k, v)| (k.into(), v.into())).map_err(Into::into))
                .collect();
            assert_eq!(tags(text), expected, "{text}");
        }
    }

    #[test]
    fn one_tag_takes_commas_as_they_are() {
        assert_eq!(tag(r"names=a,b\,c"), Some(("names".into(), r"a,b\,c".into())));
        assert_eq!(tag("names"), None);
    }

    #[test]
    fn lists_of_names() {
        assert_eq!(names("pin, iban,,  "), ["pin", "iban"]);
        assert!(names("").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in any::<String>()) {
            boolean(&text);
            count(&text);
            size(&text);
            duration(&text);
            filter(&text);
            mode(&text);
            names(&text);
            tags(&text);
            tag(&text);
        }

        /// Nearer to what the parsers accept than any text at all.
        #[test]
        fn no_likely_text_makes_a_parser_panic(text in r"[0-9]{0,25} ?[kmgbis=,\\{}\[\]]{0,6}") {
            size(&text);
            duration(&text);
            filter(&text);
            tags(&text);
        }

        /// Whoever holds a parsed DSN asks it for its URL, which must not panic either.
        #[test]
        fn a_parsed_dsn_has_a_url(rest in r"[ -~]{0,30}", host in r"[a-z.:\[\]0-9%@-]{0,12}") {
            for text in [format!("https://k@{host}/{rest}"), format!("http://{rest}")] {
                if let Some(dsn) = dsn(&text) {
                    dsn.envelope_api_url();
                }
            }
        }

        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(size(&show::size(bytes)), Some(bytes));
        }

        #[test]
        fn sizes_with_units_round_trip(bytes in 0u64..1 << 20, shift in 0u32..4) {
            let bytes = bytes << (10 * shift);
            prop_assert_eq!(size(&show::size(bytes)), Some(bytes));
        }

        #[test]
        fn durations_round_trip(millis: u64) {
            let whole = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show::duration(whole)), Some(whole));
        }

        #[test]
        fn tags_round_trip(
            given in proptest::collection::vec((r"[a-z,\\ ]{0,5}[a-z,\\]", r"([ -~]{0,8}[!-~])?"), 0..5)
        ) {
            let given: Vec<_> = given
                .into_iter()
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect();
            let parsed: Result<Vec<_>, _> = tags(&show::tags(&given)).into_iter().collect();
            prop_assert_eq!(parsed, Ok(given));
        }
    }
}
