//! What holds for every secret, wherever it is put.

mod events;
mod properties;

use super::*;

fn scrubber() -> Scrubber {
    Scrubber::new::<&str>(&[])
}

/// Every form that a key and its value are written in, with `KEY` and `VALUE`.
const FORMS: [&str; 52] = [
    "KEY=VALUE",
    "KEY = VALUE",
    "KEY: VALUE",
    "KEY:VALUE",
    "KEY=\"VALUE\"",
    "KEY='VALUE'",
    "KEY => VALUE",
    "KEY := \"VALUE\"",
    "a=1 KEY=VALUE b=2",
    "a=1,KEY=VALUE,b=2",
    "a=1;KEY=VALUE;b=2",
    "a: 1, KEY: VALUE, b: 2",
    "(KEY=VALUE)",
    "[KEY=VALUE]",
    "\"KEY\":\"VALUE\"",
    "{\"KEY\": \"VALUE\", \"b\": 2}",
    "{\"a\":{\"KEY\":{\"b\":\"VALUE\"}}}",
    "{\"KEY\":[\"VALUE\"]}",
    "{\\\"KEY\\\":\\\"VALUE\\\"}",
    "{\\\\\\\"KEY\\\\\\\":\\\\\\\"VALUE\\\\\\\"}",
    "{'KEY': 'VALUE'}",
    "{b'KEY': b'VALUE'}",
    "--KEY VALUE",
    "--KEY=VALUE",
    "-KEY VALUE",
    "run --KEY 'VALUE' x",
    "[\"run\", \"--KEY\", \"VALUE\"]",
    "/x?KEY=VALUE",
    "/x?a=1&KEY=VALUE&b=2",
    "https://h/x?KEY=VALUE#f",
    "map[KEY:VALUE b:2]",
    "{KEY:VALUE B:2}",
    "&{A:1 KEY:VALUE B:2}",
    "main.T{KEY:\"VALUE\", B:2}",
    "T { a: 1, KEY: \"VALUE\" }",
    "T { KEY: Some(\"VALUE\"), b: 2 }",
    "T { KEY: Secret { inner: \"VALUE\" }, b: 2 }",
    "T {\n    KEY: Some(\n        \"VALUE\",\n    ),\n}",
    "T(KEY='VALUE')",
    "<KEY>VALUE</KEY>",
    "<a KEY=\"VALUE\"/>",
    "\x1b[3mKEY\x1b[0m\x1b[2m=\x1b[0mVALUE",
    "{\"msg\":\"failed: KEY=VALUE\"}",
    "2026-11-25T10:11:12Z ERROR app: failed KEY=VALUE n=3",
    "[(\"KEY\", \"VALUE\")]",
    "{\"name\":\"KEY\",\"value\":\"VALUE\"}",
    "<input name=\"KEY\" value=\"VALUE\">",
    "\"KEY\":\n    \"VALUE\"",
    "KEY = \"\"\"VALUE\"\"\"",
    "T { KEY: &{VALUE} }",
    "KEY\x1b[0K=\x1b(BVALUE b=2",
    "KEY\u{a0}=\u{a0}VALUE",
];

const KEYS: [&str; 20] = [
    "password",
    "PASSWORD",
    "passwd",
    "secret",
    "api_key",
    "apiKey",
    "Api-Key",
    "apikey",
    "access_token",
    "authToken",
    "credentials",
    "MYSQL_PWD",
    "stripeToken",
    "authorization",
    "cookie",
    "session_id",
    "privateKey",
    "dsn",
    "userToken",
    "db.password",
];

const VALUES: [&str; 7] = [
    "hunter2",
    "Zx9+/yTq==",
    "k7f3-k8g4_k9h5",
    "p@ss.w0rd!",
    "пароль1",
    "12345678",
    "$2b$12$ab/cd.ef",
];

