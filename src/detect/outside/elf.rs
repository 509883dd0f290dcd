//! What is read of an ELF file: where its code goes, its tables for unwinding, its symbols.
//!
//! **Guarantee:** whatever bytes a file holds, nothing here panics, and no more memory is taken than
//! the file has bytes, and [`MOST_UNPACKED`] more where its debug info is packed. **Lost:** files that are not 64-bit ELF, and
//! debug info packed in another way than zlib's.
//!
//! The format is that of the System V ABI, chapters 4 and 5.

use std::borrow::Cow;
use std::io::Read;

use object::elf::{PF_X, PT_LOAD};
use object::read::ReadRef;
use object::read::elf::{ElfFile64, ElfSection64, ProgramHeader};
use object::{CompressionFormat, Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::images::Data;
use super::modules::Module;
use crate::record::hex;

/// In which units a program's recorded load base is given.
const PAGE: u64 = 4096;

/// The most bytes that packed debug info of one file is unpacked to.
pub(super) const MOST_UNPACKED: u64 = 1 << 30;

/// A file, its headers parsed.
pub(super) struct Elf<'d> {
    file: ElfFile64<'d, Endianness, Data<'d>>,
    data: Data<'d>,
    len: u64,
}

/// Where a function is, in the addresses of its file, and its raw name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) start: u64,
    pub(super) name: String,
}

/// A section that is loaded: its address in the file's terms, and its bytes.
#[derive(Clone, Copy)]
pub(super) struct Section<'d> {
    pub(super) address: u64,
    pub(super) bytes: &'d [u8],
}

impl<'d> Elf<'d> {
    pub(super) fn parse(data: Data<'d>) -> Option<Elf<'d>> {
        Some(Elf { file: ElfFile64::parse(data).ok()?, data, len: data.len().ok()? })
    }

    /// GNU build id in hexadecimal digits.
    pub(super) fn build_id(&self) -> Option<String> {
        self.file.build_id().ok().flatten().map(hex)
    }

    /// The name of the file that holds the debug info, by the section `.gnu_debuglink`.
    pub(super) fn debug_link(&self) -> Option<&'d [u8]> {
        Some(self.file.gnu_debuglink().ok()??.0)
    }

    pub(super) fn is_little_endian(&self) -> bool {
        self.file.is_little_endian()
    }

    /// What to add (wrapping) to an address in the file's terms to get that in the process.
    pub(super) fn bias(&self, module: &Module) -> Option<u64> {
        let endian = self.file.endian();
        let loads = self.file.elf_program_headers().iter();
        let loads = loads.filter(|header| header.p_type(endian) == PT_LOAD);
        let Some(offset) = module.file_offset else {
            let base = module.loaded.as_ref()?.base;
            let first = loads.map(|load| load.p_vaddr(endian)).min()?;
            return Some(base.wrapping_sub(first - first % PAGE));
        };
        // A mapping begins at a page, the segment in it perhaps behind that.
        let size = module.end.checked_sub(module.start)?;
        let mut code = loads.filter(|load| load.p_flags(endian).contains(PF_X));
        let load = code.find(|load| {
            let from = load.p_offset(endian);
            let to = from.saturating_add(load.p_filesz(endian));
            offset < to && from < offset.saturating_add(size)
        })?;
        let start = load.p_vaddr(endian).wrapping_add(offset.wrapping_sub(load.p_offset(endian)));
        Some(module.start.wrapping_sub(start))
    }

    /// The address of the first page of the object in a process in which `bias` is to be added, and how
    /// many bytes it takes.
    pub(super) fn extent(&self, bias: u64) -> Option<(u64, u64)> {
        let endian = self.file.endian();
        let loads = self.file.elf_program_headers().iter();
        let loads = loads.filter(|header| header.p_type(endian) == PT_LOAD);
        let end = |load: &object::elf::ProgramHeader64<Endianness>| {
            load.p_vaddr(endian).saturating_add(load.p_memsz(endian))
        };
        let first = loads.clone().map(|load| load.p_vaddr(endian)).min()?;
        let first = first - first % PAGE;
        Some((first.wrapping_add(bias), loads.map(end).max()? - first))
    }

