//! Ways to end.

use std::hint::black_box;

use super::{Act, variable};

pub const ACTS: [Act; 4] =
    [("exit", exit), ("die", die), ("raise", raise), ("stop-slowly", stop_slowly)];

/// With the status that `STATUS` says.
fn exit() {
    tracing::info!("the last line");
    std::process::exit(variable("STATUS").parse().expect("a number"));
}

/// In the way that `WAY` says.
fn die() {
    let way = variable("WAY");
    by(&way);
}

/// Ends the process in a way that is a crash.
pub fn by(way: &str) {
    tracing::info!("the last line");
    match way {
        "panic" => panic!("it panics"),
        "panic-in-thread" => drop(std::thread::spawn(|| panic!("a thread panics")).join()),
        "panic-unheard-by-us" => {
            drop(std::panic::take_hook());
            cannot_unwind()
        }
        "panic-and-kill" => {
            let _killed = KilledIn;
            panic!("it panics")
        }
        "abort-in-hook" => {
            let ours = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                ours(info);
                std::process::abort();
            }));
            panic!("it panics")
        }
        "abort" => std::process::abort(),
        // SAFETY: none: nothing is mapped there. This is a way to die.
        "segv" => unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(0) },
        "overflow" => println!("{}", overflow(1)),
        "allocation" => {
            let layout = std::alloc::Layout::from_size_align(1 << 62, 8).expect("a layout");
            std::alloc::handle_alloc_error(layout)
        }
        "kill" => kill(libc::SIGKILL),
        "term" => kill(libc::SIGTERM),
        "exit" => std::process::exit(0),
        other => std::process::exit(other.parse().expect("a way to die, or a status")),
    }
}

/// Is killed while a panic unwinds.
struct KilledIn;

impl Drop for KilledIn {
    fn drop(&mut self) {
        kill(libc::SIGKILL);
    }
}

/// Takes a SIGTERM by a handler of its own, and does not end for it.
fn stop_slowly() {
    extern "C" fn on_term(_: libc::c_int) {
        // SAFETY: the bytes are constant, and `write` may be called in a handler.
        unsafe { libc::write(1, c"asked\n".as_ptr().cast(), 6) };
    }
    // SAFETY: the handler does nothing that one must not do.
    unsafe { libc::signal(libc::SIGTERM, on_term as *const () as usize) };
    tracing::info!("the last line");
    println!("ready");
    loop {
        std::thread::park();
    }
}

#[inline(never)]
extern "C" fn cannot_unwind() {
    panic!("it cannot unwind")
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == 0 { 0 } else { overflow(black_box(depth + 1)) + frame[5] }
}

/// Gets the signal that `SIGNAL` says, at its default where `DEFAULT` is set, until it is dead.
fn raise() {
    let signal = variable("SIGNAL").parse().expect("a number");
    tracing::info!("the last line");
    if std::env::var_os("DEFAULT").is_some() {
        // SAFETY: the default is a disposition.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // The standard library's own handler takes the first SIGSEGV for a fault that comes again.
    (0..2).for_each(|_| kill(signal));
}

fn kill(signal: i32) {
    // SAFETY: the calls have no preconditions.
    unsafe { libc::kill(libc::getpid(), signal) };
}
