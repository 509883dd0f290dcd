//! User and password in a URL: what stands between `scheme://` and `@host`, a Sentry DSN's key too.
//!
//! Also with escaped slashes (`:\/\/`) and percent-encoded; and `user:password@tcp(host)`, as
//! databases have it. The last `@` before the path counts; where there is none, but what follows a
//! colon is no port, a password with a slash in it is taken to go on to the next `@`. Not a URL:
//! `git@host:path`, `name@example.com`.

use std::ops::Range;

use super::MARKER;

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
    let at = memchr::memchr(b'@', &rest[..word])?;
    let host = &rest[at..word];
    let host = &host[..memchr::memchr(b'/', host).unwrap_or(host.len())];
    Some(from..from + at + memchr::memrchr(b'@', host).unwrap_or(0))
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

/// The credentials of `user:password@tcp(host)` before the `@` at `at`.
pub fn database_credentials(text: &[u8], at: usize) -> Option<Range<usize>> {
    let head = &text[..at];
    let is_end = |byte: &u8| *byte <= b' ' || b"\"'`<>()/=,;".contains(byte);
    let len = head.iter().rev().take(256).take_while(|byte| !is_end(byte)).count();
    let from = at - len;
    memchr::memchr(b':', &text[from..at])?;
    (text[from..at] != *MARKER).then_some(from..at)
}
