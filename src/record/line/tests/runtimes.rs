//! Formats of other languages' loggers and of servers.

use super::*;

#[test]
fn python() {
    reads("WARNING:root:disk is slow", Level::WARN, "root", "disk is slow", json!({}));
    reads("ERROR:app.db:no: x=1", Level::ERROR, "app.db", "no: x=1", json!({}));
    let line = "2026-03-04 05:06:07,123 - app.db - WARNING - slow query";
    is_timed(&reads(line, Level::WARN, "app.db", "slow query", json!({})));
    let line = "2026-03-04 05:06:07,123 INFO app.db: up";
    reads(line, Level::INFO, "app.db", "up", json!({}));
    let line = "2026-03-04 05:06:07,123 [INFO] app.db: up";
    reads(line, Level::INFO, "app.db", "up", json!({}));
    let loguru = "2026-03-04 05:06:07.123 | WARNING  | app.db:connect:42 - slow";
    let found = reads(loguru, Level::WARN, "app.db", "slow", json!({"function": "connect"}));
    assert_eq!(found.line, Some(42));
    let airflow = "[2026-03-04T05:06:07.123+0000] {dag.py:42} WARNING - slow";
    let found = reads(airflow, Level::WARN, "stderr", "slow", json!({}));
    assert_eq!((found.file.as_deref(), found.line), (Some("dag.py"), Some(42)));
    let line = "2026-03-04 05:06:07,123 INFO app.py:9 up";
    assert_eq!(reads(line, Level::INFO, "stderr", "up", json!({})).line, Some(9));
    let gunicorn = "[2026-03-04 05:06:07 +0000] [7] [INFO] Listening at: http://0.0.0.0:80";
    let found = one(gunicorn);
    assert_eq!((found.level, found.thread.id), (Level::INFO, 7));
    assert_eq!(found.message, "Listening at: http://0.0.0.0:80");
    let uvicorn = "INFO:     Started server process [7]";
    reads(uvicorn, Level::INFO, "stderr", "Started server process [7]", json!({}));
}

#[test]
fn java() {
    let line = "05:06:07.123 [main] INFO  com.x.Y - up";
    let found = reads(line, Level::INFO, "com.x.Y", "up", json!({}));
    assert_eq!(found.thread.name.as_deref(), Some("main"));
    is_timed(&found);
    let line = "2026-03-04 05:06:07,123 INFO  [com.x.Y] (pool-1 thread) up [now]";
    let found = reads(line, Level::INFO, "com.x.Y", "up [now]", json!({}));
    assert_eq!(found.thread.name.as_deref(), Some("pool-1 thread"));
    let line = "2026-03-04 05:06:07.123 ERROR [pool 1] c.x.Y - no";
    let found = reads(line, Level::ERROR, "c.x.Y", "no", json!({}));
    assert_eq!(found.thread.name.as_deref(), Some("pool 1"));
    let spring = "2026-03-04 05:06:07.123  WARN 1 --- [           main] o.s.b.App                                : slow";
    let found = reads(spring, Level::WARN, "o.s.b.App", "slow", json!({}));
    assert_eq!((found.thread.name.as_deref(), found.thread.id), (Some("main"), 1));
    let boot3 = "2026-03-04T05:06:07.123Z  INFO 1 --- [app] [nio-8080-exec-1] o.s.b.App : up";
    let found = reads(boot3, Level::INFO, "o.s.b.App", "up", json!({}));
    assert_eq!(found.thread.name.as_deref(), Some("nio-8080-exec-1"));
    let kafka = "[2026-03-04 05:06:07,123] INFO [Broker id=0] up (kafka.server.Broker)";
    let found = one(kafka);
    assert_eq!(found.level, Level::INFO);
    assert!(found.message.ends_with("up (kafka.server.Broker)"), "{found:?}");
}

#[test]
fn go_log() {
    let line = "2026/03/04 05:06:07 listen: address in use";
    is_timed(&reads(line, Level::INFO, "stderr", "listen: address in use", json!({})));
    let line = "2026/03/04 05:06:07.123456 main.go:42: up";
    let found = reads(line, Level::INFO, "stderr", "up", json!({}));
    assert_eq!((found.file.as_deref(), found.line), (Some("main.go"), Some(42)));
    is_timed(&found);
    let line = "2026/03/04 05:06:07 WARN slow query=7 db=\"a b\"";
    reads(line, Level::WARN, "stderr", "slow", json!({"query": 7, "db": "a b"}));
    let line = "2026/03/04 05:06:07 [ERR] raft: no leader";
    let found = one(line);
    assert_eq!((found.level, found.message.as_str()), (Level::ERROR, "raft: no leader"));
    let zap = "2026-03-04T05:06:07.123Z\tINFO\tetcd\tsrv/main.go:42\tup and running\t{\"n\": 1, \"o\": {\"p\": 2}}";
    let found = reads(zap, Level::INFO, "etcd", "up and running", json!({"n": 1, "o": {"p": 2}}));
    assert_eq!((found.file.as_deref(), found.line), (Some("srv/main.go"), Some(42)));
    let hclog = "2026-03-04T05:06:07.123Z [WARN]  agent.server: slow disk: path=/a took=3";
    let found = one(hclog);
    assert_eq!((found.level, found.target.as_str()), (Level::WARN, "agent.server"));
    assert_eq!(Value::Object(found.fields), json!({"path": "/a", "took": 3}));
    let zerolog = "2026-03-04T05:06:07Z ERR no luck error=\"eof x\" n=2";
    reads(zerolog, Level::ERROR, "stderr", "no luck", json!({"error": "eof x", "n": 2}));
}

