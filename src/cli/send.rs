//! `lastwords send`: what waits in the spool goes to its servers, now.
//!
//! It says of each report what became of it. A report goes to the DSN that its program had; one that
//! names none goes to the configured DSN, and with `--dsn` every one goes there. One that was recorded with sending switched off, or was
//! refused, goes only if it is named. Sessions that wait go after the reports, unless some are named.

use std::collections::HashSet;
use std::time::Duration;

use lastwords::config::{self, Flags, Key, Overrides};
use lastwords::deliver::{Client, Drained, Fate, Kept, Order, State, drain};
use lastwords::sentry::types::{Dsn, Uuid};
use serde_json::json;

use super::args::SendArgs;
use super::error::Error;
use super::output::Output;
use super::store::Store;
use super::text::{Line, Role};
use super::{exit, json, list, show};

/// How long a report is left alone: by then its own process has corrected it.
const HOLD: Duration = Duration::from_secs(2);

/// How often a report that has just been written is waited for.
const MOST_ROUNDS: usize = 3;

/// Sends, and says what came of it; whether nothing is left that should have gone.
pub fn run(args: &SendArgs, store: &Store, out: &mut Output) -> Result<bool, Error> {
    let mut flags = Flags::default();
    args.dsn.iter().for_each(|dsn| flags.push(Key::Dsn, dsn));
    let environment = |name: &str| std::env::var_os(name);
    let resolved = config::resolve(&Overrides::default(), &environment, &flags);
    resolved.problems.iter().for_each(|problem| exit::say(&problem.to_string()));
    let settings = resolved.settings;
    if !settings.enable_sentry {
        exit::say("nothing is sent: LASTWORDS_ENABLE_SENTRY switches sending off");
        return Ok(false);
    }
    let named = named(args, store)?;
    let Some(spool) = store.spool() else {
        exit::say(&format!("no reports: {}", store.nothing_found()));
        return Ok(named.is_empty());
    };
    let all = named.is_empty() && !args.rejected;
    let digits = list::short_length(&store.reports()?);
    let wants = |id: Uuid, _: Option<&Dsn>| all || named.contains(&id);
    let order = Order {
        ready: &|_| false,
        wants: &wants,
        fallback: settings.dsn.as_ref(),
        instead: settings.dsn.as_ref().filter(|_| args.dsn.is_some()),
        on_request: true,
        insist: &named,
        until: None,
        hold: HOLD,
        pause: Duration::ZERO,
        rate_limit: u32::try_from(settings.rate_limit).unwrap_or(u32::MAX),
    };
    let client = Client::new();
    let mut well = true;
    let mut said = HashSet::new();
    for round in 1..=MOST_ROUNDS {
        let mut young: Option<Duration> = None;
        let mut told = Ok(());
        let drained = drain(spool, &client, &order, &mut |id, fate| {
            if let Fate::Kept(Kept::Young { ready_in }) = fate
                && round < MOST_ROUNDS
            {
                young = Some(young.unwrap_or_default().max(*ready_in));
                return;
            }
            // One that is kept is met again in every round.
            if said.insert(id) {
                well &= is_well(fate);
                if told.is_ok() {
                    told = tell(id, fate, digits, args.json, out);
                }
            }
        });
        told?;
        trouble(drained)?;
        match young {
            Some(time) => std::thread::sleep(time),
            None => break,
        }
    }
    if said.is_empty() {
        exit::say("nothing waits");
    }
    let rejected = store.reports()?.iter().filter(|it| it.state == State::Rejected).count();
    if rejected > 0 && !args.rejected {
        let them = if rejected == 1 { "1 report was" } else { "several reports were" };
        exit::say(&format!("{them} refused by a server: `lastwords send --rejected` sends again"));
    }
    Ok(well)
}

/// The reports that were named.
fn named(args: &SendArgs, store: &Store) -> Result<Vec<Uuid>, Error> {
    let reports = store.reports()?;
    let mut named = Vec::new();
    for prefix in &args.ids {
        named.push(show::pick(prefix, &reports, store)?);
    }
    let rejected = reports.iter().filter(|report| report.state == State::Rejected);
    named.extend(rejected.filter(|_| args.rejected));
    Ok(named.into_iter().filter_map(|report| Uuid::parse_str(&report.id).ok()).collect())
}

fn trouble(drained: Drained) -> Result<(), Error> {
    drained.trouble.map_or(Ok(()), |error| Err(Error::Spool(error)))
}

/// Whether a report is where it should be.
fn is_well(fate: &Fate) -> bool {
    match fate {
        Fate::Sent | Fate::SentBefore | Fate::Limited | Fate::SessionSent => true,
        Fate::Kept(kept) => matches!(kept, Kept::Local | Kept::BeingSent),
        Fate::Rejected { .. } | Fate::SessionRefused { .. } => false,
    }
}

fn tell(
    id: Uuid,
    fate: &Fate,
    digits: usize,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Error> {
    let id = id.simple().to_string();
    let (state, role) = match fate {
        Fate::Sent | Fate::SentBefore | Fate::SessionSent => ("sent", Role::Plain),
        Fate::Limited => ("limited", Role::Warning),
        Fate::Rejected { .. } | Fate::SessionRefused { .. } => ("rejected", Role::Error),
        Fate::Kept(_) => ("waiting", Role::Warning),
    };
    if as_json {
        let words = fate.to_string();
        let line = json!({"id": id, "state": state, "words": words});
        return Ok(out.json_line(&json::one_line(&line.to_string()))?);
    }
    let mut line = Line::new();
    let short: String = id.chars().take(digits).collect();
    line.push(Role::Strong, &short).pad_to(digits + 2, 2);
    line.push(role, state).pad_to(digits + 12, 2);
    line.push(Role::Quiet, &fate.to_string());
    Ok(out.wrapped(&line, digits + 12)?)
}
