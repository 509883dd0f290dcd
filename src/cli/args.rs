//! The command line: every option with its help, its accepted forms and its default in one place.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use lastwords::supervise::{PtyMode, Rewrites};

use super::doctor::DoctorArgs;
use super::exit;
use super::settings::SettingFlags;

/// The flight recorder of a process: run programs under watch, and read the reports of their deaths
///
/// A program that records with lastwords, or that runs under `lastwords run`, leaves one report of its
/// death in a spool on this machine: what it died of, where, and its last log lines. Reports are read
/// here whether or not they have been sent anywhere.
#[derive(Debug, Parser)]
#[command(
    name = "lastwords",
    version,
    propagate_version = true,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP
)]
pub struct Args {
    /// Directory that holds the spool
    ///
    /// Without it, LASTWORDS_STATE_DIR decides; without that, the first of these that exists:
    /// $XDG_STATE_HOME/lastwords, ~/.local/state/lastwords, /var/lib/lastwords (root only),
    /// /tmp/lastwords-UID.
    #[arg(long, value_name = "DIR", global = true, help_heading = "Where and how")]
    pub state_dir: Option<PathBuf>,

    /// When to use colours
    ///
    /// `auto` uses them on a terminal, unless NO_COLOR is set; CLICOLOR_FORCE=1 forces them.
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Where and how",
        help = "When to use colours: auto, always or never"
    )]
    pub color: ColorWhen,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 done, 1 not found or failed, 2 wrong usage";

const AFTER_LONG_HELP: &str = "\
Examples:
  lastwords run -- alpha --port 7  run a program and report how it dies
  lastwords parse crash.log        the crashes in a log
  lastwords list                   what died here, newest first
  lastwords show                   the latest report
  lastwords show 3f2a              the report whose id begins with 3f2a
  lastwords show --json | jq .     the same as the event that is sent
  lastwords peek 4242 --follow     what a process that lives has logged, and logs
  lastwords doctor --send-test     whether reports can be kept here, and arrive

Exit codes:
  0  done; an empty spool is no failure
  1  not found, or failed
  2  wrong usage, nothing was done
  `run` exits as its command does";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the reports in the spool, newest first
    ///
    /// Each report takes two lines: its short id, level, time of death (UTC), state (waiting,
    /// sent, rejected by the server, or limited: too many of its kind were sent), release and
    /// environment; then what happened, and the innermost function of the program itself; then what
    /// the server said if it rejected the report. A report that cannot be read is listed with the reason and hides no other.
    List(ListArgs),
    /// Show one report: what died, where, and the last log lines
    ///
    /// The cause comes first, then facts about the process, the stack with the program's own frames
    /// standing out, and the last log lines with their time before the crash. Source code is shown
    /// where its files are there. Times are UTC.
    Show(ShowArgs),
    /// Run a command and report how it dies
    ///
    /// The command runs as if nobody watched: standard input and output are its own, standard error
    /// is passed on as it comes, signals reach it, and lastwords exits as it exits (128+N if signal N
    /// ended it). Its lines on standard error become the breadcrumbs of its reports; crash output of
    /// Go and Rust is recognised there, and a death by a fault, an abort or SIGKILL is reported even
    /// if nothing was printed.
    Run(RunArgs),
    /// Deliver what waits in the spool, now
    ///
    /// It says of each report what became of it: sent, waiting and why, or rejected and with which
    /// words. A report goes to the DSN that its program had, and one that names none to the configured
    /// DSN. Reports that were recorded with sending switched off, that a server refused, or that were
    /// too many of their kind, go only if they are named. Exit codes: 0 all that should go has gone,
    /// 1 something is left.
    Send(SendArgs),
    /// Report processes that died with nobody watching
    ///
    /// A program that records itself leaves its last log lines in a file when it is killed. Each such file
    /// is looked at, and the death reported, once; one whose process lives, is watched, or belongs to
    /// somebody else is left alone. The next start of the same program does the same, and so does
    /// `lastwords run`. Exit codes: 0 done, 1 something could not be looked at or reported.
    Sweep(SweepArgs),
    /// Read crash output from a file or standard input
    ///
    /// Every crash in it is shown as `lastwords show` shows a report, with the lines before it as
    /// breadcrumbs. How the process ended decides where the text alone does not. Exit codes: 0 a
    /// crash was found, 1 none, 2 wrong usage, or the input could not be read.
    Parse(ParseArgs),
    /// Show the breadcrumbs of a process that lives, perhaps hanging
    ///
    /// The process records itself with lastwords, or runs under `lastwords run`: then PID is its own or
    /// that of `lastwords run`. It is not stopped and takes no part in it, so it may be stopped or hold
    /// all of its locks. Only its own user and root may look. Times are relative to now; secrets are
    /// `[Filtered]`, by the program's own key names too. Exit codes: 0 done, or the process that is
    /// followed has ended; 1 there is nothing to look at, and why.
    Peek(PeekArgs),
    /// Check the settings, where reports are kept, and the way to the server
    ///
    /// Every setting is shown with its value and where that comes from, then one line for each
    /// finding: `ok`, `note` or `problem`. It looks as the user that runs it, with the flags and
    /// the environment that it is given; what a program sets in its code it cannot see. Nothing is
    /// left behind. No event is sent without --send-test, and with sending switched off or without
    /// a DSN no connection is opened. Exit codes: 0 no problem, 1 a problem, 2 wrong usage.
    Doctor(DoctorArgs),
}

