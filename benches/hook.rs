//! How long the panic hook holds a panicking thread, and when each of its steps is done.
//!
//! ```text
//! cargo bench --bench hook [-- --rounds=N]
//! cargo bench --manifest-path benches/rivals/Cargo.toml --bench rival_hooks     beside sentry's
//! ```

mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::panics::main(&common::panics::OWN)
}
