//! The HTTP client against a server that misbehaves in every way we could think of.
#![cfg(unix)]

mod faulty;

#[path = "courier/routes.rs"]
mod routes;

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use faulty::{Faulty, KEY, Reply, dsn};
use lastwords::deliver::{Answer, Client, Courier, NotAnswered, Outcome, RateLimit, Stage};
use lastwords::sentry::types::Dsn;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// For what never comes.
const SHORT: Duration = Duration::from_millis(300);

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// A client with these variables and no others.
fn client(variables: &[(&str, &str)]) -> Client {
    let variables: Vec<(String, OsString)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    Client::with_environment(move |name| {
        variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    })
}

fn envelope() -> Vec<u8> {
    format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}\n")
        .into_bytes()
}

fn post(dsn: &Dsn, limit: Duration) -> Result<Answer, NotAnswered> {
    client(&[]).post(dsn, &envelope(), limit)
}

/// What a server that always replies so is taken to have said.
fn reply(reply: Reply, limit: Duration) -> (Result<Answer, NotAnswered>, Faulty) {
    let server = Faulty::always(reply);
    let result = post(&server.dsn(), limit);
    (result, server)
}

#[track_caller]
fn fails_at(result: Result<Answer, NotAnswered>, at: Stage) -> String {
    let error = result.expect_err("no answer");
    assert_eq!(error.at, at, "{error}");
    assert!(!error.words.contains(KEY) && !error.words.contains('\n'), "{error}");
    error.words
}

#[test]
fn an_envelope_arrives_as_the_protocol_wants_it() {
    let (answer, server) = reply(Reply::Ok200, LONG);
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.limits), (200, Vec::new()));
    let [received] = &server.accepted()[..] else { panic!("one request") };
    assert_eq!(received.path, "/api/42/envelope/");
    assert_eq!(received.body, envelope());
    assert_eq!(received.event_id.as_deref(), Some(ID));
    let us = format!("lastwords/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(received.header("User-Agent"), Some(us.as_str()));
    assert_eq!(received.header("Content-Type"), Some("application/x-sentry-envelope"));
    assert_eq!(received.header("Content-Encoding"), Some("gzip"));
    assert_eq!(received.header("Expect"), None);
    let auth = received.header("X-Sentry-Auth").expect("a key").to_owned();
    assert!(auth.starts_with("Sentry "), "{auth}");
    for part in [format!("sentry_key={KEY}"), format!("sentry_client={us}")] {
        assert!(auth.contains(&part), "{auth}");
    }
    assert!(auth.contains("sentry_version=7"), "{auth}");
}

#[test]
fn a_large_envelope_arrives() {
    let mut noise = 1_u64;
    let mut envelope = envelope();
    envelope.extend((0..5 * 1024 * 1024).map(|_| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as u8
    }));
    let server = Faulty::always(Reply::Ok200);
    let answer = client(&[]).post(&server.dsn(), &envelope, LONG).expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(server.accepted()[0].body == envelope);
    // One that is too large hears so, though nobody reads it.
    server.set(|_| Reply::EarlyStatus(413));
    let answer = client(&[]).post(&server.dsn(), &envelope, LONG).expect("an answer");
    assert_eq!((answer.status, answer.words.as_str()), (413, "too early"));
}

#[test]
fn every_status_comes_back_as_it_is() {
    let server = Faulty::start(|number| Reply::status(200 + number as u16));
    let client = client(&[]);
    for status in 200..=599 {
        let answer = client.post(&server.dsn(), &envelope(), LONG).expect("an answer");
        assert_eq!(answer.status, status);
    }
    assert_eq!(server.requests(), 400);
}

#[test]
fn words_come_from_the_header_then_from_the_body() {
    let status = |headers: &[(&str, &str)], body: &str| {
        let headers = headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let (answer, _) = reply(Reply::Status(400, headers, body.into()), LONG);
        answer.expect("an answer").words
    };
    let json = r#"{"detail":"bad envelope","causes":["missing newline"]}"#;
    assert_eq!(status(&[("X-Sentry-Error", "no such key")], json), "no such key");
    assert_eq!(status(&[], json), "bad envelope: missing newline");
    assert_eq!(status(&[], "\u{1b}[31mno\r\nmore"), "[31mno");
    assert_eq!(status(&[], ""), "");
    assert_eq!(status(&[], &"x".repeat(100_000)).len(), 512);
    assert_eq!(status(&[], &format!("the key {KEY}")), "the key ***");
}

#[test]
fn limits_are_read_on_every_answer() {
    let limit = |seconds, categories: &[&str]| RateLimit {
        lasts: Duration::from_secs(seconds),
        categories: categories.iter().map(|&it| it.to_owned()).collect(),
    };
    let limits = |reply_with| reply(reply_with, LONG).0.expect("an answer").limits;
    let header = "60:error;attachment:organization, 5::key".to_owned();
    let expected = vec![limit(60, &["error", "attachment"]), limit(5, &[])];
    assert_eq!(limits(Reply::RateLimit(header.clone())), expected);
    let headers = vec![("x-sentry-rate-limits".to_owned(), header)];
    assert_eq!(limits(Reply::Status(200, headers, Vec::new())), expected);
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    assert_eq!(limits(Reply::Status(429, headers, Vec::new())), vec![limit(7, &[])]);
    assert_eq!(limits(Reply::status(429)), vec![limit(60, &[])]);
}

