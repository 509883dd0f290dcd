//! A program with a `sentry` client of its own, which does what its first argument names.
//!
//! What the client sends is one file for each envelope in the folder `ENVELOPES`, unless `OUR_TRANSPORT`
//! is set. With `PLAIN` there is no lastwords; with `HOOK_FIRST` sentry's hook is set before
//! lastwords' instead of after it; with `NO_HOOK` there is none of sentry's.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sentry::integrations::tracing::{BreadcrumbLayer, ErrorLayer, SpanLayer};
use sentry::protocol::User;
use sentry::{ClientInitGuard, ClientOptions, Envelope, Level};
use tracing::{Instrument, Metadata, error, info, info_span};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;

const DSN: &str = "http://theirs@127.0.0.1:9/7";

/// Writes each envelope into a file.
struct ToFiles(PathBuf);

impl sentry::Transport for ToFiles {
    fn send_envelope(&self, envelope: Envelope) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{:03}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let file = std::fs::File::create(self.0.join(name)).expect("a file");
        envelope.to_writer(file).expect("room for it");
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

fn options() -> ClientOptions {
    let folder = std::env::var_os("ENVELOPES").expect("a folder for envelopes");
    let dsn = std::env::var("THEIR_DSN").unwrap_or(DSN.to_owned());
    let options = ClientOptions::new().dsn(&dsn).release("theirs@1.0.0").traces_sample_rate(1.0);
    options.default_integrations(!is_set("NO_HOOK")).transport(Arc::new(ToFiles(folder.into())))
}

fn main() {
    if is_set("HOOK_FIRST") {
        std::mem::forget(sentry::init(options()));
    }
    let client = start();
    sentry::configure_scope(|scope| {
        scope.set_user(Some(User { id: Some("ada".to_owned()), ..User::default() }));
        scope.set_transaction(Some("GET /orders"));
        scope.set_tag("theirs", "kept");
        scope.set_extra("shard", 7.into());
    });
    sentry::add_breadcrumb(sentry::Breadcrumb {
        message: Some("their own breadcrumb".to_owned()),
        ..Default::default()
    });
    lastwords::set_tag("cid", "eu-7");
    info!("a line outside");
    match std::env::args().nth(1).as_deref() {
        Some("main") => worker(),
        Some("thread") => join(worker),
        Some("caught") => println!("caught: {}", catch_unwind(worker).is_err()),
        Some("task") => task(),
        Some("in-configure-scope") => join(in_configure_scope),
        Some("in-thread-local") => join(in_thread_local),
        Some("captures") => captures(),
        Some("own-captures") => own_captures(),
        Some("transaction") => transaction(&client),
        Some("abort") => std::process::abort(),
        other => panic!("not known: {other:?}"),
    }
    println!("flushed: {}", client.flush(Some(Duration::from_secs(5))));
}

/// The client, and lastwords beside it.
fn start() -> ClientInitGuard {
    if is_set("PLAIN") {
        let client = sentry::init(options());
        let spans = SpanLayer::new().with_filter(LevelFilter::INFO);
        let events = ErrorLayer::new().with_filter(LevelFilter::ERROR);
        let is_crumb = |metadata: &Metadata<'_>| *metadata.level() != tracing::Level::ERROR;
        let breadcrumbs = BreadcrumbLayer::new().with_filter(filter_fn(is_crumb));
        tracing_subscriber::registry().with(spans.and_then(events).and_then(breadcrumbs)).init();
        return client;
    }
    let recorder = lastwords::builder().release("ours@2.0.0").tag("role", "alpha").install();
    let recorder = recorder.expect("nothing is wrong with these settings");
    if is_set("EARLY") {
        lastwords::capture_message("before the client", Level::Warning);
    }
    let options = options().add_integration(recorder.sentry_integration());
    let client = sentry::init(match is_set("OUR_TRANSPORT") {
        true => options.transport(recorder.sentry_transport()),
        false => options,
    });
    let layers = recorder.layer().and_then(recorder.sentry_layer());
    tracing_subscriber::registry().with(layers).init();
    client
}

fn join(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("worker".to_owned()).spawn(work).expect("a thread");
    println!("died: {}", thread.join().is_err());
}

/// Says which trace the client is in.
fn say_trace() {
    sentry::configure_scope(|scope| {
        let span = scope.get_span().expect("a span");
        let context = span.get_trace_context();
        println!("trace: {} {}", context.trace_id, context.span_id);
    });
}

fn worker() {
    info_span!("request", id = 7).in_scope(|| {
        say_trace();
        info!("a line inside");
        panic!("no space in shard {}", 7);
    });
}

fn task() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let work = async {
        tokio::task::yield_now().await;
        say_trace();
        info!("a line inside");
        panic!("no space in shard {}", 7);
    };
    let task = runtime.spawn(work.instrument(info_span!("request", id = 7)));
    println!("died: {}", runtime.block_on(task).is_err());
}

fn in_configure_scope() {
    sentry::configure_scope(|scope| {
        scope.set_tag("half", "set");
        if true {
            panic!("inside configure_scope");
        }
    });
}

/// A panic in the destructor of a thread-local value, when the client's own are gone.
fn in_thread_local() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            let caught = catch_unwind(|| panic!("in a destructor")).is_err();
            println!("caught: {caught}");
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    LAST.with(|last| *last.borrow_mut() = Some(Last));
    // Destroyed in the opposite order.
    info!("a line of the thread");
    sentry::configure_scope(|scope| scope.set_tag("thread", "last"));
}

fn captures() {
    let error = "seven".parse::<u32>().unwrap_err();
    sentry::capture_error(&error);
    sentry::capture_message("their message", Level::Warning);
    info_span!("request", id = 7).in_scope(|| error!(shard = 7, "their log event"));
}

fn own_captures() {
    let error = "seven".parse::<u32>().unwrap_err();
    info_span!("request", id = 7).in_scope(|| {
        say_trace();
        lastwords::capture_error(&error);
    });
    sentry::configure_scope(|_| lastwords::capture_message("inside configure_scope", Level::Info));
}

fn transaction(client: &ClientInitGuard) {
    let transaction = sentry::start_transaction(sentry::TransactionContext::new("job", "batch"));
    transaction.start_child("step", "first").finish();
    transaction.finish();
    let session = concat!(
        "{}\n{\"type\":\"session\",\"length\":124}\n",
        "{\"sid\":\"c1bf7d0e-5f3c-4a2b-9d0e-6a3f1b2c4d5e\",\"started\":\"2026-01-01T00:00:00Z\",",
        "\"status\":\"ok\",\"attrs\":{\"release\":\"a@1.0.0\"}}\n"
    );
    let session = session.replace("124", &(session.lines().last().unwrap_or("").len()).to_string());
    client.send_envelope(Envelope::from_slice(session.as_bytes()).expect("an envelope"));
}