    /// A section as it is in the file.
    pub(super) fn section(&self, name: &str) -> Option<Section<'d>> {
        let section = self.file.section_by_name(name)?;
        Some(Section { address: section.address(), bytes: section.data().ok()? })
    }

    /// The address of a section in the file's terms.
    pub(super) fn section_address(&self, name: &str) -> Option<u64> {
        Some(self.file.section_by_name(name)?.address())
    }

    /// The `size` bytes of code at an address in the file's terms.
    pub(super) fn code_at(&self, address: u64, size: u64) -> Option<&'d [u8]> {
        let endian = self.file.endian();
        let loads = self.file.elf_program_headers().iter();
        let mut code = loads
            .filter(|load| load.p_type(endian) == PT_LOAD && load.p_flags(endian).contains(PF_X));
        code.find_map(|load| {
            let within = address.checked_sub(load.p_vaddr(endian))?;
            let end = within.checked_add(size)?;
            let offset = load.p_offset(endian).checked_add(within)?;
            (end <= load.p_filesz(endian)).then_some(())?;
            self.data.read_bytes_at(offset, size).ok()
        })
    }

    /// Whether there is debug info in the file.
    pub(super) fn has_debug_info(&self) -> bool {
        self.sized(".debug_info").is_some()
    }

    /// Whether the named sections of the file are not larger than the file: overlapping ones, of a
    /// damaged file, could be read many times over.
    pub(super) fn fit(&self, names: &[&str]) -> bool {
        let sizes = names.iter().filter_map(|name| self.sized(name));
        let in_file = |section: ElfSection64<'_, '_, _, _>| {
            Some(section.compressed_file_range().ok()?.compressed_size)
        };
        sizes.filter_map(in_file).fold(0, u64::saturating_add) <= self.len
    }

    fn sized<'f>(&'f self, name: &str) -> Option<ElfSection64<'d, 'f, Endianness, Data<'d>>> {
        self.file.section_by_name(name).filter(|section| section.size() > 0)
    }

    /// A section of debug info, unpacked where it is packed, while `room` bytes are left for that.
    pub(super) fn debug_section(&self, name: &str, room: &mut u64) -> Option<Cow<'d, [u8]>> {
        let packed = self.sized(name)?.compressed_data().ok()?;
        if packed.format == CompressionFormat::None {
            return Some(Cow::Borrowed(packed.data));
        }
        let size = packed.uncompressed_size;
        if packed.format != CompressionFormat::Zlib || size > *room {
            return None;
        }
        *room -= size;
        let mut unpacked = Vec::new();
        flate2::read::ZlibDecoder::new(packed.data).take(size).read_to_end(&mut unpacked).ok()?;
        Some(Cow::Owned(unpacked))
    }

    /// For each of the addresses, which are sorted, the function that it is in: of those that the file
    /// exports only, or of all that it names.
    pub(super) fn symbols(&self, addresses: &[u64], exported_only: bool) -> Vec<Option<Symbol>> {
        let mut best: Vec<Option<(u64, bool, &'d [u8])>> = vec![None; addresses.len()];
        let mut consider =
            |symbol: object::read::elf::ElfSymbol64<'d, '_, Endianness, Data<'d>>| {
                let (start, size) = (symbol.address(), symbol.size());
                if symbol.kind() != SymbolKind::Text || symbol.is_undefined() {
                    return;
                }
                let from = addresses.partition_point(|address| *address < start);
                let end = start.saturating_add(size.max(1));
                let to = addresses.partition_point(|address| *address < end);
                for best in best.get_mut(from..to).into_iter().flatten() {
                    let rank = (start, symbol.is_global());
                    if best.is_none_or(|(start, global, _)| rank > (start, global))
                        && let Ok(name) = symbol.name_bytes()
                        && !name.is_empty()
                    {
                        *best = Some((rank.0, rank.1, name));
                    }
                }
            };
        self.file.dynamic_symbols().for_each(&mut consider);
        if !exported_only {
            self.file.symbols().for_each(&mut consider);
        }
        let symbol = |(start, _, name): (u64, bool, &[u8])| Symbol {
            start,
            name: String::from_utf8_lossy(name).into_owned(),
        };
        best.into_iter().map(|best| best.map(symbol)).collect()
    }
}
