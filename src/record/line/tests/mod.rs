//! Lines as real loggers print them, and lines that are meant to break a reader.

mod loggers;
mod records;
mod runtimes;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;

/// 2026-03-04 05:06:08 UTC.
const READ: u64 = 1_772_600_768;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn raw(bytes: &[u8]) -> RawLine<'_> {
    RawLine { bytes, boot_nanos: 7, time: at(READ), live: true, cut: false }
}

fn all(text: &str) -> Vec<Breadcrumb> {
    let lines: Vec<RawLine<'_>> = text.split('\n').map(|line| raw(line.as_bytes())).collect();
    breadcrumbs(&lines, usize::MAX)
}

#[track_caller]
fn one(line: &str) -> Breadcrumb {
    let mut found = breadcrumbs(&[raw(line.as_bytes())], 10);
    assert_eq!(found.len(), 1, "{line}");
    found.remove(0)
}

/// Checks level, target, message and fields of a line.
#[track_caller]
fn reads(line: &str, level: Level, target: &str, message: &str, fields: Value) -> Breadcrumb {
    let found = one(line);
    assert_eq!(found.target, target, "{line}");
    assert_eq!(found.message, message, "{line}");
    assert_eq!(Value::Object(found.fields.clone()), fields, "{line}");
    assert_eq!(found.level, level, "{line}");
    found
}

/// Checks that a line's own time was taken: five to seven past, not eight.
#[track_caller]
fn is_timed(found: &Breadcrumb) {
    let since = found.time.duration_since(at(READ - 1)).expect("not before");
    assert!(since < Duration::from_secs(1), "{found:?}");
}

#[track_caller]
fn spans(found: &Breadcrumb) -> Vec<(&str, Value)> {
    let span = |span: &'_ crate::record::SpanInfo| Value::Object(span.fields.clone());
    found.spans.iter().map(|s| (s.name.as_str(), span(s))).collect()
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(lines in proptest::collection::vec(line(), 0..12), most in 0usize..8) {
        let raw: Vec<RawLine<'_>> = lines.iter().map(|line| raw(line)).collect();
        let found = breadcrumbs(&raw, most);
        proptest::prop_assert!(found.len() <= most);
    }
}

/// Any bytes, and what formats are made of in any order.
fn line() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    const PARTS: [&str; 44] = [
        "2026-03-04T05:06:07.1Z",
        "2026/03/04 05:06:07",
        "Mar  4 05:06:07",
        "05:06:07,1",
        "0304 05:06:07.1",
        "INFO",
        "I",
        "WARN",
        "ERR",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "<13>",
        "<165>1 ",
        ":",
        "::",
        " - ",
        " | ",
        " --- ",
        "\t",
        " ",
        "  ",
        "=",
        "\"",
        "\\",
        "k=v",
        "level=info",
        "msg=\"",
        "app::net",
        "é",
        "\u{1b}[",
        "\u{1b}]",
        "1:M",
        "a.go:1",
        "#",
        "*1",
        "ThreadId(1)",
        "{\"level\":",
        "\"msg\":\"x\"}",
        "panic: ",
        "  File ",
    ];
    let parts = proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..12);
    prop_oneof![
        3 => parts.prop_map(|parts| parts.concat().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

#[test]
fn hostile_lines_take_linear_time() {
    let patterns =
        ["k=(", "k=\"", "a=[{", "[", "{", "a:", "a::", "\u{1b}[", "(", "<", "= ", "k=v ", "[[{("];
    let heads = [
        "",
        "INFO ",
        "2026-03-04T05:06:07Z INFO ",
        "05:06:07 [",
        "level=info ",
        "<1>1 - a b c d [",
        "{",
    ];
    let lines: Vec<String> = patterns
        .iter()
        .flat_map(|pattern| {
            heads.map(|head| format!("{head}{}", pattern.repeat(16 * 1024 / pattern.len())))
        })
        .collect();
    let raw: Vec<RawLine<'_>> = lines.iter().map(|line| raw(line.as_bytes())).collect();
    let begun = std::time::Instant::now();
    let found = breadcrumbs(&raw, usize::MAX);
    assert!(!found.is_empty());
    // A second in a debug build; what is quadratic takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(60), "it hangs");
}
