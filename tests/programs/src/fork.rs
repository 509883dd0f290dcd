//! A child forked without exec.

use std::io::Write;

pub(crate) const SCENARIOS: [crate::Scenario; 5] = [
    ("fork", child_panics),
    ("fork-twice", two_children_panic),
    ("fork-silent", child_says_nothing),
    ("panic-then-fork", panic_then_fork),
    ("fork-in-thread", thread_forks),
];

/// Runs `child` in a forked child, and gives its wait status.
fn in_child(child: impl FnOnce()) -> i32 {
    let _ = std::io::stdout().flush();
    // SAFETY: the other threads of this program are asleep, so that the child, which has only this
    // one, may go on as if it had been the only one all along.
    match unsafe { libc::fork() } {
        -1 => panic!("cannot fork"),
        0 => {
            child();
            std::process::exit(0);
        }
        pid => {
            let mut status = 0;
            // SAFETY: `pid` is a child of this process, and `status` outlives the call.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            status
        }
    }
}

fn child_panics() {
    lastwords::set_tag("cid", "inherited");
    tracing::info!("parent before");
    let status = in_child(|| {
        tracing::info!("child");
        let died = std::panic::catch_unwind(|| panic!("the child panics")).is_err();
        println!("died: {died}");
    });
    println!("child: {status}");
    tracing::info!("parent after");
    let _ = std::thread::spawn(|| panic!("the parent panics")).join();
}

/// Two children, one after the other, of the same parent.
fn two_children_panic() {
    for number in 1..=2 {
        let status = in_child(|| {
            let died = std::panic::catch_unwind(|| panic!("child {number} panics")).is_err();
            println!("died: {died}");
        });
        println!("child: {status}");
    }
}

/// A child that ends without exit handlers, of a parent that had a panic before.
fn panic_then_fork() {
    let _ = std::panic::catch_unwind(|| panic!("in the parent"));
    in_child(|| {
        let _ = std::panic::catch_unwind(|| panic!("in the child"));
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) };
    });
}

/// A child that only exits must leave what is the parent's.
fn child_says_nothing() {
    tracing::info!("parent before");
    println!("child: {}", in_child(|| {}));
    tracing::info!("parent after");
    println!("regions: {}", regions());
    let _ = std::thread::spawn(|| panic!("the parent panics")).join();
}

fn regions() -> usize {
    let Some(state) = std::env::var_os("LASTWORDS_STATE_DIR") else { return 0 };
    std::path::PathBuf::from(state).join("regions").read_dir().map_or(0, Iterator::count)
}

/// The thread that forks is the child's main thread; its panic ends the child with a status.
fn thread_forks() {
    let fork = || {
        in_child(|| {
            let died = std::panic::catch_unwind(|| panic!("a forked thread panics")).is_err();
            println!("died: {died}");
        })
    };
    let status = std::thread::Builder::new().name("forker".to_owned()).spawn(fork);
    println!("child: {}", status.expect("a thread").join().expect("no panic"));
}
