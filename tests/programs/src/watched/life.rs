//! Processes that live otherwise than most: they fork and go on, leave their parents, close what they
//! have, or end while threads run.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::signals::say;
use super::{Act, variable, ways};

pub const ACTS: [Act; 7] = [
    ("orphan", orphan),
    ("fork", fork_once),
    ("daemon", daemon),
    ("close", close_all),
    ("close-above", close_above),
    ("exit-while-logging", exit_while_logging),
    ("main-thread-ends", main_thread_ends),
];

/// Forks; `true` in the child.
fn fork() -> (bool, i32) {
    let _ = std::io::stdout().flush();
    // SAFETY: the other threads of this program are asleep, so that the child, which has only this
    // one, may go on as if it had been the only one all along.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1, "cannot fork");
    (pid == 0, pid)
}

/// A child that dies by `WAY`, after an event of its own where `FIRST` is set; the parent goes on.
fn fork_once() {
    let (is_child, pid) = fork();
    if is_child {
        if std::env::var_os("FIRST").is_some() {
            tracing::info!("a line of the child");
            ways::by(&variable("WAY"));
        } else {
            die_without_a_word(&variable("WAY"));
        }
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `pid` is a child of this process, and `status` outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    println!("the child {pid} ended with {status}");
    tracing::info!("the parent goes on");
    say("the parent goes on");
}

/// As [`ways::by`], without an event before.
fn die_without_a_word(way: &str) {
    match way {
        "panic" => panic!("the child panics"),
        // SAFETY: none: nothing is mapped there. This is a way to die.
        "segv" => unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(0) },
        // SAFETY: the calls have no preconditions.
        "kill" => assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }, 0),
        "exit" => {}
        other => panic!("no way {other:?}"),
    }
}

/// Leaves its parent, session and descriptors, as daemons do that know no better, and then dies.
fn daemon() {
    tracing::info!("becomes a daemon");
    if !fork().0 {
        std::process::exit(0);
    }
    // SAFETY: the call has no preconditions.
    unsafe { libc::setsid() };
    if !fork().0 {
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) };
    }
    close_from(0);
    let _ = std::env::set_current_dir("/");
    tracing::info!("is a daemon");
    ways::by(&variable("WAY"));
}

/// Closes every descriptor, the standard ones too, and dies.
fn close_all() {
    close_from(0);
    tracing::info!("has closed all");
    ways::by(&variable("WAY"));
}

/// Closes every descriptor but the standard ones, and dies.
fn close_above() {
    close_from(3);
    tracing::info!("has closed all above");
    ways::by(&variable("WAY"));
}

fn close_from(first: u32) {
    // SAFETY: what owns a descriptor in this process is not used any more, or is what is tested.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// `exit` in a thread while others log.
fn exit_while_logging() {
    let log = || {
        for number in 0_u64.. {
            tracing::info!(number, "a line of a thread");
        }
    };
    for _ in 0..3 {
        std::thread::spawn(log);
    }
    let exits = || {
        for number in 0..100 {
            tracing::info!(number, "a line of the thread that exits");
        }
        std::process::exit(7);
    };
    let _ = std::thread::spawn(exits).join();
    unreachable!("the process has exited");
}

/// The main thread ends, the others go on.
fn main_thread_ends() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    let goes_on = || {
        STARTED.store(true, Ordering::Release);
        // The state of the main thread, as the kernel tells it.
        let stat = || std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        while !stat().contains(") Z ") {
            std::thread::yield_now();
        }
        tracing::info!("a line without a main thread");
        say("ready");
        super::read_line();
        std::process::exit(0);
    };
    std::thread::spawn(goes_on);
    while !STARTED.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    // Not by `pthread_exit`, which unwinds, and the standard library's frames forbid that.
    // SAFETY: it ends this thread alone, which has nothing that others use.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Leaves an orphan to process 1, and waits until that has reaped it; then dies by `WAY`.
fn orphan() {
    println!("process {} of {}", std::process::id(), std::os::unix::process::parent_id());
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", "sleep 0.01 >/dev/null & echo $!"]).output().expect("a shell");
    let orphan = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    while std::path::Path::new("/proc").join(&orphan).exists() {
        std::thread::yield_now();
    }
    say("reaped");
    ways::by(&variable("WAY"));
}
