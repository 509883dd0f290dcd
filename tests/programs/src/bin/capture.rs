//! A program that captures errors and messages, and has a say in what is sent, as its first argument
//! names.

use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::panic::catch_unwind;

use lastwords::sentry::Level;
use lastwords::sentry::protocol::Event;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

fn main() {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    if scenario == "early" {
        println!("id: {}", lastwords::capture_message("nobody listens yet", Level::Info));
        println!("id: {}", lastwords::capture_error(&Cause("too early")));
    }
    let mut builder = lastwords::builder().release("orders@1.4.2").filter("trace");
    builder = match scenario.as_str() {
        "change" => builder.before_send(change),
        "drop" => builder.before_send(|_| None),
        "drop-some" => builder.before_send(|event| (event.level != Level::Info).then_some(event)),
        "panic" => builder.before_send(|_| panic!("inside before_send")),
        "odd-values" => builder
            .release("orders/1.4.2")
            .environment("none")
            .tag("zone", "eu\nwest")
            .tag("grö\u{df}e", "7")
            .tag("fine", "yes"),
        _ => builder,
    };
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).init();
    lastwords::set_tag("cid", "eu-7");
    info!(shard = 7, "opened");
    match scenario.as_str() {
        "sources" => println!("id: {}", lastwords::capture_error(&sources())),
        "printed" => println!("id: {}", lastwords::capture_error(&Printed::new())),
        "field" => println!("id: {}", lastwords::capture_error(&Field::new())),
        "given" => println!("id: {}", given()),
        "twice" => {
            lastwords::capture_error(&Printed::new());
            lastwords::capture_error(&Printed::new());
            lastwords::capture_error(&Field::new());
            lastwords::capture_error(&Numbered(7));
            lastwords::capture_error(&Numbered(12));
        }
        "message" => {
            let text = "disk is nearly full\n3 of 4 TiB";
            println!("id: {}", lastwords::capture_message(text, Level::Warning));
        }
        "private" => private(),
        "drop-some" => {
            lastwords::capture_message("not worth a report", Level::Info);
            lastwords::capture_message("worth one", Level::Warning);
        }
        _ => println!("caught: {}", catch_unwind(|| panic!("no space in shard {}", 7)).is_err()),
    }
    println!("main returns");
}

/// Adds what is wanted, and what should never be written.
fn change(mut event: Event<'static>) -> Option<Event<'static>> {
    event.server_name = None;
    event.tags.insert("added".to_owned(), "by before_send".to_owned());
    event.extra.insert("password".to_owned(), "hunter2hunter2".into());
    event.extra.insert("note".to_owned(), "token=sk_live_4eC39HqLyjWDarjtT1zdp7dc".into());
    Some(event)
}

/// An error with a cause, its `Debug` derived.
#[derive(Debug)]
struct Layer(&'static str, Box<dyn Error + Send + Sync>);

#[derive(Debug)]
struct Cause(&'static str);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Cause {}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.1)
    }
}

fn sources() -> Layer {
    let parse = "seven".parse::<u32>().unwrap_err();
    Layer("cannot open shard", Box::new(Layer("bad header", Box::new(parse))))
}

/// As `anyhow::Error` prints itself.
struct Printed(Backtrace);

impl Printed {
    #[inline(never)]
    fn new() -> Printed {
        Printed(Backtrace::force_capture())
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot open shard 7")
    }
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = "Caused by:\n    0: bad header\n    1: invalid digit found in string";
        write!(f, "{self}\n\n{causes}\n\nStack backtrace:\n{}", self.0)
    }
}

impl Error for Printed {}

/// An error with a backtrace among its fields, its `Debug` derived.
#[derive(Debug)]
#[allow(dead_code, reason = "they are printed")]
struct Field {
    shard: u32,
    backtrace: Backtrace,
}

impl Field {
    #[inline(never)]
    fn new() -> Field {
        Field { shard: 7, backtrace: Backtrace::force_capture() }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shard 7 is damaged")
    }
}

impl Error for Field {}

#[derive(Debug)]
struct Numbered(u32);

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no peer for shard {}", self.0)
    }
}

impl Error for Numbered {}

#[inline(never)]
fn given() -> lastwords::sentry::types::Uuid {
    let backtrace = Backtrace::force_capture();
    lastwords::capture_error_with_backtrace(&Cause("given"), backtrace)
}

fn private() {
    let span = info_span!("login", user = 7, private.email = "span-secret@example.com");
    let _inside = span.enter();
    span.record("private.email", "recorded-secret@example.com");
    info!(shard = 7, private.name = "event-secret", "signed in");
    let caught = catch_unwind(|| panic!("after a private field"));
    println!("caught: {}", caught.is_err());
    // The region stays.
    std::process::abort();
}
