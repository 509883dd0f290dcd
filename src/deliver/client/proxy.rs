//! Which proxy leads to a server, by the usual variables.
//!
//! `https_proxy` or `HTTPS_PROXY` for HTTPS, `http_proxy` or `HTTP_PROXY` for HTTP, then `all_proxy`
//! or `ALL_PROXY`: the first that is not empty. `no_proxy` or `NO_PROXY` names the servers that are
//! spoken to directly:
//!
//! ```text
//! *                        every one
//! example.com              it, and what is below it
//! .example.com             only what is below it
//! 10.0.0.7   fd00::/8      an address, or a network
//! example.com:8443         any of these at one port
//! ```
//!
//! A proxy that cannot be used fails the request: around it there may be no way, or none that is
//! allowed. What is lost: SOCKS proxies, and networks of servers that are given by name.

use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use super::super::{NotAnswered, Stage};

/// What the environment says.
#[derive(Debug)]
pub(super) struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    direct: Vec<Direct>,
}

/// A proxy, or what is wrong with it.
type Named = Result<Proxy, String>;

impl Proxies {
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then(|| ((*name).to_owned(), value))
            });
            values.next()
        };
        let proxy = |names| first(names).map(|(name, value)| proxy(&name, &value));
        let direct = first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default();
        Proxies {
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: proxy(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: direct.split([',', ' ', '\t']).filter_map(Direct::read).collect(),
        }
    }

    /// The proxy that leads to a server, if one does.
    pub(super) fn to(
        &self,
        tls: bool,
        host: &str,
        port: u16,
    ) -> Result<Option<Proxy>, NotAnswered> {
        let Some(named) = (if tls { &self.https } else { &self.http }) else { return Ok(None) };
        let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
        if self.direct.iter().any(|direct| direct.names(&host, port)) {
            return Ok(None);
        }
        let refused = |words: &String| NotAnswered { at: Stage::Connect, words: words.clone() };
        named.as_ref().map(|proxy| Some(proxy.clone())).map_err(refused)
    }
}

fn proxy(name: &str, value: &str) -> Named {
    let proxy = Proxy::new(value).map_err(|_| format!("{name} is not the address of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        other => Err(format!("{name} names a {other} proxy, which is not supported")),
    }
}

/// An entry of `no_proxy`.
#[derive(Debug)]
struct Direct {
    to: To,
    port: Option<u16>,
}

#[derive(Debug)]
enum To {
    All,
    /// A name and what is below it.
    Domain(String),
    /// What is below a name; begins with a dot.
    Below(String),
    /// An address and how many of its bits count.
    Network(IpAddr, u32),
}

impl Direct {
    fn read(entry: &str) -> Option<Direct> {
        let entry = entry.trim().to_ascii_lowercase();
        let (host, port) = match entry.rsplit_once(':') {
            // More than one colon, and no brackets: an IPv6 address.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (entry.as_str(), None),
        };
        Some(Direct { to: To::read(bare(host))?, port })
    }

    fn names(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|own| own == port) && self.to.names(host)
    }
}

impl To {
    fn read(host: &str) -> Option<To> {
        if let Ok(address) = host.parse() {
            return Some(To::Network(address, u32::MAX));
        }
        if let Some((address, bits)) = host.split_once('/') {
            return Some(To::Network(address.parse().ok()?, bits.parse().ok()?));
        }
        let host = host.trim_end_matches('.');
        match host.strip_prefix('*').unwrap_or(host) {
            "" if host == "*" => Some(To::All),
            "" | "." => None,
            below if below.starts_with('.') => Some(To::Below(below.to_owned())),
            name => Some(To::Domain(name.to_owned())),
        }
    }

