//! A server that takes every envelope, and keeps it by its project.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::read::GzDecoder;

use super::envelope::Envelope;

/// It listens until this process ends.
pub struct Server {
    port: u16,
    /// Bodies of requests, decompressed, by the path they were sent to.
    taken: Arc<Mutex<HashMap<String, Vec<Vec<u8>>>>>,
}

/// What a request's head says of its body.
struct Head {
    path: String,
    length: usize,
    is_gzip: bool,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let taken = Arc::<Mutex<HashMap<String, Vec<Vec<u8>>>>>::default();
        let keep = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                thread::spawn(move || {
                    serve(stream, |path, body| {
                        keep.lock().expect("not poisoned").entry(path).or_default().push(body);
                    })
                });
            }
        });
        Server { port, taken }
    }

    /// The DSN of a project, which keeps its envelopes apart from the others'.
    pub fn dsn(&self, project: usize) -> String {
        format!("http://key@127.0.0.1:{}/{project}", self.port)
    }

    /// All envelopes of a project so far.
    pub fn envelopes(&self, project: usize) -> Vec<Envelope> {
        let taken = self.taken.lock().expect("not poisoned");
        let bodies = taken.get(&format!("/api/{project}/envelope/"));
        bodies.into_iter().flatten().map(|body| Envelope::read(body)).collect()
    }
}

/// Takes the requests of one connection; a request is kept before it is answered.
fn serve(stream: TcpStream, keep: impl Fn(String, Vec<u8>)) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader) {
        let mut body = vec![0; head.length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if head.is_gzip {
            let compressed = std::mem::take(&mut body);
            GzDecoder::new(&compressed[..]).read_to_end(&mut body).expect("it is gzip");
        }
        keep(head.path, body);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// The next request's head; `None` once the client has closed the connection.
fn head(reader: &mut impl BufRead) -> Option<Head> {
    let mut lines = reader.lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut head = Head { path, length: 0, is_gzip: false };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => head.length = value.parse().expect("a length"),
            ("content-encoding", value) => head.is_gzip = value == "gzip",
            ("transfer-encoding", value) => panic!("a body of unknown length: {value}"),
            _ => {}
        }
    }
    Some(head)
}
