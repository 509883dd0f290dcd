//! The settings as flags of `lastwords run`, made from the one table.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::OsStringValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use lastwords::config::{self, FlagValue, Flags, Key, Overrides, Resolved, TABLE};

/// The flags that were given.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags(pub Flags);

impl SettingFlags {
    /// The flags with that of the state directory, which belongs to every subcommand.
    pub fn with_state_dir(&self, state_dir: Option<&Path>) -> Flags {
        let mut flags = self.0.clone();
        if let Some(directory) = state_dir {
            // For a child too, which may stand elsewhere.
            let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
            flags.push(Key::StateDir, absolute);
        }
        flags
    }
}

/// The settings by these flags and the environment.
pub fn resolve(flags: &Flags) -> Resolved {
    config::resolve(&Overrides::default(), &|name| std::env::var_os(name), flags)
}

/// The heading that the flags stand under in the help.
const HEADING: &str = "Settings";

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().filter_map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of a setting. That of the state directory belongs to every subcommand.
fn arg(setting: &lastwords::config::Setting) -> Option<Arg> {
    let flag = setting.flag.filter(|_| setting.key != Key::StateDir)?;
    let help = setting.flag_help();
    let arg = Arg::new(setting.name)
        .long(flag.name)
        .value_parser(OsStringValueParser::new())
        // Several are allowed: of most the last one counts, of tags all.
        .action(ArgAction::Append)
        .help_heading(HEADING)
        .help(help);
    Some(match flag.value {
        FlagValue::Required { name } | FlagValue::Entry { name } => arg.value_name(name),
        FlagValue::Optional { name, missing } => {
            arg.value_name(name).num_args(0..=1).require_equals(true).default_missing_value(missing)
        }
    })
}

impl clap::FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        for setting in &TABLE {
            if setting.flag.is_none() || setting.key == Key::StateDir {
                continue;
            }
            let given = matches
                .try_get_many::<OsString>(setting.name)
                .map_err(|error| clap::Error::raw(ErrorKind::UnknownArgument, error))?;
            given.into_iter().flatten().for_each(|value| flags.push(setting.key, value));
        }
        Ok(SettingFlags(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
