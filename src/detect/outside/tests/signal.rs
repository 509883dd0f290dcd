//! A signal that the C library raises, with the registers as the kernel hands them to a handler.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::own_stack::{MOST_BYTES, own_modules};
use super::*;

/// What the handler copied: pc, sp, fp and the preserved registers, then bytes of the stack.
static COPIED: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];
static BYTES: [AtomicUsize; MOST_BYTES / 8] = [const { AtomicUsize::new(0) }; MOST_BYTES / 8];
static WORDS: AtomicUsize = AtomicUsize::new(0);

/// The registers that are copied, and their names.
const NAMES: [(&str, i32); 8] = [
    ("rip", libc::REG_RIP),
    ("rsp", libc::REG_RSP),
    ("rbp", libc::REG_RBP),
    ("rbx", libc::REG_RBX),
    ("r12", libc::REG_R12),
    ("r13", libc::REG_R13),
    ("r14", libc::REG_R14),
    ("r15", libc::REG_R15),
];

extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `ucontext_t` to a handler that is set with `SA_SIGINFO`.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    for (to, (_, number)) in COPIED.iter().zip(NAMES) {
        let value = context.uc_mcontext.gregs[number as usize] as usize;
        to.store(value, Ordering::Relaxed);
    }
    let sp = COPIED[1].load(Ordering::Relaxed);
    let mut words = [0usize; MOST_BYTES / 64];
    // The kernel stops at the end of the stack; the innermost eighth of what is copied is enough.
    let local = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
    let remote = libc::iovec { iov_base: sp as *mut _, iov_len: local.iov_len };
    // SAFETY: the memory written to is this function's; that read from is checked by the kernel.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    WORDS.store(usize::try_from(read).unwrap_or(0) / 8, Ordering::Relaxed);
    for (to, word) in BYTES.iter().zip(words) {
        to.store(word, Ordering::Relaxed);
    }
}

#[inline(never)]
fn gives_up() {
    // SAFETY: the handler of this test returns, and then this does.
    std::hint::black_box(unsafe { libc::raise(libc::SIGABRT) });
}

#[test]
fn the_function_that_raised_a_signal_stands_first() {
    // SAFETY: zeroes are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid, and the handler does nothing that a handler must not.
    unsafe { libc::sigaction(libc::SIGABRT, &action, &mut before) };
    gives_up();
    // SAFETY: what was there before is put back.
    unsafe { libc::sigaction(libc::SIGABRT, &before, std::ptr::null_mut()) };

    let value = |at: usize| COPIED[at].load(Ordering::Relaxed) as u64;
    let words = BYTES.iter().take(WORDS.load(Ordering::Relaxed));
    let bytes: Vec<u8> =
        words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let all = NAMES.iter().enumerate().map(|(at, (name, _))| (*name, value(at))).collect();
    let registers = Registers { pc: value(0), sp: value(1), fp: value(2), lr: 0, all };
    let captured = CapturedStack { stack_start: registers.sp, registers, stack: &bytes };
    let own = OwnCrates::default();
    let stack = stack_of_signal(&captured, &own_modules(), &mut Images::new(), &own);
    assert_eq!(stack.in_panic, Some(false));
    let module = "lastwords::detect::outside::tests::signal";
    let names = names(&stack.frames);
    let first = names.iter().position(|name| *name == format!("{module}::gives_up")).unwrap();
    assert_eq!(
        names[first + 1],
        format!("{module}::the_function_that_raised_a_signal_stands_first")
    );
    if cfg!(target_env = "gnu") {
        assert_eq!(first, 0);
    } else {
        // No table leads through the C library: the way is guessed, by return addresses on the stack.
        assert!(first <= 3 && names[..first].iter().all(|name| !name.contains("::")), "{names:?}");
    }
}
