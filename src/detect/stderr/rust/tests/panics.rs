//! Headers and messages.

use super::*;
use crate::detect::{Mechanism, Severity};

#[test]
fn since_1_73_the_message_follows_the_place() {
    let crash = one(&format!("thread 'main' panicked at src/main.rs:4:9:\nout of tea\n{NOTE}\n"));
    assert_eq!(values(&crash), ["out of tea"]);
    assert_eq!(place(&crash.exceptions[0]), "src/main.rs:4:9");
    assert_eq!((crash.exceptions[0].ty.as_str(), crash.severity), ("panic", Severity::Fatal));
    let thread = crash.thread.unwrap();
    assert_eq!((thread.id, thread.name.as_deref(), thread.main), (None, Some("main"), true));
}

#[test]
fn newer_versions_begin_with_an_empty_line_and_give_the_thread_id() {
    let crash = one("\nthread 'io 1' (4711) panicked at src/io.rs:4:9:\nlost\n");
    let thread = crash.thread.unwrap();
    assert_eq!((thread.id, thread.name.as_deref()), (Some(4711), Some("io 1")));
    assert_eq!((thread.main, crash.severity), (false, Severity::Error));
}

#[test]
fn until_1_72_the_message_is_in_quotes_before_the_place() {
    for note in [
        NOTE,
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace.",
        "note: Run with `RUST_BACKTRACE=1` for a backtrace.",
    ] {
        let crash =
            one(&format!("thread '<unnamed>' panicked at 'it's off', src/a.rs:3:1\n{note}\n"));
        assert_eq!((values(&crash), name(&crash)), (vec!["it's off"], Some("<unnamed>")));
        assert_eq!(place(&crash.exceptions[0]), "src/a.rs:3:1");
    }
    let oldest = one("thread 'main' panicked at 'old', src/libcore/option.rs:345\n");
    assert_eq!(place(&oldest.exceptions[0]), "src/libcore/option.rs:345:0");
}

#[test]
fn a_quoted_message_ends_with_its_place_only() {
    let text = "thread 'main' panicked at '2 errors:\n- 'a'\n\nstack backtrace:\nnote: run with `RUST_BACKTRACE=1`', C:\\app\\src\\main.rs:9:5\n";
    let crash = one(text);
    let message = "2 errors:\n- 'a'\n\nstack backtrace:\nnote: run with `RUST_BACKTRACE=1`";
    assert_eq!(values(&crash), [message]);
    assert_eq!(place(&crash.exceptions[0]), "C:\\app\\src\\main.rs:9:5");
}

#[test]
fn all_lines_before_the_note_are_the_message() {
    let message =
        "one\ntwo\n\n  three\nstack backtrace:\n   0: not::a::frame\n\nnote: run with --fix";
    let crash = one(&format!("thread 'main' panicked at src/main.rs:4:9:\n{message}\n{NOTE}\n"));
    assert_eq!(values(&crash), [message]);
}

#[test]
fn an_empty_message_and_an_empty_first_line() {
    let header = "thread 'main' panicked at src/main.rs:4:9:";
    assert_eq!(values(&one(&format!("{header}\n\n{NOTE}\n"))), [""]);
    assert_eq!(values(&one(&format!("{header}\n\nlate\n\n{NOTE}\n"))), ["\nlate"]);
}

#[test]
fn without_a_note_a_message_goes_on_while_it_reads_like_one() {
    let message = "checks failed:\nfirst: no\n  - second\n\nCaused by:\n    disk full";
    let after = "main: going on\nall done\n";
    let crash = one(&format!("thread 'w' (7) panicked at src/w.rs:1:1:\n{message}\n{after}"));
    assert_eq!(values(&crash), [message]);
    let debug = "Err(\n    [\n        1,\n    ],\n)";
    let crash = one(&format!("thread 'w' (7) panicked at src/w.rs:1:1:\n{debug}\n{after}"));
    assert_eq!(values(&crash), [debug]);
}

