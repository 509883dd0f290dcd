//! `lastwords sweep`: processes that died with nobody watching are reported now.
//!
//! It says of each region what became of it. Every state directory that exists is looked at, since a
//! program takes the next one where the first cannot be written.

use std::path::{Path, PathBuf};

use lastwords::{SweepOutcome, Swept};
use serde_json::json;

use super::args::SweepArgs;
use super::error::Error;
use super::output::Output;
use super::settings::{self, SettingFlags};
use super::text::{Line, Role};
use super::{exit, json};

/// Sweeps, and says what came of it; whether all that should be done is.
pub fn run(args: &SweepArgs, state_dir: Option<&Path>, out: &mut Output) -> Result<bool, Error> {
    let flags = SettingFlags::default().with_state_dir(state_dir);
    let resolved = settings::resolve(&flags);
    resolved.problems.iter().for_each(|problem| exit::say(&problem.to_string()));
    let settings = resolved.settings;
    let asked = settings.state_dir.as_deref();
    let places = match state_dir {
        Some(directory) => vec![directory.to_owned()],
        None => lastwords::state_dir_candidates(asked),
    };
    let mut swept = Vec::new();
    let mut well = true;
    for place in places.iter().filter(|place| place.join("regions").is_dir()) {
        match lastwords::sweep(place, &settings) {
            Ok(found) => swept.extend(found),
            Err(error) => {
                exit::say(&super::error::sentence(&Error::Spool(error)));
                well = false;
            }
        }
    }
    let shown = |one: &&Swept| args.all || args.json || is_news(&one.outcome);
    let mut told = 0;
    for one in swept.iter().filter(shown) {
        tell(one, args.json, out)?;
        told += 1;
    }
    if told == 0 && well && !args.json {
        exit::say(&nothing(&swept, &places));
    }
    Ok(well && !swept.iter().any(|one| one.outcome.is_failure()))
}

/// Whether something was done, or could not be.
fn is_news(outcome: &SweepOutcome) -> bool {
    !matches!(
        outcome,
        SweepOutcome::Lives { .. }
            | SweepOutcome::Watched { .. }
            | SweepOutcome::OtherMachine { .. }
            | SweepOutcome::OtherUser { .. }
            | SweepOutcome::Unfinished
    )
}

fn nothing(swept: &[Swept], places: &[PathBuf]) -> String {
    match (swept.len(), places) {
        (0, places) => {
            let name = |place: &PathBuf| match place.is_dir() {
                true => place.display().to_string(),
                false => format!("{} (not there)", place.display()),
            };
            let names: Vec<String> = places.iter().map(name).collect();
            format!("nothing died unwatched: there are no regions in {}", names.join(", "))
        }
        (1, _) => "nothing died unwatched; 1 region is left alone: --all says why".to_owned(),
        (n, _) => format!("nothing died unwatched; {n} regions are left alone: --all says why"),
    }
}

fn tell(one: &Swept, as_json: bool, out: &mut Output) -> Result<(), Error> {
    let words = one.outcome.to_string();
    if as_json {
        let ids: Vec<String> = match &one.outcome {
            SweepOutcome::Reported { ids } => {
                ids.iter().map(|id| id.simple().to_string()).collect()
            }
            _ => Vec::new(),
        };
        let path = one.path.to_string_lossy();
        let line = json!({"path": path, "outcome": one.outcome.name(), "words": words, "ids": ids});
        return Ok(out.json_line(&json::one_line(&line.to_string()))?);
    }
    let name = one.path.file_name().unwrap_or_default().to_string_lossy();
    // The process, and enough of the id to tell regions apart. The name begins with who made it.
    let (maker, id) = name.split_once('-').unwrap_or((&name, ""));
    let pid = one.pid.map_or(maker.to_owned(), |pid| pid.to_string());
    let short = format!("{pid}-{}", id.chars().take(8).collect::<String>());
    let role = match &one.outcome {
        SweepOutcome::Reported { .. } => Role::Strong,
        outcome if outcome.is_failure() => Role::Error,
        _ => Role::Quiet,
    };
    let mut line = Line::new();
    line.push(Role::Plain, &short).pad_to(20, 2);
    line.push(role, &words);
    Ok(out.wrapped(&line, 20)?)
}
