//! Panics of a thread that holds something the report might need.

use std::fmt;
use std::io::Write;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use lastwords::sentry;

pub(crate) const SCENARIOS: [crate::Scenario; 13] = [
    ("in-layer", in_another_layer),
    ("in-layer-of-default-scope", in_layer_of_default_scope),
    ("in-dispatcher", in_dispatcher),
    ("in-configure-scope", in_configure_scope),
    ("in-with-scope", in_with_scope),
    ("holding-stderr", holding_stderr),
    ("holding-stderr-on-full-spool", holding_stderr_without_spool),
    ("holding-stdout", holding_stdout),
    ("in-backtrace", in_backtrace),
    ("in-std-backtrace", in_std_backtrace),
    ("during-set-tag", during_set_tag),
    ("tag-panics", tag_panics),
    ("tag-sets-tag", tag_sets_tag),
];

/// A layer behind lastwords' own that panics at a certain event.
pub(crate) struct Trap;

impl<S: Subscriber> Layer<S> for Trap {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "trap" {
            panic!("another layer panics");
        }
    }
}

fn in_thread(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("holder".to_owned()).spawn(work).expect("a thread");
    println!("died: {}", thread.join().is_err());
}

fn in_another_layer() {
    in_thread(|| tracing::info!(target: "trap", "the last line"));
    tracing::info!("the dispatcher still works");
}

fn in_layer_of_default_scope() {
    in_thread(|| {
        let subscriber = tracing_subscriber::registry().with(Trap);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "trap", "not lastwords' event");
        });
    });
}

fn in_dispatcher() {
    in_thread(|| tracing::dispatcher::get_default(|_| panic!("inside the dispatcher")));
}

/// A client that sends nothing; without one, a hub calls nobody back.
fn client() -> sentry::ClientInitGuard {
    struct Nowhere;
    impl sentry::Transport for Nowhere {
        fn send_envelope(&self, _: sentry::Envelope) {}
    }
    let options = sentry::ClientOptions::new();
    let options = options.default_integrations(false).transport(Arc::new(Nowhere));
    sentry::init(("https://key@127.0.0.1/1", options))
}

fn in_configure_scope() {
    in_thread(|| {
        let _client = client();
        sentry::configure_scope(|scope| {
            scope.set_tag("held", "yes");
            if true {
                panic!("inside configure_scope");
            }
        });
    });
}

fn in_with_scope() {
    in_thread(|| {
        let _client = client();
        sentry::with_scope(|_| panic!("inside with_scope"), || {});
    });
}

fn holding_stderr() {
    in_thread(|| {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "stderr is locked");
        panic!("holding stderr");
    });
}

/// The report cannot be written, and the warning about it cannot be printed either.
fn holding_stderr_without_spool() {
    if let Some(state) = std::env::var_os("LASTWORDS_STATE_DIR") {
        let waiting = std::path::PathBuf::from(state).join("waiting");
        // With `PLAIN` there is none.
        if std::fs::remove_dir(&waiting).is_ok() {
            std::fs::write(&waiting, "in the way").expect("a file");
        }
    }
    holding_stderr();
}

fn holding_stdout() {
    in_thread(|| {
        let _stdout = std::io::stdout().lock();
        panic!("holding stdout");
    });
}

/// The `backtrace` crate calls back with its lock held, and the panic poisons it.
fn in_backtrace() {
    in_thread(resolve_and_panic);
    // A second one: the poisoned lock must not end the reporting.
    in_thread(|| panic!("after a poisoned lock"));
}

fn resolve_and_panic() {
    // An address inside of the function: it is looked up as one to return to.
    let address = (resolve_and_panic as *const ()).wrapping_byte_add(1).cast_mut().cast();
    backtrace::resolve(address, |_| panic!("inside backtrace::resolve"));
}

/// The standard library's lock is held while it formats a captured backtrace.
fn in_std_backtrace() {
    struct Full;
    impl fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            panic!("while a backtrace is formatted");
        }
    }
    in_thread(|| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        let _ = fmt::Write::write_fmt(&mut Full, format_args!("{backtrace}"));
    });
}

fn during_set_tag() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let setters: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                while !STOP.load(Ordering::Relaxed) {
                    lastwords::set_tag("hot", "x".repeat(200));
                }
            })
        })
        .collect();
    for _ in 0..20 {
        in_thread(|| panic!("while tags are set"));
    }
    STOP.store(true, Ordering::Relaxed);
    setters.into_iter().for_each(|setter| setter.join().expect("no panic"));
}

fn tag_panics() {
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("a tag's value panics");
        }
    }
    lastwords::set_tag("before", 1);
    println!("caught: {}", catch_unwind(|| lastwords::set_tag("bad", Unspeakable)).is_err());
    lastwords::set_tag("after", 2);
    in_thread(|| panic!("with tags"));
}

fn tag_sets_tag() {
    struct Busy;
    impl fmt::Display for Busy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            lastwords::set_tag("inner", "1");
            f.write_str("2")
        }
    }
    lastwords::set_tag("outer", Busy);
    in_thread(|| panic!("with nested tags"));
}
