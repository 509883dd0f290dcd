//! Ways to a server: certificates and proxies.

use std::path::Path;

use lastwords::deliver::{Client, Courier, Stage};

use super::faulty::{Authority, Faulty, Identity, KEY, Proxy, Reply, dsn};
use super::{ID, LONG, SHORT, client, envelope, fails_at, post};

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
    let client = super::client(&[("SSL_CERT_DIR", path)]);
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
