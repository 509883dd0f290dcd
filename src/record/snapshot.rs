//! Reading a region: of this process, of a live one, or of a dead one.
//!
//! **Guarantee:** whatever the bytes are, reading is memory-safe, takes time bounded by the file's
//! length (at most [`MOST_BYTES`]), and ends in a [`Snapshot`] or a [`ReadError`]. What is in the
//! snapshot was recorded whole; what was not is counted in its [`Losses`]. The region is copied,
//! never mapped and never written. **Not offered:** reading another layout version.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::breadcrumb::{Breadcrumb, Losses, Position, SpanInfo, ThreadInfo};
use super::clock::{Anchors, system_time};
use super::decode::{self, Bytes, Callsite};
use super::fatal::{self, FatalRecord};
use super::identity::{self, Identity};
use super::layout::{
    BLOCK_HEADER_WORDS, CALLSITE_BYTES, CALLSITE_MARK, FATAL_BYTES, HEADER_BYTES, IDENTITY_BYTES,
    LEDGER_ENTRIES, LEDGER_WORDS, MAGIC, NAME_BYTES, RECORD_HEADER_WORDS, RECORD_WORDS, SECTIONS,
    SLOT_WORDS, SLOTS, Section, TAG_ENTRIES, TAG_WORDS, VERSION, end, flag, head, kind,
};
use super::region::Region;
use super::ring::State;
use super::slots::{self, PanicRecord};
use super::stderr::{self, Piece};
use super::sync::{Ordering, fence};
use super::tags::{self, TAG_TRIES};

