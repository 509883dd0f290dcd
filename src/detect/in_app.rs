//! Which functions are the program's own.
//!
//! **Guarantee:** the standard library, libc's start code, the `main` shim and dependencies with a
//! known place are never the program's own. Servers prefer in-app frames for grouping, so a wrong
//! mark splits or merges issues. **Not known:** in a build without debug info a frame has no file;
//! then a function is the program's own if its crate is known to be, by [`OwnCrates`].

use std::collections::BTreeSet;

use super::rust_names;

/// Functions of C libraries and compilers around a thread's or the program's start; a stack ends
/// in them.
const START_CODE: [&str; 12] = [
    "main",
    "_start",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "libc_start_main_stage2",
    "start_thread",
    "__clone",
    "clone",
    "clone3",
    "__clone3",
    "thread_start",
];

/// What a source path says of the code in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The standard library, wherever it was built.
    Standard,
    /// A dependency from a registry, a git checkout or a vendor folder.
    Dependency,
    /// Anything else: the program's workspace, or a path dependency.
    Local,
}

/// By the places where `rustc` and `cargo` keep sources: `/rustc/HASH/library/...` and
/// `lib/rustlib/src/rust/...` for the standard library, `registry/src/INDEX/...` and
/// `git/checkouts/...` below Cargo's home, and `cargo vendor`'s folder.
fn origin(file: &str) -> Origin {
    let file = file.replace('\\', "/");
    let standard = file.starts_with("/rustc/") || file.contains("/rustlib/src/rust/");
    // Distributions build the standard library in a folder of their own: `/usr/src/rustc-1.63.0/`.
    let standard = standard || file.split("/rustc-").skip(1).any(|of| of.contains("/library/"));
    let inside = |folder: &str| file.starts_with(&folder[1..]) || file.contains(folder);
    if standard || file.starts_with("library/std/") || file.starts_with("library/core/") {
        Origin::Standard
    } else if inside("/registry/src/") || inside("/git/checkouts/") || inside("/vendor/") {
        Origin::Dependency
    } else {
        Origin::Local
    }
}

/// Crates known to be the program's own.
#[derive(Debug, Clone, Default)]
pub struct OwnCrates(BTreeSet<String>);

impl OwnCrates {
    /// Learns from a module path and the source file it is in, as `tracing` callsites have both.
    pub fn learn(&mut self, module: &str, file: &str) {
        let krate = module.split("::").next().unwrap_or(module);
        if origin(file) == Origin::Local {
            self.learn_crate(krate);
        }
    }

    /// Learns that the crate of a function is the program's own.
    pub fn learn_function(&mut self, cleaned: &str) {
        if let Some(krate) = rust_names::krate(cleaned) {
            self.learn_crate(krate);
        }
    }

    /// Learns from a panic in the function `cleaned`, raised at `file`. Code of the program that was
    /// inlined into a dependency's function has that function's name, so the two must belong
    /// together: `crates/foo-bar/src/x.rs` is of the crate `foo_bar`.
    pub fn learn_panic(&mut self, cleaned: &str, file: &str) {
        let Some(krate) = rust_names::krate(cleaned) else { return };
        let package = file.rsplit_once("/src/").and_then(|(root, _)| root.rsplit('/').next());
        let fits = package.is_some_and(|package| package.replace('-', "_") == krate);
        if origin(file) == Origin::Local && (fits || self.0.is_empty()) {
            self.learn_crate(krate);
        }
    }

    fn learn_crate(&mut self, krate: &str) {
        if !rust_names::is_standard(krate) && krate != "lastwords" && !krate.is_empty() {
            self.0.insert(krate.to_owned());
        }
    }

    /// Whether a function is the program's own: `function` as
    /// [`clean`](super::rust_names::clean) gives it, `file` as the debug info names it.
    pub fn is_in_app(&self, function: Option<&str>, file: Option<&str>) -> bool {
        let krate = function.and_then(rust_names::krate);
        if krate == Some("lastwords") || function.is_some_and(is_start_code) {
            return false;
        }
        match file.map(origin) {
            Some(origin) => origin == Origin::Local,
            None => krate.is_some_and(|krate| self.0.contains(krate)),
        }
    }
}

fn is_start_code(function: &str) -> bool {
    START_CODE.contains(&function) || function.starts_with("__rust_")
}

/// Whether a source path is the program's own.
pub fn is_local(file: &str) -> bool {
    origin(file) == Origin::Local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: &str, file: Option<&str>, in_app: bool) {
        let mut own = OwnCrates::default();
        own.learn("service::ingest", "src/ingest.rs");
        own.learn("tokio::runtime", "/home/u/.cargo/registry/src/index-1/tokio-1.0.0/src/lib.rs");
        assert_eq!(own.is_in_app(Some(function), file), in_app, "{function} in {file:?}");
    }

    #[test]
    fn with_debug_info_the_file_decides() {
        check("service::main", Some("/srv/app/src/main.rs"), true);
        check("service::main", Some("src/main.rs"), true);
        check("other::f", Some("/srv/app/other/src/lib.rs"), true);
        check(
            "core::result::Result::unwrap",
            Some("/rustc/0123/library/core/src/result.rs"),
            false,
        );
        check(
            "std::f",
            Some("/u/.rustup/toolchains/x/lib/rustlib/src/rust/library/std/src/f.rs"),
            false,
        );
        check("core::f", Some("/usr/src/rustc-1.63.0/library/core/src/slice/index.rs"), false);
        check("tokio::f", Some("/opt/cargo/registry/src/index-1/tokio-1.0.0/src/lib.rs"), false);
        check("dep::f", Some("/u/.cargo/git/checkouts/dep-1/2/src/lib.rs"), false);
        check("dep::f", Some("vendor/dep/src/lib.rs"), false);
        check(
            "__libc_start_call_main",
            Some("./csu/../sysdeps/nptl/libc_start_call_main.h"),
            false,
        );
        check("main", Some("src/main.c"), false);
        check(
            "<service::Iter as core::iter::Iterator>::sum",
            Some("/rustc/0123/library/core/src/iter.rs"),
            false,
        );
    }

    #[test]
    fn without_debug_info_the_crate_decides() {
        check("service::main", None, true);
        check("<service::Guard as core::ops::drop::Drop>::drop", None, true);
        check("<alloc::vec::Vec as core::ops::index::Index>::index", None, false);
        check("<usize as core::slice::index::SliceIndex>::index", None, false);
        check("__rustc::rust_begin_unwind", None, false);
        check("tokio::runtime::task::poll", None, false);
        check("main", None, false);
        check("_start", None, false);
    }

    #[test]
    fn a_panic_teaches_only_a_crate_that_fits_its_file() {
        let mut own = OwnCrates::default();
        own.learn("service", "src/main.rs");
        own.learn_panic("tokio::runtime::task::core::Core::poll", "src/main.rs");
        own.learn_panic("store_core::page::read", "crates/store-core/src/page.rs");
        assert!(!own.is_in_app(Some("tokio::runtime::task::core::Core::poll"), None));
        assert!(own.is_in_app(Some("store_core::page::read"), None));
    }

    #[test]
    fn our_own_frames_never_are() {
        check("lastwords::detect::hook::hook", Some("src/detect/hook.rs"), false);
    }
}
