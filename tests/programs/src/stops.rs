//! Signals by which a program is asked to stop, or that end it though it has not crashed.

use std::ffi::{c_int, c_void};
use std::io::Read;
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const SCENARIOS: [crate::Scenario; 7] = [
    ("stoppable", wait),
    ("alarm", alarm),
    ("stop-handled", || handled(libc::SIGTERM)),
    ("user-handled", || handled(libc::SIGUSR1)),
    ("stop-in-child", stop_in_child),
    ("stop-as-init", stop_as_init),
    ("wait-as-init", wait_as_init),
];

fn wait() {
    tracing::info!("the last line");
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Does nothing about what it is asked.
fn wait_as_init() {
    tracing::info!("the last line");
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    println!("still here");
    loop {
        std::thread::park();
    }
}

fn alarm() {
    tracing::info!("the last line");
    // SAFETY: it sends a signal, at once.
    unsafe { libc::raise(libc::SIGALRM) };
    println!("nobody stopped it");
}

/// The handler that was there before the program's own.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// As crates for signals do: a handler that was there before is called, a default is not.
extern "C" fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let next = NEXT.load(Ordering::Relaxed);
    if next != libc::SIG_DFL {
        // SAFETY: only lastwords has set one for this signal, with `SA_SIGINFO`.
        let next = unsafe {
            std::mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(
                next,
            )
        };
        next(signal, info, context);
    }
}

/// A program with a handler of its own, set after lastwords', survives the signal.
fn handled(signal: c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`, and the handler does only what one may.
    unsafe {
        let (mut action, mut before): (libc::sigaction, libc::sigaction) = (zeroed(), zeroed());
        action.sa_sigaction = chain as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(signal, ptr::null(), &raw mut before);
        NEXT.store(before.sa_sigaction, Ordering::Relaxed);
        libc::sigaction(signal, &raw const action, ptr::null_mut());
        libc::raise(signal);
    }
    println!("went on");
    // SAFETY: SIGKILL leaves the region to be read.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

/// What ends any process but PID 1.
fn stop_as_init() {
    tracing::info!("the last line");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1] {
        // SAFETY: it is a signal.
        unsafe { libc::raise(signal) };
    }
    println!("went on");
}

/// A child that is asked to stop before it has recorded anything.
fn stop_in_child() {
    tracing::info!("parent before");
    // SAFETY: the other threads are asleep.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: it sends a signal, at once.
        unsafe { libc::raise(libc::SIGTERM) };
        std::process::exit(9);
    }
    let mut status = 0;
    // SAFETY: it is a child of this process, and `status` outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    println!("child: {} {}", libc::WIFSIGNALED(status), libc::WTERMSIG(status));
    // SAFETY: SIGKILL leaves the region to be read.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}
