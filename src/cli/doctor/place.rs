//! Where reports and regions would be kept.

use lastwords::StateDir;
use lastwords::config::Settings;

use super::finding::{Findings, Mark};
use crate::cli::text::bytes;

/// What it is about.
const ABOUT: &str = "state dir";

/// The permissions of group and others.
const LOOSE: u32 = 0o077;

/// The directory that a recorder would use.
pub fn used(state_dirs: &[StateDir]) -> Option<&StateDir> {
    state_dirs.iter().find(|dir| dir.trouble.is_none())
}

/// Says which directory is used, why not a better one, and what is to be said of it.
pub fn check(settings: &Settings, state_dirs: &[StateDir], findings: &mut Findings) {
    let used = used(state_dirs);
    let asked_for = settings.state_dir.is_some().then_some(0);
    let tried = state_dirs.iter().take_while(|dir| Some(*dir) != used);
    for (index, dir) in tried.enumerate() {
        let why = dir.trouble.as_deref().unwrap_or_default();
        // Only what was asked for has to be as it was meant.
        let mark = if asked_for == Some(index) { Mark::Problem } else { Mark::Note };
        findings.add(mark, ABOUT, format!("cannot use {}: {why}", dir.path.display()));
    }
    let Some(used) = used else {
        findings.problem(
            ABOUT,
            "no directory can be used: breadcrumbs are in memory and reports are not kept; set \
             LASTWORDS_STATE_DIR",
        );
        return;
    };
    let text = format!("{}; regions are files in it", describe(used));
    match used.makeshift {
        true => findings.note(ABOUT, format!("{text}; LASTWORDS_STATE_DIR names a better one")),
        false => findings.ok(ABOUT, text),
    }
    check_room(settings, used, findings);
    if used.mode.is_some_and(|mode| mode & LOOSE != 0) {
        findings
            .note(ABOUT, "its permissions are loose, and stay so: only what is in it is private");
    }
}

/// One directory in words: `/var/lib/lastwords, 0700, of user 0, 12.1 GiB free`.
fn describe(dir: &StateDir) -> String {
    let mut text = dir.path.display().to_string();
    match (dir.mode, dir.owner) {
        (Some(mode), Some(owner)) => text += &format!(", {mode:04o}, of user {owner}"),
        _ if dir.exists => {}
        _ => text += ", made when it is needed",
    }
    if let Some(free) = dir.free {
        text += &format!(", {} free", bytes(free));
    }
    text
}

fn check_room(settings: &Settings, used: &StateDir, findings: &mut Findings) {
    let Some(free) = used.free else { return };
    // A region is somewhat more than its ring.
    if free < settings.ring_size.saturating_mul(2) {
        findings.problem(ABOUT, format!("{} free is too little for a region", bytes(free)));
    } else if free < settings.spool_limit {
        findings.note(ABOUT, format!("{} free is less than LASTWORDS_SPOOL_LIMIT", bytes(free)));
    }
    if settings.spool_limit == 0 {
        findings.note(ABOUT, "LASTWORDS_SPOOL_LIMIT is 0: no report is kept here");
    }
}
