//! One step up a stack by the table which the compiler wrote for the function (`.eh_frame`, call frame
//! information).
//!
//! **Guarantee:** a rule that needs what is not known leaves the register unknown; expressions and
//! searches are bounded. **Lost:** functions without a table: hand-written assembly, libraries built with
//! `-fno-asynchronous-unwind-tables`.
//!
//! The format is that of DWARF 5, section 6.4, and of the Linux Standard Base, section 10.6. The crate
//! `gimli` reads it.

use addr2line::gimli::{
    self, BaseAddresses, CfaRule, EhFrame, EhFrameOffset, EndianSlice, EvaluationResult,
    FrameDescriptionEntry, LittleEndian, Location, Register, RegisterRule, UnwindContext,
    UnwindExpression, UnwindSection, Value, Vendor,
};

use super::elf::{Elf, Section};
use super::images::{Data, Images};
use super::modules::Module;
use super::registers::{Arch, Set};
use super::unwind::{Memory, Pc, Step};

type Bytes<'d> = EndianSlice<'d, LittleEndian>;

/// How many operations an expression may have; real ones have some ten.
const MOST_OPERATIONS: u32 = 1000;

/// How many bytes of tables without an index are searched on one walk.
const MOST_SEARCHED: u64 = 1 << 30;

/// What is used again for each step of a walk.
pub(super) struct Context {
    rows: Box<UnwindContext<usize>>,
    budget: u64,
}

impl Default for Context {
    fn default() -> Context {
        Context { rows: Box::default(), budget: MOST_SEARCHED }
    }
}

/// Steps out of the function at `pc`, whose registers are `registers`.
pub(super) fn step(
    context: &mut Context,
    registers: &Set,
    pc: Pc,
    module: &Module,
    images: &mut Images,
    memory: &Memory<'_>,
) -> Step {
    match images.of(module) {
        Some(file) => step_in(context, registers, pc, module, file.data(), memory),
        None => Step::Unknown,
    }
}

/// The same, by the table in `data`, the file of the module.
pub(super) fn step_in(
    context: &mut Context,
    registers: &Set,
    pc: Pc,
    module: &Module,
    data: Data<'_>,
    memory: &Memory<'_>,
) -> Step {
    let table = Table::of(data, module);
    table.and_then(|table| table.step(context, registers, pc, memory)).unwrap_or(Step::Unknown)
}

/// The table of one module.
struct Table<'d> {
    bias: u64,
    eh_frame_address: u64,
    eh_frame_bytes: u64,
    eh_frame: EhFrame<Bytes<'d>>,
    index: Option<Index<'d>>,
    bases: BaseAddresses,
}

impl<'d> Table<'d> {
    fn of(data: Data<'d>, module: &Module) -> Option<Table<'d>> {
        let elf = Elf::parse(data)?;
        if !elf.is_little_endian() {
            return None;
        }
        let eh_frame = elf.section(".eh_frame")?;
        let header = elf.section(".eh_frame_hdr");
        let address = |name| elf.section_address(name).unwrap_or(0);
        let bases = BaseAddresses::default()
            .set_eh_frame(eh_frame.address)
            .set_eh_frame_hdr(header.map_or(0, |header| header.address))
            .set_text(address(".text"))
            .set_got(address(".got"));
        let index = header.and_then(Index::of);
        let bias = elf.bias(module)?;
        let (eh_frame_address, eh_frame_bytes) = (eh_frame.address, eh_frame.bytes.len() as u64);
        let eh_frame = EhFrame::new(eh_frame.bytes, LittleEndian);
        Some(Table { bias, eh_frame_address, eh_frame_bytes, eh_frame, index, bases })
    }

    fn step(
        mut self,
        context: &mut Context,
        registers: &Set,
        pc: Pc,
        memory: &Memory<'_>,
    ) -> Option<Step> {
        if registers.arch == Arch::Aarch64 {
            self.eh_frame.set_vendor(Vendor::AArch64);
        }
        let address = pc.lookup().wrapping_sub(self.bias);
        let entry = self.entry(&mut context.budget, address)?;
        let row =
            entry.unwind_info_for_address(&self.eh_frame, &self.bases, &mut context.rows, address);
        let row = row.ok()?;
        let encoding = entry.cie().encoding();
        let rules = Rules { table: &self.eh_frame, encoding, registers, memory };
        let cfa = rules.cfa(row.cfa())?;
        let mut caller = registers.preserved();
        caller.set(registers.arch.sp_fp().0, Some(cfa));
        for (number, rule) in row.registers() {
            caller.set(number.0, rules.value(rule, *number, cfa));
        }
        let of_return = entry.cie().return_address_register();
        let returned = match row.register(of_return) {
            Some(RegisterRule::Undefined) => return Some(Step::Outermost),
            Some(rule) => rules.value(&rule, of_return, cfa),
            None => registers.get(of_return.0),
        };
        let Some(pc) = returned else { return Some(Step::OutOfReach) };
        caller.pc = pc;
        let interrupted = entry.is_signal_trampoline();
        Some(Step::Caller { registers: Box::new(caller), interrupted })
    }

    /// The entry of the function at an address in the file's terms.
    fn entry(&self, budget: &mut u64, address: u64) -> Option<FrameDescriptionEntry<Bytes<'d>>> {
        let cie = EhFrame::cie_from_offset;
        let Some(index) = &self.index else {
            *budget = budget.checked_sub(self.eh_frame_bytes)?;
            return self.eh_frame.fde_for_address(&self.bases, address, cie).ok();
        };
        let offset = index.entry_before(address)?.checked_sub(self.eh_frame_address)?;
        let offset = EhFrameOffset(usize::try_from(offset).ok()?);
        let entry = self.eh_frame.fde_from_offset(&self.bases, offset, cie).ok()?;
        entry.contains(address).then_some(entry)
    }
}

