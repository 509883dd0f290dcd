//! Joining the records in blocks with their callsites, threads and spans: breadcrumbs.
//!
//! **Guarantee:** whatever the words are, joining them takes memory bounded by [`MOST_DECODED`] and ends in
//! breadcrumbs or in a counted loss.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::super::breadcrumb::{Breadcrumb, Position, SpanInfo, ThreadInfo};
use super::super::clock::{Anchors, system_time};
use super::super::decode::{self, Bytes, Callsite};
use super::super::layout::{
    BLOCK_HEADER_WORDS, CALLSITE_MARK, NAME_BYTES, RECORD_HEADER_WORDS, RECORD_WORDS, flag, kind,
};
use super::super::ring::State;
use super::super::stderr::{self, Piece};
use super::Select;

/// How many spans a breadcrumb's path may have; deeper ancestors are left out.
const MOST_SPANS: usize = 64;
/// How many bytes of names and values are taken out of one region. Records share spans and
/// callsites, so a damaged region of some megabytes could unfold into all memory there is.
const MOST_DECODED: usize = 128 * 1024 * 1024;

/// A record found in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// What orders records: boot time, lease, offset in the block.
    order: (u64, u64, usize),
    kind: u8,
    flags: u8,
    callsite: u32,
    pub(super) span: u64,
    /// The block it is in.
    block: &'a [u64],
    /// The word of the block where its values begin, and how many bytes they have.
    values: (usize, usize),
}

impl Found<'_> {
    pub(super) fn position(&self) -> Position {
        Position::Record { lease: self.order.1, word: self.order.2 }
    }
}

/// Joins events with their callsites, threads and spans.
pub(super) struct Joiner<'a> {
    events: Vec<Found<'a>>,
    /// Pieces of standard error.
    pub(super) pieces: Vec<Found<'a>>,
    /// All copies of each span, oldest first.
    spans: HashMap<u64, Vec<Found<'a>>>,
    pub(super) callsites: Vec<u64>,
    decoded: HashMap<u32, Option<Rc<Callsite>>>,
    /// How many more bytes may be decoded: see [`MOST_DECODED`].
    budget: usize,
    anchors: Anchors,
    pub(super) torn: u64,
    pub(super) spans_missing: BTreeSet<u64>,
}

impl<'a> Joiner<'a> {
    pub(super) fn new(blocks: &'a [Vec<u64>], callsites: Vec<u64>, anchors: Anchors) -> Joiner<'a> {
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
    pub(super) fn newest(&mut self, select: Select) -> Vec<Breadcrumb> {
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
            amid_panic: event.flags & flag::AMID_PANIC != 0,
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
pub(super) fn modules(table: &[u64]) -> Vec<(String, String)> {
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
