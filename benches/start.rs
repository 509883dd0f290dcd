//! What lastwords adds to a program's start and to its clean end.
//!
//! ```text
//! cargo bench --bench start [-- --rounds=N]
//! ```
//!
//! A program that does nothing, alone and with a recorder, from `fork` to the moment it was waited for:
//! region, handlers, the hook, threads and their end, all of it. Everything goes round in turns; the figure
//! is the median of differences between neighbours. `in the call` is what the program itself sees of it.
//! `twice` is the program that starts itself once more and waits, with the standard library and without a
//! recorder: what `wrap` cannot do without.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use common::children::{is_bench, median, rounds};
use lastwords::SuperviseMode;

/// How often everything goes round, unless told.
const ROUNDS: usize = 300;

/// Who watches, by the name of the row.
const ROWS: [&str; 5] = ["alone", "hook", "monitor", "twice", "wrap"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--start-child", row] => child(row),
        words if is_bench(words) => parent(rounds(words).unwrap_or(ROUNDS)),
        _ => {}
    }
    ExitCode::SUCCESS
}

fn child(row: &str) {
    let begun = Instant::now();
    let mode = match row {
        "alone" => return,
        "twice" => return once_more(),
        "monitor" => SuperviseMode::Monitor,
        "wrap" => SuperviseMode::Wrap,
        _ => SuperviseMode::Off,
    };
    let recorder = lastwords::builder().release("bench@1.0.0").supervise(mode).install();
    assert!(recorder.is_ok(), "nothing is wrong with these settings");
    let in_call = begun.elapsed().as_secs_f64() * 1e3;
    println!("{in_call}");
}

fn once_more() {
    let own = std::env::current_exe().expect("a program knows its path");
    let status = Command::new(own).args(["--start-child", "alone"]).status().expect("the program");
    assert!(status.success(), "{status}");
}

fn parent(rounds: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut whole = ROWS.map(|_| Vec::new());
    let mut in_call = ROWS.map(|_| Vec::new());
    for _ in 0..rounds {
        let round = ROWS.map(|row| run(row, directory.path()));
        for (at, (time, told)) in round.iter().enumerate() {
            whole[at].push(time - if at == 0 { 0.0 } else { round[0].0 });
            in_call[at].extend(told);
        }
    }
    println!("a program that does nothing, milliseconds (median of {rounds})\n");
    println!("{:<10} {:>8} {:>12}", "", "whole", "in the call");
    for (row, (whole, in_call)) in ROWS.iter().zip(whole.into_iter().zip(in_call)) {
        let sign = if *row == "alone" { "" } else { "+" };
        let call =
            if in_call.is_empty() { String::new() } else { format!("{:.2}", median(in_call)) };
        println!("{row:<10} {:>8} {call:>12}", format!("{sign}{:.2}", median(whole)));
    }
}

/// Milliseconds from start to end, and what the program says of the call.
fn run(row: &str, place: &Path) -> (f64, Option<f64>) {
    let own = std::env::current_exe().expect("a program knows its path");
    let mut command = Command::new(own);
    command.args(["--start-child", row]).stdin(Stdio::null()).stderr(Stdio::inherit());
    for name in ["SENTRY_DSN", "LASTWORDS_DSN", "LASTWORDS_SUPERVISE"] {
        command.env_remove(name);
    }
    command.env("LASTWORDS_STATE_DIR", place.join("state")).env("HOME", place);
    command.stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program");
    let status = child.wait().expect("a child");
    let time = begun.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{row}: {status}");
    let mut told = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    std::io::Read::read_to_string(&mut stdout, &mut told).expect("a text");
    (time, told.trim().parse().ok())
}
