//! Writes a fatal signal into the region: facts and registers first, then the stack, then the
//! module map.

use std::ffi::c_void;

use super::{Installed, Signal, maps, registers, stack};
use crate::record::{
    FatalArea, FatalFacts, LedgerEntry, LedgerKind, Machine, Region, panic_clocks, panicking_thread,
};

/// How often a thread looks whether another one's record is complete, and how long it sleeps
/// between two looks: 200 ms in all.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS_NANOS: i64 = 1_000_000;

/// Bytes of stack below [`record`]'s own frame that it is sure to get by with, optimised or not:
/// `tests/fatal.rs` measures what it uses.
const STACK_NEEDED: usize = 2048;

/// Records the signal; `None` where there is nothing to write to, or an earlier signal has the area.
///
/// # Safety
/// The signal's pointers are null or what its handler was given.
#[inline(never)]
pub(super) unsafe fn record<'a>(
    installed: &'a Installed,
    signal: &Signal,
) -> Option<FatalArea<'a>> {
    let region = installed.recording.existing_region()?;
    // SAFETY: the caller's.
    let (is_kept, has_room) = unsafe { (signal.is_kept_from_init(), has_room(signal.context)) };
    if region.pid() != std::process::id() || is_kept || !has_room {
        return None;
    }
    let area = region.fatal();
    let thread = crate::record::thread_id();
    if !area.claim(thread) {
        wait_for_other(area, thread);
        return None;
    }
    note_above(installed, region, signal.number, thread);
    // SAFETY: the caller's.
    let registers = unsafe { registers::interrupted(signal.context) };
    // SAFETY: the caller's.
    unsafe { write_facts(area, signal, registers) };
    if let Some(pointer) = registers.and_then(registers::stack_pointer) {
        stack::copy(area, pointer);
    }
    maps::copy(area);
    area.complete();
    Some(area)
}

/// Tells the monitor above, which may read what the runtime prints of this, that the death is reported
/// from this process's own region. Where that is the monitor's region, it knows.
#[inline(never)]
fn note_above(installed: &Installed, region: &Region, signal: i32, thread: u64) {
    let Some(ledger) = installed.ledger.as_ref().filter(|it| it.path() != region.path()) else {
        return;
    };
    ledger.note_in_ledger(&LedgerEntry {
        // It is in the identity, which a handler cannot read.
        event_id: [0; 16],
        kind: LedgerKind::Fatal,
        pid: std::process::id(),
        thread,
        place: panic_clocks().1.cast_unsigned(),
        message: signal.unsigned_abs().into(),
    });
}

/// Whether this handler's stack suffices. Where the program's own handler aborts on an alternate stack
/// of 8 KiB, the kernel's second frame leaves little of it, and the process is to end by SIGABRT.
///
/// # Safety
/// `context` is null or a handler's third argument.
unsafe fn has_room(context: *const c_void) -> bool {
    // SAFETY: the caller's.
    let Some(context) = (unsafe { context.cast::<libc::ucontext_t>().as_ref() }) else {
        return true;
    };
    let bottom = context.uc_stack.ss_sp.addr();
    let here = (&raw const bottom).addr();
    let is_on_it = here.wrapping_sub(bottom) < context.uc_stack.ss_size;
    !is_on_it || here - bottom >= STACK_NEEDED
}

/// Waits while another thread writes its record: whoever hands over first ends the process.
#[inline(never)]
fn wait_for_other(area: FatalArea<'_>, thread: u64) {
    let pause = rustix::thread::Timespec { tv_sec: 0, tv_nsec: BETWEEN_LOOKS_NANOS };
    for _ in 0..LOOKS {
        if !area.is_being_written_beside(thread) {
            break;
        }
        let _ = rustix::thread::nanosleep(&pause);
    }
}

/// # Safety
/// As [`record`].
#[inline(never)]
unsafe fn write_facts(area: FatalArea<'_>, signal: &Signal, registers: Option<&[u64]>) {
    // SAFETY: the caller's.
    let code = unsafe { signal.code() };
    // SAFETY: the caller's.
    let info = unsafe { signal.info.as_ref() };
    let is_sent = matches!(code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
    // SAFETY: a signal of these codes has a sender, and a fault has an address; for any other one
    // the bytes are there all the same and mean something else.
    let (sender, address) = unsafe {
        let sender = info.filter(|_| is_sent);
        let sender = sender.map(|info| (info.si_pid().unsigned_abs(), info.si_uid()));
        let fault = info.filter(|_| code > 0 && has_address(signal.number));
        (sender, fault.map_or(0, |info| info.si_addr().addr() as u64))
    };
    let thread = panicking_thread();
    let (boot, wall) = panic_clocks();
    let machine = Machine::HERE.filter(|_| registers.is_some()).map_or(0, Machine::elf_number);
    let number = signal.number;
    let facts =
        FatalFacts { signal: number, code, address, sender, boot, wall, thread: &thread, machine };
    area.write_facts(&facts, registers.unwrap_or_default().iter().copied());
}

/// Whether `si_addr` means something (sigaction(2)); of SIGSYS it is the address of the call.
fn has_address(signal: i32) -> bool {
    use libc::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS].contains(&signal)
}
