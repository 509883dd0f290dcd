//! `lastwords doctor`: whether reports can be kept on this machine, and arrive.
//!
//! It looks as the user and with the environment it is run with, which should be those of the program.
//! It leaves nothing behind. It opens no connection where sending is off or there is no DSN, and sends
//! no event unless asked to.

mod args;
mod finding;
mod place;
mod print;
mod proxy;
mod reach;
mod reports;
mod sending;
mod test_event;

use std::path::Path;

use lastwords::StateDir;
use lastwords::config::{Resolved, Settings};
use lastwords::report::{self, AsSent};

pub use args::DoctorArgs;

use super::error::Error;
use super::output::Output;
use super::settings;
use finding::{Findings, Mark};
use reports::Reports;
use sending::Sending;

/// Everything that was looked at.
struct Checkup {
    resolved: Resolved,
    state_dirs: Vec<StateDir>,
    reports: Reports,
    sent_as: AsSent,
    sending: Sending,
    findings: Findings,
}

/// Checks and prints; whether no problem was found.
pub fn run(args: &DoctorArgs, state_dir: Option<&Path>, out: &mut Output) -> Result<bool, Error> {
    let resolved = settings::resolve(&args.settings.with_state_dir(state_dir));
    let settings = &resolved.settings;
    let mut findings = Findings::default();
    check_settings(&resolved, &mut findings);
    let state_dirs = lastwords::inspect_state_dirs(settings.state_dir.as_deref());
    place::check(settings, &state_dirs, &mut findings);
    let reports = Reports::count(place::used(&state_dirs));
    reports.check(settings, &mut findings);
    let sent_as =
        report::as_sent(settings.release.as_deref(), &settings.environment, &settings.tags);
    check_labels(settings, &sent_as, &mut findings);
    let courier = reach::courier();
    let sending = Sending::check(settings, &sent_as, args.send_test, Some(&courier), &mut findings);
    let checkup = Checkup { resolved, state_dirs, reports, sent_as, sending, findings };
    match args.json {
        true => out.json_line(&print::to_json(&checkup).to_string())?,
        false => print::print(&checkup, out)?,
    }
    Ok(!checkup.findings.has(Mark::Problem))
}

fn check_settings(resolved: &Resolved, findings: &mut Findings) {
    for problem in &resolved.problems {
        findings.problem("settings", problem.to_string());
    }
    if resolved.problems.is_empty() {
        findings.ok("settings", "every value that is given can be used");
    }
}

/// What a server would not have kept as it is.
fn check_labels(settings: &Settings, sent_as: &AsSent, findings: &mut Findings) {
    let release = settings.release.as_deref();
    let given = [
        ("release", release, sent_as.release.as_deref()),
        ("environment", Some(settings.environment.as_str()), sent_as.environment.as_deref()),
    ];
    let known = findings.count();
    for (name, given, sent) in given {
        if given != sent {
            let (given, sent) = (given.unwrap_or_default(), sent.unwrap_or_default());
            findings.note("labels", format!("{name} {given:?} is sent as {sent:?}"));
        }
    }
    for (key, value) in &settings.tags {
        if sent_as.tags.get(key) != Some(value) {
            findings
                .note("labels", format!("tag {key:?} with the value {value:?} is sent changed"));
        }
    }
    if release.is_none() {
        let text = "no release is given here; one that the program sets in its code counts";
        findings.note("labels", text);
    }
    if findings.count() == known {
        let release = sent_as.release.as_deref().unwrap_or_default();
        let environment = sent_as.environment.as_deref().unwrap_or_default();
        let tags = super::text::counted(sent_as.tags.len() as u64, "tag");
        findings.ok("labels", format!("release {release}, environment {environment}, {tags}"));
    }
}
