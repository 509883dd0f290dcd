//! Real servers under `lastwords run`: etcd, brought down under load, and a healthy run of it.
//!
//! Skipped, visibly, where there is no `etcd` (Debian: `etcd-server`).
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{by_default, events_in, regions_in, skipped};
use tempfile::TempDir;

/// How long anything is waited for.
const BOUND: Duration = Duration::from_secs(60);

/// etcd under a monitor.
struct Server {
    monitor: Child,
    directory: TempDir,
    port: u16,
}

impl Server {
    /// Starts it and waits until it serves. `None`, said aloud, where there is none.
    fn start() -> Option<Server> {
        let there = Command::new("etcd").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            skipped("there is no etcd here");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [port, peer_port] = [free_port(), free_port()];
        let [client, peer] = [port, peer_port].map(|port| format!("http://127.0.0.1:{port}"));
        let errors = std::fs::File::create(directory.path().join("stderr")).expect("a file");
        let mut monitor = Command::new(env!("CARGO_BIN_EXE_lastwords"));
        by_default(&mut monitor);
        let monitor = monitor
            .args(["run", "--release", "etcd@1.0.0", "--", "etcd", "--logger", "zap"])
            .args(["--log-outputs", "stderr"])
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .env("LASTWORDS_STATE_DIR", directory.path().join("state"))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the monitor");
        let mut server = Server { monitor, directory, port };
        server.wait_until(|server| server.put("first", "1"));
        Some(server)
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.directory.path().join("stderr")).unwrap())
            .into_owned()
    }

    fn state(&self) -> std::path::PathBuf {
        self.directory.path().join("state")
    }

    fn wait_until(&mut self, condition: impl Fn(&Server) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(self.monitor.try_wait().unwrap().is_none(), "it ended\n{}", self.stderr());
            assert!(begun.elapsed() < BOUND, "it takes too long\n{}", self.stderr());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn put(&self, key: &str, value: &str) -> bool {
        put(self.port, key, value).is_some()
    }

    /// Signals the monitor and waits for its end.
    fn end_by(&mut self, signal: &str) -> ExitStatus {
        let pid = self.monitor.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill can be run").success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.monitor.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < BOUND, "it does not end\n{}", self.stderr());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.monitor.try_wait().is_ok_and(|status| status.is_none()) {
            // The monitor alone would leave the server.
            let pid = self.monitor.id().to_string();
            let _ = Command::new("pkill").args(["-KILL", "-P", &pid]).status();
            let _ = self.monitor.kill();
            let _ = self.monitor.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// One write through etcd's JSON gateway; the keys of its protocol are base64, of which plain
/// letters of a length divisible by four are an example.
fn put(port: u16, key: &str, value: &str) -> Option<()> {
    let pad = |text: &str| format!("{text:A<12}");
    let body = format!(r#"{{"key":"{}","value":"{}"}}"#, pad(key), pad(value));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "POST /v3/kv/put HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains(" 200 ").then_some(())
}

#[test]
fn a_server_that_is_aborted_under_load_tells_all() {
    let Some(mut server) = Server::start() else { return };
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let port = server.port;
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            thread::spawn(move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if put(port, &format!("c{client}k{round}"), "v").is_some() {
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    server.wait_until(|_| written.load(Ordering::Relaxed) > 200);
    let before = server.stderr();
    let status = server.end_by("ABRT");
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client"));

    // A Go program that is aborted prints its goroutines and exits with status 2.
    assert_eq!((status.code(), status.signal()), (Some(2), None));
    let events = events_in(&server.state());
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.exceptions()[0]["type"], "SIGABRT");
    assert_eq!((event.0["platform"].as_str(), event.level()), (Some("go"), "fatal"));
    assert_eq!(event.0["release"], "etcd@1.0.0");
    assert_eq!(event.0["contexts"]["process"]["exit_code"], 2);

    let printed = server.stderr();
    let goroutines = printed.lines().filter(|line| is_goroutine(line)).count();
    let threads = event.0["threads"]["values"].as_array().expect("threads");
    assert!(goroutines > 20, "{goroutines}");
    assert_eq!(threads.len(), goroutines, "every goroutine that was printed");
    assert!(threads.iter().skip(1).all(|thread| thread["state"].is_string()), "{threads:?}");

    let last = before.lines().last().expect("log lines");
    let logged: serde_json::Value = serde_json::from_str(last).expect("zap's JSON");
    let message = logged["msg"].as_str().expect("a message");
    assert!(event.breadcrumb_messages().contains(&message), "{message}");
    assert!(!event.breadcrumb_messages().iter().any(|line| line.contains("goroutine")));
    assert_eq!(regions_in(&server.state()), Vec::<&Path>::new());
}

fn is_goroutine(line: &str) -> bool {
    line.starts_with("goroutine ") && line.ends_with("]:")
}

#[test]
fn a_server_that_is_asked_to_stop_is_no_event() {
    let Some(mut server) = Server::start() else { return };
    (0..20).for_each(|round| assert!(server.put(&format!("k{round}"), "v")));
    let status = server.end_by("TERM");
    // etcd raises the signal again once it has closed its files.
    assert_eq!(status.code().unwrap_or_default(), 128 + 15, "{status}");
    assert_eq!(events_in(&server.state()).len(), 0, "{}", server.stderr());
    assert_eq!(regions_in(&server.state()), Vec::<&Path>::new());
}
