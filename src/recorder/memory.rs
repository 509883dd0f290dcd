//! The recorder without globals, for tests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::delivery::Delivery;
use super::publish::{Outward, Publisher};
use super::sink::Sink;
use super::{Recorder, builder, reporter};
use crate::config::Settings;
use crate::detect::hook;
use crate::record::{Identity, Place, Plan, Recording, Region};

pub(super) fn recorder() -> Recorder {
    let settings =
        Settings { filter: Targets::new().with_default(LevelFilter::TRACE), ..Settings::default() };
    let identity = Identity {
        environment: settings.environment.clone(),
        install_stack: builder::install_stack(),
        ..Identity::of_this_process()
    };
    let region = Region::on_heap(settings.ring_size, &identity);
    let plan =
        Plan { place: Place::Memory, ring_bytes: settings.ring_size, identity: identity.clone() };
    let recording = Arc::new(Recording::new(region, plan));
    let outward = Outward { delivery: Arc::new(Delivery::none()), before_send: None };
    let sink = Sink::Memory(Default::default());
    let publisher = Publisher::new(settings, identity, recording, sink, outward);
    Recorder { publisher: Arc::new(publisher) }
}

/// Calls `f` with this thread's panics going to `publisher`.
pub(super) fn watch<R>(
    publisher: &Arc<Publisher>,
    f: impl FnOnce() -> R,
) -> std::thread::Result<R> {
    hook::with_sink(reporter::inline_sink(publisher), || catch_unwind(AssertUnwindSafe(f)))
}
