//! Two clocks: the boot clock orders breadcrumbs, the wall clock dates them.
//!
//! **Guarantee:** breadcrumbs keep their order over any step of the wall clock, and each is dated
//! with the wall clock as it stood when it was recorded, to within a second of a step. Time spent
//! suspended counts.
//!
//! The boot clock is read for every record (without a system call, where the kernel's vDSO has
//! it); the wall clock at most once a second. When the two have moved against each other by more
//! than [`STEP_NANOS`], an anchor (boot time, wall time) is written into the region, and a reader
//! dates each record by the last anchor before it.

use super::layout::{ANCHOR_SLOTS, head};
use super::sync::{Ordering, Words};

/// How long an anchor is trusted before the wall clock is read again: one second.
const RECHECK_NANOS: u64 = 1_000_000_000;
/// By how much the clocks must differ before a new anchor is written: one millisecond.
const STEP_NANOS: i64 = 1_000_000;

/// Nanoseconds since the machine's boot, suspended time included.
///
/// By the C library, which finds the vDSO also where it is hidden or missing (rustix's own search
/// for it ends in a SIGSEGV under valgrind).
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn boot_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Miri has no boot clock.
    let clock = if cfg!(miri) { libc::CLOCK_MONOTONIC } else { libc::CLOCK_BOOTTIME };
    // SAFETY: `now` is a `timespec` of ours that lives longer than the call. With a clock that
    // every kernel since 2.6.39 has, the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Nanoseconds since the first call in this process: elsewhere than on Linux regions are not read
/// by other processes, so any common origin will do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn boot_nanos() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64 + 1
}

/// Nanoseconds since 1970-01-01 UTC.
pub(crate) fn wall_nanos() -> i64 {
    let now = std::time::SystemTime::now();
    match now.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn wall_millis() -> i64 {
    wall_nanos() / 1_000_000
}

/// The time `nanos` after 1970-01-01 UTC.
pub(crate) fn system_time(nanos: i64) -> std::time::SystemTime {
    let distance = std::time::Duration::from_nanos(nanos.unsigned_abs());
    let epoch = std::time::UNIX_EPOCH;
    let time = if nanos < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    time.unwrap_or(epoch)
}

/// Looks at the wall clock if the last look is more than a second old at boot time `now`.
#[inline]
pub(crate) fn anchor_if_due(words: &impl Words, now: u64) {
    if now >= words.word(head::ANCHOR_DUE).load(Ordering::Relaxed) {
        anchor(words, now);
    }
}

#[cold]
#[inline(never)]
fn anchor(words: &impl Words, now: u64) {
    let due = words.word(head::ANCHOR_DUE);
    let seen = due.load(Ordering::Relaxed);
    let next = now.saturating_add(RECHECK_NANOS);
    // One thread a second does the work.
    if now < seen || due.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        return;
    }
    let (boot, wall) = (boot_nanos(), wall_nanos());
    let count = words.word(head::ANCHOR_COUNT);
    let written = count.load(Ordering::Relaxed);
    if written > 0 {
        let last = head::ANCHORS + 2 * ((written - 1) as usize % ANCHOR_SLOTS);
        let offset = |boot: u64, wall: i64| wall.wrapping_sub(boot as i64);
        let before = offset(
            words.word(last).load(Ordering::Relaxed),
            words.word(last + 1).load(Ordering::Relaxed) as i64,
        );
        if offset(boot, wall).wrapping_sub(before).unsigned_abs() <= STEP_NANOS as u64 {
            return;
        }
    }
    let next = head::ANCHORS + 2 * (written as usize % ANCHOR_SLOTS);
    words.word(next).store(boot, Ordering::Relaxed);
    words.word(next + 1).store(wall as u64, Ordering::Relaxed);
    // Release: a reader that sees the count sees the anchor. A thread that was stopped here for
    // seconds finds another's count, and leaves it.
    let _ = count.compare_exchange(written, written + 1, Ordering::Release, Ordering::Relaxed);
}

/// The anchors of a region, as a reader uses them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Anchors {
    /// Pairs (boot, wall), in the order of their boot time.
    pairs: Vec<(u64, i64)>,
}

impl Anchors {
    /// Takes the anchors out of a header's words; `word` answers for any index of the header.
    pub(crate) fn read(word: impl Fn(usize) -> u64) -> Anchors {
        let count = word(head::ANCHOR_COUNT);
        let kept = count.min(ANCHOR_SLOTS as u64) as usize;
        let mut pairs: Vec<_> = (0..kept)
            .map(|i| (word(head::ANCHORS + 2 * i), word(head::ANCHORS + 2 * i + 1) as i64))
            .collect();
        pairs.sort_unstable();
        Anchors { pairs }
    }

    /// The wall time, in nanoseconds since 1970, of boot time `boot`: by the last anchor at or
    /// before it, else the first. Zero without any anchor.
    pub(crate) fn wall(&self, boot: u64) -> i64 {
        let after = self.pairs.partition_point(|(at, _)| *at <= boot);
        match self.pairs.get(after.saturating_sub(1)) {
            Some((at, wall)) => wall.saturating_add(boot.wrapping_sub(*at) as i64),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(pairs: &[(u64, i64)]) -> Anchors {
        Anchors::read(|i| match i {
            head::ANCHOR_COUNT => pairs.len() as u64,
            i if i >= head::ANCHORS => {
                let pair = pairs[(i - head::ANCHORS) / 2];
                if (i - head::ANCHORS).is_multiple_of(2) { pair.0 } else { pair.1 as u64 }
            }
            _ => 0,
        })
    }

    #[test]
    fn a_record_is_dated_by_the_anchor_before_it() {
        let stepped = anchors(&[(100, 1_000), (200, 50_000)]);
        assert_eq!(stepped.wall(90), 990);
        assert_eq!(stepped.wall(150), 1_050);
        assert_eq!(stepped.wall(250), 50_050);
    }

    #[test]
    fn no_anchor_or_a_mad_one_does_no_harm() {
        assert_eq!(anchors(&[]).wall(5), 0);
        assert_eq!(anchors(&[(0, i64::MAX)]).wall(u64::MAX >> 1), i64::MAX);
        anchors(&[(u64::MAX, i64::MIN)]).wall(0);
        system_time(i64::MIN);
    }
}
