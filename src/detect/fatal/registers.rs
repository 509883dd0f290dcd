//! The registers in the frame that the kernel makes for a handler.
//!
//! The same on glibc and musl: both hand on what the kernel writes (`struct sigcontext` of
//! `<asm/sigcontext.h>`), in the order in which `record::Registers` names them.

use std::ffi::c_void;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::record::Machine;

/// The registers as the signal found them. `None` where there is no frame, and on machines whose
/// registers are not kept.
///
/// # Safety
/// `context` is null or the third argument of a handler, which lives while the handler runs.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) unsafe fn interrupted<'a>(context: *const c_void) -> Option<&'a [u64]> {
    #[cfg(target_arch = "x86_64")]
    const FIRST: usize = std::mem::offset_of!(libc::mcontext_t, gregs);
    #[cfg(target_arch = "aarch64")]
    const FIRST: usize = std::mem::offset_of!(libc::mcontext_t, regs);
    const COUNT: usize = match Machine::HERE {
        Some(machine) => machine.register_count(),
        None => 0,
    };
    const { assert!(FIRST + COUNT * 8 <= size_of::<libc::mcontext_t>()) };
    if context.is_null() {
        return None;
    }
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the caller says that there is a context, which holds these words at this place, and
    // nobody writes it while the slice is used.
    unsafe {
        let first = (&raw const (*context).uc_mcontext).byte_add(FIRST).cast::<u64>();
        Some(std::slice::from_raw_parts(first, COUNT))
    }
}

/// Elsewhere they are not kept.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn interrupted<'a>(_context: *const c_void) -> Option<&'a [u64]> {
    None
}

/// The stack pointer among them.
pub(super) fn stack_pointer(registers: &[u64]) -> Option<u64> {
    // `REG_RSP`, and behind the 31 general registers.
    let at = if cfg!(target_arch = "x86_64") { 15 } else { 31 };
    registers.get(at).copied()
}
