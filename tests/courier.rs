//! The HTTP client against a server that misbehaves in every way we could think of.
#![cfg(unix)]

mod faulty;

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use faulty::{Authority, Faulty, Identity, KEY, Proxy, Reply, dsn};
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

/// A client that trusts `authority`.
fn trusting(authority: &Authority, directory: &Path) -> Client {
    let file = directory.join("authority.pem");
    authority.write(&file);
    client(&[("SSL_CERT_FILE", file.to_str().expect("a path"))])
}

#[test]
fn tls_with_an_authority_that_is_trusted() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let server = Faulty::with_tls(&authority, Identity::Good, Reply::Ok200);
    let client = trusting(&authority, directory.path());
    for host in ["127.0.0.1", "localhost"] {
        for _ in 0..3 {
            let answer = client.post(&server.dsn_at(host), &envelope(), LONG);
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    assert_eq!(server.accepted_ids().len(), 6);
    // The same by a directory.
    let path = directory.path().to_str().expect("a path");
    let client = self::client(&[("SSL_CERT_DIR", path)]);
    assert_eq!(client.post(&server.dsn(), &envelope(), LONG).expect("an answer").status, 200);
}

#[test]
fn a_wrong_certificate_is_no_answer() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    for identity in [Identity::WrongHost, Identity::Expired, Identity::SelfSigned] {
        let server = Faulty::with_tls(&authority, identity, Reply::Ok200);
        let client = trusting(&authority, directory.path());
        let words = fails_at(client.post(&server.dsn(), &envelope(), LONG), Stage::Tls);
        assert!(words.contains("certificate"), "{identity:?}: {words}");
        assert_eq!(server.requests(), 0);
    }
}

#[test]
fn an_authority_that_nobody_named_is_not_trusted() {
    let server = Faulty::with_tls(&Authority::new(), Identity::Good, Reply::Ok200);
    for variables in [&[][..], &[("SSL_CERT_FILE", "/nowhere/at-all.pem")]] {
        let result = client(variables).post(&server.dsn(), &envelope(), LONG);
        fails_at(result, Stage::Tls);
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_server_that_speaks_no_tls() {
    let cases = [
        (Reply::EarlyStatus(400), LONG, &[Stage::Tls][..]),
        // One that hangs up at once may reset the connection.
        (Reply::DropBeforeRead, LONG, &[Stage::Tls, Stage::Broken]),
        // One that waits for the end of a request says nothing.
        (Reply::Ok200, SHORT, &[Stage::Tls, Stage::Timeout]),
    ];
    for (case, limit, stages) in cases {
        let server = Faulty::always(case.clone());
        let result = post(&dsn("https", "127.0.0.1", server.addr().port()), limit);
        let error = result.expect_err("no answer");
        assert!(stages.contains(&error.at), "{case:?}: {error}");
        assert!(server.accepted_ids().is_empty());
    }
}

#[test]
fn faults_behind_tls_are_the_same() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let client = trusting(&authority, directory.path());
    let cases = [
        (Reply::AcceptThenReset, LONG, Stage::Broken),
        (Reply::DropBeforeRead, LONG, Stage::Broken),
        (Reply::HalfStatus, LONG, Stage::Broken),
        (Reply::Garbage, LONG, Stage::Broken),
        (Reply::StallForever, SHORT, Stage::Timeout),
    ];
    for (case, limit, at) in cases {
        let server = Faulty::with_tls(&authority, Identity::Good, case);
        fails_at(client.post(&server.dsn(), &envelope(), limit), at);
        assert!(server.requests() <= 1);
    }
    let server = Faulty::with_tls(&authority, Identity::Good, Reply::HalfBody);
    assert_eq!(client.post(&server.dsn(), &envelope(), LONG).expect("an answer").status, 200);
}

#[test]
fn a_proxy_leads_to_servers_of_both_kinds() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let file = directory.path().join("authority.pem");
    authority.write(&file);
    let plain = Faulty::always(Reply::Ok200);
    let secret = Faulty::with_tls(&authority, Identity::Good, Reply::Ok200);
    for (server, variable) in [(plain, "HTTP_PROXY"), (secret, "https_proxy")] {
        let proxy = Proxy::to(server.addr());
        let url = proxy.url().replace("//", "//user:p%40ss@");
        let certificates = ("SSL_CERT_FILE", file.to_str().expect("a path"));
        let client = client(&[(variable, &url), certificates]);
        // Only the proxy knows this name.
        let answer = client.post(&server.dsn_at("sentry.test"), &envelope(), LONG);
        assert_eq!(answer.expect("an answer").status, 200);
        assert_eq!(server.accepted_ids(), [ID]);
        let head = proxy.passed().concat();
        let line = format!("CONNECT sentry.test:{} HTTP/1.1", server.addr().port());
        assert_eq!(head[0], line);
        assert!(head.contains(&"Proxy-Authorization: Basic dXNlcjpwQHNz".to_owned()), "{head:?}");
        assert!(head.iter().all(|line| !line.contains(KEY)), "{head:?}");
    }
}

#[test]
fn a_server_in_no_proxy_is_spoken_to_directly() {
    let server = Faulty::always(Reply::Ok200);
    let proxy = Proxy::refusing();
    let url = proxy.url();
    let client = client(&[("ALL_PROXY", &url), ("NO_PROXY", "10.0.0.1, 127.0.0.0/8")]);
    assert_eq!(client.post(&server.dsn(), &envelope(), LONG).expect("an answer").status, 200);
    assert!(proxy.passed().is_empty());
    // By another name it goes through the proxy.
    let words =
        fails_at(client.post(&server.dsn_at("localhost"), &envelope(), LONG), Stage::Connect);
    assert!(words.contains(&proxy.addr().to_string()) && words.contains("407"), "{words}");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let url = "http://user:secret@no-such-proxy.invalid:3128";
    let client = client(&[("ALL_PROXY", url)]);
    let words =
        fails_at(client.post(&dsn("http", "a.test", 80), &envelope(), LONG), Stage::Resolve);
    assert!(words.contains("no-such-proxy.invalid:3128") && !words.contains("secret"), "{words}");
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
fn ten_thousand_requests_of_a_mixed_kind() {
    let server = Faulty::random(7, Reply::mixed());
    let client = client(&[]);
    let mut heard = 0;
    for _ in 0..10_000 {
        let result = client.post(&server.dsn(), &envelope(), LONG);
        heard += usize::from(Outcome::of(&result) == Outcome::Accepted);
    }
    // What was heard of was accepted, and nothing was sent but by us.
    assert_eq!(server.requests(), 10_000);
    assert!(heard > 0 && server.accepted_ids().len() >= heard);
}

#[test]
fn a_dropped_server_is_gone() {
    let server = Faulty::always(Reply::NeverRead);
    let address = server.addr();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