#[test]
fn a_record_or_another_report_ends_a_message() {
    for after in [
        "2026-01-01T00:00:00Z  INFO app: next",
        "[WARN  app] next",
        " INFO app: next",
        "{\"level\":\"info\",\"msg\":\"next\"}",
        "I0304 05:06:07.000000 1 main.go:3] next",
        "Traceback (most recent call last):",
        "panic: another",
    ] {
        let text = format!("thread 'w' (7) panicked at src/w.rs:1:1:\nlost,\n{after}\n{NOTE}\n");
        assert_eq!(values(&one(&text)), ["lost,"], "{after}");
    }
}

#[test]
fn each_thread_has_its_own_crash() {
    let text = format!(
        "\nthread '<unnamed>' (8) panicked at src/w.rs:1:1:\none\n{NOTE}\n\nthread 'main' (7) panicked at src/main.rs:2:2:\ntwo\n"
    );
    let found = read(&text, Some(Ending::Code(101)));
    let told: Vec<_> = found.iter().map(|crash| (name(crash), values(crash)[0])).collect();
    assert_eq!(told, [(Some("<unnamed>"), "one"), (Some("main"), "two")]);
    assert_eq!(found[0].severity, Severity::Error);
}

#[test]
fn thread_names_hold_anything() {
    for odd in ["", "a'b", "x' (3) panicked at y.rs:1:2:", "panicked at 'z', y.rs:1:2", "(1)"] {
        let text = format!("thread '{odd}' (12) panicked at src/w.rs:1:1:\nlost\n");
        assert_eq!(name(&one(&text)), Some(odd));
        let text = format!("thread '{odd}' panicked at 'lost', src/w.rs:1:1\n");
        assert_eq!(values(&one(&text)), ["lost"]);
    }
    // With a newline in it, the note proves the rest of the header.
    let crash = one(&format!("thread 'a\nb' (12) panicked at src/w.rs:1:1:\nlost\n{NOTE}\n"));
    assert_eq!(crash.thread.unwrap().id, Some(12));
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_one_by_one() {
    let text = b"thread 'main' panicked at src/main.rs:4:9:\n\xf0\x9f\x98 and \xff\n";
    let found = read_bytes(text, End::Stream(None));
    assert_eq!(values(&found[0]), ["\u{fffd}\u{fffd}\u{fffd} and \u{fffd}"]);
}

#[test]
fn the_ending_may_make_a_thread_s_panic_fatal() {
    let text = format!("\nthread 'w' (7) panicked at src/w.rs:1:1:\nlost\n{NOTE}\n");
    let severity = |ending| read(&text, Some(ending))[0].severity;
    assert_eq!(severity(Ending::Signal(6)), Severity::Fatal);
    assert_eq!(severity(Ending::Code(101)), Severity::Fatal);
    assert_eq!(severity(Ending::Code(134)), Severity::Fatal);
    assert_eq!(severity(Ending::Code(0)), Severity::Error);
    assert_eq!(severity(Ending::Signal(15)), Severity::Error);
}

#[test]
fn a_long_message_is_cut_and_says_so() {
    let line = "x".repeat(1000);
    let lines = vec![line.as_str(); 100].join("\n");
    let crash = one(&format!("thread 'main' panicked at src/main.rs:4:9:\n{lines}\n{NOTE}\n"));
    let value = values(&crash)[0];
    assert!(value.len() < 70_000 && value.ends_with(" more bytes)"), "{}", value.len());
}

#[test]
fn a_hook_of_the_program_s_own_needs_a_proof() {
    let text = "orders crashed: panicked at src/main.rs:4:9:\nout of tea\n";
    assert_eq!(read(text, None), []);
    assert_eq!(read(text, Some(Ending::Code(1))), []);
    let found = read(text, Some(Ending::Code(101)));
    assert_eq!((values(&found[0]), name(&found[0])), (vec!["out of tea"], None));
    let logged = format!("{text}2026-01-01T00:00:00Z INFO app: stopping\n");
    assert_eq!(values(&read(&logged, Some(Ending::Code(101)))[0]), ["out of tea"]);
    let traced = format!("{text}   0: app::main\n             at ./src/main.rs:4:9\nbye\n");
    assert_eq!(values(&one(&traced)), ["out of tea"]);
    assert_eq!(one(&traced).exceptions[0].frames.len(), 1);
    let old = "orders crashed: panicked at 'out of tea', src/main.rs:4:9\n";
    assert_eq!(values(&read(old, Some(Ending::Signal(6)))[0]), ["out of tea"]);
}

#[test]
fn a_header_behind_other_output_needs_a_proof() {
    let text = "45% donethread 'main' panicked at src/main.rs:4:9:\nout of tea\n";
    assert_eq!(read(text, None), []);
    assert_eq!(read(text, Some(Ending::Code(101))), []);
    assert_eq!(values(&one(&format!("{text}{NOTE}\n"))), ["out of tea"]);
    assert_eq!(name(&one(&format!("{text}{NOTE}\n"))), Some("main"));
    // What is only told does not hide what follows.
    let real = "thread 'main' panicked at src/b.rs:1:1:\nreal\n";
    assert_eq!(values(&one(&format!("{text}{real}{NOTE}\n"))), ["real"]);
}

#[test]
fn a_panic_while_a_panic_is_processed() {
    let text = "panicked at src/main.rs:7:9:\nin display\nthread panicked while processing panic. aborting.\n";
    let crash = one(text);
    assert_eq!((crash.severity, crash.thread.is_none()), (Severity::Fatal, true));
    assert_eq!(crash.exceptions[0].mechanism, Mechanism::Abort);
    let after = format!("\nthread 'main' (7) panicked at src/main.rs:2:2:\nfirst\n{NOTE}\n{text}");
    let crash = one(&after);
    assert_eq!((values(&crash), name(&crash)), (vec!["first", "in display"], Some("main")));
    let before = format!("\nthread 'main' (7) panicked at src/main.rs:2:2:\nfirst\n{text}");
    assert_eq!(values(&one(&before)), ["first", "in display"]);
}

#[test]
fn after_always_abort() {
    let crash = one("aborting due to panic at src/main.rs:3:3:\nlost\n");
    assert_eq!((values(&crash), crash.severity), (vec!["lost"], Severity::Fatal));
    let old =
        "panicked at 'lost', src/main.rs:3:3\npanicked after panic::always_abort(), aborting.\n";
    assert_eq!(values(&one(old)), ["lost"]);
}

#[test]
fn the_report_of_color_eyre() {
    let text = "\x1b[31mThe application panicked (crashed).\x1b[0m\nMessage:  \x1b[36mout of tea\x1b[0m\nLocation: \x1b[35msrc/main.rs\x1b[0m:\x1b[35m4\x1b[0m\n\n  ━━━━ SPANTRACE ━━━━\n\n   0: app::work with id=1\n      at src/main.rs:2\n\n  ━━━━ BACKTRACE ━━━━\n      ⋮ 5 frames hidden ⋮\n   6: \x1b[91mapp::main\x1b[0m\x1b[90m::h0123456789abcdef\x1b[0m\n      at \x1b[35m/srv/src/main.rs\x1b[0m:\x1b[35m4\x1b[0m\n      ⋮ 9 frames hidden ⋮\n\nRun with RUST_BACKTRACE=full to include source snippets.\nbye\n";
    let crash = one(text);
    assert_eq!(values(&crash), ["out of tea"]);
    assert_eq!(place(&crash.exceptions[0]), "src/main.rs:4:0");
    assert_eq!(crash.exceptions[0].frames.len(), 1);
    let frame = &crash.exceptions[0].frames[0];
    assert_eq!((frame.function.as_deref(), frame.line), (Some("app::main"), Some(4)));
}

#[test]
fn a_report_is_whole_once_its_message_is() {
    let mut stream = Stream::default();
    let whole = |stream: &Stream| stream.open.as_ref().map(|(_, reader)| reader.is_whole());
    stream.feed(b"thread 'main' panicked at src/main.rs:4:9:\n");
    assert_eq!(whole(&stream), Some(false));
    stream.feed(b"lost\n");
    assert_eq!(whole(&stream), Some(true));
    stream.feed(b"stack backtrace:\n   0: app::main\n");
    assert_eq!(whole(&stream), Some(false));
    stream.feed(OMITTED.as_bytes());
    assert_eq!(whole(&stream), Some(true));
    stream.end(End::Quiet);
    assert_eq!(stream.found.len(), 1);
}
