//! What it costs to run a program under watch: its start and end, beside other wrappers, and a flood
//! of log lines, beside `cat | cat`.
//!
//! ```text
//! cargo bench --features cli --bench run [-- --rounds=N]
//! ```
//!
//! Everything goes round in turns. A wrapper that is not there (Debian: `tini`, `dumb-init`) is said
//! to be missing. The flood is 1 GiB in lines of 100 bytes, from a file that was read before.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use common::children::{is_bench, median, rounds};

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");
const BYTES: usize = 1 << 30;
const STARTS: usize = 200;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if is_bench(&words) {
        let rounds = rounds(&words).unwrap_or(ROUNDS);
        let directory = tempfile::tempdir().expect("a temporary directory");
        starts(directory.path(), STARTS);
        idle(directory.path());
        for (name, word) in [("plain lines", "request"), ("every line says Error", "Error: x")] {
            let file = directory.path().join("lines");
            write_lines(&file, word).expect("room for 1 GiB");
            flood(name, &file, directory.path(), rounds);
        }
    }
    ExitCode::SUCCESS
}

/// `program` under a wrapper, if the wrapper is there.
fn wrapped(wrapper: &[&str], state: &Path, program: &[&str]) -> Command {
    let words: Vec<&str> = wrapper.iter().chain(program).copied().collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("LASTWORDS_STATE_DIR", state).stdin(Stdio::null());
    command
}

fn starts(state: &Path, rounds: usize) {
    let wrappers: [(&str, &[&str]); 4] = [
        ("true", &[]),
        ("tini -- true", &["tini", "--"]),
        ("dumb-init -- true", &["dumb-init", "--"]),
        ("lastwords run -- true", &[LASTWORDS, "run", "--"]),
    ];
    let mut figures = wrappers.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, wrapper), figures) in wrappers.iter().zip(&mut figures) {
            let begun = Instant::now();
            if wrapped(wrapper, state, &["true"]).status().is_ok_and(|status| status.success()) {
                figures.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    println!("start and end, milliseconds in the median of {rounds}");
    for ((name, _), figures) in wrappers.iter().zip(figures) {
        match figures.is_empty() {
            true => println!("  {name:<24} is not there"),
            false => println!("  {name:<24} {:>6.2}", median(figures)),
        }
    }
    println!();
}

/// Resident memory of a monitor whose program sleeps, and of one that has passed on a flood.
fn idle(state: &Path) {
    let mut child =
        wrapped(&[LASTWORDS, "run", "--"], state, &["sleep", "0.5"]).spawn().expect("the command");
    std::thread::sleep(std::time::Duration::from_millis(200));
    println!("resident memory, MiB\n  idle                     {:>6.1}", resident(child.id()));
    let _ = child.wait();
    let script = "head -c 300000000 /dev/zero | tr '\\0' '\\n' >&2; sleep 0.5";
    let mut child = wrapped(&[LASTWORDS, "run", "--"], state, &["sh", "-c", script])
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    let mut most = 0.0_f64;
    while child.try_wait().expect("a child").is_none() {
        most = most.max(resident(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    println!("  with 300 MB of newlines  {most:>6.1}\n");
}

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

fn write_lines(path: &Path, word: &str) -> io::Result<()> {
    let mut block = Vec::new();
    for number in 0..10_000_u32 {
        let line = format!(
            "2026-11-25T10:{:02}:{:02}.000000Z INFO orders::api {word} {number} done path=/v1/orders",
            number / 60 % 60,
            number % 60,
        );
        block.extend_from_slice(format!("{line:<99.99}\n").as_bytes());
    }
    let mut file = File::create(path)?;
    for _ in 0..BYTES / block.len() {
        file.write_all(&block)?;
    }
    Ok(())
}

fn flood(name: &str, file: &Path, state: &Path, rounds: usize) {
    let bytes = file.metadata().expect("a file").len() as f64;
    let run = [LASTWORDS, "run", "--", "sh", "-c", "exec cat \"$1\" >&2", "sh"];
    let file: PathBuf = file.to_owned();
    let ways: [(&str, &dyn Fn() -> Command); 3] = [
        ("cat | cat", &|| shell("cat \"$1\" | cat", &file)),
        ("cat | cat | cat", &|| shell("cat \"$1\" | cat | cat", &file)),
        ("lastwords run -- cat >&2", &|| {
            let mut command = wrapped(&run, state, &[]);
            command.arg(&file);
            command
        }),
    ];
    let mut figures = ways.map(|_| Vec::new());
    for round in 0..=rounds {
        for ((_, way), figures) in ways.iter().zip(&mut figures) {
            let begun = Instant::now();
            let status = way().stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.expect("it can be run").success());
            // The first round reads the file into memory.
            if round > 0 {
                figures.push(bytes / begun.elapsed().as_secs_f64() / 1e9);
            }
        }
    }
    let rates = figures.map(median);
    println!("{name}: 1 GiB in lines of 100 bytes, GB/s in the median of {rounds}");
    for ((way, _), rate) in ways.iter().zip(rates) {
        println!("  {way:<25} {rate:>6.2}   {:.2} of cat | cat", rate / rates[0]);
    }
    println!();
}

fn shell(script: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(file).stdin(Stdio::null());
    command
}
