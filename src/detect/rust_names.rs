//! Names of Rust functions as a server should group by: the same function has the same name in
//! every build.
//!
//! **Guarantee:** a hash, an address, a generic argument or a closure's number never reaches a
//! name; cleaning a name twice changes nothing. **Lost:** which instance of a generic function it
//! was. Both manglings are understood: the legacy one keeps types in angle brackets after a name,
//! v0 after `::`, and writes inherent methods as `<Type>::method`.

/// Cleans a demangled name: `core::ptr::drop_in_place<a::B>` gives `core::ptr::drop_in_place`,
/// `<a::B<T> as c::D<U>>::f::{{closure}}` gives `<a::B as c::D>::f::{closure}`.
pub fn clean(name: &str) -> String {
    let mut cleaned = String::with_capacity(name.len());
    let name = without_hashes(name);
    let mut rest = name.as_str();
    // A qualified path at the start, or an `<impl Trait for Type>` behind `::`.
    while let Some(at) = rest.find(['<', '{']) {
        let (before, bracketed) = rest.split_at(at);
        cleaned.push_str(before);
        let Some(len) = bracket_len(bracketed) else {
            cleaned.push_str(bracketed);
            return cleaned;
        };
        let (bracketed, after) = bracketed.split_at(len);
        let inner = &bracketed[1..len - 1];
        if bracketed.starts_with('{') {
            cleaned.push_str(&clean_braces(inner));
        } else if cleaned.is_empty() {
            clean_qualified(inner, &mut cleaned);
        } else if let Some(implementation) = inner.strip_prefix("impl ") {
            clean_implementation(implementation, &mut cleaned);
        } else if let Some(path) = cleaned.strip_suffix("::") {
            cleaned.truncate(path.len());
        }
        rest = after;
    }
    cleaned.push_str(rest);
    cleaned
}

/// `X as Y` gives `<X as Y>`, a lone `X` gives `X`, both cleaned.
fn clean_qualified(inner: &str, cleaned: &mut String) {
    match split_top(inner, " as ") {
        Some((ty, of)) => {
            cleaned.push_str(&format!("<{} as {}>", clean_type(ty), clean_type(of)));
        }
        None => match inner.strip_prefix("impl ") {
            Some(implementation) => clean_implementation(implementation, cleaned),
            None => cleaned.push_str(&clean_type(inner)),
        },
    }
}

/// `Y for X` gives `<impl Y for X>`, both cleaned.
fn clean_implementation(implementation: &str, cleaned: &mut String) {
    match split_top(implementation, " for ") {
        Some((of, ty)) => {
            cleaned.push_str(&format!("<impl {} for {}>", clean_type(of), clean_type(ty)));
        }
        None => cleaned.push_str(&format!("<impl {}>", clean_type(implementation))),
    }
}

/// A type keeps its leading `&`, `dyn` and the like, and loses what `+` adds.
fn clean_type(ty: &str) -> String {
    let ty = split_top(ty, " + ").map_or(ty, |(first, _)| first);
    let name_at = ty.find(|c: char| c.is_alphanumeric() || c == '_' || c == '<').unwrap_or(0);
    let (sigils, mut name) = ty.split_at(name_at);
    let mut cleaned = sigils.to_owned();
    for word in ["mut ", "dyn ", "const "] {
        if let Some(after) = name.strip_prefix(word) {
            cleaned.push_str(word);
            name = after;
        }
    }
    cleaned.push_str(&clean(name));
    cleaned
}

/// `{{closure}}`, `{closure#3}` and `{{closure}}#3` are all `{closure}`; `{shim:vtable#0}` is
/// `{shim:vtable}`.
fn clean_braces(inner: &str) -> String {
    let name = inner.trim_matches(['{', '}']);
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    format!("{{{name}}}")
}

