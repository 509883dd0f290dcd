//! A minidump of a native crash: what a debugger opens, made from what the signal handler left.
//!
//! **Guarantee:** it is written outside of the process that died, from the registers, the stack and the
//! modules that its region has; nothing is stopped, traced or asked. At most some 100 KiB, most of which is
//! the stack. **Lost:** other threads, all memory but 64 KiB of the stack from the stack pointer on,
//! floating-point registers. **Not scrubbed:** what the program had on its stack stands in the dump as it
//! was, secrets too; that is why nobody gets one who has not asked for it.
//!
//! It is attached as a file and not as the protocol's `event.minidump`: a server that finds one of those
//! puts what it can read from it in the place of the event's own stack, which is better.
//!
//! The format is that of `minidumpapiset.h` (Microsoft's documentation of `MINIDUMP_HEADER` and its
//! streams), with what Breakpad's `minidump_format.h` defines for Linux: the platform, the signal as the
//! exception's code, and build ids as CodeView records.

mod context;
mod layout;

use layout::{Dump, Place};

use super::Attachment;
use crate::detect::Image;
use crate::record::{FatalRecord, Machine, Registers};

/// The name of the attachment.
const FILE_NAME: &str = "minidump.dmp";

/// How a minidump is called among media types, as Sentry's own SDKs have it.
const MEDIA_TYPE: &str = "application/x-dmp";

/// How many modules are listed.
const MOST_MODULES: usize = 1024;

/// Bytes of the longest stack that is listed; a region has no longer one.
const MOST_STACK: usize = 64 * 1024;

/// The streams that are written, by the numbers of `MINIDUMP_STREAM_TYPE`.
mod stream {
    pub(super) const THREADS: u32 = 3;
    pub(super) const MODULES: u32 = 4;
    pub(super) const MEMORY: u32 = 5;
    pub(super) const EXCEPTION: u32 = 6;
    pub(super) const SYSTEM: u32 = 7;
    pub(super) const MISC: u32 = 15;
    pub(super) const THREAD_NAMES: u32 = 24;
    /// All of them.
    pub(super) const COUNT: usize = 7;
}

/// `MD_OS_LINUX` of Breakpad's format.
const LINUX: u32 = 0x8201;

/// The signature of a CodeView record that is an ELF build id: `BpEL`.
const ELF_BUILD_ID: u32 = 0x4270_454C;

/// `MINIDUMP_MISC1_PROCESS_ID` and `MINIDUMP_MISC1_PROCESS_TIMES`.
const HAS_ID_AND_TIMES: u32 = 1 | 2;

/// Whose death it is.
#[derive(Debug, Clone, Copy)]
pub struct Deceased<'a> {
    /// What the signal handler left.
    pub fatal: &'a FatalRecord,
    /// What was loaded, the executable first.
    pub modules: &'a [Image],
    /// The process id.
    pub pid: u32,
    /// When the process started, in milliseconds since 1970-01-01 UTC.
    pub started_millis: i64,
}

/// The minidump as an attachment. `None` where the registers are not known: then there is nothing for a
/// debugger to begin with.
#[must_use]
pub fn minidump(deceased: &Deceased<'_>) -> Option<Attachment> {
    let data = bytes(deceased, deceased.fatal.registers.as_ref()?);
    let (filename, content_type) = (FILE_NAME.to_owned(), MEDIA_TYPE.to_owned());
    Some(Attachment { filename, content_type, data })
}

fn bytes(deceased: &Deceased<'_>, registers: &Registers) -> Vec<u8> {
    let fatal = deceased.fatal;
    let mut dump = Dump::new(stream::COUNT, seconds(fatal.wall_nanos / 1_000_000));
    let context = dump.put(&context::of(registers));
    let stack = dump.put(&fatal.stack[..fatal.stack.len().min(MOST_STACK)]);
    system(&mut dump, registers.machine);
    misc(&mut dump, deceased);
    threads(&mut dump, fatal, stack, context);
    thread_names(&mut dump, fatal);
    memory(&mut dump, fatal, stack);
    exception(&mut dump, fatal, context);
    modules(&mut dump, deceased.modules);
    dump.finish()
}

/// Seconds since 1970 as the format has them: 32 bits.
fn seconds(millis: i64) -> u32 {
    u32::try_from(millis / 1000).unwrap_or(0)
}

