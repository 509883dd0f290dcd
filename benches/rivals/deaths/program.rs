//! The program that dies: 21 lines, ten of them in a span and ten of another thread, then death.
//!
//! It dies in the very ways in which the tests' program does, in a function named `the_end`.

use std::thread;

#[path = "../../../tests/programs/src/dying/endings.rs"]
#[allow(dead_code, reason = "some of the ways only")]
mod endings;
#[path = "../../../tests/programs/src/dying/faults.rs"]
#[allow(dead_code, reason = "some of the ways only")]
mod faults;
#[path = "../../../tests/programs/src/dying/panics.rs"]
#[allow(dead_code, reason = "some of the ways only")]
mod panics;

/// The function that the program dies in.
pub const PLACE: &str = "the_end";
/// How many lines it logs.
pub const LINES: usize = 21;

/// A way to die, by its name.
type Way = (&'static str, fn());

const LAST: &str = "the last line";

/// Logs all lines and dies as `name` says.
pub fn run(name: &str) {
    let mut ways = panics::WAYS.into_iter().chain(faults::WAYS).chain(endings::WAYS);
    let (_, die) = ways.find(|(way, _)| *way == name).expect("a way to die");
    tracing::info_span!("start", peers = 3).in_scope(|| log("service"));
    thread::spawn(|| log("neighbour")).join().expect("it only logs");
    die();
}

fn log(of: &str) {
    for number in 1..=(LINES - 1) / 2 {
        tracing::info!(number, "line {number} of the {of}");
    }
}

/// Whether a breadcrumb is one of the lines.
pub fn is_line(message: &str) -> bool {
    message == LAST || (message.starts_with("line ") && message.contains(" of the "))
}

fn last_line() {
    tracing::info!("{LAST}");
}

/// A named thread, waited for.
fn in_thread(work: fn()) {
    let thread = thread::Builder::new().name("worker".into()).spawn(work);
    let _ = thread.expect("a thread").join();
}