/// Options of `lastwords run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_AFTER, override_usage = "lastwords run [OPTIONS] -- COMMAND [ARG...]")]
pub struct RunArgs {
    /// Give the command a process group of its own, and signal all of it
    ///
    /// The command leads a session or a group, with the terminal if there is one. Signals go to the
    /// whole group, and what is left of it when the command has ended is terminated.
    #[arg(long, help_heading = "Process")]
    pub group: bool,

    /// Whether the command's standard error is a terminal: auto, always or never
    ///
    /// `auto` gives it one where ours is.
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Process")]
    pub pty: PtyMode,

    /// Forward signal TO where signal FROM comes; 0 drops it
    ///
    /// Signals are names or numbers: `--rewrite TERM:QUIT`, `--rewrite 15:3`, `--rewrite HUP:0`. The
    /// option may be repeated.
    #[arg(long, value_name = "FROM:TO", help_heading = "Process")]
    pub rewrite: Vec<Rewrites>,

    /// The settings.
    #[command(flatten)]
    pub settings: SettingFlags,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true, num_args = 1..)]
    pub command: Vec<OsString>,
}

const RUN_AFTER: &str = "\
Exit codes: the command's own; 128+N if signal N ended it; 127 not found, 126 cannot be run,
125 a fault of lastwords, 2 wrong usage";

const RUN_EXAMPLES: &str = "\
Examples:
  lastwords run -- dgraph alpha --my=host:7080
  lastwords run --release alpha@24.1.0 --edition oss --tag-subcommand dgraph -- dgraph alpha
  lastwords run --rewrite TERM:QUIT -- nginx

Exit codes: the command's own; 128+N if signal N ended it; 127 not found, 126 cannot be run,
125 a fault of lastwords, 2 wrong usage";

/// Options of `lastwords parse`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = PARSE_EXAMPLES)]
pub struct ParseArgs {
    /// File to read; standard input if there is none, or if it is `-`
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Print one JSON object per crash and line: the event as it would be sent
    ///
    /// The context `lastwords` says where the crash stands: `lines` (first and last, from 1) and
    /// `bytes` (from 0, the end not included).
    #[arg(long, help_heading = "Output", conflicts_with = "full")]
    pub json: bool,

    /// Fold nothing: every frame, every thread, every line of a long message
    #[arg(long, help_heading = "Output")]
    pub full: bool,

