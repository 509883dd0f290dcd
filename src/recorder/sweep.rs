//! The sweep: processes that died with nobody watching are found by the regions they left, and reported.
//!
//! **Guarantee:** a death is reported by exactly one of any number of sweepers, any of which may be killed
//! at any instant: one holds the region's report lock, and the next finds either the region untouched or
//! the report's id in the spool. A region goes when nothing in it is left to report; one whose process may
//! live, that belongs to somebody else or that cannot be read by this version stays, and the
//! [outcome](outcome::SweepOutcome) of each says why. **Lost:** nothing, but for files that are no region
//! and never become one: as soon as nobody holds them they are removed. **Not decided:** how a program ended
//! that records nothing itself, whose monitor was killed and that went on without it: it is taken for
//! killed, as it is where both were.

#[cfg(target_os = "linux")]
mod begin;
#[cfg(target_os = "linux")]
mod look;
mod outcome;

use std::path::Path;

use crate::config::Settings;
use crate::deliver::SpoolError;

#[cfg(target_os = "linux")]
pub(super) use begin::{Means, Sweeping, begin};
pub use outcome::{SweepOutcome, Swept};

/// Which regions are swept.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// All that may be reported by anybody.
    All,
    /// Those of the program with this executable.
    Of(String),
}

/// Looks at every region in a state directory, reports processes that died unwatched, and sends the
/// reports, for which it waits as a dying process would (`LASTWORDS_FLUSH`).
///
/// # Errors
/// Where there can be no spool for the reports.
#[cfg(target_os = "linux")]
pub fn run(state: &Path, settings: &Settings) -> Result<Vec<Swept>, SpoolError> {
    use super::delivery::Delivery;
    use super::state_dir::REGIONS;
    use crate::record::remove_lone_tags;
    use std::sync::Arc;

    let delivery = Arc::new(Delivery::new(settings, None));
    let means = Means {
        limit: settings.spool_limit,
        scrub_keys: settings.scrub_keys.clone(),
        delivery: Arc::clone(&delivery),
        before_send: None,
    };
    let reporting = means.reporting(state)?;
    delivery.begin(reporting.sink.spool());
    remove_lone_tags(&state.join(REGIONS));
    let swept = match look::regions_in(state) {
        Ok(regions) => {
            let swept = regions.into_iter().filter_map(|path| {
                let pid = look::pid_in(&path);
                let outcome = look::sweep(&path, &Which::All, &reporting)?;
                Some(Swept { path, pid, outcome })
            });
            swept.collect()
        }
        Err(error) => {
            let outcome = SweepOutcome::Unreadable { why: error.to_string() };
            vec![Swept { path: state.join(REGIONS), pid: None, outcome }]
        }
    };
    delivery.finish();
    Ok(swept)
}

/// Elsewhere than on Linux no process leaves a region.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn run(_state: &Path, _settings: &Settings) -> Result<Vec<Swept>, SpoolError> {
    Ok(Vec::new())
}
