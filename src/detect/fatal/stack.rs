//! Copies the stack into the region, from the stack pointer on.
//!
//! **Guarantee:** a page that cannot be read ends the copy or, before anything is copied, is skipped:
//! on a stack overflow the stack pointer is in the guard page or below. The kernel copies
//! (process_vm_readv(2), into the region and page by page); where it refuses to (an old container
//! runtime's seccomp filter, a kernel built without it), each page is tried first by a call that
//! reads 8 bytes of it and changes nothing. Bounded: 64 KiB, and 256 pages skipped.

use std::ptr;

use crate::record::FatalArea;

/// No machine's pages are smaller, and no page that can be read ends inside of one of these.
const PAGE: u64 = 4096;
/// Pages without memory that are skipped: the gap that the kernel keeps below a growing stack.
const MOST_SKIPPED: u32 = 256;
/// Pages that one call copies.
const BATCH: usize = 8;

/// Copies the stack from `sp` on.
#[inline(never)]
pub(super) fn copy(area: FatalArea<'_>, sp: u64) {
    let mut start = sp & !7;
    for _ in 0..MOST_SKIPPED {
        area.set_stack_start(start);
        let copied = match by_kernel(area, start) {
            Ok(copied) => copied,
            Err(Refused) => by_hand(area, start),
        };
        if copied > 0 {
            return;
        }
        let Some(next) = end_of_page(start) else { return };
        start = next;
    }
}

/// The first address of the next page.
fn end_of_page(address: u64) -> Option<u64> {
    (address & !(PAGE - 1)).checked_add(PAGE)
}

/// The part of the page of `address` from there on that the area still has room for after `done`
/// bytes; 0 at the end of either.
fn piece(address: u64, done: usize) -> usize {
    let rest = end_of_page(address).map_or(0, |end| end - address);
    (rest as usize).min(FatalArea::STACK_BYTES - done)
}

/// The kernel does not copy memory of this process at all.
struct Refused;

/// Has the kernel copy from `start` on, up to the first page that cannot be read; how many bytes.
#[inline(never)]
fn by_kernel(area: FatalArea<'_>, start: u64) -> Result<usize, Refused> {
    let room = area.stack_room();
    let mut done = 0;
    loop {
        let mut pages = [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; BATCH];
        let mut wanted = 0;
        for page in &mut pages {
            let address = start.saturating_add((done + wanted) as u64);
            page.iov_base = ptr::without_provenance_mut(address as usize);
            page.iov_len = piece(address, done + wanted);
            wanted += page.iov_len;
        }
        if wanted == 0 {
            return Ok(done);
        }
        let local = libc::iovec { iov_base: room.wrapping_add(done).cast(), iov_len: wanted };
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: the kernel writes at most `wanted` bytes from `done` on, which is inside of the
        // room that the area gives for that, and reads this process's memory where it can be read.
        let read = unsafe {
            libc::syscall(libc::SYS_process_vm_readv, pid, &raw const local, 1, &pages, BATCH, 0)
        };
        let Ok(read) = usize::try_from(read) else {
            // SAFETY: the C library's `errno` of this thread is always there.
            let is_unreadable = unsafe { *libc::__errno_location() } == libc::EFAULT;
            return if is_unreadable || done > 0 { Ok(done) } else { Err(Refused) };
        };
        done += read;
        area.set_stack_kept(done);
        if read < wanted {
            return Ok(done);
        }
    }
}

/// Copies from `start` on, up to the first page that cannot be read; how many bytes.
#[inline(never)]
fn by_hand(area: FatalArea<'_>, start: u64) -> usize {
    let mut done = 0;
    loop {
        let address = start.saturating_add(done as u64);
        let piece = piece(address, done) / 8 * 8;
        if piece == 0 || !is_readable(address) {
            return done;
        }
        let first = ptr::without_provenance::<u64>(address as usize);
        for at in 0..piece / 8 {
            // SAFETY: the page can be read, as was just asked, and the address is a multiple of 8.
            // It is the stack of this thread, which does not go on before the handler returns.
            let value = unsafe { first.add(at).read_volatile() };
            area.write_stack_word(done / 8 + at, value);
        }
        done += piece;
        area.set_stack_kept(done);
    }
}

