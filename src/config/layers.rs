//! The layers a value can come from: [`Overrides`] from code, [`Flags`] from the command line, and
//! the [`Origin`] that says which layer it was.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sentry::types::Dsn;
use tracing_subscriber::filter::Targets;

use super::redact::{not_a_dsn, redacted};
use super::settings::SuperviseMode;
use super::table::{FlagValue, Key};

/// The values set in code, one field for each setting; `None` and empty leave it to the other
/// layers.
///
/// The types allow values that the settings do not, such as a ring of 3 bytes. Like any bad value
/// it yields a [`Problem`](super::Problem), with [`Origin::Code`], which a builder may turn into an
/// error: here the mistake is the programmer's.
#[derive(Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the meaning stands in TABLE, once")]
pub struct Overrides {
    pub enable_sentry: Option<bool>,
    pub dsn: Option<Dsn>,
    pub release: Option<String>,
    pub environment: Option<String>,
    pub edition: Option<String>,
    /// Where a key stands twice, the later value wins.
    pub tags: Vec<(String, String)>,
    pub tag_subcommand: Option<String>,
    pub filter: Option<Targets>,
    pub breadcrumbs: Option<usize>,
    pub ring_size: Option<u64>,
    pub stderr_tail: Option<u64>,
    pub state_dir: Option<PathBuf>,
    pub spool_limit: Option<u64>,
    pub flush: Option<Duration>,
    pub rate_limit: Option<usize>,
    pub scrub_keys: Vec<String>,
    pub supervise: Option<SuperviseMode>,
    pub sessions: Option<bool>,
    pub minidump: Option<bool>,
}

impl fmt::Debug for Overrides {
    /// As derived, but for the key of the DSN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides")
            .field("enable_sentry", &self.enable_sentry)
            .field("dsn", &self.dsn.as_ref().map(redacted))
            .field("release", &self.release)
            .field("environment", &self.environment)
            .field("edition", &self.edition)
            .field("tags", &self.tags)
            .field("tag_subcommand", &self.tag_subcommand)
            .field("filter", &self.filter)
            .field("breadcrumbs", &self.breadcrumbs)
            .field("ring_size", &self.ring_size)
            .field("stderr_tail", &self.stderr_tail)
            .field("state_dir", &self.state_dir)
            .field("spool_limit", &self.spool_limit)
            .field("flush", &self.flush)
            .field("rate_limit", &self.rate_limit)
            .field("scrub_keys", &self.scrub_keys)
            .field("supervise", &self.supervise)
            .field("sessions", &self.sessions)
            .field("minidump", &self.minidump)
            .finish()
    }
}

/// The flags as the command line gave them, not yet parsed.
#[derive(Clone, Default)]
pub struct Flags {
    given: Vec<(Key, OsString)>,
}

impl Flags {
    /// Adds a flag in the order of the command line. For a bare `--sessions` the value is that of
    /// [`FlagValue::Optional`].
    ///
    /// # Panics
    ///
    /// In debug builds, where the setting has no flag; otherwise such a value is never asked for.
    pub fn push(&mut self, key: Key, value: impl Into<OsString>) {
        debug_assert!(key.setting().flag.is_some(), "{key:?} has no flag");
        self.given.push((key, value.into()));
    }

    /// The flags by name, for another process: those that are text.
    pub(crate) fn to_pairs(&self) -> Vec<(String, String)> {
        let pair = |(key, value): &(Key, OsString)| {
            Some((key.setting().flag?.name.to_owned(), value.to_str()?.to_owned()))
        };
        self.given.iter().filter_map(pair).collect()
    }

    /// What was given for a setting, in the order of the command line.
    pub(super) fn of(&self, key: Key) -> impl DoubleEndedIterator<Item = &OsStr> {
        self.given.iter().filter(move |(it, _)| *it == key).map(|(_, value)| value.as_os_str())
    }
}

impl fmt::Debug for Flags {
    /// The flags with their values, but for a DSN's, which may be no DSN at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.given.iter().map(|(key, value)| match key {
            Key::Dsn => (key, not_a_dsn(&value.to_string_lossy()).into()),
            _ => (key, value.clone()),
        });
        f.debug_list().entries(shown).finish()
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one: the default, or what is derived from other settings.
    Default,
    /// The program's code.
    Code,
    /// The environment variable of this name.
    Variable(&'static str),
    /// The command-line flag of this name, which stands here without its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    /// `default`, `code`, `LASTWORDS_DSN`, `--dsn`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Code => f.write_str("code"),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// The words for one entry, where the origin gives a list entry by entry.
pub(super) fn entry_name(key: Key, origin: Origin) -> Option<&'static str> {
    match (origin, key.setting().flag?.value) {
        (Origin::Flag(_) | Origin::Code, FlagValue::Entry { name }) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn debug_texts_hide_the_key() {
        let code = Overrides { dsn: parse::dsn("https://public@host/42"), ..Overrides::default() };
        let shown = format!("{code:?}");
        assert!(shown.contains("https://***@host/42") && !shown.contains("public"), "{shown}");

        let mut flags = Flags::default();
        flags.push(Key::Dsn, "https://public@host/42");
        flags.push(Key::Release, "1.2.3");
        assert_eq!(format!("{flags:?}"), r#"[(Dsn, "https://***@host/42"), (Release, "1.2.3")]"#);
    }
}
