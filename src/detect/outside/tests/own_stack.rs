//! This thread's own stack, copied and then unwound as another's.

use std::os::unix::fs::FileExt;

use super::*;
use crate::detect::stack;
use crate::record::Identity;

/// A copy of a thread's stack and registers, and what the process itself finds on it.
struct Capture {
    registers: Registers,
    bytes: Vec<u8>,
    /// Return addresses, that of this function's caller first.
    inside: Vec<u64>,
}

pub(super) const MOST_BYTES: usize = 64 * 1024;

/// Copies this thread's registers and up to 64 KiB of its stack.
#[inline(never)]
fn capture() -> Capture {
    let registers = registers();
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut bytes = vec![0; MOST_BYTES];
    let copied = memory.read_at(&mut bytes, registers.sp).unwrap();
    bytes.truncate(copied);
    let mut inside = Vec::new();
    backtrace::trace(|frame| {
        inside.push((frame.ip() as u64, frame.symbol_address() as u64));
        true
    });
    let own = capture as *const () as u64;
    let at = inside.iter().position(|(_, function)| *function == own).unwrap();
    let callers = inside[at + 1..].iter().map(|(ip, _)| *ip);
    Capture { registers, bytes, inside: callers.filter(|ip| *ip != 0).collect() }
}

/// The registers in the function that this is inlined into.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn registers() -> Registers {
    let (pc, sp, fp): (u64, u64, u64);
    let mut preserved = [0u64; 5];
    // SAFETY: registers are read, and written to memory that is this function's.
    unsafe {
        std::arch::asm!(
            "lea {pc}, [rip]",
            "mov {sp}, rsp",
            "mov {fp}, rbp",
            "mov [{to}], rbx",
            "mov [{to} + 8], r12",
            "mov [{to} + 16], r13",
            "mov [{to} + 24], r14",
            "mov [{to} + 32], r15",
            pc = out(reg) pc,
            sp = out(reg) sp,
            fp = out(reg) fp,
            to = in(reg) preserved.as_mut_ptr(),
        );
    }
    let all = ["rbx", "r12", "r13", "r14", "r15"].into_iter().zip(preserved).collect();
    Registers { pc, sp, fp, lr: 0, all }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn registers() -> Registers {
    let (pc, sp, fp, lr): (u64, u64, u64, u64);
    // SAFETY: registers are read only.
    unsafe {
        std::arch::asm!(
            "adr {pc}, .", "mov {sp}, sp", "mov {fp}, x29", "mov {lr}, x30",
            pc = out(reg) pc, sp = out(reg) sp, fp = out(reg) fp, lr = out(reg) lr,
        );
    }
    Registers { pc, sp, fp, lr, all: Vec::new() }
}

#[inline(always)]
fn inlined() -> Capture {
    std::hint::black_box(capture())
}

#[inline(never)]
fn several(deep: u32) -> Capture {
    let captured = if deep == 0 { inlined() } else { several(deep - 1) };
    std::hint::black_box(captured)
}

pub(super) fn own_modules() -> Modules {
    let maps = std::fs::read("/proc/self/maps").unwrap();
    Modules::of_maps(&maps, &Identity::of_this_process().modules)
}

impl Capture {
    fn as_copied(&self) -> CapturedStack<'_> {
        CapturedStack {
            registers: self.registers.clone(),
            stack_start: self.registers.sp,
            stack: &self.bytes,
        }
    }

    fn walk(&self, captured: &CapturedStack<'_>) -> Walk {
        unwind::walk(Arch::HERE.unwrap(), captured, &own_modules(), &mut Images::new())
    }
}

fn addresses(walk: &Walk) -> Vec<u64> {
    walk.pcs.iter().map(|pc| pc.address).collect()
}

#[test]
fn the_walk_finds_what_the_process_finds() {
    let captured = several(4);
    let walk = captured.walk(&captured.as_copied());
    assert_eq!(walk.pcs[0].address, captured.registers.pc);
    let outside = &addresses(&walk)[1..];
    if cfg!(target_env = "gnu") {
        assert_eq!(outside, captured.inside);
    } else {
        // Frame pointers lead on where no table does.
        assert!(outside.starts_with(&captured.inside), "{outside:?} {:?}", captured.inside);
    }
    assert!(walk.pcs[0].interrupted && walk.pcs[1..].iter().all(|pc| !pc.interrupted));
    if cfg!(target_env = "gnu") {
        assert!(!walk.truncated, "the C library says where a thread began");
    }
}

#[test]
fn the_frames_are_those_that_the_process_makes() {
    let captured = several(2);
    let own = OwnCrates::default();
    let expected = stack::symbolicate(&captured.inside);
    let modules = own_modules();
    let outside = stack_of_signal(&captured.as_copied(), &modules, &mut Images::new(), &own);
    assert_ne!(outside.in_panic, Some(true));
    let module = |name: &str| format!("lastwords::detect::outside::tests::own_stack::{name}");
    assert_eq!(outside.frames[0].function, Some(module("registers")));
    assert_eq!(outside.frames[1].function, Some(module("capture")));
    assert!(outside.frames[1].file.as_deref().unwrap().ends_with("own_stack.rs"));
    let alike = |frame: &Frame| Frame {
        // Inside it is not that of the function.
        symbol_address: None,
        image: None,
        in_app: false,
        ..frame.clone()
    };
    let from = outside.frames.iter().position(|frame| frame.address == expected[0].address);
    let frames: Vec<Frame> = outside.frames[from.unwrap()..].iter().map(alike).collect();
    let expected: Vec<Frame> = expected.iter().map(alike).collect();
    assert_eq!(frames[..expected.len()], expected);
    assert_eq!(frames[0].function, Some(module("inlined")));
    assert_eq!(frames[1].function, Some(module("several")));
    assert_eq!((frames[0].inlined, frames[1].inlined), (true, false));
    let image = outside.frames[0].image.as_ref().unwrap();
    assert_eq!(image.path, std::env::current_exe().unwrap().display().to_string());
    assert_eq!(image.build_id, Identity::of_this_process().build_id);
}

