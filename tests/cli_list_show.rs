//! `lastwords list` and `lastwords show`, run as a user runs them: on reports in a directory, with
//! the streams and the exit code looked at.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

const INGEST: &str = "3f2a91bc0d1e4f5aa1b2c3d4e5f60718";
const WALK: &str = "77aa00000000000000000000000000ff";

/// A state directory whose crashes happened a little more than two hours ago.
struct Spool {
    dir: TempDir,
    crash: OffsetDateTime,
}

impl Spool {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for state in ["waiting", "sent"] {
            fs::create_dir(dir.path().join(state)).unwrap();
        }
        let second = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
        Self { dir, crash: second - Duration::from_secs(2 * 3600 + 300) }
    }

    /// One report that waits and one that was sent.
    fn with_two() -> Self {
        let spool = Self::new();
        spool.put("waiting", INGEST, &ingest(&spool).to_string());
        spool.put("sent", WALK, &walk(&spool).to_string());
        spool
    }

    fn file(&self, state: &str, id: &str) -> PathBuf {
        self.dir.path().join(state).join(format!("{id}.envelope"))
    }

    fn put(&self, state: &str, id: &str, event: &str) {
        let length = event.len();
        let envelope = format!(
            "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n\
             {{\"type\":\"attachment\",\"length\":3,\"filename\":\"stderr.txt\"}}\nend\n"
        );
        fs::write(self.file(state, id), envelope).unwrap();
    }

    /// Seconds since 1970, so many before the crash.
    fn before(&self, seconds: f64) -> f64 {
        self.crash.unix_timestamp() as f64 + 0.5 - seconds
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = lastwords();
        command.args(args).env("LASTWORDS_STATE_DIR", self.dir.path()).current_dir(self.dir.path());
        command
    }

    /// Runs it, expects success and nothing on stderr, and returns stdout with the times replaced.
    fn prints(&self, args: &[&str], columns: &str) -> String {
        let output = run(self.command(args).env("COLUMNS", columns));
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(stderr(&output), "");
        self.pinned(&stdout(&output))
    }

    fn pinned(&self, text: &str) -> String {
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

fn lastwords() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastwords"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs `command` to its end, which must come soon: nothing here may wait for anything.
fn run(command: &mut Command) -> Output {
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

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn told(output: &Output) -> String {
    format!("{}\nstdout:\n{}\nstderr:\n{}", output.status, stdout(output), stderr(output))
}

fn frame(function: &str, file: &str, line: u64, in_app: bool) -> Value {
    let file = (!file.is_empty()).then_some(file);
    json!({"function": function, "filename": file, "lineno": line, "colno": 9, "in_app": in_app})
}

/// A Rust program whose guard panicked again while it unwound, with its source file.
fn ingest(spool: &Spool) -> Value {
    let source = spool.dir.path().join("ingest.rs");
    let lines: Vec<_> = (1..=9).map(|n| format!("\tlet line_{n} = columns[{n}];")).collect();
    fs::write(&source, lines.join("\n")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options().append(true).open(&source).unwrap().set_modified(long_ago).unwrap();

    let mut parse = frame("alpha::ingest::parse_batch", "src/ingest.rs", 7, true);
    parse["abs_path"] = json!(source);
    let frames = [
        frame("__libc_start_main", "", 0, false),
        frame("std::rt::lang_start", "library/std/src/rt.rs", 210, false),
        frame("alpha::main", "src/main.rs", 31, true),
        frame("tokio::runtime::block_on", "tokio-1.40.0/src/rt.rs", 331, false),
        frame("hyper::server::serve", "hyper-1.4.0/src/server.rs", 77, false),
        frame("alpha::ingest::run", "src/ingest.rs", 3, true),
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

fn breadcrumbs(spool: &Spool) -> Value {
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
fn walk(spool: &Spool) -> Value {
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

#[test]
fn list_shows_every_report_newest_first() {
    insta::assert_snapshot!("list_100", Spool::with_two().prints(&["list"], "100"));
    insta::assert_snapshot!("list_60", Spool::with_two().prints(&["list"], "60"));
}

#[test]
fn list_json_is_one_object_a_line() {
    let spool = Spool::with_two();
    let lines = spool.prints(&["list", "--json"], "40");
    let objects: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    let mut first = objects[0].clone();
    assert_eq!(first["size"], fs::metadata(spool.file("waiting", INGEST)).unwrap().len());
    first["size"] = json!("[size]");
    insta::assert_json_snapshot!("list_json", first);
    assert_eq!(objects[1]["value"], "nil pointer dereference\n[signal SIGSEGV: code=0x1 addr=0x0]");
    assert_eq!((&objects[1]["state"], &objects[1]["problem"]), (&json!("sent"), &Value::Null));
}

#[test]
fn show_puts_the_cause_into_the_first_two_lines() {
    let spool = Spool::with_two();
    let latest = spool.prints(&["show"], "100");
    let head: Vec<_> = latest.lines().take(2).collect();
    assert_eq!(
        head,
        [
            "thread 'ingest' panicked: index out of bounds: the len is 7 but the index is 7",
            "  in alpha::ingest::parse_batch at src/ingest.rs:7:9"
        ]
    );
    insta::assert_snapshot!("show_100", latest);
    insta::assert_snapshot!("show_60", spool.prints(&["show", &INGEST[..4]], "60"));
    insta::assert_snapshot!("show_full", spool.prints(&["show", "--full"], "100"));
}

#[test]
fn show_reads_other_runtimes_too() {
    let spool = Spool::with_two();
    insta::assert_snapshot!("show_go", spool.prints(&["show", "77AA"], "100"));
    let full = spool.prints(&["show", "77aa", "--full"], "100");
    assert!(full.contains("thread 'goroutine 7'  chan receive\n  main.poll"), "{full}");
}

#[test]
fn show_takes_the_last_breadcrumbs_asked_for() {
    let text = Spool::with_two().prints(&["show", "--breadcrumbs", "2"], "100");
    assert!(text.contains("the last 2 of 5 breadcrumbs"), "{text}");
    assert!(!text.contains("short row") && text.contains("unwound"), "{text}");
}

#[test]
fn show_json_is_the_event_byte_for_byte() {
    let spool = Spool::new();
    let event = r#"{"z":1,  "a":"\u001b[31m","level":"fatal", "n":1.50}"#;
    spool.put("waiting", INGEST, event);
    assert_eq!(spool.prints(&["show", "--json"], "20"), format!("{event}\n"));
    let pretty = serde_json::to_string_pretty(&ingest(&spool)).unwrap();
    spool.put("waiting", INGEST, &pretty);
    let line = stdout(&run(&mut spool.command(&["show", "--json"])));
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), ingest(&spool));
}

#[test]
fn an_id_is_any_unambiguous_beginning() {
    let spool = Spool::with_two();
    spool.put("waiting", "3f2a91bc0d1e00000000000000000000", &walk(&spool).to_string());
    let of = |id: &str| run(&mut spool.command(&["show", id]));
    assert!(of("3f2a91bc-0d1e-4F").status.success());
    let ambiguous = of("3f2a");
    assert_eq!(ambiguous.status.code(), Some(1));
    insta::assert_snapshot!("ambiguous", spool.pinned(&stderr(&ambiguous)));
    let unknown = of("beef");
    assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (Some(1), ""));
    insta::assert_snapshot!("unknown", spool.pinned(&stderr(&unknown)));
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    for args in [&["show", "xyz"][..], &["list", "--color", "blue"], &["frobnicate"]] {
        let output = run(lastwords().args(args));
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(stderr(&output).starts_with("lastwords: "), "{}", told(&output));
    }
    let output = run(lastwords().args(["show", "xyz"]));
    insta::assert_snapshot!("usage", stderr(&output));
}

#[test]
fn an_unreadable_report_is_listed_and_hides_no_other() {
    let spool = Spool::with_two();
    let garbled = "ab".repeat(16);
    fs::write(spool.file("waiting", &garbled), "{\"event_id\":").unwrap();
    spool.put("waiting", &"cd".repeat(16), "[\"no object\"]");
    fs::write(spool.file("sent", &"ef".repeat(16)), "{}\n{\"type\":\"event\",\"length\":99}\nx")
        .unwrap();
    fs::create_dir(spool.file("sent", &"01".repeat(16))).unwrap();
    fs::write(spool.dir.path().join("waiting/notes.txt"), "mine").unwrap();

    let listed = spool.prints(&["list"], "200");
    assert_eq!(listed.matches("unreadable: ").count(), 4, "{listed}");
    assert!(listed.contains("index out of bounds") && listed.contains("nil pointer"), "{listed}");
    let json = spool.prints(&["list", "--json"], "200");
    assert_eq!(json.lines().count(), 6);
    assert_eq!(json.matches("\"problem\":null").count(), 2, "{json}");

    let shown = run(&mut spool.command(&["show", "abab"]));
    assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    let message = spool.pinned(&stderr(&shown));
    let expected =
        format!("lastwords: cannot read the report [state]/waiting/{garbled}.envelope: ");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_fifo_or_a_link_in_the_spool_is_not_opened() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let spool = Spool::with_two();
    mknodat(CWD, spool.file("waiting", &"ab".repeat(16)), FileType::Fifo, Mode::RWXU, 0).unwrap();
    std::os::unix::fs::symlink("/dev/zero", spool.file("waiting", &"cd".repeat(16))).unwrap();
    let listed = spool.prints(&["list"], "200");
    assert_eq!(listed.matches("unreadable: not a regular file").count(), 2, "{listed}");
    assert!(listed.contains("index out of bounds"), "{listed}");
    assert_eq!(run(&mut spool.command(&["show", "abab"])).status.code(), Some(1));
}

#[test]
fn an_empty_or_missing_spool_is_said_kindly() {
    let spool = Spool::new();
    let missing = spool.dir.path().join("nowhere");
    for (dir, expected) in [
        (spool.dir.path(), "lastwords: no reports: nothing has died in [state] yet\n"),
        (&missing, "lastwords: no reports: [state]/nowhere does not exist\n"),
    ] {
        let dir = dir.to_str().unwrap();
        let listed = run(&mut spool.command(&["list", "--state-dir", dir]));
        assert_eq!((listed.status.code(), stdout(&listed).as_str()), (Some(0), ""));
        assert_eq!(spool.pinned(&stderr(&listed)), expected);
        let shown = run(&mut spool.command(&["show", "--state-dir", dir]));
        assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    }
}

#[test]
fn the_first_state_directory_that_exists_is_read() {
    let spool = Spool::with_two();
    let home = tempfile::tempdir().unwrap();
    let under = |path: &str, from: &Path| {
        let link = home.path().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(from, link).unwrap();
    };
    under(".local/state/lastwords", spool.dir.path());
    let state = home.path().join("state");
    let mut command = lastwords();
    command.arg("list").env("HOME", home.path()).env("XDG_STATE_HOME", &state);
    assert_eq!(stdout(&run(&mut command)).lines().count(), 4);
    let empty = Spool::new();
    under("state/lastwords", empty.dir.path());
    assert_eq!(stdout(&run(&mut command)), "");
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    let spool = Spool::with_two();
    let colored = |args: &[&str], variables: &[(&str, &str)]| {
        let output = run(spool.command(args).envs(variables.iter().copied()));
        stdout(&output).contains('\x1b')
    };
    assert!(!colored(&["show"], &[]));
    assert!(colored(&["show", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colored(&["list"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&["list", "--color=never"], &[("CLICOLOR_FORCE", "1")]));
    insta::assert_snapshot!(
        "show_color",
        spool.prints(&["show", "--color=always"], "100").replace('\x1b', "␛")
    );
}

#[test]
fn nothing_in_a_report_commands_the_terminal() {
    let spool = Spool::new();
    let nasty = "a\x1b[2J\x1b]0;title\x07\r\u{9b}31m\u{202e}\u{7f}\n\x08z";
    let frame = json!({"function": nasty, "filename": nasty, "lineno": 1, "in_app": true,
                       "context_line": nasty, "pre_context": [nasty]});
    let crumb = json!({"timestamp": 1.5, "level": nasty, "category": nasty, "message": nasty,
        "data": {nasty: nasty, "thread": nasty, "spans": [{"name": nasty, nasty: nasty}]}});
    let event = json!({
        "level": nasty, "platform": nasty, "release": nasty, "environment": nasty,
        "server_name": nasty, "tags": {nasty: nasty},
        "exception": [{"type": nasty, "value": nasty, "thread_id": 1,
            "mechanism": {"data": {"location": nasty}}, "stacktrace": {"frames": [frame]}}],
        "threads": [{"id": 1, "name": nasty}, {"id": 2, "name": nasty, "state": nasty,
            "stacktrace": {"frames": [frame]}}],
        "breadcrumbs": [crumb],
        "contexts": {"process": {nasty: nasty}, "os": {"name": nasty}, "device": {"arch": nasty}},
    });
    spool.put("waiting", INGEST, &event.to_string());
    spool.put("waiting", &format!("3f\x1b[31m{}", "0".repeat(25)), "{}");
    for args in [&["list"][..], &["show", "3f2a"], &["show", "3f2a", "--full"], &["show", "3f"]] {
        for color in ["never", "always"] {
            let output = run(spool.command(args).args(["--color", color]).env("COLUMNS", "70"));
            let text = without_colors(&(stdout(&output) + &stderr(&output)));
            let raw: Vec<char> = text.chars().filter(|&c| c != '\n' && commands(c)).collect();
            assert!(!text.is_empty() && raw.is_empty(), "{args:?}: {raw:?}");
        }
    }
}

fn commands(c: char) -> bool {
    c.is_control() || c == '\u{202e}'
}

/// Takes away what sets a colour: escape, bracket, digits, `m`.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix('m') {
            Some(rest) => kept.push_str(rest),
            None => kept.push_str(&format!("\x1b[{part}")),
        }
    }
    kept
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let spool = Spool::new();
    let mut event = ingest(&spool);
    let crumb = json!({"timestamp": 1.5, "message": "x".repeat(500)});
    event["breadcrumbs"] = json!(vec![crumb; 2000]);
    spool.put("waiting", INGEST, &event.to_string());
    for args in [&["show"][..], &["show", "--json"], &["list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = spool.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let spool = Spool::with_two();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = spool.command(&["show"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.starts_with("lastwords: cannot write to standard output: "), "{message}");
}

#[test]
fn any_object_is_an_event() {
    let spool = Spool::new();
    for event in [
        "{}",
        r#"{"exception":7,"breadcrumbs":{"values":[1,null,{}]},"threads":"x","tags":[1,["a"]]}"#,
        r#"{"exception":[{}],"timestamp":"soon","contexts":[],"breadcrumbs":[{"data":[]}]}"#,
        r#"{"exception":[{"stacktrace":{"frames":[{},7]},"thread_id":{}}],"timestamp":1e300}"#,
        r#"{"message":"only words","timestamp":-62167219200}"#,
    ] {
        spool.put("waiting", INGEST, event);
        for args in [&["list"][..], &["list", "--json"], &["show"], &["show", "--full"]] {
            for columns in ["1", "40", "100000"] {
                let output = run(spool.command(args).env("COLUMNS", columns));
                assert!(output.status.success(), "{event} {args:?}\n{}", told(&output));
            }
        }
    }
}

#[test]
fn help_says_what_there_is() {
    for (name, args) in [
        ("help_short", &["-h"][..]),
        ("help_long", &["--help"]),
        ("help_list_short", &["list", "-h"]),
        ("help_list_long", &["list", "--help"]),
        ("help_show_short", &["show", "-h"]),
        ("help_show_long", &["show", "--help"]),
    ] {
        let output = run(lastwords().args(args));
        assert!(output.status.success(), "{}", told(&output));
        insta::assert_snapshot!(name, stdout(&output));
    }
}
