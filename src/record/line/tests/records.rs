//! Plain lines, times, and lines that belong together.

use super::*;

#[test]
fn plain_lines_stay_as_they_are() {
    reads("listening on :8080", Level::INFO, "stderr", "listening on :8080", json!({}));
    reads("  indented", Level::INFO, "stderr", "  indented", json!({}));
    reads("a=b", Level::INFO, "stderr", "a=b", json!({}));
    reads("{not json}", Level::INFO, "stderr", "{not json}", json!({}));
    reads("[1/7] building", Level::INFO, "stderr", "[1/7] building", json!({}));
    reads("12 monkeys", Level::INFO, "stderr", "12 monkeys", json!({}));
    reads("Marching on", Level::INFO, "stderr", "Marching on", json!({}));
    reads("\u{1b}[1;31mred\u{1b}[0m\r", Level::INFO, "stderr", "red", json!({}));
    let link = "\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\";
    reads(link, Level::INFO, "stderr", "link", json!({}));
}

#[test]
fn bytes_that_are_not_utf8() {
    let found = breadcrumbs(&[raw(b"a \xff\xfe b")], 1);
    assert_eq!(found[0].message, "a \u{fffd}\u{fffd} b");
}

#[test]
fn levels_alone() {
    reads("ERROR: no luck", Level::ERROR, "stderr", "no luck", json!({}));
    reads("error: no luck", Level::INFO, "stderr", "error: no luck", json!({}));
    let line = "2026-03-04 05:06:07 warning: hot";
    reads(line, Level::WARN, "stderr", "warning: hot", json!({}));
}

#[test]
fn times_are_completed_and_believed() {
    let time =
        |line: &str| one(line).time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let near = READ - 1;
    for line in [
        "2026-03-04T05:06:07Z x",
        "2026-03-04T07:06:07+02:00 x",
        "2026-03-04T00:36:07-0430 x",
        // Without a zone: a local time, in any zone.
        "2026-03-04 07:06:07 x",
        "2026-03-04 10:36:07 x",
        "2026/03/03 19:06:07 x",
        "Mar  4 05:06:07 host app: x",
        "05:06:07 INFO x",
        "09:06:07 INFO x",
        "Wed Mar  4 05:06:07 2026 x",
        "04/Mar/2026:05:06:07 +0000 x",
    ] {
        assert_eq!(time(line), near, "{line}");
    }
    // More than a day away, and what is no date.
    for line in ["2020-03-04T05:06:07Z x", "2026-13-44T05:06:07Z x", "2026-03-02 01:00:00 x"] {
        assert_eq!(time(line), READ, "{line}");
    }
    // Written well before it was read, but today.
    assert_eq!(time("2026-03-04 04:50:00Z x"), READ - 968);
    // Around the turn of a year.
    let old = RawLine { live: false, ..raw(b"2020/01/02 03:04:05 old news") };
    assert_eq!(breadcrumbs(&[old], 1)[0].time, at(1_577_934_245));
    assert_eq!(breadcrumbs(&[RawLine { live: true, ..old }], 1)[0].time, at(READ));
    let line = RawLine { time: at(1_767_225_601), ..raw(b"Dec 31 23:59:59 host app: x") };
    assert_eq!(breadcrumbs(&[line], 1)[0].time, at(1_767_225_599));
}

#[test]
fn traces_belong_to_the_record_before() {
    let java = "05:06:07 [main] ERROR c.x.Y - no\njava.lang.IllegalStateException: x\n\tat c.x.Y.f(Y.java:3)\n\t... 2 more\nCaused by: java.io.IOException: y\n\tat c.x.Z.g(Z.java:4)\n05:06:08 [main] INFO c.x.Y - up";
    let found = all(java);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].message.starts_with("no\njava.lang") && found[0].message.ends_with("Z.java:4)")
    );
    let python = "ERROR:root:no\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    h()\napp.Refused: no\nINFO:root:up";
    let found = all(python);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].message.ends_with("app.Refused: no"));
    let yaml = "2026/03/04 05:06:07 config:\n  a: 1\n  b: 2\n\n2026/03/04 05:06:07 up";
    assert_eq!(all(yaml)[0].message, "config:\n  a: 1\n  b: 2");
}

#[test]
fn a_crash_is_a_record_of_its_own() {
    let go = "2026/03/04 05:06:07 up\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/m.go:3 +0x1\ncreated by main.f in goroutine 7\n\t/a/m.go:9 +0x2\nexit status 2";
    let found = all(go);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!((found[1].level, found[1].target.as_str()), (Level::ERROR, "stderr"));
    assert!(found[1].message.starts_with("panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n"));
    let rust = "starting\n\nthread 'main' (7) panicked at src/main.rs:3:4:\nboom\nnote: run with `RUST_BACKTRACE=1`\ngoing on";
    let found = all(rust);
    let messages: Vec<_> = found.iter().map(|crumb| crumb.message.as_str()).collect();
    assert_eq!(messages.len(), 3, "{found:#?}");
    assert_eq!((messages[0], messages[2]), ("starting", "going on"));
    let python = "starting\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'";
    assert_eq!(all(python).len(), 2);
}

#[test]
fn in_a_formatted_stream_other_lines_continue_a_record() {
    let record = "[2026-03-04T05:06:07Z INFO  app] query:";
    let text = format!("{record}\nSELECT 1\nFROM x\n{record}\nSELECT 2\n{record}\n{record}");
    let messages: Vec<_> = all(&text).into_iter().map(|crumb| crumb.message).collect();
    assert_eq!(messages, ["query:\nSELECT 1\nFROM x", "query:\nSELECT 2", "query:", "query:"]);
    // Where most lines are plain, each stands alone.
    assert_eq!(all(&format!("a\nb\n{record}\nc\nd\ne")).len(), 6);
}

#[test]
fn records_are_bounded_and_say_so() {
    let text = format!("05:06:07 INFO big{}", "\n  line".repeat(1000));
    let found = all(&text);
    assert_eq!((found.len(), found[0].cut), (1, true));
    assert_eq!(found[0].message.lines().count(), 64);
    let text = format!("05:06:07 INFO wide{}", format!("\n {}", "é".repeat(1500)).repeat(9));
    let found = all(&text);
    assert!(found[0].cut && found[0].message.len() <= 8 * 1024, "{}", found[0].message.len());
    let cut = RawLine { cut: true, ..raw(b"the beginning of a long line") };
    assert!(breadcrumbs(&[cut], 1)[0].cut);
    assert!(!one("short").cut);
}

#[test]
fn the_newest_come_in_the_order_of_their_lines() {
    let text = "one\n\ntwo\n  more\nthree\n\n";
    let lines: Vec<RawLine<'_>> = text.split('\n').map(|line| raw(line.as_bytes())).collect();
    let messages = |most: usize| -> Vec<String> {
        breadcrumbs(&lines, most).into_iter().map(|crumb| crumb.message).collect()
    };
    assert_eq!(messages(0), [""; 0]);
    assert_eq!(messages(2), ["two\n  more", "three"]);
    assert_eq!(messages(9), ["one", "two\n  more", "three"]);
    assert!(breadcrumbs(&[], 5).is_empty());
    assert!(breadcrumbs(&[raw(b""), raw(b"\r")], 5).is_empty());
}
