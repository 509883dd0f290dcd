//! A program that already has a `sentry` client, and adds lastwords to it.
//!
//! Three lines are new: `install`, the integration, and the layers of a `Recorder` in place of sentry's
//! own. What the client captures then carries lastwords' breadcrumbs and tags; the panic is reported
//! once, by lastwords, with the client's user, trace and tags. The transport is optional: with it the
//! client's events survive a server that is down.
//!
//! ```text
//! cargo run --example existing_sentry
//! cargo run --features cli -- list
//! ```
//!
//! Without `SENTRY_DSN` nothing is sent: then the client is off, and the spool has the panic alone.

use std::thread;

use lastwords::sentry;
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

fn main() -> Result<(), lastwords::InstallError> {
    let recorder = lastwords::builder().release("orders@3.1.0").tag("role", "api").install()?;
    let options = sentry::ClientOptions::new()
        .release("orders@3.1.0")
        .traces_sample_rate(1.0)
        .add_integration(recorder.sentry_integration())
        .transport(recorder.sentry_transport());
    let _client = sentry::init(options);
    tracing_subscriber::registry().with(recorder.layer()).with(recorder.sentry_layer()).init();

    sentry::configure_scope(|scope| scope.set_tag("region", "eu-west"));
    info!(port = 8080, "serving");
    if let Err(error) = parse_quantity("seven") {
        sentry::capture_error(&error);
    }
    error!(queue = "invoices", "an event of level error is captured by the client too");

    let worker = thread::spawn(|| {
        info_span!("order", id = 7).in_scope(|| reserve(&[2, 0, 1], 3));
    });
    info!(died = worker.join().is_err(), "shutting down");
    Ok(())
}

fn parse_quantity(text: &str) -> Result<u32, std::num::ParseIntError> {
    info!(text, "a quantity");
    text.parse()
}

fn reserve(stock: &[u32], shelf: usize) {
    info!(shelf, "reserving");
    info!(left = stock[shelf] - 1, "reserved");
}
