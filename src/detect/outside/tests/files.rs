//! Files as they are found: with debug info in them, beside them or packed, stripped, damaged, replaced.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only that machine's programs are unwound there")
)]

use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::*;

const FULL: &[u8] = include_bytes!("../fixtures/full.elf");
const STRIPPED: &[u8] = include_bytes!("../fixtures/stripped.elf");
const DEBUG: &[u8] = include_bytes!("../fixtures/stripped.debug");
const PACKED: &[u8] = include_bytes!("../fixtures/packed.elf");
const BUILD_ID: &str = "bebfd396ca06ccffe1bde9bba7b262be47b5d027";

const BASE: u64 = 0x5555_0000_0000;
const SIZE: u64 = 0x2008;

/// The stack of the fixture, interrupted in its innermost function.
fn stack_in(path: &Path) -> OutsideStack {
    let modules = one_module(BASE, SIZE, path.to_str().unwrap(), BUILD_ID);
    let stack_start = 0x7fff_0000_0000;
    let mut stack = Vec::new();
    stack.extend((BASE + 0x23e).to_le_bytes());
    stack.extend((BASE + 0x24c).to_le_bytes());
    stack.extend([0; 64]);
    let registers = Registers { pc: BASE + 0x22f, sp: stack_start, ..Registers::default() };
    let captured = CapturedStack { registers, stack_start, stack: &stack };
    stack_of_signal(&captured, &modules, &mut Images::default(), &OwnCrates::default())
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[track_caller]
fn names_all(path: &Path) {
    let stack = stack_in(path);
    assert_eq!(names(&stack.frames), ["inlined", "inner", "outer", "_start"]);
    let places = stack.frames.iter().map(|frame| frame.line.unwrap());
    assert_eq!(places.collect::<Vec<_>>(), [5, 10, 14, 18]);
    assert_eq!(stack.frames[0].file.as_deref(), Some("/fixture/small.c"));
    assert!(stack.frames[0].inlined && !stack.frames[1].inlined);
    assert_eq!(stack.frames[1].symbol_address, Some(BASE + 0x229));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn debug_info_is_read_from_the_file_or_beside_it() {
    let (_folder, path) = written("full", FULL);
    names_all(&path);
    let (_folder, path) = written("packed", PACKED);
    names_all(&path);
    let (folder, path) = written("stripped", STRIPPED);
    assert_eq!(names(&stack_in(&path).frames), ["?", "?", "?"]);
    let beside = folder.path().join("stripped.debug");
    std::fs::write(&beside, DEBUG).unwrap();
    // The symbols are in the other file too.
    names_all(&path);
    // That of another build.
    let mut other = DEBUG.to_vec();
    let at = other.windows(4).position(|bytes| bytes == [0xbe, 0xbf, 0xd3, 0x96]).unwrap();
    other[at] ^= 1;
    std::fs::write(&beside, other).unwrap();
    assert_eq!(names(&stack_in(&path).frames), ["?", "?", "?"]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_file_of_another_build_is_not_asked() {
    let mut other = FULL.to_vec();
    let at = other.windows(4).position(|bytes| bytes == [0xbe, 0xbf, 0xd3, 0x96]).unwrap();
    other[at] ^= 1;
    let (_folder, path) = written("full", &other);
    let stack = stack_in(&path);
    assert_eq!(names(&stack.frames), ["?"]);
    let image = stack.frames[0].image.as_ref().unwrap();
    assert_eq!((image.base, image.size), (BASE, SIZE));
    assert_eq!(image.build_id.as_deref(), Some(BUILD_ID));
    assert!(stack.truncated);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_function_without_a_table_is_stepped_out_of_by_a_guess() {
    let (_folder, path) = written("full", FULL);
    let recorded = LoadedModule {
        base: BASE,
        size: SIZE,
        path: path.to_str().unwrap().to_owned(),
        build_id: Some(BUILD_ID.to_owned()),
    };
    let modules = Modules::of_maps(b"10000-20000 r-xp 00000000 00:00 0 \n", &[recorded]);
    // A number, an address that no call returns to, one that is no code, and the one.
    let words = [7, BASE + 0x22c, 0x7fff_0000_0020, BASE + 0x23e, BASE + 0x24c, 0];
    let stack: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let stack_start = 0x7fff_0000_0000;
    let registers = Registers { pc: 0x1_0004, sp: stack_start, ..Registers::default() };
    let captured = CapturedStack { registers, stack_start, stack: &stack };
    let own = OwnCrates::default();
    let stack = stack_of_signal(&captured, &modules, &mut Images::default(), &own);
    assert_eq!(names(&stack.frames), ["?", "outer", "_start"]);
}

/// Everything that is read of a file, whatever its build id has become.
fn read_all(bytes: &[u8], address: u64) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let source = images::Source::new(file.reopen().unwrap()).unwrap();
    let Some(elf) = elf::Elf::parse(source.data()) else { return };
    let modules = Modules::of_maps(
        format!("{BASE:x}-{:x} r-xp 00000000 00:00 1 /x\n", BASE + SIZE).as_bytes(),
        &[],
    );
    let module = modules.at(BASE).unwrap();
    let addresses = [0x229, 0x22f, 0x23d, 0x24b, address, u64::MAX];
    let _ = (elf.build_id(), elf.debug_link(), elf.bias(module), elf.extent(address));
    let _ = (elf.symbols(&addresses[..4], false), elf.symbols(&[address], true));
    let _ = debug_info::DebugInfo::functions(&elf, &addresses);
    let _ = elf.code_at(address, 7);
    let bytes: Vec<u8> = (0..=255).collect();
    let memory = unwind::Memory { start: 0x1000, bytes: &bytes };
    let registers = Registers { pc: BASE + 0x22f, sp: 0x1000, ..Registers::default() };
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for pc in addresses.map(|at| BASE.wrapping_add(at)) {
            let set = registers::Set::interrupted(arch, &registers);
            let pc = Pc { address: pc, interrupted: true };
            let mut context = cfi::Context::default();
            let _ = cfi::step_in(&mut context, &set, pc, module, source.data(), &memory);
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_file_does_no_harm(
        packed: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        end in any::<prop::sample::Index>(),
        cut: bool,
        address: u64,
    ) {
        let mut bytes = if packed { PACKED } else { FULL }.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        read_all(&bytes, address);
    }

    #[test]
    fn damage_where_it_counts_does_no_harm(
        // Headers, tables for unwinding, debug info, section headers.
        damage in prop::collection::vec(
            (prop_oneof![0usize..0x1c8, 0x250usize..0x2cc, 0x1027usize..0x13e0, 0x1660usize..7024], any::<u8>()),
            1..12,
        ),
        address in 0u64..0x3000,
    ) {
        let mut bytes = FULL.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        read_all(&bytes, address);
    }
}
