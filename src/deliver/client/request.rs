//! One request, ready to go, and how its answer is read.

use std::io::{Read, Write};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use sentry::types::Dsn;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{HeaderMap, RETRY_AFTER};

use super::super::limits;
use super::super::{Answer, NotAnswered};
use super::NAME;
use super::failure;
use super::route::Routed;
use super::words::{self, Keys};

/// How much of an answer's body is read.
const BODY: u64 = 4096;

/// From this size on the server is asked before the body is sent: one that finds it too large says
/// so and hangs up, which a client that is still writing takes for a broken connection.
const LARGE: usize = 1024 * 1024;

/// An envelope packed for a server.
pub(super) struct Request {
    pub(super) dsn: Dsn,
    url: String,
    body: Vec<u8>,
    keys: Keys,
}

impl Request {
    pub(super) fn new(dsn: &Dsn, envelope: &[u8]) -> Request {
        Request {
            dsn: dsn.clone(),
            url: dsn.envelope_api_url().to_string(),
            body: gzip(envelope),
            keys: Keys::of(dsn),
        }
    }

    pub(super) fn send(&self, routed: &Routed) -> Result<Response<Body>, NotAnswered> {
        let mut post = routed
            .agent
            .post(&self.url)
            .header("Content-Type", "application/x-sentry-envelope")
            .header("Content-Encoding", "gzip")
            .header("X-Sentry-Auth", self.dsn.to_auth(Some(NAME)).to_string());
        if self.body.len() > LARGE {
            post = post.header("Expect", "100-continue");
        }
        post.send(&self.body[..]).map_err(|error| {
            let through = routed.route.proxy.as_ref();
            let error = failure::of(&error, routed.route.tls, through);
            NotAnswered { words: self.keys.one_line(&error.words), ..error }
        })
    }

    /// What status and headers say.
    pub(super) fn answer(&self, response: &Response<Body>) -> Answer {
        let headers = response.headers();
        let status = response.status().as_u16();
        let rate_limits = headers.get_all("X-Sentry-Rate-Limits").iter();
        let rate_limits = rate_limits.filter_map(|value| value.to_str().ok());
        let retry_after = text(headers, RETRY_AFTER.as_str());
        let limits = limits::of(status, rate_limits, retry_after, SystemTime::now());
        let words = match text(headers, "X-Sentry-Error") {
            Some(error) => error.to_owned(),
            None if response.status().is_redirection() => {
                words::redirect(&self.dsn, text(headers, "Location"))
            }
            None => String::new(),
        };
        Answer { status, limits, words: self.keys.one_line(&words) }
    }

    /// The answer, with the words of its body where its headers had none. The body is read to its
    /// end, if that is near, so that the connection can be used again.
    pub(super) fn with_words(&self, head: Answer, response: &mut Response<Body>) -> Answer {
        let mut body = Vec::new();
        // What came before it broke is as good as any.
        let _ = response.body_mut().as_reader().take(BODY).read_to_end(&mut body);
        match head.words.is_empty() {
            true => Answer { words: self.keys.one_line(&words::of_body(&body)), ..head },
            false => head,
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = packed.write_all(bytes);
    packed.finish().unwrap_or_default()
}
