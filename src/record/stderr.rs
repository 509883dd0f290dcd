//! The standard error of a supervised program, in the ring beside its events.
//!
//! **Guarantee:** what was read from the program is in the region before it is looked at in any
//! other way, byte for byte, many lines to a record; a reader puts the pieces together and takes the
//! lines apart. A kill costs at most the piece that was being copied. **Lost:** what newer pieces
//! overwrite; of a line longer than [`MOST_LINE`] the rest, so that one endless line does not push
//! out all others; a line whose beginning was overwritten is marked as cut.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::SystemTime;

use memchr::{memchr, memrchr};

use super::breadcrumb::{Breadcrumb, Position};
use super::layout::flag;
use super::line::{RawLine, breadcrumbs_with_lines};
use super::region::Region;

/// Most bytes of a line that are kept.
pub(crate) const MOST_LINE: usize = 16 * 1024;

/// Most bytes of standard error that a reader looks through for breadcrumbs: a thousand lines of the
/// greatest length.
const MOST_READ: usize = 1000 * MOST_LINE;

/// Writes a stream into a region. One per stream, and one thread at a time.
#[derive(Debug, Default)]
pub(crate) struct StderrWriter {
    /// Bytes of the line that is being written, those that were not kept included.
    line: usize,
    /// Bytes of the stream so far.
    offset: u64,
}

impl StderrWriter {
    /// Passes over `bytes`: they are not recorded.
    pub(crate) fn skip(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.line = match memrchr(b'\n', bytes) {
            Some(end) => bytes.len() - end - 1,
            None => self.line + bytes.len(),
        };
    }

    /// Records `bytes`, the next ones of the stream.
    pub(crate) fn write(&mut self, region: &Region, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(region.stderr_piece())];
            let kept = self.kept(piece);
            if kept > 0 {
                let flags = match self.line {
                    0 => 0,
                    1..=MOST_LINE => flag::CONTINUES,
                    // It goes on behind what was not kept.
                    _ => flag::CONTINUES | flag::CUT,
                };
                region.record_stderr(&piece[..kept], flags, self.offset);
                self.skip(&piece[..kept]);
                bytes = &bytes[kept..];
            } else {
                // The rest of a line that is too long, up to its end.
                let end = memchr(b'\n', piece).unwrap_or(piece.len());
                self.skip(&piece[..end]);
                bytes = &bytes[end..];
            }
        }
    }

    /// How much of the beginning of `piece` is kept: up to where a line becomes too long.
    fn kept(&self, piece: &[u8]) -> usize {
        let first = memchr(b'\n', piece).unwrap_or(piece.len());
        let room = MOST_LINE.saturating_sub(self.line);
        // A piece is shorter than a line may be, so only its first line can be too long.
        if first > room { room } else { piece.len() }
    }
}

/// The last lines of a stream that is read only once and recorded nowhere.
#[derive(Debug, Default)]
pub struct RecentLines {
    pieces: VecDeque<Piece>,
    held: usize,
    offset: u64,
    /// Whether the last byte was no newline.
    open: bool,
}

/// Bytes of the stream that [`RecentLines`] keeps.
const RECENT: usize = 512 * 1024;

impl RecentLines {
    /// Takes the next bytes of the stream, read at `time`. While `is_report`, what is read belongs to
    /// a crash more likely than to the lines before one, and pushes out none of those.
    pub fn push(&mut self, bytes: &[u8], time: SystemTime, is_report: bool) {
        if !(is_report && self.held + bytes.len() > RECENT) {
            let piece = Piece {
                // The order of the pieces is all that counts here.
                boot_nanos: self.offset,
                time,
                live: false,
                offset: self.offset,
                continues: self.open,
                cut: false,
                bytes: bytes.to_vec(),
            };
            self.held += bytes.len();
            self.pieces.push_back(piece);
            while self.held > RECENT && self.pieces.len() > 1 {
                self.held -= self.pieces.pop_front().map_or(0, |piece| piece.bytes.len());
            }
        }
        self.offset += bytes.len() as u64;
        self.open = bytes.last().map_or(self.open, |last| *last != b'\n');
    }

