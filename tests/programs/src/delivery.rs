//! Programs that live on after something was reported.

use std::io::Read;

pub(crate) const SCENARIOS: [crate::Scenario; 8] = [
    ("thread-then-wait", thread_then_wait),
    ("caught-then-wait", caught_then_wait),
    ("slow-double-panic", slow_double_panic),
    ("tags-file", tags_file),
    ("capture", capture),
    ("killed", killed),
    ("capture-then-panic", capture_then_panic),
    ("again-and-again", again_and_again),
];

fn wait() {
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn thread_then_wait() {
    let died = std::thread::spawn(|| panic!("a worker is no more")).join().is_err();
    println!("died: {died}");
    wait();
}

/// It is fatal as long as nobody knows that it was caught.
fn caught_then_wait() {
    println!("caught: {}", std::panic::catch_unwind(|| panic!("caught on main")).is_err());
    wait();
}

/// Unwinds for as long as its input goes on, and panics again then: the runtime aborts.
fn slow_double_panic() {
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            wait();
            panic!("the destructor panics, too");
        }
    }
    let _slow = Slow;
    panic!("main unwinds");
}

/// Dies in a way that only a monitor notices.
fn killed() {
    // SAFETY: a signal to this process itself.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

/// Reports an error, and ends at once.
fn capture() {
    let error = "seven".parse::<u32>().expect_err("no number");
    lastwords::capture_error(&error);
}

fn capture_then_panic() {
    capture();
    panic!("for want of a number");
}

/// Loses a thread, and another one, until its input ends.
fn again_and_again() {
    std::thread::spawn(|| {
        loop {
            let _ = std::thread::spawn(|| panic!("once more")).join();
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    });
    wait();
}

/// Learns a tag after its start, and writes it where any program would.
fn tags_file() {
    use std::io::Write;
    if let Some(path) = std::env::var_os("LASTWORDS_TAGS_FILE") {
        let mut file =
            std::fs::File::options().append(true).open(path).expect("it was made for us");
        file.write_all(b"cluster=eu-7\n").expect("there is room");
    }
    panic!("with a tag");
}
