//! A sentry client as a service has it, but for the transport, which keeps events in memory.

use std::sync::Arc;

use sentry::integrations::tracing::{BreadcrumbLayer, SpanLayer};
use sentry::test::TestTransport;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::Registry;

/// Makes it this process's client to the end.
pub fn start() -> Arc<TestTransport> {
    let transport = TestTransport::new();
    let mut options = sentry::ClientOptions::default();
    options.dsn = "https://public@localhost/1".parse().ok();
    options.transport = Some(Arc::new(Arc::clone(&transport)));
    // Never dropped: that would close the client.
    std::mem::forget(sentry::init(options));
    transport
}

/// The layers that sentry's docs recommend for breadcrumbs.
pub fn layer(span_attributes: bool) -> impl Layer<Registry> + Send + Sync {
    let breadcrumbs = BreadcrumbLayer::new();
    SpanLayer::new().and_then(if span_attributes {
        breadcrumbs.enable_span_attributes()
    } else {
        breadcrumbs
    })
}
