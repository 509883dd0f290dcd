//! How long a program takes to be gone once it panics, alone and under `lastwords run`.
//!
//! ```text
//! cargo bench --features cli --bench exit [-- --rounds=N]
//! cargo bench --manifest-path benches/rivals/Cargo.toml --bench rival_exits     beside sentry's
//! ```
#![cfg(target_os = "linux")]

mod common;

use std::process::ExitCode;

use common::exits::{self, GO, LASTWORDS, NO_REPORTING, Program, Row};

fn main() -> ExitCode {
    let run = || [env!("CARGO_BIN_EXE_lastwords"), "run", "--"].map(str::to_owned).to_vec();
    exits::main(&[
        Row { program: Program::Contender(NO_REPORTING), wrapper: Vec::new() },
        Row { program: Program::Contender(LASTWORDS), wrapper: Vec::new() },
        Row { program: Program::Contender(NO_REPORTING), wrapper: run() },
        Row { program: Program::Contender(LASTWORDS), wrapper: run() },
        Row { program: Program::Script(GO), wrapper: Vec::new() },
        Row { program: Program::Script(GO), wrapper: run() },
    ])
}