    /// Show secrets as they stand in the input
    ///
    /// Without it, what is shown is what a report would hold: passwords, tokens, addresses and the
    /// like are `[Filtered]`.
    #[arg(long, help_heading = "Output")]
    pub unscrubbed: bool,

    /// How many lines before each crash are shown as breadcrumbs: a number or `all` (1000)
    #[arg(long, value_name = "N", default_value = "100", help_heading = "Output")]
    pub breadcrumbs: Count,

    /// The status that the process exited with
    #[arg(long, value_name = "N", conflicts_with = "signal", help_heading = "How it ended")]
    pub exit_code: Option<i32>,

    /// The signal that ended the process, by name or number
    #[arg(long, value_name = "NAME", help_heading = "How it ended")]
    pub signal: Option<Signal>,
}

/// Options of `lastwords peek`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = PEEK_EXAMPLES)]
pub struct PeekArgs {
    /// The process
    #[arg(value_name = "PID")]
    pub pid: String,

    /// Go on showing what comes, until the process ends
    ///
    /// Each breadcrumb is shown once, in order; what was overwritten before it could be read is counted.
    #[arg(long, short)]
    pub follow: bool,

    /// How many breadcrumbs to show at first, counted from the last: a number or `all`
    #[arg(long, value_name = "N", default_value = "100", help_heading = "Output")]
    pub breadcrumbs: Count,

    /// Print one JSON object per breadcrumb and line, as it stands in an event
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Show secrets as they were logged
    #[arg(long, help_heading = "Output")]
    pub unscrubbed: bool,
}

const PEEK_EXAMPLES: &str = "\
Examples:
  lastwords peek $(pidof alpha)              its last 100 log lines
  lastwords peek 4242 --follow               and those that come
  lastwords peek 4242 --json | jq .message";

const PARSE_EXAMPLES: &str = "\
Examples:
  lastwords parse crash.log
  journalctl -u alpha -o cat | lastwords parse
  lastwords parse --json --exit-code 2 stderr.txt | jq .exception

Exit codes: 0 a crash was found, 1 none was found, 2 wrong usage or an input that
cannot be read";

/// A signal by name or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

impl FromStr for Signal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        lastwords::detect::signal::number(text)
            .map(Self)
            .ok_or("expected a signal by name or number, such as SIGSEGV, SEGV or 11")
    }
}

/// Options of `lastwords send`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = SEND_EXAMPLES)]
pub struct SendArgs {
    /// Ids of reports, or their beginnings [default: all that wait]
    #[arg(value_name = "ID")]
    pub ids: Vec<IdPrefix>,

    /// Send again what servers have rejected
    #[arg(long)]
    pub rejected: bool,

    /// Send to this DSN, whatever the reports name
    ///
    /// Without it a report goes where its program sent its reports; LASTWORDS_DSN, else SENTRY_DSN, is for
    /// those that name no DSN.
    #[arg(long, value_name = "DSN")]
    pub dsn: Option<OsString>,

    /// Print one JSON object per report and line: `id`, `state` and `words`
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

const SEND_EXAMPLES: &str = "\
Examples:
  lastwords send                 all that waits
  lastwords send 3f2a            the report whose id begins with 3f2a, whatever its state
  lastwords send --rejected      what servers refused, once more";

/// Options of `lastwords sweep`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = SWEEP_EXAMPLES)]
pub struct SweepArgs {
    /// Show those that nothing is to be done about, too
    ///
    /// Without it only what was reported, removed or could not be looked at is shown.
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    pub all: bool,

