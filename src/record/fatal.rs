//! The fatal-signal area: what a signal handler says, in the region, before the process dies.
//!
//! **Guarantee:** writing to it is async-signal-safe: atomics only, no allocation, no lock, no
//! system call. The first fatal signal has the area for good, unless the program survives it; a
//! reader finds what was written up to the last step, each of which is committed by a Release
//! store. **Lost:** a second thread's signal at the same time; of a stack all but the 64 KiB from the
//! stack pointer on; of a module map all but the first 32 KiB of its executable lines.
//!
//! ```text
//! word  0  state: 0 free, 1 being written, 2 facts and registers written, 3 complete, 4 complete,
//!          but the program's own handler has returned from it: a later signal may take the area
//! word  1  signal | code << 32 (`si_signo`, `si_code`)
//! word  2  address of the fault (`si_addr`), 0 for none
//! word  3  flags: 1 main thread, 2 the next word says who sent it
//! word  4  sender's pid | its user << 32
//! word  5  boot nanoseconds         word  6  wall nanoseconds since 1970
//! word  7  thread id                word  8  serial of the span
//! word  9  bytes of the thread's name        word 10  the name (64 bytes)
//! word 18  machine whose registers these are, as ELF numbers it (`e_machine`), 0 for none kept
//! word 19  registers kept
//! word 20  address of the first byte of the stack           word 21  bytes of the stack
//! word 22  bytes of the module map
//! word 24  registers (40), in the order of `registers`
//! word 64  stack (64 KiB), then module map (32 KiB): lines of `/proc/self/maps`, proc_pid_maps(5)
//! ```

use super::layout::{
    FATAL_BYTES, FATAL_HEAD_WORDS, FATAL_MAPS_BYTES, FATAL_REGISTERS, FATAL_STACK_BYTES, NAME_BYTES,
};
use super::registers::Registers;

#[cfg(target_os = "linux")]
mod write;

#[cfg(target_os = "linux")]
pub(crate) use write::{FatalArea, FatalFacts};

mod state {
    #[cfg(target_os = "linux")]
    pub(super) const FREE: u64 = 0;
    #[cfg(target_os = "linux")]
    pub(super) const WRITING: u64 = 1;
    pub(super) const REGISTERS: u64 = 2;
    pub(super) const COMPLETE: u64 = 3;
    pub(super) const RETURNED: u64 = 4;
}

mod flag {
    pub(super) const MAIN: u64 = 1;
    pub(super) const SENT: u64 = 2;
}

const SIGNAL: usize = 1;
const ADDRESS: usize = 2;
const FLAGS: usize = 3;
const SENDER: usize = 4;
const BOOT: usize = 5;
const WALL: usize = 6;
const THREAD: usize = 7;
const SPAN: usize = 8;
const NAME_LENGTH: usize = 9;
const NAME_AT: usize = 10;
const MACHINE: usize = 18;
const REGISTERS_KEPT: usize = 19;
const STACK_START: usize = 20;
const STACK_KEPT: usize = 21;
const MAPS_KEPT: usize = 22;
const REGISTERS_AT: usize = FATAL_HEAD_WORDS;
const STACK_AT: usize = REGISTERS_AT + FATAL_REGISTERS;
const MAPS_AT: usize = STACK_AT + FATAL_STACK_BYTES / 8;

/// A fatal signal as a reader finds it in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatalRecord {
    /// The signal's number on the machine of the region.
    pub signal: i32,
    /// Why it came (`si_code` of sigaction(2)); 0 and below: some process sent it.
    pub code: i32,
    /// The address of a fault: of the memory that could not be used, or of the instruction. 0 for
    /// a signal that is none.
    pub address: u64,
    /// Pid and user of the process that sent it, as the receiver sees them; `None` for a fault.
    pub sender: Option<(u32, u32)>,
    /// Nanoseconds since the machine's boot.
    pub boot_nanos: u64,
    /// Wall time in nanoseconds since 1970-01-01 UTC.
    pub wall_nanos: i64,
    /// Id of the thread that took it.
    pub thread: u64,
    /// Name of the thread, where it is known.
    pub thread_name: Option<String>,
    /// Whether the thread runs `main`.
    pub main: bool,
    /// Serial number of the span the thread was in, 0 for none.
    pub span: u64,
    /// The thread's registers, where they are kept of this machine.
    pub registers: Option<Registers>,
    /// Address of the first byte of `stack`: the stack pointer, or where memory that can be read
    /// begins above it.
    pub stack_start: u64,
    /// The bytes of the stack from there on, at most 65,536.
    pub stack: Vec<u8>,
    /// The executable lines of `/proc/self/maps` (proc_pid_maps(5)), at most 32,768 bytes of whole
    /// lines. Empty where it could not be read.
    pub maps: String,
    /// Whether all of it was written: the process was not killed meanwhile, and does not still
    /// write it.
    pub complete: bool,
    /// Whether the program's own handler of an abort returned: the signal may have been survived.
    pub returned: bool,
}

/// The fatal signal in the words of its section, if there is one.
pub(super) fn read(section: &[u64]) -> Option<FatalRecord> {
    if section.len() < FATAL_BYTES / 8 {
        return None;
    }
    let state = section[0];
    if !is_readable(state) {
        return None;
    }
    let bytes = |at: usize, kept: u64, most: usize| {
        let kept = usize::try_from(kept).unwrap_or(usize::MAX).min(most);
        let mut bytes = super::decode::bytes_of(&section[at..at + kept.div_ceil(8)]);
        bytes.truncate(kept);
        bytes
    };
    let text = |at, kept, most| String::from_utf8_lossy(&bytes(at, kept, most)).into_owned();
    let has = |flag| section[FLAGS] & flag != 0;
    let name = text(NAME_AT, section[NAME_LENGTH], NAME_BYTES);
    let registers = (section[REGISTERS_KEPT] as usize).min(FATAL_REGISTERS);
    let values = &section[REGISTERS_AT..REGISTERS_AT + registers];
    Some(FatalRecord {
        signal: section[SIGNAL] as i32,
        code: (section[SIGNAL] >> 32) as i32,
        address: section[ADDRESS],
        sender: has(flag::SENT).then_some((section[SENDER] as u32, (section[SENDER] >> 32) as u32)),
        boot_nanos: section[BOOT],
        wall_nanos: section[WALL] as i64,
        thread: section[THREAD],
        thread_name: (!name.is_empty()).then_some(name),
        main: has(flag::MAIN),
        span: section[SPAN],
        registers: Registers::read(section[MACHINE], values),
        stack_start: section[STACK_START],
        stack: bytes(STACK_AT, section[STACK_KEPT], FATAL_STACK_BYTES),
        maps: text(MAPS_AT, section[MAPS_KEPT], FATAL_MAPS_BYTES),
        complete: state >= state::COMPLETE,
        returned: state == state::RETURNED,
    })
}

/// Whether the first word of a section says that there is something to read.
pub(super) fn is_readable(state: u64) -> bool {
    (state::REGISTERS..=state::RETURNED).contains(&state)
}