#[test]
fn no_form_of_any_key_keeps_its_value() {
    let scrubber = scrubber();
    let mut wrong = Vec::new();
    for form in FORMS {
        for key in KEYS {
            for value in VALUES {
                let text = form.replace("KEY", key).replace("VALUE", value);
                let scrubbed = scrubber.text(&text).unwrap_or_else(|| text.clone());
                // A marker in the place of the value, and no more gone than a list around it.
                if scrubbed.contains(value) || scrubber.text(&scrubbed).is_some() {
                    wrong.push(format!("{text:?} becomes {scrubbed:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_string_within_strings_hides_a_value() {
    let scrubber = scrubber();
    let mut wrong = Vec::new();
    for form in FORMS {
        for key in KEYS {
            let mut text = form.replace("KEY", key).replace("VALUE", "+_+0_$aQ7z");
            for level in 1..=6 {
                text = Value::from(text).to_string();
                let scrubbed = scrubber.text(&text).unwrap_or_else(|| text.clone());
                if scrubbed.contains("aQ7z") || scrubber.text(&scrubbed).is_some() {
                    wrong.push(format!("{form:?} of {key} at level {level}: {scrubbed}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn bytes_that_are_not_utf8_stay() {
    let scrubbed = scrubber().bytes(b"\xff\xfe password=\xc3\x29x \xff 10.0.0.7\xff").unwrap();
    assert_eq!(scrubbed, b"\xff\xfe password=[Filtered] \xff [Filtered]\xff");
    assert_eq!(scrubber().bytes(b"\xff\xfe"), None);
}

#[test]
fn a_very_long_text_is_cut_and_not_sent_unscrubbed() {
    let mut text = "one line of a log\n".repeat(MOST_BYTES / 18 + 10);
    text.push_str("password=hunter2");
    let scrubbed = scrubber().text(&text).unwrap();
    assert!(!scrubbed.contains("hunter2"));
    assert!(scrubbed.ends_with(" bytes not scrubbed]"), "{}", &scrubbed[scrubbed.len() - 60..]);
    assert!(scrubbed.len() <= MOST_BYTES);
    assert_eq!(scrubber().text(&scrubbed), None);
}

#[test]
fn near_misses_take_no_longer_than_others() {
    let scrubber = scrubber();
    let size = 1 << 18;
    for piece in [
        "password",
        "password ",
        "password=",
        "password=\"",
        "password='",
        "password=\\\"",
        "password={",
        "password=(\n ",
        "password:",
        "pass",
        "Authorization: ",
        "Cookie: [",
        ":",
        "::",
        "1",
        "1.",
        "1:",
        "a:",
        "4111 ",
        "4111-",
        "-----BEGIN ",
        "-----BEGIN X-----\n",
        "eyJ",
        "://",
        "://a:",
        "://a:b/",
        "@tcp(",
        "/home/",
        "\\",
        "\\\"",
        "\"",
        "'",
        "[",
        "{",
        "(",
        "token: ",
        "--token ",
        "<password>",
        "<password ",
        "bearer ",
        "%3a%2f%2f",
        "AKIA",
        "\n",
        "\x1b[",
        "password=,a",
        "{password:a ",
        "a.b.",
        "[Filtered]",
        "password=[Filtered]x",
        "secret_",
        "token-",
        "key=|\n ",
        "password=&{",
        "[\"password\",",
        "(\"password\", ",
        "name=\"password\" value",
        "name: password ",
        "value: x name: password",
        "password:\n ",
        "password:\n\n",
        "password=\"\"\"",
        "password='''",
        "Token { ",
        "Token{\"",
        "password(",
        "Password([",
        "\x1b]",
        "\x1b]8;;x\x07",
        "\x1b[0",
        "a\0",
        "&quot;",
        "\u{a0}",
        "a:b@",
        "a:b@h:1",
        "@",
        "//",
        "curl -u ",
        "mysql -p",
        "hooks.slack.com/",
        "1:AA",
        "{user: pass: ",
        "pass ",
        "fn login(password: ",
        "jdbc:oracle:thin:",
        "basic QTpB",
        "a/1.2.3.4",
        "upgrade from 1.2.3.4 ",
        "authorization=A ",
        "Token(A(B(C(",
        "{password,",
        "token -> ",
    ] {
        let text = piece.repeat(size / piece.len());
        let start = std::time::Instant::now();
        drop(scrubber.text(&text));
        let took = start.elapsed();
        // A debug build takes some 100 ms; what is quadratic takes minutes. How fast it is a bench tells.
        assert!(took.as_secs() < 60, "{piece:?} hangs: {took:?}");
    }
}
