//! Breadcrumbs whose values misbehave.

use std::fmt;
use std::thread;

pub(crate) const SCENARIOS: [crate::Scenario; 7] = [
    ("lines-then-kill", lines_then_kill),
    ("debug-panics", debug_panics),
    ("debug-panics-twice", debug_panics_twice),
    ("debug-logs", debug_logs),
    ("debug-allocates", debug_allocates),
    ("log-records", log_records),
    ("span-debug-panics", span_debug_panics),
];

/// A `Debug` of the program's.
struct Value(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// No hook hears of this end.
fn lines_then_kill() {
    tracing::info!(shard = 7, "opened");
    tracing::warn!("the last line before the kill");
    // SAFETY: both calls take numbers only.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

fn die() {
    let _ = thread::Builder::new().name("worker".to_owned()).spawn(|| panic!("the end")).map(
        |thread| {
            println!("died: {}", thread.join().is_err());
        },
    );
}

fn debug_panics() {
    let bad = Value(|_| panic!("a Debug panics"));
    tracing::info!(before = 1, ?bad, after = 2, "bad value");
    tracing::info!("next");
    die();
}

/// Nobody can catch a panic in a destructor that unwinding runs.
fn debug_panics_twice() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the second inside a Debug");
        }
    }
    let bad = Value(|_| {
        let _bomb = Bomb;
        panic!("the first inside a Debug");
    });
    tracing::info!(?bad, "never recorded");
}

fn debug_logs() {
    let talkative = Value(|f| {
        tracing::info!(inner = 7, "from inside");
        f.write_str("talkative")
    });
    tracing::info!(value = ?talkative, "from outside");
    die();
}

/// A `Debug` outside of any event, with much on the heap when it panics.
fn debug_allocates() {
    let hungry = Value(|f| {
        let texts: Vec<String> = (0..10_000).map(|n| format!("text {n}")).collect();
        f.write_str(&texts[0])?;
        panic!("with {} texts", texts.len());
    });
    let work = move || println!("{}", format!("{hungry:?}").len());
    let _ = thread::Builder::new().name("worker".to_owned()).spawn(work).map(|t| t.join());
}

fn log_records() {
    log::warn!(target: "library::inner", "from log: {}", 7);
    log::info!("of this module");
    die();
}

fn span_debug_panics() {
    let bad = || Value(|_| panic!("a Debug of a span panics"));
    let span = tracing::info_span!("outer", bad = ?bad(), late = tracing::field::Empty);
    span.record("late", tracing::field::debug(bad()));
    let _entered = span.entered();
    tracing::info!("inside");
    die();
}
