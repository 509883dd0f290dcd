//! Child processes that measure, and the parent's side of them.

use std::env;
use std::ffi::OsStr;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::Command;

/// Whether the program was started to measure. `cargo bench` adds `--bench`; `cargo test
/// --benches` does not, and is no time to measure.
pub fn is_bench(words: &[&str]) -> bool {
    let bench = words.contains(&"--bench");
    if !bench {
        println!("run it with `cargo bench`");
    }
    bench
}

/// How often the parent is to go round, if `--rounds=N` says so.
pub fn rounds(words: &[&str]) -> Option<usize> {
    let rounds = words.iter().find_map(|word| word.strip_prefix("--rounds="))?;
    rounds.parse().ok().filter(|rounds| *rounds > 0)
}

/// Hands figures to the parent.
pub fn print(figures: &[f64]) {
    let words: Vec<String> = figures.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Says on a terminal how far it is.
pub fn progress(text: &str) {
    let mut error = std::io::stderr();
    if error.is_terminal() {
        let _ = write!(error, "\r{text:<20}\r");
    }
}

/// How the parent starts children: itself again, with a directory for their state that is on a
/// disk, and is removed in the end.
pub struct Children {
    executable: PathBuf,
    state: PathBuf,
}

impl Children {
    pub fn new() -> Children {
        let executable = env::current_exe().expect("a program knows its path");
        let name = format!("bench-{}", std::process::id());
        Children { executable, state: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name) }
    }

    /// Starts one child and gives the figures it printed; `None` if it failed, having said why.
    pub fn run(&self, arguments: &[&str]) -> Option<Vec<f64>> {
        let mut command = Command::new(&self.executable);
        let steers = |name: &OsStr| {
            let name = name.to_string_lossy();
            ["LASTWORDS_", "SENTRY_", "RUST_"].iter().any(|start| name.starts_with(start))
        };
        for (name, _) in env::vars_os().filter(|(name, _)| steers(name)) {
            command.env_remove(name);
        }
        command.env("LASTWORDS_STATE_DIR", &self.state).args(arguments);
        let output = command.output().ok()?;
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let figures = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        output.status.success().then_some(figures)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state);
    }
}