#[test]
fn a_redirect_is_an_answer() {
    let elsewhere = Faulty::always(Reply::Ok200);
    let target = format!("http://user:secret@{}/other?token=1", elsewhere.addr());
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("Location".to_owned(), target.clone())];
        let (answer, _) = reply(Reply::Status(status, headers, Vec::new()), LONG);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status);
        let place = format!("a redirect to http://{}/other, ", elsewhere.addr());
        assert!(answer.words.starts_with(&place), "{}", answer.words);
        assert!(matches!(Outcome::of(&Ok(answer)), Outcome::WrongDsn { .. }));
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[test]
fn what_breaks_is_broken_and_sent_once() {
    let cases = [Reply::AcceptThenReset, Reply::DropBeforeRead, Reply::HalfStatus, Reply::Garbage];
    for case in cases {
        let (result, server) = reply(case.clone(), LONG);
        fails_at(result, Stage::Broken);
        assert_eq!((server.requests(), server.connections()), (1, 1), "{case:?}");
    }
}

#[test]
fn a_connection_that_breaks_when_it_is_used_again_costs_no_second_request() {
    let server = Faulty::start(|number| match number % 2 {
        0 => Reply::Ok200,
        _ => Reply::AcceptThenReset,
    });
    let client = client(&[]);
    for number in 0..20 {
        let result = client.post(&server.dsn(), &envelope(), LONG);
        assert_eq!(result.is_ok(), number % 2 == 0, "{result:?}");
    }
    assert_eq!(server.requests(), 20);
}

#[test]
fn a_connection_serves_again_while_answers_are_whole() {
    let server = Faulty::always(Reply::Ok200);
    let client = client(&[]);
    for _ in 0..20 {
        client.post(&server.dsn(), &envelope(), LONG).expect("an answer");
    }
    assert_eq!(server.accepted_ids().len(), 20);
    assert!(server.connections() < 20, "{}", server.connections());
}

#[test]
fn silence_ends_with_the_limit() {
    for case in [Reply::StallForever, Reply::NeverRead, Reply::SlowBytes(SHORT)] {
        let (result, server) = reply(case, SHORT);
        assert_eq!(fails_at(result, Stage::Timeout), "");
        assert!(server.requests() <= 1);
    }
    let (result, _server) = reply(Reply::Ok200, Duration::ZERO);
    fails_at(result, Stage::Timeout);
}

#[test]
fn what_was_given_up_is_closed() {
    let server = Faulty::always(Reply::StallForever);
    fails_at(post(&server.dsn(), SHORT), Stage::Timeout);
    // It stalls until the connection ends.
    while server.open() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_certificate_store_that_stands_still_ends_with_the_limit() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().expect("a directory");
    // Opening a pipe that nobody writes to takes for ever.
    let pipe = directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let client = client(&[("SSL_CERT_FILE", pipe.to_str().expect("a path"))]);
    let result = client.post(&dsn("https", "127.0.0.1", 9), &envelope(), SHORT);
    assert_eq!(fails_at(result, Stage::Timeout), "");
    // Lets the thread go.
    drop(std::fs::OpenOptions::new().read(true).write(true).open(&pipe));
}

#[test]
fn slow_bytes_are_waited_for() {
    let (answer, _server) = reply(Reply::SlowBytes(Duration::from_millis(2)), LONG);
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn a_broken_body_takes_nothing_from_a_status() {
    for case in [Reply::HalfBody, Reply::StalledBody] {
        let (answer, server) = reply(case, LONG);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(server.accepted_ids(), [ID]);
    }
}

#[test]
fn a_name_without_address_and_a_port_without_server() {
    fails_at(post(&dsn("http", "no-such-host.invalid", 80), LONG), Stage::Resolve);
    let closed = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    fails_at(post(&dsn("http", "127.0.0.1", closed.port()), LONG), Stage::Connect);
    fails_at(post(&dsn("https", "127.0.0.1", closed.port()), LONG), Stage::Connect);
}

#[test]
fn an_address_of_ipv6_is_an_address() {
    let Ok(there) = TcpListener::bind("[::1]:0") else { return };
    let port = there.local_addr().expect("bound").port();
    drop(there);
    fails_at(post(&dsn("http", "[::1]", port), LONG), Stage::Connect);
}

#[test]
fn one_client_serves_many_threads_and_a_stall_disturbs_nobody() {
    let (server, stalled) = (Faulty::always(Reply::Ok200), Faulty::always(Reply::StallForever));
    let client = client(&[]);
    std::thread::scope(|scope| {
        for number in 0..32 {
            let (client, server, stalled) = (&client, &server, &stalled);
            scope.spawn(move || match number % 8 {
                0 => {
                    let result = client.post(&stalled.dsn(), &envelope(), SHORT);
                    drop(fails_at(result, Stage::Timeout));
                }
                _ => {
                    let answer = client.post(&server.dsn(), &envelope(), LONG);
                    assert_eq!(answer.expect("an answer").status, 200);
                }
            });
        }
    });
    assert_eq!(server.accepted_ids().len(), 28);
}

#[test]
fn thousands_of_requests_of_a_mixed_kind() {
    let server = Faulty::random(7, Reply::mixed());
    let client = client(&[]);
    let mut heard = 0;
    for _ in 0..2_000 {
        let result = client.post(&server.dsn(), &envelope(), LONG);
        heard += usize::from(Outcome::of(&result) == Outcome::Accepted);
    }
    // What was heard of was accepted, and nothing was sent but by us.
    assert_eq!(server.requests(), 2_000);
    assert!(heard > 0 && server.accepted_ids().len() >= heard);
}

#[test]
fn a_dropped_server_is_gone() {
    let server = Faulty::always(Reply::NeverRead);
    let address = server.addr();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
