//! What a fatal signal is called in a report.
//!
//! **Guarantee:** a stack overflow has the words that the standard library prints of one, so that it
//! groups the same whether its text or its signal was noticed. Codes are those of sigaction(2).

use super::Ending;
use super::crash::{Frame, Mechanism};
use super::exit;
use super::signal;
use crate::record::FatalRecord;

/// How far from the stack pointer an access is part of a function's frame: the standard library's guard
/// pages are found by touching each page on the way.
const NEAR: u64 = 64 * 1024;

/// Type, value and mechanism of the exception, of a fatal signal of process `own`.
pub(super) fn describe(
    fatal: &FatalRecord,
    frames: &[Frame],
    own: u32,
) -> (String, String, Mechanism) {
    let name = signal::name(fatal.signal);
    if is_overflow(fatal) {
        let words = ("fatal runtime error".to_owned(), "stack overflow".to_owned());
        return (words.0, words.1, Mechanism::Abort);
    }
    if exit::is_abort(Ending::Signal(fatal.signal)) {
        let is_memory = |frame: &Frame| {
            let function = frame.function.as_deref().unwrap_or_default();
            function.contains("handle_alloc_error") || function.ends_with("rust_oom")
        };
        return match frames.iter().any(is_memory) {
            true => (name, "memory allocation failed".to_owned(), Mechanism::Oom),
            false => (name, sent(fatal, own), Mechanism::Abort),
        };
    }
    let why = match sent(fatal, own) {
        by if by.is_empty() && (!is_sent(fatal) || is_limit(fatal.signal)) => reason(fatal),
        by => by,
    };
    (name, why, Mechanism::Signal)
}

/// Whether the signal's address means something.
pub(super) fn has_address(fatal: &FatalRecord) -> bool {
    !is_sent(fatal) && is_fault(fatal.signal)
}

/// Whether some process sent it: `si_code` says so.
fn is_sent(fatal: &FatalRecord) -> bool {
    fatal.code <= 0
}

/// Who sent it, unless the program did so itself as `raise` and `abort` do.
fn sent(fatal: &FatalRecord, own: u32) -> String {
    match fatal.sender {
        Some((pid, _)) if pid != 0 && pid != own => format!("sent by process {pid}"),
        _ => String::new(),
    }
}

/// Whether the kernel sends it, in the process's own name, when a limit is reached.
fn is_limit(number: i32) -> bool {
    [libc::SIGXCPU, libc::SIGXFSZ].contains(&number)
}

fn is_fault(number: i32) -> bool {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE].contains(&number)
}

/// Whether a fault is that of a stack that has grown into its guard page.
fn is_overflow(fatal: &FatalRecord) -> bool {
    let Some(registers) = &fatal.registers else { return false };
    let is_memory = [libc::SIGSEGV, libc::SIGBUS].contains(&fatal.signal) && !is_sent(fatal);
    let near = fatal.address.abs_diff(registers.sp()) <= NEAR;
    // The page at the stack pointer, or the one below all that could be read, is not the stack's.
    let at_the_edge =
        fatal.address < fatal.stack_start && fatal.stack_start - fatal.address <= NEAR;
    is_memory && near && at_the_edge
}

/// The words of the kernel's code for a fault.
fn reason(fatal: &FatalRecord) -> String {
    let words = match (fatal.signal, fatal.code) {
        (libc::SIGSEGV, 1) => "no memory is mapped at the address",
        (libc::SIGSEGV, 2) => "the memory at the address forbids the access",
        (libc::SIGSEGV, 128) => "the address is not one of the machine's",
        (libc::SIGBUS, 1) => "the address is not aligned",
        (libc::SIGBUS, 2) => {
            "there is nothing behind the address, as beyond the end of a mapped file"
        }
        (libc::SIGBUS, 3) => "the memory at the address has failed",
        (libc::SIGILL, _) => "illegal instruction",
        (libc::SIGFPE, 1) => "integer division by zero",
        (libc::SIGFPE, 2) => "integer overflow",
        (libc::SIGFPE, 3) => "division by zero",
        (libc::SIGTRAP, _) => "trap",
        (libc::SIGSYS, _) => "forbidden system call",
        (libc::SIGXCPU, _) => "CPU time limit exceeded",
        (libc::SIGXFSZ, _) => "file size limit exceeded",
        _ => "",
    };
    words.to_owned()
}