/// The name as it is printed, but without what differs from build to build: the hash at the end of a
/// legacy symbol, and v0's crate disambiguators (`std[e28293b1aa0f68bd]::`).
pub fn without_hashes(name: &str) -> String {
    let mut rest = strip_hash(name.trim());
    let mut kept = String::with_capacity(rest.len());
    while let Some(at) = rest.find('[') {
        let (before, bracketed) = rest.split_at(at);
        kept.push_str(before);
        let digits = bracketed[1..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let after = &bracketed[1 + digits..];
        let of_a_name = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if of_a_name && (1..=16).contains(&digits) && after.starts_with("]::") {
            rest = &after[1..];
        } else {
            kept.push('[');
            rest = &bracketed[1..];
        }
    }
    kept.push_str(rest);
    kept
}

/// Removes the `::h` and 16 hexadecimal digits at the end of a legacy symbol.
fn strip_hash(name: &str) -> &str {
    let Some((path, last)) = name.rsplit_once("::") else { return name };
    let is_hash = last.len() == 17
        && last.starts_with('h')
        && last[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { path } else { name }
}

/// Bytes of the bracketed text at the start, both brackets included. The `>` of `->` is none.
fn bracket_len(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '{' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Splits at the first `separator` outside of all brackets.
fn split_top<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut depth = 0i32;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '{' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | '}' | ')' | ']' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(separator) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// What holds the function of a cleaned name: `a::b` of `a::b::f::{closure}`, `a::B` of
/// `<a::B as c::D>::f`. `None` for a name without a path.
pub fn module(cleaned: &str) -> Option<&str> {
    let mut path = cleaned;
    while let Some((holder, last)) = path.rsplit_once("::") {
        path = holder;
        if !last.starts_with('{') {
            break;
        }
    }
    if path == cleaned {
        return None;
    }
    match path.strip_prefix('<') {
        Some(qualified) => self_type(qualified).filter(|ty| ty.contains("::")),
        None => Some(path),
    }
}

/// The type before ` as `, without sigils.
fn self_type(qualified: &str) -> Option<&str> {
    let ty = split_top(qualified, " as ").map_or(qualified, |(ty, _)| ty);
    let ty = ty.trim_start_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
    let words = ["mut ", "dyn ", "const "];
    Some(words.iter().fold(ty, |ty, word| ty.strip_prefix(word).unwrap_or(ty)))
}

/// Crates of the standard library, and what only the compiler writes.
const STANDARD: [&str; 9] = [
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
    "panic_unwind",
    "panic_abort",
    "__rustc",
    "rustc",
];

/// Whether a crate belongs to the standard library.
pub fn is_standard(krate: &str) -> bool {
    STANDARD.contains(&krate)
}

/// The crate whose code a cleaned name is: by the coherence rules that of the type, or where the
/// type is the standard library's or a parameter, that of the trait.
pub fn krate(cleaned: &str) -> Option<&str> {
    let Some(qualified) = cleaned.strip_prefix('<') else { return first_segment(cleaned) };
    let of_type = self_type(qualified).and_then(first_segment);
    match of_type {
        Some(krate) if !is_standard(krate) => Some(krate),
        standard => {
            let of_trait = split_top(qualified, " as ").and_then(|(_, of)| first_segment(of));
            of_trait.or(standard)
        }
    }
}

/// The first name of a path that has more than one.
fn first_segment(path: &str) -> Option<&str> {
    let (first, _) = path.split_once("::")?;
    let valid = !first.is_empty() && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    valid.then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cleans(raw: &str, cleaned: &str) {
        assert_eq!(clean(raw), cleaned);
        assert_eq!(clean(cleaned), cleaned, "cleaning twice");
    }

    #[test]
    fn legacy_names() {
        cleans("bounds::main::h23bb80fdbf15d7d4", "bounds::main");
        cleans("core::ptr::drop_in_place<double_panic::Guard>", "core::ptr::drop_in_place");
        cleans("service::main::{{closure}}", "service::main::{closure}");
        cleans(
            "<alloc::vec::Vec<T,A> as core::ops::index::Index<I>>::index",
            "<alloc::vec::Vec as core::ops::index::Index>::index",
        );
        cleans(
            "core::fmt::num::<impl core::fmt::Display for u32>::fmt",
            "core::fmt::num::<impl core::fmt::Display for u32>::fmt",
        );
        cleans("core::slice::<impl [T]>::iter", "core::slice::<impl [T]>::iter");
    }

    #[test]
    fn v0_names() {
        cleans(
            "std::panicking::catch_unwind::do_call::<std::rt::init::{closure#0}, isize>",
            "std::panicking::catch_unwind::do_call",
        );
        cleans("<core::fmt::rt::Argument>::fmt", "core::fmt::rt::Argument::fmt");
        cleans(
            "<&dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync as core::ops::function::FnOnce<()>>::call_once",
            "<&dyn core::ops::function::Fn as core::ops::function::FnOnce>::call_once",
        );
        cleans(
            "<std[e28293b1aa0f68bd]::sys::Lock as core[c1f1a4ba060b9bfa]::fmt::Display>::fmt",
            "<std::sys::Lock as core::fmt::Display>::fmt",
        );
        cleans("core::slice::iter::<[u8; 4], x[a]::B>", "core::slice::iter");
        cleans("service::run::{closure#0}::{closure#12}", "service::run::{closure}::{closure}");
        cleans("a::f::<fn(i32) -> alloc::vec::Vec<u8>>::{shim:vtable#0}", "a::f::{shim:vtable}");
    }

    #[test]
    fn names_that_are_no_rust_paths_stay() {
        cleans("__libc_start_main_impl", "__libc_start_main_impl");
        cleans("", "");
        cleans("a::b<c", "a::b<c");
        cleans("operator<", "operator<");
    }

    #[test]
    fn modules() {
        assert_eq!(module("service::ingest::parse"), Some("service::ingest"));
        assert_eq!(module("service::main::{closure}::{closure}"), Some("service"));
        assert_eq!(
            module("<service::Guard as core::ops::drop::Drop>::drop"),
            Some("service::Guard")
        );
        assert_eq!(module("<T as core::convert::Into>::into"), None);
        assert_eq!(module("main"), None);
    }

    #[test]
    fn crates() {
        assert_eq!(krate("service::ingest::parse"), Some("service"));
        assert_eq!(krate("<service::G as core::ops::drop::Drop>::drop"), Some("service"));
        assert_eq!(krate("<alloc::boxed::Box as service::Sink>::put"), Some("service"));
        assert_eq!(krate("<alloc::vec::Vec as core::ops::index::Index>::index"), Some("core"));
        assert_eq!(
            krate("<&dyn core::ops::function::Fn as core::ops::function::FnOnce>::f"),
            Some("core")
        );
        assert_eq!(krate("<T as core::convert::Into>::into"), Some("core"));
        assert_eq!(krate("__rustc::rust_begin_unwind"), Some("__rustc"));
        assert_eq!(krate("main"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cleaned(name in "[a-z:<>{}#, ]{0,40}|.{0,40}") {
            let cleaned = clean(&name);
            let _ = (module(&cleaned), krate(&cleaned));
        }
    }
}
