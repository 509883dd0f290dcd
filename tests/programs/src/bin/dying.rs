//! A small service that dies in the way its first argument names.
//!
//! The second argument says who watches: `hook` (its own panic hook alone), `wrap`, `monitor`, or `plain`:
//! it has never heard of lastwords and prints its lines on standard error. Whichever it is, it logs the
//! same lines, the last of them right before it dies, and dies in a function named `the_end`.

#[path = "../dying/endings.rs"]
mod endings;
#[path = "../dying/faults.rs"]
mod faults;
#[path = "../dying/panics.rs"]
mod panics;

use std::process::ExitCode;

use lastwords::SuperviseMode;
use tracing_subscriber::prelude::*;

/// A way to die, or to end well.
pub type Way = (&'static str, fn());

const WAYS: [&[Way]; 3] = [&panics::WAYS, &faults::WAYS, &endings::WAYS];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [way, watched] = &words[..] else {
        eprintln!("dying: WAY hook|wrap|monitor|plain");
        return ExitCode::from(64);
    };
    let Some((_, die)) = WAYS.into_iter().flatten().find(|(name, _)| name == way) else {
        eprintln!("dying: no way {way:?}");
        return ExitCode::from(64);
    };
    if watched == "wrap" {
        lastwords::supervise();
    }
    if way == "before-install" {
        die();
    }
    install(watched);
    if way == "later-hook" {
        panics::set_later_hook();
    }
    log();
    die();
    ExitCode::SUCCESS
}

fn install(watched: &str) {
    let mode = match watched {
        "hook" | "wrap" => None,
        "monitor" => Some(SuperviseMode::Monitor),
        _ => {
            tracing_subscriber::registry().with(Printed).init();
            return;
        }
    };
    let mut builder = lastwords::builder().release("dying@1.0.0").filter("trace");
    if let Some(mode) = mode {
        builder = builder.supervise(mode);
    }
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).init();
}

/// Prints events as a program does that knows no better.
struct Printed;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Printed {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        eprintln!("{} {}", event.metadata().level(), message.0);
    }
}

fn log() {
    let _span = tracing::info_span!("start", peers = 3).entered();
    for number in 1..=20 {
        tracing::info!(number, "line {number} of the service");
    }
    let other = || tracing::warn!("a line of another thread");
    std::thread::Builder::new().name("other".into()).spawn(other).unwrap().join().unwrap();
}

/// The last line; what comes behind it is death.
pub fn last_line() {
    tracing::info!("the last line");
}

/// A named thread, waited for.
pub fn in_thread(work: fn()) {
    let thread = std::thread::Builder::new().name("worker".into()).spawn(work);
    let _ = thread.expect("a thread").join();
}
