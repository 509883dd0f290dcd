//! A proxy that makes tunnels to one server, whatever name it is asked for.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A proxy. It is gone when this is dropped; tunnels end with their connections.
pub struct Proxy {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<Vec<String>>>>,
    stopped: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Proxy {
    /// One whose tunnels all lead to `server`.
    pub fn to(server: SocketAddr) -> Proxy {
        Proxy::start(Some(server))
    }

    /// One that makes no tunnels.
    pub fn refusing() -> Proxy {
        Proxy::start(None)
    }

    fn start(server: Option<SocketAddr>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let passed = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let accepts = thread::spawn({
            let (passed, stopped) = (Arc::clone(&passed), Arc::clone(&stopped));
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let passed = Arc::clone(&passed);
                    thread::spawn(move || tunnel(stream?, server, &passed));
                }
            }
        });
        Proxy { address, passed, stopped, accepts: Some(accepts) }
    }

    /// What a proxy's variable says.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The lines of each request's head.
    pub fn passed(&self) -> Vec<Vec<String>> {
        self.passed.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accepts) = self.accepts.take() {
            let _ = accepts.join();
        }
    }
}

fn tunnel(
    mut client: TcpStream,
    server: Option<SocketAddr>,
    passed: &Mutex<Vec<Vec<String>>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    passed.lock().unwrap().push(head);
    let Some(server) = server else {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    };
    let mut server = TcpStream::connect(server)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut back, mut forth) = (server.try_clone()?, client.try_clone()?);
    let other = thread::spawn(move || {
        let _ = io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut reader, &mut server);
    let _ = server.shutdown(Shutdown::Both);
    let _ = other.join();
    Ok(())
}
