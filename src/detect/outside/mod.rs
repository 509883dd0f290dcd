//! The stack of a process that has died, made outside of it: from what it left in its region and from
//! the files it ran.
//!
//! **Guarantee:** no process is stopped or traced, and nothing is asked of one; whatever the region or a
//! file holds, the work is bounded and does not panic. A file that is not the one which ran is not
//! used. **Lost:** where the file is gone or another, a frame is an address in a module with its build
//! id, and the stack ends at the first function without frame pointer.
//!
//! `modules` says what lay where, `images` finds and proves the files, `elf` reads them; `unwind` walks
//! up a stack of `registers` by the tables that `cfi` reads, and where there are none by a `scan`;
//! `symbolicate` names what was found, with
//! `debug_info`, and `cut` leaves away how a program dies.

mod cfi;
mod cut;
mod debug_info;
mod elf;
mod images;
mod modules;
mod registers;
pub(crate) mod room;
mod scan;
mod symbolicate;
mod unwind;

#[cfg(test)]
mod tests;

pub(crate) use images::Images;
pub(crate) use modules::Modules;
pub(crate) use registers::Registers;

use super::crash::{Frame, Image};
use super::in_app::OwnCrates;
use super::stack;
use registers::Arch;
use unwind::{Pc, Walk};

/// What a signal handler copied of an interrupted thread.
#[derive(Debug, Clone)]
pub(crate) struct CapturedStack<'a> {
    /// Its registers.
    pub(crate) registers: Registers,
    /// The address of the first byte in `stack`: the stack pointer, or above it where the memory at the
    /// stack pointer could not be read, as after a stack overflow.
    pub(crate) stack_start: u64,
    /// The bytes from there up.
    pub(crate) stack: &'a [u8],
}

/// A stack as it is made outside of the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OutsideStack {
    /// Innermost first, inlined functions as frames of their own; what leads from the program's call to
    /// the signal or the panic is cut.
    pub(crate) frames: Vec<Frame>,
    /// How many functions were left out in the middle of the stack.
    pub(crate) frames_elided: u64,
    /// Whether the thread was raising or handling a panic; `None` where the names to tell are stripped.
    pub(crate) in_panic: Option<bool>,
    /// Whether the stack goes on beyond the outermost frame: it was not copied that far, or nothing says
    /// how the function there was called.
    pub(crate) truncated: bool,
}

/// The stack of a thread that a fatal signal interrupted. On a machine that is neither x86_64 nor aarch64
/// it is the interrupted function alone.
pub(crate) fn stack_of_signal(
    captured: &CapturedStack<'_>,
    modules: &Modules,
    images: &mut Images,
    own: &OwnCrates,
) -> OutsideStack {
    let alone = Pc { address: captured.registers.pc, interrupted: true };
    let walk = match Arch::HERE {
        Some(arch) => unwind::walk(arch, captured, modules, images),
        None => Walk { pcs: vec![alone], elided: 0, truncated: true },
    };
    let frames = symbolicate::symbolicate(&walk.pcs, modules, images);
    let in_panic = cut::is_in_panic(&frames);
    let frames = marked(cut::abort_machinery(frames), own);
    OutsideStack { frames, frames_elided: walk.elided, in_panic, truncated: walk.truncated }
}

/// The objects that were loaded into a process, the one that lay at `first` before all others.
pub(crate) fn loaded_images(modules: &Modules, images: &mut Images, first: u64) -> Vec<Image> {
    let mut loaded = symbolicate::loaded(modules, images);
    loaded.sort_by_key(|image| image.base != first);
    loaded
}

/// The stack of a panic whose hook wrote down `addresses`, return addresses with the innermost first,
/// and could not report it.
pub(crate) fn stack_of_panic(
    addresses: &[u64],
    modules: &Modules,
    images: &mut Images,
    own: &OwnCrates,
) -> OutsideStack {
    let returned = |address: &u64| Pc { address: *address, interrupted: false };
    let pcs: Vec<Pc> = addresses.iter().map(returned).collect();
    let frames = symbolicate::symbolicate(&pcs, modules, images);
    let frames = marked(stack::cut_panic_machinery(frames), own);
    OutsideStack { frames, in_panic: Some(true), ..OutsideStack::default() }
}

/// Sets `in_app`. Whose `main` is on the stack, whose the program is.
fn marked(mut frames: Vec<Frame>, own: &OwnCrates) -> Vec<Frame> {
    let mut own = own.clone();
    let functions = frames.iter().filter_map(|frame| frame.function.as_deref());
    functions.filter(|name| stack::is_rust_main(name)).for_each(|main| own.learn_function(main));
    stack::mark_in_app(&mut frames, &own);
    frames
}
