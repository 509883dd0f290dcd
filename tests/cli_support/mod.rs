//! What the tests of the command share: a spool of crafted reports, and a way to run the command
//! that never hangs.
#![allow(dead_code, reason = "each file of tests uses its own part")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

pub const INGEST: &str = "3f2a91bc0d1e4f5aa1b2c3d4e5f60718";

pub const WALK: &str = "77aa00000000000000000000000000ff";

/// A state directory whose crashes happened a little more than two hours ago.
pub struct Spool {
    pub dir: TempDir,
    pub crash: OffsetDateTime,
}

impl Spool {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for state in ["waiting", "sent"] {
            fs::create_dir(dir.path().join(state)).unwrap();
        }
        let second = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
        Self { dir, crash: second - Duration::from_secs(2 * 3600 + 300) }
    }

    /// One report that waits and one that was sent.
    pub fn with_two() -> Self {
        let spool = Self::new();
        spool.put("waiting", INGEST, &ingest(&spool).to_string());
        spool.put("sent", WALK, &walk(&spool).to_string());
        spool
    }

    pub fn file(&self, state: &str, id: &str) -> PathBuf {
        self.dir.path().join(state).join(format!("{id}.envelope"))
    }

    pub fn put(&self, state: &str, id: &str, event: &str) {
        let length = event.len();
        let envelope = format!(
            "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n\
             {{\"type\":\"attachment\",\"length\":3,\"filename\":\"stderr.txt\"}}\nend\n"
        );
        fs::write(self.file(state, id), envelope).unwrap();
    }

    /// Seconds since 1970, so many before the crash.
    pub fn before(&self, seconds: f64) -> f64 {
        self.crash.unix_timestamp() as f64 + 0.5 - seconds
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = lastwords();
        command.args(args).env("LASTWORDS_STATE_DIR", self.dir.path()).current_dir(self.dir.path());
        command
    }

    /// Runs it, expects success and nothing on stderr, and returns stdout with the times replaced.
    pub fn prints(&self, args: &[&str], columns: &str) -> String {
        let output = run(self.command(args).env("COLUMNS", columns));
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(stderr(&output), "");
        self.pinned(&stdout(&output))
    }

    pub fn pinned(&self, text: &str) -> String {
        let mut text = text.replace(self.dir.path().to_str().unwrap(), "[state]");
        for (days, name) in [(0, "YYYY-MM-DD"), (3, "YYYY-MM-CC")] {
            let crash = self.crash - time::Duration::days(days);
            let (hour, minute, second) = crash.to_hms();
            for between in [' ', 'T'] {
                let at = format!("{}{between}{hour:02}:{minute:02}:{second:02}", crash.date());
                text = text.replace(&at, &format!("{name}{between}hh:mm:ss"));
            }
        }
        text
    }
}

