//! Registers of a machine, by name.
//!
//! The order of the values in a region is that of the kernel's signal frame: on x86_64 `gregs` of
//! `mcontext_t` (`REG_R8` to `REG_CR2` of `<sys/ucontext.h>`), on aarch64 `regs`, `sp`, `pc` and
//! `pstate` of `struct sigcontext` (`<asm/sigcontext.h>`).

/// The machines whose registers are kept, by the number that ELF gives them (`e_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Machine {
    /// AMD64: 62.
    X86_64,
    /// 64-bit ARM: 183.
    Aarch64,
}

const X86_64: [&str; 23] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax",
    "rcx", "rsp", "rip", "eflags", "csgsfs", "err", "trapno", "oldmask", "cr2",
];

const AARCH64: [&str; 34] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
    "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
    "x28", "x29", "x30", "sp", "pc", "pstate",
];

impl Machine {
    /// The machine this program is built for, if its registers are kept.
    #[cfg(target_os = "linux")]
    pub(crate) const HERE: Option<Machine> = if cfg!(target_arch = "x86_64") {
        Some(Machine::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Machine::Aarch64)
    } else {
        None
    };

    /// Its number in ELF files.
    #[must_use]
    pub const fn elf_number(self) -> u16 {
        match self {
            Machine::X86_64 => 62,
            Machine::Aarch64 => 183,
        }
    }

    fn of_elf_number(number: u64) -> Option<Machine> {
        let all = [Machine::X86_64, Machine::Aarch64];
        all.into_iter().find(|machine| u64::from(machine.elf_number()) == number)
    }

    /// Names of its registers, in the order of their values.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Machine::X86_64 => &X86_64,
            Machine::Aarch64 => &AARCH64,
        }
    }

    /// How many registers are kept of it.
    pub(crate) const fn register_count(self) -> usize {
        self.names().len()
    }
}

/// The registers of a thread as a signal found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers {
    /// Whose registers they are.
    pub machine: Machine,
    values: Vec<u64>,
}

impl Registers {
    /// The registers of the machine with this number in ELF files. `None` for a machine that is not
    /// known, or another number of values than it has.
    pub(crate) fn read(elf_number: u64, values: &[u64]) -> Option<Registers> {
        let machine = Machine::of_elf_number(elf_number)?;
        (values.len() == machine.register_count())
            .then(|| Registers { machine, values: values.to_vec() })
    }

    /// All of them: name and value, in the order of the kernel's signal frame.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.machine.names().iter().copied().zip(self.values.iter().copied())
    }

    /// The value of the register of this name: `rax`, `x0`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn named(&self, x86_64: &str, aarch64: &str) -> u64 {
        let name = match self.machine {
            Machine::X86_64 => x86_64,
            Machine::Aarch64 => aarch64,
        };
        self.get(name).unwrap_or(0)
    }

    /// The program counter.
    #[must_use]
    pub fn pc(&self) -> u64 {
        self.named("rip", "pc")
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> u64 {
        self.named("rsp", "sp")
    }

    /// The frame pointer, where the code keeps one: `rbp`, `x29`.
    #[must_use]
    pub fn fp(&self) -> u64 {
        self.named("rbp", "x29")
    }

    /// The link register, on machines that have one: `x30`.
    #[must_use]
    pub fn lr(&self) -> Option<u64> {
        self.get("x30")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_their_names() {
        let values: Vec<u64> = (100..123).collect();
        let registers = Registers::read(62, &values).expect("x86_64");
        assert_eq!((registers.pc(), registers.sp(), registers.fp()), (116, 115, 110));
        assert_eq!((registers.get("rax"), registers.lr()), (Some(113), None));
        let values: Vec<u64> = (0..34).collect();
        let registers = Registers::read(183, &values).expect("aarch64");
        assert_eq!((registers.pc(), registers.sp(), registers.fp()), (32, 31, 29));
        assert_eq!((registers.get("x7"), registers.lr()), (Some(7), Some(30)));
    }

    #[test]
    fn what_is_no_set_of_registers_is_none() {
        assert_eq!(Registers::read(62, &[0; 22]), None);
        assert_eq!(Registers::read(0, &[0; 23]), None);
        assert_eq!(Registers::read(62 | 1 << 16, &[0; 23]), None);
    }
}
