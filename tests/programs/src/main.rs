//! A program that dies in the way its first argument names.
//!
//! With `PLAIN` in its environment it does the same without lastwords, with `SENDS_NOTHING` its code
//! switches sending off. What it prints on standard output is part of what the tests compare.

mod bystanders;
mod deaths;
mod delivery;
mod fatal;
mod fork;
mod holding;
mod ingest;
mod lines;
mod machine;
mod payloads;
mod stops;

use std::process::ExitCode;

use tracing_subscriber::prelude::*;

/// A way to die, or to live.
type Scenario = (&'static str, fn());

/// What is run before lastwords is installed.
const PREPARATIONS: [&[Scenario]; 2] =
    [&[("hook-panics", deaths::set_hook_that_panics)], &fatal::PREPARATIONS];

const SCENARIOS: [&[Scenario]; 11] = [
    &ingest::SCENARIOS,
    &deaths::SCENARIOS,
    &delivery::SCENARIOS,
    &holding::SCENARIOS,
    &payloads::SCENARIOS,
    &bystanders::SCENARIOS,
    &fork::SCENARIOS,
    &lines::SCENARIOS,
    &machine::SCENARIOS,
    &fatal::SCENARIOS,
    &stops::SCENARIOS,
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let named = |scenario: &&Scenario| scenario.0 == wanted;
    let Some((_, scenario)) = SCENARIOS.into_iter().flatten().find(named) else {
        eprintln!("victim: no scenario {wanted:?}");
        return ExitCode::from(64);
    };
    if let Some((_, prepare)) = PREPARATIONS.into_iter().flatten().find(named) {
        prepare();
    }
    if std::env::var_os("PLAIN").is_none() {
        install();
    }
    scenario();
    println!("main returns");
    ExitCode::SUCCESS
}

fn install() {
    let mut builder = lastwords::builder().release("victim@1.2.3").filter("trace");
    if std::env::var_os("SENDS_NOTHING").is_some() {
        builder = builder.enable_sentry(false);
    }
    // A destination that only the program's code names.
    if let Some(dsn) = std::env::var_os("DSN_IN_CODE") {
        builder = builder.dsn(&dsn.to_string_lossy());
    }
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).with(holding::Trap).init();
}
