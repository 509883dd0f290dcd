//! From raw return addresses to the frames of a report.
//!
//! **Guarantee:** symbolication happens outside of the panicking thread wherever there is another
//! (see `recorder`), and the frames that come out begin where the program raised the panic: the
//! panic machinery and lastwords' own frames are cut. **Lost:** without symbols a frame is an
//! address.

use std::panic::AssertUnwindSafe;

use super::crash::Frame;
use super::in_app::OwnCrates;
use super::rust_names;

/// Resolves return addresses, innermost first, into frames, innermost first: a function inlined
/// into another is a frame of its own.
pub fn symbolicate(addresses: &[u64]) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(addresses.len() * 2);
    for address in addresses.iter().copied().filter(|address| *address != 0) {
        let before = frames.len();
        if let Some(frame) = frame_of_c_library(address) {
            frames.push(frame);
            continue;
        }
        resolve(address, |symbol| frames.push(frame_of(address, symbol)));
        if frames.len() == before {
            frames.push(Frame { address: Some(address), ..Frame::default() });
        }
        // All but the last function at an address were inlined into the next.
        let last = frames.len() - 1;
        frames[before..last].iter_mut().for_each(|frame| frame.inlined = true);
    }
    frames
}

#[cfg(target_os = "linux")]
fn frame_of_c_library(address: u64) -> Option<Frame> {
    let super::c_library::Function { name, start } = super::c_library::function_at(address)?;
    let address = Some(address);
    Some(Frame { function: name, symbol_address: start, address, ..Frame::default() })
}

#[cfg(not(target_os = "linux"))]
fn frame_of_c_library(_address: u64) -> Option<Frame> {
    None
}

/// Gives every function at an address of the program to `each`.
///
/// Where a callback of the program's has panicked inside of [`backtrace::resolve`], that crate's
/// lock is poisoned for good, and the first call of every thread panics. The calls behind it work.
fn resolve(address: u64, mut each: impl FnMut(&backtrace::Symbol)) {
    let pointer = std::ptr::without_provenance_mut(address as usize);
    let mut resolve = || {
        let resolve = || backtrace::resolve(pointer, |symbol| each(symbol));
        std::panic::catch_unwind(AssertUnwindSafe(resolve))
    };
    if resolve().is_err() {
        // Twice refused: the frame stays an address.
        let _ = resolve();
    }
}

fn frame_of(address: u64, symbol: &backtrace::Symbol) -> Frame {
    // The alternate form leaves the hash away.
    let raw = symbol.name().map(|name| format!("{name:#}"));
    let function = raw.map(|raw| rust_names::clean(&raw));
    Frame {
        module: function.as_deref().and_then(rust_names::module).map(str::to_owned),
        function,
        symbol: None,
        file: symbol.filename().map(|file| file.display().to_string()),
        line: symbol.lineno(),
        column: symbol.colno().filter(|column| *column > 0),
        in_app: false,
        address: Some(address),
        symbol_address: symbol.addr().map(|address| address as u64),
        inlined: false,
        image: None,
    }
}

/// Sets `in_app` of each frame.
pub fn mark_in_app(frames: &mut [Frame], own: &OwnCrates) {
    for frame in frames {
        frame.in_app = own.is_in_app(frame.function.as_deref(), frame.file.as_deref());
    }
}

/// Learns which crates are the program's own from the stack of the call that installed lastwords:
/// `main`, and whoever called `install`.
pub fn learn_from_install(addresses: &[u64], own: &mut OwnCrates) {
    learn_from_frames(&symbolicate(addresses), own);
}

/// The same from the frames of that stack, innermost first.
pub fn learn_from_frames(frames: &[Frame], own: &mut OwnCrates) {
    let functions = || frames.iter().filter_map(|frame| frame.function.as_deref());
    let foreign = |function: &&str| {
        rust_names::krate(function).is_none_or(|k| rust_names::is_standard(k) || k == "lastwords")
    };
    if let Some(caller) = functions().skip_while(|f| foreign(f)).find(|f| !foreign(f)) {
        own.learn_function(caller);
    }
    for main in functions().filter(|function| is_rust_main(function)) {
        own.learn_function(main);
    }
}

/// `crate::main`, which the standard library calls.
pub(super) fn is_rust_main(function: &str) -> bool {
    function.split_once("::").is_some_and(|(_, name)| name == "main")
}

