//! A region: one process's recording, laid out as [`layout`](super::layout) draws it.
//!
//! **Guarantee:** a region that can be found by its magic is complete: everything a reader needs
//! stands in it before the magic does. Writing to it never fails for want of disk. **Lost:** see
//! [`ring`](super::ring) for what a kill costs; a region in memory dies with its process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64 as ProcessCounter, Ordering as ProcessOrdering};
use std::sync::{Mutex, PoisonError};

use tracing_core::field::Visit;
use tracing_core::{Event, Metadata};

use super::callsite::CallsiteIndex;
use super::clock;
use super::encode::Encoder;
#[cfg(target_os = "linux")]
use super::fatal::FatalArea;
use super::identity::{self, Identity};
use super::layout::{
    self, BLOCKS, IDENTITY_BYTES, Layout, MAGIC, MIN_RING_BYTES, Section, VERSION, flag, head, kind,
};
use super::ledger::{self, LedgerEntry};
use super::memory::Memory;
use super::old_regions::remove_beyond_bound;
use super::random;
use super::ring::{Appended, Refused, Ring, RingPlace, STALE};
use super::slots::{self, Slot};
use super::sync::{Ordering, Words};
use super::tags::Tags;
use super::thread;

/// Where a region is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A new file in this directory.
    File(PathBuf),
    /// Memory with a descriptor, else the heap.
    Memory,
}

/// One process's recording.
pub(crate) struct Region {
    memory: Memory,
    layout: Layout,
    ring: RingPlace,
    callsites: CallsiteIndex,
    tags: Tags,
    /// Most words of a record.
    record_words: usize,
    /// Whether another process made it and will remove it.
    is_guest: bool,
    /// Taken by who changes the identity.
    identity_turn: Mutex<()>,
    /// The process whose handle this is.
    #[cfg(target_os = "linux")]
    pid: u32,
}

impl Region {
    /// A new region, empty and ready.
    ///
    /// # Errors
    /// What creating the file says: the directory cannot be written, the disk is full.
    pub(crate) fn create(
        place: &Place,
        ring_bytes: u64,
        identity: &Identity,
    ) -> io::Result<Region> {
        let layout = Layout::new(ring_bytes);
        let memory = match place {
            Place::File(directory) => {
                remove_beyond_bound(directory);
                let pid = if identity.pid == 0 { std::process::id() } else { identity.pid };
                let name = format!("{pid}-{}.region", identity.silent_death_id);
                Memory::file(&directory.join(name), layout.bytes)?
            }
            Place::Memory => match Memory::memfd(layout.bytes) {
                Ok(memory) => memory,
                Err(_) => return Ok(Region::on_heap(ring_bytes, identity)),
            },
        };
        Ok(Region::format(memory, layout, identity))
    }

    /// The region that a monitor made, to write to it from another process: its ledger, and after
    /// [`take_over`](Self::take_over) all of it. Its file is the monitor's to remove.
    ///
    /// # Errors
    /// What opening the file says; [`io::ErrorKind::InvalidData`] where it is no region of this
    /// layout.
    pub(crate) fn open(path: &Path) -> io::Result<Region> {
        let memory = Memory::open(path)?;
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let word = |at: usize| memory.word(at).load(Ordering::Acquire);
        if memory.bytes() < layout::HEADER_BYTES || word(head::MAGIC) != MAGIC {
            return Err(wrong("not a region"));
        }
        let layout = Layout::new(word(head::BLOCK_BYTES).saturating_mul(BLOCKS as u64));
        let same = |(i, (offset, length)): (usize, &(usize, usize))| {
            word(head::SECTIONS + 2 * i) == *offset as u64
                && word(head::SECTIONS + 2 * i + 1) == *length as u64
        };
        if word(head::VERSION) != VERSION
            || memory.bytes() < layout.bytes
            || !layout.sections.iter().enumerate().all(same)
        {
            return Err(wrong("a region of another layout"));
        }
        Ok(Region { is_guest: true, ..Region::over(memory, layout) })
    }

