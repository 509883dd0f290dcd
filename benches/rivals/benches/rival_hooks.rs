//! How long a panic hook holds a panicking thread: that of lastwords, beside sentry's.
//!
//! ```text
//! cargo bench --manifest-path benches/rivals/Cargo.toml --bench rival_hooks [-- --rounds=N]
//! ```

#[path = "../../common/mod.rs"]
mod common;
#[path = "../sentry_client.rs"]
mod sentry_client;

use std::process::ExitCode;

use common::contenders::{Setup, set_global};
use common::panics::{self, Contender, Look, OWN};

const SENTRY: Contender = Contender {
    name: "sentry",
    about: "0.49.5 with its default integrations (panic, backtrace, contexts, debug images), \
            breadcrumbs by `sentry_tracing`, and a test transport that takes the event at once: \
            nothing is on disk or sent when the hook is done",
    start: start_sentry,
};

fn main() -> ExitCode {
    let [no_hook, lastwords] = OWN;
    panics::main(&[no_hook, lastwords, SENTRY])
}

fn start_sentry() -> Look {
    let transport = sentry_client::start();
    set_global(Setup::Plain, sentry_client::layer(false));
    Box::new(move |message| {
        let events = transport.fetch_and_clear_events();
        let event = events.last().ok_or("no event was sent")?;
        let exception = event.exception.last().ok_or("the event has no exception")?;
        if exception.value.as_deref() != Some(message) || event.breadcrumbs.is_empty() {
            return Err(format!("the event is {event:?}"));
        }
        Ok([None; 2])
    })
}
