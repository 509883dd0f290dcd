//! A server's words, and an error's, as one line that can be shown to a person.
//!
//! Whatever a server sends ends in one line without control characters and without the DSN's key.

use sentry::types::Dsn;
use serde_json::Value;

/// The most characters of words that are kept.
const LONGEST: usize = 512;

/// What stands in for a key.
const MASK: &str = "***";

/// The keys that are not to be shown.
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub(super) fn of(dsn: &Dsn) -> Keys {
        let keys = [Some(dsn.public_key()), dsn.secret_key()].into_iter().flatten();
        // A key of a letter or two is a test's, and would be found in every word.
        Keys(keys.filter(|key| key.len() > 3).map(str::to_owned).collect())
    }

    /// `text` on one line of at most 512 characters, without keys.
    pub(super) fn one_line(&self, text: &str) -> String {
        let shown = |c: char| if is_odd(c) { ' ' } else { c };
        let words = text.chars().map(shown).collect::<String>();
        let mut line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for key in &self.0 {
            line = line.replace(key, MASK);
        }
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => line[..end].to_owned(),
            None => line,
        }
    }
}

/// Whether it moves the cursor, or turns the direction of what follows.
fn is_odd(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The words in a body: what a JSON object gives as `detail` and `causes`, a page's title, else the
/// first line.
pub(super) fn of_body(body: &[u8]) -> String {
    if let Some(words) = serde_json::from_slice(body).ok().as_ref().and_then(of_json) {
        return words;
    }
    let text = String::from_utf8_lossy(body);
    if let Some((_, rest)) = text.split_once("<title>")
        && let Some((title, _)) = rest.split_once("</title>")
    {
        return title.to_owned();
    }
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

fn of_json(value: &Value) -> Option<String> {
    let detail = value.get("detail").and_then(Value::as_str);
    let causes = value.get("causes").and_then(Value::as_array);
    let causes: Vec<_> = causes.into_iter().flatten().filter_map(Value::as_str).collect();
    let causes = Some(causes.join("; ")).filter(|causes| !causes.is_empty());
    match (detail, causes) {
        (Some(detail), Some(causes)) => Some(format!("{detail}: {causes}")),
        (Some(detail), None) => Some(detail.to_owned()),
        (None, causes) => causes,
    }
}

/// Where a redirect points, without what may be secret in it.
pub(super) fn redirect(dsn: &Dsn, location: Option<&str>) -> String {
    let target = location.and_then(|location| dsn.envelope_api_url().join(location).ok());
    let Some(mut target) = target else { return "a redirect that leads nowhere".to_owned() };
    target.set_query(None);
    target.set_fragment(None);
    // These fail for a target that has no place for them.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    format!("a redirect to {target}, which is not followed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dsn() -> Dsn {
        "https://abcdef123456:secret99@example.com/7".parse().unwrap()
    }

    #[test]
    fn a_body_speaks() {
        let cases = [
            (r#"{"detail":"no such project","causes":["a","b"]}"#, "no such project: a; b"),
            (r#"{"detail":"no such project"}"#, "no such project"),
            (r#"{"causes":["a"]}"#, "a"),
            (r#"{"detail":{"code":1}}"#, r#"{"detail":{"code":1}}"#),
            (r#"{"detail":"cut o"#, r#"{"detail":"cut o"#),
            ("<html>\r\n<head><title>413 Too Large</title></head>", "413 Too Large"),
            ("\n \r\nfirst\nsecond", "first"),
            ("", ""),
        ];
        for (body, expected) in cases {
            assert_eq!(of_body(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_redirect_keeps_its_secrets() {
        let cases = [
            ("https://user:pass@other.com/x?token=1#f", "a redirect to https://other.com/x, "),
            ("/login?next=1", "a redirect to https://example.com/login, "),
            ("https://[", "a redirect that leads nowhere"),
        ];
        for (location, expected) in cases {
            let words = redirect(&dsn(), Some(location));
            assert!(words.starts_with(expected), "{words}");
        }
        assert_eq!(redirect(&dsn(), None), "a redirect that leads nowhere");
    }

    #[test]
    fn keys_are_not_shown() {
        let line = Keys::of(&dsn()).one_line("key abcdef123456,\n\tsecret99\u{1b}[31m");
        assert_eq!(line, "key ***, *** [31m");
    }

    proptest! {
        #[test]
        fn anything_becomes_one_line(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let line = Keys::of(&dsn()).one_line(&of_body(&body));
            prop_assert!(line.chars().count() <= LONGEST);
            prop_assert!(!line.contains(is_odd));
        }

        #[test]
        fn any_text_becomes_one_line(text in "(?s).{0,700}") {
            let line = Keys::of(&dsn()).one_line(&text);
            prop_assert!(line.chars().count() <= LONGEST);
            prop_assert!(!line.contains(is_odd));
        }
    }
}
