//! Properties: secrets at any depth, innocence, idempotence, arbitrary input.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::*;

const PIECES: [&str; 94] = [
    "password",
    "token",
    "cookie",
    "Authorization",
    "session",
    "apiKey",
    "=",
    ":",
    ": ",
    " = ",
    "=>",
    "\"",
    "\\\"",
    "\\\\\\\"",
    "'",
    "`",
    "\\",
    "\\n",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "</",
    " ",
    "\n",
    "\n ",
    "\t",
    "\r\n",
    ",",
    ", ",
    ";",
    "; ",
    "&",
    "?",
    "#",
    "%",
    "%3D",
    "%26",
    "%22",
    "|",
    "::",
    "--",
    "-",
    ".",
    "/",
    "://",
    "@",
    "@tcp(",
    "1.2.3.4",
    "::1",
    "fe80::1%eth0",
    "4111111111111111",
    "4111 1111 1111 1111",
    "eyJhbGciOiJIUzI1NiJ9",
    "Bearer ",
    "Zx9yTq3k7Lm2",
    "[Filtered]",
    "[Filtered",
    "-----BEGIN A KEY-----\n",
    "-----END A KEY-----",
    "/home/bob/",
    "\\Users\\bob\\",
    "AKIAIOSFODNN7EXAMPLE",
    "\x1b[0m",
    "\0",
    "é",
    "x",
    "Some(",
    "\x1b[0K",
    "\x1b(B",
    "\u{a0}",
    "：",
    "&quot;",
    "a\0b\0",
    "\"\"\"",
    "'''",
    ":\n  ",
    "name",
    "value",
    "(",
    "&{",
    "Custom ",
    "Token { ",
    "curl -u ",
    "bob:x@h:1",
    "pass",
    "user",
    "|\n  ",
    "- ",
    "x-",
];

fn scrubber() -> Scrubber {
    Scrubber::new::<&str>(&[])
}

/// A text made of what the scrubber looks at.
fn pieces() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..90)
        .prop_map(|pieces| pieces.concat())
}

/// A JSON value that has `core` somewhere in it.
fn around(core: Value, ways: &[u8]) -> Value {
    ways.iter().fold(core, |inner, way| match way % 6 {
        0 => json!({"a": inner, "n": 1}),
        1 => json!([true, inner]),
        2 => json!({"list": [{"deep": inner}], "other": null}),
        3 => Value::from(inner.to_string()),
        4 => json!({"message": format!("failed with {inner} at last")}),
        _ => json!({"body": inner.to_string(), "n": 2}),
    })
}

/// What has no secret in it.
fn innocent() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{1,8}( [a-z]{1,8}){0,4}".prop_map(Value::from),
        "v[0-9]{1,2}\\.[0-9]\\.[0-9]\\.[0-9]-rc[0-9]".prop_map(Value::from),
        "[a-z]{2,6}::[a-z]{2,6}::h[0-9a-f]{16}".prop_map(Value::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z".prop_map(Value::from),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(Value::from),
        "/srv/[a-z]{1,8}/[a-z]{1,8}\\.rs:[0-9]{1,4}:[0-9]{1,2}".prop_map(Value::from),
        "17[0-9]{14}([0-9]{3})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            // No letters that make a secret's name, such as `pwd` and `dsn`.
            proptest::collection::btree_map("[bcfghj]{1,4}_n", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn twice_is_once_and_bytes_are_text(text in pieces()) {
        let scrubber = scrubber();
        let once = scrubber.text(&text);
        prop_assert_eq!(once.clone().map(String::into_bytes), scrubber.bytes(text.as_bytes()));
        let once = once.unwrap_or(text);
        prop_assert!(!once.contains("bytes not scrubbed"), "{}", once);
        prop_assert_eq!(scrubber.text(&once), None);
    }

    #[test]
    fn anything_is_taken(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let scrubber = scrubber();
        drop(scrubber.bytes(&bytes));
        let once = scrubber.text(&text).unwrap_or(text);
        prop_assert_eq!(scrubber.text(&once), None);
        let mut value = Value::from(once);
        prop_assert!(!scrubber.value(&mut value));
    }

    #[test]
    fn no_depth_hides_a_secret(
        ways in proptest::collection::vec(any::<u8>(), 0..5),
        form in proptest::sample::select(&super::FORMS[..]),
        key in proptest::sample::select(&super::KEYS[..]),
        value in "[a-zA-Z0-9+/_]{3}[0-9][a-zA-Z0-9+/_.$]{3}Q7z",
        keyed in any::<bool>(),
    ) {
        let text = form.replace("KEY", key).replace("VALUE", &value);
        let core = if keyed { json!({key: {"x": [&value]}}) } else { Value::from(text) };
        let mut whole = around(core, &ways);
        let before = whole.to_string();
        scrubber().value(&mut whole);
        let after = whole.to_string();
        prop_assert!(!after.contains(&value), "{} becomes {}", before, after);
        prop_assert!(!scrubber().value(&mut whole), "{} becomes {}", after, whole);
    }

    #[test]
    fn innocent_values_stay(value in innocent()) {
        let mut scrubbed = value.clone();
        prop_assert!(!scrubber().value(&mut scrubbed), "{}", scrubbed);
        prop_assert_eq!(scrubbed, value);
    }

    #[test]
    fn any_event_is_taken(
        value in innocent(),
        text in pieces(),
        field in proptest::sample::select(vec![
            "exception", "threads", "breadcrumbs", "contexts", "tags", "user", "request", "extra",
            "debug_meta", "stacktrace", "logentry", "fingerprint", "release", "_meta", "event_id", "sdk",
            "level", "unknown", "timestamp",
        ]),
        shape in 0..5_u8,
    ) {
        let text = Value::from(text);
        let inner = match shape {
            0 => value,
            1 => json!({"values": [{"value": text, "stacktrace": {"frames": [{"vars": text, "function": text}]}}]}),
            2 => json!([text, {"data": text, "key": text}]),
            3 => json!({"a": {"type": text, "b": text}}),
            _ => text,
        };
        let mut once = json!({field: inner});
        scrubber().event(&mut once);
        let mut twice = once.clone();
        scrubber().event(&mut twice);
        prop_assert_eq!(once, twice);
    }
}