    /// Makes this process the one that records here, if no other is: its monitor stops taking lines
    /// of standard error for breadcrumbs. A process that took it over keeps it when it executes
    /// another program. An orphan that became the monitor's child later is refused.
    pub(crate) fn take_over(&self) -> bool {
        let pid = u64::from(std::process::id());
        // 0 for a moment after the start, when there is nobody but the child.
        let child = self.memory.word(head::CHILD).load(Ordering::Acquire);
        if child != 0 && child != pid {
            return false;
        }
        let owner = self.memory.word(head::OWNER);
        let taken = match owner.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(owner) => owner == pid,
        };
        #[cfg(target_os = "linux")]
        if taken {
            self.memory.share_life();
        }
        taken
    }

    /// Keeps everybody else from reporting whose region it is: that is up to this process, as long as
    /// it lives.
    pub(crate) fn lock_report(&self) -> bool {
        self.memory.lock_report()
    }

    /// From now on a monitor beside this process reports it and removes the file.
    pub(crate) fn leave_to_monitor(&mut self) {
        self.is_guest = true;
    }

    /// The same from the child itself, before it is the program, without the time of its start:
    /// async-signal-safe.
    pub(crate) fn set_child_born(&self, pid: u32) {
        self.memory.word(head::CHILD).store(pid.into(), Ordering::Release);
    }

    /// Says whose region it is, now that a monitor's child runs.
    pub(crate) fn set_child(&self, pid: u32) {
        let start = identity::start_ticks_of(pid).unwrap_or(0);
        self.memory.word(head::CHILD_START).store(start, Ordering::Relaxed);
        self.memory.word(head::CHILD).store(pid.into(), Ordering::Release);
    }

    /// The process that a monitor made it for; 0 for none, or none yet.
    pub(crate) fn child(&self) -> u64 {
        self.memory.word(head::CHILD).load(Ordering::Acquire)
    }

    /// Says whether a report that is published is about the death of its process.
    pub(crate) fn mark_death(&self, is_reported: bool) {
        self.memory.word(head::SILENT).store(is_reported.into(), Ordering::Release);
    }

    /// The descriptor of its file, if it has one.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.memory.descriptor()
    }

    /// The process that records here under its monitor; 0 for none.
    pub(crate) fn owner(&self) -> u64 {
        self.memory.word(head::OWNER).load(Ordering::Acquire)
    }

    /// Whether another process made it and will remove its file.
    pub(crate) fn is_guest(&self) -> bool {
        self.is_guest
    }

    /// A new region on the heap, the smallest there is where there is no memory for another.
    ///
    /// # Panics
    /// Without memory even for that the process aborts.
    pub(crate) fn on_heap(ring_bytes: u64, identity: &Identity) -> Region {
        let sizes = [ring_bytes, MIN_RING_BYTES].map(Layout::new);
        let least = sizes[1].bytes;
        let made = sizes.into_iter().find_map(|layout| Some((Memory::heap(layout.bytes)?, layout)));
        let Some((memory, layout)) = made else {
            let least = std::alloc::Layout::array::<u8>(least).expect("a few hundred KiB");
            std::alloc::handle_alloc_error(least)
        };
        Region::format(memory, layout, identity)
    }

    /// Writes the header and the identity into zeroed memory.
    fn format(memory: Memory, layout: Layout, identity: &Identity) -> Region {
        let set = |at: usize, value: u64| memory.word(at).store(value, Ordering::Relaxed);
        set(head::VERSION, VERSION);
        set(head::FILE_BYTES, layout.bytes as u64);
        set(head::BLOCK_BYTES, layout.block_bytes as u64);
        for (i, (offset, length)) in layout.sections.iter().enumerate() {
            set(head::SECTIONS + 2 * i, *offset as u64);
            set(head::SECTIONS + 2 * i + 1, *length as u64);
        }
        memory.store_bytes(head::SEED, random::id().as_bytes());
        write_identity(&memory, &layout, identity);
        clock::anchor_if_due(&memory, clock::boot_nanos());
        memory.word(head::MAGIC).store(MAGIC, Ordering::Release);
        Region::over(memory, layout)
    }

    /// A handle to a region that is formatted.
    fn over(memory: Memory, layout: Layout) -> Region {
        static NEXT_RING: ProcessCounter = ProcessCounter::new(1);
        let block_words = layout.block_bytes / 8;
        Region {
            ring: RingPlace {
                id: NEXT_RING.fetch_add(1, ProcessOrdering::Relaxed),
                blocks: layout.word_of(Section::Blocks),
                block_count: BLOCKS,
                block_words,
                next_lease: head::NEXT_LEASE,
                overwritten: head::OVERWRITTEN,
                stale: STALE,
            },
            callsites: CallsiteIndex::new(layout.word_of(Section::Callsites)),
            tags: Tags::new(&memory, layout.word_of(Section::Tags)),
            record_words: (block_words - layout::BLOCK_HEADER_WORDS).min(layout::RECORD_WORDS),
            memory,
            layout,
            is_guest: false,
            identity_turn: Mutex::new(()),
            #[cfg(target_os = "linux")]
            pid: std::process::id(),
        }
    }

    #[inline]
    fn ring(&self) -> Ring<'_, Memory> {
        Ring::new(&self.memory, &self.ring)
    }

    /// Number that no other region of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.ring.id
    }

    /// How many leases the ring has given.
    #[inline]
    pub(crate) fn leases(&self) -> u64 {
        self.ring().leases()
    }

    /// Counts on from where `parent` is: panics under numbers that it has not given, and leases from
    /// so far behind its own that whatever was written under one of those is old here. Before the
    /// first record.
    pub(crate) fn begin_after(&self, parent: &Region) {
        let begin = parent.leases() + 2 * BLOCKS as u64;
        self.memory.word(head::NEXT_LEASE).store(begin, Ordering::Relaxed);
        let panics = parent.memory.word(head::PANICS).load(Ordering::Relaxed);
        self.memory.word(head::PANICS).store(panics, Ordering::Relaxed);
    }

    /// The file the region lies in, if it lies in one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.memory.path()
    }

    /// Records an event that happened in the span with serial `span` (0: in none).
    #[inline]
    pub(crate) fn record_event(&self, event: &Event<'_>, span: u64) {
        let metadata = event.metadata();
        let mut encoder = Encoder::new(self.record_words);
        let (callsite, flags) = self.callsite(&mut encoder, metadata);
        encoder.expect_fields(metadata.fields().len());
        event.record(&mut encoder);
        if let Some(done) = self.append(&mut encoder, kind::EVENT, flags, callsite, span) {
            clock::anchor_if_due(&self.memory, done.time);
        }
    }

    /// Writes a span whole: `values` are its fields as an earlier [`encode_fields`] gave them. The
    /// lease it was written under, unless it found no block.
    pub(crate) fn record_span(
        &self,
        metadata: &'static Metadata<'static>,
        serial: u64,
        parent: u64,
        values: &[u8],
    ) -> Option<u64> {
        let mut encoder = Encoder::new(self.record_words);
        let (callsite, flags) = self.callsite(&mut encoder, metadata);
        encoder.parent(parent);
        encoder.copied(values);
        self.append(&mut encoder, kind::SPAN, flags, callsite, serial).map(|done| done.lease)
    }

    /// Looks up a callsite, or writes its static parts into the record.
    #[inline]
    fn callsite(&self, encoder: &mut Encoder, metadata: &'static Metadata<'static>) -> (u32, u8) {
        match self.callsites.find(&self.memory, metadata) {
            Some(place) => (place, 0),
            None => {
                encoder.static_parts(metadata);
                (0, flag::INLINE)
            }
        }
    }

    #[inline]
    fn append(
        &self,
        encoder: &mut Encoder,
        kind: u8,
        flags: u8,
        callsite: u32,
        span: u64,
    ) -> Option<Appended> {
        let cut = encoder.was_cut();
        let flags = flags | if std::thread::panicking() { flag::AMID_PANIC } else { 0 };
        let words = encoder.finish(kind, flags, callsite, span);
        let events = u64::from(kind == kind::EVENT);
        let outcome = thread::with_cursor(|cursor| {
            self.ring().append(cursor, thread::writer, words, events, clock::boot_nanos)
        });
        if cut {
            self.memory.word(head::CUT).fetch_add(1, Ordering::Relaxed);
        }
        match outcome {
            Ok(done) => Some(done),
            Err(Refused::AllBusy | Refused::TooLarge) => {
                self.memory.word(head::DROPPED).fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Most bytes of a piece of standard error.
    pub(crate) fn stderr_piece(&self) -> usize {
        (self.record_words - layout::RECORD_HEADER_WORDS) * 8
    }

    /// Records a piece of standard error of at most [`stderr_piece`](Self::stderr_piece) bytes, whose
    /// first byte is byte `offset` of the stream.
    pub(crate) fn record_stderr(&self, piece: &[u8], flags: u8, offset: u64) {
        let mut encoder = Encoder::new(self.record_words);
        encoder.copied(piece);
        let words = encoder.finish(kind::STDERR, flags, 0, offset);
        let outcome = thread::with_cursor(|cursor| {
            self.ring().append(cursor, thread::writer, words, 1, clock::boot_nanos)
        });
        match outcome {
            Ok(done) => clock::anchor_if_due(&self.memory, done.time),
            Err(Refused::AllBusy | Refused::TooLarge) => {
                self.memory.word(head::DROPPED).fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Writes an entry of the ledger.
    pub(crate) fn note_in_ledger(&self, entry: &LedgerEntry) {
        ledger::write(&self.memory, self.layout.word_of(Section::Ledger), entry);
    }

    /// The ledger's entries after number `after`, each with its number.
    pub(crate) fn ledger_after(&self, after: u64) -> Vec<(u64, LedgerEntry)> {
        ledger::read(&self.memory, self.layout.word_of(Section::Ledger), after)
    }

    /// Writes the identity anew. Readers find the earlier one until the new one is whole.
    pub(crate) fn set_identity(&self, identity: &Identity) {
        self.change_identity(|now| now.clone_from(identity));
    }

    /// Writes the identity anew as `change` leaves it; one change comes after the other.
    pub(crate) fn change_identity(&self, change: impl FnOnce(&mut Identity)) {
        let _turn = self.identity_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut identity = self.identity();
        change(&mut identity);
        write_identity(&self.memory, &self.layout, &identity);
    }

    /// The identity as it stands in the region.
    pub(crate) fn identity(&self) -> Identity {
        let (offset, length) = self.layout.sections[Section::Identity as usize];
        let words = (offset / 8..(offset + length) / 8).map(|at| self.memory.word(at));
        let section: Vec<u64> = words.map(|word| word.load(Ordering::Acquire)).collect();
        identity::read(&section)
    }

    /// Sets a tag.
    pub(crate) fn set_tag(&self, key: &str, value: &str) -> bool {
        self.tags.set(&self.memory, key, value)
    }

    /// Removes a tag.
    pub(crate) fn remove_tag(&self, key: &str) {
        self.tags.remove(&self.memory, key);
    }

    /// All tags, in the order they were set.
    pub(crate) fn tags(&self) -> Vec<(String, String)> {
        self.tags.all(&self.memory)
    }

    /// Takes a slot for a panic.
    pub(crate) fn claim_slot(&self) -> Option<Slot<'_, Memory>> {
        Slot::claim(&self.memory, self.layout.word_of(Section::Slots))
    }

    /// Whether a panic was begun to be written down here.
    pub(crate) fn has_panicked(&self) -> bool {
        let word = |at| self.memory.word(at).load(Ordering::Acquire);
        word(head::PANICS) > 0 || word(head::PANICS_LOST) > 0
    }

    /// Whether there is a slot for another panic.
    pub(crate) fn has_usable_slot(&self) -> bool {
        slots::any_usable(&self.memory, self.layout.word_of(Section::Slots))
    }

    /// Counts a panic that found no slot.
    pub(crate) fn count_lost_panic(&self) {
        self.memory.word(head::PANICS_LOST).fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the pages of header and panic slots present, so that a panicking thread does not have
    /// to wait for the kernel to find them.
    pub(crate) fn prefault(&self) {
        let (offset, length) = self.layout.sections[Section::Slots as usize];
        self.memory.prefault(0, layout::HEADER_BYTES);
        self.memory.prefault(offset, length);
    }

    /// Marks panic `number` as reported, or as one whose report no directory took.
    pub(crate) fn settle_panic(&self, number: u64, is_kept: bool) {
        let section = self.layout.word_of(Section::Slots);
        slots::settle(&self.memory, section, number, is_kept);
    }

    /// As [`Remains::begin_examination`](super::Remains::begin_examination).
    #[cfg(target_os = "linux")]
    pub(crate) fn begin_examination(&self) -> bool {
        self.memory.word(head::EXAMINED).fetch_add(1, Ordering::AcqRel) > 0
    }

    /// As [`Remains::end_examination`](super::Remains::end_examination).
    #[cfg(target_os = "linux")]
    pub(crate) fn end_examination(&self) {
        self.memory.word(head::EXAMINED).store(0, Ordering::Release);
    }

    /// Notes that the process has outlived panic `number`.
    pub(crate) fn outlive_panic(&self, number: u64) {
        slots::outlive(&self.memory, self.layout.word_of(Section::Slots), number);
    }

    /// Whether panic `number` still waits for its report.
    pub(crate) fn is_pending_panic(&self, number: u64) -> bool {
        slots::is_pending(&self.memory, self.layout.word_of(Section::Slots), number)
    }

    /// Whether a panic's report was made and not kept.
    pub(crate) fn has_unkept_panics(&self) -> bool {
        slots::any_unkept(&self.memory, self.layout.word_of(Section::Slots))
    }

    /// Whether a panic is not yet reported.
    pub(crate) fn has_pending_panics(&self) -> bool {
        slots::any_pending(&self.memory, self.layout.word_of(Section::Slots))
    }

    /// Whether a thread is still writing what it knows of its panic.
    pub(crate) fn has_incomplete_panics(&self) -> bool {
        slots::any_incomplete(&self.memory, self.layout.word_of(Section::Slots))
    }

    /// Notes that panic `number` was raised while `earlier` unwound.
    pub(crate) fn chain_panics(&self, number: u64, earlier: u64) {
        slots::chain(&self.memory, self.layout.word_of(Section::Slots), number, earlier);
    }

    /// The process that made or opened it. One that was forked off without the C library's
    /// knowledge is another, and must leave it alone.
    #[cfg(target_os = "linux")]
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Where a fatal signal is written.
    #[cfg(target_os = "linux")]
    pub(crate) fn fatal(&self) -> FatalArea<'_> {
        FatalArea::new(&self.memory, self.layout.word_of(Section::Fatal))
    }

    /// Notes that `signal` asked the process to stop, and whether it dies of it. Async-signal-safe.
    #[cfg(target_os = "linux")]
    pub(crate) fn mark_asked(&self, signal: i32, dies: bool) {
        let set = |at: usize, value: u64| self.memory.word(at).store(value, Ordering::Release);
        set(head::ASKED_AT, clock::boot_nanos());
        set(head::ASKED, signal as u64);
        if dies {
            set(head::END, layout::end::ASKED);
        }
    }

    /// Notes that `signal`, which is neither a crash nor a stop, ends the process.
    /// Async-signal-safe.
    #[cfg(target_os = "linux")]
    pub(crate) fn mark_ended_by(&self, signal: i32) {
        self.memory.word(head::ENDED_BY).store(signal as u64, Ordering::Release);
    }

    /// Writes how the process ended.
    pub(crate) fn mark_end(&self, end: u64) {
        self.memory.word(head::END).store(end, Ordering::Release);
    }

    /// Copies bytes out; see [`Memory::read_at`].
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        self.memory.read_at(offset, buffer)
    }
}

/// The fields of a span, encoded for [`Region::record_span`] and added to those of `earlier`.
pub(crate) fn encode_fields(
    earlier: &[u8],
    fields: usize,
    record: impl FnOnce(&mut dyn Visit),
    keep: impl FnOnce(&[u8]),
) {
    let mut encoder = Encoder::new(layout::RECORD_WORDS - layout::BLOCK_HEADER_WORDS);
    encoder.copied(earlier);
    encoder.expect_fields(fields);
    record(&mut encoder);
    keep(encoder.values());
}

fn write_identity(memory: &Memory, layout: &Layout, identity: &Identity) {
    let json = serde_json::to_vec(identity).unwrap_or_default();
    let at = layout.word_of(Section::Identity);
    let last = memory.word(at).load(Ordering::Acquire);
    let (first, length) = identity::place(last);
    let free = if last == 0 { 1 } else { first + length.div_ceil(8) };
    let room = IDENTITY_BYTES.saturating_sub(free * 8);
    // The modules are the first to go.
    let json = if json.len() <= room || identity.modules.is_empty() {
        json
    } else {
        serde_json::to_vec(&Identity { modules: Vec::new(), ..identity.clone() })
            .unwrap_or_default()
    };
    // Settings too long for the section (a DSN of 30 KiB) leave only who the process is.
    let json = if json.len() <= room {
        json
    } else {
        let bare = Identity {
            release: None,
            dsn: None,
            static_tags: Vec::new(),
            scrub_keys: Vec::new(),
            environment: String::new(),
            executable: None,
            modules: Vec::new(),
            ..identity.clone()
        };
        serde_json::to_vec(&bare).unwrap_or_default()
    };
    // Where not even that fits behind the earlier versions, the last of those stays.
    if json.len() <= room {
        memory.store_bytes(at + free, &json);
        memory.word(at).store(json.len() as u64 | (free as u64) << 32, Ordering::Release);
    }
}
