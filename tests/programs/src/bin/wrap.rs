//! The wrapper alone: runs a program with a watcher that only takes down what it is told.
//!
//! `wrap [--group] [--pty MODE] [--rewrite FROM:TO]... [--set NAME=VALUE]... [--log FILE]
//! [--keep FD] [--fault] -- PROGRAM [ARGUMENT]...`

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use lastwords::detect::Ending;
use lastwords::supervise::{Command, Watcher, exit_like, run};

/// Writes to the log what it is told.
struct Log {
    file: Option<File>,
    bytes: usize,
    quiet_at: Option<Instant>,
    /// Whether it has a fault, once standard error is quiet.
    fault: bool,
}

impl Log {
    fn say(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

impl Watcher for Log {
    fn started(&mut self, pid: u32) {
        self.say(&format!("started {pid}"));
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.quiet_at = self.file.is_some().then(|| Instant::now() + Duration::from_millis(20));
    }

    fn next_wake(&self) -> Option<Instant> {
        self.quiet_at
    }

    fn wake(&mut self) {
        self.quiet_at = None;
        if self.fault {
            // SAFETY: none: nothing is mapped there. This is how the tests see a wrapper crash.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(0) };
        }
        self.say(&format!("quiet after {}", self.bytes));
    }

    fn stderr_ended(&mut self) {
        self.say(&format!("stderr ended after {}", self.bytes));
    }

    fn ended(&mut self, ending: Ending) {
        self.say(&format!("ended {ending:?}"));
    }
}

fn main() {
    let mut command = Command::default();
    let mut log = Log { file: None, bytes: 0, quiet_at: None, fault: false };
    let mut arguments = std::env::args_os().skip(1);
    while let Some(option) = arguments.next() {
        let mut value = || {
            let value = arguments.next().and_then(|value| value.into_string().ok());
            value.unwrap_or_else(|| refuse(&"a value is missing"))
        };
        match option.to_str().unwrap_or_default() {
            "--" => break,
            "--group" => command.group = true,
            "--pty" => command.pty = value().parse().unwrap_or_else(|error| refuse(&error)),
            "--rewrite" => {
                command.rewrites.add(value().parse().unwrap_or_else(|error| refuse(&error)));
            }
            "--set" => {
                let pair = value();
                let (name, value) = pair.split_once('=').expect("NAME=VALUE");
                command.variables.push((name.into(), value.into()));
            }
            "--log" => log.file = Some(File::create(value()).expect("a file to write")),
            "--fault" => log.fault = true,
            "--keep" => command.keep.push(value().parse().expect("a number")),
            other => refuse(&format!("no option {other:?}")),
        }
    }
    let mut words: Vec<OsString> = arguments.collect();
    if words.is_empty() {
        refuse(&"no program");
    }
    command.program = words.remove(0);
    command.arguments = words;
    match run(&command, &mut log) {
        Ok(ended) => {
            log.say(&format!("asked {:?}", ended.asked_to_stop));
            log.say(&format!("lost {}", ended.stderr_lost));
            log.say(&format!("resident {}", ended.usage.max_resident));
            exit_like(ended.ending)
        }
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("wrap: {error}{cause}");
            std::process::exit(error.exit_code())
        }
    }
}

fn refuse(why: &dyn std::fmt::Display) -> ! {
    eprintln!("wrap: {why}");
    std::process::exit(64)
}
