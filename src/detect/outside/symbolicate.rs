//! From addresses in a dead process to frames.
//!
//! **Guarantee:** a frame is what symbolication inside of the process would have given: inlined functions
//! on their own, names cleaned, the C library's functions by the names it exports. What cannot be named
//! stays an address with its module. **Lost:** in a build without debug info, files and lines; in a
//! stripped one, names that are not exported.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::c_library;
use super::super::crash::{Frame, Image};
use super::super::rust_names;
use super::debug_info::{self, DebugInfo, Function};
use super::elf::Elf;
use super::images::Images;
use super::modules::{Module, Modules};
use super::unwind::Pc;

/// Resolves addresses, innermost first, into frames, innermost first. An address of 0 gives none.
pub(super) fn symbolicate(pcs: &[Pc], modules: &Modules, images: &mut Images) -> Vec<Frame> {
    let mut resolved: Vec<Vec<Frame>> = pcs.iter().map(|pc| bare(*pc)).collect();
    // One module after the other: reading one may take much memory.
    let mut by_module: BTreeMap<u64, (&Module, Vec<usize>)> = BTreeMap::new();
    for (index, pc) in pcs.iter().enumerate().filter(|(_, pc)| pc.address != 0) {
        if let Some(module) = modules.at(pc.lookup()) {
            by_module.entry(module.start).or_insert((module, Vec::new())).1.push(index);
        }
    }
    for (module, indices) in by_module.values_mut() {
        indices.sort_by_key(|index| pcs[*index].lookup());
        let of_module: Vec<Pc> = indices.iter().map(|index| pcs[*index]).collect();
        let frames = frames_of_module(&of_module, module, images);
        for (index, frames) in indices.iter().zip(frames) {
            resolved[*index] = frames;
        }
    }
    resolved.into_iter().flatten().collect()
}

/// The objects that were loaded, each once, in the order of their addresses.
pub(super) fn loaded(modules: &Modules, images: &mut Images) -> Vec<Image> {
    let mut loaded: Vec<Image> = Vec::new();
    for module in modules.iter() {
        let is_known = |image: &Image| {
            (image.base..image.base.saturating_add(image.size)).contains(&module.start)
        };
        if loaded.iter().any(is_known) {
            continue;
        }
        let elf = images.of(module).and_then(|file| Elf::parse(file.data()));
        let bias = elf.as_ref().and_then(|elf| elf.bias(module));
        loaded.extend(image(module, elf.as_ref(), bias));
    }
    loaded
}

fn bare(pc: Pc) -> Vec<Frame> {
    let frame = Frame { address: Some(pc.address), ..Frame::default() };
    if pc.address == 0 { Vec::new() } else { vec![frame] }
}

/// The frames of each address, all of which lie in `module`, in the order of the addresses.
fn frames_of_module(pcs: &[Pc], module: &Module, images: &mut Images) -> Vec<Vec<Frame>> {
    let elf = images.of(module).and_then(|file| Elf::parse(file.data()));
    let bias = elf.as_ref().and_then(|elf| elf.bias(module));
    let image = image(module, elf.as_ref(), bias).map(Arc::new);
    let at =
        |pc: &Pc| Frame { address: Some(pc.address), image: image.clone(), ..Frame::default() };
    let (Some(elf), Some(bias)) = (elf, bias) else {
        return pcs.iter().map(|pc| vec![at(pc)]).collect();
    };
    let addresses: Vec<u64> = pcs.iter().map(|pc| pc.lookup().wrapping_sub(bias)).collect();
    let exported_only = c_library::is_file_of_it(&module.path);
    let (functions, symbols) = if exported_only {
        (vec![Vec::new(); addresses.len()], elf.symbols(&addresses, true))
    } else {
        let beside = if elf.has_debug_info() { None } else { debug_info::beside(&elf, module) };
        let elf = beside.as_ref().and_then(|file| Elf::parse(file.data())).unwrap_or(elf);
        (DebugInfo::functions(&elf, &addresses), elf.symbols(&addresses, false))
    };
    let each = pcs.iter().zip(functions).zip(symbols);
    each.map(|((pc, functions), symbol)| {
        let start = symbol.as_ref().map(|symbol| symbol.start.wrapping_add(bias));
        let name = symbol.map(|symbol| symbol.name);
        let empty = Frame { symbol_address: start, ..at(pc) };
        if functions.is_empty() {
            return vec![named(empty, name.as_deref(), exported_only)];
        }
        let last = functions.len() - 1;
        let frame = |(index, function): (usize, Function)| {
            let raw = function.name.as_deref().or(name.as_deref());
            let frame = named(empty.clone(), raw, false);
            Frame {
                file: function.file,
                line: function.line,
                column: function.column,
                // All but the last function at an address were inlined into the next.
                inlined: index < last,
                ..frame
            }
        };
        functions.into_iter().enumerate().map(frame).collect()
    })
    .collect()
}

/// The frame with a function's name: as the C library writes it, or demangled and cleaned.
fn named(frame: Frame, raw: Option<&str>, exported: bool) -> Frame {
    let Some(raw) = raw else { return frame };
    if exported {
        return Frame { function: Some(raw.to_owned()), ..frame };
    }
    let function = match rustc_demangle::try_demangle(raw) {
        // The alternate form leaves the hash away.
        Ok(name) => rust_names::clean(&format!("{name:#}")),
        Err(_) => rust_names::clean(raw),
    };
    let module = rust_names::module(&function).map(str::to_owned);
    Frame { module, function: Some(function), ..frame }
}

/// The module as a report names it. Where neither the program has recorded nor the file says at which
/// address it begins, there is none: a wrong one would make a server give wrong names.
fn image(module: &Module, elf: Option<&Elf<'_>>, bias: Option<u64>) -> Option<Image> {
    let extent = || elf?.extent(bias?);
    let recorded = module.loaded.as_ref().map(|loaded| (loaded.base, loaded.size));
    let (base, size) = recorded.or_else(extent)?;
    let in_file = || elf?.build_id();
    let build_id = module.build_id().map(str::to_owned).or_else(in_file);
    Some(Image { base, size, path: module.path.clone(), build_id })
}
