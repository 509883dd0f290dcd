//! Rust's own endings.

use std::panic::{catch_unwind, panic_any};

use super::{Way, in_thread, last_line};

pub const WAYS: [Way; 16] = [
    ("panic-main", main),
    ("panic-thread", thread),
    ("panic-caught", caught),
    ("panic-caught-then-killed", caught_then_killed),
    ("panic-killed", killed),
    ("panic-any", any),
    ("panic-in-panic", in_panic),
    ("panic-in-drop", in_drop),
    ("panic-in-message", in_message),
    ("panic-no-unwind", no_unwind),
    ("panic-thread-local", thread_local),
    ("later-hook", main),
    ("before-install", before_install),
    ("unsafe-precondition", unsafe_precondition),
    ("allocation", allocation),
    ("process-abort", process_abort),
];

/// The function that all of them die in.
#[inline(never)]
fn the_end(message: &str) {
    last_line();
    panic!("{message}");
}

fn main() {
    the_end("main is no more");
}

fn thread() {
    in_thread(|| the_end("a worker is no more"));
}

fn caught() {
    let _ = catch_unwind(|| the_end("nobody dies of this"));
}

fn caught_then_killed() {
    let _ = catch_unwind(|| the_end("nobody dies of this"));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    last_line();
    // SAFETY: it ends the process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    std::thread::park();
}

/// Is killed before its panic has reached `main`'s caller.
fn killed() {
    struct Killed;
    impl Drop for Killed {
        fn drop(&mut self) {
            // SAFETY: it ends the process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            std::thread::park();
        }
    }
    #[inline(never)]
    fn the_end() {
        let _killed = Killed;
        last_line();
        panic!("killed while it unwinds");
    }
    the_end();
}

fn any() {
    #[inline(never)]
    fn the_end() {
        last_line();
        panic_any(7_u32);
    }
    the_end();
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the destructor panics, too");
    }
}

/// A destructor panics while another panic unwinds: the runtime aborts.
fn in_drop() {
    #[inline(never)]
    fn the_end() {
        let _bomb = Bomb;
        last_line();
        panic!("the first of two");
    }
    the_end();
}

/// A hook of the program's own panics: the runtime aborts while the first panic is being told.
fn in_panic() {
    let ours = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        ours(info);
        panic!("the hook panics");
    }));
    the_end("told by a hook that panics");
}

/// A message that panics when it is written: the runtime aborts before any hook.
fn in_message() {
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("the message panics");
        }
    }
    #[inline(never)]
    fn the_end() {
        last_line();
        panic!("{Unspeakable}");
    }
    the_end();
}

fn no_unwind() {
    #[inline(never)]
    extern "C" fn the_end() {
        last_line();
        panic!("inside an extern C function");
    }
    the_end();
}

fn thread_local() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            the_end("a thread-local's destructor panics");
        }
    }
    thread_local! {
        static LAST: Last = const { Last };
    }
    in_thread(|| LAST.with(|_| ()));
}

/// A hook set after ours, which calls ours.
pub fn set_later_hook() {
    let ours = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        ours(info);
        eprintln!("the program's own hook was here");
    }));
}

/// A panic before anything watches.
fn before_install() {
    the_end("nobody watches yet");
}

/// A violated precondition of `unsafe` code, which the standard library checks in debug builds.
fn unsafe_precondition() {
    #[inline(never)]
    fn the_end(values: &[u8], at: usize) -> u8 {
        last_line();
        // SAFETY: none: the index is out of bounds, which is what is shown.
        unsafe { *values.get_unchecked(at) }
    }
    std::hint::black_box(the_end(&[1, 2, 3], std::hint::black_box(7)));
}

fn allocation() {
    #[inline(never)]
    fn the_end() {
        last_line();
        let layout = std::alloc::Layout::from_size_align(1 << 40, 16).expect("a layout");
        std::alloc::handle_alloc_error(layout);
    }
    the_end();
}

fn process_abort() {
    #[inline(never)]
    fn the_end() {
        last_line();
        std::process::abort();
    }
    the_end();
}
