//! Tests of the whole room, too large to stand in its files.

// Not under Miri: copying whole regions takes it minutes, and the reading side has no unsafe code.
// What has some (the memory, the buffer of a record, a thread's spans) has tests that Miri runs.
#[cfg(not(any(lastwords_loom, miri)))]
mod damage;
#[cfg(all(target_os = "linux", not(any(lastwords_loom, miri))))]
mod fatal;
#[cfg(not(any(lastwords_loom, miri)))]
mod layer;
#[cfg(lastwords_loom)]
mod loom_ring;
#[cfg(not(any(lastwords_loom, miri)))]
mod support;
#[cfg(not(any(lastwords_loom, miri)))]
mod tables;
#[cfg(not(lastwords_loom))]
mod threads;
