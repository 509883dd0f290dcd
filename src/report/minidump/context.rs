//! Registers as a minidump has them: `CONTEXT` of the machine, from Microsoft's `winnt.h`. What a region
//! does not keep (floating point, debug registers) is zero, and the flags say that it is not there.

use crate::record::{Machine, Registers};

/// `CONTEXT_CONTROL | CONTEXT_INTEGER` of either machine.
const CONTROL_AND_INTEGER: u32 = 1 | 2;

const AMD64: u32 = 0x0010_0000;
const ARM64: u32 = 0x0040_0000;

/// Bytes of either machine's.
const AMD64_BYTES: usize = 1232;
const ARM64_BYTES: usize = 912;

/// The general registers of x86_64, in the order in which `CONTEXT` has them from offset 120 on.
const AMD64_GENERAL: [&str; 17] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip",
];

/// The registers as bytes.
pub(super) fn of(registers: &Registers) -> Vec<u8> {
    match registers.machine {
        Machine::X86_64 => amd64(registers),
        Machine::Aarch64 => arm64(registers),
    }
}

fn amd64(registers: &Registers) -> Vec<u8> {
    let value = |name: &str| registers.get(name).unwrap_or(0);
    let mut bytes = vec![0; AMD64_BYTES];
    let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    set(48, &(AMD64 | CONTROL_AND_INTEGER).to_le_bytes());
    // The kernel packs `cs`, `gs`, `fs` and `ss` into one word.
    let segments = value("csgsfs").to_le_bytes();
    set(56, &segments[..2]);
    set(66, &segments[6..]);
    set(68, &(value("eflags") as u32).to_le_bytes());
    for (index, name) in AMD64_GENERAL.iter().enumerate() {
        set(120 + 8 * index, &value(name).to_le_bytes());
    }
    bytes
}

/// `x0` to `x30`, `sp` and `pc` come in the order in which the region has them.
fn arm64(registers: &Registers) -> Vec<u8> {
    let mut bytes = (ARM64 | CONTROL_AND_INTEGER).to_le_bytes().to_vec();
    let pstate = registers.get("pstate").unwrap_or(0) as u32;
    bytes.extend(pstate.to_le_bytes());
    let general = registers.iter().filter(|(name, _)| *name != "pstate");
    general.for_each(|(_, value)| bytes.extend(value.to_le_bytes()));
    bytes.resize(ARM64_BYTES, 0);
    bytes
}
