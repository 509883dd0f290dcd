//! Ends of a program that are no panics.

use super::*;
use crate::detect::Mechanism;

const OVERFLOW: &str = "\nthread 'main' (7) has overflowed its stack\n";

#[test]
fn a_stack_overflow() {
    for second in [
        "fatal runtime error: stack overflow, aborting\n",
        "fatal runtime error: stack overflow\n",
        "",
    ] {
        let crash = one(&format!("{OVERFLOW}{second}"));
        assert_eq!((values(&crash), name(&crash)), (vec!["stack overflow"], Some("main")));
        let exception = &crash.exceptions[0];
        assert_eq!(exception.ty, "fatal runtime error");
        assert_eq!(exception.mechanism, Mechanism::Abort);
    }
    let named =
        one("\nthread 'it's deep' has overflowed its stack\nfatal runtime error: stack overflow\n");
    assert_eq!(name(&named), Some("it's deep"));
}

#[test]
fn other_fatal_errors() {
    let text = "fatal runtime error: Rust cannot catch foreign exceptions\n";
    let crash = one(text);
    assert_eq!(values(&crash), ["Rust cannot catch foreign exceptions"]);
    assert_eq!(crash.exceptions[0].signal.as_ref().unwrap().name, "SIGABRT");
    assert_eq!(
        read(text, Some(Ending::Signal(4)))[0].exceptions[0].signal.as_ref().unwrap().name,
        "SIGILL"
    );
    assert_eq!(read(text, Some(Ending::Code(0))), []);
}

#[test]
fn an_exhausted_heap_needs_an_abort_where_the_ending_is_known() {
    let text = "memory allocation of 4096 bytes failed\n";
    let traced =
        format!("{text}stack backtrace:\n   0: std::alloc::rust_oom\n   1: app::main\n{OMITTED}\n");
    for text in [text.to_owned(), format!("{text}{NOTE}\n"), traced] {
        let found = read(&text, Some(Ending::Signal(6)));
        let exception = &found[0].exceptions[0];
        assert_eq!(values(&found[0]), ["memory allocation of 4096 bytes failed"]);
        assert_eq!((exception.ty.as_str(), exception.mechanism), ("SIGABRT", Mechanism::Oom));
        assert_eq!(read(&text, Some(Ending::Code(134))).len(), 1);
        assert_eq!(read(&text, None).len(), 1);
        assert_eq!(read(&text, Some(Ending::Code(0))), []);
        assert_eq!(read(&text, Some(Ending::Code(1))), []);
    }
    let goes_on = format!("{text}{}", "still here\n".repeat(100));
    assert_eq!(read(&goes_on, None), []);
}

#[test]
fn a_panic_behind_a_heap_error_is_found() {
    let text = format!(
        "memory allocation of 1 bytes failed\nthread 'main' panicked at a.rs:1:1:\nx\n{NOTE}\n"
    );
    assert_eq!(read(&text, Some(Ending::Code(101))).last().map(values), Some(vec!["x"]));
}
