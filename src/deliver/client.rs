//! Carries an envelope to a server over HTTP or HTTPS: a [`Client`].
//!
//! One call is at most one request: nothing is sent again behind the caller's back, and no redirect
//! is followed. Nothing waits for longer than the caller's limit, whatever it is that stands still: a
//! resolver, a certificate store on a dead network drive, a server that takes every byte and says
//! nothing. For that each request has a thread of its own, named [`THREAD`]; what it was doing is cut
//! off when time is up.
//!
//! An answer counts as soon as its status and headers are whole. A body that breaks off, or drags on,
//! takes nothing from that.
//!
//! What is lost: a server that answers before it has read the request, and hangs up, may not be
//! heard, unless the request is large. A resolver cannot be cut off, so its thread stays behind until
//! the system gives up. Where no thread can be had nothing is sent.

mod failure;
mod proxy;
mod request;
mod route;
mod words;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sentry::types::Dsn;
use tracing_core::dispatcher::{Dispatch, with_default};
use ureq::Agent;

use self::request::Request;
use self::route::Routes;
use super::{Answer, Courier, NotAnswered, Stage};
use crate::detect::hook;

/// What we call ourselves.
const NAME: &str = concat!("lastwords/", env!("CARGO_PKG_VERSION"));

/// The name of a thread that carries one envelope.
pub(crate) const THREAD: &str = "lastwords-http";

/// The longest a caller waits: what is longer is as good as for ever.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the words of an answer are waited for, once its status is known.
const WORDS: Duration = Duration::from_secs(2);

/// The same of a report that the server has taken.
const TAKEN: Duration = Duration::from_millis(200);

/// Carries envelopes over HTTP and HTTPS.
///
/// Certificates are the system's, or those `SSL_CERT_FILE` and `SSL_CERT_DIR` name; where the system
/// has none, a list built in. A proxy is taken from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
/// `NO_PROXY`, in capitals or not, and asked for a tunnel (`CONNECT`) for either kind of server.
pub struct Client {
    routes: Arc<Routes>,
}

impl Client {
    /// A client that has done nothing yet: certificates and the environment are read at the first
    /// [`post`](Courier::post) that needs them.
    #[must_use]
    pub fn new() -> Client {
        Client::with_environment(|name| env::var_os(name))
    }

    /// As [`new`](Client::new), with these variables in place of the process's own.
    #[must_use]
    pub fn with_environment(
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Client {
        Client { routes: Arc::new(Routes::new(Box::new(variable))) }
    }
}

impl Client {
    /// Whether requests to a server are sent to it without a proxy, as the environment has it.
    #[must_use]
    pub fn goes_directly(&self, dsn: &Dsn) -> bool {
        self.routes.goes_directly(dsn)
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Courier for Client {
    fn post(&self, dsn: &Dsn, envelope: &[u8], limit: Duration) -> Result<Answer, NotAnswered> {
        let begun = Instant::now();
        let limit = limit.min(FOR_EVER);
        let left = || limit.saturating_sub(begun.elapsed());
        let request = Request::new(dsn, envelope);
        let attempt = Arc::new(Attempt::default());
        let (sender, receiver) = mpsc::channel();
        let spawned = thread::Builder::new().name(THREAD.to_owned()).spawn({
            let (routes, attempt) = (Arc::clone(&self.routes), Arc::clone(&attempt));
            // A panic here is none of the program's, and neither are log lines: a breadcrumb about
            // the sending of a report belongs in no report.
            move || {
                hook::ignore_this_thread();
                with_default(&Dispatch::none(), || carry(&routes, &request, &attempt, &sender));
            }
        });
        if let Err(error) = spawned {
            let words = format!("no thread can be started: {error}");
            return Err(NotAnswered { at: Stage::Connect, words });
        }
        let mut answer = receiver.recv_timeout(left()).unwrap_or_else(|error| Err(silence(error)));
        if let Ok(known) = &answer {
            // What a server says of what it has taken is worth no wait, only its connection is.
            let worth = if (200..300).contains(&known.status) { TAKEN } else { WORDS };
            answer = receiver.recv_timeout(left().min(worth)).unwrap_or(answer);
        }
        attempt.give_up();
        answer
    }
}

/// What it means that the thread which carries a request said nothing.
fn silence(error: RecvTimeoutError) -> NotAnswered {
    match error {
        RecvTimeoutError::Timeout => NotAnswered { at: Stage::Timeout, words: String::new() },
        RecvTimeoutError::Disconnected => {
            NotAnswered { at: Stage::Broken, words: "the HTTP client panicked".to_owned() }
        }
    }
}

/// Carries a request, and hands over its answer twice: when it is known, and with its words.
fn carry(
    routes: &Routes,
    request: &Request,
    attempt: &Attempt,
    sender: &Sender<Result<Answer, NotAnswered>>,
) {
    // Nobody listens any more where sending fails.
    match routes.agent_for(request) {
        Err(error) => drop(sender.send(Err(error))),
        Ok(routed) if !attempt.begin(&routed.agent) => drop(routed),
        Ok(routed) => match request.send(&routed) {
            Err(error) => drop(sender.send(Err(error))),
            Ok(mut response) => {
                let head = request.answer(&response);
                drop(sender.send(Ok(head.clone())));
                let answer = request.with_words(head, &mut response);
                drop(response);
                if attempt.end() {
                    routes.keep(routed);
                }
                drop(sender.send(Ok(answer)));
            }
        },
    }
}

/// One request under way, which its caller may give up.
#[derive(Debug, Default)]
struct Attempt(Mutex<Progress>);

#[derive(Debug, Default)]
enum Progress {
    #[default]
    Preparing,
    Sending(Agent),
    Over,
}

impl Attempt {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller still waits, so that sending may begin.
    fn begin(&self, agent: &Agent) -> bool {
        let mut progress = self.progress();
        let waits = matches!(*progress, Progress::Preparing);
        if waits {
            *progress = Progress::Sending(agent.clone());
        }
        waits
    }

    /// Whether it came to its end before it was given up.
    fn end(&self) -> bool {
        matches!(std::mem::replace(&mut *self.progress(), Progress::Over), Progress::Sending(_))
    }

    /// Closes the connection under the thread that uses it, if it still does.
    fn give_up(&self) {
        let progress = std::mem::replace(&mut *self.progress(), Progress::Over);
        if let Progress::Sending(agent) = progress {
            agent.shutdown();
        }
    }
}
