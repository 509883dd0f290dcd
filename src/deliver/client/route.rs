//! Ways to a server: directly or through a proxy, with the certificates that are trusted, and the
//! connection that is left from the last request.
//!
//! A connection serves again only within a second of its last answer, which is before any server
//! closes it. ureq never sends a request twice, so one that is closed all the same costs one failure
//! and no duplicate.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use sentry::types::{Dsn, Scheme};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::super::NotAnswered;
use super::NAME;
use super::proxy::Proxies;
use super::request::Request;

/// The longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(1);

/// The value of a variable.
pub(super) type Environment = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// What is found out once, and the last agent.
pub(super) struct Routes {
    environment: Environment,
    proxies: OnceLock<Proxies>,
    roots: OnceLock<RootCerts>,
    last: Mutex<Option<Routed>>,
}

/// A way to a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Whether the server speaks TLS.
    pub(super) tls: bool,
    pub(super) proxy: Option<Proxy>,
}

/// An agent and the way it goes. One request has it to itself.
pub(super) struct Routed {
    pub(super) route: Route,
    pub(super) agent: Agent,
}

impl Routes {
    pub(super) fn new(environment: Environment) -> Routes {
        let (proxies, roots, last) = Default::default();
        Routes { environment, proxies, roots, last }
    }

    /// Whether no proxy leads to a server.
    pub(super) fn goes_directly(&self, dsn: &Dsn) -> bool {
        let variable = |name: &str| Some((self.environment)(name)?.to_string_lossy().into_owned());
        let tls = dsn.scheme() == Scheme::Https;
        matches!(Proxies::read(variable).to(tls, dsn.host(), dsn.port()), Ok(None))
    }

    /// An agent for a request: the last one, if it goes the same way and nobody else has it.
    pub(super) fn agent_for(&self, request: &Request) -> Result<Routed, NotAnswered> {
        let variable = |name: &str| Some((self.environment)(name)?.to_string_lossy().into_owned());
        let proxies = self.proxies.get_or_init(|| Proxies::read(variable));
        let dsn = &request.dsn;
        let tls = dsn.scheme() == Scheme::Https;
        let route = Route { tls, proxy: proxies.to(tls, dsn.host(), dsn.port())? };
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(match last {
            Some(last) if last.route == route => last,
            _ => Routed { agent: self.agent(&route), route },
        })
    }

    /// Keeps an agent whose request ended well.
    pub(super) fn keep(&self, routed: Routed) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(routed);
    }

    fn agent(&self, route: &Route) -> Agent {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(route.proxy.clone())
            .user_agent(NAME)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(IDLE);
        let secret_proxy = |proxy: &Proxy| proxy.protocol() == ProxyProtocol::Https;
        if route.tls || route.proxy.as_ref().is_some_and(secret_proxy) {
            let roots = self.roots.get_or_init(|| roots(&self.environment)).clone();
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        config.build().into()
    }
}

/// The certificates that are trusted. Where somebody named some, only those, even if there are none:
/// a list built in would be more than was asked for.
fn roots(environment: &Environment) -> RootCerts {
    let named = |name| environment(name).filter(|value| !value.is_empty());
    let (file, directories) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    let is_named = file.is_some() || directories.is_some();
    let mut found = match is_named {
        true => load_certs_from_paths(file.as_deref().map(Path::new), None).certs,
        false => load_native_certs().certs,
    };
    for directory in env::split_paths(&directories.unwrap_or_default()) {
        found.extend(load_certs_from_paths(None, Some(&directory)).certs);
    }
    if found.is_empty() && !is_named {
        return RootCerts::WebPki;
    }
    let certificates = found.iter().map(|found| Certificate::from_der(found).to_owned());
    RootCerts::Specific(Arc::new(certificates.collect()))
}
