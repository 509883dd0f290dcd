//! A service that watches itself, and overflows its stack.
//!
//! No panic hook hears of that. The first statement of `main` starts the service once more as a child of
//! itself; the first process waits for its end, reports it with the log lines up to the last and the stack
//! of the signal, and ends as the child did. It has to come before any thread is started.
//!
//! ```text
//! cargo run --example supervised
//! cargo run --features cli -- show
//! ```

use tracing::{info, info_span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> Result<(), lastwords::InstallError> {
    lastwords::supervise();
    run()
}

fn run() -> Result<(), lastwords::InstallError> {
    let recorder = lastwords::builder().release("parser@0.3.0").tag("role", "parser").install()?;
    let terminal = tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(recorder.layer()).with(terminal).init();

    for depth in [3, 40, 1_000_000] {
        let _span = info_span!("request", depth).entered();
        let text = "(".repeat(depth) + &")".repeat(depth);
        info!(bytes = text.len(), "parsing");
        let (pairs, _) = parse(text.as_bytes());
        info!(pairs, "parsed");
    }
    Ok(())
}

/// How many pairs of parentheses `text` begins with, and what is behind them.
fn parse(text: &[u8]) -> (usize, &[u8]) {
    match text {
        [b'(', inner @ ..] => {
            let (inside, rest) = parse(inner);
            let (beside, rest) = parse(rest.get(1..).unwrap_or_default());
            (1 + inside + beside, rest)
        }
        other => (0, other),
    }
}
