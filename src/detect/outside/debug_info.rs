//! Functions, files and lines at addresses of a file, by its debug info (DWARF).
//!
//! **Guarantee:** debug info is taken from the file or from one beside it that has the same build id, and
//! is read for those addresses only. **Lost:** what is in `.dwo` and `.dwp` files (`-C
//! split-debuginfo=unpacked` and `packed`): there the file and the line are still known, and the
//! functions by their symbols, without those that were inlined.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, RunTimeEndian, SectionId};

use super::elf::{Elf, MOST_UNPACKED};
use super::images::{self, Source};
use super::modules::Module;

/// Where distributions install debug info.
const DEBUG_FILES: &str = "/usr/lib/debug";

/// A function at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name as the linker has it; `None` where only the line is known.
    pub(super) name: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// The sections that are needed.
const SECTIONS: [SectionId; 11] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// The debug info of one file, unpacked.
pub(super) struct DebugInfo<'d> {
    sections: Vec<(SectionId, Cow<'d, [u8]>)>,
    endian: RunTimeEndian,
}

impl<'d> DebugInfo<'d> {
    /// For each address (in the file's terms) the functions there, the innermost first; none where
    /// nothing is known.
    pub(super) fn functions(elf: &Elf<'d>, addresses: &[u64]) -> Vec<Vec<Function>> {
        let info = elf.has_debug_info().then(|| DebugInfo::of(elf)).flatten();
        info.map_or_else(|| vec![Vec::new(); addresses.len()], |info| info.at(addresses))
    }

    fn of(elf: &Elf<'d>) -> Option<DebugInfo<'d>> {
        if !elf.fit(&SECTIONS.map(|id| id.name())) {
            return None;
        }
        let mut room = MOST_UNPACKED;
        let mut section = |id: SectionId| Some((id, elf.debug_section(id.name(), &mut room)?));
        let sections = SECTIONS.into_iter().filter_map(&mut section).collect();
        let endian = match elf.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        Some(DebugInfo { sections, endian })
    }

    fn at(&self, addresses: &[u64]) -> Vec<Vec<Function>> {
        let section = |id: SectionId| -> Result<_, addr2line::gimli::Error> {
            let found = self.sections.iter().find(|(other, _)| *other == id);
            let bytes: &[u8] = found.map_or(&[], |(_, bytes)| bytes);
            Ok(EndianSlice::new(bytes, self.endian))
        };
        let context = Dwarf::load(section).and_then(Context::from_dwarf);
        let Ok(context) = context else { return vec![Vec::new(); addresses.len()] };
        addresses.iter().map(|address| functions_at(&context, *address)).collect()
    }
}

fn functions_at(context: &Context<EndianSlice<'_, RunTimeEndian>>, address: u64) -> Vec<Function> {
    let mut functions = Vec::new();
    // `find_frames` adds one.
    if address == u64::MAX {
        return functions;
    }
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return functions };
    // Nobody inlines as deep; a damaged file may seem to.
    while functions.len() < 256
        && let Ok(Some(frame)) = frames.next()
    {
        let name = frame.function.and_then(|function| Some(function.raw_name().ok()?.into_owned()));
        let location = frame.location;
        let file = location.as_ref().and_then(|place| place.file).map(str::to_owned);
        functions.push(Function {
            name,
            file,
            line: location.as_ref().and_then(|place| place.line),
            column: location.as_ref().and_then(|place| place.column).filter(|column| *column > 0),
        });
    }
    functions
}

/// The file with the symbols and the debug info of one that was stripped: at the place for its build id, else where its
/// link leads, by the rules of GDB ("Debugging Information in Separate Files"). It must have the same
/// build id.
pub(super) fn beside(elf: &Elf<'_>, module: &Module) -> Option<Source> {
    let id = elf.build_id().filter(|id| id.len() > 2)?;
    let (folder, file) = id.split_at_checked(2)?;
    let by_id = Path::new(DEBUG_FILES).join(".build-id").join(folder).join(format!("{file}.debug"));
    let mut places = vec![by_id];
    if let Some(link) = elf.debug_link()
        && let Some(folder) = Path::new(&module.path).parent()
    {
        places.extend(linked(folder, link));
    }
    let same = |source: &Source| Elf::parse(source.data())?.build_id().filter(|other| *other == id);
    let sources = places.iter().filter_map(|place| Source::new(images::open(place)?));
    sources.into_iter().find(|source| same(source).is_some())
}

/// Where a link of that name leads from a file in `folder`. A link is a bare name.
fn linked(folder: &Path, link: &[u8]) -> Vec<PathBuf> {
    if link.is_empty() || link.contains(&b'/') {
        return Vec::new();
    }
    let name = OsStr::from_bytes(link);
    let below = folder.strip_prefix("/").unwrap_or(folder);
    [folder.to_owned(), folder.join(".debug"), Path::new(DEBUG_FILES).join(below)]
        .map(|folder| folder.join(name))
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_looked_for_where_gdb_does() {
        let places = linked(Path::new("/srv/bin"), b"a.debug");
        let expected =
            ["/srv/bin/a.debug", "/srv/bin/.debug/a.debug", "/usr/lib/debug/srv/bin/a.debug"];
        assert_eq!(places, expected.map(PathBuf::from));
        assert_eq!(linked(Path::new("/srv"), b"../../etc/passwd"), Vec::<PathBuf>::new());
    }
}
