//! What the library's errors mean: at which stage a request failed.

use std::io::{self, ErrorKind};

use ureq::{Error, Proxy};

use super::super::{NotAnswered, Stage};

/// How the standard library begins when a name has no address; it has no kind of its own for it.
const LOOKUP: &str = "failed to lookup address information";

pub(super) fn of(error: &Error, tls: bool, through: Option<&Proxy>) -> NotAnswered {
    let at = stage(error, tls);
    let words = match error {
        // The library would put "io:" before it.
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    let words = match through {
        Some(proxy) => format!("through the proxy {}:{}: {words}", proxy.host(), proxy.port()),
        None => words,
    };
    NotAnswered { at, words }
}

fn stage(error: &Error, tls: bool) -> Stage {
    match error {
        Error::Io(error) => of_io(error, tls),
        Error::Timeout(_) => Stage::Timeout,
        Error::HostNotFound => Stage::Resolve,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::TlsRequired => Stage::Tls,
        Error::ConnectionFailed
        | Error::ConnectProxyFailed(_)
        | Error::InvalidProxyUrl
        | Error::BadUri(_) => Stage::Connect,
        _ => Stage::Broken,
    }
}

fn of_io(error: &io::Error, tls: bool) -> Stage {
    let inner = error.get_ref();
    if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        return Stage::Tls;
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Stage::Timeout,
        // An end in the middle of a handshake is the one without words.
        ErrorKind::UnexpectedEof if tls && inner.is_none() => Stage::Tls,
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::WriteZero
        | ErrorKind::InvalidData => Stage::Broken,
        _ if error.to_string().starts_with(LOOKUP) => Stage::Resolve,
        // What `socket` and `connect` say: refused, unreachable, not permitted, no descriptors.
        _ => Stage::Connect,
    }
}
