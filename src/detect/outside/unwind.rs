//! From registers and a copy of the stack to return addresses.
//!
//! **Guarantee:** the walk ends: each step goes up the stack, and reads nothing but the bytes that were
//! copied. What it yields is an address in code, except for the first. **Lost:** functions whose frame
//! is neither described nor held together by frame pointers, and those beyond the copied bytes; then the
//! stack is marked as cut off.
//!
//! Each step asks the table that compilers write for this (`.eh_frame`), then the chain of frame
//! pointers; where neither knows, as in a C library without tables (musl's), the nearest word on the stack
//! to which a call returns is taken for the return address, [`MOST_SCANS`] times. Where the program jumped to where no code is (a null function pointer), the return address
//! is where the call left it: on the stack, or in the link register.

use super::CapturedStack;
use super::cfi;
use super::images::Images;
use super::modules::Modules;
use super::registers::{Arch, Set};
use super::scan;

/// How many addresses are kept at most: these of the innermost ones and the outermost ones.
const INNERMOST: usize = 192;
const OUTERMOST: usize = 64;

/// How many steps of one walk may be guessed.
const MOST_SCANS: u32 = 4;

/// An address of code on a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pc {
    /// The address in the dying process.
    pub(super) address: u64,
    /// Whether the instruction there was being executed: else a call returns to it, and may have been
    /// the last instruction of its function.
    pub(super) interrupted: bool,
}

impl Pc {
    /// An address within the instruction that was executed last.
    pub(super) fn lookup(self) -> u64 {
        self.address.wrapping_sub(u64::from(!self.interrupted))
    }
}

/// A stack, innermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) pcs: Vec<Pc>,
    /// How many were left out behind the first [`INNERMOST`].
    pub(super) elided: u64,
    /// Whether the stack goes on beyond what could be read.
    pub(super) truncated: bool,
}

/// The bytes of a stack, by address.
pub(super) struct Memory<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl Memory<'_> {
    /// The `size` bytes at an address as a number, at most 8.
    pub(super) fn read(&self, address: u64, size: usize) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let mut word = [0; 8];
        word.get_mut(..size)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }

    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.read(address, 8)
    }
}

/// Where a step leads.
pub(super) enum Step {
    /// To the caller; `interrupted` if the function stepped out of is a signal's.
    Caller { registers: Box<Set>, interrupted: bool },
    /// Nowhere: this is the outermost function.
    Outermost,
    /// To what was not copied.
    OutOfReach,
    /// Nobody knows.
    Unknown,
}

/// Walks up a stack.
pub(super) fn walk(
    arch: Arch,
    captured: &CapturedStack<'_>,
    modules: &Modules,
    images: &mut Images,
) -> Walk {
    let memory = Memory { start: captured.stack_start, bytes: captured.stack };
    let mut walker = Walker { modules, images, memory, context: cfi::Context::default(), scans: 0 };
    let mut registers = Set::interrupted(arch, &captured.registers);
    let mut kept = Kept::default();
    let mut interrupted = true;
    // Each step but the first goes up by 8 bytes or more.
    for step in 0..=captured.stack.len() / 8 + 1 {
        let pc = Pc { address: registers.pc, interrupted };
        kept.push(pc);
        match walker.step(&registers, pc, step == 0) {
            Step::Caller { registers: caller, interrupted: by_signal } => {
                (registers, interrupted) = (*caller, by_signal);
            }
            Step::Outermost => return kept.walk(false),
            Step::OutOfReach | Step::Unknown => break,
        }
    }
    kept.walk(true)
}

/// What a walk is along.
struct Walker<'w> {
    modules: &'w Modules,
    images: &'w mut Images,
    memory: Memory<'w>,
    context: cfi::Context,
    /// How many steps were guessed.
    scans: u32,
}

