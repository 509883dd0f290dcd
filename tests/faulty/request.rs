//! The server's end of a connection, and the requests that come in on it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request's number, from 0.
    pub number: usize,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Unpacked.
    pub body: Vec<u8>,
    /// The id in the envelope's header.
    pub event_id: Option<String>,
}

impl Received {
    /// The value of a header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Wire {
        let own = socket.try_clone().expect("a descriptor");
        let stream: Box<dyn Stream> = match tls {
            Some(config) => {
                let server = ServerConnection::new(Arc::clone(config)).expect("a configuration");
                Box::new(StreamOwned::new(server, socket))
            }
            None => Box::new(socket),
        };
        Wire { stream: BufReader::new(stream), socket: own }
    }

    /// Waits for the first byte of a request; `false` if none will come.
    pub(super) fn has_begun(&mut self) -> bool {
        self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty())
    }

    pub(super) fn read_request(&mut self) -> Option<Received> {
        self.request().ok()
    }

    fn request(&mut self) -> io::Result<Received> {
        let line = self.line()?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (headers, body) = (Vec::new(), Vec::new());
        let mut received = Received { number: 0, path, headers, body, event_id: None };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            received.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if received.header("Expect").is_some() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = match received.header("Content-Length") {
            Some(length) => self.exactly(length.parse().expect("a length"))?,
            None => self.chunks()?,
        };
        received.body = match received.header("Content-Encoding") {
            Some("gzip") => {
                let mut unpacked = Vec::new();
                GzDecoder::new(&body[..]).read_to_end(&mut unpacked)?;
                unpacked
            }
            _ => body,
        };
        let header = received.body.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let header: Option<serde_json::Value> = serde_json::from_slice(header).ok();
        received.event_id = header.and_then(|it| Some(it.get("event_id")?.as_str()?.to_owned()));
        Ok(received)
    }

    pub(super) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            bytes.append(&mut self.exactly(length)?);
            self.line()?;
            if length == 0 {
                return Ok(bytes);
            }
        }
    }

    /// Whoever does not listen any more misses it.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        let _ = stream.write_all(bytes);
        let _ = stream.flush();
    }

    /// Reads until the other side is gone.
    pub(super) fn wait_for_end(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// Closes it with a reset.
    pub(super) fn reset(self) {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.socket, linger).expect("a socket");
    }

    /// Closes it so that what was written arrives, even if not all was read.
    pub(super) fn hang_up(mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
        self.wait_for_end();
    }
}
