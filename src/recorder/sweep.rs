//! The sweep: processes that died with nobody watching are found by the regions they left, and reported.
//!
//! **Guarantee:** a death is reported by exactly one of any number of sweepers, any of which may be killed
//! at any instant: one holds the region's report lock, and the next finds either the region untouched or
//! the report's id in the spool. A region goes when nothing in it is left to report; one whose process may
//! live, that belongs to somebody else or that cannot be read by this version stays, and the
//! [`Fate`](outcome::SweepOutcome) of each says why. **Lost:** nothing, but for files that are no region
//! and never become one: after a minute they are removed.

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
    let swept = look::regions_in(state).into_iter().filter_map(|path| {
        let outcome = look::sweep(&path, &Which::All, &reporting)?;
        Some(Swept { path, outcome })
    });
    let swept = swept.collect();
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
