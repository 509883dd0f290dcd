//! How long a program takes to be gone once it panics: with lastwords, beside sentry's client.
//!
//! ```text
//! cargo bench --manifest-path benches/rivals/Cargo.toml --bench rival_exits [-- --rounds=N]
//! ```
#![cfg(target_os = "linux")]

#[path = "../../common/mod.rs"]
mod common;

use std::process::ExitCode;

use common::contenders::{Setup, set_global};
use common::exits::{self, Contender, LASTWORDS, NO_REPORTING, Program, Row};
use sentry::integrations::tracing::{BreadcrumbLayer, SpanLayer};
use tracing_subscriber::layer::Layer;

const SENTRY: Contender = Contender {
    name: "sentry",
    about: "0.49.5 with its default integrations and its own transport over HTTP (ureq), breadcrumbs \
            by `sentry_tracing`",
    start: start_sentry,
};

fn main() -> ExitCode {
    let alone = |contender| Row { program: Program::Contender(contender), wrapper: Vec::new() };
    exits::main(&[alone(NO_REPORTING), alone(LASTWORDS), alone(SENTRY)])
}

fn start_sentry() {
    // Never dropped, as a static client is not: its hook flushes.
    std::mem::forget(sentry::init(sentry::ClientOptions::new()));
    set_global(Setup::Plain, SpanLayer::new().and_then(BreadcrumbLayer::new()));
}
