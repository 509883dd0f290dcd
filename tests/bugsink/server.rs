//! A Bugsink of the tests' own: a real server on the loopback, with a database in a temporary
//! directory.
//!
//! It is skipped, and says so, unless `LASTWORDS_BUGSINK_PYTHON` names a python that has Bugsink:
//!
//! ```text
//! python3 -m venv VENV && VENV/bin/pip install bugsink==2.6.1 gunicorn jsonschema
//! LASTWORDS_BUGSINK_PYTHON=VENV/bin/python cargo test --features cli --test bugsink
//! ```
//!
//! The server ends with the test binary, however that ends: it reads the pipe of its standard input.
//! It refuses what the public schema of events does not allow, so what arrives is valid.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::skipped;

/// How long the server may take to be ready.
const BOUND: Duration = Duration::from_secs(60);

/// How many projects it has; more tests than these in one binary need more.
const PROJECTS: u32 = 32;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bugsink/server.py");

/// The python that has Bugsink, if there is one; else says that a test is skipped.
pub fn python() -> Option<OsString> {
    let python = std::env::var_os("LASTWORDS_BUGSINK_PYTHON");
    if python.is_none() {
        skipped("LASTWORDS_BUGSINK_PYTHON names no python with bugsink");
    }
    python
}

/// A server, running unless it was stopped.
pub struct Bugsink {
    python: OsString,
    directory: PathBuf,
    port: u16,
    process: Option<Child>,
    next_project: AtomicU32,
    /// Removed with the server; the shared one, which no one drops, removes its own.
    _temporary: Option<TempDir>,
}

impl Bugsink {
    /// The one that the tests of this binary share.
    pub fn shared() -> Option<&'static Bugsink> {
        static SHARED: OnceLock<Bugsink> = OnceLock::new();
        let python = python()?;
        let start = || {
            let directory = copy_of_template(&python);
            let mut server = Bugsink::new(python, directory.keep(), None);
            server.serve(&["once"]);
            server
        };
        Some(SHARED.get_or_init(start))
    }

    /// One of the test's own, which it may stop and start again.
    pub fn start() -> Option<Bugsink> {
        let python = python()?;
        let directory = copy_of_template(&python);
        let path = directory.path().to_owned();
        let mut server = Bugsink::new(python, path, Some(directory));
        server.serve(&[]);
        Some(server)
    }

    fn new(python: OsString, directory: PathBuf, temporary: Option<TempDir>) -> Bugsink {
        let next_project = AtomicU32::new(1);
        let port = free_port();
        Bugsink { python, directory, port, process: None, next_project, _temporary: temporary }
    }

    /// Ends the server. Its port and what it stored stay.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        drop(process.stdin.take());
        process.wait().expect("a child");
    }

    /// Starts it again, on the same port and with the same data.
    pub fn restart(&mut self) {
        self.stop();
        self.serve(&[]);
    }

    fn serve(&mut self, more: &[&str]) {
        let log = fs::File::options().create(true).append(true).open(self.directory.join("log"));
        let log = log.expect("a log");
        let port = self.port.to_string();
        let process = Command::new(&self.python)
            .args([SCRIPT, "serve"])
            .arg(&self.directory)
            .arg(port)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("python can be run");
        self.process = Some(process);
        let begun = Instant::now();
        while get(self.port, "/health/ready").is_none_or(|answer| answer.status != 200) {
            let ended = self.process.as_mut().is_some_and(|p| p.try_wait().unwrap().is_some());
            assert!(!ended && begun.elapsed() < BOUND, "no server\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A project that no other test of this binary uses.
    pub fn project(&self) -> Project<'_> {
        let number = self.next_project.fetch_add(1, Ordering::Relaxed);
        assert!(number <= PROJECTS, "tests/bugsink/server.py makes no more projects");
        Project { server: self, number }
    }

    /// The projects that were given out, in order.
    pub fn projects(&self) -> Vec<Project<'_>> {
        let given = 1..self.next_project.load(Ordering::Relaxed);
        given.map(|number| Project { server: self, number }).collect()
    }

    /// What the server said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn events(&self) -> Vec<Value> {
        let output = Command::new(&self.python)
            .args([SCRIPT, "events"])
            .arg(&self.directory)
            .output()
            .expect("python can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let lines = String::from_utf8(output.stdout).expect("JSON");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Bugsink {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- bugsink\n{}---", self.log());
        }
        self.stop();
    }
}

/// A project: where a test sends, and what has arrived there.
pub struct Project<'a> {
    server: &'a Bugsink,
    number: u32,
}

/// An event that the server stored.
#[derive(Debug)]
pub struct Stored {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// The issue it belongs to.
    pub issue: String,
    /// The event as it was sent.
    pub event: Value,
}

impl Project<'_> {
    pub fn dsn(&self) -> String {
        let Project { server, number } = self;
        format!("http://1a57{number:028x}@127.0.0.1:{}/{number}", server.port)
    }

    /// The DSN with a key that the server does not know.
    pub fn dsn_with_wrong_key(&self) -> String {
        let Project { server, number } = self;
        format!("http://{:032x}@127.0.0.1:{}/{number}", 0xdead, server.port)
    }

    /// What has arrived, in the order in which it came.
    pub fn events(&self) -> Vec<Stored> {
        let all = self.server.events().into_iter();
        let ours = all.filter(|stored| stored["project"] == self.number);
        let text = |stored: &Value, key: &str| stored[key].as_str().expect("a text").to_owned();
        ours.map(|mut stored| Stored {
            id: text(&stored, "id"),
            issue: text(&stored, "issue"),
            event: stored["event"].take(),
        })
        .collect()
    }

    /// The one event that has arrived.
    #[track_caller]
    pub fn event(&self) -> Stored {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}\n{}", self.server.log());
        events.remove(0)
    }
}

/// A copy of a database that is made once and kept beside the build.
fn copy_of_template(python: &OsString) -> TempDir {
    let template = template(python);
    let copy = tempfile::Builder::new().prefix("bugsink-").tempdir().expect("a directory");
    for file in fs::read_dir(template).expect("the template") {
        let file = file.expect("an entry");
        fs::copy(file.path(), copy.path().join(file.file_name())).expect("a copy");
    }
    copy
}

fn template(python: &OsString) -> PathBuf {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let mut hasher = DefaultHasher::new();
        fs::read(SCRIPT).expect("the script").hash(&mut hasher);
        let name = format!("bugsink-{:016x}", hasher.finish());
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = beside.join(name);
        if !path.exists() {
            let made = tempfile::tempdir_in(beside).expect("a directory");
            let mut prepare = Command::new(python);
            prepare.args([SCRIPT, "prepare"]).arg(made.path());
            let output = prepare.output().expect("python can be run");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{prepare:?}\n{said}");
            // Another binary may have been quicker; its copy is as good.
            let _ = fs::rename(made.path(), &path);
        }
        path
    };
    TEMPLATE.get_or_init(make).clone()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A server's answer, as far as the tests look at it.
#[derive(Debug)]
struct Answered {
    status: u16,
    body: String,
}

fn get(port: u16, path: &str) -> Option<Answered> {
    exchange(port, format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())
}

fn exchange(port: u16, head: &[u8]) -> Option<Answered> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    stream.write_all(head).ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned());
    Some(Answered { status, body })
}
