//! Tells what the program was given: compared with what it is given when nobody watches.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::Act;
use super::signals::{say, signals};

pub const ACTS: [Act; 4] =
    [("tell", tell), ("signals", signals), ("wait", wait), ("output", output)];

fn tell() {
    let arguments: Vec<_> = std::env::args_os().collect();
    println!("arguments {arguments:?}");
    println!("directory {:?}", std::env::current_dir().ok());
    println!("name {:?}", text("/proc/self/comm"));
    environment();
    descriptors();
    status();
    for name in ["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"] {
        let is_own = std::env::var(name).is_ok_and(|pid| pid == std::process::id().to_string());
        println!("{name} is this process: {is_own}");
    }
    println!("{}", text("/proc/self/limits"));
    // SAFETY: the calls have no preconditions.
    unsafe {
        println!("nice {}", libc::getpriority(libc::PRIO_PROCESS, 0));
        println!("mask {:o}", libc::umask(0));
        println!("group {}", libc::getpgrp());
        println!("dumpable {}", libc::prctl(libc::PR_GET_DUMPABLE));
    }
}

fn text(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// As `exec` gave it, entries that are no `NAME=VALUE` among it; process ids are told apart.
fn environment() {
    let bytes = fs::read("/proc/self/environ").unwrap_or_default();
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    let mut entries: Vec<_> = entries.map(std::ffi::OsStr::from_bytes).collect();
    entries.sort_unstable();
    for entry in entries.into_iter().filter(|entry| {
        let name = entry.as_bytes();
        !["LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="]
            .iter()
            .any(|id| name.starts_with(id.as_bytes()))
    }) {
        println!("variable {entry:?}");
    }
}

/// The inherited descriptors: what this process has opened itself is close-on-exec.
fn descriptors() {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").expect("a list of descriptors").flatten() {
        let number: i32 = entry.file_name().to_str().expect("a number").parse().expect("a number");
        // SAFETY: asking for flags changes nothing.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags != -1 && flags & libc::FD_CLOEXEC == 0 {
            let link = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
            // One pipe is as good as another.
            let kind = link.split_once(":[").map_or(link.clone(), |(kind, _)| kind.to_owned());
            all.insert(number, kind);
        }
    }
    println!("descriptors {all:?}");
}

/// Blocked and ignored signals, but for the two that the C library handles once there are threads.
fn status() {
    /// The signals 32 and 33.
    const OF_THREADS: u64 = 3 << 31;
    for line in text("/proc/self/status").lines() {
        let (name, value) = line.split_once(":\t").unwrap_or_default();
        match name {
            "SigBlk" | "SigIgn" => {
                let signals = u64::from_str_radix(value, 16).expect("a number");
                println!("{name} {:x}", signals & !OF_THREADS);
            }
            "Groups" | "NoNewPrivs" => println!("{line}"),
            _ => {}
        }
    }
}

/// Lives until its input ends.
fn wait() {
    say("ready");
    while !super::read_line().is_empty() {}
}

/// Bytes of all values on both streams, in pieces, the last of them no whole line.
fn output() {
    use std::io::Write;
    let all: Vec<u8> = (0..=255).collect();
    for round in 0..200 {
        let piece = &all[..=round];
        std::io::stdout()
            .write_all(piece)
            .and_then(|()| std::io::stdout().flush())
            .expect("a reader");
        std::io::stderr().write_all(piece).expect("a reader");
    }
}
