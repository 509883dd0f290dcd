//! Backtraces, and panics about the same death.

use super::*;
use crate::detect::{Frame, Severity};

const CORE: &str = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs";

/// A panic of thread 7 at `place`, with what is printed behind the message.
fn panic(place: &str, message: &str, behind: &str) -> String {
    format!("\nthread 'w' (7) panicked at {place}:\n{message}\n{behind}\n")
}

/// A full backtrace whose innermost function of the program is `function`.
fn full(function: &str) -> String {
    format!(
        "stack backtrace:\n   0:     0x55de1247a3ea - std[e28293b1aa0f68bd]::backtrace_rs::backtrace::libunwind::trace\n                               at {CORE}:117:9\n   1:     0x55de12476b1b - std[e28293b1aa0f68bd]::panicking::panic_with_hook\n   2:     0x55de12466cdd - __rustc[b7974e8690430dd9]::rust_begin_unwind\n   3:     0x55de1248a90c - core[c1f1a4ba060b9bfa]::panicking::panic_fmt\n                               at {CORE}:80:14\n   4:     0x55de12450d13 - {function}::h983bfa22cd8f9cb6\n                               at /srv/app/src/main.rs:5:9\n   5:     0x55de12450aa6 - app::main::{{{{closure}}}}::hd01787ad38038c56\n   6:     0x7f0dac52a305 - clone3\n                               at ./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S:81:0\n   7:                0x0 - <unknown>"
    )
}

fn functions(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.function.as_deref().unwrap_or("?")).collect()
}

#[test]
fn a_short_backtrace() {
    let trace = format!(
        "stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/0/library/std/src/panicking.rs:584:5\n   1: core::panicking::panic_fmt\n   2: core::option::Option<T>::expect\n             at /usr/src/rustc-1.63.0/library/core/src/option.rs:9:5\n   3: app::route::{{{{closure}}}}\n             at ./src/route.rs:2:20\n      [... omitted 3 frames ...]\n   4: tokio::task::poll\n             at /usr/local/cargo/registry/src/x/tokio-1.0.0/src/task.rs:1:2\n{OMITTED}"
    );
    let crash = one(&panic("src/route.rs:2:20", "no route", &trace));
    let exception = &crash.exceptions[0];
    let expected = ["core::option::Option::expect", "app::route::{closure}", "tokio::task::poll"];
    assert_eq!(functions(&exception.frames), expected);
    assert_eq!(exception.frames_elided, 3);
    let own: Vec<bool> = exception.frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(own, [false, true, false]);
    let frame = &exception.frames[1];
    assert_eq!(frame.symbol.as_deref(), Some("app::route::{{closure}}"));
    assert_eq!(frame.module.as_deref(), Some("app"));
    assert_eq!(frame.file.as_deref(), Some("./src/route.rs"));
    assert_eq!((frame.line, frame.column), (Some(2), Some(20)));
}

#[test]
fn a_full_backtrace_has_addresses_and_no_hashes() {
    let crash = one(&panic("src/main.rs:5:9", "lost", &full("app::work")));
    let frames = &crash.exceptions[0].frames;
    assert_eq!(functions(frames), ["app::work", "app::main::{closure}", "clone3", "?"]);
    assert_eq!((frames[0].address, &frames[0].symbol), (Some(0x55de_1245_0d13), &None));
    assert_eq!((frames[3].address, frames[2].line), (None, Some(81)));
    let own: Vec<bool> = frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(own, [true, true, false, false]);
}

#[test]
fn without_debug_info_main_tells_whose_code_it_is() {
    let trace = format!(
        "stack backtrace:\n   0: core::panicking::panic_fmt\n   1: app::Grid::at\n   2: dep::run\n   3: app::main\n{OMITTED}"
    );
    let crash = one(&panic("src/grid.rs:8:19", "bounds", &trace));
    let frames = &crash.exceptions[0].frames;
    let own: Vec<bool> = frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(own, [true, false, true]);
    assert_eq!((frames[0].file.as_deref(), frames[0].line), (Some("src/grid.rs"), Some(8)));
    assert_eq!(frames[2].file, None);
}

#[test]
fn inlined_functions_need_no_number() {
    let trace = format!(
        "stack backtrace:\n   0: app::inner\n             at ./src/a.rs:1:2\n      app::outer\n             at ./src/a.rs:3:4\n   1: <unknown>\n{OMITTED}"
    );
    let crash = one(&panic("src/a.rs:1:2", "lost", &trace));
    assert_eq!(functions(&crash.exceptions[0].frames), ["app::inner", "app::outer", "?"]);
}

#[test]
fn a_stripped_program_has_an_empty_backtrace() {
    let crash = one(&panic("src/a.rs:1:2", "two\nlines", &format!("stack backtrace:\n{OMITTED}")));
    assert_eq!((values(&crash), crash.exceptions[0].frames.len()), (vec!["two\nlines"], 0));
}

#[test]
fn what_other_threads_log_does_not_end_a_backtrace() {
    let noise = "2026-01-01T00:00:00Z  INFO app: tick\n".repeat(20);
    let trace = format!(
        "stack backtrace:\n{noise}   0: app::a\n{noise}             at ./src/a.rs:1:2\n{noise}   1: app::b\n{OMITTED}\n{noise}"
    );
    let crash = one(&panic("src/a.rs:1:2", "lost", &trace));
    assert_eq!(functions(&crash.exceptions[0].frames), ["app::a", "app::b"]);
    assert_eq!((values(&crash), crash.exceptions[0].frames[0].line), (vec!["lost"], Some(1)));
}

