//! How long a program takes to be gone once it panics, with a server that is well, one that is silent,
//! and none at all.
//!
//! The program opens a named pipe that nobody else has, writes a byte and panics. From that byte to
//! the pipe's end is what its death takes; under a wrapper, the wrapper's own end is measured too.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::children::{is_bench, median, progress, rounds};
use super::workload;

/// How often everything goes round, unless told.
const ROUNDS: usize = 9;
/// Breadcrumbs there are when the panic comes.
const BREADCRUMBS: u64 = 100;

/// A way to report.
pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    /// Sets everything up in the program.
    pub start: fn(),
}

/// The program that a contender is part of, or another one.
pub enum Program {
    Contender(Contender),
    /// A shell script that dies as a Go program does, where the contender is whoever watches it.
    Script(&'static str),
}

/// One row of the table.
pub struct Row {
    pub program: Program,
    /// The command it runs under, if it does.
    pub wrapper: Vec<String>,
}

/// What the measuring itself takes.
pub const NO_REPORTING: Contender = Contender {
    name: "no reporting",
    about: "the program alone, with the standard library's hook",
    start: || {},
};

/// A recorder with its defaults.
pub const LASTWORDS: Contender = Contender {
    name: "lastwords",
    about: "an installed recorder with its defaults and a DSN",
    start: || {
        let recorder = lastwords::builder().release("bench@1.0.0").install();
        let recorder = recorder.expect("nothing is wrong with these settings");
        super::contenders::set_global(super::contenders::Setup::Plain, recorder.layer());
    },
};

/// The crash of a Go program, after a byte into the pipe.
pub const GO: &str = "exec 3>\"$BENCH_PIPE\"; printf x >&3; \
    printf 'panic: no space\\n\\ngoroutine 1 [running]:\\nmain.f()\\n\\t/a.go:3 +0x1d\\n' >&2; exit 2";

/// Runs as the child that the arguments name, else as the parent.
pub fn main(rows: &[Row]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--exit-child", name] => {
            let mut contenders = rows.iter().filter_map(|row| match &row.program {
                Program::Contender(contender) => Some(contender),
                Program::Script(_) => None,
            });
            let contender = contenders.find(|contender| contender.name == *name);
            die(contender.expect("one of the rows"))
        }
        ["--symbolication-child"] => {
            let begun = Instant::now();
            let text = std::backtrace::Backtrace::force_capture().to_string();
            assert!(text.contains("main"), "it has symbols");
            println!("{}", begun.elapsed().as_secs_f64() * 1e3);
            ExitCode::SUCCESS
        }
        words if is_bench(words) => {
            parent(rows, rounds(words).unwrap_or(ROUNDS));
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}

fn die(contender: &Contender) -> ExitCode {
    (contender.start)();
    (0..BREADCRUMBS).for_each(workload::event);
    let pipe = env::var_os("BENCH_PIPE").expect("the parent's pipe");
    let mut pipe = OpenOptions::new().write(true).open(pipe).expect("a pipe");
    pipe.write_all(b"x").expect("a reader");
    // It is closed by the kernel, when the process is gone.
    std::mem::forget(pipe);
    panic!("no space left in shard 7");
}

/// A server for a column.
struct Server {
    name: &'static str,
    port: u16,
    /// Kept, so that the port stays as it is.
    _listener: Option<TcpListener>,
}

fn servers() -> [Server; 3] {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    let (healthy, silent, nobody) = (listen(), listen(), listen());
    let [well, mute, none] = [&healthy, &silent, &nobody].map(port);
    thread::spawn(move || {
        for stream in healthy.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    // The kernel accepts for the silent one. Nobody listens where the last one did.
    [
        Server { name: "healthy", port: well, _listener: None },
        Server { name: "silent", port: mute, _listener: Some(silent) },
        Server { name: "not there", port: none, _listener: None },
    ]
}

/// Reads requests and says that they are taken.
fn answer(stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = None;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
            line.clear();
        }
        let Some(length) = length else { return };
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// Milliseconds until the program was gone, and until its wrapper was.
fn measure(row: &Row, server: &Server, place: &Path) -> [f64; 2] {
    let pipe = place.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo can be run").success());
    let mut words = row.wrapper.clone();
    match &row.program {
        Program::Contender(contender) => {
            let own = env::current_exe().expect("a program knows its path");
            words.extend([own.display().to_string(), "--exit-child".into(), contender.name.into()]);
        }
        Program::Script(script) => words.extend(["sh", "-c", script].map(str::to_owned)),
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in ["SENTRY_RELEASE", "SENTRY_ENVIRONMENT", "RUST_BACKTRACE", "LASTWORDS_DSN"] {
        command.env_remove(name);
    }
    command.env("SENTRY_DSN", format!("http://key@127.0.0.1:{}/1", server.port));
    command.env("LASTWORDS_STATE_DIR", place.join("state")).env("BENCH_PIPE", &pipe);
    let mut child = command.spawn().expect("the program");
    let mut pipe = File::open(&pipe).expect("a pipe");
    pipe.read_exact(&mut [0]).expect("the program writes a byte");
    let begun = Instant::now();
    assert_eq!(pipe.read(&mut [0]).expect("a pipe"), 0);
    let gone = begun.elapsed();
    let status = child.wait().expect("a child");
    assert!(!status.success(), "it dies");
    [gone, begun.elapsed()].map(|time: Duration| time.as_secs_f64() * 1e3)
}

/// Milliseconds that the standard library takes for one stack in a process that has not read its symbols
/// yet.
fn symbolication() -> f64 {
    let own = env::current_exe().expect("a program knows its path");
    let output = Command::new(own).arg("--symbolication-child").output().expect("itself");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a figure")
}

fn title(row: &Row) -> String {
    let program = match &row.program {
        Program::Contender(contender) => contender.name,
        Program::Script(_) => "sh, dies as Go does",
    };
    match row.wrapper.is_empty() {
        true => program.to_owned(),
        false => format!("run -- {program}"),
    }
}

fn parent(rows: &[Row], rounds: usize) {
    let servers = servers();
    let mut figures = vec![vec![[const { Vec::new() }; 2]; rows.len()]; servers.len()];
    let mut symbols = Vec::new();
    let places = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for round in 0..=rounds {
        progress(&format!("round {round} of {rounds}"));
        symbols.push(symbolication());
        for (server, figures) in servers.iter().zip(&mut figures) {
            for (row, figures) in rows.iter().zip(figures) {
                // Of its own: what one left to be sent is none of the next one's business.
                let place = tempfile::tempdir_in(&places).expect("a directory");
                let times = measure(row, server, place.path());
                // The first round reads the programs into memory.
                if round > 0 {
                    figures.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
                }
            }
        }
    }
    progress("");
    println!("a panicking program's end, in milliseconds after the panic (medians of {rounds})\n");
    let symbols = median(symbols);
    for (server, figures) in servers.iter().zip(figures) {
        let medians: Vec<[f64; 2]> = figures.into_iter().map(|row| row.map(median)).collect();
        report(server, rows, &medians);
    }
    println!("a `std::backtrace` in a fresh process, resolved: {symbols:.1} ms\n");
    for row in rows {
        if let (Program::Contender(contender), true) = (&row.program, row.wrapper.is_empty()) {
            println!("{}: {}", contender.name, contender.about);
        }
    }
    println!("A server that is silent accepts the connection and never answers.");
}

fn report(server: &Server, rows: &[Row], medians: &[[f64; 2]]) {
    let heads = ["gone", "more", "times", "all ended"];
    print!("{:<28}", format!("server: {}", server.name));
    heads.iter().for_each(|head| print!("{head:>11}"));
    println!();
    for (row, [gone, ended]) in rows.iter().zip(medians) {
        let is_alike = |other: &&Row| {
            let kind = |row: &Row| matches!(row.program, Program::Script(_));
            other.wrapper.is_empty() && kind(other) == kind(row)
        };
        let base = rows.iter().position(|other| is_alike(&other)).expect("it is the first");
        let base = medians[base][0];
        print!("  {:<26}{gone:>11.1}{:>11.1}{:>11.1}", title(row), gone - base, gone / base);
        if row.wrapper.is_empty() { println!() } else { println!("{ended:>11.1}") }
    }
    println!();
}
