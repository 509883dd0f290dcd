//! Ends that somebody wanted, and kills.

use std::hint::black_box;

use super::{Way, last_line};

pub const WAYS: [Way; 14] = [
    ("wait", wait),
    ("oom", oom),
    ("killed", killed),
    ("return", last_line),
    ("exit-0", || exit(0)),
    ("exit-3", || exit(3)),
    ("exit-from-thread", exit_from_thread),
    ("_exit", leave),
    ("quick-exit", quick_exit),
    ("term", || raise(libc::SIGTERM)),
    ("int", || raise(libc::SIGINT)),
    ("hup", || raise(libc::SIGHUP)),
    ("alarm", || raise(libc::SIGALRM)),
    ("term-handled", term_handled),
];

/// Lives until somebody does something about it.
fn wait() {
    last_line();
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// Takes memory until it is killed.
fn oom() {
    #[inline(never)]
    fn the_end() {
        last_line();
        let mut all = Vec::new();
        loop {
            all.push(black_box(vec![1_u8; 1 << 20]));
        }
    }
    the_end();
}

fn killed() {
    #[inline(never)]
    fn the_end() {
        last_line();
        raise(libc::SIGKILL);
    }
    the_end();
}

fn raise(signal: i32) {
    if signal != libc::SIGKILL {
        last_line();
    }
    // SAFETY: the calls have no preconditions.
    unsafe { libc::kill(libc::getpid(), signal) };
    std::thread::sleep(std::time::Duration::from_secs(20));
}

fn exit(status: i32) {
    last_line();
    std::process::exit(status);
}

fn exit_from_thread() {
    super::in_thread(|| exit(0));
}

fn leave() {
    last_line();
    // SAFETY: it ends the process.
    unsafe { libc::_exit(0) };
}

fn quick_exit() {
    unsafe extern "C" {
        fn quick_exit(status: i32) -> !;
    }
    last_line();
    // SAFETY: it ends the process.
    unsafe { quick_exit(0) };
}

/// A program that ends well when it is asked to.
fn term_handled() {
    static ASKED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    extern "C" fn note(_: i32) {
        ASKED.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    // SAFETY: the handler only stores an atomic.
    unsafe { libc::signal(libc::SIGTERM, note as *const () as libc::sighandler_t) };
    last_line();
    // SAFETY: the call has no preconditions.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    while !ASKED.load(std::sync::atomic::Ordering::Relaxed) {
        std::thread::yield_now();
    }
}
