//! A server that takes envelopes as Sentry does, and misbehaves on demand: a [`Faulty`].
//!
//! It listens on loopback, in the clear or with TLS, and keeps what it accepted: an envelope counts
//! as accepted from the moment before its answer is begun, whatever becomes of the answer.
#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]

mod authority;
mod proxy;
mod reply;
mod request;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use lastwords::sentry::types::Dsn;

pub use authority::{Authority, Identity};
pub use proxy::Proxy;
pub use reply::Reply;
pub use request::Received;

use request::Wire;

/// The key of every DSN of these servers.
pub const KEY: &str = "b70a31b3510c4cf793964a185cfe1fd0";

type Behaviour = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

/// A server. It is gone when this is dropped.
pub struct Faulty {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepts: Option<JoinHandle<()>>,
}

/// What its threads share.
struct Shared {
    behaviour: Mutex<Behaviour>,
    tls: Option<Arc<rustls::ServerConfig>>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    received: Mutex<Vec<Received>>,
    accepted: Mutex<Vec<Received>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    stopped: AtomicBool,
    stop: (Mutex<bool>, Condvar),
}

impl Faulty {
    /// Starts one that asks `behaviour` what to do with each request, by its number from 0.
    pub fn start(behaviour: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Faulty {
        Faulty::listen("http", None, Arc::new(behaviour))
    }

    /// One that does the same with each request.
    pub fn always(reply: Reply) -> Faulty {
        Faulty::start(move |_| reply.clone())
    }

    /// One where another one was, which does the same with each request.
    pub fn at(address: SocketAddr, reply: Reply) -> Faulty {
        let listener = TcpListener::bind(address).expect("nobody else took it");
        Faulty::serve("http", None, listener, Arc::new(move |_| reply.clone()))
    }

    /// One that takes from `replies` at random, the same for the same `seed`.
    pub fn random(seed: u64, replies: Vec<Reply>) -> Faulty {
        Faulty::start(move |number| {
            let random = mixed(seed.wrapping_add(number as u64));
            replies[(random % replies.len() as u64) as usize].clone()
        })
    }

    /// One that speaks TLS with a certificate of `identity`, and does the same with each request.
    pub fn with_tls(authority: &Authority, identity: Identity, reply: Reply) -> Faulty {
        let config = Some(authority.server(identity));
        Faulty::listen("https", config, Arc::new(move |_| reply.clone()))
    }

    fn listen(
        scheme: &'static str,
        tls: Option<Arc<rustls::ServerConfig>>,
        behaviour: Behaviour,
    ) -> Faulty {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        Faulty::serve(scheme, tls, listener, behaviour)
    }

    fn serve(
        scheme: &'static str,
        tls: Option<Arc<rustls::ServerConfig>>,
        listener: TcpListener,
        behaviour: Behaviour,
    ) -> Faulty {
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            tls,
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            received: Mutex::default(),
            accepted: Mutex::default(),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
            stop: Default::default(),
        });
        let accepts = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Faulty { address, scheme, shared, accepts: Some(accepts) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The DSN of project 42 on this server.
    pub fn dsn(&self) -> Dsn {
        self.dsn_at(&self.address.ip().to_string())
    }

    /// The same by a name of the host.
    pub fn dsn_at(&self, host: &str) -> Dsn {
        dsn(self.scheme, host, self.address.port())
    }

    /// Behaves otherwise from the next request on; numbers go on.
    pub fn set(&self, behaviour: impl Fn(usize) -> Reply + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// How many requests have begun to arrive.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.lock().unwrap().len()
    }

    /// Every request that arrived whole, accepted or not.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The requests that were accepted, the earliest first.
    pub fn accepted(&self) -> Vec<Received> {
        self.shared.accepted.lock().unwrap().clone()
    }

    /// The event ids of what was accepted, one for each time.
    pub fn accepted_ids(&self) -> Vec<String> {
        let accepted = self.shared.accepted.lock().unwrap();
        accepted.iter().map(|one| one.event_id.clone().unwrap_or_default()).collect()
    }
}

/// A DSN of project 42.
pub fn dsn(scheme: &str, host: &str, port: u16) -> Dsn {
    format!("{scheme}://{KEY}@{host}:{port}/42").parse().expect("a DSN")
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        *self.shared.stop.0.lock().unwrap() = true;
        self.shared.stop.1.notify_all();
        for stream in self.shared.open.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepts) = self.accepts.take() {
            let _ = accepts.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let number = self.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(self);
            thread::spawn(move || shared.connection(number, stream));
        }
    }

    fn connection(&self, number: usize, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        if let Ok(handle) = stream.try_clone() {
            self.open.lock().unwrap().insert(number, handle);
        }
        if !self.stopped.load(Ordering::SeqCst) {
            self.serve(Wire::new(stream, self.tls.as_ref()));
        }
        self.open.lock().unwrap().remove(&number);
    }

    /// Serves requests until one of them costs the connection.
    fn serve(&self, mut wire: Wire) {
        while wire.has_begun() {
            let number = self.requests.fetch_add(1, Ordering::SeqCst);
            let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
            let reply = behaviour(number);
            if !reply.reads() {
                return reply.play_unread(wire, || self.wait_for_stop());
            }
            let Some(mut received) = wire.read_request() else { return };
            received.number = number;
            self.received.lock().unwrap().push(received.clone());
            if reply.accepts() {
                self.accepted.lock().unwrap().push(received);
            }
            match reply.play(wire) {
                Some(again) => wire = again,
                None => return,
            }
        }
    }

    fn wait_for_stop(&self) {
        let (stopped, stop) = &self.stop;
        drop(stop.wait_while(stopped.lock().unwrap(), |stopped| !*stopped));
    }
}

/// A well mixed number for each number.
pub fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
