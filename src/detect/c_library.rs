//! Functions of the C library, by the names it exports.
//!
//! **Guarantee:** its debug info is never read. That is a package of its own (Debian: `libc6-dbg`), is
//! packed, and takes ten times as long to read as the program's own symbols, for frames that are
//! nobody's. So a stack looks the same whether the machine has that package or not. **Lost:** names
//! that the library does not export, such as the function that calls `main`.

use std::ffi::CStr;
use std::mem::MaybeUninit;

/// A function of the C library.
pub(super) struct Function {
    /// Its name, if it is exported.
    pub(super) name: Option<String>,
    /// Where it begins, if it is exported.
    pub(super) start: Option<u64>,
}

/// How the files of the C library and of what belongs to it begin.
const FILES: [&str; 9] = [
    "libc.so",
    "libc-2.",
    "libc.musl",
    "libpthread",
    "ld-linux",
    "ld-musl",
    "ld-2.",
    "libgcc_s",
    "linux-vdso",
];

/// The function that a call returns to at `address`, if that is in the C library.
pub(super) fn function_at(address: u64) -> Option<Function> {
    // A call may be the last instruction of its function.
    let inside = address.checked_sub(1)? as usize;
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked about, and `info` is written to the end if that is known.
    let found = unsafe { libc::dladdr(std::ptr::without_provenance(inside), info.as_mut_ptr()) };
    if found == 0 {
        return None;
    }
    // SAFETY: all zeroes are a valid value, and the call has written another one.
    let info = unsafe { info.assume_init() };
    let file = text(info.dli_fname)?;
    is_file_of_it(&file).then(|| Function {
        name: text(info.dli_sname),
        start: (!info.dli_saddr.is_null()).then_some(info.dli_saddr as u64),
    })
}

/// Whether a file, by its path, is one of the C library's.
pub(super) fn is_file_of_it(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    FILES.iter().any(|begin| name.starts_with(begin))
}

fn text(text: *const libc::c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: what `dladdr` gives ends in a zero byte and stays while its library is loaded; that of
    // the C library is for good, and a stack holds those it runs through.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_function_is_known_and_the_program_is_not_the_library() {
        let own = an_exported_function_is_known_and_the_program_is_not_the_library as *const ();
        assert!(function_at(own as u64 + 1).is_none());
        if cfg!(target_env = "gnu") {
            let library = libc::qsort as *const () as u64;
            let function = function_at(library + 1).expect("it is in the library");
            assert_eq!(function.name.as_deref(), Some("qsort"));
            assert_eq!(function.start, Some(library));
        }
    }
}
