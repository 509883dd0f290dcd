//! An async service: spans that live across `.await`, and a task that panics.
//!
//! A task moves between worker threads at every `.await`. `#[instrument]` (or
//! `Instrument::instrument`) enters its span each time the task is polled, so a breadcrumb has the
//! spans of its task, whichever thread it ran on. (A guard from `Span::enter` held across an
//! `.await` would stay entered on a thread that has gone on to another task.)
//!
//! `install` comes before the runtime is built: a panic of any of its threads is then reported.
//!
//! ```text
//! cargo run --example tokio_service
//! cargo run --features cli -- show
//! ```

use std::time::Duration;

use tokio::time::sleep;
use tracing::{Instrument, error, info, info_span, instrument};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> Result<(), lastwords::InstallError> {
    let recorder = lastwords::builder().release("gateway@2.0.0-rc.1").install()?;
    let terminal = tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(recorder.layer()).with(terminal).init();
    serve();
    Ok(())
}

#[tokio::main]
async fn serve() {
    let requests: Vec<_> = (1..=6)
        .map(|id| tokio::spawn(handle(id).instrument(info_span!("connection", peer = id % 3))))
        .collect();
    for request in requests {
        if let Err(error) = request.await {
            error!(error = &error as &dyn std::error::Error, "a request died");
        }
    }
}

#[instrument]
async fn handle(id: u32) {
    info!("accepted");
    let body = fetch(id).await;
    info!(bytes = body.len(), "fetched");
    let price = parse_price(&body);
    info!(price, "answered");
}

#[instrument(skip_all, fields(backend = "prices"))]
async fn fetch(id: u32) -> String {
    sleep(Duration::from_millis(u64::from(id) * 5)).await;
    info!("backend answered");
    if id == 4 { "12,50".to_owned() } else { format!("{id}.50") }
}

fn parse_price(body: &str) -> f64 {
    body.parse().expect("a price")
}
