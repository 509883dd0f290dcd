//! A service with four workers that log in turn, one of which panics.

use std::sync::{Condvar, Mutex};
use std::thread;

use tracing::{Span, field, info, info_span};

pub(crate) const SCENARIOS: [crate::Scenario; 1] = [("ingest", run)];

const WORKERS: [&str; 4] = ["ingest", "compact", "replicate", "serve"];
const LINES: usize = 50;

/// Whose turn it is to log which line.
struct Turns {
    next: Mutex<usize>,
    changed: Condvar,
}

impl Turns {
    /// Waits for line `line` to be the next, logs it and passes the turn on.
    fn take(&self, line: usize, log: impl FnOnce()) {
        let mut next = self.next.lock().unwrap();
        while *next != line {
            next = self.changed.wait(next).unwrap();
        }
        log();
        *next += 1;
        self.changed.notify_all();
    }

    fn wait_for(&self, line: usize) {
        let mut next = self.next.lock().unwrap();
        while *next < line {
            next = self.changed.wait(next).unwrap();
        }
    }
}

static TURNS: Turns = Turns { next: Mutex::new(0), changed: Condvar::new() };

fn run() {
    lastwords::set_tag("cid", "learned-at-run-time");
    let spawn = |(index, name): (usize, &str)| {
        let name = name.to_owned();
        thread::Builder::new().name(name).spawn(move || work(index)).expect("a thread")
    };
    let workers: Vec<_> = WORKERS.into_iter().enumerate().map(spawn).collect();
    let died = workers.into_iter().filter_map(|worker| worker.join().err()).count();
    println!("{died} died");
}

fn work(index: usize) {
    let _worker = info_span!("worker", index, region = "eu").entered();
    for line in (0..LINES).filter(|line| line % WORKERS.len() == index) {
        let _batch = info_span!("batch", line, rows = field::Empty).entered();
        Span::current().record("rows", line * 10);
        TURNS.take(line, || info!(line, half = line as f64 / 2.0, "line {line}"));
    }
    if index == 0 {
        TURNS.wait_for(LINES);
        let offsets = std::hint::black_box([0, 16, 32]);
        index_batch(&offsets, std::hint::black_box(3));
    }
}

#[inline(never)]
fn index_batch(offsets: &[usize], row: usize) {
    println!("row at {}", offsets[row]); // here it dies
}
