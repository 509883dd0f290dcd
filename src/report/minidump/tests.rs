//! What a reader of minidumps reads of those written here.

use minidump::format::CONTEXT_AMD64;
use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpContext, MinidumpException, MinidumpMemoryList, MinidumpMiscInfo,
    MinidumpModuleList, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList,
    MinidumpThreadNames, Module,
};
use proptest::prelude::*;

use super::*;

/// A record of a machine whose registers have the values 100, 101 and so on.
fn record(machine: Machine) -> FatalRecord {
    let values: Vec<u64> = (100..).take(machine.register_count()).collect();
    FatalRecord {
        signal: 11,
        code: 1,
        address: 0xDEAD,
        sender: None,
        boot_nanos: 7,
        wall_nanos: 1_700_000_100_000_000_000,
        thread: 4711,
        thread_name: Some("größer".to_owned()),
        main: false,
        span: 0,
        registers: Registers::read(machine.elf_number().into(), &values),
        stack_start: 0x7000_0000,
        stack: (0..=255).cycle().take(5000).collect(),
        maps: String::new(),
        complete: true,
        returned: false,
    }
}

fn image(base: u64, path: &str, build_id: Option<&str>) -> Image {
    Image { base, size: 0x1000, path: path.to_owned(), build_id: build_id.map(str::to_owned) }
}

fn written(fatal: &FatalRecord, modules: &[Image]) -> Minidump<'static, Vec<u8>> {
    let deceased = Deceased { fatal, modules, pid: 815, started_millis: 1_700_000_000_123 };
    let attachment = minidump(&deceased).expect("a dump");
    assert_eq!(attachment.filename, "minidump.dmp");
    Minidump::read(attachment.data).expect("a minidump")
}

fn registers(dump: &Minidump<'_, Vec<u8>>) -> MinidumpContext {
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    let exception = dump.get_stream::<MinidumpException<'_>>().unwrap();
    exception.context(&system, None).unwrap().into_owned()
}

#[test]
fn everything_is_where_a_reader_looks_for_it() {
    let fatal = record(Machine::X86_64);
    let id = "00112233445566778899aabbccddeeff01020304";
    let images = [image(0x5000, "/srv/a", Some(id)), image(0x9000, "/lib/b.so", None)];
    let dump = written(&fatal, &images);
    assert_eq!(dump.header.time_date_stamp, 1_700_000_100);
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    assert_eq!((system.os, system.cpu), (Os::Linux, Cpu::X86_64));
    let misc = dump.get_stream::<MinidumpMiscInfo>().unwrap();
    assert_eq!(misc.raw.process_id(), Some(&815));
    assert_eq!(misc.raw.process_create_time(), Some(&1_700_000_000));
    let exception = dump.get_stream::<MinidumpException<'_>>().unwrap();
    let raw = &exception.raw.exception_record;
    assert_eq!((raw.exception_code, raw.exception_flags, raw.exception_address), (11, 1, 0xDEAD));
    assert_eq!(exception.get_crashing_thread_id(), 4711);
    let names = dump.get_stream::<MinidumpThreadNames>().unwrap();
    assert_eq!(names.get_name(4711).as_deref(), Some("größer"));
    let memory = dump.get_stream::<MinidumpMemoryList<'_>>().unwrap();
    let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
    let memory = minidump::UnifiedMemoryList::Memory(memory);
    let stack = threads.threads[0].stack_memory(&memory).unwrap();
    assert_eq!((stack.base_address(), stack.bytes()), (0x7000_0000, &fatal.stack[..]));

    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let seen: Vec<_> = modules.iter().map(|it| (it.base_address(), it.code_file())).collect();
    assert_eq!(seen, [(0x5000, "/srv/a".into()), (0x9000, "/lib/b.so".into())]);
    let main = modules.main_module().unwrap();
    assert_eq!(main.code_identifier().unwrap().as_str(), id);
    let debug_id = main.debug_identifier().unwrap();
    assert_eq!(debug_id.to_string(), "33221100-5544-7766-8899-aabbccddeeff");
}

#[test]
fn each_register_is_in_its_place() {
    let fatal = record(Machine::X86_64);
    let kept = fatal.registers.clone().unwrap();
    let context = registers(&written(&fatal, &[]));
    let MinidumpRawContext::Amd64(CONTEXT_AMD64 { cs, eflags, ref context_flags, .. }) =
        context.raw
    else {
        panic!("another machine")
    };
    assert_eq!((u64::from(cs), u64::from(eflags)), (118, 117));
    assert_eq!(*context_flags, 0x10_0003, "no floating-point registers");
    for name in AMD64_NAMES {
        assert_eq!(context.get_register(name), kept.get(name), "{name}");
    }
    let fatal = record(Machine::Aarch64);
    let context = registers(&written(&fatal, &[]));
    for (name, value) in fatal.registers.clone().unwrap().iter().filter(|it| it.0 != "pstate") {
        let name = match name {
            "x29" => "fp",
            "x30" => "lr",
            other => other,
        };
        assert_eq!(context.get_register(name), Some(value), "{name}");
    }
}

const AMD64_NAMES: [&str; 17] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15",
];

#[test]
fn without_registers_there_is_none() {
    let fatal = FatalRecord { registers: None, ..record(Machine::X86_64) };
    let deceased = Deceased { fatal: &fatal, modules: &[], pid: 1, started_millis: 0 };
    assert_eq!(minidump(&deceased), None);
}

proptest! {
    #[test]
    fn whatever_a_region_holds_can_be_read(
        numbers in any::<(i32, i32, u64, i64, u64, u64)>(),
        name in proptest::option::of(".{0,20}"),
        stack in proptest::collection::vec(any::<u8>(), 0..200),
        images in proptest::collection::vec(
            (any::<u64>(), any::<u64>(), ".{0,30}", proptest::option::of("[0-9a-fx]{0,42}")), 0..6),
        pid in any::<u32>(),
        started_millis in any::<i64>(),
    ) {
        let (signal, code, address, wall_nanos, thread, stack_start) = numbers;
        let fatal = FatalRecord {
            signal, code, address, wall_nanos, thread, stack_start, thread_name: name, stack,
            ..record(Machine::X86_64)
        };
        let modules: Vec<Image> = images
            .into_iter()
            .map(|(base, size, path, build_id)| Image { base, size, path, build_id })
            .collect();
        let deceased = Deceased { fatal: &fatal, modules: &modules, pid, started_millis };
        let dump = Minidump::read(minidump(&deceased).unwrap().data).unwrap();
        prop_assert!(dump.get_stream::<MinidumpSystemInfo>().is_ok());
        prop_assert!(dump.get_stream::<MinidumpMiscInfo>().is_ok());
        prop_assert!(dump.get_stream::<MinidumpThreadList<'_>>().is_ok());
        prop_assert!(dump.get_stream::<MinidumpThreadNames>().is_ok());
        prop_assert!(dump.get_stream::<MinidumpException<'_>>().is_ok());
        prop_assert_eq!(registers(&dump).get_instruction_pointer(), 116);
    }
}
