//! A native crash with a minidump, read by who reads them: rust-minidump.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;

use std::process::Command;

use common::{Event, Outcome, Profile, Run, regions_in, wait_until};
use minidump::system_info::Os;
use minidump::{
    Minidump, MinidumpException, MinidumpMemoryList, MinidumpMiscInfo, MinidumpModuleList,
    MinidumpSystemInfo, MinidumpThreadList, MinidumpThreadNames, Module,
};

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// More than the stack and the modules take.
const MOST_BYTES: usize = 128 * 1024;

/// The program under this watch, to die in this way.
fn dies(how: &str, way: &str, wanted: &str) -> Outcome {
    let run = Run::of(Profile::Dev, "watched").variable("WATCHED", how).variable("DO", "die");
    let outcome = run.variable("WAY", way).variable("LASTWORDS_MINIDUMP", wanted).run();
    if how == "hook" {
        let mut sweep = Command::new(LASTWORDS);
        sweep.args(["sweep", "--state-dir"]).arg(outcome.state()).env_clear();
        assert!(sweep.output().expect("lastwords can be run").status.success());
    }
    wait_until("a region stays", || regions_in(&outcome.state()).is_empty());
    outcome
}

fn dumps(outcome: &Outcome) -> Vec<Vec<u8>> {
    let attachments = outcome.attachments().into_iter();
    attachments.filter(|(name, _)| name == "minidump.dmp").map(|(_, data)| data).collect()
}

/// The address of the frame that the signal interrupted.
fn innermost(event: &Event) -> u64 {
    let frames = event.exceptions()[0]["stacktrace"]["frames"].as_array().expect("frames");
    let address = frames.last().expect("a frame")["instruction_addr"].as_str().expect("hex");
    u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("hex")
}

#[test]
fn a_debugger_finds_signal_registers_stack_and_modules() {
    for how in ["hook", "wrap", "builder-wrap", "monitor"] {
        for (way, signal) in [("segv", libc::SIGSEGV), ("overflow", libc::SIGSEGV)] {
            let outcome = dies(how, way, "1");
            let what = format!("{how} {way}");
            let (event, dumps) = (outcome.event(), dumps(&outcome));
            let [dump] = &dumps[..] else { panic!("{what}: one dump") };
            assert!(dump.len() < MOST_BYTES, "{what}: {} bytes", dump.len());
            let dump = Minidump::read(&dump[..]).expect("a minidump");
            let system = dump.get_stream::<MinidumpSystemInfo>().expect("a system");
            assert_eq!(system.os, Os::Linux, "{what}");
            let misc = dump.get_stream::<MinidumpMiscInfo>().expect("a process");
            let pid = &event.0["contexts"]["process"]["pid"];
            assert_eq!(
                misc.raw.process_id().copied(),
                pid.as_u64().map(|pid| pid as u32),
                "{what}"
            );

            let exception = dump.get_stream::<MinidumpException>().expect("an exception");
            assert_eq!(exception.raw.exception_record.exception_code, signal as u32, "{what}");
            let context = exception.context(&system, Some(&misc)).expect("registers");
            let (pc, sp) = (context.get_instruction_pointer(), context.get_stack_pointer());
            assert_eq!(pc, innermost(&event), "{what}");

            let memory = dump.get_stream::<MinidumpMemoryList<'_>>().expect("memory");
            let stack = memory.iter().next().expect("a stack");
            // Below the stack pointer of an overflow is what cannot be read.
            assert!(sp <= stack.base_address && stack.base_address - sp < 1 << 20, "{what}");
            assert!(stack.bytes.iter().any(|byte| *byte != 0), "{what}");
            let threads = dump.get_stream::<MinidumpThreadList<'_>>().expect("threads");
            let thread = threads.get_thread(exception.get_crashing_thread_id());
            let thread = thread.expect("the thread that crashed");
            let of_thread = thread.context(&system, Some(&misc)).expect("registers");
            assert_eq!(of_thread.get_instruction_pointer(), pc, "{what}");
            let names = dump.get_stream::<MinidumpThreadNames>().expect("names");
            assert_eq!(names.get_name(thread.raw.thread_id).as_deref(), Some("main"), "{what}");

            has_the_modules(&dump.get_stream().expect("modules"), pc, &event, &what);
        }
    }
}

/// The executable first, around the program counter, by the id that the event has for it.
#[track_caller]
fn has_the_modules(modules: &MinidumpModuleList, pc: u64, event: &Event, what: &str) {
    let main = modules.main_module().expect("an executable");
    let file = main.code_file().into_owned();
    assert!(file.ends_with("/watched"), "{what}: {file}");
    let range = main.base_address()..main.base_address() + main.size();
    assert!(range.contains(&pc), "{what}");
    assert!(modules.iter().any(|module| module.code_file().contains("libc")), "{what}");
    let images = event.0["debug_meta"]["images"].as_array().expect("images");
    let image = images.iter().find(|image| image["code_file"] == file.as_str()).expect("its own");
    let id = main.debug_identifier().expect("a build id").uuid().to_string();
    assert!(image["debug_id"].as_str().is_some_and(|it| it.starts_with(&id)), "{what} {image}");
}

/// Of panics the event says all; and nobody has one who has not asked for it.
#[test]
fn no_other_death_has_one() {
    for how in ["hook", "wrap", "monitor"] {
        for (way, wanted) in [("panic", "1"), ("kill", "1"), ("exit", "1"), ("segv", "0")] {
            let outcome = dies(how, way, wanted);
            let reports = outcome.events().len();
            assert_eq!(reports, usize::from(way != "exit"), "{how} {way}");
            assert!(reports == 0 || dumps(&outcome).is_empty(), "{how} {way} {wanted}");
        }
    }
}
