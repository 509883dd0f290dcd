//! What a faulty server does with a request: a [`Reply`].

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use super::request::Wire;

/// What is done with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Accepts it and says so.
    Ok200,
    /// Answers so; accepts it if that is a 2xx.
    Status(u16, Vec<(String, String)>, Vec<u8>),
    /// 429 with this `X-Sentry-Rate-Limits`.
    RateLimit(String),
    /// Accepts it, then resets the connection without an answer.
    AcceptThenReset,
    /// Hangs up at the first byte.
    DropBeforeRead,
    /// Accepts it and never answers.
    StallForever,
    /// Never reads it, and keeps the connection.
    NeverRead,
    /// Answers so without having read it, and hangs up.
    EarlyStatus(u16),
    /// Accepts it, sends half a status line, and hangs up.
    HalfStatus,
    /// Accepts it, sends status and headers, half a body, and hangs up.
    HalfBody,
    /// Accepts it, sends status and headers, half a body, and no more.
    StalledBody,
    /// Reads it and answers what is not HTTP.
    Garbage,
    /// Accepts it and says so, with such a pause before each byte.
    SlowBytes(Duration),
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Status(status, Vec::new(), Vec::new())
    }

    /// Every way to answer or not that ends by itself, accepting or not.
    pub fn mixed() -> Vec<Reply> {
        let busy = vec![("Retry-After".to_owned(), "1".to_owned())];
        vec![
            Reply::Ok200,
            Reply::Ok200,
            Reply::Ok200,
            Reply::AcceptThenReset,
            Reply::DropBeforeRead,
            Reply::HalfStatus,
            Reply::HalfBody,
            Reply::Garbage,
            Reply::status(502),
            Reply::Status(503, busy, Vec::new()),
        ]
    }

    pub(super) fn reads(&self) -> bool {
        !matches!(self, Reply::DropBeforeRead | Reply::NeverRead | Reply::EarlyStatus(_))
    }

    pub(super) fn accepts(&self) -> bool {
        match self {
            Reply::Status(status, ..) => (200..300).contains(status),
            Reply::RateLimit(_) | Reply::Garbage => false,
            _ => self.reads(),
        }
    }

    /// Plays what does not read the request.
    pub(super) fn play_unread(&self, mut wire: Wire, wait_for_stop: impl Fn()) {
        match self {
            Reply::NeverRead => wait_for_stop(),
            Reply::EarlyStatus(status) => {
                wire.write(&response(*status, &[("Connection", "close")], b"too early"));
                wire.hang_up();
            }
            _ => {}
        }
    }

    /// Answers a request that was read. Gives the connection back if it can serve another.
    pub(super) fn play(&self, mut wire: Wire) -> Option<Wire> {
        match self {
            Reply::Ok200 => wire.write(&response(200, &[], b"{\"id\":\"taken\"}")),
            Reply::Status(status, headers, body) => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                wire.write(&response(*status, &headers, body));
            }
            Reply::RateLimit(limits) => {
                wire.write(&response(429, &[("X-Sentry-Rate-Limits", limits)], b""));
            }
            Reply::SlowBytes(pause) => {
                for byte in response(200, &[], b"{}") {
                    thread::sleep(*pause);
                    wire.write(&[byte]);
                }
            }
            _ => {
                self.break_off(wire);
                return None;
            }
        }
        Some(wire)
    }

    /// The answers that cost the connection.
    fn break_off(&self, mut wire: Wire) {
        const HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        match self {
            Reply::AcceptThenReset => return wire.reset(),
            Reply::StallForever => return wire.wait_for_end(),
            Reply::HalfStatus => wire.write(b"HTTP/1.1 20"),
            Reply::HalfBody => wire.write(HALF),
            Reply::StalledBody => {
                wire.write(HALF);
                wire.wait_for_end();
            }
            _ => wire.write(b"\x00\xff\x13\x37 this is no HTTP\r\n\r\n"),
        }
        wire.hang_up();
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Said\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
