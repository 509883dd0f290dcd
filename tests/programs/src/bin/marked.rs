//! A program that says how far it has come, in a file, with nothing of the library between: whoever kills
//! it knows what must be known of its death.
//!
//! `marked hook|wrap|monitor|plain FILE quiet|thread|panic|waits|dies`: it starts, logs, has a thread that
//! panics (unless `quiet`), logs again, and ends by itself: well, or (`panic`) by a panic of its main thread.
//! With `waits` it does nothing more until it is killed, and with `dies` it takes a SIGSEGV before it has
//! logged anything. Each mark is one line of one `write`, with the process id that wrote it.
//! `MARKED_BEFORE_SEND` gives it a `before_send` that sets a tag.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lastwords::SuperviseMode;
use tracing_subscriber::prelude::*;

/// How long it logs before and after its thread panics.
const LOGS: Duration = Duration::from_millis(12);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [watched, file, end] = &words[..] else {
        eprintln!("marked: hook|wrap|monitor|plain FILE quiet|thread|panic|waits|dies");
        return ExitCode::from(64);
    };
    if watched == "wrap" {
        lastwords::supervise();
    }
    let marks = Marks(File::options().append(true).create(true).open(file).expect("a file"));
    marks.set("begins");
    let prints = watched == "plain";
    install(watched);
    marks.set("installed");
    if end == "dies" {
        // SAFETY: nothing is; that is what it is for.
        unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
    }
    log(prints);
    if end != "quiet" {
        marks.set("panics");
        let thread = thread::Builder::new().name("worker".into());
        let _ = thread.spawn(|| panic!("a worker is no more")).expect("a thread").join();
        marks.set("survived");
    }
    log(prints);
    if end == "waits" {
        marks.set("waits");
        thread::sleep(Duration::from_secs(60));
    }
    if end == "panic" {
        let _unwound = Unwound(&marks);
        marks.set("falls");
        panic!("main is no more");
    }
    marks.set("exits");
    ExitCode::SUCCESS
}

struct Marks(File);

impl Marks {
    fn set(&self, mark: &str) {
        let line = format!("{mark} {}\n", std::process::id());
        (&self.0).write_all(line.as_bytes()).expect("the disk is not full");
    }
}

/// Says that the panic of the main thread has left its hook.
struct Unwound<'a>(&'a Marks);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        self.0.set("unwound");
    }
}

fn install(watched: &str) {
    let mode = match watched {
        "hook" | "wrap" => None,
        "monitor" => Some(SuperviseMode::Monitor),
        _ => return,
    };
    let mut builder = lastwords::builder().release("marked@1.0.0");
    if let Some(mode) = mode {
        builder = builder.supervise(mode);
    }
    if std::env::var_os("MARKED_BEFORE_SEND").is_some() {
        builder = builder.before_send(|mut event| {
            event.tags.insert("passed".to_owned(), "its own function".to_owned());
            Some(event)
        });
    }
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).init();
}

/// Two threads log for a while.
fn log(prints: bool) {
    let work = move || {
        let begun = Instant::now();
        let mut number = 0_u64;
        while begun.elapsed() < LOGS {
            number += 1;
            if prints {
                // Who watches may be gone: this program goes on.
                let _ = writeln!(std::io::stderr(), "INFO line {number}");
                thread::sleep(Duration::from_micros(200));
            } else {
                tracing::info!(number, "a line");
            }
        }
    };
    let other = thread::spawn(work);
    work();
    other.join().expect("it only logs");
}
