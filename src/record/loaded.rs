//! What is loaded into this process: the executable, its libraries and the vDSO, each with the build
//! id by which a file can prove later that it is the one.
//!
//! **Guarantee:** collecting never fails and reads nothing but what the dynamic linker has mapped; it
//! takes some microseconds. **Lost:** libraries loaded later (`dlopen`), and those beyond
//! [`MOST_MODULES`] or [`MOST_PATH_BYTES`]; the module map that a fatal signal copies has them, without
//! build ids. On other systems than 64-bit Linux the list is empty.

use serde::{Deserialize, Serialize};

/// A module of a process as its dynamic linker loaded it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadedModule {
    /// The address of its first loaded page.
    pub base: u64,
    /// Bytes from there to the end of its last loaded segment.
    pub size: u64,
    /// Its file; `[vdso]` for what the kernel maps.
    pub path: String,
    /// GNU build id in hexadecimal digits, where it has one.
    pub build_id: Option<String>,
}

/// The path that `/proc/PID/maps` gives the code which the kernel maps into each process.
#[cfg(target_os = "linux")]
pub(crate) const VDSO: &str = "[vdso]";

/// How many modules are kept, the executable first, then in the order they were loaded.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const MOST_MODULES: usize = 64;

/// How many bytes the paths of all of them together may have: the identity's section is small.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const MOST_PATH_BYTES: usize = 6 * 1024;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(super) use linux::loaded_modules;

