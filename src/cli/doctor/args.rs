//! The options of `lastwords doctor`.

use crate::cli::settings::SettingFlags;

/// Options of `lastwords doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER, after_long_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Send one test event (level info), and say its id and the server's answer
    #[arg(long, help_heading = "What to check")]
    pub send_test: bool,

    /// Print one JSON object
    ///
    /// Fields: `well`, `settings` (`name`, `value`, `origins`), `state_dirs` (each candidate: `path`,
    /// `used`, `exists`, `mode`, `owner`, `free`, `trouble`), `reports` (`directory`, and the
    /// number of reports in each state), `sent_as` (`release`, `environment`, `tags`), `sending`
    /// (`enabled`, `dsn`, `proxy`, `checked`, `status`, `words`, `test_event`), and `findings`
    /// (`mark`, `about`, `text`).
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// The settings.
    #[command(flatten)]
    pub settings: SettingFlags,
}

const AFTER: &str = "Exit codes: 0 no problem, 1 a problem, 2 wrong usage";

const EXAMPLES: &str = "\
Examples:
  lastwords doctor
  lastwords doctor --send-test --dsn https://KEY@HOST/PROJECT
  lastwords doctor --json | jq -r '.findings[] | select(.mark == \"problem\") | .text'

Exit codes: 0 no problem, 1 a problem, 2 wrong usage";
