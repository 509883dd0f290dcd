//! Panics that cannot unwind, and so end the process.
//!
//! The standard library does not say on the stable channel whether a panic can unwind; its own panics
//! about that are told by their message and place (`core/src/panicking.rs`).

use super::Exception;

/// Why a panic cannot unwind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoUnwind {
    /// A destructor that ran while another panic unwound has panicked itself.
    InCleanup,
    /// A panic has reached a function that nothing may unwind out of, such as an `extern "C"` one.
    AtBoundary,
    /// The panic itself is of a kind that aborts, such as a violated precondition of `unsafe`.
    ByItself,
}

impl NoUnwind {
    /// Why the panic with this message, raised in this file, cannot unwind; `None` if it can. It takes no
    /// memory and asks nobody: the panic hook calls it.
    pub(crate) fn of(message: &str, file: &str) -> Option<NoUnwind> {
        let from_panicking = file.ends_with("core/src/panicking.rs");
        let begins = |start: &str| message.starts_with(start);
        if from_panicking && begins("panic in a destructor during cleanup") {
            Some(NoUnwind::InCleanup)
        } else if from_panicking && begins("panic in a function that cannot unwind") {
            Some(NoUnwind::AtBoundary)
        } else if begins("unsafe precondition(s) violated: ")
            || begins("misaligned pointer dereference: address must be a multiple of 0x")
            || message == "null pointer dereference occurred"
        {
            Some(NoUnwind::ByItself)
        } else {
            None
        }
    }

    /// The same of a panic that was read.
    pub(crate) fn of_exception(exception: &Exception) -> Option<NoUnwind> {
        let file = exception.location.as_ref().map_or("", |place| &place.file);
        NoUnwind::of(&exception.value, file)
    }
}
