//! A service with worker threads, one of which panics.
//!
//! Three statements in `main` are all there is to lastwords: `install`, the layer, and a tag that
//! is learned at run time. The panicking worker knows nothing of it, and neither do the others,
//! whose last lines are in the report all the same.
//!
//! ```text
//! cargo run --example service
//! cargo run --features cli -- show
//! ```

use std::thread;
use std::time::Duration;

use tracing::{debug, info, info_span, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> Result<(), lastwords::InstallError> {
    let recorder = lastwords::builder()
        .release("service@1.4.2")
        .edition("oss")
        .tag("role", "alpha")
        .filter("debug")
        .install()?;
    // The terminal gets warnings only; the report gets everything. (A filter on the whole
    // subscriber, as `fmt::init` sets one, would silence breadcrumbs as well.)
    let terminal = tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(recorder.layer()).with(terminal).init();

    let cluster = join_cluster();
    lastwords::set_tag("cluster", &cluster);

    let workers: Vec<_> = ["compact", "replicate", "ingest"]
        .into_iter()
        .map(|name| {
            let work = move || info_span!("worker", name).in_scope(|| work(name));
            thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread")
        })
        .collect();
    let died = workers.into_iter().filter_map(|worker| worker.join().err()).count();
    info!(died, "shutting down");
    Ok(())
}

fn join_cluster() -> String {
    let _span = info_span!("join", peers = 3).entered();
    info!(elapsed_ms = 12, "joined as follower");
    "eu-west-7".to_owned()
}

fn work(name: &str) {
    for batch in 0..8_u32 {
        let _span = info_span!("batch", batch, rows = tracing::field::Empty).entered();
        let rows = read_batch(name, batch);
        tracing::Span::current().record("rows", rows.len());
        info!(bytes = rows.len() * 64, "batch read");
        if name == "ingest" && batch == 5 {
            index(&rows);
        }
        thread::sleep(Duration::from_millis(3));
    }
}

fn read_batch(name: &str, batch: u32) -> Vec<u64> {
    debug!(worker = name, "reading");
    (0..u64::from(batch) * 10).collect()
}

fn index(rows: &[u64]) {
    let offsets = [0, 16, 32];
    warn!(segments = offsets.len(), "index is behind");
    for (at, row) in rows.iter().enumerate() {
        info!(row, offset = offsets[at], "indexed");
    }
}