/// What is loaded into this process; `executable` is the path of the first module.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(super) fn loaded_modules(_executable: Option<&str>) -> Vec<LoadedModule> {
    Vec::new()
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux {
    use std::ffi::CStr;

    use super::{LoadedModule, MOST_MODULES, MOST_PATH_BYTES, VDSO};

    /// Module addresses are given in pages of this size whatever the machine's is, so that a reader
    /// can do the same with the file's headers.
    const PAGE: u64 = 4096;

    struct Collected<'a> {
        executable: Option<&'a str>,
        vdso: u64,
        path_bytes: usize,
        modules: Vec<LoadedModule>,
    }

    /// What is loaded into this process; `executable` is the path of the first module, which the
    /// dynamic linker gives no name.
    pub(in crate::record) fn loaded_modules(executable: Option<&str>) -> Vec<LoadedModule> {
        // SAFETY: any type may be asked for; the vDSO is not there where the answer is 0.
        let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        let mut collected =
            Collected { executable, vdso, path_bytes: 0, modules: Vec::with_capacity(8) };
        // SAFETY: `collect` has the signature that `dl_iterate_phdr` asks for, and `collected`
        // outlives the call, which ends before this function does.
        unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut collected).cast()) };
        if vdso != 0 && !collected.modules.iter().any(|module| module.base == vdso) {
            add_vdso(&mut collected);
        }
        collected.modules
    }

    /// Adds the vDSO where the C library does not count it among what is loaded, as musl does not.
    fn add_vdso(collected: &mut Collected<'_>) {
        let first = collected.vdso as *const u8;
        // SAFETY: at this address the kernel has mapped an ELF image whole, for as long as the process
        // lives, and it begins with its header.
        let header = unsafe { &*first.cast::<libc::Elf64_Ehdr>() };
        // SAFETY: zeros are a value of it: no name, no headers.
        let mut info: libc::dl_phdr_info = unsafe { std::mem::zeroed() };
        info.dlpi_phdr = first.wrapping_add(header.e_phoff as usize).cast();
        info.dlpi_phnum = header.e_phnum;
        // SAFETY: the headers lie in that image, as its own header says.
        let headers: &[libc::Elf64_Phdr] =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr.cast(), header.e_phnum.into()) };
        let loads = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let linked = loads.map(|load| load.p_vaddr).min().unwrap_or(0);
        info.dlpi_addr = collected.vdso.wrapping_sub(linked) as _;
        // SAFETY: the headers are those of that image, and nobody else has `collected`.
        unsafe { collect(&raw mut info, size_of_val(&info), (&raw mut *collected).cast()) };
    }

    unsafe extern "C" fn collect(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        collected: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the dynamic linker passes a valid `info`, whose name and headers stay mapped
        // during the call; `collected` is the pointer that `loaded_modules` passed, and nobody else
        // has it.
        let (info, headers, collected) = unsafe {
            let info = &*info;
            let headers: &[libc::Elf64_Phdr] = if info.dlpi_phdr.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(info.dlpi_phdr.cast(), info.dlpi_phnum.into())
            };
            (info, headers, &mut *collected.cast::<Collected<'_>>())
        };
        let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let first = loads().map(|load| load.p_vaddr).min();
        let end = loads().map(|load| load.p_vaddr.saturating_add(load.p_memsz)).max();
        if let (Some(first), Some(end)) = (first, end) {
            let first = first - first % PAGE;
            let base = info.dlpi_addr.wrapping_add(first);
            let path = collected.path_of(info, base);
            collected.path_bytes += path.len();
            if collected.path_bytes > MOST_PATH_BYTES {
                return 1;
            }
            // SAFETY: the headers are those of the object at this address, which stays loaded
            // during the call: the dynamic linker holds its lock.
            let build_id = unsafe { build_id(headers, info.dlpi_addr) };
            let size = end - first;
            collected.modules.push(LoadedModule { base, size, path, build_id });
        }
        libc::c_int::from(collected.modules.len() >= MOST_MODULES)
    }

    impl Collected<'_> {
        fn path_of(&self, info: &libc::dl_phdr_info, base: u64) -> String {
            if base == self.vdso && base != 0 {
                return VDSO.to_owned();
            }
            if self.modules.is_empty() {
                return self.executable.unwrap_or_default().to_owned();
            }
            if info.dlpi_name.is_null() {
                return String::new();
            }
            // SAFETY: a name is a string that ends in a zero byte and stays during the call.
            unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned()
        }
    }

    /// The build id from the program headers of an object as it is loaded: its file may have been
    /// replaced since.
    ///
    /// # Safety
    ///
    /// The headers are those of an object that is loaded at `bias` and stays so during the call.
    unsafe fn build_id(headers: &[libc::Elf64_Phdr], bias: u64) -> Option<String> {
        let loaded = |note: &libc::Elf64_Phdr| {
            headers.iter().any(|load| {
                load.p_type == libc::PT_LOAD
                    && load.p_vaddr <= note.p_vaddr
                    && note.p_vaddr.saturating_add(note.p_memsz)
                        <= load.p_vaddr.saturating_add(load.p_memsz)
            })
        };
        let notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE);
        notes.filter(|note| loaded(note)).find_map(|note| {
            let address = bias.wrapping_add(note.p_vaddr) as *const u8;
            // SAFETY: the segment lies in one that is loaded, and notes are never written.
            build_id_note(unsafe { std::slice::from_raw_parts(address, note.p_memsz as usize) })
        })
    }

    /// The description of the note of type NT_GNU_BUILD_ID (3) and name "GNU", by the ELF
    /// specification: three 4-byte words (sizes of name and description, type), then both, each
    /// filled up to 4 bytes.
    fn build_id_note(mut notes: &[u8]) -> Option<String> {
        loop {
            let (head, rest) = notes.split_at_checked(12)?;
            let word = |at: usize| -> Option<usize> {
                let bytes = head.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(u32::from_ne_bytes(bytes)).ok()
            };
            let (name_len, desc_len, kind) = (word(0)?, word(4)?, word(8)?);
            let (name, rest) = rest.split_at_checked(name_len.checked_next_multiple_of(4)?)?;
            let desc = rest.get(..desc_len)?;
            if kind == 3 && name == b"GNU\0" {
                return Some(super::hex(desc));
            }
            notes = rest.get(desc_len.checked_next_multiple_of(4)?..)?;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_build_id_is_found_behind_other_notes() {
            let mut notes = Vec::new();
            for (kind, name, desc) in [(1u32, b"GNU\0", &[9u8; 5][..]), (3, b"GNU\0", &[0xab, 1])] {
                notes.extend((name.len() as u32).to_ne_bytes());
                notes.extend((desc.len() as u32).to_ne_bytes());
                notes.extend(kind.to_ne_bytes());
                notes.extend(name);
                notes.extend(desc);
                notes.resize(notes.len().next_multiple_of(4), 0);
            }
            assert_eq!(build_id_note(&notes).as_deref(), Some("ab01"));
            assert_eq!(build_id_note(&notes[..10]), None);
            assert_eq!(build_id_note(&[0xff; 64]), None);
        }

        #[cfg_attr(miri, ignore = "the dynamic linker is not to be asked there")]
        #[test]
        fn this_process_has_its_executable_first_and_the_code_of_its_functions() {
            let modules = loaded_modules(Some("/own"));
            assert_eq!(modules[0].path, "/own");
            let holds = |module: &LoadedModule, address: u64| {
                address.wrapping_sub(module.base) < module.size
            };
            assert!(holds(&modules[0], loaded_modules as *const () as u64));
            let library = libc::qsort as *const () as u64;
            assert!(modules.iter().any(|module| holds(module, library)));
            // SAFETY: as above.
            let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
            let marked = modules.iter().find(|module| module.path == VDSO);
            assert_eq!(marked.map_or(0, |module| module.base), vdso);
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
#[cfg(target_os = "linux")]
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
