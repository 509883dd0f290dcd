//! The table itself: [`TABLE`].
//!
//! To add a setting, add a [`Key`], its row here, its field in [`Settings`](super::Settings) and
//! [`Overrides`](super::Overrides), and a line each in `show.rs` and `resolve.rs`; the compiler and
//! the tests name what is missing. The texts are Markdown, of which only backticks are used;
//! [`plain`] takes them out again for terminals.

use std::borrow::Cow;
use std::fmt;

use super::form::{BREADCRUMBS, FLUSH, Form, RATE_LIMIT, RING_SIZE, SPOOL_LIMIT, STDERR_TAIL};

/// The name of a setting within the program; its number is its row in [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the meaning stands in TABLE, once")]
pub enum Key {
    EnableSentry,
    Dsn,
    Release,
    Environment,
    Edition,
    Tags,
    TagSubcommand,
    Filter,
    Breadcrumbs,
    RingSize,
    StderrTail,
    StateDir,
    SpoolLimit,
    Flush,
    RateLimit,
    ScrubKeys,
    Supervise,
    Sessions,
    Minidump,
}

impl Key {
    /// The row of this setting.
    pub fn setting(self) -> &'static Setting {
        &TABLE[self as usize]
    }
}

/// One row of [`TABLE`].
#[derive(Debug)]
pub struct Setting {
    /// What the program calls it.
    pub key: Key,
    /// The builder's method, and the field of [`Settings`](super::Settings).
    pub name: &'static str,
    /// The environment variables, in the order in which they are asked: the second one counts only
    /// where the first gives no value.
    pub variables: &'static [&'static str],
    /// The flag of `lastwords run`, if it has one.
    pub flag: Option<Flag>,
    /// What it does, in a few words of Markdown.
    pub meaning: &'static str,
    /// What it accepts.
    pub form: Form,
    /// What it is where nobody says otherwise, in words of Markdown.
    pub default: &'static str,
}

/// A flag of `lastwords run`.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name, without the two dashes.
    pub name: &'static str,
    /// What follows the name.
    pub value: FlagValue,
}

/// What follows the name of a [`Flag`].
#[derive(Debug, Clone, Copy)]
pub enum FlagValue {
    /// Always a value; where the flag is repeated, the last one counts.
    Required {
        /// The value's name in usage texts.
        name: &'static str,
    },
    /// A value after `=`, or nothing.
    Optional {
        /// The value's name in usage texts.
        name: &'static str,
        /// The value that the bare flag stands for.
        missing: &'static str,
    },
    /// Always one entry of a list; the flag may be repeated, and the entries add up.
    Entry {
        /// The entry's name in usage texts.
        name: &'static str,
    },
}

impl fmt::Display for Flag {
    /// The flag as usage texts have it: `--enable-sentry[=BOOL]`, `--ring-size SIZE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            FlagValue::Required { name } | FlagValue::Entry { name } => {
                write!(f, "--{} {name}", self.name)
            }
            FlagValue::Optional { name, .. } => write!(f, "--{}[={name}]", self.name),
        }
    }
}

const fn flag(name: &'static str, value: &'static str) -> Option<Flag> {
    Some(Flag { name, value: FlagValue::Required { name: value } })
}

const fn switch(name: &'static str) -> Option<Flag> {
    Some(Flag { name, value: FlagValue::Optional { name: "BOOL", missing: "true" } })
}

/// A text of the table without its backticks.
pub(super) fn plain(markdown: &str) -> Cow<'_, str> {
    if markdown.contains('`') { markdown.replace('`', "").into() } else { markdown.into() }
}

