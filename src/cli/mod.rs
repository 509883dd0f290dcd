//! What the command does, one file per subcommand, over one reader of the spool and one writer of
//! the terminal.
//!
//! Text of a report reaches the terminal only as a [`Line`](text::Line), which escapes everything
//! a terminal would obey; `--json` is the one way around it, and escapes for itself.
mod args;
mod clock;
mod doctor;
mod error;
mod event;
mod exit;
mod json;
mod list;
mod output;
mod parse;
#[cfg_attr(not(target_os = "linux"), path = "peek_elsewhere.rs")]
mod peek;
mod run;
mod send;
mod settings;
mod show;
mod store;
mod sweep;
mod text;

use std::process::ExitCode;

pub use args::Args;

use args::Command;
use error::Error;
use output::Output;
use store::Store;

/// Does what the command line asks, and says how to exit.
pub fn run(args: &Args) -> ExitCode {
    if let Command::Run(options) = &args.command {
        // Nothing of ours is between the command and its streams.
        return exit::like(run::run(options, args.state_dir.as_deref()));
    }
    let mut out = Output::stdout(args.color);
    let outcome = read(args, &mut out);
    exit::conclude(outcome, out)
}

/// Reads what is asked for; the exit code of a success.
fn read(args: &Args, out: &mut Output) -> Result<u8, Error> {
    let store = || Store::find(args.state_dir.as_deref());
    let mut code = exit::OK;
    match &args.command {
        Command::List(options) => list::run(options, &store()?, out)?,
        Command::Show(options) => show::run(options, &store()?, out)?,
        Command::Send(options) if send::run(options, &store()?, out)? => {}
        Command::Send(_) => code = exit::FAILED,
        Command::Sweep(options) => {
            let is_well = sweep::run(options, args.state_dir.as_deref(), out)?;
            code = if is_well { exit::OK } else { exit::FAILED };
        }
        Command::Doctor(options) => {
            let is_well = doctor::run(options, args.state_dir.as_deref(), out)?;
            code = if is_well { exit::OK } else { exit::FAILED };
        }
        Command::Peek(options) => peek::run(options, args.state_dir.as_deref(), out)?,
        Command::Parse(options) if parse::run(options, out)? => {}
        Command::Parse(_) => code = exit::FAILED,
        Command::Run(_) => {}
    }
    out.flush()?;
    Ok(code)
}
