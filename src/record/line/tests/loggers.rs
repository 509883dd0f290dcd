//! Formats of structured loggers, and of Rust's.

use super::*;

#[test]
fn glog_and_klog() {
    let line = "I0304 05:06:07.123456   12345 server.go:42] Serving on [::]:8080";
    let found = reads(line, Level::INFO, "stderr", "Serving on [::]:8080", json!({}));
    assert_eq!((found.file.as_deref(), found.line), (Some("server.go"), Some(42)));
    assert_eq!(found.thread.id, 12345);
    is_timed(&found);
    let line = "E0304 05:06:07.123456       1 pod.go:7] \"Sync failed\" err=\"no such pod\" pod=\"a/b\" retry=3";
    let fields = json!({"err": "no such pod", "pod": "a/b", "retry": 3});
    reads(line, Level::ERROR, "stderr", "Sync failed", fields);
    let line = "F0304 05:06:07.123456       1 main.cc:9] Check failed: a == b";
    reads(line, Level::ERROR, "stderr", "Check failed: a == b", json!({"severity": "FATAL"}));
}

#[test]
fn logfmt() {
    let line = "time=\"2026-03-04T05:06:07Z\" level=warning msg=\"disk \\\"a\\\" slow\" took=12ms n=4 ok=true";
    let fields = json!({"took": "12ms", "n": 4, "ok": true});
    is_timed(&reads(line, Level::WARN, "stderr", "disk \"a\" slow", fields));
    let line = "time=2026-03-04T05:06:07.000Z level=INFO+2 source=/srv/main.go:10 msg=up addr=:80";
    let found = reads(line, Level::INFO, "stderr", "up", json!({"addr": ":80"}));
    assert_eq!((found.file.as_deref(), found.line), (Some("/srv/main.go"), Some(10)));
    let line = "ts=2026-03-04T05:06:07.5Z caller=head.go:9 level=error component=tsdb msg=\"bad block\" err=EOF";
    reads(line, Level::ERROR, "tsdb", "bad block", json!({"err": "EOF"}));
    let line = "level=info msg=unquoted words are not logfmt";
    reads(line, Level::INFO, "stderr", line, json!({}));
}

#[test]
fn logrus_on_a_terminal() {
    let line = "\u{1b}[36mINFO\u{1b}[0m[0042] A group of walrus emerges                     \u{1b}[36manimal\u{1b}[0m=walrus \u{1b}[36msize\u{1b}[0m=10";
    let fields = json!({"animal": "walrus", "size": 10});
    reads(line, Level::INFO, "stderr", "A group of walrus emerges", fields);
}

#[test]
fn json_of_go() {
    let slog = r#"{"time":"2026-03-04T05:06:07.1Z","level":"WARN","source":{"function":"main.f","file":"/a/m.go","line":3},"msg":"slow","req":{"id":7}}"#;
    let found = reads(slog, Level::WARN, "stderr", "slow", json!({"req": {"id": 7}}));
    assert_eq!((found.file.as_deref(), found.line), (Some("/a/m.go"), Some(3)));
    is_timed(&found);
    let zap = r#"{"level":"error","ts":1772600767.25,"logger":"etcd","caller":"srv/main.go:42","msg":"lost","error":"eof","stacktrace":"main.f\n\t/a.go:1"}"#;
    let fields = json!({"error": "eof", "stacktrace": "main.f\n\t/a.go:1"});
    let found = reads(zap, Level::ERROR, "etcd", "lost", fields);
    assert_eq!((found.file.as_deref(), found.line), (Some("srv/main.go"), Some(42)));
    is_timed(&found);
    let zerolog = r#"{"level":"fatal","time":1772600767,"message":"no","n":1.5}"#;
    is_timed(&reads(zerolog, Level::ERROR, "stderr", "no", json!({"n": 1.5})));
    let logrus = r#"{"level":"info","msg":"up","time":"2026-03-04T05:06:07Z","func":"main.f","file":"/a/b.go:9"}"#;
    reads(logrus, Level::INFO, "stderr", "up", json!({"func": "main.f"}));
    let capnslog = "2026-03-04 05:06:07.123456 W | etcdserver: slow: 7s";
    is_timed(&reads(capnslog, Level::WARN, "etcdserver", "slow: 7s", json!({})));
    let hclog = r#"{"@level":"debug","@message":"dial","@module":"raft","@timestamp":"2026-03-04T05:06:07.000000Z"}"#;
    is_timed(&reads(hclog, Level::DEBUG, "raft", "dial", json!({})));
}

