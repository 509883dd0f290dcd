//! Walks by frame pointers alone, for both machines, and along stacks that lead nowhere.

use proptest::prelude::*;

use super::*;

/// Memory with code but without a file, as a just-in-time compiler makes it.
const CODE: &str = "10000-20000 rwxp 00000000 00:00 0 \n";
const STACK: u64 = 0x7f00_0000_0000;

fn walk(arch: Arch, registers: Registers, words: &[u64]) -> Walk {
    let stack: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let captured = CapturedStack { registers, stack_start: STACK, stack: &stack };
    let modules = Modules::of_maps(CODE.as_bytes(), &[]);
    unwind::walk(arch, &captured, &modules, &mut Images::default())
}

fn addresses(walk: &Walk) -> Vec<u64> {
    walk.pcs.iter().map(|pc| pc.address).collect()
}

#[test]
fn frame_pointers_lead_where_no_table_does() {
    let words = [7, STACK + 24, 0x1_0010, STACK + 48, 0x1_0020, 9, 0, 0x1_0030, 0];
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let registers =
            Registers { pc: 0x1_0004, sp: STACK, fp: STACK + 8, ..Registers::default() };
        let walk = walk(arch, registers, &words);
        assert_eq!(addresses(&walk), [0x1_0004, 0x1_0010, 0x1_0020, 0x1_0030], "{arch:?}");
        assert!(walk.truncated, "nothing says that the last one is the outermost");
    }
}

#[test]
fn a_signed_return_address_is_understood() {
    let signed = 0x002a_0000_0001_0010;
    let registers = Registers { pc: 0x1_0004, sp: STACK, fp: STACK, ..Registers::default() };
    let walk = walk(Arch::Aarch64, registers, &[0, signed]);
    assert_eq!(addresses(&walk), [0x1_0004, 0x1_0010]);
}

#[test]
fn a_null_call_on_a_machine_with_a_link_register() {
    let registers = Registers { pc: 0, sp: STACK, fp: STACK, lr: 0x1_0010, ..Registers::default() };
    let walk = walk(Arch::Aarch64, registers, &[0, 0x1_0020]);
    assert_eq!(addresses(&walk), [0, 0x1_0010, 0x1_0020]);
}

#[test]
fn the_ends_of_a_long_stack_are_kept() {
    let words: Vec<u64> =
        (0..1000).flat_map(|n: u64| [STACK + 16 * (n + 1), 0x1_0000 + n + 1]).collect();
    let registers = Registers { pc: 0x1_0000, sp: STACK, fp: STACK, ..Registers::default() };
    let walk = walk(Arch::X86_64, registers, &words);
    assert_eq!((walk.pcs.len(), walk.elided), (256, 1001 - 256));
    assert_eq!(walk.pcs[191].address, 0x1_0000 + 191);
    assert_eq!(walk.pcs[192].address, 0x1_0000 + 1001 - 64);
    assert_eq!(walk.pcs[255].address, 0x1_0000 + 1000);
}

proptest! {
    #[test]
    fn any_stack_comes_to_an_end(
        words in prop::collection::vec(
            prop_oneof![any::<u64>(), STACK..STACK + 800, 0x1_0000u64..0x2_0000],
            0..100,
        ),
        pc in prop_oneof![any::<u64>(), 0x1_0000u64..0x2_0000],
        sp in prop_oneof![any::<u64>(), STACK - 64..STACK + 800],
        fp in prop_oneof![any::<u64>(), STACK..STACK + 800],
        lr: u64,
    ) {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let walk = walk(arch, Registers { pc, sp, fp, lr, all: Vec::new() }, &words);
            prop_assert!(!walk.pcs.is_empty() && walk.pcs.len() <= words.len() + 2);
        }
    }
}
