//! Who reports, each set up as its documentation says.

use std::any::Any;
use std::fmt::Debug;

use sentry::ClientOptions;
use sentry::integrations::tracing::{BreadcrumbLayer, SpanLayer};
use sentry::protocol::Breadcrumb;
use sentry_minidump::MinidumpIntegration;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// A way to report.
pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    /// Sets everything up as the first statement of `main`, which keeps what this gives to its end.
    pub start: fn() -> Box<dyn Any>,
    /// Whether `lastwords::sweep` follows the death.
    pub is_swept: bool,
}

pub const ALL: [Contender; 5] = [
    Contender {
        name: "`sentry`",
        about: "0.49.5 with its default integrations and its own transport over HTTP (ureq); the \
                guard of `sentry::init` is held by `main`; `sentry_tracing`'s `SpanLayer` and \
                `BreadcrumbLayer` from INFO on",
        start: || sentry(ClientOptions::new()),
        is_swept: false,
    },
    Contender {
        name: "with `sentry-minidump`",
        about: "0.49.5, the same with `MinidumpIntegration` and its defaults",
        start: || sentry(ClientOptions::new().add_integration(minidump())),
        is_swept: false,
    },
    Contender {
        name: "lines sent to it by hand",
        about: "the same, with a layer of the program's own that hands each line to \
                `MinidumpIntegration::add_breadcrumb`, which nothing does by itself",
        start: sentry_by_hand,
        is_swept: false,
    },
    Contender {
        name: "lastwords, and a sweep",
        about: "its hook and its layer with their defaults; after the death one `lastwords::sweep`, \
                as at the program's next start",
        start: lastwords,
        is_swept: true,
    },
    Contender {
        name: "`lastwords::supervise`",
        about: "the same behind `lastwords::supervise()`; nothing afterwards",
        start: || {
            lastwords::supervise();
            lastwords()
        },
        is_swept: false,
    },
];

/// Dumps go to the directory for temporary files, which is the child's own.
fn minidump() -> MinidumpIntegration {
    MinidumpIntegration::new()
}

fn sentry(options: ClientOptions) -> Box<dyn Any> {
    let guard = sentry::init(options);
    sentry_layers(tracing_subscriber::registry());
    Box::new(guard)
}

fn sentry_by_hand() -> Box<dyn Any> {
    let guard = sentry::init(ClientOptions::new().add_integration(minidump()));
    sentry_layers(tracing_subscriber::registry().with(ByHand.with_filter(LevelFilter::INFO)));
    Box::new(guard)
}

fn sentry_layers<S>(subscriber: S)
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync + 'static,
{
    subscriber
        .with(SpanLayer::new().with_filter(LevelFilter::INFO))
        .with(BreadcrumbLayer::new().with_filter(LevelFilter::INFO))
        .init();
}

fn lastwords() -> Box<dyn Any> {
    let recorder = lastwords::builder().install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).init();
    Box::new(recorder)
}

/// Sends each event's message to the process that reports minidumps.
struct ByHand;

impl<S: Subscriber> Layer<S> for ByHand {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(None);
        event.record(&mut message);
        let breadcrumb = Breadcrumb { message: message.0, ..Breadcrumb::default() };
        sentry::with_integration(|minidump: &MinidumpIntegration, _| {
            minidump.add_breadcrumb(breadcrumb);
        });
    }
}

struct Message(Option<String>);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}
