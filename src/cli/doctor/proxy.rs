//! Which proxy leads to a server, by the usual variables.

/// The variable that names the proxy to a server, and the proxy without what is secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The variable.
    pub variable: &'static str,
    /// `http://proxy.internal:3128`, without user and password.
    pub address: String,
}

/// The proxy for `scheme`, if the environment names one. Whether `no_proxy` leads around it the client
/// knows.
pub fn find(scheme: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<Proxy> {
    let names: [&'static str; 4] = match scheme {
        "https" => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    names.into_iter().find_map(|variable| {
        let value = env(variable).filter(|value| !value.trim().is_empty())?;
        Some(Proxy { variable, address: without_secrets(value.trim()) })
    })
}

fn without_secrets(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    // A password may hold an @ too: what follows the last one is the host.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_not_empty_counts() {
        let env = |name: &str| match name {
            "https_proxy" => Some(" ".to_owned()),
            "HTTPS_PROXY" => Some("http://user:p@ss@proxy:3128/x?y".to_owned()),
            "ALL_PROXY" => Some("other:1".to_owned()),
            _ => None,
        };
        let found = find("https", &env).unwrap();
        assert_eq!(found, Proxy { variable: "HTTPS_PROXY", address: "http://proxy:3128".into() });
        assert_eq!(find("http", &env).map(|proxy| proxy.variable), Some("ALL_PROXY"));
        assert_eq!(find("http", &|_| None), None);
    }
}
