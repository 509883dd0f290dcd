//! Values as text: what `doctor` lists and a problem's "using" says. What is shown here is read back
//! by the parser of the same setting, except for words such as `none` and the redacted DSN.

use std::borrow::Cow;
use std::time::Duration;

use super::form::{GIB, KIB, MIB};
use super::redact::redacted;
use super::settings::Settings;
use super::table::{Key, plain};

impl Settings {
    /// The value of one setting as text, the key of a DSN redacted.
    pub fn show(&self, key: Key) -> String {
        match key {
            Key::EnableSentry => self.enable_sentry.to_string(),
            Key::Dsn => self.dsn.as_ref().map_or_else(|| absent(key), redacted),
            Key::Release => text(key, &self.release),
            Key::Environment => self.environment.clone(),
            Key::Edition => text(key, &self.edition),
            Key::Tags if self.tags.is_empty() => absent(key),
            Key::Tags => tags(&self.tags),
            Key::TagSubcommand => text(key, &self.tag_subcommand),
            Key::Filter => self.filter.to_string(),
            Key::Breadcrumbs => self.breadcrumbs.to_string(),
            Key::RingSize => size(self.ring_size),
            Key::StderrTail => size(self.stderr_tail),
            Key::StateDir => match &self.state_dir {
                Some(directory) => directory.to_string_lossy().into_owned(),
                None => absent(key),
            },
            Key::SpoolLimit => size(self.spool_limit),
            Key::Flush => duration(self.flush),
            Key::RateLimit => self.rate_limit.to_string(),
            Key::ScrubKeys if self.scrub_keys.is_empty() => absent(key),
            Key::ScrubKeys => self.scrub_keys.join(","),
            Key::Supervise => {
                self.supervise.as_ref().map_or_else(|| absent(key), ToString::to_string)
            }
            Key::Sessions => self.sessions.to_string(),
            Key::Minidump => self.minidump.to_string(),
        }
    }
}

/// Where there is no value, the table's words for the default say what that means.
fn absent(key: Key) -> String {
    plain(key.setting().default).into_owned()
}

fn text(key: Key, value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| absent(key))
}

/// A text with its control characters escaped, so that it neither ends its line nor commands a
/// terminal.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line.into()
}

/// Bytes with the largest unit that leaves a whole number.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// A duration with the largest unit that leaves a whole number.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.subsec_nanos() {
        0 if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        nanos if nanos.is_multiple_of(1_000_000) => format!("{}ms", duration.as_millis()),
        _ => format!("{duration:?}"),
    }
}

/// Tags as their variable takes them.
pub(super) fn tags(tags: &[(String, String)]) -> String {
    let escaped = |text: &str| text.replace('\\', r"\\").replace(',', r"\,");
    let entries: Vec<_> =
        tags.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
    entries.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_largest_whole_unit() {
        let shown = [0, 1, 1023, KIB, 1536, 64 * KIB, MIB, MIB + 1, 2 * GIB].map(size);
        assert_eq!(shown, ["0", "1", "1023", "1KiB", "1536", "64KiB", "1MiB", "1048577", "2GiB"]);
    }

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        assert_eq!(one_line(r#"C:\dir 'ü' "x""#), r#"C:\dir 'ü' "x""#);
        assert_eq!(one_line("a\nb\u{1b}[31m"), r"a\nb\u{1b}[31m");
    }

    #[test]
    fn durations_take_the_largest_whole_unit() {
        let millis = [0, 1, 999, 1000, 1500, 60_000, 61_000, 120_000].map(Duration::from_millis);
        assert_eq!(millis.map(duration), ["0s", "1ms", "999ms", "1s", "1500ms", "1m", "61s", "2m"]);
        assert_eq!(duration(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(duration(Duration::MAX), "18446744073709551615.999999999s");
    }
}
