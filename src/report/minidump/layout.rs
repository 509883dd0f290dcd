//! Where what lies in a minidump: the header, the directory of streams, then everything else, at
//! offsets from the beginning (`RVA`), all of it little-endian.

/// `MDMP`.
const SIGNATURE: u32 = 0x504D_444D;

/// `MINIDUMP_VERSION`.
const VERSION: u32 = 0xA793;

/// Bytes of `MINIDUMP_HEADER` and of `MINIDUMP_DIRECTORY`.
const HEADER: usize = 32;
const ENTRY: usize = 12;

/// What every part of a dump begins at a multiple of.
const ALIGNMENT: usize = 8;

/// Where a part of a dump is: `MINIDUMP_LOCATION_DESCRIPTOR`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes of it.
    pub(super) size: u32,
    /// Bytes before it.
    pub(super) offset: u32,
}

impl Place {
    /// As it is written.
    pub(super) fn size_and_offset(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.size.to_le_bytes());
        bytes[4..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }
}

/// A dump that is being written.
#[derive(Debug)]
pub(super) struct Dump {
    bytes: Vec<u8>,
    streams: usize,
    written: usize,
}

impl Dump {
    /// A dump of this many streams, of a time in seconds since 1970-01-01 UTC.
    pub(super) fn new(streams: usize, time: u32) -> Dump {
        let mut bytes = Vec::with_capacity(96 * 1024);
        let directory = HEADER as u32;
        for word in [SIGNATURE, VERSION, streams as u32, directory, 0, time, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.resize(HEADER + streams * ENTRY, 0);
        Dump { bytes, streams, written: 0 }
    }

    /// Adds a part that others speak of.
    pub(super) fn put(&mut self, part: &[u8]) -> Place {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let place = Place { size: part.len() as u32, offset: self.bytes.len() as u32 };
        self.bytes.extend_from_slice(part);
        place
    }

    /// Adds a `MINIDUMP_STRING`: UTF-16, with its length in bytes before it and a zero behind.
    pub(super) fn string(&mut self, text: &str) -> Place {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (units.len() as u32).to_le_bytes();
        self.put(&[&length[..], &units, &[0; 2]].concat())
    }

    /// Adds a stream, which the directory names.
    pub(super) fn stream(&mut self, kind: u32, stream: &[u8]) {
        debug_assert!(self.written < self.streams, "the directory has room for each");
        let place = self.put(stream);
        let at = HEADER + self.written * ENTRY;
        self.bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        self.bytes[at + 4..at + ENTRY].copy_from_slice(&place.size_and_offset());
        self.written += 1;
    }

    /// The whole.
    pub(super) fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.written, self.streams, "no entry is left empty");
        self.bytes
    }
}
