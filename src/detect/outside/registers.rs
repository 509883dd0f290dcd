//! The registers of an interrupted thread, by the numbers that unwinding tables give them.
//!
//! **Guarantee:** a register whose value is lost on the way out of a function is unknown from there
//! on, never wrong. **Lost:** all registers but the general ones; no table is known to need another.
//!
//! Numbers are those of the System V ABI AMD64 supplement, figure 3.36, and of "DWARF for the Arm
//! 64-bit Architecture", section 4.1.

/// A kind of machine that can be unwound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    /// x86_64, little-endian.
    X86_64,
    /// aarch64, little-endian.
    Aarch64,
}

impl Arch {
    /// That of this machine, and so of the process that died on it.
    pub(crate) const HERE: Option<Arch> = if cfg!(target_arch = "x86_64") {
        Some(Arch::X86_64)
    } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
        Some(Arch::Aarch64)
    } else {
        None
    };

    /// Numbers of the stack pointer and the frame pointer.
    pub(super) fn sp_fp(self) -> (u16, u16) {
        match self {
            Arch::X86_64 => (7, 6),
            Arch::Aarch64 => (31, 29),
        }
    }

    /// The register that a call leaves its return address in, on machines which do not push it.
    pub(super) fn link(self) -> Option<u16> {
        match self {
            Arch::X86_64 => None,
            Arch::Aarch64 => Some(30),
        }
    }

    /// Whether functions give the register back to their caller as they got it, so that one of which a
    /// table says nothing is as it was.
    fn is_preserved(self, number: u16) -> bool {
        match self {
            // rbx, rbp, r12 to r15
            Arch::X86_64 => matches!(number, 3 | 6 | 12..=15),
            // x19 to x28, fp; lr in a function that calls none
            Arch::Aarch64 => matches!(number, 19..=30),
        }
    }

    /// The number of a register by its name in the processor's manual, and of `fp`, `lr`, `sp`.
    fn number(self, name: &str) -> Option<u16> {
        const X86_64: [&str; 16] = [
            "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15",
        ];
        match self {
            Arch::X86_64 => X86_64.iter().position(|other| *other == name).map(|at| at as u16),
            Arch::Aarch64 => match name {
                "fp" => Some(29),
                "lr" => Some(30),
                "sp" => Some(31),
                _ => name.strip_prefix('x')?.parse().ok().filter(|number| *number <= 30),
            },
        }
    }
}

/// The registers of a thread where a signal interrupted it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    /// The instruction that was interrupted.
    pub(crate) pc: u64,
    /// The stack pointer.
    pub(crate) sp: u64,
    /// The frame pointer: `rbp`, `x29`.
    pub(crate) fp: u64,
    /// The link register: `x30`; of no use on x86_64.
    pub(crate) lr: u64,
    /// All of them by name (`rax`, `x0`), for the tables that need another than those above.
    pub(crate) all: Vec<(&'static str, u64)>,
}

/// How many numbers there are for general registers on either machine.
const NUMBERS: usize = 33;

/// The registers as they are in one function of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) arch: Arch,
    pub(super) pc: u64,
    values: [Option<u64>; NUMBERS],
}

impl Set {
    pub(super) fn interrupted(arch: Arch, registers: &Registers) -> Set {
        let mut set = Set { arch, pc: registers.pc, values: [None; NUMBERS] };
        for (name, value) in &registers.all {
            if let Some(number) = arch.number(name) {
                set.set(number, Some(*value));
            }
        }
        let (sp, fp) = arch.sp_fp();
        set.set(sp, Some(registers.sp));
        set.set(fp, Some(registers.fp));
        if let Some(link) = arch.link() {
            set.set(link, Some(registers.lr));
        }
        set
    }

    /// The same, with only what a function gives back to its caller.
    pub(super) fn preserved(&self) -> Set {
        let mut set = self.clone();
        for (number, value) in set.values.iter_mut().enumerate() {
            value.take_if(|_| !self.arch.is_preserved(number as u16));
        }
        set
    }

    pub(super) fn get(&self, number: u16) -> Option<u64> {
        self.values.get(usize::from(number)).copied().flatten()
    }

    pub(super) fn set(&mut self, number: u16, value: Option<u64>) {
        if let Some(slot) = self.values.get_mut(usize::from(number)) {
            *slot = value;
        }
    }

    pub(super) fn sp(&self) -> Option<u64> {
        self.get(self.arch.sp_fp().0)
    }

    pub(super) fn fp(&self) -> Option<u64> {
        self.get(self.arch.sp_fp().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_the_abi() {
        let registers = Registers {
            pc: 1,
            sp: 2,
            fp: 3,
            lr: 4,
            all: vec![("rbx", 5), ("r15", 6), ("x0", 7), ("x28", 8), ("x31", 9), ("eflags", 9)],
        };
        let set = Set::interrupted(Arch::X86_64, &registers);
        assert_eq!((set.sp(), set.fp()), (Some(2), Some(3)));
        assert_eq!((set.get(3), set.get(15), set.get(0)), (Some(5), Some(6), None));
        let set = Set::interrupted(Arch::Aarch64, &registers);
        assert_eq!((set.get(31), set.get(29), set.get(30)), (Some(2), Some(3), Some(4)));
        assert_eq!((set.get(0), set.get(28), set.get(40)), (Some(7), Some(8), None));
        assert_eq!((set.preserved().get(0), set.preserved().get(28)), (None, Some(8)));
    }
}
