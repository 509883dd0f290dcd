//! Reading a region: of this process, of a live one, or of a dead one.
//!
//! **Guarantee:** whatever the bytes are, reading is memory-safe, takes time bounded by the file's
//! length (at most [`MOST_BYTES`]), and ends in a [`Snapshot`] or a [`ReadError`]. What is in the
//! snapshot was recorded whole; what was not is counted in its [`Losses`]. The region is copied,
//! never mapped and never written. **Not offered:** reading another layout version.

mod join;
mod source;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use super::breadcrumb::{Breadcrumb, Losses, Position};
use super::clock::Anchors;
use super::fatal::FatalRecord;
use super::identity::Identity;
use super::layout::{Section, VERSION, end, head};
use super::region::Region;
use super::slots::{self, PanicRecord};
use join::{Found, Joiner};
use source::Source;

/// Largest region that is read: the largest ring, and room for the rest.
pub const MOST_BYTES: u64 = 264 * 1024 * 1024;

/// Which breadcrumbs to take out of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select {
    /// How many at most: the newest ones.
    pub most: usize,
    /// Only those recorded at or before this boot time in nanoseconds.
    pub until: u64,
    /// Of standard error only what lies before this byte of the stream.
    pub until_stderr: u64,
    /// And not before this one.
    pub from_stderr: u64,
}

impl Select {
    /// The newest `most`.
    #[must_use]
    pub fn newest(most: usize) -> Select {
        Select { most, until: u64::MAX, until_stderr: u64::MAX, from_stderr: 0 }
    }
}

/// What a region says.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose region it is.
    pub identity: Identity,
    /// Whether the process marked a clean end.
    pub ended_cleanly: bool,
    /// The newest breadcrumbs, oldest first.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// What could not be kept.
    pub losses: Losses,
    /// How many of the [overwritten](Losses::overwritten) ones are those of blocks that were taken over
    /// again and again while they were copied: another reading may find them.
    pub overtaken: u64,
    /// Where the pieces of standard error stand that are there, whatever is selected.
    pub pieces: Vec<Position>,
    /// The first byte of standard error that is there, counted from the beginning of the stream.
    pub first_stderr: Option<u64>,
    /// Run-time tags, in the order they were set.
    pub tags: Vec<(String, String)>,
    /// Panics, in the order they began.
    pub panics: Vec<PanicRecord>,
    /// The fatal signal that the process took, if its handler wrote one.
    pub fatal: Option<FatalRecord>,
    /// The last signal that asked the process to stop.
    pub asked: Option<Asked>,
    /// A signal at its default disposition that ended the process and is neither a crash nor a
    /// stop, such as SIGALRM.
    pub ended_by: Option<i32>,
    /// Whether the report of the end of the process is published.
    pub silent_reported: bool,
    /// Pid of the child that a monitor made the region for, 0 for none.
    pub child_pid: u32,
    /// Pid of the process that records here under its monitor, 0 for none.
    pub owner_pid: u64,
    /// How many leases the ring has given.
    pub leases: u64,
    /// Module path and source file of every callsite seen: whose code the program's events are in.
    pub modules: Vec<(String, String)>,
}

/// That a process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The signal's number.
    pub signal: i32,
    /// When it came, in nanoseconds since the machine's boot.
    pub boot_nanos: u64,
    /// Whether the process died of it. If not, a handler of the program's own had it too.
    pub died_of_it: bool,
}

impl Asked {
    fn read(header: &[u64]) -> Option<Asked> {
        Some(Asked {
            signal: signal(header[head::ASKED])?,
            boot_nanos: header[head::ASKED_AT],
            died_of_it: header[head::END] == end::ASKED,
        })
    }
}

/// A signal's number in a word of the header: no system has more than 128 signals.
fn signal(word: u64) -> Option<i32> {
    i32::try_from(word).ok().filter(|number| (1..=128).contains(number))
}