/// Whether the 8 bytes at `address` can be read.
///
/// The kernel reads a new signal mask before it looks at what is to be done with it: with an order
/// that there is not, it answers EFAULT for one that cannot be read, else EINVAL, and changes nothing
/// (`sigprocmask` of kernel/signal.c). Every seccomp filter lets this call pass, since C libraries
/// make it all the time.
fn is_readable(address: u64) -> bool {
    let at = ptr::without_provenance::<u64>(address as usize);
    // SAFETY: the kernel reads the 8 bytes if it can, and writes nothing.
    let answer = unsafe {
        let none = ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, !0, at, none, 8)
    };
    // SAFETY: the C library's `errno` of this thread is always there.
    answer != 0 && unsafe { *libc::__errno_location() } != libc::EFAULT
}

#[cfg(all(test, not(any(lastwords_loom, miri))))]
mod tests {
    use super::*;
    use crate::record::{FatalRecord, Identity, Region, Select, Snapshot};

    /// Pages of this process's own, of which those of even number can be read.
    struct Pages {
        first: u64,
        count: usize,
    }

    impl Pages {
        fn new(count: usize) -> Pages {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let bytes = count * PAGE as usize;
            // SAFETY: a new mapping, of which each part that is changed is inside.
            let first = unsafe {
                let writable = libc::PROT_READ | libc::PROT_WRITE;
                let first = libc::mmap(ptr::null_mut(), bytes, writable, flags, -1, 0);
                assert_ne!(first, libc::MAP_FAILED);
                for at in 0..bytes / 8 {
                    first.cast::<u64>().add(at).write(at as u64);
                }
                for page in (1..count).step_by(2) {
                    let page = first.byte_add(page * PAGE as usize);
                    assert_eq!(libc::mprotect(page, PAGE as usize, libc::PROT_NONE), 0);
                }
                first
            };
            Pages { first: first.addr() as u64, count }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            let first = ptr::without_provenance_mut(self.first as usize);
            // SAFETY: it is the whole mapping, and nobody uses it any more.
            unsafe { libc::munmap(first, self.count * PAGE as usize) };
        }
    }

    fn copied(copy: impl FnOnce(FatalArea<'_>)) -> FatalRecord {
        let region = Region::on_heap(0, &Identity::default());
        let area = region.fatal();
        assert!(area.claim(1));
        copy(area);
        area.complete();
        let snapshot = Snapshot::of_region(&region, Select::newest(0)).expect("a region");
        snapshot.fatal.expect("a record")
    }

    fn first_word(record: &FatalRecord) -> u64 {
        u64::from_ne_bytes(record.stack[..8].try_into().expect("eight bytes"))
    }

    #[test]
    fn a_page_that_cannot_be_read_ends_the_copy_or_is_skipped() {
        let pages = Pages::new(4);
        let record = copied(|area| copy(area, pages.first + 103));
        assert_eq!((record.stack_start, record.stack.len()), (pages.first + 96, 4000));
        assert_eq!(first_word(&record), 12);
        let record = copied(|area| copy(area, pages.first + PAGE + 8));
        assert_eq!((record.stack_start, record.stack.len()), (pages.first + 2 * PAGE, 4096));
        assert_eq!(first_word(&record), 1024);
    }

    #[test]
    fn by_hand_the_same_is_copied() {
        let pages = Pages::new(4);
        for start in [pages.first + 96, pages.first + PAGE, pages.first + 2 * PAGE] {
            let by_hand = copied(|area| assert!(by_hand(area, start) <= 4096));
            let by_kernel = copied(|area| assert!(by_kernel(area, start).is_ok()));
            assert_eq!(by_hand.stack, by_kernel.stack);
        }
        assert!(is_readable(pages.first) && !is_readable(pages.first + PAGE));
    }

    #[test]
    fn more_than_there_is_room_for_is_cut() {
        let bytes = vec![1_u64; FatalArea::STACK_BYTES / 4];
        let start = bytes.as_ptr().addr() as u64;
        assert_eq!(copied(|area| copy(area, start)).stack.len(), FatalArea::STACK_BYTES);
        let by_hand = copied(|area| assert_eq!(by_hand(area, start), FatalArea::STACK_BYTES));
        assert!(by_hand.stack.chunks(8).all(|word| word == 1_u64.to_ne_bytes()));
    }

    /// A stack pointer that points nowhere.
    #[test]
    fn a_mad_stack_pointer_ends_in_nothing() {
        for sp in [0, 8, u64::MAX, u64::MAX - 4096, 1 << 47, 0x8000_0000_0000_0000] {
            assert!(copied(|area| copy(area, sp)).stack.is_empty(), "{sp:#x}");
        }
    }
}