#[test]
fn syslog() {
    let line = "<11>Mar  4 05:06:07 host prog[17]: out of tea";
    let found = reads(line, Level::ERROR, "prog", "out of tea", json!({}));
    assert_eq!(found.thread.id, 17);
    is_timed(&found);
    let line = "Mar  4 05:06:07 host kernel: oom";
    is_timed(&reads(line, Level::INFO, "kernel", "oom", json!({})));
    reads("<4>cgroup: slow", Level::WARN, "stderr", "cgroup: slow", json!({}));
    let line = "<165>1 2026-03-04T05:06:07.003Z host app 12 ID47 [ex@1 iut=\"3\" src=\"a b\"][y@2 z=\"\"] up";
    let fields = json!({"ex@1": {"iut": "3", "src": "a b"}, "y@2": {"z": ""}});
    is_timed(&reads(line, Level::INFO, "app", "up", fields));
    let line = "<27>1 2026-03-04T05:06:07Z host app - - - no";
    reads(line, Level::ERROR, "app", "no", json!({}));
}

#[test]
fn servers() {
    let nginx = "2026/03/04 05:06:07 [error] 7#8: *12 open() \"/x\" failed (2: No such file)";
    let message = "open() \"/x\" failed (2: No such file)";
    let found = reads(nginx, Level::ERROR, "nginx", message, json!({"connection": 12}));
    assert_eq!(found.thread.id, 7);
    is_timed(&found);
    let line = "2026/03/04 05:06:07 [notice] 1#1: start worker processes";
    reads(line, Level::INFO, "nginx", "start worker processes", json!({}));
    let postgres = "2026-03-04 05:06:07.678 UTC [123] ERROR:  relation \"x\" does not exist";
    let message = "relation \"x\" does not exist";
    let found = reads(postgres, Level::ERROR, "postgres", message, json!({}));
    assert_eq!(found.thread.id, 123);
    is_timed(&found);
    let line = "2026-03-04 05:06:07.678 UTC [123] app@db LOG:  connection authorized";
    reads(line, Level::INFO, "postgres", "connection authorized", json!({"user": "app@db"}));
    let redis = "1:M 04 Mar 2026 05:06:07.678 # oom";
    let found = reads(redis, Level::WARN, "redis", "oom", json!({"role": "M"}));
    assert_eq!(found.thread.id, 1);
    is_timed(&found);
}

#[test]
fn other_servers() {
    let apache = "[Wed Mar 04 05:06:07.123456 2026] [core:error] [pid 7:tid 8] AH0012: no file";
    is_timed(&reads(apache, Level::ERROR, "core", "AH0012: no file", json!({})));
    let php = "[04-Mar-2026 05:06:07] NOTICE: fpm is running, pid 7";
    is_timed(&reads(php, Level::INFO, "stderr", "fpm is running, pid 7", json!({})));
    let mysql =
        "2026-03-04T05:06:07.123456Z 0 [Warning] [MY-010068] CA certificate is self signed.";
    let found = reads(mysql, Level::WARN, "MY-010068", "CA certificate is self signed.", json!({}));
    is_timed(&found);
    let ruby = "W, [2026-03-04T05:06:07.123456 #7]  WARN -- app: slow";
    let found = reads(ruby, Level::WARN, "app", "slow", json!({}));
    assert_eq!(found.thread.id, 7);
    let ruby = "I, [2026-03-04T05:06:07.123456 #7]  INFO -- : up";
    is_timed(&reads(ruby, Level::INFO, "stderr", "up", json!({})));
    let celery = "[2026-03-04 05:06:07,123: WARNING/MainProcess] slow";
    let found = reads(celery, Level::WARN, "stderr", "slow", json!({}));
    assert_eq!(found.thread.name.as_deref(), Some("MainProcess"));
    let mongo = r#"{"t":{"$date":"2026-03-04T05:06:07.123+00:00"},"s":"W","c":"NETWORK","id":5,"ctx":"conn1","msg":"slow","attr":{"ms":7}}"#;
    let fields = json!({"c": "NETWORK", "id": 5, "ctx": "conn1", "attr": {"ms": 7}});
    is_timed(&reads(mongo, Level::WARN, "stderr", "slow", fields));
}
