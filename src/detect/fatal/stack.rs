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