#[test]
fn a_panics_addresses_become_its_frames() {
    let hook = |addresses: &[u64]| {
        let own = OwnCrates::default();
        stack_of_panic(addresses, &own_modules(), &mut Images::new(), &own)
    };
    let captured = several(1);
    let stack = hook(&captured.inside);
    // What is called lastwords is cut as machinery: this program's own functions.
    let expected = stack::cut_panic_machinery(stack::symbolicate(&captured.inside));
    assert_eq!(names(&stack.frames), names(&expected));
    assert_eq!(stack.in_panic, Some(true));
    assert!(hook(&[0, 0]).frames.is_empty());
    let nowhere = hook(&[0x10, u64::MAX]);
    assert_eq!(names(&nowhere.frames), ["?", "?"]);
}

#[test]
fn a_stack_that_was_copied_in_part_says_so() {
    let captured = several(30);
    let whole = captured.walk(&captured.as_copied());
    let copied = captured.as_copied();
    let mut lengths = Vec::new();
    for bytes in [1 << 10, 1 << 12, 1 << 13, 1 << 14] {
        let stack = &copied.stack[..copied.stack.len().min(bytes)];
        let walk = captured.walk(&CapturedStack { stack, ..copied.clone() });
        assert_eq!(walk.pcs, whole.pcs[..walk.pcs.len()]);
        assert_eq!(walk.truncated, whole.truncated || walk.pcs.len() < whole.pcs.len());
        lengths.push(walk.pcs.len());
    }
    assert!(lengths.iter().any(|length| (2..whole.pcs.len()).contains(length)), "{lengths:?}");
    let nothing = captured.walk(&CapturedStack { stack: &[], ..copied });
    assert!(nothing.truncated);
    assert_eq!(nothing.pcs, whole.pcs[..1]);
}

#[test]
fn bytes_that_begin_above_the_stack_pointer_are_enough() {
    let captured = several(3);
    let whole = captured.walk(&captured.as_copied());
    let copied = captured.as_copied();
    let above = CapturedStack {
        stack_start: copied.stack_start + 32,
        stack: &copied.stack[32..],
        ..copied
    };
    assert_eq!(captured.walk(&above).pcs, whole.pcs);
}

#[test]
fn a_call_of_nothing_is_stepped_back_from() {
    let captured = several(3);
    let whole = captured.walk(&captured.as_copied());
    for wild in [0, 0x40, u64::MAX] {
        let mut copied = captured.as_copied();
        copied.registers.pc = wild;
        let mut pushed = captured.registers.pc.to_le_bytes().to_vec();
        if cfg!(target_arch = "x86_64") {
            pushed.extend(copied.stack);
            copied.registers.sp -= 8;
            copied.stack_start -= 8;
            copied.stack = &pushed;
        } else {
            copied.registers.lr = captured.registers.pc;
        }
        let walk = captured.walk(&copied);
        assert_eq!(walk.pcs[0].address, wild);
        assert_eq!(addresses(&walk)[1..], addresses(&whole));
        assert!(!walk.pcs[1].interrupted, "a call returns there");
    }
}

#[test]
fn without_the_file_there_are_modules() {
    let captured = several(1);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut recorded = Identity::of_this_process().modules;
    recorded[0].build_id = Some("00ff".to_owned());
    let modules = Modules::of_maps(maps.as_bytes(), &recorded);
    let own = OwnCrates::default();
    let stack = stack_of_signal(&captured.as_copied(), &modules, &mut Images::new(), &own);
    let [first, ..] = stack.frames.as_slice() else { panic!("no frame") };
    assert_eq!(first.function, None);
    assert_eq!(first.address, Some(captured.registers.pc));
    let image = first.image.as_ref().unwrap();
    assert_eq!(image.build_id.as_deref(), Some("00ff"));
    assert_eq!((image.base, image.size), (recorded[0].base, recorded[0].size));
}

/// Prints what one stack costs, with `--nocapture`.
#[test]
fn what_a_stack_costs() {
    let captured = several(20);
    let modules = own_modules();
    let own = OwnCrates::default();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    for round in ["mapped", "mapped again", "read"] {
        let mut images = Images::new();
        if round == "read" {
            images = Images::default();
            images.offer(std::fs::File::open(&copy).unwrap());
        }
        let before = crate::report::Usage::of_this_process().memory;
        let begun = std::time::Instant::now();
        let walk = unwind::walk(Arch::HERE.unwrap(), &captured.as_copied(), &modules, &mut images);
        let walked = begun.elapsed();
        let stack = stack_of_signal(&captured.as_copied(), &modules, &mut images, &own);
        let named = begun.elapsed() - walked;
        let memory = crate::report::Usage::of_this_process().memory;
        println!(
            "{round}: {} addresses in {walked:?}, {} frames in {named:?}, memory {before:?} to {memory:?}",
            walk.pcs.len(),
            stack.frames.len(),
        );
        assert!(stack.frames.len() >= walk.pcs.len());
    }
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        std::hint::black_box(Identity::of_this_process());
    }
    println!("an identity in {:?}", begun.elapsed() / 1000);
    let begun = std::time::Instant::now();
    std::hint::black_box(stack::symbolicate(&captured.inside));
    println!("within the process, named in {:?}", begun.elapsed());
}
