//! User and password in a URL: what stands between `scheme://` and `@host`, a Sentry DSN's key too.
//!
//! Also with escaped slashes (`:\/\/`) and percent-encoded; and `user:password@tcp(host)`, as
//! databases have it; `user:password@host:port`, `//user:password@host`, `jdbc:oracle:thin:user/password@`; the paths of
//! hooks that need no other secret (Slack, Discord, Office). The last `@` before the path counts; where there is none, but what follows a
//! colon is no port, a password with a slash in it is taken to go on to the next `@`. Not a URL:
//! `git@host:path`, `name@example.com`.

use std::ops::Range;

use super::MARKER;
use super::words::is_word;

/// The credentials behind the `://` that ends before `from`.
pub fn credentials(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let ends = |byte: u8| byte <= b' ' || b"\"'`<>|\\^".contains(&byte);
    let is_end = |byte: &u8| ends(*byte) || b"/?#,;)]}{[(".contains(byte);
    let rest = rest.strip_prefix(MARKER).map_or(rest, |_| &rest[..MARKER.len().min(rest.len())]);
    if rest == MARKER {
        return None;
    }
    let authority = rest.iter().position(is_end).unwrap_or(rest.len());
    if let Some(at) = memchr::memrchr(b'@', &rest[..authority]) {
        return (at > 0).then_some(from..from + at);
    }
    // A password with a sign in it that should have been encoded.
    let colon = memchr::memchr(b':', &rest[..authority])?;
    let port = rest[colon + 1..authority].iter().all(u8::is_ascii_digit);
    if port
        && rest
            .get(authority)
            .is_none_or(|byte| ends(*byte) || *byte == b'/' && authority > colon + 1)
    {
        return None;
    }
    // To the next URL at most: what is read here is not read again for that one.
    let is_over = |at: &usize| ends(rest[*at]) || rest[*at..].starts_with(b"://");
    let word = (0..rest.len()).find(is_over).unwrap_or(rest.len());
    let Some(at) = memchr::memchr(b'@', &rest[..word]) else {
        return blank_credentials(rest, authority).map(|len| from..from + len);
    };
    let host = &rest[at..word];
    let host = &host[..memchr::memchr(b'/', host).unwrap_or(host.len())];
    Some(from..from + at + memchr::memrchr(b'@', host).unwrap_or(0))
}

/// Where credentials end whose password has a blank in it.
fn blank_credentials(rest: &[u8], word: usize) -> Option<usize> {
    let next = rest[word..].strip_prefix(b" ")?;
    let part = |byte: &&u8| byte.is_ascii_graphic() && !b"@\"'`<>()/".contains(byte);
    let len = next.iter().take(PART).take_while(part).count();
    let host = next.get(len + 1).is_some_and(|byte| is_word(*byte));
    (next.get(len) == Some(&b'@') && host).then_some(word + 1 + len)
}

/// The credentials behind a percent-encoded `://` that ends before `from`.
pub fn encoded_credentials(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"%._~-!*+".contains(&byte);
    let is_slash = |at: usize| rest[at..].starts_with(b"%2F") || rest[at..].starts_with(b"%2f");
    let end = (0..rest.len()).find(|at| !is_part(rest[*at]) || is_slash(*at));
    let at = memchr::memmem::rfind(&rest[..end.unwrap_or(rest.len())], b"%40")?;
    (at > 0).then_some(from..from + at)
}

/// What stands before a colon and an address of mail or of something else.
const NAMES: [&str; 14] = [
    "acct", "cc", "email", "from", "git", "mail", "mailto", "md5", "sha1", "sha256", "sip", "to",
    "user", "xmpp",
];

/// Most bytes of a name, a password or a host that are looked at.
const PART: usize = 96;

/// The credentials of `user:password@host:port` and `//user:password@host`, which have no scheme, before
/// the `@` at `at`.
pub fn authority(text: &[u8], at: usize) -> Option<Range<usize>> {
    let host = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let len = text[at + 1..].iter().take(PART).take_while(host).count();
    // `[::1]`
    let bracket = text[at + 1..].iter().take(PART).position(|byte| *byte == b']');
    let len = match text.get(at + 1) {
        Some(b'[') => bracket? + 1,
        _ => len,
    };
    let behind = &text[at + 1 + len..];
    let port = matches!(behind, [b':', digit, ..] if digit.is_ascii_digit());
    let is_end = |byte: &u8| *byte <= b' ' || b"\"'`<>()[]{}|/=,;\\".contains(byte);
    let head = &text[..at];
    let written = head.iter().rev().take(PART).take_while(|byte| !is_end(byte)).count();
    let from = at - written;
    let slashes = head[..from].ends_with(b"//");
    let colon = from + memchr::memchr(b':', &text[from..at])?;
    let user = &text[from..colon];
    let is_user = user.first().is_some_and(|byte| is_word(*byte))
        && user.iter().all(|byte| is_word(*byte) || b"-._".contains(byte));
    let value = &text[from..at];
    let first = text.get(at + 1)?;
    let is_host = first.is_ascii_alphanumeric() || *first == b'[' && port;
    let says = NAMES.iter().any(|name| user.eq_ignore_ascii_case(name.as_bytes()));
    let password = colon + 1 < at && !text[colon + 1..at].starts_with(MARKER) && value != MARKER;
    (is_user && !says && is_host && password && (port || slashes)).then_some(from..at)
}

/// The credentials of `jdbc:oracle:thin:user/password@host` that begin at `from`.
pub fn oracle_credentials(text: &[u8], from: usize) -> Option<Range<usize>> {
    let is_end = |byte: &u8| *byte <= b' ' || b"\"'`<>()@".contains(byte);
    let len = text[from..].iter().take(2 * PART).position(is_end)?;
    let value = &text[from..from + len];
    let is_value = text[from + len] == b'@' && value.contains(&b'/') && value != MARKER;
    is_value.then_some(from..from + len)
}

/// The secret path of a hook: `hooks.slack.com/services/T0/B0/x`, `discord.com/api/webhooks/1/x`.
pub fn hook(text: &[u8], found: &Range<usize>) -> Option<Range<usize>> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_/@".contains(byte);
    let len = text[found.end..].iter().take(512).take_while(part).count();
    let path = &text[found.end..found.end + len];
    // The kind of a hook stays: `services/`.
    let kind =
        memchr::memchr(b'/', path).filter(|end| path[..*end].iter().all(u8::is_ascii_lowercase));
    let from = found.end + kind.map_or(0, |end| end + 1);
    let secret = &text[from..found.end + len];
    let is_secret =
        secret.len() >= 16 && secret.contains(&b'/') && secret.iter().any(u8::is_ascii_digit);
    is_secret.then_some(from..found.end + len)
}

/// The credentials of `user:password@tcp(host)` before the `@` at `at`.
pub fn database_credentials(text: &[u8], at: usize) -> Option<Range<usize>> {
    let head = &text[..at];
    let is_end = |byte: &u8| *byte <= b' ' || b"\"'`<>()/=,;".contains(byte);
    let len = head.iter().rev().take(256).take_while(|byte| !is_end(byte)).count();
    let from = at - len;
    memchr::memchr(b':', &text[from..at])?;
    (text[from..at] != *MARKER).then_some(from..at)
}
