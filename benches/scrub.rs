//! How fast a text is scrubbed, beside counting its lines: log lines, and the worst that near-misses can
//! make of it.
//!
//! ```text
//! cargo bench --bench scrub [-- --rounds=N]
//! ```
//!
//! Both readers go over the same 10 MiB in turns.

mod common;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use common::children::{is_bench, median, rounds};
use lastwords::report::Scrubber;

const BYTES: usize = 10 << 20;
const ROUNDS: usize = 5;

/// What nearly is a secret, over and over.
const NEAR_MISSES: [&str; 27] = [
    "password",
    "password ",
    "password=",
    "password=\"",
    "password=\"\"\"",
    "password: ",
    "session_",
    ":",
    "::",
    "a:",
    "1",
    "1.",
    "4111 ",
    "-----BEGIN ",
    "eyJ",
    "://",
    "://a:b/",
    "/home/",
    "\\\"",
    "{password:a ",
    "%3a%2f%2f",
    "[\"password\",",
    "name=\"password\" value",
    "Token { ",
    "a:b@h:1",
    "mysql -p",
    "\x1b[0",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if is_bench(&words) {
        let rounds = rounds(&words).unwrap_or(ROUNDS);
        let scrubber = Scrubber::new::<&str>(&[]);
        println!(
            "MB/s in the median of {rounds}, {} MiB; beside it the share of counting newlines",
            BYTES >> 20
        );
        measure("log lines", &lines(false), &scrubber, rounds);
        measure("log lines, each with a secret", &lines(true), &scrubber, rounds);
        for piece in NEAR_MISSES {
            let text = piece.repeat(BYTES / piece.len());
            measure(&format!("{piece:?} repeated"), &text, &scrubber, rounds);
        }
    }
    ExitCode::SUCCESS
}

/// Log lines of 120 bytes or so.
fn lines(secret: bool) -> String {
    let mut text = String::with_capacity(BYTES);
    let mut number = 0_u32;
    while text.len() + 200 <= BYTES {
        text.push_str(&format!(
            "2026-11-25T10:{:02}:{:02}.{:06}Z  INFO orders::api: request done id={number} path=/v1/orders/{} took=12.5ms{}\n",
            number / 60 % 60,
            number % 60,
            number % 1_000_000,
            number.wrapping_mul(7919),
            if secret { " token=k7f3k8g4" } else { "" },
        ));
        number += 1;
    }
    text
}

fn measure(name: &str, text: &str, scrubber: &Scrubber, rounds: usize) {
    let mut figures = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        figures[0].push(seconds(|| {
            black_box(memchr::memchr_iter(b'\n', text.as_bytes()).count());
        }));
        figures[1].push(seconds(|| {
            black_box(scrubber.text(text));
        }));
    }
    let [counting, scrubbing] = figures.map(|seconds| text.len() as f64 / median(seconds) / 1e6);
    println!("  {name:<32} {scrubbing:>8.0}   {:.3}", scrubbing / counting);
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}