/// The sorted index of a table (`.eh_frame_hdr`), in the one form that linkers write: after four bytes
/// (version, encodings of what follows) the table's address and the number of entries, 4 bytes each,
/// then for each entry where its function begins and where it is, both as signed 4 bytes from the begin
/// of the section. `gimli` reads it in any form, but adds and multiplies what a damaged file says.
struct Index<'d> {
    address: u64,
    entries: &'d [[u8; 8]],
}

impl<'d> Index<'d> {
    const HEAD: [u8; 4] = [
        1,
        gimli::DW_EH_PE_pcrel.0 | gimli::DW_EH_PE_sdata4.0,
        gimli::DW_EH_PE_udata4.0,
        gimli::DW_EH_PE_datarel.0 | gimli::DW_EH_PE_sdata4.0,
    ];

    fn of(section: Section<'d>) -> Option<Index<'d>> {
        let (head, rest) = section.bytes.split_first_chunk::<4>()?;
        let (_table, rest) = rest.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let entries = rest.as_chunks::<8>().0.get(..count)?;
        (*head == Self::HEAD).then_some(Index { address: section.address, entries })
    }

    /// The address of the entry of the last function that begins at or before an address.
    fn entry_before(&self, address: u64) -> Option<u64> {
        let begin = |[a, b, c, d, ..]: &[u8; 8]| self.absolute([*a, *b, *c, *d]);
        let behind = self.entries.partition_point(|entry| begin(entry) <= address);
        let [.., a, b, c, d] = *self.entries.get(behind.checked_sub(1)?)?;
        Some(self.absolute([a, b, c, d]))
    }

    fn absolute(&self, from_begin: [u8; 4]) -> u64 {
        self.address.wrapping_add_signed(i32::from_le_bytes(from_begin).into())
    }
}

/// What the rules of a table are applied to.
struct Rules<'r, 'd> {
    table: &'r EhFrame<Bytes<'d>>,
    encoding: gimli::Encoding,
    registers: &'r Set,
    memory: &'r Memory<'r>,
}

impl Rules<'_, '_> {
    /// The canonical frame address: the stack pointer as it was in the caller.
    fn cfa(&self, rule: &CfaRule<usize>) -> Option<u64> {
        match rule {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.registers.get(register.0)?.checked_add_signed(*offset)
            }
            CfaRule::Expression(expression) => self.evaluated(expression, None),
        }
    }

    /// A register's value in the caller.
    fn value(&self, rule: &RegisterRule<usize>, number: Register, cfa: u64) -> Option<u64> {
        match rule {
            RegisterRule::SameValue => self.registers.get(number.0),
            RegisterRule::Offset(offset) => self.memory.word(cfa.checked_add_signed(*offset)?),
            RegisterRule::ValOffset(offset) => cfa.checked_add_signed(*offset),
            RegisterRule::Register(other) => self.registers.get(other.0),
            RegisterRule::Expression(expression) => {
                self.memory.word(self.evaluated(expression, Some(cfa))?)
            }
            RegisterRule::ValExpression(expression) => self.evaluated(expression, Some(cfa)),
            RegisterRule::Constant(value) => Some(*value),
            RegisterRule::Undefined | RegisterRule::Architectural => None,
        }
    }

    /// The value of an expression, which begins with `initial` on its stack.
    fn evaluated(&self, expression: &UnwindExpression<usize>, initial: Option<u64>) -> Option<u64> {
        let expression = expression.get(self.table).ok()?;
        let mut evaluation = expression.evaluation(self.encoding);
        evaluation.set_max_iterations(MOST_OPERATIONS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut state = evaluation.evaluate().ok()?;
        loop {
            state = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = Value::Generic(self.registers.get(register.0)?);
                    evaluation.resume_with_register(value).ok()?
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let value = Value::Generic(self.memory.read(address, size.into())?);
                    evaluation.resume_with_memory(value).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.as_result() {
            [piece] => match piece.location {
                Location::Address { address } => Some(address),
                Location::Value { value } => value.to_u64(u64::MAX).ok(),
                Location::Register { register } => self.registers.get(register.0),
                _ => None,
            },
            _ => None,
        }
    }
}
