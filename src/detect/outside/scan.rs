//! One step up a stack where nothing describes the function's frame: a guess.
//!
//! **Guarantee:** what is taken for a return address is one: the instruction before it, in a file that has
//! proved itself, is a call. **Lost:** certainty: it may be left over from an earlier call, and then
//! functions that have returned stand on the stack.
//!
//! Calls are told by the manuals: "Intel 64 and IA-32 Architectures", volume 2, `CALL`; "Arm Architecture
//! Reference Manual", `BL` and `BLR`.

use super::elf::Elf;
use super::images::Images;
use super::modules::Modules;
use super::registers::{Arch, Set};
use super::unwind::{Memory, Step};

/// How many words above the stack pointer are looked at.
const MOST_WORDS: u64 = 128;

/// The longest call that is known, in bytes.
const LONGEST: u64 = 7;

/// Steps to the nearest word that a call could have left.
pub(super) fn step(
    registers: &Set,
    modules: &Modules,
    images: &mut Images,
    memory: &Memory<'_>,
) -> Step {
    let Some(sp) = registers.sp().and_then(|sp| sp.checked_next_multiple_of(8)) else {
        return Step::Unknown;
    };
    for at in (0..MOST_WORDS).filter_map(|word| sp.checked_add(word * 8)) {
        let Some(word) = memory.word(at) else { continue };
        if !is_return_address(registers.arch, word, modules, images) {
            continue;
        }
        let mut caller = registers.preserved();
        caller.pc = word;
        caller.set(registers.arch.sp_fp().0, at.checked_add(8));
        return Step::Caller { registers: Box::new(caller), interrupted: false };
    }
    Step::Unknown
}

fn is_return_address(arch: Arch, address: u64, modules: &Modules, images: &mut Images) -> bool {
    let mut follows_a_call = || {
        let module = modules.at(address.checked_sub(LONGEST)?)?;
        let elf = Elf::parse(images.of(module)?.data())?;
        let at = address.wrapping_sub(elf.bias(module)?).checked_sub(LONGEST)?;
        Some(ends_in_call(arch, elf.code_at(at, LONGEST)?))
    };
    follows_a_call().unwrap_or(false)
}

/// Whether the last instruction of `code` is a call.
fn ends_in_call(arch: Arch, code: &[u8]) -> bool {
    match arch {
        // Direct, or through a register or memory: `FF /2`, by the length of its operand.
        Arch::X86_64 => match *code {
            [.., 0xE8, _, _, _, _] => true,
            [.., 0xFF, modrm] if is_indirect(modrm, &[3]) || is_indirect(modrm, &[0]) => true,
            [.., 0xFF, modrm, _] if is_indirect(modrm, &[1]) || modrm == 0x14 => true,
            [.., 0xFF, modrm, _, _, _, _] => is_indirect(modrm, &[2]) || modrm == 0x15,
            _ => false,
        },
        Arch::Aarch64 => code.last_chunk().is_some_and(|word| {
            let instruction = u32::from_le_bytes(*word);
            instruction >> 26 == 0b10_0101 || instruction & 0xFFFF_FC1F == 0xD63F_0000
        }),
    }
}

/// Whether a ModRM byte is that of an indirect call with one of the addressing modes.
fn is_indirect(modrm: u8, modes: &[u8]) -> bool {
    (modrm >> 3) & 7 == 2 && modes.contains(&(modrm >> 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_code() {
        let calls: [&[u8]; 7] = [
            &[0x90, 0x90, 0xE8, 1, 2, 3, 4],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xD0],
            &[0x90, 0x90, 0x90, 0x90, 0x41, 0xFF, 0xD4],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x10],
            &[0x90, 0x90, 0x90, 0x90, 0xFF, 0x50, 0x18],
            &[0x90, 0xFF, 0x15, 1, 2, 3, 4],
            &[0x90, 0xFF, 0x90, 1, 2, 3, 4],
        ];
        for call in calls {
            assert!(ends_in_call(Arch::X86_64, call), "{call:x?}");
        }
        for other in [[0x90u8; 7], [0x90, 0xE9, 0x90, 0x90, 0xFF, 0xE0, 0x90]] {
            assert!(!ends_in_call(Arch::X86_64, &other), "{other:x?}");
        }
        let arm = |word: u32| ends_in_call(Arch::Aarch64, &word.to_le_bytes());
        assert!(arm(0x9400_0010) && arm(0x97FF_FFF0) && arm(0xD63F_0100));
        assert!(!arm(0x1400_0010) && !arm(0xD65F_03C0) && !arm(0xD61F_0100));
    }
}
