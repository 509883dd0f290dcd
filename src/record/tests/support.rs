//! What the room's tests share: a region on the heap, a layer that records into it, and a reader.

use std::sync::Arc;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::prelude::*;

use super::super::layout::{HEADER_BYTES, MIN_RING_BYTES, Section, head};
use super::super::{
    Breadcrumb, BreadcrumbLayer, Identity, Place, Plan, Recording, Region, Select, Snapshot,
};

/// A recording on the heap.
pub(super) struct Bench {
    pub(super) recording: Arc<Recording>,
}

impl Bench {
    pub(super) fn new(ring_bytes: u64) -> Bench {
        let identity = Identity { pid: 7, ..Identity::default() };
        let region = Region::on_heap(ring_bytes, &identity);
        let plan = Plan { place: Place::Memory, ring_bytes, identity };
        Bench { recording: Arc::new(Recording::new(region, plan)) }
    }

    /// The smallest ring: 256 blocks of 1 KiB.
    pub(super) fn small() -> Bench {
        Bench::new(MIN_RING_BYTES)
    }

    /// Makes the layer this thread's own until the guard is dropped.
    pub(super) fn subscribe(&self) -> DefaultGuard {
        let layer = BreadcrumbLayer::new(Arc::clone(&self.recording));
        tracing_subscriber::registry().with(layer).set_default()
    }

    pub(super) fn region(&self) -> &Region {
        self.recording.region().expect("a region")
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::of_region(self.region(), Select::newest(usize::MAX)).expect("a snapshot")
    }

    pub(super) fn breadcrumbs(&self) -> Vec<Breadcrumb> {
        self.snapshot().breadcrumbs
    }

    /// The region as a file would hold it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        self.region().read_at(0, &mut header);
        let mut bytes = vec![0; word(&header, head::FILE_BYTES) as usize];
        let read = self.region().read_at(0, &mut bytes);
        assert_eq!(read, bytes.len());
        bytes
    }
}

pub(super) fn word(bytes: &[u8], index: usize) -> u64 {
    u64::from_ne_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("eight bytes"))
}

pub(super) fn set_word(bytes: &mut [u8], index: usize, value: u64) {
    bytes[index * 8..index * 8 + 8].copy_from_slice(&value.to_ne_bytes());
}

/// Word of the header where the offset of a section stands; its length follows.
pub(super) fn section_entry(section: Section) -> usize {
    head::SECTIONS + 2 * section as usize
}

/// First word of a section, and how many words it has.
pub(super) fn section(bytes: &[u8], section: Section) -> (usize, usize) {
    let entry = section_entry(section);
    (word(bytes, entry) as usize / 8, word(bytes, entry + 1) as usize / 8)
}
