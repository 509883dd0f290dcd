//! The files of a dead process's modules, each proved to be the one that was mapped.
//!
//! **Guarantee:** a file is used only if its build id is the recorded one or, where none was recorded,
//! if device and inode are those of the mapping. A program that was replaced since is not asked: wrong
//! names are worse than none. Only regular files are read. **Lost:** where no build id was recorded, a
//! file that was written over in place is not noticed; the vDSO, which is in no file.
//!
//! A mapping of a file that another process cuts short raises SIGBUS in the reader. So a file is mapped
//! only if this very process runs it, which adds no danger: its own code is mapped from that file
//! already. All others are read, one section at a time, and kept until the [`Images`] are dropped: of an
//! executable with 100 MB of debug info about that much memory. A process whose limits leave no room for
//! that uses none.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use object::read::{ReadCache, ReadRef};

use super::elf::Elf;
use super::modules::{Module, is_vdso};
use super::room;

/// Finds and keeps the files of modules.
#[derive(Default)]
pub(crate) struct Images {
    offered: Vec<File>,
    files: Vec<Source>,
    /// Whether none is used.
    refused: bool,
    found: HashMap<Key, Option<usize>>,
}

/// What tells modules' files apart.
type Key = (String, Option<(u64, u64)>, Option<String>);

impl Images {
    /// Images that are looked for where the modules say, and in the executable of this process: a
    /// monitor runs the one it watches, however its file was moved or deleted since.
    pub(crate) fn new() -> Images {
        let mut images = Images::default();
        if let Ok(own) = File::open(OWN_EXECUTABLE) {
            images.offer(own);
        }
        images
    }

    /// No file is used: what is in none of them is all that is known.
    pub(crate) fn none() -> Images {
        Images { refused: true, ..Images::default() }
    }

    /// Offers a file that is open, which must prove itself as any other.
    pub(crate) fn offer(&mut self, file: File) {
        self.offered.push(file);
    }

    /// The file of a module.
    pub(super) fn of(&mut self, module: &Module) -> Option<&Source> {
        if self.refused || is_vdso(module) || module.path.is_empty() {
            return None;
        }
        let build_id = module.build_id().map(str::to_owned);
        let key = (module.path.clone(), module.device_inode, build_id);
        let index = match self.found.get(&key) {
            Some(found) => *found,
            None => {
                let found = self.find(module);
                self.found.insert(key, found);
                found
            }
        };
        self.files.get(index?)
    }

    fn find(&mut self, module: &Module) -> Option<usize> {
        let offered = self.offered.iter().filter_map(reopened);
        let by_path = std::iter::once_with(|| open(Path::new(&module.path))).flatten();
        let proved = offered.chain(by_path).find_map(|file| proved(file, module))?;
        self.files.push(proved);
        Some(self.files.len() - 1)
    }
}

const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// Opens a regular file; a path from a damaged map may be that of a pipe or a terminal.
pub(super) fn open(path: &Path) -> Option<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// The same file with a position of its own: whoever offered it may be reading it.
fn reopened(file: &File) -> Option<File> {
    open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
}

/// The file, if it proves to be the module's.
fn proved(file: File, module: &Module) -> Option<Source> {
    let meta = file.metadata().ok()?;
    if !room::is_enough_for(meta.len()) {
        return None;
    }
    let same_file = module.device_inode == Some((meta.dev(), meta.ino()));
    match module.build_id() {
        None if !same_file => None,
        None => Source::new(file),
        Some(recorded) => {
            let source = Source::new(file)?;
            let id = Elf::parse(source.data())?.build_id()?;
            (id == recorded).then_some(source)
        }
    }
}

/// The bytes of a file.
pub(super) enum Source {
    Mapped(memmap2::Mmap),
    Read(ReadCache<File>),
}

impl Source {
    pub(super) fn new(file: File) -> Option<Source> {
        let (meta, own) = (file.metadata().ok()?, std::fs::metadata(OWN_EXECUTABLE).ok());
        let runs_here = own.is_some_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino()));
        if runs_here {
            // SAFETY: this process runs the file, so its code is mapped from it: whoever writes it or
            // cuts it short (the kernel refuses both for a file that is run) breaks this process with
            // or without this mapping.
            let mapped = unsafe { memmap2::Mmap::map(&file) };
            return mapped.ok().map(Source::Mapped);
        }
        meta.is_file().then(|| Source::Read(ReadCache::new(file)))
    }

    pub(super) fn data(&self) -> Data<'_> {
        match self {
            Source::Mapped(mapped) => Data::Mapped(mapped),
            Source::Read(cache) => Data::Read(cache),
        }
    }
}

/// A view of a file's bytes.
#[derive(Clone, Copy)]
pub(super) enum Data<'d> {
    Mapped(&'d [u8]),
    Read(&'d ReadCache<File>),
}

impl<'d> ReadRef<'d> for Data<'d> {
    fn len(self) -> Result<u64, ()> {
        match self {
            Data::Mapped(bytes) => Ok(bytes.len() as u64),
            Data::Read(cache) => cache.len(),
        }
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'d [u8], ()> {
        match self {
            Data::Mapped(bytes) => bytes.read_bytes_at(offset, size),
            Data::Read(cache) => cache.read_bytes_at(offset, size),
        }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'d [u8], ()> {
        match self {
            Data::Mapped(bytes) => bytes.read_bytes_at_until(range, delimiter),
            Data::Read(cache) => cache.read_bytes_at_until(range, delimiter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules::Loaded;
    use super::*;

    fn module_of(path: &Path, device_inode: Option<(u64, u64)>, id: Option<&str>) -> Module {
        let build_id = id.map(str::to_owned);
        Module {
            start: 0x1000,
            end: 0x2000,
            file_offset: Some(0),
            path: path.display().to_string(),
            device_inode,
            loaded: Some(Loaded { base: 0x1000, size: 0x1000, build_id }),
        }
    }

    fn inode(path: &Path) -> Option<(u64, u64)> {
        let meta = std::fs::metadata(path).unwrap();
        Some((meta.dev(), meta.ino()))
    }

    #[test]
    fn a_file_is_taken_by_its_build_id_or_else_by_its_inode() {
        let own = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::copy(&own, &copy).unwrap();
        let source = Source::new(File::open(&own).unwrap()).unwrap();
        let id = Elf::parse(source.data()).unwrap().build_id();
        let taken = |path: &Path, inode, id: Option<&str>| {
            Images::default().of(&module_of(path, inode, id)).is_some()
        };
        assert!(taken(&copy, inode(&copy), None));
        assert!(!taken(&copy, inode(&own), None), "another file without a build id");
        assert!(!taken(&copy, None, None), "nothing proves it");
        if let Some(id) = id.as_deref() {
            assert!(taken(&copy, inode(&own), Some(id)), "installed anew");
            assert!(!taken(&copy, inode(&copy), Some("00")), "another build");
            let gone = folder.path().join("gone");
            assert!(!taken(&gone, None, Some(id)));
            assert!(Images::new().of(&module_of(&gone, None, Some(id))).is_some(), "offered");
        }
    }

    #[test]
    fn only_this_executable_is_mapped() {
        let own = std::env::current_exe().unwrap();
        assert!(matches!(Source::new(File::open(own).unwrap()), Some(Source::Mapped(_))));
        let other = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Source::new(other.reopen().unwrap()), Some(Source::Read(_))));
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(open(&pipe).is_none());
        assert!(open(folder.path()).is_none());
        assert!(open(Path::new("/dev/null")).is_none());
    }
}
