//! Room 1, record: `tracing` events become breadcrumbs in a region that outlives the process.
//!
//! The room's files, in the order in which an event passes them: `layer` (the `tracing` layer),
//! `thread` (what each thread keeps), `encode` (an event as words, in a `buffer` on the stack), `callsite` (static parts,
//! written once), `region` (one process's recording), `ring` (the protocol of its blocks), and on
//! the reading side `snapshot`, `decode`, `breadcrumb`, and `line` for what is no event but a line of text. Beside them `tags`, `slots` and `fatal` with `registers` (the other
//! tables of a region), `layout` (its bytes), `memory` (where it lies), `old_regions` (how many the dead may
//! leave), `remains` (what a dead process leaves) with `fate` (whether it is dead) and `byte_lock`,
//! `identity` (whose it is), `loaded` (what that process had loaded),
//! `clock`, `random` (ids), `recording` (which region is written now) and `sync` (atomics, also under
//! loom).

mod breadcrumb;
mod buffer;
pub(crate) mod byte_lock;
mod callsite;
mod clock;
mod decode;
mod encode;
mod fatal;
mod fate;
mod identity;
mod layer;
mod layout;
mod ledger;
mod line;
mod loaded;
mod memory;
mod old_regions;
mod random;
mod recording;
mod region;
mod registers;
mod remains;
mod ring;
mod slots;
mod snapshot;
mod stderr;
mod sync;
mod tags;
mod thread;

#[cfg(test)]
mod tests;

pub use breadcrumb::{Breadcrumb, Losses, Position, SpanInfo, ThreadInfo};
pub use fatal::FatalRecord;
pub use identity::{Identity, MemoryAtStart};
pub(crate) use identity::{is_running, start_ticks_of};
pub use layout::{MAX_RING_BYTES, MIN_RING_BYTES};
pub use line::{RawLine, breadcrumbs as line_breadcrumbs};
pub use loaded::LoadedModule;
pub use registers::{Machine, Registers};
pub use slots::PanicRecord;
pub use snapshot::{Asked, MOST_BYTES, ReadError, Select, Snapshot};
pub use stderr::RecentLines;

pub(crate) use clock::{boot_nanos, system_time, wall_millis};
#[cfg(target_os = "linux")]
pub(crate) use fatal::{FatalArea, FatalFacts};
pub(crate) use fate::Fate;
pub(crate) use layer::BreadcrumbLayer;
pub(crate) use layout::end::CLEAN as END_CLEAN;
pub(crate) use ledger::{LedgerEntry, LedgerKind, hash, hash_message, hash_place};
#[cfg(target_os = "linux")]
pub(crate) use loaded::{VDSO, hex};
pub(crate) use old_regions::{TAGS, remove_lone_tags};
pub(crate) use random::id as random_id;
pub(crate) use recording::{Plan, Recording, detach_in_forked_children, process_generation};
pub(crate) use region::{Place, Region};
pub(crate) use remains::{Refused, Remains, remove as remove_region};
pub(crate) use slots::{Facts, flags};
pub(crate) use stderr::StderrWriter;
pub(crate) use thread::{Formatting, id as thread_id, is_formatting, remember_main_name};

/// The thread that panics or takes a fatal signal, as it can be known without asking anybody.
pub(crate) struct PanickingThread {
    pub(crate) id: u64,
    pub(crate) main: bool,
    /// Bytes of the name, and the name filled up with zeros.
    pub(crate) name: (usize, [u64; layout::NAME_BYTES / 8]),
    /// Serial number of the span it is in, 0 for none.
    pub(crate) span: u64,
}

/// This thread, for the hook and for signal handlers: no allocation and no lock.
pub(crate) fn panicking_thread() -> PanickingThread {
    PanickingThread {
        id: thread::id(),
        main: thread::is_main(),
        name: thread::name_in_panic(),
        span: thread::current_serial(),
    }
}

/// Boot time and wall time now, for the hook and for signal handlers.
pub(crate) fn panic_clocks() -> (u64, i64) {
    (clock::boot_nanos(), clock::wall_nanos())
}
