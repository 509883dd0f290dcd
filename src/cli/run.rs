//! `lastwords run`: a command under a monitor.
//!
//! It exits as the command does; what it says itself it says before the command starts, on standard
//! error, one line each.

use std::path::Path;

use lastwords::run_monitored;
use lastwords::supervise::{Command, Ended, Rewrites, StartError};

use super::args::RunArgs;
use super::{exit, settings};

/// Runs the command; how it ended, or why it could not be started.
pub fn run(args: &RunArgs, state_dir: Option<&Path>) -> Result<Ended, StartError> {
    let flags = args.settings.with_state_dir(state_dir);
    let resolved = settings::resolve(&flags);
    resolved.problems.iter().for_each(|problem| exit::say(&problem.to_string()));
    let (program, arguments) = args.command.split_first().expect("clap requires a command");
    let mut rewrites = Rewrites::default();
    args.rewrite.iter().for_each(|rules| rewrites.add(rules.clone()));
    let command = Command {
        program: program.clone(),
        arguments: arguments.to_vec(),
        variables: Vec::new(),
        rewrites,
        group: args.group,
        pty: args.pty,
        keep: Vec::new(),
        files: Vec::new(),
        born: None,
    };
    run_monitored(command, resolved.settings, &flags)
}
