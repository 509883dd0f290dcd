//! Copying the parts of a region that may be written meanwhile.
//!
//! **Guarantee:** nothing outside of the file is asked for, however the header draws it; what is copied of
//! a block was committed, and belongs to one lease. **Lost:** a block that is taken over again and again while it
//! is copied; its events are counted.

use std::io;

use super::super::breadcrumb::Losses;
use super::super::fatal::{self, FatalRecord};
use super::super::identity;
use super::super::layout::{
    BLOCK_HEADER_WORDS, CALLSITE_BYTES, FATAL_BYTES, HEADER_BYTES, IDENTITY_BYTES, LEDGER_ENTRIES,
    LEDGER_WORDS, MAGIC, SECTIONS, SLOT_WORDS, SLOTS, Section, TAG_ENTRIES, TAG_WORDS, VERSION,
    end, head,
};
use super::super::ring::State;
use super::super::slots;
use super::super::sync::{Ordering, fence};
use super::super::tags::{self, TAG_TRIES};
use super::{Asked, MOST_BYTES, ReadAt, ReadError, Snapshot, signal};

/// How often a block that is taken over while it is copied is copied again.
const BLOCK_TRIES: usize = 4;

/// The bytes of a region, copied part by part.
pub(super) struct Source<'a> {
    read: ReadAt<'a>,
    len: u64,
    sections: [(u64, u64); SECTIONS],
    block_words: usize,
}

impl<'a> Source<'a> {
    pub(super) fn open(read: ReadAt<'a>, len: u64) -> Result<Source<'a>, ReadError> {
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

    pub(super) fn header(&mut self) -> Result<Vec<u64>, ReadError> {
        self.words(0, HEADER_BYTES as u64, "header")
    }

    pub(super) fn section(
        &mut self,
        section: Section,
        part: &'static str,
    ) -> Result<Vec<u64>, ReadError> {
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
    pub(super) fn brief(&mut self) -> Result<Snapshot, ReadError> {
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
    pub(super) fn blocks(&mut self) -> Result<(Vec<Vec<u64>>, u64), ReadError> {
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

/// What the header counts.
pub(super) fn losses(header: &[u64]) -> Losses {
    Losses {
        overwritten: header[head::OVERWRITTEN],
        torn: 0,
        cut: header[head::CUT],
        dropped: header[head::DROPPED],
        spans_missing: 0,
        panics: header[head::PANICS_LOST],
    }
}
