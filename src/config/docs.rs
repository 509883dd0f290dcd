//! The table for people: [`markdown_table`] for the README, [`help`] for the command.

use std::fmt::Write as _;

use super::table::{Setting, TABLE, plain};

/// Widest line of [`help`].
const WIDTH: usize = 100;

/// The settings table of the README, a header and a line for each row of [`TABLE`].
pub fn markdown_table() -> String {
    let mut table = String::from(
        "| variable | flag of `run` | meaning | accepted | default |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for setting in &TABLE {
        let flag = setting.flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
        let cells = [
            variables(setting, "`"),
            flag,
            setting.meaning.into(),
            setting.form.words(),
            setting.default.into(),
        ];
        for cell in cells {
            let cell = cell.replace('|', r"\|");
            let padding = if cell.is_empty() { "" } else { " " };
            let _ = write!(table, "|{padding}{cell} ");
        }
        table.push_str("|\n");
    }
    table
}

/// The environment variables, for the end of the command's `--help`.
pub fn help() -> String {
    let mut help = String::from(
        "Environment variables. A flag wins over its variable, and a variable over the code of the \
         program;\na bad value is reported, and counts as not given.\n",
    );
    for setting in TABLE.iter().filter(|setting| !setting.variables.is_empty()) {
        let _ = write!(help, "\n  {}\n", variables(setting, ""));
        let meaning = plain(setting.meaning);
        let words = setting.form.words();
        let accepted = format!("Accepts {}", plain(&words));
        let default = format!("Default: {}", plain(setting.default));
        for text in [&*meaning, &accepted, &default] {
            wrap(&mut help, text);
        }
    }
    help.push_str(
        "\nK, M and G are powers of 1024, with or without B or iB. An empty variable counts as \
         unset.\n",
    );
    help
}

impl Setting {
    /// The help of this setting's flag: meaning, variables and default, without Markdown.
    pub fn flag_help(&self) -> String {
        let mut help = plain(self.meaning).into_owned();
        if !self.variables.is_empty() {
            let _ = write!(help, " [env: {}]", variables(self, ""));
        }
        let _ = write!(help, " [default: {}]", plain(self.default));
        help
    }
}

fn variables(setting: &Setting, quote: &str) -> String {
    let quoted = setting.variables.iter().map(|name| format!("{quote}{name}{quote}"));
    quoted.collect::<Vec<_>>().join(", else ")
}