/// Why a file was not read as a region.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Reading it failed.
    Io(io::Error),
    /// It does not begin as a region of this machine does.
    NotARegion,
    /// It is a region of another layout version.
    OtherVersion {
        /// The version it says it is of.
        found: u64,
    },
    /// A part of it lies outside of the file, or its length makes no sense.
    Damaged {
        /// The part.
        part: &'static str,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(_) => write!(f, "cannot read the region"),
            ReadError::NotARegion => {
                write!(f, "not a region: it does not begin with \"lastword\" in this byte order")
            }
            ReadError::OtherVersion { found } => {
                write!(f, "a region of layout version {found}; this program reads {VERSION}")
            }
            ReadError::Damaged { part } => {
                write!(f, "a damaged region: its {part} do not lie inside the file")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl Snapshot {
    /// Reads the region in a file.
    ///
    /// # Errors
    /// [`ReadError`], where the file as a whole is no region.
    pub fn read_file(path: &Path, select: Select) -> Result<Snapshot, ReadError> {
        Snapshot::read_open_file(&File::open(path).map_err(ReadError::Io)?, select)
    }

    /// As [`read_file`](Self::read_file), of a file that is open, and may have been removed since.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file).
    pub fn read_open_file(file: &File, select: Select) -> Result<Snapshot, ReadError> {
        let len = file.metadata().map_err(ReadError::Io)?.len();
        let mut read = |offset: u64, buffer: &mut [u8]| read_file_at(file, offset, buffer);
        Snapshot::read(&mut read, len, select)
    }

    /// Reads a region given as bytes.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub fn read_bytes(bytes: &[u8], select: Select) -> Result<Snapshot, ReadError> {
        let mut read = |offset: u64, buffer: &mut [u8]| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let len = buffer.len().min(bytes.len() - from);
            buffer[..len].copy_from_slice(&bytes[from..from + len]);
            Ok(len)
        };
        Snapshot::read(&mut read, bytes.len() as u64, select)
    }

    /// Reads a region of this process.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub(crate) fn of_region(region: &Region, select: Select) -> Result<Snapshot, ReadError> {
        let mut read = |offset: u64, buffer: &mut [u8]| Ok(region.read_at(offset, buffer));
        Snapshot::read(&mut read, MOST_BYTES, select)
    }

    /// Only the panics in a region of this process, in the order they began.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub(crate) fn panics_of_region(region: &Region) -> Result<Vec<PanicRecord>, ReadError> {
        let mut read = |offset: u64, buffer: &mut [u8]| Ok(region.read_at(offset, buffer));
        let mut source = Source::open(&mut read, MOST_BYTES)?;
        Ok(slots::read(&source.section(Section::Slots, "panic slots")?))
    }

    /// Reads of a region's file only what takes no blocks: `breadcrumbs` and `modules` are empty,
    /// and of the `losses` those are 0 that only blocks tell. To find out how a process ended,
    /// quickly.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub fn read_file_brief(path: &Path) -> Result<Snapshot, ReadError> {
        Snapshot::read_open_file_brief(&File::open(path).map_err(ReadError::Io)?)
    }

    /// As [`read_file_brief`](Self::read_file_brief), of a file that is open.
    ///
    /// # Errors
    /// As [`Snapshot::read_file`].
    pub(crate) fn read_open_file_brief(file: &File) -> Result<Snapshot, ReadError> {
        let len = file.metadata().map_err(ReadError::Io)?.len();
        let mut read = |offset: u64, buffer: &mut [u8]| read_file_at(file, offset, buffer);
        Source::open(&mut read, len)?.brief()
    }

    pub(super) fn read(read: ReadAt<'_>, len: u64, select: Select) -> Result<Snapshot, ReadError> {
        let mut source = Source::open(read, len)?;
        // Before the breadcrumbs: what is known of a death is not older than they are.
        let brief = source.brief()?;
        let (blocks, overtaken) = source.blocks()?;
        // Read after the blocks: a record may be of a callsite that was new a moment ago.
        let callsites = source.section(Section::Callsites, "callsites")?;
        // Read last: it counts what was overwritten meanwhile.
        let header = source.header()?;
        let mut joiner = Joiner::new(&blocks, callsites, Anchors::read(|at| header[at]));
        let breadcrumbs = joiner.newest(select);
        let pieces = joiner.pieces.iter().map(Found::position).collect();
        let first_stderr = joiner.pieces.first().map(|piece| piece.span);
        let modules = join::modules(&joiner.callsites);
        let losses = Losses {
            overwritten: header[head::OVERWRITTEN].saturating_add(overtaken),
            torn: joiner.torn,
            spans_missing: joiner.spans_missing.len() as u64,
            ..source::losses(&header)
        };
        let leases = header[head::NEXT_LEASE];
        Ok(Snapshot {
            breadcrumbs,
            losses,
            overtaken,
            pieces,
            first_stderr,
            modules,
            leases,
            ..brief
        })
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_file_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read(buffer)
}

pub(super) type ReadAt<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>;