/// Cuts what lies between the raising of a panic and lastwords: the frames of the hook, of any
/// hook around it, and of the standard library's machinery.
pub fn cut_panic_machinery(frames: Vec<Frame>) -> Vec<Frame> {
    let name = |frame: &Frame| frame.function.clone().unwrap_or_default();
    // The hook is called from in here, whatever hooks were put around it.
    let called_from = frames.iter().position(|frame| calls_the_hook(&name(frame)));
    let from = called_from.unwrap_or(0);
    let standard = |frame: &&Frame| {
        rust_names::krate(&name(frame))
            .is_some_and(|k| rust_names::is_standard(k) || k == "lastwords")
            || is_machinery(&name(frame))
    };
    let prefix = frames[from..].iter().take_while(standard);
    let machinery = prefix.enumerate().filter(|(_, frame)| is_machinery(&name(frame)));
    match machinery.last() {
        Some((last, _)) => frames[from + last + 1..].to_vec(),
        None => frames,
    }
}

/// The function of the standard library that calls the panic hook, by its names since 1.40.
fn calls_the_hook(function: &str) -> bool {
    ["std::panicking::rust_panic_with_hook", "std::panicking::panic_with_hook"].contains(&function)
}

/// Functions that only lead from the raising of a panic to its hook.
fn is_machinery(function: &str) -> bool {
    const PATHS: [&str; 8] = [
        "core::panicking::",
        "std::panicking::",
        "std::panic::panic_any",
        "std::rt::begin_panic",
        "std::rt::panic_fmt",
        "std::sys::backtrace::__rust_end_short_backtrace",
        "std::sys_common::backtrace::__rust_end_short_backtrace",
        "lastwords::",
    ];
    const NAMES: [&str; 3] = ["rust_begin_unwind", "__rustc::rust_begin_unwind", "rust_panic"];
    PATHS.iter().any(|path| function.starts_with(path))
        || NAMES.contains(&function)
        || is_failing_end(function)
}

/// Functions of the standard library that do nothing but raise a certain panic, such as
/// `core::option::unwrap_failed` and `core::cell::panic_already_borrowed::do_panic`.
pub(super) fn is_failing_end(function: &str) -> bool {
    let standard = rust_names::krate(function).is_some_and(rust_names::is_standard);
    standard
        && function.split("::").any(|name| {
            name.ends_with("_failed")
                || name.ends_with("_fail")
                || name.starts_with("panic_")
                || ["capacity_overflow", "handle_alloc_error", "handle_error"].contains(&name)
        })
}

/// The type of a payload that is not a string, if the symbols of the functions that carried it say
/// so (v0 mangling does, the legacy one does not).
pub fn payload_type(addresses: &[u64]) -> Option<String> {
    let mut found = None;
    for address in addresses.iter().take(32).filter(|address| **address != 0) {
        if frame_of_c_library(*address).is_some() {
            continue;
        }
        resolve(*address, |symbol| {
            let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_default();
            let carriers = ["std::panic::panic_any::<", "std::panicking::begin_panic::<"];
            for carrier in carriers {
                let ty = name.strip_prefix(carrier).and_then(|rest| rest.strip_suffix('>'));
                found = found.take().or(ty.map(str::to_owned));
            }
        });
        if found.is_some() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(functions: &[&str]) -> Vec<Frame> {
        let frame =
            |function: &&str| Frame { function: Some((*function).to_owned()), ..Frame::default() };
        functions.iter().map(frame).collect()
    }

    #[track_caller]
    fn top_is(functions: &[&str], top: &str) {
        let cut = cut_panic_machinery(stack(functions));
        assert_eq!(cut[0].function.as_deref(), Some(top));
    }

    #[test]
    fn the_machinery_is_cut() {
        top_is(
            &[
                "backtrace::backtrace::trace",
                "lastwords::detect::hook::on_panic",
                "std::panicking::panic_with_hook",
                "std::panicking::panic_handler::{closure}",
                "std::sys::backtrace::__rust_end_short_backtrace",
                "__rustc::rust_begin_unwind",
                "core::panicking::panic_fmt",
                "core::option::unwrap_failed",
                "core::option::Option::unwrap",
                "service::main",
            ],
            "core::option::Option::unwrap",
        );
    }

    #[test]
    fn a_hook_around_ours_is_cut_with_it() {
        top_is(
            &[
                "lastwords::detect::hook::on_panic",
                "service::quiet_hook::{closure}",
                "std::panicking::rust_panic_with_hook",
                "std::panicking::begin_panic",
                "std::panic::panic_any",
                "service::work",
                "std::panicking::try",
                "service::main",
            ],
            "service::work",
        );
    }

    #[test]
    fn a_stack_without_names_stays_whole() {
        let frames = vec![Frame { address: Some(1), ..Frame::default() }; 3];
        assert_eq!(cut_panic_machinery(frames.clone()), frames);
    }

    #[test]
    fn this_function_can_be_found() {
        let mut addresses = Vec::new();
        backtrace::trace(|frame| {
            addresses.push(frame.ip() as u64);
            true
        });
        let frames = symbolicate(&addresses);
        let own = "lastwords::detect::stack::tests::this_function_can_be_found";
        assert!(frames.iter().any(|frame| frame.function.as_deref() == Some(own)));
    }
}
