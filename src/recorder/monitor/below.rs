//! Reports that processes below make themselves, and that their monitor sends.
//!
//! **Guarantee:** a report is sent once its own process has had the time to correct it, or at the end
//! of the run. A process below leaves sending to its monitor, so that its own end never cuts a request
//! short. **Lost:** nothing; a report whose panic printed nothing is met some seconds later.

use std::time::{Duration, Instant};

use sentry::types::Uuid;

use crate::recorder::publish::SETTLED;

/// How long after a report was met it is sent: by then its process has corrected it.
const PATIENCE: Duration = SETTLED.saturating_add(Duration::from_millis(500));

/// How often reports of panics that printed nothing are looked for.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// How many reports are remembered: as many as a ledger has.
const MOST: usize = 64;

/// The reports of processes below.
#[derive(Debug, Default)]
pub(super) struct Below(Vec<(Uuid, Option<Instant>)>);

impl Below {
    /// Meets a report; whether it was not known.
    pub(super) fn meet(&mut self, id: Uuid) -> bool {
        if self.0.iter().any(|(known, _)| *known == id) {
            return false;
        }
        self.0.push((id, Some(Instant::now() + PATIENCE)));
        if self.0.len() > MOST {
            self.0.remove(0);
        }
        true
    }

    /// When the next one is to be sent.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, due)| *due).min()
    }

    /// Those that are to be sent now, each once.
    pub(super) fn take_due(&mut self) -> Vec<Uuid> {
        let now = Instant::now();
        let due = self.0.iter_mut().filter(|(_, due)| due.is_some_and(|due| due <= now));
        due.map(|(id, due)| {
            *due = None;
            *id
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_met_once_and_given_once() {
        let mut below = Below::default();
        let id = Uuid::from_u128(1);
        assert!(below.meet(id) && !below.meet(id));
        assert!(below.take_due().is_empty(), "not at once");
        assert!(below.next().is_some());
        below.0[0].1 = Some(Instant::now());
        assert!(below.take_due() == [id]);
        assert!(below.take_due().is_empty() && below.next().is_none());
        assert!(!below.meet(id));
    }
}
