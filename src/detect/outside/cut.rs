//! What a stack shows of how a program dies, and what of that is left away.
//!
//! **Guarantee:** the first frame of an abort is the function that asked for it: how the C library raises
//! SIGABRT, and how the standard library gets there, is cut. A function of the C library that aborts by
//! itself (`free`, `__assert_fail`) stays. **Lost:** nothing where the names are not known: then nothing
//! is cut.

use super::super::c_library;
use super::super::crash::Frame;
use super::super::{rust_names, stack};

/// Functions of the C library by which a process signals itself; those below them, to the system call,
/// have no exported name.
const RAISING: [&str; 8] = [
    "abort",
    "raise",
    "gsignal",
    "pthread_kill",
    "tgkill",
    "kill",
    "__pthread_kill",
    // musl's, in which what was raised is delivered.
    "__restore_sigs",
];

/// Functions of the standard library that only lead to an abort.
const ABORTING: [&str; 6] = [
    "std::process::abort",
    "std::alloc::rust_oom",
    "std::alloc::default_alloc_error_hook",
    "__rustc::__rust_alloc_error_handler",
    "__rustc::__rust_abort",
    "__rust_alloc_error_handler",
];

/// Cuts what lies between the program and the SIGABRT it raised.
pub(super) fn abort_machinery(mut frames: Vec<Frame>) -> Vec<Frame> {
    let leading = frames.iter().take_while(|frame| in_c_library(frame) || is_aborting(frame));
    let last = leading
        .enumerate()
        .filter(|(_, frame)| is_aborting(frame) || (in_c_library(frame) && is_raising(frame)))
        .last();
    if let Some((last, _)) = last {
        frames.drain(..=last);
    }
    frames
}

fn name(frame: &Frame) -> &str {
    frame.function.as_deref().unwrap_or_default()
}

/// In a program that is linked with the C library whole, its functions are known by their names alone.
fn in_c_library(frame: &Frame) -> bool {
    let image = frame.image.as_ref();
    image.is_some_and(|image| c_library::is_file_of_it(&image.path)) || is_raising(frame)
}

fn is_raising(frame: &Frame) -> bool {
    RAISING.contains(&name(frame))
}

fn is_aborting(frame: &Frame) -> bool {
    let name = outer(name(frame));
    let standard = rust_names::krate(name).is_some_and(rust_names::is_standard);
    let internal = name.ends_with("::abort_internal") || name.ends_with("::rust_panic_abort");
    ABORTING.contains(&name)
        || (standard && internal)
        || stack::is_failing_end(name)
        || name.ends_with("::__rust_end_short_backtrace")
        || is_handing_over(name)
}

/// The function that a closure is in.
fn outer(name: &str) -> &str {
    name.split("::{closure}").next().unwrap_or(name)
}

/// The way from a panic that cannot unwind to its abort, behind what the hook has reported.
fn is_handing_over(name: &str) -> bool {
    [
        "__rustc::__rust_start_panic",
        "__rust_start_panic",
        "rust_panic",
        "std::panicking::rust_panic",
    ]
    .contains(&name)
        || name.starts_with("panic_abort::")
        || is_panicking(name)
}

/// Whether the thread was raising or handling a panic: between its `panic!` and its landing.
///
/// What does that is part of the program, so a frame of it without a name may be one of those.
pub(super) fn is_in_panic(frames: &[Frame]) -> Option<bool> {
    let is_nameless = |frame: &Frame| frame.function.is_none() && !in_c_library(frame);
    match frames.iter().any(|frame| is_panicking(name(frame))) {
        true => Some(true),
        false if frames.iter().any(is_nameless) => None,
        false => Some(false),
    }
}

fn is_panicking(name: &str) -> bool {
    // What catches panics is on each stack, and so is what asks whether there is one.
    const QUIET: [&str; 6] =
        ["try", "catch_unwind", "panicking", "panic_count", "set_hook", "take_hook"];
    let machinery = ["core::panicking::", "std::panicking::"];
    let within = machinery.iter().find_map(|module| name.strip_prefix(module));
    let quiet = |rest: &str| QUIET.contains(&rest.split("::").next().unwrap_or(rest));
    within.is_some_and(|rest| !quiet(rest))
        // The standard library aborts when a thread-local's destructor lets a panic out.
        || name.contains("::abort_on_dtor_unwind")
        || ["rust_begin_unwind", "__rustc::rust_begin_unwind", "rust_panic"].contains(&name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::crash::Image;
    use super::*;

    fn frames(functions: &[&str]) -> Vec<Frame> {
        let image = |path: &str| {
            Arc::new(Image { base: 0, size: 1, path: path.to_owned(), build_id: None })
        };
        let frame = |text: &&str| match text.strip_prefix("libc:") {
            Some(name) => Frame {
                function: (!name.is_empty()).then(|| name.to_owned()),
                image: Some(image("/lib/libc.so.6")),
                ..Frame::default()
            },
            None => Frame {
                function: Some((*text).to_owned()),
                image: Some(image("/srv/service")),
                ..Frame::default()
            },
        };
        functions.iter().map(frame).collect()
    }

    #[track_caller]
    fn top_is(functions: &[&str], top: &str, panic: bool) {
        let frames = frames(functions);
        assert_eq!(is_in_panic(&frames), Some(panic));
        assert_eq!(name(&abort_machinery(frames)[0]), top);
    }

    #[test]
    fn the_caller_of_an_abort_stands_first() {
        top_is(
            &[
                "libc:",
                "libc:raise",
                "libc:abort",
                "std::sys::pal::unix::abort_internal",
                "std::process::abort",
                "service::give_up",
                "std::panicking::catch_unwind::do_call",
            ],
            "service::give_up",
            false,
        );
        top_is(&["raise", "abort", "std::process::abort", "service::f"], "service::f", false);
        top_is(&["libc:", "libc:__assert_fail", "service::f"], "", false);
        top_is(
            &["libc:", "libc:raise", "libc:abort", "libc:", "libc:free", "service::f"],
            "",
            false,
        );
        top_is(&["libc:memcpy", "service::f"], "memcpy", false);
        top_is(&["service::abort", "service::f"], "service::abort", false);
        top_is(
            &[
                "libc:abort",
                "std::process::abort",
                "std::alloc::rust_oom::{closure}",
                "std::sys::backtrace::__rust_end_short_backtrace",
                "std::alloc::rust_oom",
                "__rustc::__rust_alloc_error_handler",
                "alloc::alloc::handle_alloc_error",
                "alloc::raw_vec::handle_error",
                "service::f",
            ],
            "service::f",
            false,
        );
    }

    #[test]
    fn a_panic_that_aborts_is_seen_and_cut() {
        top_is(
            &[
                "libc:",
                "libc:raise",
                "libc:abort",
                "std::sys::pal::unix::abort_internal",
                "std::panicking::panic_with_hook",
                "std::panicking::panic_handler::{closure}",
                "std::sys::backtrace::__rust_end_short_backtrace",
                "__rustc::rust_begin_unwind",
                "core::panicking::panic_nounwind_fmt",
                "core::panicking::panic_cannot_unwind",
                "service::callback",
            ],
            "service::callback",
            true,
        );
        // A crash within a message's `Display`.
        top_is(&["service::fmt", "core::panicking::panic_fmt"], "service::fmt", true);
    }
}
