//! Beside a `sentry` client in the same program.
//!
//! **Guarantee:** a death is sent once: by lastwords, with what the client's scope holds (trace, user,
//! tags, contexts, breadcrumbs), to where the client sends where no other destination was set; the
//! client's own event about the same panic is dropped. Every other event of the client goes its way as before, with our breadcrumbs and
//! tags added. With `LASTWORDS_ENABLE_SENTRY=false` nothing of the client's is dropped or changed:
//! that switch is lastwords' own.
//!
//! No scope of the client's is asked for on a thread that panics, where its lock may be held: the
//! client's panic integration has already done that when it hands its event over. **Lost:** what
//! the scope held at a panic, in a program without that integration.

use std::sync::Arc;
use std::time::Duration;

use sentry::integrations::tracing::{BreadcrumbLayer, ErrorLayer, SpanLayer};
use sentry::protocol::Event;
use sentry::types::Dsn;
use sentry::{ClientOptions, Integration, Transport, TransportFactory, TransportOptions};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::Recorder;
use super::publish::Publisher;
use crate::detect::hook;
use crate::record::{random_id, thread_id};
use crate::report::{Ambient, Envelope};

/// Adds lastwords' breadcrumbs and tags to every event that a `sentry` client captures, and leaves panics
/// to lastwords: see [`Recorder::sentry_integration`].
#[derive(Clone)]
pub struct SentryIntegration {
    publisher: Arc<Publisher>,
}

impl std::fmt::Debug for SentryIntegration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentryIntegration").finish_non_exhaustive()
    }
}

impl SentryIntegration {
    /// The integration of a recorder, for `ClientOptions::add_integration`.
    #[must_use]
    pub fn new(recorder: &Recorder) -> SentryIntegration {
        SentryIntegration { publisher: Arc::clone(&recorder.publisher) }
    }
}

impl Integration for SentryIntegration {
    fn name(&self) -> &'static str {
        "lastwords"
    }

    fn setup(&self, options: &mut ClientOptions) {
        self.publisher.beside_sentry(options.dsn.as_ref());
    }

    fn process_event(
        &self,
        mut event: Event<'static>,
        options: &ClientOptions,
    ) -> Option<Event<'static>> {
        if !self.publisher.delivery().is_on() {
            return Some(event);
        }
        if is_panic(&event) {
            // One in a thread of ours is none of the program's.
            if !hook::is_own_thread() {
                self.take_over(event, options);
            }
            return None;
        }
        self.add_ours(&mut event);
        Some(event)
    }
}

impl SentryIntegration {
    /// Takes from the client's event about a panic what its scope holds, as far as the client's own
    /// `before_send` lets it pass, which would have come next.
    fn take_over(&self, event: Event<'static>, options: &ClientOptions) {
        let passed = match &options.before_send {
            Some(before_send) => before_send(event),
            None => Some(event),
        };
        if let Some(event) = passed {
            self.publisher.set_ambient(thread_id(), Ambient::of_event(event));
        }
    }

    fn add_ours(&self, event: &mut Event<'static>) {
        let (breadcrumbs, tags) = self.publisher.to_add();
        if !breadcrumbs.is_empty() {
            let theirs = std::mem::take(&mut event.breadcrumbs.values);
            let mut all: Vec<_> = breadcrumbs.into_iter().chain(theirs).collect();
            // Stable: of the same time ours come first, in their order.
            all.sort_by_key(|crumb| crumb.timestamp);
            event.breadcrumbs.values = all;
        }
        for (key, value) in tags {
            event.tags.entry(key).or_insert(value);
        }
    }
}

/// Whether an event is that of the client's own panic hook.
fn is_panic(event: &Event<'_>) -> bool {
    event.exception.values.iter().any(|exception| {
        let mechanism = exception.mechanism.as_ref();
        exception.ty == "panic" && mechanism.is_some_and(|mechanism| mechanism.ty == "panic")
    })
}