#[test]
fn json_of_others() {
    let pino = r#"{"level":40,"time":1772600767123,"pid":7,"hostname":"h","name":"api","msg":"slow","req":{"id":1}}"#;
    let fields = json!({"pid": 7, "hostname": "h", "req": {"id": 1}});
    is_timed(&reads(pino, Level::WARN, "api", "slow", fields));
    let bunyan = r#"{"name":"app","hostname":"h","pid":1,"level":50,"msg":"no","time":"2026-03-04T05:06:07.000Z","v":0}"#;
    reads(bunyan, Level::ERROR, "app", "no", json!({"hostname": "h", "pid": 1, "v": 0}));
    let python = r#"{"asctime":"2026-03-04 05:06:07,123","levelname":"INFO","name":"app.db","message":"up","pathname":"/a/b.py","lineno":4}"#;
    let found = reads(python, Level::INFO, "app.db", "up", json!({}));
    assert_eq!((found.file.as_deref(), found.line), (Some("/a/b.py"), Some(4)));
    let logstash = r#"{"@timestamp":"2026-03-04T05:06:07.123Z","@version":"1","message":"up","logger_name":"c.x.Y","thread_name":"main","level":"INFO"}"#;
    let found = reads(logstash, Level::INFO, "c.x.Y", "up", json!({"@version": "1"}));
    assert_eq!(found.thread.name.as_deref(), Some("main"));
    let gelf =
        r#"{"version":"1.1","host":"h","short_message":"no","timestamp":1772600767,"level":3}"#;
    reads(gelf, Level::ERROR, "stderr", "no", json!({"version": "1.1", "host": "h"}));
    let event =
        r#"{"event":"login","level":"warning","user":"a","timestamp":"2026-03-04T05:06:07Z"}"#;
    reads(event, Level::WARN, "stderr", "login", json!({"user": "a"}));
    let other = r#"{"a":1,"b":[2]}"#;
    reads(other, Level::INFO, "stderr", other, json!({}));
}

#[test]
fn json_of_tracing() {
    let line = r#"{"timestamp":"2026-03-04T05:06:07.123456Z","level":"INFO","fields":{"message":"took","ms":7},"target":"app::net","filename":"src/net.rs","line_number":9,"span":{"id":2,"name":"req"},"spans":[{"name":"worker"},{"id":2,"name":"req"}],"threadName":"main","threadId":"ThreadId(1)"}"#;
    let found = reads(line, Level::INFO, "app::net", "took", json!({"ms": 7}));
    assert_eq!(spans(&found), [("worker", json!({})), ("req", json!({"id": 2}))]);
    assert_eq!((found.file.as_deref(), found.line), (Some("src/net.rs"), Some(9)));
    assert_eq!((found.thread.name.as_deref(), found.thread.id), (Some("main"), 1));
    is_timed(&found);
    let flat = r#"{"timestamp":"2026-03-04T05:06:07Z","level":"ERROR","message":"no","k":"v","target":"app"}"#;
    reads(flat, Level::ERROR, "app", "no", json!({"k": "v"}));
}

#[test]
fn env_logger() {
    let line = "[2026-03-04T05:06:07Z INFO  app::net] listening";
    is_timed(&reads(line, Level::INFO, "app::net", "listening", json!({})));
    reads("[WARN  orders] w1 ended", Level::WARN, "orders", "w1 ended", json!({}));
    reads("[INFO] up a=b", Level::INFO, "stderr", "up a=b", json!({}));
    let line = "\u{1b}[90m[\u{1b}[0m2026-03-04T05:06:07Z \u{1b}[33mWARN \u{1b}[0m app\u{1b}[90m]\u{1b}[0m hot";
    is_timed(&reads(line, Level::WARN, "app", "hot", json!({})));
    // Its relatives.
    let fern = "[2026-03-04][05:06:07][app::net][INFO] up";
    is_timed(&reads(fern, Level::INFO, "app::net", "up", json!({})));
    let simple = "2026-03-04T05:06:07.123Z INFO  [app::net] up";
    is_timed(&reads(simple, Level::INFO, "app::net", "up", json!({})));
    let flexi = "[2026-03-04 05:06:07.123456 +00:00] INFO [app] src/main.rs:3: up";
    let found = one(flexi);
    assert_eq!((found.level, found.target.as_str()), (Level::INFO, "app"));
    reads(" INFO  app::net > up", Level::INFO, "app::net", "up", json!({}));
}

