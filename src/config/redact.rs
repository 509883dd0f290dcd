//! DSNs without their key.
//!
//! A DSN's key is half a secret: whoever has it can send events. Problems, `doctor` and `Debug` texts
//! end in logs and issues, so none of them shows it.

use sentry::types::Dsn;

const MASK: &str = "***";

/// A letter-and-digit run of this length is taken for a key; Sentry's keys have 32.
const KEY_LIKE: usize = 16;

/// The DSN with `***` in place of its keys: `https://***@o1.ingest.sentry.io/42`.
pub fn redacted(dsn: &Dsn) -> String {
    let scheme = dsn.scheme();
    let port = match dsn.port() {
        port if port == scheme.default_port() => String::new(),
        port => format!(":{port}"),
    };
    format!("{scheme}://{MASK}@{}{port}{}{}", dsn.host(), dsn.path(), dsn.project_id())
}

/// A text that should have been a DSN. Nobody knows where in it the key is, so only what follows the
/// last `@` is shown, without its query, and with nothing in it that looks like a key.
pub(super) fn not_a_dsn(text: &str) -> String {
    let text = text.trim();
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme)))
        .unwrap_or_default();
    match text.rsplit_once('@') {
        Some((_, rest)) => {
            let end = rest.find(['?', '#']).unwrap_or(rest.len());
            format!("{scheme}{MASK}@{}", without_keys(&rest[..end]))
        }
        None => format!("{scheme}{MASK}"),
    }
}

fn without_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let between = rest[run..].find(|c: char| c.is_ascii_alphanumeric());
        let next = between.map_or(rest.len(), |length| run + length);
        shown.push_str(if run < KEY_LIKE { &rest[..run] } else { MASK });
        shown.push_str(&rest[run..next]);
        rest = &rest[next..];
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::parse;

    #[test]
    fn a_dsn_keeps_all_but_its_keys() {
        for (dsn, expected) in [
            ("https://public@o1.ingest.sentry.io/42", "https://***@o1.ingest.sentry.io/42"),
            ("http://public:secret@[::1]:8000/a/b/42", "http://***@[::1]:8000/a/b/42"),
            ("https://public@host:443/42?key=public", "https://***@host/42"),
        ] {
            assert_eq!(redacted(&parse::dsn(dsn).expect(dsn)), expected);
        }
    }

    #[test]
    fn what_is_no_dsn_shows_its_host_at_most() {
        for (text, expected) in [
            ("", "***"),
            ("0123456789abcdef0123456789abcdef", "***"),
            ("https://o1.ingest.sentry.io/42", "https://***"),
            ("HTTPS://public@o1.ingest.sentry.io/", "https://***@o1.ingest.sentry.io/"),
            ("ftp://public:secret@host/42", "***@host/42"),
            ("public@https://host/42", "***@https://host/42"),
            ("https://host@0123456789abcdef0123456789abcdef/", "https://***@***/"),
            ("https://@host/42?sentry_key=public", "https://***@host/42"),
            ("https://ключ@хост/", "https://***@хост/"),
        ] {
            assert_eq!(not_a_dsn(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_redacted(text in any::<String>()) {
            not_a_dsn(&text);
        }

        #[test]
        fn the_key_is_never_shown(
            key in "[0-9a-f]{16,40}",
            scheme in "(https?|ftp|x)?(://|:/|:)?",
            rest in "(@host)?(:[0-9]{0,6})?(/[a-z]{0,3}){0,3}(/[0-9]{0,3})?",
        ) {
            let text = format!("{scheme}{key}{rest}");
            let shown = match parse::dsn(&text) {
                Some(dsn) => redacted(&dsn),
                None => not_a_dsn(&text),
            };
            prop_assert!(!shown.contains(&key), "{text} is shown as {shown}");
        }
    }
}