pub fn lastwords() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastwords"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs `command` to its end, which must come soon: nothing here may wait for anything.
pub fn run(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{command:?} still runs after 20 s");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut stderr = Vec::new();
    err.read_to_end(&mut stderr).unwrap();
    Output { status, stdout: reader.join().unwrap(), stderr }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn told(output: &Output) -> String {
    format!("{}\nstdout:\n{}\nstderr:\n{}", output.status, stdout(output), stderr(output))
}

pub fn frame(function: &str, file: &str, line: u64, in_app: bool) -> Value {
    let file = (!file.is_empty()).then_some(file);
    json!({"function": function, "filename": file, "lineno": line, "colno": 9, "in_app": in_app})
}

/// A Rust program whose guard panicked again while it unwound, with its source file.
pub fn ingest(spool: &Spool) -> Value {
    let source = spool.dir.path().join("ingest.rs");
    let lines: Vec<_> = (1..=9).map(|n| format!("\tlet line_{n} = columns[{n}];")).collect();
    fs::write(&source, lines.join("\n")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options().append(true).open(&source).unwrap().set_modified(long_ago).unwrap();

    let mut parse = frame("alpha::ingest::parse_batch", "src/ingest.rs", 7, true);
    parse["abs_path"] = json!(source);
    let mut run = frame("alpha::ingest::run", "src/ingest.rs", 3, true);
    run["abs_path"] = json!(source);
    let frames = [
        frame("__libc_start_main", "", 0, false),
        frame("std::rt::lang_start", "library/std/src/rt.rs", 210, false),
        frame("alpha::main", "src/main.rs", 31, true),
        frame("tokio::runtime::block_on", "tokio-1.40.0/src/rt.rs", 331, false),
        frame("hyper::server::serve", "hyper-1.4.0/src/server.rs", 77, false),
        run,
        parse,
        frame("core::panicking::panic_bounds_check", "library/core/src/panicking.rs", 271, false),
    ];
    let mut unwinding = frames[..5].to_vec();
    unwinding.push(frame("<alpha::Guard as core::ops::Drop>::drop", "src/guard.rs", 19, true));
    let panic = |value: &str, frames: &[Value]| {
        json!({"type": "panic", "value": value, "thread_id": 4711, "mechanism": {"type": "panic"},
               "stacktrace": {"frames": frames}})
    };
    json!({
        "event_id": INGEST, "level": "fatal", "platform": "native",
        "timestamp": spool.before(0.0), "release": "alpha@24.1.0", "environment": "prod-oss",
        "server_name": "host-7", "tags": {"dgraph": "alpha", "cid": "ab12"},
        "exception": {"values": [
            panic("dropped twice", &unwinding),
            panic("index out of bounds: the len is 7 but the index is 7", &frames),
        ]},
        "threads": {"values": [{"id": 4711, "name": "ingest", "crashed": true}]},
        "breadcrumbs": {"values": breadcrumbs(spool)},
        "contexts": {
            "os": {"name": "Linux", "version": "6.8.0"},
            "device": {"arch": "x86_64"},
            "runtime": {"name": "rust"},
            "process": {"type": "process", "pid": 4242, "executable": "/usr/bin/alpha",
                        "uptime_seconds": 11_544.2, "peak_memory_bytes": 1_288_490_188},
            "lastwords": {"breadcrumbs_overwritten": 312, "breadcrumbs_torn": 1, "durable": true},
        },
    })
}

pub fn breadcrumbs(spool: &Spool) -> Value {
    let crumb = |before: f64, level: &str, target: &str, message: &str, data: Value| {
        json!({"timestamp": spool.before(before), "level": level, "category": target,
               "message": message, "data": data})
    };
    let spans = json!([{"name": "request", "id": 9}, {"name": "parse"}]);
    json!([
        crumb(185.0, "info", "alpha", "listening", json!({"thread": "main", "addr": "[::]:7080"})),
        crumb(
            1.204,
            "info",
            "alpha::ingest",
            "batch begins",
            json!({"thread": "ingest", "span": "request:parse", "spans": spans, "rows": 3})
        ),
        crumb(
            0.31,
            "warning",
            "alpha::ingest",
            "short row",
            json!({"thread": "ingest", "span": "request:parse", "spans": spans, "cut": true,
                   "query": "SELECT 1"})
        ),
        crumb(0.002, "error", "hyper::proto::h1::role", "gave\nup", json!({"thread": "ingest"})),
        crumb(-0.003, "debug", "alpha", "unwound", json!({"thread": "ingest"})),
    ])
}

/// A Go program that recursed and died three days earlier, on a message of several lines.
pub fn walk(spool: &Spool) -> Value {
    let frame = |function: &str, line: u64| {
        json!({"function": function, "module": "main", "filename": "walk.go",
               "abs_path": "/src/walk.go", "lineno": line, "in_app": true})
    };
    let mut frames = vec![frame("main", 9)];
    frames.extend((0..60).map(|_| frame("walk", 77)));
    let other = json!({"frames": [frame("poll", 5)]});
    json!({
        "level": "fatal", "platform": "go", "timestamp": spool.before(3.0 * 86_400.0),
        "exception": [{"type": "runtime error", "thread_id": 1,
            "value": "nil pointer dereference\n[signal SIGSEGV: code=0x1 addr=0x0]",
            "stacktrace": {"frames": frames}}],
        "threads": [{"id": 1, "name": "goroutine 1", "crashed": true},
            {"id": 7, "name": "goroutine 7", "state": "chan receive", "stacktrace": other}],
    })
}