    fn names(&self, host: &str) -> bool {
        match self {
            To::All => true,
            To::Below(below) => host.ends_with(below.as_str()),
            To::Domain(name) => {
                let before = host.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            To::Network(address, bits) => {
                host.parse().is_ok_and(|host: IpAddr| same_network(host, *address, *bits))
            }
        }
    }
}

fn same_network(a: IpAddr, b: IpAddr, bits: u32) -> bool {
    // Both in the upper bits of as many as an IPv6 address has.
    let (a, b, width) = match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (u128::from(a.to_bits()) << 96, u128::from(b.to_bits()) << 96, 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let ignored = 128 - bits.min(width);
    (a ^ b).checked_shr(ignored).unwrap_or_default() == 0
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn host(proxies: &Proxies, tls: bool) -> Option<String> {
        proxies.to(tls, "example.com", 443).unwrap().map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let each = proxies(&[("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2")]);
        assert_eq!(host(&each, true).as_deref(), Some("a"));
        assert_eq!(host(&each, false).as_deref(), Some("b"));
        let all = proxies(&[("https_proxy", " "), ("HTTPS_PROXY", "a"), ("ALL_PROXY", "c")]);
        assert_eq!(host(&all, true).as_deref(), Some("a"));
        assert_eq!(host(&all, false).as_deref(), Some("c"));
        assert_eq!(host(&proxies(&[("HTTP_PROXY", "a")]), true), None);
        assert_eq!(host(&proxies(&[]), false), None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_fails_the_request() {
        for value in ["socks5://a:1", "ftp://a", "http://", "http://a b"] {
            let refused = proxies(&[("ALL_PROXY", value)]).to(true, "example.com", 443);
            let refused = refused.expect_err(value);
            assert_eq!(refused.at, Stage::Connect);
            assert!(refused.words.starts_with("ALL_PROXY "), "{}", refused.words);
        }
    }

    #[test]
    fn no_proxy_names_servers() {
        let yes = [
            ("*", "anything.com", 1),
            ("example.com", "example.com", 1),
            ("example.com", "EXAMPLE.com.", 1),
            ("Example.com.", "a.b.example.com", 1),
            (".example.com", "a.example.com", 1),
            ("*.example.com", "a.b.example.com", 1),
            ("example.com:8443", "example.com", 8443),
            ("a, ,b\tc example.com", "example.com", 1),
            ("10.0.0.7", "10.0.0.7", 1),
            ("10.0.0.7:80", "10.0.0.7", 80),
            ("10.0.0.0/8", "10.200.1.1", 1),
            ("0.0.0.0/0", "10.200.1.1", 1),
            ("10.0.0.7/32", "10.0.0.7", 1),
            ("10.0.0.7/99", "10.0.0.7", 1),
            ("::1", "[::1]", 1),
            ("[::1]:80", "[::1]", 80),
            ("fd00::/8", "fd12:3456::1", 1),
            ("127.0.0.1", "::ffff:127.0.0.1", 1),
        ];
        let no = [
            ("", "example.com", 1),
            ("example.com", "notexample.com", 1),
            ("example.com", "example.com.org", 1),
            (".example.com", "example.com", 1),
            (".", "example.com", 1),
            ("example.com:8443", "example.com", 443),
            ("example.com:https", "example.com", 443),
            ("10.0.0.0/8", "11.0.0.1", 1),
            ("10.0.0.0/x", "10.0.0.1", 1),
            ("10.0.0.0/8", "fd00::1", 1),
            ("fd00::/8", "fe00::1", 1),
            ("10.0.0.7", "10.0.0.7.example.com", 1),
        ];
        for (cases, expected) in [(&yes[..], true), (&no[..], false)] {
            for (list, host, port) in cases {
                let proxies = proxies(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", list)]);
                let direct = proxies.to(true, host, *port).unwrap().is_none();
                assert_eq!(direct, expected, "{list:?} and {host}:{port}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_list_can_be_read(list in ".{0,60}|[0-9a-f:./*,\\[\\]]{0,60}", host in "[a-z0-9.:]{1,20}") {
            let proxies = proxies(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", &list)]);
            let _ = proxies.to(true, &host, 443);
        }
    }
}
