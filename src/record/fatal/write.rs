//! Writing the fatal-signal area, from a signal handler.

use super::super::PanickingThread;
use super::super::layout::{FATAL_MAPS_BYTES, FATAL_REGISTERS, FATAL_STACK_BYTES};
use super::super::memory::Memory;
use super::super::sync::{Ordering, Words};
use super::*;

/// The facts of a fatal signal as its handler has them.
pub(crate) struct FatalFacts<'a> {
    pub(crate) signal: i32,
    pub(crate) code: i32,
    /// 0 for a signal that is no fault.
    pub(crate) address: u64,
    /// Pid and user of the sender.
    pub(crate) sender: Option<(u32, u32)>,
    pub(crate) boot: u64,
    pub(crate) wall: i64,
    pub(crate) thread: &'a PanickingThread,
    /// Number of the machine in ELF files, 0 where no registers are kept.
    pub(crate) machine: u16,
}

/// The fatal-signal area of a region.
#[derive(Clone, Copy)]
pub(crate) struct FatalArea<'a> {
    memory: &'a Memory,
    base: usize,
}

impl<'a> FatalArea<'a> {
    /// The area whose section begins at word `base`.
    pub(in crate::record) fn new(memory: &'a Memory, base: usize) -> FatalArea<'a> {
        FatalArea { memory, base }
    }

    fn state(&self) -> u64 {
        self.memory.word(self.base).load(Ordering::Acquire)
    }

    fn set(&self, at: usize, value: u64) {
        self.memory.word(self.base + at).store(value, Ordering::Relaxed);
    }

    fn commit(&self, state: u64) {
        self.memory.word(self.base).store(state, Ordering::Release);
    }

    /// Takes the area for the signal that thread `thread` handles. False if an earlier one has it.
    pub(crate) fn claim(&self, thread: u64) -> bool {
        let state = self.memory.word(self.base);
        let takes = |old| {
            let order = (Ordering::Acquire, Ordering::Relaxed);
            state.compare_exchange(old, state::WRITING, order.0, order.1).is_ok()
        };
        let taken = takes(state::FREE) || takes(state::RETURNED);
        if taken {
            for at in [STACK_START, STACK_KEPT, MAPS_KEPT, REGISTERS_KEPT] {
                self.set(at, 0);
            }
            self.set(THREAD, thread);
        }
        taken
    }

    /// Whether another thread than `thread` is still writing.
    pub(crate) fn is_being_written_beside(&self, thread: u64) -> bool {
        matches!(self.state(), state::WRITING | state::REGISTERS)
            && self.memory.word(self.base + THREAD).load(Ordering::Relaxed) != thread
    }

    /// Writes the facts and the registers; from here on the signal is known to whoever reads the
    /// region.
    pub(crate) fn write_facts(&self, facts: &FatalFacts<'_>, registers: impl Iterator<Item = u64>) {
        let thread = facts.thread;
        let (pid, user) = facts.sender.unwrap_or((0, 0));
        let sent = if facts.sender.is_some() { flag::SENT } else { 0 };
        let main = if thread.main { flag::MAIN } else { 0 };
        self.set(SIGNAL, u64::from(facts.signal as u32) | u64::from(facts.code as u32) << 32);
        self.set(ADDRESS, facts.address);
        self.set(FLAGS, sent | main);
        self.set(SENDER, u64::from(pid) | u64::from(user) << 32);
        self.set(BOOT, facts.boot);
        self.set(WALL, facts.wall as u64);
        self.set(THREAD, thread.id);
        self.set(SPAN, thread.span);
        self.set(NAME_LENGTH, thread.name.0 as u64);
        self.memory.store_words(self.base + NAME_AT, &thread.name.1);
        self.set(MACHINE, facts.machine.into());
        let mut kept = 0;
        for value in registers.take(FATAL_REGISTERS) {
            self.set(REGISTERS_AT + kept, value);
            kept += 1;
        }
        self.set(REGISTERS_KEPT, kept as u64);
        self.commit(state::REGISTERS);
    }

    /// Says where the stack begins.
    pub(crate) fn set_stack_start(&self, address: u64) {
        self.set(STACK_START, address);
    }

    /// Says that the first `bytes` of the stack are written.
    pub(crate) fn set_stack_kept(&self, bytes: usize) {
        let kept = self.memory.word(self.base + STACK_KEPT);
        kept.store(bytes.min(FATAL_STACK_BYTES) as u64, Ordering::Release);
    }

    /// Writes word `at` of the stack.
    ///
    /// # Panics
    /// Where the stack has no such word.
    pub(crate) fn write_stack_word(&self, at: usize, value: u64) {
        assert!(at < FATAL_STACK_BYTES / 8);
        self.set(STACK_AT + at, value);
    }

    /// Where the kernel may write the stack: [`STACK_BYTES`](Self::STACK_BYTES) bytes.
    pub(crate) fn stack_room(&self) -> *mut u8 {
        self.memory.address(self.base + STACK_AT, Self::STACK_BYTES)
    }

    /// Where the kernel may write the module map: [`MAPS_BYTES`](Self::MAPS_BYTES) bytes.
    pub(crate) fn maps_room(&self) -> *mut u8 {
        self.memory.address(self.base + MAPS_AT, Self::MAPS_BYTES)
    }

    /// Most bytes of the stack.
    pub(crate) const STACK_BYTES: usize = FATAL_STACK_BYTES;
    /// Most bytes of the module map.
    pub(crate) const MAPS_BYTES: usize = FATAL_MAPS_BYTES;

    /// Byte `at` of the module map.
    pub(crate) fn maps_byte(&self, at: usize) -> u8 {
        let word = self.memory.word(self.base + MAPS_AT + at / 8).load(Ordering::Relaxed);
        word.to_ne_bytes()[at % 8]
    }

    /// Writes byte `at` of the module map. Only the thread that claimed the area does.
    pub(crate) fn write_maps_byte(&self, at: usize, byte: u8) {
        let word = self.memory.word(self.base + MAPS_AT + at / 8);
        let mut bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        bytes[at % 8] = byte;
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }

    /// Says that the first `bytes` of the module map are written.
    pub(crate) fn set_maps_kept(&self, bytes: usize) {
        self.set(MAPS_KEPT, bytes.min(FATAL_MAPS_BYTES) as u64);
    }

    /// Says that all of it is written.
    pub(crate) fn complete(&self) {
        self.commit(state::COMPLETE);
    }

    /// Frees the area: the program has survived the signal.
    pub(crate) fn release(&self) {
        self.commit(state::FREE);
    }

    /// Says that the program's own handler returned, and that an abort may yet follow.
    pub(crate) fn set_returned(&self) {
        self.commit(state::RETURNED);
    }
}