impl Recorder {
    /// The integration for a program that calls `sentry::init` itself: lastwords' breadcrumbs and tags go
    /// on every event which that client captures, `sentry::capture_error` included, and panics are
    /// reported by lastwords alone, to the client's DSN unless another was set, with what the client's
    /// scope holds. To be made before `sentry::init`, and lastwords is to be installed before it. (The
    /// client's own event about a panic, which it does not send, appears in its client reports as
    /// discarded by an event processor.)
    ///
    /// ```no_run
    /// # fn main() -> Result<(), lastwords::InstallError> {
    /// let recorder = lastwords::builder().install()?;
    /// let options = lastwords::sentry::ClientOptions::new()
    ///     .dsn("https://public@sentry.example.com/42")
    ///     .add_integration(recorder.sentry_integration());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sentry_integration(&self) -> SentryIntegration {
        SentryIntegration::new(self)
    }

    /// A `sentry_tracing` layer that leaves breadcrumbs to lastwords: spans of level `INFO` and above
    /// are traced, events of level `ERROR` captured. Beside it stands [`layer`](Self::layer).
    ///
    /// With `LASTWORDS_ENABLE_SENTRY=false`, when nothing is added to the client's events, events of
    /// levels `INFO` and `WARN` become breadcrumbs of the client's own.
    pub fn sentry_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = ClientLayers {
            spans: SpanLayer::new(),
            errors: ErrorLayer::new(),
            breadcrumbs: (!self.publisher.delivery().is_on()).then(BreadcrumbLayer::new),
        };
        layer.with_filter(LevelFilter::INFO)
    }

    /// Lastwords' delivery for a program's own `sentry` client: its events are in the spool before
    /// they are sent, are sent again after a failure or a restart, and honour the server's limits.
    /// Transactions, sessions and logs are sent from memory, once. What the client sends is not scrubbed:
    /// it is the program's own. With `LASTWORDS_ENABLE_SENTRY=false` its events stay in the spool, and
    /// nothing else of it is kept.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), lastwords::InstallError> {
    /// let recorder = lastwords::builder().install()?;
    /// let options = lastwords::sentry::ClientOptions::new()
    ///     .dsn("https://public@sentry.example.com/42")
    ///     .transport(recorder.sentry_transport());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sentry_transport(&self) -> SentryTransport {
        SentryTransport { publisher: Arc::clone(&self.publisher) }
    }
}

/// The client's layers as one with one filter: filtered layers in pairs inside of pairs see nothing, a
/// peculiarity of `tracing-subscriber`.
struct ClientLayers {
    spans: SpanLayer,
    errors: ErrorLayer,
    breadcrumbs: Option<BreadcrumbLayer>,
}

impl<S> Layer<S> for ClientLayers
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &tracing_core::Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.errors.on_event(event, context);
        } else if let Some(breadcrumbs) = &self.breadcrumbs {
            breadcrumbs.on_event(event, context);
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.spans.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.spans.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.spans.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.spans.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.spans.on_close(id, context);
    }
}

/// Makes transports for `sentry` clients: see [`Recorder::sentry_transport`].
#[derive(Clone)]
pub struct SentryTransport {
    publisher: Arc<Publisher>,
}

impl std::fmt::Debug for SentryTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentryTransport").finish_non_exhaustive()
    }
}

impl TransportFactory for SentryTransport {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        let publisher = Arc::clone(&self.publisher);
        publisher.delivery().also_send_to(&options.dsn);
        Arc::new(ToSpool { publisher, dsn: options.dsn.clone() })
    }
}

/// The transport of one client.
struct ToSpool {
    publisher: Arc<Publisher>,
    dsn: Dsn,
}

impl Transport for ToSpool {
    fn send_envelope(&self, envelope: sentry::Envelope) {
        let mut bytes = Vec::new();
        if envelope.to_writer(&mut bytes).is_err() {
            return;
        }
        let event_id = envelope.event().map(|event| event.event_id);
        // What the client has written is an envelope, whatever it holds.
        let Ok(mut parsed) = Envelope::parse(&bytes) else { return };
        parsed.set_destination(&self.dsn);
        let id = event_id.unwrap_or_else(random_id);
        self.publisher.forward(id, &self.dsn, parsed, event_id.is_some());
    }

    fn flush(&self, timeout: Duration) -> bool {
        // The client's panic hook asks for it, on the thread that panics: what is in the spool is safe
        // without a wait, and may be the report of a panic that is not over.
        std::thread::panicking() || self.publisher.delivery().wait(timeout)
    }
}

#[cfg(test)]
mod tests {
    use sentry::types::Uuid;

    use super::*;

    #[test]
    fn a_panic_of_the_clients_is_told_by_its_mechanism() {
        let event = |ty: &str, mechanism: &str| {
            let exception = sentry::protocol::Exception {
                ty: ty.to_owned(),
                mechanism: Some(sentry::protocol::Mechanism {
                    ty: mechanism.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            Event { event_id: Uuid::nil(), exception: vec![exception].into(), ..Default::default() }
        };
        assert!(is_panic(&event("panic", "panic")));
        assert!(!is_panic(&event("panic", "generic")));
        assert!(!is_panic(&event("ParseIntError", "panic")));
        assert!(!is_panic(&Event::default()));
    }
}