#[test]
fn tracing_full() {
    let line =
        "2026-03-04T05:06:07.123456Z  INFO app::net: accepted peer=::1 bytes=12 from=\"a b\"";
    let fields = json!({"peer": "::1", "bytes": 12, "from": "a b"});
    is_timed(&reads(line, Level::INFO, "app::net", "accepted", fields));
    let line =
        "2026-03-04T05:06:07Z ERROR worker{name=a id=3}:request{path=\"/x y\"}: app: no: disk full";
    let found = reads(line, Level::ERROR, "app", "no: disk full", json!({}));
    let expected =
        [("worker", json!({"name": "a", "id": 3})), ("request", json!({"path": "/x y"}))];
    assert_eq!(spans(&found), expected);
    let line = "\u{1b}[2m2026-03-04T05:06:07Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[1mworker\u{1b}[0m\u{1b}[1m{\u{1b}[0m\u{1b}[3mname\u{1b}[0m\u{1b}[2m=\u{1b}[0ma\u{1b}[1m}\u{1b}[0m\u{1b}[2m:\u{1b}[0m \u{1b}[2mapp::net\u{1b}[0m\u{1b}[2m:\u{1b}[0m up \u{1b}[3mk\u{1b}[0m\u{1b}[2m=\u{1b}[0mv";
    let found = reads(line, Level::INFO, "app::net", "up", json!({"k": "v"}));
    assert_eq!(spans(&found), [("worker", json!({"name": "a"}))]);
    let line = "2026-03-04T05:06:07Z DEBUG tokio-rt-worker ThreadId(02) app::net: src/net.rs:7: up";
    let found = reads(line, Level::DEBUG, "app::net", "up", json!({}));
    assert_eq!((found.thread.name.as_deref(), found.thread.id), (Some("tokio-rt-worker"), 2));
    assert_eq!((found.file.as_deref(), found.line), (Some("src/net.rs"), Some(7)));
    let line = "2026-03-04T05:06:07Z  WARN main app::net: up p=Point { x: 1, y: 2 } o=Some(3)";
    let fields = json!({"p": "Point { x: 1, y: 2 }", "o": "Some(3)"});
    let found = reads(line, Level::WARN, "app::net", "up", fields);
    assert_eq!(found.thread.name.as_deref(), Some("main"));
    reads(" INFO app: error: disk", Level::INFO, "app", "error: disk", json!({}));
    let line = "2026-03-04T05:06:07Z TRACE app: k=1";
    reads(line, Level::TRACE, "app", "", json!({"k": 1}));
}

#[test]
fn tracing_compact() {
    let line =
        "2026-03-04T05:06:07.1Z  INFO worker:request: app::net: accepted peer=::1 name=\"a\"";
    let fields = json!({"peer": "::1", "name": "a"});
    let found = reads(line, Level::INFO, "app::net", "accepted", fields);
    assert_eq!(spans(&found), [("worker", json!({})), ("request", json!({}))]);
}

/// What `tracing`'s own formatter prints, with every part switched on and off.
#[test]
fn tracing_as_it_is_printed() {
    for (number, line) in printed_by_tracing().iter().enumerate() {
        let found = one(line);
        assert_eq!(found.level, Level::WARN, "{line}");
        assert_eq!(found.message, "took too long", "{line}");
        assert_eq!(found.target, "app::net", "{line}");
        assert_eq!(Value::Object(found.fields.clone())["ms"], json!(7), "{line}");
        assert_eq!(Value::Object(found.fields)["path"], json!("/a b"), "{line}");
        let names: Vec<&str> = found.spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["worker", "request"], "{number}: {line}");
    }
}

fn printed_by_tracing() -> Vec<String> {
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl MakeWriter<'_> for Sink {
        type Writer = Sink;
        fn make_writer(&self) -> Sink {
            self.clone()
        }
    }
    let sink = Sink::default();
    for options in 0..32u8 {
        let on = |bit: u8| options & bit != 0;
        let fmt = tracing_subscriber::fmt().with_writer(sink.clone()).with_ansi(on(1));
        let fmt = fmt.with_thread_ids(on(2)).with_thread_names(on(2));
        let fmt = fmt.with_file(on(4)).with_line_number(on(4));
        let log = || {
            let _worker = tracing::info_span!("worker", name = "a", id = 3).entered();
            let _request = tracing::info_span!("request", line = "x y").entered();
            tracing::warn!(target: "app::net", ms = 7, path = "/a b", "took too long");
        };
        match (on(8), on(16)) {
            (false, false) => tracing::subscriber::with_default(fmt.finish(), log),
            (false, true) => tracing::subscriber::with_default(fmt.compact().finish(), log),
            (true, false) => tracing::subscriber::with_default(fmt.without_time().finish(), log),
            (true, true) => {
                tracing::subscriber::with_default(fmt.without_time().compact().finish(), log);
            }
        }
    }
    let printed = sink.0.lock().unwrap();
    String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect()
}
