//! What is said of a key instead of being its value: words of a sentence, counts, paths, types.
//!
//! **Guarantee:** a message such as `token: expired`, and a setting such as `token_ttl=30`, stay
//! readable. **Loss:** a password that is one of these words, or a number under a plural.

use super::words::{is_word, words};

/// Words that say something about a key instead of being its value.
const PROSE: [&str; 93] = [
    "a",
    "accepted",
    "already",
    "an",
    "and",
    "are",
    "bad",
    "but",
    "cannot",
    "changed",
    "cleared",
    "closed",
    "closing",
    "could",
    "created",
    "deleted",
    "denied",
    "destroyed",
    "did",
    "disabled",
    "disconnected",
    "does",
    "empty",
    "enabled",
    "ended",
    "error",
    "established",
    "exhausted",
    "expected",
    "expired",
    "expires",
    "expiring",
    "failed",
    "failure",
    "for",
    "found",
    "from",
    "generated",
    "granted",
    "has",
    "identifier",
    "in",
    "incorrect",
    "invalid",
    "invalidated",
    "is",
    "issued",
    "loaded",
    "locked",
    "lost",
    "malformed",
    "mismatch",
    "missing",
    "must",
    "needs",
    "no",
    "not",
    "of",
    "ok",
    "on",
    "opened",
    "optional",
    "provided",
    "received",
    "refresh",
    "refreshed",
    "refused",
    "rejected",
    "removed",
    "renewed",
    "required",
    "reset",
    "resumed",
    "revoked",
    "rotated",
    "saved",
    "scheduled",
    "short",
    "should",
    "started",
    "starting",
    "stopped",
    "terminated",
    "the",
    "timeout",
    "too",
    "unchanged",
    "unexpected",
    "unknown",
    "unsupported",
    "updated",
    "was",
    "wrong",
];

/// Words that are said of an option, beside those.
const OPTION_PROSE: [&str; 8] =
    ["flag", "option", "argument", "parameter", "or", "to", "with", "instead"];

/// Values that say that there is none.
const NOTHING: [&[u8]; 15] = [
    b"null",
    b"nil",
    b"none",
    b"None",
    b"true",
    b"false",
    b"True",
    b"False",
    b"undefined",
    b"<nil>",
    b"(null)",
    b"%s",
    b"&str",
    b"String",
    b"Option<String>",
];

/// Last words of names that say something about a secret, which they do not hold.
const MEASURES: [&str; 51] = [
    "age",
    "algorithm",
    "at",
    "attempts",
    "bucket",
    "buckets",
    "bytes",
    "count",
    "counts",
    "created",
    "days",
    "disabled",
    "duration",
    "enabled",
    "endpoint",
    "expiration",
    "expired",
    "expires",
    "expiry",
    "hours",
    "in",
    "index",
    "interval",
    "kind",
    "len",
    "length",
    "lifetime",
    "limit",
    "max",
    "min",
    "minutes",
    "mode",
    "ms",
    "name",
    "names",
    "policy",
    "position",
    "rate",
    "ref",
    "refs",
    "remaining",
    "required",
    "retries",
    "second",
    "seconds",
    "size",
    "status",
    "timeout",
    "total",
    "ttl",
    "type",
];

/// Last words of names whose value is a path.
const PATHS: [&str; 7] = ["file", "path", "dir", "directory", "folder", "location", "files"];

/// What is counted behind a number.
const UNITS: [&str; 26] = [
    "active",
    "attempt",
    "attempts",
    "bytes",
    "characters",
    "chars",
    "days",
    "entries",
    "entry",
    "expired",
    "hours",
    "items",
    "left",
    "minutes",
    "ms",
    "more",
    "of",
    "open",
    "remaining",
    "request",
    "requests",
    "retries",
    "seconds",
    "times",
    "total",
    "tries",
];

/// Most bytes of a value that is read and then left.
pub const LONG: usize = 256;

/// Whether the last word of what follows a listed name says that the name holds none.
pub fn is_measure(rest: &[u8]) -> bool {
    !rest.is_empty() && last_is(&String::from_utf8_lossy(rest), &MEASURES)
}

/// Whether the last word of `name` is one of `list`.
fn last_is(name: &str, list: &[&str]) -> bool {
    words(name).last().is_some_and(|last| list.iter().any(|word| last.eq_ignore_ascii_case(word)))
}

/// Whether a value is none of a secret: a path where the name asks for one, or a count of what a
/// plural names.
pub fn is_setting(name: &[u8], value: &[u8]) -> bool {
    if value.len() > LONG {
        return false;
    }
    let name = String::from_utf8_lossy(name);
    let number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let last = words(&name).last().unwrap_or_default();
    let plural = ["tokens", "cookies", "secrets", "passwords", "second"]
        .iter()
        .any(|word| last.eq_ignore_ascii_case(word));
    plural && value.len() <= 9 && value.iter().all(number)
        || is_path(value) && (last_is(&name, &PATHS) || name.eq_ignore_ascii_case("pwd"))
}

/// Whether a value is a path from a root, a home or here.
fn is_path(value: &[u8]) -> bool {
    match value {
        [b'/' | b'~', ..] | [b'.', b'/', ..] | [b'.', b'.', b'/', ..] => true,
        [letter, b':', b'/' | b'\\', ..] => letter.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Whether a value says that there is none, or stands for one.
pub fn is_nothing(value: &[u8]) -> bool {
    let placeholder = matches!(value, [b'$', digits @ ..]
        if (1..=2).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit));
    placeholder || NOTHING.contains(&value)
}

/// Whether a value is a word of [`PROSE`], or ends a sentence with one.
pub fn is_prose(value: &[u8]) -> bool {
    is_one(value, &PROSE)
}

/// Whether a value is a word about an option.
pub fn is_option_prose(value: &[u8]) -> bool {
    is_one(value, &PROSE) || is_one(value, &OPTION_PROSE)
}

fn is_one(value: &[u8], list: &[&str]) -> bool {
    let word = value.strip_suffix(b".").or(value.strip_suffix(b",")).unwrap_or(value);
    list.iter().any(|prose| prose.as_bytes() == word)
}

/// Whether a small number between `from` and `end` counts what follows: `3 requests left`.
pub fn is_counted(text: &[u8], from: usize, end: usize) -> bool {
    let value = &text[from..end];
    let number = (1..=6).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let Some(rest) = text[end..].strip_prefix(b" ") else { return false };
    let len = rest.iter().take(16).take_while(|byte| is_word(**byte)).count();
    number && UNITS.iter().any(|unit| unit.as_bytes() == &rest[..len])
}

/// Whether parameters of a function are declared before `at`: `fn login(password: &str`.
pub fn is_signature(text: &[u8], at: usize) -> bool {
    let head = &text[at.saturating_sub(160)..at];
    let line = memchr::memrchr(b'\n', head).map_or(head, |end| &head[end + 1..]);
    let Some(open) = memchr::memrchr(b'(', line) else { return false };
    let words = [&b"fn "[..], b"func ", b"def ", b"function ", b"fun "];
    let declares = |word: &&[u8]| {
        memchr::memmem::rfind(&line[..open], word).is_some_and(|start| {
            let name = &line[start + word.len()..open];
            let edge = start == 0 || !is_word(line[start - 1]);
            edge && !name.is_empty()
                && name.iter().all(|byte| is_word(*byte) || b"_<>', :".contains(byte))
        })
    };
    !line[open..].contains(&b')') && words.iter().any(declares)
}