/// Every setting there is, in the order of the documentation.
pub static TABLE: [Setting; 19] = [
    Setting {
        key: Key::EnableSentry,
        name: "enable_sentry",
        variables: &["LASTWORDS_ENABLE_SENTRY"],
        flag: switch("enable-sentry"),
        meaning: "send to Sentry at all; off means nothing leaves this machine",
        form: Form::Bool,
        default: "true",
    },
    Setting {
        key: Key::Dsn,
        name: "dsn",
        variables: &["LASTWORDS_DSN", "SENTRY_DSN"],
        flag: flag("dsn", "DSN"),
        meaning: "where to send; none means reports stay in the local spool",
        form: Form::Dsn,
        default: "none",
    },
    Setting {
        key: Key::Release,
        name: "release",
        variables: &["LASTWORDS_RELEASE", "SENTRY_RELEASE"],
        flag: flag("release", "RELEASE"),
        meaning: "version of the program",
        form: Form::Text,
        default: "none",
    },
    Setting {
        key: Key::Environment,
        name: "environment",
        variables: &["LASTWORDS_ENVIRONMENT", "SENTRY_ENVIRONMENT"],
        flag: flag("environment", "ENVIRONMENT"),
        meaning: "where the program runs, e.g. `prod-oss`",
        form: Form::Text,
        default: "`prod` if the release is a released version (semver without pre-release, after an \
                  optional `name@` or `v`), else `dev`; plus `-EDITION` if one is set",
    },
    Setting {
        key: Key::Edition,
        name: "edition",
        variables: &["LASTWORDS_EDITION"],
        flag: flag("edition", "EDITION"),
        meaning: "`oss`, `enterprise`, or any word; part of the default environment",
        form: Form::Text,
        default: "none",
    },
    Setting {
        key: Key::Tags,
        name: "tags",
        variables: &["LASTWORDS_TAGS"],
        flag: Some(Flag { name: "tag", value: FlagValue::Entry { name: "KEY=VALUE" } }),
        meaning: "static tags; for each key the flag wins over the variable",
        form: Form::Tags,
        default: "none",
    },
    Setting {
        key: Key::TagSubcommand,
        name: "tag_subcommand",
        variables: &[],
        flag: flag("tag-subcommand", "KEY"),
        meaning: "tag with the watched program's first argument: with the key `dgraph`, \
                  `dgraph alpha` gives `dgraph=alpha`",
        form: Form::Text,
        default: "none",
    },
    Setting {
        key: Key::Filter,
        name: "filter",
        variables: &["LASTWORDS_FILTER"],
        flag: None,
        meaning: "which tracing events become breadcrumbs",
        form: Form::Filter,
        default: "info",
    },
    Setting {
        key: Key::Breadcrumbs,
        name: "breadcrumbs",
        variables: &["LASTWORDS_BREADCRUMBS"],
        flag: flag("breadcrumbs", "COUNT"),
        meaning: "how many breadcrumbs are attached to an event",
        form: Form::Count(BREADCRUMBS),
        default: "100",
    },
    Setting {
        key: Key::RingSize,
        name: "ring_size",
        variables: &["LASTWORDS_RING_SIZE"],
        flag: flag("ring-size", "SIZE"),
        meaning: "size of the ring that holds the last log lines, rounded down to a multiple of \
                  16KiB",
        form: Form::Size(RING_SIZE),
        default: "1MiB",
    },
    Setting {
        key: Key::StderrTail,
        name: "stderr_tail",
        variables: &["LASTWORDS_STDERR_TAIL"],
        flag: flag("stderr-tail", "SIZE"),
        meaning: "how much of the raw end of stderr is attached to an event",
        form: Form::Size(STDERR_TAIL),
        default: "64KiB",
    },
    Setting {
        key: Key::StateDir,
        name: "state_dir",
        variables: &["LASTWORDS_STATE_DIR"],
        flag: flag("state-dir", "DIR"),
        meaning: "where reports and rings are kept",
        form: Form::Directory,
        default: "the first that works of `$XDG_STATE_HOME/lastwords`, `~/.local/state/lastwords`, \
                  `/var/lib/lastwords` (root), `/tmp/lastwords-UID`, memory",
    },
    Setting {
        key: Key::SpoolLimit,
        name: "spool_limit",
        variables: &["LASTWORDS_SPOOL_LIMIT"],
        flag: None,
        meaning: "how much of reports is kept; the oldest sent are dropped first; 0 sends from \
                  memory, not durable",
        form: Form::Size(SPOOL_LIMIT),
        default: "64MiB",
    },
    Setting {
        key: Key::Flush,
        name: "flush",
        variables: &["LASTWORDS_FLUSH"],
        flag: None,
        meaning: "longest wait for a silent server: of a dying process without monitor, and of `run` \
                  and a wrapping process after the program has ended",
        form: Form::Duration(FLUSH),
        default: "2s",
    },
    Setting {
        key: Key::RateLimit,
        name: "rate_limit",
        variables: &["LASTWORDS_RATE_LIMIT"],
        flag: None,
        meaning: "how many reports of one fingerprint are sent in an hour; the others are counted, \
                  and stay in the spool; 0 sends all",
        form: Form::Count(RATE_LIMIT),
        default: "30",
    },
    Setting {
        key: Key::ScrubKeys,
        name: "scrub_keys",
        variables: &["LASTWORDS_SCRUB_KEYS"],
        flag: None,
        meaning: "more key names whose values are scrubbed",
        form: Form::Names,
        default: "none",
    },
    Setting {
        key: Key::Supervise,
        name: "supervise",
        variables: &["LASTWORDS_SUPERVISE"],
        flag: None,
        meaning: "how a program that calls `supervise` is watched: not at all, by its parent \
                  (`wrap`), or by a detached child (`monitor`); it cannot add supervision",
        form: Form::Mode,
        default: "what the code asks for",
    },
    Setting {
        key: Key::Sessions,
        name: "sessions",
        variables: &["LASTWORDS_SESSIONS"],
        flag: switch("sessions"),
        meaning: "send sessions, for release health",
        form: Form::Bool,
        default: "false",
    },
    Setting {
        key: Key::Minidump,
        name: "minidump",
        variables: &["LASTWORDS_MINIDUMP"],
        flag: switch("minidump"),
        meaning: "attach a minidump to native crashes",
        form: Form::Bool,
        default: "false",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Flags, Overrides, Settings, resolve};

    #[test]
    fn keys_number_the_rows() {
        for (row, setting) in TABLE.iter().enumerate() {
            assert_eq!(setting.key as usize, row, "{}", setting.name);
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut seen = BTreeSet::new();
        for setting in &TABLE {
            let flag = setting.flag.map(|flag| format!("--{}", flag.name));
            let names = [setting.name.to_owned()].into_iter().chain(flag);
            for name in names.chain(setting.variables.iter().map(|name| name.to_string())) {
                assert!(seen.insert(name.clone()), "{name} stands twice");
            }
        }
    }

    #[test]
    fn every_setting_is_documented_and_can_be_set() {
        for setting in &TABLE {
            let name = setting.name;
            let texts = [setting.meaning, setting.default, &setting.form.words()];
            for text in texts {
                assert!(!text.is_empty(), "{name}");
                assert!(!text.ends_with('.') && !text.contains('\n'), "{name}: {text}");
                assert_eq!(text.matches('`').count() % 2, 0, "{name}: unpaired backtick: {text}");
            }
            assert!(!setting.variables.is_empty() || setting.flag.is_some(), "{name}");
            if let Some(primary) = setting.variables.first() {
                assert_eq!(*primary, format!("LASTWORDS_{}", name.to_uppercase()));
            }
            if let Some(flag) = setting.flag {
                let whole = name.replace('_', "-");
                let entry = whole.trim_end_matches('s');
                assert!(flag.name == whole || flag.name == entry, "{name}: --{}", flag.name);
            }
        }
    }

    /// Only that of `environment` is worked out from other settings.
    #[test]
    fn documented_defaults_are_the_defaults() {
        let nothing = resolve(&Overrides::default(), &|_| None, &Flags::default()).settings;
        assert_eq!(nothing, Settings::default());
        for setting in &TABLE {
            let shown = nothing.show(setting.key);
            match setting.key {
                Key::Environment => assert_eq!(shown, "dev"),
                _ => assert_eq!(shown, plain(setting.default), "{}", setting.name),
            }
        }
    }

    #[test]
    fn flags_show_their_usage() {
        let usages = TABLE.iter().filter_map(|setting| setting.flag).map(|flag| flag.to_string());
        insta::assert_snapshot!(usages.collect::<Vec<_>>().join("\n"), @r"
        --enable-sentry[=BOOL]
        --dsn DSN
        --release RELEASE
        --environment ENVIRONMENT
        --edition EDITION
        --tag KEY=VALUE
        --tag-subcommand KEY
        --breadcrumbs COUNT
        --ring-size SIZE
        --stderr-tail SIZE
        --state-dir DIR
        --sessions[=BOOL]
        --minidump[=BOOL]
        ");
    }
}
