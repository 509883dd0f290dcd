//! A program that logs what it is told to on standard input, and lives until that ends.
//!
//! Commands: `log TEXT`; `burst FROM TO` (events with a field `number`); `threads COUNT EACH` (as many
//! threads, each with so many events); `hold` (every lock there is to hold, for ever). It says `done` after
//! each, `held` after the last.

use std::io::{BufRead, Write};

use tracing_subscriber::prelude::*;

fn main() {
    let builder = lastwords::builder().release("peeked@1.2.3").scrub_keys(["color"]);
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).with(Trap).init();
    tracing::info!(color = "blue", password = "s3cr3t", "it begins");
    say(&format!("pid {}", std::process::id()));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["log", ..] => tracing::warn!("{}", &line[4..]),
            ["burst", from, to] => burst(number(from), number(to)),
            ["threads", count, each] => {
                let (count, each) = (number(count), number(each));
                let spawn = |n| std::thread::spawn(move || burst(n * each, (n + 1) * each));
                let threads: Vec<_> = (0..count).map(spawn).collect();
                threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            }
            ["hold"] => hold(),
            _ => panic!("not known: {line}"),
        }
        say("done");
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn burst(from: u64, to: u64) {
    (from..to).for_each(|number| tracing::info!(number, "in a burst"));
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("somebody reads");
}

/// Holds both streams and hangs inside an event, in another layer, inside a span.
fn hold() {
    say("held");
    let _stdout = std::io::stdout().lock();
    let _stderr = std::io::stderr().lock();
    let _span = tracing::info_span!("stuck").entered();
    tracing::error!(target: "trap", "hangs here");
}

/// A layer behind lastwords' own that never comes back from a certain event.
struct Trap;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Trap {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        while event.metadata().target() == "trap" {
            std::thread::park();
        }
    }
}