impl Walker<'_> {
    fn step(&mut self, registers: &Set, pc: Pc, first: bool) -> Step {
        let by_table = match self.modules.at(pc.lookup()) {
            Some(module) => {
                let (images, memory) = (&mut *self.images, &self.memory);
                let step = cfi::step(&mut self.context, registers, pc, module, images, memory);
                self.checked(step, registers, first)
            }
            None if first => self.checked(from_nowhere(registers, &self.memory), registers, first),
            None => return Step::Unknown,
        };
        if matches!(by_table, Step::Caller { .. } | Step::Outermost) {
            return by_table;
        }
        let by_frame_pointer = by_frame_pointer(registers, &self.memory);
        match self.checked(by_frame_pointer, registers, first) {
            // The table knows the way: nothing is to be guessed.
            Step::Unknown if matches!(by_table, Step::OutOfReach) => Step::OutOfReach,
            Step::Unknown => self.scanned(registers),
            step => step,
        }
    }

    /// A step, if it leads up to where code is.
    fn checked(&self, step: Step, registers: &Set, first: bool) -> Step {
        let Step::Caller { registers: mut caller, interrupted } = step else { return step };
        caller.pc = self.code_address(caller.pc, registers.arch);
        if caller.pc == 0 {
            return Step::Outermost;
        }
        let up = caller.sp() > registers.sp();
        // A leaf function of a machine with a link register may have no frame at all.
        let leaf = first && caller.sp() == registers.sp() && caller.pc != registers.pc;
        if (up || leaf) && self.modules.at(caller.pc).is_some() {
            Step::Caller { registers: caller, interrupted }
        } else {
            Step::Unknown
        }
    }

    /// A return address without the signature that machines with pointer authentication put into the
    /// bits which no address of a program has.
    fn code_address(&self, pc: u64, arch: Arch) -> u64 {
        let signed = arch == Arch::Aarch64 && self.modules.at(pc).is_none();
        if signed { pc & ((1 << 48) - 1) } else { pc }
    }

    fn scanned(&mut self, registers: &Set) -> Step {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Step::Unknown;
        }
        scan::step(registers, self.modules, self.images, &self.memory)
    }
}

/// Both machines keep the caller's frame pointer where the frame pointer points, and the return address
/// behind it. A frame pointer that is none leads to no code, or down.
fn by_frame_pointer(registers: &Set, memory: &Memory<'_>) -> Step {
    let frame = |fp: u64| Some((fp, memory.word(fp)?, memory.word(fp.checked_add(8)?)?));
    let aligned = registers.fp().filter(|fp| fp.is_multiple_of(8));
    match aligned.filter(|fp| registers.sp().is_none_or(|sp| sp <= *fp)).and_then(frame) {
        // The end of the chain says nothing of the end of the stack.
        None | Some((_, _, 0)) => Step::Unknown,
        Some((fp, outer, pc)) => {
            let mut caller = registers.preserved();
            caller.pc = pc;
            caller.set(registers.arch.sp_fp().0, fp.checked_add(16));
            caller.set(registers.arch.sp_fp().1, Some(outer));
            Step::Caller { registers: Box::new(caller), interrupted: false }
        }
    }
}

/// Steps back from where no code is, which the program came to by a call.
fn from_nowhere(registers: &Set, memory: &Memory<'_>) -> Step {
    let arch = registers.arch;
    let mut caller = registers.clone();
    let returned = match arch.link() {
        Some(link) => registers.get(link),
        None => {
            caller.set(arch.sp_fp().0, registers.sp().and_then(|sp| sp.checked_add(8)));
            registers.sp().and_then(|sp| memory.word(sp))
        }
    };
    match returned {
        None | Some(0) => Step::Unknown,
        Some(pc) => {
            caller.pc = pc;
            Step::Caller { registers: Box::new(caller), interrupted: false }
        }
    }
}

/// The innermost addresses, and of the others the last ones.
#[derive(Default)]
struct Kept {
    innermost: Vec<Pc>,
    outermost: std::collections::VecDeque<Pc>,
    elided: u64,
}

impl Kept {
    fn push(&mut self, pc: Pc) {
        if self.innermost.len() < INNERMOST {
            self.innermost.push(pc);
            return;
        }
        if self.outermost.len() == OUTERMOST {
            self.outermost.pop_front();
            self.elided += 1;
        }
        self.outermost.push_back(pc);
    }

    fn walk(self, truncated: bool) -> Walk {
        let mut pcs = self.innermost;
        pcs.extend(self.outermost);
        Walk { pcs, elided: self.elided, truncated }
    }
}
