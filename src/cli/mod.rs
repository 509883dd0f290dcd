//! What the command does, one file per subcommand, over one reader of the spool and one writer of
//! the terminal.
//!
//! Text of a report reaches the terminal only as a [`Line`](text::Line), which escapes everything
//! a terminal would obey; `--json` is the one way around it, and escapes for itself.
mod args;
mod clock;
mod error;
mod event;
pub mod exit;
mod json;
mod list;
mod output;
mod show;
mod store;
mod text;

pub use args::Args;
pub use output::Output;

use args::Command;
use error::Error;
use store::Store;

/// Does what the command line asks.
pub fn run(args: &Args, out: &mut Output) -> Result<(), Error> {
    let store = Store::find(args.state_dir.as_deref())?;
    match &args.command {
        Command::List(options) => list::run(options, &store, out)?,
        Command::Show(options) => show::run(options, &store, out)?,
    }
    Ok(out.flush()?)
}
