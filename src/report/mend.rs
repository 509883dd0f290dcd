//! Values that a server would lose are mended here, so that they arrive: changed a little rather
//! than gone.
//!
//! Every function returns a value that the server keeps whole, or `None` where nothing is left to
//! keep. Which characters and words are refused is measured (see [`limits`]): Relay
//! drops a release with a slash, a tag with a newline in its value, an environment named `none`.
//!
//! Not offered: the original value. The `lastwords` context names the fields that were mended.

use std::time::{Duration, SystemTime};

use super::{cut, limits};

/// A release: `/`, `\` and control characters become `-`; a reserved word gets the prefix
/// `release-`; cut to [`limits::RELEASE_BYTES`]. `None` for an empty one.
pub fn release(value: &str) -> Option<String> {
    let mended = path_like(value)?;
    let reserved = limits::RESERVED_RELEASES.iter().any(|word| mended.eq_ignore_ascii_case(word));
    let mended = if reserved { format!("release-{mended}") } else { mended };
    Some(cut::to_bytes(&mended, limits::RELEASE_BYTES))
}

/// An environment: `/`, `\` and control characters become `-`; `none` gets the prefix `env-`; cut
/// to [`limits::ENVIRONMENT_BYTES`]. `None` for an empty one.
pub fn environment(value: &str) -> Option<String> {
    let mended = path_like(value)?;
    let reserved = mended.eq_ignore_ascii_case(limits::RESERVED_ENVIRONMENT);
    let mended = if reserved { format!("env-{mended}") } else { mended };
    Some(cut::to_bytes(&mended, limits::ENVIRONMENT_BYTES))
}

/// A server name: control characters become spaces; cut to [`limits::SERVER_NAME_CHARS`]. `None`
/// for an empty one.
pub fn server_name(value: &str) -> Option<String> {
    one_line(value, limits::SERVER_NAME_CHARS)
}

/// A tag's key: a character outside of `[A-Za-z0-9_.:-]` becomes `-`; a reserved key gets the
/// prefix `tag.`; cut to [`limits::TAG_KEY_CHARS`]. `None` for an empty one.
pub fn tag_key(key: &str) -> Option<String> {
    let key = key.trim();
    if key.is_empty() {
        return None;
    }
    if limits::RESERVED_TAGS.contains(&key) {
        return Some(format!("tag.{key}"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    Some(
        key.chars().map(|c| if allowed(c) { c } else { '-' }).take(limits::TAG_KEY_CHARS).collect(),
    )
}

/// A tag's value: control characters, newlines among them, become spaces; cut to
/// [`limits::TAG_VALUE_CHARS`]. `None` for an empty one.
pub fn tag_value(value: &str) -> Option<String> {
    one_line(value, limits::TAG_VALUE_CHARS)
}

/// A timestamp: one before 1970 becomes 1970, one after 9999 the last second of that year.
pub fn timestamp(time: SystemTime) -> SystemTime {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(limits::LAST_TIMESTAMP);
    time.clamp(SystemTime::UNIX_EPOCH, last)
}

fn path_like(value: &str) -> Option<String> {
    let value = value.trim();
    let refused = |c: char| c == '/' || c == '\\' || c.is_control();
    (!value.is_empty()).then(|| value.replace(refused, "-"))
}

fn one_line(value: &str, limit: usize) -> Option<String> {
    let line = value.replace(char::is_control, " ");
    let line = line.trim();
    (!line.is_empty()).then(|| cut::to_chars(line, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_keeps_what_a_server_keeps() {
        assert_eq!(release("dgraph@24.1.0+abc").as_deref(), Some("dgraph@24.1.0+abc"));
        assert_eq!(release(" feature/x\\y\n1 ").as_deref(), Some("feature-x-y-1"));
        assert_eq!(release("Latest").as_deref(), Some("release-Latest"));
        assert_eq!(release("..").as_deref(), Some("release-.."));
        assert_eq!(release(" \t"), None);
        assert_eq!(release(&"é".repeat(150)).map(|r| r.len()), Some(199));
    }

    #[test]
    fn an_environment_keeps_what_a_server_keeps() {
        assert_eq!(environment("prod-oss").as_deref(), Some("prod-oss"));
        assert_eq!(environment("eu/prod").as_deref(), Some("eu-prod"));
        assert_eq!(environment("NONE").as_deref(), Some("env-NONE"));
        assert_eq!(environment(""), None);
        assert_eq!(environment(&"x".repeat(65)).map(|e| e.len()), Some(64));
    }

    #[test]
    fn a_tag_is_cut_and_made_one_line() {
        assert_eq!(tag_key("cluster id/ä").as_deref(), Some("cluster-id--"));
        assert_eq!(tag_key("user").as_deref(), Some("tag.user"));
        assert_eq!(tag_key(" "), None);
        assert_eq!(tag_key(&"k".repeat(300)).map(|k| k.len()), Some(200));
        assert_eq!(tag_value("a\nb\r\n").as_deref(), Some("a b"));
        assert_eq!(tag_value("\n"), None);
        assert_eq!(tag_value(&"ä".repeat(300)).map(|v| v.chars().count()), Some(200));
    }

    #[test]
    fn a_time_outside_of_the_protocol_is_moved_to_its_edge() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(timestamp(early), SystemTime::UNIX_EPOCH);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert!(timestamp(late) < late);
    }
}