/// `MINIDUMP_SYSTEM_INFO`. Nothing is said of processors and versions: this may be another boot.
fn system(dump: &mut Dump, machine: Machine) {
    let name = dump.string("Linux");
    let mut info = Vec::with_capacity(56);
    // `PROCESSOR_ARCHITECTURE_AMD64` and `PROCESSOR_ARCHITECTURE_ARM64`.
    let architecture: u16 = match machine {
        Machine::X86_64 => 9,
        Machine::Aarch64 => 12,
    };
    info.extend(architecture.to_le_bytes());
    // Level and revision; number of processors and kind of product; version, three numbers.
    info.extend([0; 2 + 2 + 1 + 1 + 3 * 4]);
    info.extend(LINUX.to_le_bytes());
    info.extend(name.offset.to_le_bytes());
    // Suite, reserved, and what is to be said of the processor.
    info.resize(56, 0);
    dump.stream(stream::SYSTEM, &info);
}

/// `MINIDUMP_MISC_INFO`.
fn misc(dump: &mut Dump, deceased: &Deceased<'_>) {
    let words = [24, HAS_ID_AND_TIMES, deceased.pid, seconds(deceased.started_millis), 0, 0];
    dump.stream(stream::MISC, &words.map(u32::to_le_bytes).concat());
}

/// `MINIDUMP_THREAD_LIST`: the thread that took the signal.
fn threads(dump: &mut Dump, fatal: &FatalRecord, stack: Place, context: Place) {
    let mut list = 1_u32.to_le_bytes().to_vec();
    list.extend(thread_id(fatal).to_le_bytes());
    // How often it is suspended, class, priority; its environment block, which Linux has not.
    list.extend([0; 3 * 4 + 8]);
    list.extend(fatal.stack_start.to_le_bytes());
    list.extend(stack.size_and_offset());
    list.extend(context.size_and_offset());
    dump.stream(stream::THREADS, &list);
}

/// `MINIDUMP_THREAD_NAME_LIST`.
fn thread_names(dump: &mut Dump, fatal: &FatalRecord) {
    let name = fatal.thread_name.as_deref().or(fatal.main.then_some("main"));
    let Some(name) = name else { return dump.stream(stream::THREAD_NAMES, &0_u32.to_le_bytes()) };
    let name = dump.string(name);
    let mut list = 1_u32.to_le_bytes().to_vec();
    list.extend(thread_id(fatal).to_le_bytes());
    list.extend(u64::from(name.offset).to_le_bytes());
    dump.stream(stream::THREAD_NAMES, &list);
}

/// `MINIDUMP_MEMORY_LIST`: the stack.
fn memory(dump: &mut Dump, fatal: &FatalRecord, stack: Place) {
    let mut list = u32::from(stack.size > 0).to_le_bytes().to_vec();
    if stack.size > 0 {
        list.extend(fatal.stack_start.to_le_bytes());
        list.extend(stack.size_and_offset());
    }
    dump.stream(stream::MEMORY, &list);
}

/// `MINIDUMP_EXCEPTION_STREAM`: code and flags are signal and `si_code`.
fn exception(dump: &mut Dump, fatal: &FatalRecord, context: Place) {
    let mut exception = Vec::with_capacity(168);
    exception.extend(thread_id(fatal).to_le_bytes());
    exception.extend([0; 4]);
    exception.extend(fatal.signal.to_le_bytes());
    exception.extend(fatal.code.to_le_bytes());
    // No exception around it.
    exception.extend([0; 8]);
    exception.extend(fatal.address.to_le_bytes());
    // No further parameters, of 15.
    exception.extend([0; 4 + 4 + 15 * 8]);
    exception.extend(context.size_and_offset());
    dump.stream(stream::EXCEPTION, &exception);
}

/// `MINIDUMP_MODULE_LIST`.
fn modules(dump: &mut Dump, images: &[Image]) {
    let images = &images[..images.len().min(MOST_MODULES)];
    let mut list = (images.len() as u32).to_le_bytes().to_vec();
    for image in images {
        let name = dump.string(&image.path);
        let id = image.build_id.as_deref().map(build_id).filter(|id| !id.is_empty());
        let record = id.map_or(Place::default(), |id| {
            dump.put(&[&ELF_BUILD_ID.to_le_bytes()[..], &id].concat())
        });
        list.extend(image.base.to_le_bytes());
        list.extend(u32::try_from(image.size).unwrap_or(u32::MAX).to_le_bytes());
        // Checksum and time of the file.
        list.extend([0; 2 * 4]);
        list.extend(name.offset.to_le_bytes());
        // The version, which ELF files have not.
        list.extend([0; 13 * 4]);
        list.extend(record.size_and_offset());
        // A record of miscellanies, and reserved.
        list.extend([0; 8 + 2 * 8]);
    }
    dump.stream(stream::MODULES, &list);
}

/// A build id's bytes; none where it is not written in hexadecimal digits.
fn build_id(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect::<Option<_>>().unwrap_or_default()
}

fn thread_id(fatal: &FatalRecord) -> u32 {
    u32::try_from(fatal.thread).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(miri)))]
mod tests;
