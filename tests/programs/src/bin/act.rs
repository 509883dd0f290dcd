//! A program that does what its arguments say, for tests of a wrapper around it.

#[path = "../signals.rs"]
mod signals;

use std::io::Write;
use std::mem::zeroed;

use signals::say;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["signals"] => signals::signals(),
        ["flood", bytes] => flood(bytes.parse().expect("a number")),
        ["write-until-error"] => write_until_error(),
        ["terminal"] => terminal(),
        ["pidfd"] => say(&(own_pidfd() == std::env::var("LISTEN_PIDFDID").unwrap()).to_string()),
        ["exec-with-pidfd", program, ..] => {
            let mut command = std::process::Command::new(program);
            command.args(&words[2..]).env("LISTEN_PIDFDID", own_pidfd());
            panic!("{}", std::os::unix::process::CommandExt::exec(&mut command));
        }
        ["queue", pid, signal, value] => queue(
            pid.parse().expect("a number"),
            signal.parse().expect("a number"),
            value.parse().expect("a number"),
        ),
        _ => panic!("not known: {words:?}"),
    }
}

/// Writes bytes of all values to standard error, in pieces of all sizes.
fn flood(bytes: usize) {
    let mut state = 1u64;
    let mut block = Vec::with_capacity(bytes);
    while block.len() < bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        block.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    let mut rest = &block[..bytes];
    let mut stderr = std::io::stderr();
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let piece = (1 + (state >> 40) as usize % 20_000).min(rest.len());
        stderr.write_all(&rest[..piece]).expect("a reader");
        rest = &rest[piece..];
    }
}

/// Writes lines to standard error until that fails, and says how. (SIGPIPE is ignored by the
/// standard library.)
fn write_until_error() {
    loop {
        if let Err(error) = std::io::stderr().write_all(b"one more line\n") {
            return say(&format!("{:?}", error.kind()));
        }
    }
}

/// Says which standard streams are terminals, and the size of standard error.
fn terminal() {
    // SAFETY: `winsize` is plain numbers, and a local value.
    unsafe {
        let are: Vec<bool> = (0..3).map(|fd| libc::isatty(fd) == 1).collect();
        let mut size: libc::winsize = zeroed();
        libc::ioctl(2, libc::TIOCGWINSZ, &mut size);
        say(&format!("{are:?} {}x{}", size.ws_col, size.ws_row));
    }
}

/// The inode of a pidfd of this process.
fn own_pidfd() -> String {
    // SAFETY: the call gives a descriptor, and writes nothing.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let link = format!("/proc/self/fd/{pidfd}");
    let inode = std::fs::metadata(link).map(|file| std::os::unix::fs::MetadataExt::ino(&file));
    inode.expect("a pidfd").to_string()
}

fn queue(pid: i32, signal: i32, value: usize) {
    let value = libc::sigval { sival_ptr: value as *mut libc::c_void };
    // SAFETY: the call has no preconditions; the value is only a number.
    let sent = unsafe { libc::sigqueue(pid, signal, value) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}