    /// The newest `most` breadcrumbs before byte `until` of the stream, oldest first. One without a
    /// time of its own has that of the one before it.
    #[must_use]
    pub fn breadcrumbs(&mut self, most: usize, until: u64) -> Vec<Breadcrumb> {
        let mut breadcrumbs = breadcrumbs_of(self.pieces.make_contiguous(), most, 0..until);
        let read_at = |time: SystemTime| self.pieces.iter().any(|piece| piece.time == time);
        let dated = breadcrumbs.iter().map(|crumb| crumb.time).find(|time| !read_at(*time));
        let Some(mut last) = dated else { return breadcrumbs };
        for crumb in &mut breadcrumbs {
            if read_at(crumb.time) {
                crumb.time = last;
            }
            last = crumb.time;
        }
        breadcrumbs
    }
}

/// A piece of the stream as a reader finds it.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) boot_nanos: u64,
    pub(super) time: SystemTime,
    /// Whether it was read as it was written.
    pub(super) live: bool,
    /// Where it lies in the stream.
    pub(super) offset: u64,
    pub(super) continues: bool,
    pub(super) cut: bool,
    pub(super) bytes: Vec<u8>,
}

/// A line put together from pieces.
struct Line {
    from: usize,
    to: usize,
    /// Where it lies in the stream, its newline included if it has one.
    stream: Range<u64>,
    /// Whether it has none yet.
    open: bool,
    /// The piece it begins in.
    piece: usize,
    cut: bool,
}

/// The newest `most` breadcrumbs in pieces (oldest first) of a stream, as far as they lie in these bytes
/// of it.
pub(super) fn breadcrumbs_of(pieces: &[Piece], most: usize, span: Range<u64>) -> Vec<Breadcrumb> {
    let before = pieces.partition_point(|piece| piece.offset < span.end);
    let pieces = &pieces[first_read(&pieces[..before])..before];
    let (bytes, lines) = join(pieces, span);
    let raw: Vec<RawLine<'_>> = lines
        .iter()
        .map(|line| RawLine {
            bytes: &bytes[line.from..line.to],
            boot_nanos: pieces[line.piece].boot_nanos,
            time: pieces[line.piece].time,
            live: pieces[line.piece].live,
            cut: line.cut,
        })
        .collect();
    let position = |group: Range<usize>| {
        let (first, last) = (&lines[group.start], &lines[group.end - 1]);
        Position::Stderr { from: first.stream.start, to: last.stream.end, open: last.open }
    };
    let found = breadcrumbs_with_lines(&raw, most).into_iter();
    found.map(|(crumb, group)| Breadcrumb { position: position(group), ..crumb }).collect()
}

/// The first piece that is looked at.
fn first_read(pieces: &[Piece]) -> usize {
    let mut bytes = 0;
    let fits = pieces.iter().rev().take_while(|piece| {
        bytes += piece.bytes.len();
        bytes <= MOST_READ
    });
    pieces.len() - fits.count()
}