/// Largest region that is read: the largest ring, and room for the rest.
pub const MOST_BYTES: u64 = 264 * 1024 * 1024;
/// How many spans a breadcrumb's path may have; deeper ancestors are left out.
const MOST_SPANS: usize = 64;
/// How many bytes of names and values are taken out of one region. Records share spans and
/// callsites, so a damaged region of some megabytes could unfold into all memory there is.
const MOST_DECODED: usize = 128 * 1024 * 1024;
/// How often a block that is taken over while it is copied is copied again.
const BLOCK_TRIES: usize = 4;

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
        let modules = modules(&joiner.callsites);
        let losses = Losses {
            overwritten: header[head::OVERWRITTEN].saturating_add(overtaken),
            torn: joiner.torn,
            spans_missing: joiner.spans_missing.len() as u64,
            ..losses(&header)
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

/// What the header counts.
fn losses(header: &[u64]) -> Losses {
    Losses {
        overwritten: header[head::OVERWRITTEN],
        torn: 0,
        cut: header[head::CUT],
        dropped: header[head::DROPPED],
        spans_missing: 0,
        panics: header[head::PANICS_LOST],
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

/// The bytes of a region, copied part by part.
struct Source<'a> {
    read: ReadAt<'a>,
    len: u64,
    sections: [(u64, u64); SECTIONS],
    block_words: usize,
}

impl<'a> Source<'a> {
    fn open(read: ReadAt<'a>, len: u64) -> Result<Source<'a>, ReadError> {
        let mut source = Source { read, len, sections: [(0, 0); SECTIONS], block_words: 0 };
        if len < HEADER_BYTES as u64 {
            return Err(ReadError::NotARegion);
        }
        let header = source.header()?;
        if header[head::MAGIC] != MAGIC {
            return Err(ReadError::NotARegion);
        }
        if header[head::VERSION] != VERSION {
            return Err(ReadError::OtherVersion { found: header[head::VERSION] });
        }
        source.len = len.min(MOST_BYTES).min(header[head::FILE_BYTES]);
        for (i, section) in source.sections.iter_mut().enumerate() {
            *section = (header[head::SECTIONS + 2 * i], header[head::SECTIONS + 2 * i + 1]);
        }
        let block_bytes = header[head::BLOCK_BYTES];
        if !(1024..=1024 * 1024).contains(&block_bytes) || !block_bytes.is_multiple_of(64) {
            return Err(ReadError::Damaged { part: "blocks" });
        }
        source.block_words = block_bytes as usize / 8;
        Ok(source)
    }

    fn header(&mut self) -> Result<Vec<u64>, ReadError> {
        self.words(0, HEADER_BYTES as u64, "header")
    }

    fn section(&mut self, section: Section, part: &'static str) -> Result<Vec<u64>, ReadError> {
        let (offset, length) = self.sections[section as usize];
        let most = match section {
            Section::Identity => IDENTITY_BYTES,
            Section::Tags => TAG_ENTRIES * TAG_WORDS * 8,
            Section::Callsites => CALLSITE_BYTES,
            Section::Slots => SLOTS * SLOT_WORDS * 8,
            Section::Ledger => LEDGER_ENTRIES * LEDGER_WORDS * 8,
            Section::Fatal => FATAL_BYTES,
            Section::Blocks => usize::MAX,
        };
        if length > most as u64 {
            return Err(ReadError::Damaged { part });
        }
        self.words(offset, length, part)
    }

    /// All but breadcrumbs.
    fn brief(&mut self) -> Result<Snapshot, ReadError> {
        let mut identity = identity::read(&self.section(Section::Identity, "identity")?);
        let tags = tags::read(&self.tags()?);
        let panics = slots::read(&self.section(Section::Slots, "panic slots")?);
        let fatal = self.fatal()?;
        let header = self.header()?;
        let child_pid = u32::try_from(header[head::CHILD]).unwrap_or(0);
        if identity.pid == 0 {
            // Its monitor could not know before it started.
            identity.pid = child_pid;
            identity.start_ticks = Some(header[head::CHILD_START]).filter(|ticks| *ticks != 0);
        }
        Ok(Snapshot {
            identity,
            ended_cleanly: header[head::END] == end::CLEAN,
            breadcrumbs: Vec::new(),
            losses: losses(&header),
            overtaken: 0,
            pieces: Vec::new(),
            first_stderr: None,
            tags,
            panics,
            fatal,
            asked: Asked::read(&header),
            ended_by: signal(header[head::ENDED_BY]),
            silent_reported: header[head::SILENT] == 1,
            child_pid,
            owner_pid: header[head::OWNER],
            leases: header[head::NEXT_LEASE],
            modules: Vec::new(),
        })
    }

    /// The fatal signal, if there is one: only then is its section copied.
    fn fatal(&mut self) -> Result<Option<FatalRecord>, ReadError> {
        let (offset, _) = self.sections[Section::Fatal as usize];
        let state = self.words(offset, 8, "fatal signal")?[0];
        // Pairs with the Release stores of `FatalArea`: what it says is copied after it.
        fence(Ordering::Acquire);
        if !fatal::is_readable(state) {
            return Ok(None);
        }
        let mut section = self.section(Section::Fatal, "fatal signal")?;
        if let Some(first) = section.first_mut() {
            *first = state;
        }
        Ok(fatal::read(&section))
    }

    /// Copies the tags, again if one was set meanwhile.
    fn tags(&mut self) -> Result<Vec<u64>, ReadError> {
        let mut tags = self.section(Section::Tags, "tags")?;
        for _ in 0..TAG_TRIES {
            // Pairs with the release fence in `Tags::set`.
            fence(Ordering::Acquire);
            let later = self.section(Section::Tags, "tags")?;
            if tags::same(&tags, &later) {
                break;
            }
            tags = later;
        }
        Ok(tags)
    }

    /// Copies `length` bytes from `offset` on.
    fn words(
        &mut self,
        offset: u64,
        length: u64,
        part: &'static str,
    ) -> Result<Vec<u64>, ReadError> {
        let damaged = ReadError::Damaged { part };
        if !self.is_inside(offset, length) {
            return Err(damaged);
        }
        let mut bytes = vec![0; length as usize];
        let mut done = 0;
        while done < bytes.len() {
            match (self.read)(offset + done as u64, &mut bytes[done..]) {
                // Shorter than it says it is.
                Ok(0) => return Err(damaged),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Io(error)),
            }
        }
        let words = bytes.chunks_exact(8);
        Ok(words.map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect())
    }

    fn is_inside(&self, offset: u64, length: u64) -> bool {
        let end = offset.checked_add(length);
        offset.is_multiple_of(8)
            && length.is_multiple_of(8)
            && end.is_some_and(|end| end <= self.len)
    }

    /// Copies all blocks that were ever leased. Also the number of events in those that were taken
    /// over again and again while they were copied.
    fn blocks(&mut self) -> Result<(Vec<Vec<u64>>, u64), ReadError> {
        let (offset, length) = self.sections[Section::Blocks as usize];
        if !self.is_inside(offset, length) {
            return Err(ReadError::Damaged { part: "blocks" });
        }
        let block_bytes = self.block_words as u64 * 8;
        let mut blocks = Vec::new();
        let mut overtaken = 0;
        for i in 0..length / block_bytes {
            match self.block(offset + i * block_bytes)? {
                Copied::Never => {}
                Copied::Whole(block) => blocks.push(block),
                Copied::Overtaken { events } => overtaken += events,
            }
        }
        Ok((blocks, overtaken))
    }

    /// Copies one block as `Ring::read_block` does: its state, then what that says is committed,
    /// then its state again. One copy of everything would not do: nothing says that the state is
    /// copied before the words behind it.
    fn block(&mut self, at: u64) -> Result<Copied, ReadError> {
        let mut events = 0;
        for _ in 0..BLOCK_TRIES {
            let before = self.state(at)?;
            fence(Ordering::Acquire);
            let state = State::unpack(before);
            if state.lease == 0 {
                return Ok(Copied::Never);
            }
            let words = state.committed.clamp(BLOCK_HEADER_WORDS, self.block_words);
            let mut block = self.words(at, words as u64 * 8, "blocks")?;
            fence(Ordering::Acquire);
            if State::unpack(self.state(at)?).lease == state.lease {
                block[0] = before;
                return Ok(Copied::Whole(block));
            }
            events = block[1].min(self.block_words as u64);
        }
        Ok(Copied::Overtaken { events })
    }

    fn state(&mut self, at: u64) -> Result<u64, ReadError> {
        self.words(at, 8, "blocks").map(|words| words[0])
    }
}

/// What became of copying a block.
enum Copied {
    /// It was never leased.
    Never,
    /// The state it was copied under, and the words that were committed then.
    Whole(Vec<u64>),
    /// Every attempt was overtaken by a new lease.
    Overtaken { events: u64 },
}

/// A record found in a block.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    /// What orders records: boot time, lease, offset in the block.
    order: (u64, u64, usize),
    kind: u8,
    flags: u8,
    callsite: u32,
    span: u64,
    /// The block it is in.
    block: &'a [u64],
    /// The word of the block where its values begin, and how many bytes they have.
    values: (usize, usize),
}

impl Found<'_> {
    fn position(&self) -> Position {
        Position::Record { lease: self.order.1, word: self.order.2 }
    }
}

