//! A program that watches itself, or does not, and does what its environment says; its arguments are
//! free. With `WATCHED=plain` it has never heard of lastwords.
//!
//! `WATCHED=plain|hook|wrap|builder-wrap|monitor|early-monitor` says who watches, `DO` what it does,
//! `WAIT=1` that it reads a line of its input before anything else, and `THREADS=1` that it starts a
//! thread before.

#[path = "../watched/beside.rs"]
mod beside;
#[path = "../watched/life.rs"]
mod life;
#[path = "../watched/nested.rs"]
mod nested;
#[path = "../signals.rs"]
mod signals;
#[path = "../watched/tell.rs"]
mod tell;
#[path = "../watched/ways.rs"]
mod ways;

use lastwords::{SuperviseMode, Supervision};
use tracing_subscriber::prelude::*;

/// Something to do.
pub type Act = (&'static str, fn());

const ACTS: [&[Act]; 5] = [&tell::ACTS, &ways::ACTS, &beside::ACTS, &nested::ACTS, &life::ACTS];

fn main() {
    if is_set("WAIT") {
        read_line();
    }
    if is_set("THREADS") {
        std::thread::spawn(std::thread::park);
    }
    beside::block_child_signal();
    watch(&variable("WATCHED"));
    let act = variable("DO");
    let Some((_, act)) = ACTS.into_iter().flatten().find(|(name, _)| *name == act) else {
        panic!("nothing is named {act:?}");
    };
    act();
}

/// The value of a variable, empty where it is not set.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Reads a line of standard input and not a byte more: what runs next reads the rest.
pub fn read_line() -> String {
    let mut line = Vec::new();
    let mut byte = 0_u8;
    // SAFETY: one byte is read into a local value.
    while unsafe { libc::read(0, (&raw mut byte).cast(), 1) } == 1 && byte != b'\n' {
        line.push(byte);
    }
    String::from_utf8(line).expect("a text")
}

/// Has itself watched.
pub fn watch(how: &str) {
    let mode = match how {
        "plain" => return,
        "hook" => None,
        "wrap" => {
            lastwords::supervise();
            None
        }
        "early-monitor" => {
            early_monitor();
            None
        }
        "builder-wrap" => Some(SuperviseMode::Wrap),
        "monitor" => Some(SuperviseMode::Monitor),
        other => panic!("nobody watches by {other:?}"),
    };
    let mut builder = lastwords::builder().release("watched@1.0.0").filter("trace");
    if let Some(mode) = mode {
        builder = builder.supervise(mode);
    }
    let recorder = builder.install().expect("nothing is wrong with these settings");
    tracing_subscriber::registry().with(recorder.layer()).init();
    tracing::info!("the first line");
}

/// As an operator has it who sets the variable for a program that calls `supervise`.
fn early_monitor() {
    const NAME: &str = "LASTWORDS_SUPERVISE";
    // SAFETY: no other thread reads the environment; with `THREADS=1` there is one that only sleeps.
    unsafe { std::env::set_var(NAME, "monitor") };
    lastwords::supervise();
    // SAFETY: as above; what this program starts is not to find it.
    unsafe { std::env::remove_var(NAME) };
}

/// The process beside this one.
pub fn monitor() -> Option<u32> {
    match lastwords::supervise() {
        Supervision::Beside { monitor } => Some(monitor),
        _ => None,
    }
}
