//! An async service that watches itself, one task of which aborts the process.
//!
//! `supervise` comes before the runtime is built, which starts threads: so `main` is synchronous, and the
//! async part a function of its own. `abort` runs no hook and prints nothing; the report has the task's
//! log lines with their spans and the stack of the thread that aborted.
//!
//! ```text
//! cargo run --example tokio_supervised
//! cargo run --features cli -- show
//! ```

use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, info, instrument};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> Result<(), lastwords::InstallError> {
    lastwords::supervise();
    let recorder = lastwords::builder().release("ledger@3.1.0").install()?;
    let terminal = tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(recorder.layer()).with(terminal).init();
    run();
    Ok(())
}

#[tokio::main]
async fn run() {
    let transfers: Vec<_> = (1..=4).map(|id| tokio::spawn(transfer(id))).collect();
    for transfer in transfers {
        transfer.await.expect("no task panics");
    }
}

#[instrument]
async fn transfer(id: u64) {
    info!("accepted");
    sleep(Duration::from_millis(id * 5)).await;
    let (debit, credit) = book(id).await;
    check(debit, credit);
    info!(amount = credit, "booked");
}

#[instrument]
async fn book(id: u64) -> (u64, u64) {
    sleep(Duration::from_millis(id * 5)).await;
    info!("written");
    (id * 100, if id == 3 { 299 } else { id * 100 })
}

/// Books that do not balance must not be written on.
fn check(debit: u64, credit: u64) {
    if debit != credit {
        error!(debit, credit, "the books do not balance");
        std::process::abort();
    }
}
