//! How fast the scanner reads a log, beside counting its lines, and what a dump of 100,000
//! goroutines takes.
//!
//! ```text
//! cargo bench --bench scan [-- --rounds=N]
//! ```
//!
//! Chunks are of 64 KiB, as a pipe gives them. Both readers go over the same 256 MiB in turns.

mod common;

use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use common::children::{is_bench, median, rounds};
use lastwords::detect::stderr::{Found, Scanner};

const CHUNK: usize = 64 * 1024;
const BYTES: usize = 256 << 20;
const GOROUTINES: u32 = 100_000;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if is_bench(&words) {
        let rounds = rounds(&words).unwrap_or(ROUNDS);
        let logs = [
            ("plain", "request"),
            ("every line says Error", "Error: x"),
            ("every line quotes a panic", "panic: x"),
        ];
        for (name, word) in logs {
            log(name, &lines(word), rounds);
        }
        dump(rounds);
    }
    ExitCode::SUCCESS
}

/// Log lines of 100 bytes.
fn lines(word: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(BYTES);
    let mut number = 0_u32;
    while text.len() + 100 <= BYTES {
        let line = format!(
            "2026-11-25T10:{:02}:{:02}.{:06}Z INFO orders::api {word} {number} done path=/v1/orders",
            number / 60 % 60,
            number % 60,
            number % 1_000_000,
        );
        text.extend_from_slice(format!("{line:<99.99}\n").as_bytes());
        number += 1;
    }
    text
}

fn log(name: &str, text: &[u8], rounds: usize) {
    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        figures[0].push(seconds(|| {
            let count = |chunk| memchr::memchr_iter(b'\n', chunk).count();
            assert_eq!(text.chunks(CHUNK).map(count).sum::<usize>(), text.len() / 100);
        }));
        figures[1].push(seconds(|| {
            let each = |chunk| memchr::memchr_iter(b'\n', chunk).fold(0_usize, |sum, _| sum + 1);
            assert_eq!(text.chunks(CHUNK).map(each).sum::<usize>(), text.len() / 100);
        }));
        figures[2].push(seconds(|| assert_eq!(scan(text, CHUNK).0.len(), 0)));
    }
    let rates = figures.map(|seconds| text.len() as f64 / median(seconds) / 1e9);
    println!("{name}: lines of 100 bytes, {} MiB, GB/s in the median of {rounds}", BYTES >> 20);
    println!("  counting newlines       {:>6.2}", rates[0]);
    println!("  finding each newline    {:>6.2}", rates[1]);
    println!(
        "  scanner                 {:>6.2}   {:.2} of counting, {:.2} of finding\n",
        rates[2],
        rates[2] / rates[0],
        rates[2] / rates[1]
    );
}

fn dump(rounds: usize) {
    for (name, stacks) in [("8 different stacks", 8), ("all stacks different", u32::MAX)] {
        let text = goroutines(stacks);
        let mut took = Vec::new();
        let mut held = 0;
        for _ in 0..rounds {
            took.push(seconds(|| {
                let (found, most) = scan(&text, CHUNK);
                held = most;
                let crash = &found[0].crash;
                let all = crash.threads.len() as u64 + crash.threads_elided + 1;
                assert_eq!((found.len(), all), (1, u64::from(GOROUTINES)));
            }));
        }
        let took = median(took);
        println!(
            "dump of {GOROUTINES} goroutines, {name}: {:.1} MB in {:.0} ms, {:.2} MiB held at most",
            text.len() as f64 / 1e6,
            took * 1e3,
            held as f64 / f64::from(1 << 20),
        );
    }
}

fn goroutines(stacks: u32) -> Vec<u8> {
    let mut text = "SIGQUIT: quit\nPC=0x476181 m=0 sigcode=0\n".to_owned();
    for number in 1..=GOROUTINES {
        let place = number % stacks;
        text.push_str(&format!(
            "\ngoroutine {number} [chan receive, {} minutes]:\n\
             main.(*worker).wait(0xc{number:09x}, {{0x{number:x}?, 0x7?}})\n\
             \t/srv/app/internal/worker.go:{place} +0x85\n\
             main.(*worker).run(0xc{number:09x})\n\
             \t/srv/app/internal/worker.go:120 +0x1d\n\
             created by main.start in goroutine 1\n\
             \t/srv/app/main.go:88 +0x3c\n",
            number % 30,
        ));
    }
    text.push_str("\nrax    0xca\nrip    0x476181\n");
    text.into_bytes()
}

/// What is found, and the most bytes that were held.
fn scan(text: &[u8], chunk: usize) -> (Vec<Found>, usize) {
    let mut scanner = Scanner::new();
    let (mut found, mut held) = (Vec::new(), 0);
    for chunk in text.chunks(chunk) {
        scanner.feed(chunk, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
        held = held.max(scanner.held_bytes());
    }
    scanner.finish(None, &mut |new| found.push(new));
    (found, held)
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}
