//! What it costs to record one event, lastwords beside its rivals, in one run and one table.
//!
//! ```text
//! cargo bench --manifest-path benches/rivals/Cargo.toml [-- --rounds=N]
//! ```

#[path = "../../common/mod.rs"]
mod common;
#[path = "../sentry_client.rs"]
mod sentry_client;

use std::process::ExitCode;

use common::contenders::{Check, Contender, OWN, Setup, set_global};
use common::workload::{SEVENTH_MESSAGE, Scene, event};
use tracing_flight_recorder::{FlightRecorder, FlightRecorderLayer};

const RIVALS: [Contender; 3] = [
    Contender {
        name: "sentry_tracing",
        about: "0.49.5, `SpanLayer` and `BreadcrumbLayer` with their defaults, a client with a test \
                transport bound to the main hub, no traces sampled; a breadcrumb is gone when the span \
                it was recorded in is left",
        start: |setup| start_sentry(setup, false),
    },
    Contender {
        name: "sentry, spans",
        about: "the same, with `enable_span_attributes`: breadcrumbs carry the spans' fields, as \
                those of lastwords do",
        start: |setup| start_sentry(setup, true),
    },
    Contender {
        name: "flight-recorder",
        about: "`tracing-flight-recorder` 0.3 with its default capacity",
        start: start_flight_recorder,
    },
];

fn main() -> ExitCode {
    let contenders = [&OWN[..], &RIVALS[..]].concat();
    common::harness::main("one event", &contenders)
}

fn start_sentry(setup: Setup, span_attributes: bool) -> Check {
    let transport = sentry_client::start();
    set_global(setup, sentry_client::layer(span_attributes));
    Box::new(move |scene, record| {
        let look = || {
            record();
            sentry::capture_message("look", sentry::Level::Info);
        };
        match scene {
            Scene::Outside | Scene::Span | Scene::Nested => look(),
            // What these scenes record is gone when they leave their span: look before that.
            Scene::Enter | Scene::NewSpan => tracing::info_span!("around").in_scope(|| {
                event(7);
                sentry::capture_message("look", sentry::Level::Info);
            }),
        }
        let events = transport.fetch_and_clear_events();
        let crumb = events.last().and_then(|event| event.breadcrumbs.last());
        let crumb = crumb.ok_or("the event has no breadcrumb")?;
        let data = |key: &str| crumb.data.get(key).cloned().unwrap_or_default();
        let right = crumb.message.as_deref() == Some(SEVENTH_MESSAGE)
            && data("shard") == 7
            && data("peer") == "db-03-17a:7080"
            && data("leader") == true;
        right.then_some(()).ok_or_else(|| format!("the last breadcrumb is {crumb:?}"))
    })
}

fn start_flight_recorder(setup: Setup) -> Check {
    let recorder = FlightRecorder::with_default_capacity();
    set_global(setup, FlightRecorderLayer::new(recorder.clone()));
    Box::new(move |scene, record| {
        record();
        let events = recorder.snapshot();
        let event = events.last().ok_or("it holds no event")?;
        let has = |key: &str, value: &str| {
            event.fields.iter().any(|(k, v)| k == key && v.trim_matches('"') == value)
        };
        let depth = match scene {
            Scene::Outside => 0,
            Scene::Nested => 3,
            Scene::Span | Scene::Enter | Scene::NewSpan => 1,
        };
        let right = event.message == SEVENTH_MESSAGE
            && has("shard", "7")
            && has("peer", "db-03-17a:7080")
            && has("leader", "true")
            && event.spans.len() == depth;
        right.then_some(()).ok_or_else(|| format!("the last event is {event:?}"))
    })
}