#[test]
fn a_deep_stack_keeps_both_ends() {
    let frames: String = (0..5000).map(|n| format!("{n:4}: app::f{n}\n")).collect();
    let crash =
        one(&panic("src/a.rs:1:2", "deep", &format!("stack backtrace:\n{frames}{OMITTED}")));
    let exception = &crash.exceptions[0];
    assert_eq!((exception.frames.len(), exception.frames_elided), (1024, 3976));
    assert_eq!(functions(&exception.frames)[1023], "app::f4999");
}

#[test]
fn names_of_any_shape_are_bounded() {
    let deep = format!("{}x{}", "<".repeat(9000), ">".repeat(9000));
    let trace = format!("stack backtrace:\n   0: {deep}\n{OMITTED}");
    let crash = one(&panic("src/a.rs:1:2", "lost", &trace));
    assert!(crash.exceptions[0].frames[0].function.as_ref().unwrap().len() <= 2048);
}

#[test]
fn a_panic_at_a_function_that_cannot_unwind_is_about_the_first() {
    let abort = format!("{}\nthread caused non-unwinding panic. aborting.", full("app::callback"));
    let second = panic(&format!("{CORE}:225:5"), "panic in a function that cannot unwind", &abort);
    for between in ["", "2026-01-01T00:00:00Z  INFO app: tick\n"] {
        let first = panic("src/a.rs:1:2", "callback got 2", NOTE);
        let crash = one(&format!("{first}{between}{second}"));
        assert_eq!(values(&crash), ["callback got 2", "panic in a function that cannot unwind"]);
        assert_eq!(crash.severity, Severity::Fatal);
        assert_eq!(crash.event_id, Uuid::from_u128(1));
    }
}

#[test]
fn a_destructor_that_panics_during_cleanup_is_about_the_first() {
    let message = "panic in a destructor during cleanup";
    let abort = "thread caused non-unwinding panic. aborting.";
    let third = panic(&format!("{CORE}:233:5"), message, abort);
    let second = panic("src/b.rs:1:2", "second", &full("app::Guard::drop"));
    // The environment may ask for a backtrace of the first too, in the same form or another.
    for behind in [NOTE.to_owned(), format!("stack backtrace:\n   0: app::a\n{OMITTED}")] {
        let first = panic("src/a.rs:1:2", "first", &behind);
        assert_eq!(values(&one(&format!("{first}{second}"))), ["first", "second"]);
        assert_eq!(values(&one(&format!("{first}{second}{third}"))), ["first", "second", message]);
        let log = "2026-01-01T00:00:00Z  INFO app: tick\n";
        let apart = one(&format!("{first}{second}{log}{third}"));
        assert_eq!(values(&apart), ["first", "second", message]);
    }
    let first = panic("src/a.rs:1:2", "first", &full("app::a"));
    assert_eq!(values(&one(&format!("{first}{second}{third}"))), ["first", "second", message]);
}

#[test]
fn what_a_third_panic_is_about_is_no_crash_of_its_own() {
    let message = "panic in a destructor during cleanup";
    let third = panic(&format!("{CORE}:233:5"), message, &full("app::main"));
    let log = "2026-01-01T00:00:00Z  INFO app: tick\n";
    // Until the third, nothing says that the second was raised while the first unwound.
    let first = panic("src/a.rs:1:2", "first", &full("app::a"));
    let second = panic("src/b.rs:1:2", "second", &full("app::Guard::drop"));
    // The thread has survived this one.
    let caught = panic("src/z.rs:1:2", "caught", &full("app::z"));
    let found = read(&format!("{caught}{log}{first}{log}{second}{log}{third}"), None);
    let values: Vec<_> = found.iter().map(values).collect();
    assert_eq!(values, [vec!["caught"], vec!["first", "second", message]]);
}

#[test]
fn until_1_72_two_panics_abort_without_a_third() {
    let first = format!("thread 'main' panicked at 'first', src/a.rs:1:2\n{NOTE}\n");
    let second = format!(
        "thread 'main' panicked at 'second', src/b.rs:1:2\n{}\nthread panicked while panicking. aborting.\n",
        full("app::drop")
    );
    assert_eq!(values(&one(&format!("{first}{second}"))), ["first", "second"]);
}

#[test]
fn panics_of_other_threads_or_causes_are_not_joined() {
    let first = panic("src/a.rs:1:2", "first", NOTE);
    let other = first.replace("(7)", "(8)");
    assert_eq!(read(&format!("{first}{other}"), None).len(), 2);
    assert_eq!(read(&format!("{first}{first}"), None).len(), 2);
    let boundary = panic(&format!("{CORE}:225:5"), "panic in a function that cannot unwind", "");
    let boundary = boundary.replace("(7)", "(9)");
    assert_eq!(read(&format!("{first}{boundary}"), None).len(), 2);
}

#[test]
fn a_fatal_error_while_unwinding_is_chained() {
    let first = panic("src/a.rs:1:2", "first", NOTE);
    let crash =
        one(&format!("{first}fatal runtime error: thread result panicked on drop, aborting\n"));
    assert_eq!(values(&crash), ["first", "thread result panicked on drop"]);
    assert_eq!(crash.exceptions[1].ty, "fatal runtime error");
    assert_eq!(crash.severity, Severity::Fatal);
}
