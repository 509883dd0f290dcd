//! The checksum of the executable: which build it was, whatever its version says.
//!
//! **Guarantee:** nobody waits for it: it is worked out by a thread of its own, a while after the
//! start, or at once where the file is small. The file is read through the process itself where the system allows,
//! so that it is the one that runs, even if it was replaced meanwhile. **Lost:** the checksum in
//! reports of a process with a large executable that dies right after its start, and that of a huge one.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// A file of this many bytes is read while somebody waits: for a few milliseconds at most.
const SMALL: u64 = 1024 * 1024;

/// A larger file is not read at all.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// The SHA-256 of an executable, once it is known.
#[derive(Debug, Default)]
pub(super) struct Checksum {
    source: Source,
    known: OnceLock<Option<String>>,
}

/// Where the executable is.
#[derive(Debug, Default)]
enum Source {
    #[default]
    Unknown,
    /// Opened when it is read: the system keeps the name as long as the process runs.
    Path(PathBuf),
    /// Opened already: it may be replaced before it is read.
    File(File),
}

impl Checksum {
    /// That of this process.
    pub(super) fn of_this_process() -> Checksum {
        let path = if cfg!(target_os = "linux") {
            "/proc/self/exe".into()
        } else {
            std::env::current_exe().unwrap_or_default()
        };
        Checksum { source: Source::Path(path), known: OnceLock::new() }
    }

    /// That of a program that is about to be run, from its file.
    pub(super) fn of_file(path: Option<PathBuf>) -> Checksum {
        let file = path.and_then(|path| File::open(path).ok());
        let source = file.map_or(Source::Unknown, Source::File);
        Checksum { source, known: OnceLock::new() }
    }

    /// Works it out.
    pub(super) fn prepare(&self) {
        // Not `get_or_init`: a child that is forked meanwhile would wait for ever.
        if self.known.get().is_none() {
            let _ = self.known.set(self.compute(LARGEST));
        }
    }

    /// The checksum in hexadecimal digits, if it is known or can be at once.
    pub(super) fn get(&self) -> Option<String> {
        match self.known.get() {
            Some(known) => known.clone(),
            None => self.compute(SMALL),
        }
    }

    fn compute(&self, largest: u64) -> Option<String> {
        let opened;
        let file = match &self.source {
            Source::Unknown => return None,
            Source::File(file) => file,
            Source::Path(path) => {
                opened = File::open(path).ok()?;
                &opened
            }
        };
        let is_readable = file.metadata().ok()?.len() <= largest;
        is_readable.then(|| digest(file).ok())?
    }
}

/// Reads a file from its beginning, wherever another reader of the same descriptor is.
fn digest(file: &File) -> io::Result<String> {
    let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
    let mut reader = At { file, offset: 0 };
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => hash.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A reader with a position of its own.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    #[cfg(unix)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }

    #[cfg(windows)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }

    #[cfg(not(any(unix, windows)))]
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_files_sha_256() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        let file = File::open(path).unwrap();
        // From the examples of FIPS 180-4.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&file).unwrap(), expected);
        assert_eq!(digest(&file).unwrap(), expected);
    }

    #[test]
    fn this_process_has_one_once_there_was_time() {
        let checksum = Checksum::of_this_process();
        checksum.prepare();
        let known = checksum.get();
        assert!(known.as_ref().is_some_and(|known| known.len() == 64), "{known:?}");
        let file = std::env::current_exe().ok();
        assert_eq!(Checksum::of_file(file).compute(LARGEST), known);
    }

    #[test]
    fn what_is_not_there_has_none() {
        assert_eq!(Checksum::default().get(), None);
    }
}
