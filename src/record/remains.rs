//! What a process leaves behind: a region's file, as another process reads, marks and removes it.
//!
//! **Guarantee:** one process at a time holds a region's report lock, and the kernel frees it when that
//! process ends, however it does; a mark is one word, so it is there or not; the file is never mapped,
//! so that nobody who shortens it harms the reader. **Lost:** nothing; a mark that a kill prevents is
//! made by the next who holds the lock.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::byte_lock;
use super::fate::{self, Fate};
use super::identity::Identity;
use super::layout::{MAGIC, SLOT_WORDS, SLOTS, Section, VERSION, end, head};
use super::old_regions::TAGS;
use super::slots;
use super::snapshot::{ReadError, Select, Snapshot};

/// Byte of a region's file that whoever reports its process holds alone.
pub(crate) const REPORT: i64 = fate::LIFE + 1;

/// A region's file.
#[derive(Debug)]
pub(crate) struct Remains {
    file: File,
    path: PathBuf,
}

/// Why a file in the folder of regions was not opened as one.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is gone.
    Gone,
    /// It belongs to another user.
    OtherUser {
        /// Whose it is.
        uid: u32,
    },
    /// It cannot be opened, or is no regular file.
    Io(io::Error),
}

impl Remains {
    /// Opens a region's file.
    pub(crate) fn open(path: &Path) -> Result<Remains, Refused> {
        match open(path) {
            Ok(file) => Ok(Remains { file, path: path.to_owned() }),
            Err(Refused::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(Refused::Gone)
            }
            Err(refused) => Err(refused),
        }
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the report lock. `false` where another process has it, or has removed the file meanwhile.
    ///
    /// # Errors
    /// Where the file system knows no locks.
    pub(crate) fn lock(&self) -> io::Result<bool> {
        Ok(byte_lock::take(&self.file, REPORT)? && self.is_there())
    }

    /// Whether a process reports from it, or watches over it.
    pub(crate) fn is_watched(&self) -> bool {
        byte_lock::is_held(&self.file, REPORT).unwrap_or(false)
    }

    /// Whether a process that records there holds its life lock.
    pub(crate) fn is_alive(&self) -> bool {
        byte_lock::is_held(&self.file, fate::LIFE).unwrap_or(true)
    }

    /// Whether the file still has its name: who removes it does so under the lock.
    #[cfg(unix)]
    fn is_there(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let named = self.path.symlink_metadata();
        let opened = self.file.metadata();
        named.is_ok_and(|named| {
            opened.is_ok_and(|opened| (opened.dev(), opened.ino()) == (named.dev(), named.ino()))
        })
    }

    #[cfg(not(unix))]
    fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// What has become of the process `whose`.
    pub(crate) fn fate(&self, whose: &Identity) -> Fate {
        fate::of(whose, &self.file, &self.path)
    }

    /// Copies what is in it.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub(crate) fn snapshot(&self, select: Select) -> Result<Snapshot, ReadError> {
        Snapshot::read_open_file(&self.file, select)
    }

    /// Copies what is in it but for the log lines.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub(crate) fn brief(&self) -> Result<Snapshot, ReadError> {
        Snapshot::read_open_file_brief(&self.file)
    }

    /// How long ago the file was last written by a call, as far as its time says so.
    pub(crate) fn age(&self) -> Option<std::time::Duration> {
        self.file.metadata().ok()?.modified().ok()?.elapsed().ok()
    }

    /// Marks panic `number` as reported.
    pub(crate) fn mark_panic(&self, number: u64) -> io::Result<()> {
        let offset = 8 * (head::SECTIONS + 2 * Section::Slots as usize) as u64;
        let section = self.word(offset)?;
        for slot in 0..SLOTS as u64 {
            let at = section.saturating_add(slot * SLOT_WORDS as u64 * 8);
            if self.word(at.saturating_add(slots::NUMBER as u64 * 8))? == number {
                return self.set_word(at, slots::state::REPORTED);
            }
        }
        Ok(())
    }

    /// Marks that the program has ended by itself: its process is another one's now.
    pub(crate) fn mark_ended(&self) -> io::Result<()> {
        self.set_word(8 * head::END as u64, end::CLEAN)
    }

    /// Marks the death itself as reported.
    pub(crate) fn mark_death(&self) -> io::Result<()> {
        self.set_word(8 * head::SILENT as u64, 1)
    }

    /// Notes that somebody begins to look for what the process died of; whether somebody did before, and did
    /// not live to end it.
    pub(crate) fn begin_examination(&self) -> bool {
        let at = 8 * head::EXAMINED as u64;
        let before = self.word(at).unwrap_or(0);
        // Where nothing can be written the next does not know.
        let _ = self.set_word(at, before.saturating_add(1));
        before > 0
    }

    /// Notes that the look has come to its end.
    pub(crate) fn end_examination(&self) {
        let _ = self.set_word(8 * head::EXAMINED as u64, 0);
    }

    fn word(&self, offset: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        read_exact_at(&self.file, &mut bytes, offset)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Writes a word of a region that is one.
    fn set_word(&self, offset: u64, value: u64) -> io::Result<()> {
        let is_region = self.word(8 * head::MAGIC as u64)? == MAGIC
            && self.word(8 * head::VERSION as u64)? == VERSION;
        let length = self.file.metadata()?.len();
        if !is_region || offset.saturating_add(8) > length {
            return Err(io::ErrorKind::InvalidData.into());
        }
        write_all_at(&self.file, &value.to_ne_bytes(), offset)
    }

    /// Removes the region, and the file of tags beside it.
    ///
    /// # Errors
    /// Where the region's file cannot be removed.
    pub(crate) fn remove(self) -> io::Result<()> {
        remove(&self.path)
    }
}