/// All bytes of the pieces in these bytes of the stream, and the lines in them.
fn join(pieces: &[Piece], span: Range<u64>) -> (Vec<u8>, Vec<Line>) {
    let mut bytes = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    // Whether the last line has no newline yet.
    let mut open = false;
    for (index, piece) in pieces.iter().enumerate() {
        let within =
            |at: u64| usize::try_from(at.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        let text = &piece.bytes[..piece.bytes.len().min(within(span.end))];
        let first = within(span.start);
        let mut from = first;
        while from < text.len() {
            let newline = memchr(b'\n', &text[from..]).map(|end| from + end);
            let end = newline.unwrap_or(text.len());
            let continues = match from {
                0 => piece.continues,
                _ => from == first && text[from - 1] != b'\n',
            };
            if !(continues && open) {
                let at = bytes.len();
                let begin = piece.offset + from as u64;
                // The beginning of a line that goes on here is gone.
                lines.push(Line {
                    from: at,
                    to: at,
                    stream: begin..begin,
                    open: true,
                    piece: index,
                    cut: continues,
                });
            }
            bytes.extend_from_slice(&text[from..end]);
            open = newline.is_none();
            if let Some(line) = lines.last_mut() {
                line.to = bytes.len();
                line.stream.end = piece.offset + end as u64 + u64::from(!open);
                line.open = open;
                line.cut |= from == first && piece.cut;
            }
            from = end + 1;
        }
    }
    (bytes, lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::identity::Identity;
    use super::super::layout::MIN_RING_BYTES;
    use super::super::snapshot::{Select, Snapshot};
    use super::*;

    fn region() -> Region {
        Region::on_heap(MIN_RING_BYTES, &Identity::default())
    }

    fn messages(region: &Region, select: Select) -> Vec<(String, bool)> {
        let snapshot = Snapshot::of_region(region, select).expect("a region");
        snapshot.breadcrumbs.into_iter().map(|crumb| (crumb.message, crumb.cut)).collect()
    }

    #[test]
    fn lines_come_back_whatever_the_pieces() {
        let region = region();
        let mut writer = StderrWriter::default();
        for bytes in [&b"one\ntw"[..], b"o", b"\n", b"\nthree"] {
            writer.write(&region, bytes);
        }
        let found = messages(&region, Select::newest(10));
        let found: Vec<_> = found.iter().map(|(text, cut)| (text.as_str(), *cut)).collect();
        assert_eq!(found, [("one", false), ("two", false), ("three", false)]);
    }

    #[test]
    fn nothing_behind_the_crash_is_a_breadcrumb() {
        let region = region();
        let mut writer = StderrWriter::default();
        writer.write(&region, b"before\npanic: boom\nafter\n");
        let select = Select { until_stderr: 7, ..Select::newest(10) };
        assert_eq!(messages(&region, select), [("before".to_owned(), false)]);
    }

    #[test]
    fn a_reader_goes_on_where_it_stopped() {
        let (region, mut writer) = (region(), StderrWriter::default());
        let read = |region: &Region, from| {
            let select = Select { from_stderr: from, ..Select::newest(10) };
            let snapshot = Snapshot::of_region(region, select).expect("a region");
            let told =
                snapshot.breadcrumbs.into_iter().map(|crumb| (crumb.message, crumb.position));
            told.collect::<Vec<_>>()
        };
        let place = |from, to, open| Position::Stderr { from, to, open };
        writer.write(&region, b"one\ntw");
        let first = [("one".to_owned(), place(0, 4, false)), ("tw".to_owned(), place(4, 6, true))];
        assert_eq!(read(&region, 0), first);
        writer.write(&region, b"o\nthree\n");
        let rest =
            [("two".to_owned(), place(4, 8, false)), ("three".to_owned(), place(8, 14, false))];
        assert_eq!(read(&region, 4), rest);
        assert_eq!(read(&region, 5)[0].0, "wo", "what is asked for, and no more");
        assert_eq!(read(&region, 14), []);
    }

    #[test]
    fn an_endless_line_leaves_the_others() {
        let region = region();
        let mut writer = StderrWriter::default();
        writer.write(&region, b"first\n");
        for _ in 0..100 {
            writer.write(&region, &[b'x'; 10_000]);
        }
        writer.write(&region, b"\nlast\n");
        let found = messages(&region, Select::newest(10));
        assert_eq!(found[0], ("first".to_owned(), false));
        assert!(found[1].0.starts_with("xxx") && found[1].0.len() <= MOST_LINE && found[1].1);
        assert_eq!(found[2], ("last".to_owned(), false));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_is_skipped_is_counted() {
        let region = region();
        let mut writer = StderrWriter::default();
        writer.skip(b"a\nb");
        writer.write(&region, b"c\nd\n");
        assert_eq!(writer.offset, 7);
        let found = messages(&region, Select::newest(10));
        assert_eq!(found, [("c".to_owned(), true), ("d".to_owned(), false)]);
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_lines(
            lines in prop::collection::vec("[a-z]{1,40}", 1..20),
            cuts in prop::collection::vec(1usize..30, 1..60),
        ) {
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (region, mut writer) = (region(), StderrWriter::default());
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                writer.write(&region, now);
                rest = later;
            }
            writer.write(&region, rest);
            let found = messages(&region, Select::newest(100));
            let found: Vec<String> = found.into_iter().map(|(text, _)| text).collect();
            prop_assert_eq!(found, lines);
        }
    }
}