/// Appends a text in lines of at most [`WIDTH`], the first indented by 6 and the others by 8.
fn wrap(out: &mut String, text: &str) {
    let mut column = 6;
    out.push_str("      ");
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            out.push_str("\n        ");
            column = 8;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    #[test]
    fn the_table_of_the_readme() {
        insta::assert_snapshot!(markdown_table(), @r"
        | variable | flag of `run` | meaning | accepted | default |
        | --- | --- | --- | --- | --- |
        | `LASTWORDS_ENABLE_SENTRY` | `--enable-sentry[=BOOL]` | send to Sentry at all; off means nothing leaves this machine | `true`, `yes`, `on` or `1`; `false`, `no`, `off` or `0` | true |
        | `LASTWORDS_DSN`, else `SENTRY_DSN` | `--dsn DSN` | where to send; none means reports stay in the local spool | `https://KEY@HOST/PROJECT` | none |
        | `LASTWORDS_RELEASE`, else `SENTRY_RELEASE` | `--release RELEASE` | version of the program | any text | none |
        | `LASTWORDS_ENVIRONMENT`, else `SENTRY_ENVIRONMENT` | `--environment ENVIRONMENT` | where the program runs, e.g. `prod-oss` | any text | `prod` if the release is a released version (semver without pre-release, after an optional `name@` or `v`), else `dev`; plus `-EDITION` if one is set |
        | `LASTWORDS_EDITION` | `--edition EDITION` | `oss`, `enterprise`, or any word; part of the default environment | any text | none |
        | `LASTWORDS_TAGS` | `--tag KEY=VALUE` | static tags; for each key the flag wins over the variable | `k=v,k=v`, with `\,` for a comma and `\\` for a backslash | none |
        | | `--tag-subcommand KEY` | tag with the watched program's first argument: with the key `dgraph`, `dgraph alpha` gives `dgraph=alpha` | any text | none |
        | `LASTWORDS_FILTER` | | which tracing events become breadcrumbs | `LEVEL`, `TARGET=LEVEL` or several with commas between, where LEVEL is `off`, `error`, `warn`, `info`, `debug` or `trace` | info |
        | `LASTWORDS_BREADCRUMBS` | `--breadcrumbs COUNT` | how many breadcrumbs are attached to an event | a whole number from 0 to 1000 | 100 |
        | `LASTWORDS_RING_SIZE` | `--ring-size SIZE` | size of the ring that holds the last log lines, rounded down to a multiple of 16KiB | bytes, or a number with KiB, MiB or GiB, from 256KiB to 256MiB | 1MiB |
        | `LASTWORDS_STDERR_TAIL` | `--stderr-tail SIZE` | how much of the raw end of stderr is attached to an event | bytes, or a number with KiB, MiB or GiB, from 0 to 16MiB | 64KiB |
        | `LASTWORDS_STATE_DIR` | `--state-dir DIR` | where reports and rings are kept | a path | the first that works of `$XDG_STATE_HOME/lastwords`, `~/.local/state/lastwords`, `/var/lib/lastwords` (root), `/tmp/lastwords-UID`, memory |
        | `LASTWORDS_SPOOL_LIMIT` | | how much of reports is kept; the oldest sent are dropped first; 0 sends from memory, not durable | bytes, or a number with KiB, MiB or GiB, from 0 to 1024GiB | 64MiB |
        | `LASTWORDS_FLUSH` | | longest wait for a silent server: of a dying process without monitor, and of `run` and a wrapping process after the program has ended | seconds, or a number with ms, s or m, from 0s to 1m | 2s |
        | `LASTWORDS_RATE_LIMIT` | | how many reports of one fingerprint are sent in an hour; the others are counted, and stay in the spool; 0 sends all | a whole number from 0 to 100000 | 30 |
        | `LASTWORDS_SCRUB_KEYS` | | more key names whose values are scrubbed | names with commas between | none |
        | `LASTWORDS_SUPERVISE` | | how a program that calls `supervise` is watched: not at all, by its parent (`wrap`), or by a detached child (`monitor`); it cannot add supervision | `off`, `wrap` or `monitor` | what the code asks for |
        | `LASTWORDS_SESSIONS` | `--sessions[=BOOL]` | send sessions, for release health | `true`, `yes`, `on` or `1`; `false`, `no`, `off` or `0` | false |
        | `LASTWORDS_MINIDUMP` | `--minidump[=BOOL]` | attach a minidump to native crashes | `true`, `yes`, `on` or `1`; `false`, `no`, `off` or `0` | false |
        ");
    }

    #[test]
    fn every_row_has_the_columns_of_the_header() {
        for line in markdown_table().lines() {
            let bars = line.replace(r"\|", "").matches('|').count();
            assert_eq!(bars, 6, "{line}");
        }
    }

    #[test]
    fn the_help_of_the_command() {
        let help = help();
        assert!(help.lines().all(|line| line.chars().count() <= WIDTH), "{help}");
        insta::assert_snapshot!(help, @r"
        Environment variables. A flag wins over its variable, and a variable over the code of the program;
        a bad value is reported, and counts as not given.

          LASTWORDS_ENABLE_SENTRY
              send to Sentry at all; off means nothing leaves this machine
              Accepts true, yes, on or 1; false, no, off or 0
              Default: true

          LASTWORDS_DSN, else SENTRY_DSN
              where to send; none means reports stay in the local spool
              Accepts https://KEY@HOST/PROJECT
              Default: none

          LASTWORDS_RELEASE, else SENTRY_RELEASE
              version of the program
              Accepts any text
              Default: none

          LASTWORDS_ENVIRONMENT, else SENTRY_ENVIRONMENT
              where the program runs, e.g. prod-oss
              Accepts any text
              Default: prod if the release is a released version (semver without pre-release, after an
                optional name@ or v), else dev; plus -EDITION if one is set

          LASTWORDS_EDITION
              oss, enterprise, or any word; part of the default environment
              Accepts any text
              Default: none

          LASTWORDS_TAGS
              static tags; for each key the flag wins over the variable
              Accepts k=v,k=v, with \, for a comma and \\ for a backslash
              Default: none

          LASTWORDS_FILTER
              which tracing events become breadcrumbs
              Accepts LEVEL, TARGET=LEVEL or several with commas between, where LEVEL is off, error, warn,
                info, debug or trace
              Default: info

          LASTWORDS_BREADCRUMBS
              how many breadcrumbs are attached to an event
              Accepts a whole number from 0 to 1000
              Default: 100

          LASTWORDS_RING_SIZE
              size of the ring that holds the last log lines, rounded down to a multiple of 16KiB
              Accepts bytes, or a number with KiB, MiB or GiB, from 256KiB to 256MiB
              Default: 1MiB

          LASTWORDS_STDERR_TAIL
              how much of the raw end of stderr is attached to an event
              Accepts bytes, or a number with KiB, MiB or GiB, from 0 to 16MiB
              Default: 64KiB

          LASTWORDS_STATE_DIR
              where reports and rings are kept
              Accepts a path
              Default: the first that works of $XDG_STATE_HOME/lastwords, ~/.local/state/lastwords,
                /var/lib/lastwords (root), /tmp/lastwords-UID, memory

          LASTWORDS_SPOOL_LIMIT
              how much of reports is kept; the oldest sent are dropped first; 0 sends from memory, not
                durable
              Accepts bytes, or a number with KiB, MiB or GiB, from 0 to 1024GiB
              Default: 64MiB

          LASTWORDS_FLUSH
              longest wait for a silent server: of a dying process without monitor, and of run and a
                wrapping process after the program has ended
              Accepts seconds, or a number with ms, s or m, from 0s to 1m
              Default: 2s

          LASTWORDS_RATE_LIMIT
              how many reports of one fingerprint are sent in an hour; the others are counted, and stay in
                the spool; 0 sends all
              Accepts a whole number from 0 to 100000
              Default: 30

          LASTWORDS_SCRUB_KEYS
              more key names whose values are scrubbed
              Accepts names with commas between
              Default: none

          LASTWORDS_SUPERVISE
              how a program that calls supervise is watched: not at all, by its parent (wrap), or by a
                detached child (monitor); it cannot add supervision
              Accepts off, wrap or monitor
              Default: what the code asks for

          LASTWORDS_SESSIONS
              send sessions, for release health
              Accepts true, yes, on or 1; false, no, off or 0
              Default: false

          LASTWORDS_MINIDUMP
              attach a minidump to native crashes
              Accepts true, yes, on or 1; false, no, off or 0
              Default: false

        K, M and G are powers of 1024, with or without B or iB. An empty variable counts as unset.
        ");
    }

    #[test]
    fn the_help_of_a_flag() {
        insta::assert_snapshot!(Key::Dsn.setting().flag_help(), @"where to send; none means reports stay in the local spool [env: LASTWORDS_DSN, else SENTRY_DSN] [default: none]");
    }
}