/// Removes a region's file, and before it the file of tags beside it: whoever is killed between the two
/// leaves what a sweep finds.
///
/// # Errors
/// Where the region's file cannot be removed.
pub(crate) fn remove(region: &Path) -> io::Result<()> {
    let _ = std::fs::remove_file(region.with_extension(TAGS));
    match std::fs::remove_file(region) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn open(path: &Path) -> Result<File, Refused> {
    use rustix::fs::{FileType, Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty());
    let file = file.map_err(|error| refuse(path, error.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| Refused::Io(error.into()))?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Refused::OtherUser { uid: stat.st_uid });
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let not_a_file = io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file");
        return Err(Refused::Io(not_a_file));
    }
    Ok(file.into())
}

/// Why a file could not be opened.
#[cfg(unix)]
fn refuse(path: &Path, error: io::Error) -> Refused {
    use std::os::unix::fs::MetadataExt;
    let owner = path.symlink_metadata().map(|meta| meta.uid());
    match owner {
        Ok(uid) if uid != rustix::process::geteuid().as_raw() => Refused::OtherUser { uid },
        _ => Refused::Io(error),
    }
}

#[cfg(not(unix))]
fn open(path: &Path) -> Result<File, Refused> {
    File::options().read(true).write(true).open(path).map_err(Refused::Io)
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Elsewhere no process leaves a region behind.
#[cfg(not(unix))]
fn read_exact_at(_file: &File, _bytes: &mut [u8], _offset: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn write_all_at(_file: &File, _bytes: &[u8], _offset: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(any(miri, lastwords_loom))))]
mod tests {
    use super::super::layout::MIN_RING_BYTES;
    use super::super::slots::Facts;
    use super::super::{Place, Region};
    use super::*;

    fn region(folder: &Path) -> (Region, PathBuf) {
        let place = Place::File(folder.to_owned());
        let region = Region::create(&place, MIN_RING_BYTES, &Identity::of_this_process()).unwrap();
        let path = region.path().unwrap().to_owned();
        (region, path)
    }

    fn panics(region: &Region, message: &str) -> u64 {
        let slot = region.claim_slot().unwrap();
        slot.write_facts(&Facts {
            message,
            file: "src/main.rs",
            line: 1,
            column: 2,
            thread: 1,
            name: (0, [0; 8]),
            flags: 0,
            span: 0,
            boot: 1,
            wall: 1,
            chained_to: 0,
        });
        slot.number
    }

    #[test]
    fn a_mark_is_what_the_next_reader_finds() {
        let dir = tempfile::tempdir().unwrap();
        let (region, path) = region(dir.path());
        let numbers = ["first", "second", "third"].map(|message| panics(&region, message));
        let remains = Remains::open(&path).unwrap();
        remains.mark_panic(numbers[1]).unwrap();
        remains.mark_panic(99).unwrap();
        let brief = remains.brief().unwrap();
        let mut reported: Vec<_> =
            brief.panics.iter().map(|it| (it.message.as_str(), it.reported)).collect();
        reported.sort_unstable();
        assert_eq!(reported, [("first", false), ("second", true), ("third", false)]);
        assert!(!brief.silent_reported);
        remains.mark_death().unwrap();
        assert!(remains.brief().unwrap().silent_reported);
    }

    #[test]
    fn one_at_a_time_reports_and_whoever_lives_is_seen_to() {
        let dir = tempfile::tempdir().unwrap();
        let (region, path) = region(dir.path());
        let [a, b] = [(); 2].map(|()| Remains::open(&path).unwrap());
        assert!(a.is_alive() && !a.is_watched());
        assert!(a.lock().unwrap() && !b.lock().unwrap());
        assert!(b.is_watched() && !a.is_watched(), "one's own lock is none");
        drop(region);
        assert!(!b.is_alive());
        a.remove().unwrap();
        assert!(!b.lock().unwrap(), "it was removed before the lock was free");
    }

    #[test]
    fn the_tags_go_with_the_region_and_what_is_gone_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let (_region, path) = region(dir.path());
        std::fs::write(path.with_extension(TAGS), "a=b").unwrap();
        for _ in 0..2 {
            remove(&path).unwrap();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        assert!(matches!(Remains::open(&path), Err(Refused::Gone)));
    }

    #[test]
    fn what_is_no_region_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1-x.region");
        for bytes in [vec![], vec![7; 100], vec![0; 1 << 16]] {
            std::fs::write(&path, &bytes).unwrap();
            let remains = Remains::open(&path).unwrap();
            let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            assert!(kinds.contains(&remains.mark_death().unwrap_err().kind()));
            let _ = remains.mark_panic(7);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_link_or_a_folder_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (_region, path) = region(dir.path());
        let link = dir.path().join("link.region");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let folder = dir.path().join("folder.region");
        std::fs::create_dir(&folder).unwrap();
        for path in [link, folder] {
            assert!(matches!(Remains::open(&path), Err(Refused::Io(_))), "{path:?}");
        }
    }
}