/// Joins events with their callsites, threads and spans.
struct Joiner<'a> {
    events: Vec<Found<'a>>,
    /// Pieces of standard error.
    pieces: Vec<Found<'a>>,
    /// All copies of each span, oldest first.
    spans: HashMap<u64, Vec<Found<'a>>>,
    callsites: Vec<u64>,
    decoded: HashMap<u32, Option<Rc<Callsite>>>,
    /// How many more bytes may be decoded: see [`MOST_DECODED`].
    budget: usize,
    anchors: Anchors,
    torn: u64,
    spans_missing: BTreeSet<u64>,
}

impl<'a> Joiner<'a> {
    fn new(blocks: &'a [Vec<u64>], callsites: Vec<u64>, anchors: Anchors) -> Joiner<'a> {
        let mut joiner = Joiner {
            events: Vec::new(),
            pieces: Vec::new(),
            spans: HashMap::new(),
            callsites,
            decoded: HashMap::new(),
            budget: MOST_DECODED,
            anchors,
            torn: 0,
            spans_missing: BTreeSet::new(),
        };
        for block in blocks {
            joiner.walk(block);
        }
        joiner.events.sort_unstable_by_key(|event| event.order);
        joiner.pieces.sort_unstable_by_key(|piece| (piece.span, piece.order));
        for copies in joiner.spans.values_mut() {
            copies.sort_unstable_by_key(|copy| copy.order);
        }
        joiner
    }

    /// Finds the records of a block.
    fn walk(&mut self, block: &'a [u64]) {
        let state = State::unpack(block[0]);
        if state.lease == 0 {
            return;
        }
        // The record that its thread was copying.
        self.torn += u64::from(state.busy);
        let end = state.committed.min(block.len());
        let mut at = BLOCK_HEADER_WORDS;
        while at < end {
            let Some((found, words)) = read_record_header(block, at, end, state.lease) else {
                self.torn += 1;
                return;
            };
            match found.kind {
                kind::EVENT => self.events.push(found),
                kind::STDERR => self.pieces.push(found),
                kind::SPAN => self.spans.entry(found.span).or_default().push(found),
                _ => self.torn += 1,
            }
            at += words;
        }
    }

    /// The newest events as breadcrumbs, oldest first.
    fn newest(&mut self, select: Select) -> Vec<Breadcrumb> {
        let end = self.events.partition_point(|event| event.order.0 <= select.until);
        let mut newest = Vec::with_capacity(select.most.min(end));
        for i in (0..end).rev() {
            if newest.len() == select.most {
                break;
            }
            let event = self.events[i];
            match self.breadcrumb(&event) {
                Some(breadcrumb) => newest.push(breadcrumb),
                None => self.torn += 1,
            }
        }
        newest.reverse();
        self.merge_stderr(newest, select)
    }

    /// Puts the lines of standard error among the events, and keeps the newest of both.
    fn merge_stderr(&self, mut events: Vec<Breadcrumb>, select: Select) -> Vec<Breadcrumb> {
        if self.pieces.is_empty() {
            return events;
        }
        let until = self.pieces.iter().filter(|piece| piece.order.0 <= select.until);
        let pieces: Vec<Piece> = until.filter_map(|piece| self.piece(piece)).collect();
        let lines =
            stderr::breadcrumbs_of(&pieces, select.most, select.from_stderr..select.until_stderr);
        events.extend(lines);
        // Stable: lines of one piece have one time.
        events.sort_by_key(|crumb| crumb.boot_nanos);
        events.drain(..events.len().saturating_sub(select.most));
        events
    }

    fn piece(&self, found: &Found<'_>) -> Option<Piece> {
        let (first, len) = found.values;
        let mut bytes = decode::bytes_of(found.block.get(first..first + len.div_ceil(8))?);
        bytes.truncate(len);
        Some(Piece {
            boot_nanos: found.order.0,
            time: system_time(self.anchors.wall(found.order.0)),
            live: true,
            offset: found.span,
            continues: found.flags & flag::CONTINUES != 0,
            cut: found.flags & flag::CUT != 0,
            bytes,
        })
    }

    fn breadcrumb(&mut self, event: &Found<'_>) -> Option<Breadcrumb> {
        let (callsite, bytes) = self.callsite(event)?;
        let fields = self.fields(&mut Bytes(&bytes), &callsite)?;
        let mut breadcrumb = Breadcrumb {
            time: system_time(self.anchors.wall(event.order.0)),
            boot_nanos: event.order.0,
            level: callsite.level,
            target: callsite.target.clone(),
            message: String::new(),
            fields,
            thread: thread_of(event.block),
            spans: self.path(event),
            file: callsite.file.clone(),
            line: callsite.line,
            cut: event.flags & flag::CUT != 0,
            position: event.position(),
        };
        if callsite.name == "log event" && callsite.target == "log" {
            take_log_fields(&mut breadcrumb);
        }
        breadcrumb.message = match breadcrumb.fields.remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Some(breadcrumb)
    }

    /// The spans around an event, outermost first, each as it was at the time of the event.
    fn path(&mut self, event: &Found<'_>) -> Vec<SpanInfo> {
        let mut path = Vec::new();
        let mut serial = event.span;
        while serial != 0 && path.len() < MOST_SPANS {
            let Some((info, parent)) = self.span(serial, event.order) else {
                self.spans_missing.insert(serial);
                break;
            };
            path.push(info);
            // A parent is made before its child; anything else is damage, and could be a loop.
            serial = if parent < serial { parent } else { 0 };
        }
        path.reverse();
        path
    }

    fn span(&mut self, serial: u64, at: (u64, u64, usize)) -> Option<(SpanInfo, u64)> {
        let copies = self.spans.get(&serial)?;
        // The last copy before the event; when it is gone, a later one says more than none.
        let before = copies.partition_point(|copy| copy.order <= at).saturating_sub(1);
        let copy = *copies.get(before)?;
        let (callsite, bytes) = self.callsite(&copy)?;
        let mut values = Bytes(&bytes);
        let parent = values.u64()?;
        let fields = self.fields(&mut values, &callsite)?;
        let (name, target) = (callsite.name.clone(), callsite.target.clone());
        Some((SpanInfo { name, target, fields }, parent))
    }

    /// Decodes values, as long as there is room for them.
    fn fields(
        &mut self,
        values: &mut Bytes<'_>,
        callsite: &Callsite,
    ) -> Option<Map<String, Value>> {
        self.budget = self.budget.checked_sub(callsite.text_bytes() + values.0.len())?;
        let mut fields = Map::new();
        decode::values(values, callsite, &mut fields)?;
        Some(fields)
    }

    /// The callsite of a record, and the bytes of its values.
    fn callsite(&mut self, record: &Found<'_>) -> Option<(Rc<Callsite>, Vec<u8>)> {
        let (first, len) = record.values;
        let bytes = decode::bytes_of(record.block.get(first..first + len.div_ceil(8))?);
        let mut rest = Bytes(bytes.get(..len)?);
        if record.flags & flag::INLINE != 0 {
            let callsite = Callsite::decode(&mut rest)?;
            return Some((Rc::new(callsite), rest.0.to_vec()));
        }
        let table = &self.callsites;
        let decoded = self
            .decoded
            .entry(record.callsite)
            .or_insert_with(|| decode_callsite(table, record.callsite).map(Rc::new));
        Some((decoded.clone()?, rest.0.to_vec()))
    }
}

/// The record at word `at`, and how many words it has.
fn read_record_header(
    block: &[u64],
    at: usize,
    end: usize,
    lease: u64,
) -> Option<(Found<'_>, usize)> {
    let header = block.get(at..at + RECORD_HEADER_WORDS)?;
    let bytes = (header[0] & 0xFFFF) as usize;
    let words = bytes.div_ceil(8);
    if bytes < RECORD_HEADER_WORDS * 8 || words > RECORD_WORDS || at + words > end {
        return None;
    }
    let found = Found {
        order: (header[1], lease, at),
        kind: (header[0] >> 16) as u8,
        flags: (header[0] >> 24) as u8,
        callsite: (header[0] >> 32) as u32,
        span: header[2],
        block,
        values: (at + RECORD_HEADER_WORDS, bytes - RECORD_HEADER_WORDS * 8),
    };
    Some((found, words))
}

fn decode_callsite(table: &[u64], place: u32) -> Option<Callsite> {
    let entry = table.get(place as usize..)?;
    let (mark, body) = entry.split_first()?;
    if mark & 0xFFFF_FFFF != CALLSITE_MARK {
        return None;
    }
    let words = usize::try_from(mark >> 32).ok()?.checked_sub(1)?;
    // Longer than the encoder makes them, entries could overlap without end.
    if words > RECORD_WORDS {
        return None;
    }
    Callsite::decode(&mut Bytes(&decode::bytes_of(body.get(..words)?)))
}

/// Module paths and files in a callsite table, as far as it makes sense.
fn modules(table: &[u64]) -> Vec<(String, String)> {
    let mut found = BTreeSet::new();
    let used = table.first().map_or(0, |used| usize::try_from(*used).unwrap_or(0));
    let mut at = 1;
    while at <= used.min(table.len()) {
        // A zero length would never end.
        let words = table.get(at).map_or(0, |mark| (mark >> 32) as usize);
        if words == 0 {
            break;
        }
        if let Some(Callsite { module: Some(module), file: Some(file), .. }) =
            u32::try_from(at).ok().and_then(|place| decode_callsite(table, place))
        {
            found.insert((module, file));
        }
        at += words;
    }
    found.into_iter().collect()
}

/// The thread that a block is leased to.
fn thread_of(block: &[u64]) -> ThreadInfo {
    let name = decode::bytes_of(&block[4..4 + NAME_BYTES / 8]);
    let len = (block[3] as usize).min(NAME_BYTES);
    let name = String::from_utf8_lossy(&name[..len]).into_owned();
    ThreadInfo { id: block[2], name: (!name.is_empty()).then_some(name) }
}

/// A record of the `log` crate carries its own static parts as fields (the `tracing-log` crate
/// gives them these names).
fn take_log_fields(breadcrumb: &mut Breadcrumb) {
    let fields = &mut breadcrumb.fields;
    if let Some(Value::String(target)) = fields.remove("log.target") {
        breadcrumb.target = target;
    }
    fields.remove("log.module_path");
    if let Some(Value::String(file)) = fields.remove("log.file") {
        breadcrumb.file = Some(file);
    }
    if let Some(line) = fields.remove("log.line").and_then(|line| line.as_u64()) {
        breadcrumb.line = u32::try_from(line).ok();
    }
}
