//! Properties of the scanner over the whole corpus and over arbitrary bytes.

mod corpus_support;

use std::sync::OnceLock;
use std::time::SystemTime;

use corpus_support::{Case, crashes, scan};
use lastwords::detect::stderr::{Found, Scanner};
use lastwords::detect::{Crash, Ending};
use proptest::prelude::*;
use sentry::types::Uuid;

/// What a scanner may hold: eight readers with their stacks and messages, and lines of 64 KiB.
const MOST_HELD: usize = 48 << 20;

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(Case::all)
}

/// Everything but the ids.
fn same(found: Vec<Found>) -> Vec<Found> {
    let nil = |crash| Crash { event_id: Uuid::nil(), ..crash };
    found.into_iter().map(|found| Found { crash: nil(found.crash), ..found }).collect()
}

/// Splits at places that `seed` picks, small and large.
fn split(text: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = [1, 7, 100, 5000][(seed >> 60) as usize % 4];
        let (chunk, after) = rest.split_at(rest.len().min(1 + (seed >> 33) as usize % most));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

#[test]
fn every_case_in_single_bytes_and_pairs() {
    for case in cases().iter().filter(|case| case.stderr.len() < 16 << 10) {
        let whole = same(case.scan(usize::MAX));
        for chunk in [1, 2, 3] {
            assert_eq!(same(case.scan(chunk)), whole, "{} in chunks of {chunk}", case.name);
        }
    }
}

#[test]
fn every_case_split_once_at_each_place() {
    // A header that comes in two reads: of every case the first 3000 places.
    for case in cases().iter().filter(|case| !case.scan(usize::MAX).is_empty()) {
        let whole = same(case.scan(usize::MAX));
        let step = (case.stderr.len() / 200).max(1);
        for at in (0..case.stderr.len().min(3000)).step_by(step) {
            let (one, other) = case.stderr.split_at(at);
            let found = same(scan([one, other].into_iter(), case.ending()));
            assert_eq!(found, whole, "{} split at {at}", case.name);
        }
    }
}

#[test]
fn places_are_exact() {
    let noise = "some log line\n".repeat(5000);
    for case in cases() {
        let plain = same(case.scan(usize::MAX));
        let text = [noise.as_bytes(), &case.stderr].concat();
        let moved = same(scan(std::iter::once(&text[..]), case.ending()));
        for (before, after) in plain.iter().zip(&moved) {
            let shift = noise.len() as u64;
            assert_eq!(after.bytes, (before.bytes.0 + shift, before.bytes.1 + shift));
            assert_eq!(after.lines, (before.lines.0 + 5000, before.lines.1 + 5000));
            let start = usize::try_from(after.bytes.0).expect("small");
            assert!(start == 0 || text[start - 1] == b'\n', "{}", case.name);
        }
        assert_eq!(plain.len(), moved.len(), "{}", case.name);
    }
}

#[test]
fn a_quiet_stream_ends_a_whole_report() {
    for case in cases().iter().filter(|case| case.name.starts_with("go")) {
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        scanner.feed(&case.stderr, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
        let before = found.len();
        let waiting = scanner.is_waiting();
        scanner.quiet(&mut |new| found.push(new));
        assert!(!scanner.is_waiting(), "{}", case.name);
        assert_eq!(found.len() > before, waiting && !found.is_empty(), "{}", case.name);
        scanner.finish(case.ending(), &mut |new| found.push(new));
        assert_eq!(crashes(found), crashes(case.scan(usize::MAX)), "{}", case.name);
    }
}

/// However slowly the panics of one death are printed, they are one crash.
#[test]
fn a_stream_that_is_quiet_after_every_line_gives_one_crash_of_a_death() {
    for case in cases().iter().filter(|case| case.name.starts_with("rust195")) {
        for pause in 0..case.stderr.split(|byte| *byte == b'\n').count() {
            let mut scanner = Scanner::new();
            let mut found = Vec::new();
            for (number, line) in case.stderr.split_inclusive(|byte| *byte == b'\n').enumerate() {
                scanner.feed(line, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
                if number == pause || pause == 0 {
                    scanner.quiet(&mut |new| found.push(new));
                }
            }
            scanner.finish(case.ending(), &mut |new| found.push(new));
            let found = crashes(corpus_support::latest(found));
            assert_eq!(found, crashes(case.scan(usize::MAX)), "{} after {pause}", case.name);
        }
    }
}

/// Log lines that stand around a report.
fn noise() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "2026/11/2[0-9] 00:51:[0-5][0-9] [a-z ]{0,60}",
        "\\{\"level\":\"error\",\"msg\":\"panic: [a-z]{0,9}\\\\n\\\\ngoroutine 1 \\[running\\]:\"\\}",
        "[A-Za-z ,.()0-9]{0,80}",
        Just("do not panic: retry".to_owned()),
        Just(String::new()),
    ];
    prop::collection::vec(line, 0..20)
        .prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// Pieces of reports, which random bytes would hardly make.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"panic: ".to_vec()),
        Just(b"panic: boom\n\ngoroutine 1 [running]:\n".to_vec()),
        Just(b"\tpanic: ".to_vec()),
        Just(b"fatal error: ".to_vec()),
        Just(b"SIGQUIT: quit\n".to_vec()),
        Just(b"PC=0x1 m=0 sigcode=0\n".to_vec()),
        Just(b"goroutine ".to_vec()),
        Just(b"goroutine 18446744073709551616 [x, 99999999999999999999 minutes]:\n".to_vec()),
        Just(b"\ngoroutine 7 [select, 3 minutes]:\nmain.f(0x1)\n\t/a.go:1 +0x1\n".to_vec()),
        Just(b"created by main.f in goroutine 1\n\t/a.go:4294967296\n".to_vec()),
        Just(b"...12 frames elided...\n".to_vec()),
        Just(b"2026-06-01T12:00:00Z stderr P ".to_vec()),
        Just(b"2026-06-01T12:00:00Z stderr F ".to_vec()),
        Just(b"web-1  | ".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        "[ -~\\t]{0,40}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chunks_of_a_case_give_the_same(at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let case = at.get(cases());
        let found = same(scan(split(&case.stderr, seed).into_iter(), case.ending()));
        prop_assert_eq!(found, same(case.scan(usize::MAX)), "{}", case.name);
    }

    #[test]
    fn a_case_in_other_output_gives_the_same(
        at in any::<prop::sample::Index>(),
        before in noise(),
        after in noise(),
    ) {
        let case = at.get(cases());
        // A report of one line is one by being the last output.
        let alone = case.scan(usize::MAX).iter().any(|found| found.crash.exceptions[0].frames.is_empty());
        let after = if alone { String::new() } else { after };
        // A blank line between, as a report's end has none of its own.
        let newline = if case.stderr.ends_with(b"\n") { "" } else { "\n" };
        let text = [before.as_bytes(), &case.stderr, newline.as_bytes(), after.as_bytes()].concat();
        let found = crashes(scan(std::iter::once(&text[..]), case.ending()));
        prop_assert_eq!(found, crashes(case.scan(usize::MAX)), "{}", case.name);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(text in pieces(), seed in any::<u64>(), code in 0..3) {
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        for chunk in split(&text, seed) {
            scanner.feed(chunk, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
            prop_assert!(scanner.held_bytes() <= MOST_HELD);
        }
        let ending = Some(Ending::Code(code)).filter(|_| code > 0);
        scanner.finish(ending, &mut |new| found.push(new));
        for found in &found {
            prop_assert!(found.bytes.0 < found.bytes.1 && found.bytes.1 <= text.len() as u64);
            prop_assert!(found.lines.0 <= found.lines.1);
            prop_assert!(!found.crash.exceptions.is_empty());
        }
        let whole = same(scan(std::iter::once(&text[..]), ending));
        prop_assert_eq!(same(corpus_support::latest(found)), whole);
    }
}

/// Puts a prefix before each line; `number` counts the lines.
fn prefixed(text: &[u8], prefix: &dyn Fn(usize) -> String) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.flat_map(|(number, line)| [prefix(number).as_bytes(), line].concat()).collect()
}

type Shipper = (&'static str, fn(usize) -> String);

const SHIPPERS: [Shipper; 12] = [
    ("kubectl --timestamps", |n| format!("2026-06-01T12:00:{:02}.{n:09}Z ", n % 60)),
    ("cri", |n| format!("2026-06-01T12:00:{:02}.{n:09}+02:00 stderr F ", n % 60)),
    ("compose", |_| "orders-1  | ".to_owned()),
    ("compose in colour", |_| "\u{1b}[36morders-1  | \u{1b}[0m".to_owned()),
    ("compose with stamps", |n| format!("orders-1  | 2026-06-01T12:00:00.{n:09}Z ")),
    ("kubectl --prefix", |_| "[pod/orders-7d9f4c5b6-x2x8p/app] ".to_owned()),
    ("syslog", |n| format!("Jun  1 12:00:{:02} db1 orders[17]: ", n % 60)),
    ("journald", |n| format!("2026-06-01T12:00:{:02}+0000 db1 orders[17]: ", n % 60)),
    ("foreman", |n| format!("12:00:{:02} web.1  | ", n % 60)),
    ("heroku", |n| format!("2026-06-01T12:00:{:02}.000000+00:00 app[web.1]: ", n % 60)),
    ("stern", |_| "orders-7d9f4c5b6-x2x8p app ".to_owned()),
    ("unknown", |n| format!("<orders {:02}> ", n % 60)),
];

/// Cases whose reports have a stack, and no prefix yet.
fn with_stacks() -> impl Iterator<Item = (&'static Case, Vec<Crash>)> {
    let plain = cases().iter().filter(|case| !case.name.ends_with("-prefix"));
    plain.filter_map(|case| {
        let found = crashes(case.scan(usize::MAX));
        let stacks = found.iter().all(|crash| !crash.exceptions[0].frames.is_empty());
        (stacks && !found.is_empty()).then_some((case, found))
    })
}

#[test]
fn a_shippers_prefix_changes_nothing() {
    for (case, wanted) in with_stacks().filter(|(case, _)| case.name != "go119-partial-line") {
        for (shipper, prefix) in SHIPPERS {
            let text = prefixed(&case.stderr, &prefix);
            let found = crashes(scan(std::iter::once(&text[..]), case.ending()));
            assert_eq!(found, wanted, "{} behind {shipper}", case.name);
        }
    }
}

#[test]
fn a_shipper_that_strips_trailing_space_changes_nothing() {
    for (case, wanted) in with_stacks().filter(|(case, _)| case.name.starts_with("go125-n")) {
        for (shipper, prefix) in SHIPPERS {
            let text = String::from_utf8(prefixed(&case.stderr, &prefix)).expect("text");
            let lines = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            let found = crashes(scan(std::iter::once(lines.as_bytes()), case.ending()));
            assert_eq!(found, wanted, "{} behind {shipper}", case.name);
        }
    }
}

#[test]
fn streams_of_two_containers_are_told_apart() {
    for (case, wanted) in with_stacks().filter(|(case, _)| case.stderr.len() < 16 << 10) {
        let mut text = Vec::new();
        for (number, line) in case.stderr.split_inclusive(|byte| *byte == b'\n').enumerate() {
            text.extend_from_slice(b"orders-1  | ");
            text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            text.extend_from_slice(b"\n");
            for other in 0..number % 4 {
                text.extend_from_slice(format!("db-1      | checkpoint {other}\n").as_bytes());
            }
        }
        let found = crashes(scan(std::iter::once(&text[..]), case.ending()));
        assert_eq!(found, wanted, "{}", case.name);
    }
}

#[test]
fn lines_that_a_runtime_of_containers_broke_are_joined() {
    let text = "\
        2026-06-01T12:00:00.1Z stderr P panic: part one, \n\
        2026-06-01T12:00:00.2Z stderr F part two\n\
        2026-06-01T12:00:00.3Z stderr F \n\
        2026-06-01T12:00:00.4Z stderr F goroutine 1 [running]:\n\
        2026-06-01T12:00:00.5Z stderr P main.ma\n\
        2026-06-01T12:00:00.6Z stderr F in()\n\
        2026-06-01T12:00:00.7Z stderr F \t/srv/app/main.go:3 +0x1d\n";
    let found = crashes(scan(std::iter::once(text.as_bytes()), None));
    let first = &found[0].exceptions[0];
    assert_eq!(first.value, "part one, part two");
    assert_eq!(first.frames[0].function.as_deref(), Some("main"));
}

/// The text with a line put before its line `at`.
fn with_line(text: &[u8], at: usize, line: &str) -> Vec<u8> {
    let mut mixed = Vec::new();
    for (number, old) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if number == at {
            mixed.extend_from_slice(line.as_bytes());
        }
        mixed.extend_from_slice(old);
    }
    mixed
}

#[test]
fn another_threads_log_line_in_the_middle_changes_nothing() {
    // A line in a message that quotes a report is the message's.
    let others = ["go119-partial-line", "go121-fake-goroutine-in-message"];
    let go = with_stacks().filter(|(case, _)| case.name.starts_with("go"));
    for (case, wanted) in go.filter(|(case, _)| !others.contains(&case.name.as_str())) {
        let lines = case.stderr.split(|byte| *byte == b'\n').count();
        let stack = case.stderr.windows(11).position(|words| words == b"goroutine 1").unwrap_or(0);
        let head = case.stderr[..stack].iter().filter(|byte| **byte == b'\n').count();
        for at in 0..lines.min(60) {
            let log = "2026/11/22 00:51:21 worker 3: 17 done (0x1)\n";
            let text = with_line(&case.stderr, at, log);
            let found = crashes(scan(std::iter::once(&text[..]), case.ending()));
            assert_eq!(found, wanted, "{} with a log line at {at}", case.name);
            if stack == 0 || at <= head {
                continue;
            }
            let text = with_line(&case.stderr, at, "served 12 requests\n");
            let found = crashes(scan(std::iter::once(&text[..]), case.ending()));
            assert_eq!(found, wanted, "{} with a plain line at {at}", case.name);
        }
    }
}

#[test]
fn a_dump_that_is_slower_than_any_pause_is_one_report() {
    for (case, wanted) in with_stacks().filter(|(case, _)| case.name.starts_with("go")) {
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        for line in case.stderr.split_inclusive(|byte| *byte == b'\n') {
            scanner.feed(line, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
            if scanner.is_waiting() {
                scanner.quiet(&mut |new| found.push(new));
            }
            assert!(!scanner.is_waiting(), "{}", case.name);
        }
        scanner.finish(case.ending(), &mut |new| found.push(new));
        assert_eq!(crashes(corpus_support::latest(found)), wanted, "{}", case.name);
    }
}