    /// Print one JSON object per region and line
    ///
    /// Fields: `path`, `outcome` (one word), `words`, `ids` (of the reports made now).
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

const SWEEP_EXAMPLES: &str = "\
Examples:
  lastwords sweep                    what died unwatched, reported now
  lastwords sweep --all              and what is left alone, and why
  lastwords sweep --state-dir /var/lib/lastwords";

/// Options of `lastwords list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Print one JSON object per report and line
    ///
    /// Fields: `id`, `state` (waiting, sent, rejected or limited), `time` (RFC 3339, null if
    /// unknown), `level`, `platform`, `type`, `value` (the whole message), `function`, `filename`, `lineno` (of the
    /// innermost frame of the program itself), `release`, `environment`, `server_name`, `size`
    /// (bytes), `path`, and `problem`, which is null unless the report cannot be read or the server
    /// rejected it.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

const LIST_EXAMPLES: &str = "\
Examples:
  lastwords list
  lastwords list --json | jq -r 'select(.level == \"fatal\") | .id'
  lastwords list --state-dir /var/lib/lastwords";

/// Options of `lastwords show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Id of the report, or the beginning of one [default: the latest]
    #[arg(value_name = "ID")]
    pub id: Option<IdPrefix>,

    /// Print the event as it is sent, one JSON object on one line
    #[arg(long, help_heading = "Output", conflicts_with_all = ["full", "breadcrumbs"])]
    pub json: bool,

    /// Print the raw end of standard error instead, escaped where a terminal would obey it
    #[arg(long, help_heading = "Output", conflicts_with_all = ["json", "full", "breadcrumbs"])]
    pub stderr: bool,

    /// Fold nothing: every frame, every thread, every line of a long message
    #[arg(long, help_heading = "Output")]
    pub full: bool,

    /// How many breadcrumbs to show, counted from the last: a number or `all`
    #[arg(long, value_name = "N", default_value = "all", help_heading = "Output")]
    pub breadcrumbs: Count,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  lastwords show                       the latest report
  lastwords show 3f2a --full           every frame and every thread of report 3f2a…
  lastwords show --breadcrumbs 20      only the last 20 log lines
  lastwords show --color always | less -R
  lastwords show --json | jq .tags";

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The beginning of a report's id: 1 to 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.replace('-', "").to_ascii_lowercase();
        match digits.len() {
            1..=32 if digits.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Self(digits)),
            _ => Err("an id is up to 32 hexadecimal digits"),
        }
    }
}

/// A number, or all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize);

impl FromStr for Count {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(usize::MAX)),
            _ => text.parse().map(Self).map_err(|_| "expected a number or `all`"),
        }
    }
}

/// Why nothing is run: a mistake, or a request for help or the version.
pub struct Usage(clap::Error);

impl Args {
    /// Reads this process's arguments.
    pub fn from_command_line() -> Result<Self, Usage> {
        let variables = format!("{RUN_EXAMPLES}\n\n{}", lastwords::config::help());
        let command = Self::command().mut_subcommand("run", |run| run.after_long_help(variables));
        let parsed = command.try_get_matches().and_then(|m| Self::from_arg_matches(&m));
        parsed.map_err(Usage)
    }
}

impl Usage {
    /// Prints it and says how to exit.
    pub fn print(self) -> ExitCode {
        if !self.0.use_stderr() {
            let _ = self.0.print();
            return exit::OK.into();
        }
        let text = self.0.render().to_string();
        match text.strip_prefix("error: ") {
            Some(mistake) => exit::say(mistake.trim_end()),
            // The help, since nothing at all was asked for.
            None => drop(self.0.print()),
        }
        exit::USAGE.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_id_may_be_written_as_people_copy_it() {
        let id: IdPrefix = "3F2A91BC-0d1e".parse().unwrap();
        assert_eq!(id.as_str(), "3f2a91bc0d1e");
        for wrong in ["", "-", "xyz", "3f2a91bc0d1e3f2a91bc0d1e3f2a91bc0d", "../etc"] {
            assert!(wrong.parse::<IdPrefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_count_is_a_number_or_all() {
        assert_eq!("7".parse(), Ok(Count(7)));
        assert_eq!("all".parse(), Ok(Count(usize::MAX)));
        assert!("-1".parse::<Count>().is_err());
    }
}
