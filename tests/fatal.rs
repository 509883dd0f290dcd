//! Deaths by a signal: each is as it is without lastwords, and the region left behind tells of it.

#![cfg(target_os = "linux")]

mod common;

use std::os::unix::process::ExitStatusExt;

use common::{Outcome, Profile, Run};
use lastwords::record::{FatalRecord, Machine, Snapshot};

fn dev(scenario: &str) -> Run {
    Run::victim(Profile::Dev, scenario)
}

/// Where the limit permits it, and the machine writes cores to files.
fn with_core(run: Run) -> Run {
    run.through(&[], "ulimit -c unlimited; shift; exec \"$@\"")
}

/// Runs it with lastwords and without: status, core and output are the same.
#[track_caller]
fn same_as_plain(run: impl Fn() -> Run) -> Outcome {
    let plain = with_core(run()).plain().run();
    let ours = with_core(run()).run();
    assert_eq!(ours.status, plain.status);
    assert_eq!(ours.status.core_dumped(), plain.status.core_dumped());
    assert_eq!(ours.stdout, plain.stdout);
    assert_eq!(ours.normal_stderr(), plain.normal_stderr());
    ours
}

/// The region that is left, and the fatal signal in it, all of which is there.
#[track_caller]
fn record_of(outcome: &Outcome) -> (Snapshot, FatalRecord) {
    let region = outcome.region();
    let record = region.fatal.clone().expect("a fatal signal");
    assert!(record.complete);
    assert!(!region.ended_cleanly);
    let last = region.breadcrumbs.last().expect("breadcrumbs");
    assert_eq!(last.message, "the last line");
    (region, record)
}

/// The mapped ranges in a record's module map, each with its file.
fn mappings(record: &FatalRecord) -> Vec<(std::ops::Range<u64>, String)> {
    let mapping = |line: &str| {
        let (range, rest) = line.split_once(' ').expect("a range");
        assert_eq!(rest.as_bytes()[2], b'x', "{line}");
        let (from, to) = range.split_once('-').expect("two addresses");
        let address = |hex| u64::from_str_radix(hex, 16).expect("an address");
        (address(from)..address(to), line.split_whitespace().nth(5).unwrap_or("").to_owned())
    };
    assert!(record.maps.ends_with('\n'));
    record.maps.lines().map(mapping).collect()
}

/// The words of the stack.
fn words(record: &FatalRecord) -> Vec<u64> {
    let words = record.stack.chunks_exact(8);
    words.map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// The stack begins at the stack pointer, holds a return address into the function that the last
/// breadcrumb names, and the program's own code is in the module map.
#[track_caller]
fn has_a_stack(region: &Snapshot, record: &FatalRecord) {
    let registers = record.registers.as_ref().expect("registers");
    assert!(record.stack_start - (registers.sp() & !7) <= 1024 * 1024);
    let last = region.breadcrumbs.last().expect("breadcrumbs");
    let function = last.fields["function"].as_u64().expect("an address");
    let maps = mappings(record);
    let (_, file) = maps.iter().find(|(range, _)| range.contains(&function)).expect("its code");
    assert!(file.ends_with("/victim"), "{file}");
    let returns =
        words(record).into_iter().filter(|word| (function..function + 4096).contains(word));
    assert!(returns.count() > 0, "no way back into {function:#x}");
}

/// A death by signal that has a whole record.
#[track_caller]
fn dies_with_a_record(scenario: &str, signal: i32) -> FatalRecord {
    let outcome = same_as_plain(|| dev(scenario));
    outcome.dies_by(signal);
    let (region, record) = record_of(&outcome);
    assert_eq!(record.signal, signal);
    let ours = u64::from(outcome.pid);
    assert_eq!(record.main, record.thread == ours);
    assert_eq!(region.identity.pid, outcome.pid);
    assert!(record.boot_nanos >= region.breadcrumbs.last().expect("one").boot_nanos);
    has_a_registered_place(&record);
    record
}

/// The program counter, where it is in mapped code.
fn has_a_registered_place(record: &FatalRecord) {
    let registers = record.registers.as_ref().expect("registers");
    let here = if cfg!(target_arch = "x86_64") { Machine::X86_64 } else { Machine::Aarch64 };
    assert_eq!(registers.machine, here);
    assert_ne!(registers.sp(), 0);
}

fn pc_is_mapped(record: &FatalRecord) -> bool {
    let pc = record.registers.as_ref().expect("registers").pc();
    mappings(record).iter().any(|(range, _)| range.contains(&pc))
}

#[test]
fn a_fault_in_main() {
    let outcome = same_as_plain(|| dev("segv"));
    outcome.dies_by(libc::SIGSEGV);
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    assert!(pc_is_mapped(&record));
    assert_eq!((record.signal, record.address, record.sender), (libc::SIGSEGV, 0x18, None));
    assert!(record.code > 0);
    assert!(record.main);
    assert_eq!(record.thread_name.as_deref(), Some("main"));
    assert_eq!(record.thread, u64::from(outcome.pid));
    // The main thread's stack ends with the environment: less than there is room for.
    assert!(!record.stack.is_empty() && record.stack.len() <= 64 * 1024);
}

#[test]
fn a_fault_in_a_thread() {
    let outcome = same_as_plain(|| dev("segv-thread"));
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    assert!(!record.main);
    assert_eq!(record.thread_name.as_deref(), Some("worker"));
    assert_ne!(record.thread, u64::from(outcome.pid));
}

/// The program counter is nowhere; the word at the stack pointer says where the call was.
#[test]
fn a_call_of_nothing() {
    for scenario in ["null-call", "null-call-thread"] {
        let outcome = same_as_plain(|| dev(scenario));
        outcome.dies_by(libc::SIGSEGV);
        let (region, record) = record_of(&outcome);
        has_a_stack(&region, &record);
        let registers = record.registers.as_ref().expect("registers");
        assert_eq!((registers.pc(), record.address), (8, 8));
        let last = region.breadcrumbs.last().expect("breadcrumbs");
        let function = last.fields["function"].as_u64().expect("an address");
        let returns_to = registers.lr().unwrap_or_else(|| words(&record)[0]);
        assert!((function..function + 4096).contains(&returns_to), "{returns_to:#x}");
    }
}

#[test]
fn an_optimised_program() {
    let outcome = same_as_plain(|| Run::victim(Profile::Release, "segv"));
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    let outcome = same_as_plain(|| Run::victim(Profile::Release, "overflow-thread"));
    assert_eq!(record_of(&outcome).1.signal, libc::SIGSEGV);
}

#[test]
fn faults_of_other_kinds() {
    for (scenario, signal) in [("bus", libc::SIGBUS), ("ill", libc::SIGILL), ("fpe", libc::SIGFPE)]
    {
        let record = dies_with_a_record(scenario, signal);
        assert!(pc_is_mapped(&record));
        assert_ne!(record.address == 0, record.code > 0, "{record:?}");
    }
}

/// The instruction has passed when the handler runs, and does not raise the signal again.
#[test]
fn a_trap_and_a_refused_system_call() {
    assert!(pc_is_mapped(&dies_with_a_record("trap", libc::SIGTRAP)));
    let refused = dies_with_a_record("sys", libc::SIGSYS);
    assert_ne!(refused.address, 0);
    assert!(pc_is_mapped(&refused));
}

#[test]
fn aborts() {
    for scenario in ["abort", "abort-thread", "raise-abort"] {
        let record = dies_with_a_record(scenario, libc::SIGABRT);
        assert!(record.sender.is_some());
        assert_eq!(record.address, 0);
        assert!(pc_is_mapped(&record));
    }
}

#[test]
fn limits() {
    for (scenario, signal) in [("xcpu", libc::SIGXCPU), ("xfsz", libc::SIGXFSZ)] {
        assert!(pc_is_mapped(&dies_with_a_record(scenario, signal)));
    }
}

/// The record is the fault's, not that of the abort by which the runtime ends the process.
#[test]
fn stack_overflows() {
    for scenario in ["overflow", "overflow-thread", "overflow-small-thread"] {
        let outcome = same_as_plain(|| dev(scenario));
        outcome.dies_by(libc::SIGABRT);
        assert!(outcome.stderr.contains("has overflowed its stack"));
        let (_, record) = record_of(&outcome);
        assert_eq!(record.signal, libc::SIGSEGV);
        assert!(pc_is_mapped(&record));
        assert!(record.stack.len() > 4096, "{}", record.stack.len());
        let (sp, start) = (record.registers.as_ref().expect("registers").sp(), record.stack_start);
        assert!(start - (sp & !7) < 1024 * 1024, "{sp:#x} {start:#x}");
        assert_eq!(record.main, scenario == "overflow");
    }
}

#[test]
fn what_the_program_raises() {
    assert!(dies_with_a_record("raise-trap", libc::SIGTRAP).sender.is_some());
    // Without lastwords the runtime's handler swallows this one.
    let outcome = dev("raise-segv").run();
    outcome.dies_by(libc::SIGSEGV);
    assert!(outcome.stdout.is_empty());
    assert_eq!(record_of(&outcome).1.code, libc::SI_TKILL);
}

#[test]
fn what_another_process_sends() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGABRT, libc::SIGSYS] {
        let mut running = with_core(dev("wait-for-signal")).start();
        running.wait_for_line("ready");
        running.signal(signal);
        let outcome = running.finish();
        outcome.dies_by(signal);
        let (region, record) = record_of(&outcome);
        assert_eq!((record.signal, record.code), (signal, libc::SI_USER));
        let user = rustix::process::geteuid().as_raw();
        assert!(record.sender.is_some_and(|(pid, by)| pid != outcome.pid && by == user));
        assert_eq!((record.address, region.asked), (0, None));
    }
}

/// A signal that was ignored before lastwords came stays so.
#[test]
fn an_ignored_signal_stays_ignored() {
    let mut running = dev("wait-ignoring-segv").start();
    running.wait_for_line("ready");
    running.signal(libc::SIGSEGV);
    let outcome = running.finish();
    outcome.exits_with(0);
    outcome.leaves_no_region();
}

/// The first has the record, and the process dies as one of them.
#[test]
fn two_threads_at_once() {
    for _ in 0..20 {
        let outcome = with_core(dev("two-faults")).run();
        outcome.dies_by(libc::SIGSEGV);
        let record = outcome.region().fatal.expect("a fatal signal");
        assert!(record.complete);
        assert!([0x100, 0x200].contains(&record.address), "{record:?}");
        assert!(!record.stack.is_empty() && !record.maps.is_empty());
    }
}

/// The kernel does not copy: what can be read is found out page by page.
#[test]
fn where_copying_memory_is_refused() {
    let outcome = same_as_plain(|| dev("segv-filtered"));
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    let outcome = same_as_plain(|| dev("overflow-filtered"));
    outcome.dies_by(libc::SIGABRT);
    assert!(record_of(&outcome).1.stack.len() > 4096);
}

#[test]
fn without_descriptors_there_is_no_module_map() {
    let outcome = same_as_plain(|| dev("segv-without-descriptors"));
    let (region, record) = record_of(&outcome);
    assert!(record.maps.is_empty());
    assert!(!record.stack.is_empty());
    assert!(region.identity.executable.is_some_and(|path| path.ends_with("/victim")));
}

#[test]
fn without_proc_there_is_no_module_map() {
    if !common::can_mount() {
        return;
    }
    let hidden = "mount -t tmpfs none /proc; shift; exec \"$@\"";
    let outcome = dev("segv").through(&["unshare", "-m"], hidden).run();
    outcome.dies_by(libc::SIGSEGV);
    let (_, record) = record_of(&outcome);
    assert!(record.maps.is_empty());
    assert!(!record.stack.is_empty());
}

/// `/proc/self` shows nothing of a process whose first thread has ended.
#[test]
fn a_fault_after_the_main_thread_has_ended() {
    let outcome = same_as_plain(|| dev("segv-without-main"));
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    assert!(!record.main);
}

#[test]
fn a_forked_child_leaves_its_parents_region_alone() {
    let outcome = same_as_plain(|| dev("segv-in-child"));
    assert_eq!(outcome.stdout, format!("child: true {}\n", libc::SIGSEGV));
    let region = outcome.region();
    assert_eq!(region.fatal, None);
    assert_eq!(region.breadcrumbs.last().expect("one").message, "parent before");
}

/// What the program's own handler mends is no death; what it does not is.
#[test]
fn a_handler_that_was_there_before() {
    for scenario in ["handler-before", "handler-before-once"] {
        let outcome = same_as_plain(|| dev(scenario));
        outcome.dies_by(libc::SIGSEGV);
        assert!(outcome.stdout.starts_with("went on: 7\n"));
    }
    let outcome = with_core(dev("handler-before")).run();
    assert_eq!(outcome.stderr, "mended\nnot mine\n");
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
    assert_eq!(record.address, 0x18);
    // It returns, and `abort` goes on.
    let outcome = same_as_plain(|| dev("abort-handler-before"));
    outcome.dies_by(libc::SIGABRT);
    assert_eq!(outcome.stderr, "about to abort\n");
    assert!(record_of(&outcome).1.returned);
}

#[test]
fn a_handler_that_is_set_later_and_calls_ours() {
    let outcome = same_as_plain(|| dev("handler-after"));
    outcome.dies_by(libc::SIGSEGV);
    assert_eq!(outcome.stderr, "the program's own handler\n");
    let (region, record) = record_of(&outcome);
    has_a_stack(&region, &record);
}

/// A second frame of the kernel's has to fit into the alternate stack: the status stays, even where
/// there is no room for a record.
#[test]
fn a_handler_that_is_set_later_and_aborts() {
    let outcome = same_as_plain(|| dev("handler-aborts"));
    outcome.dies_by(libc::SIGABRT);
    assert_eq!(outcome.stderr, "the program's own handler aborts\n");
    if let Some(record) = outcome.region().fatal {
        assert_eq!((record.signal, record.complete), (libc::SIGABRT, true));
    }
}

/// Each record is dropped: none is left for a kill that comes later.
#[test]
fn faults_that_are_mended_leave_no_record() {
    let outcome = dev("faults-often").run();
    outcome.dies_by(libc::SIGKILL);
    assert!(outcome.stdout.contains("ns each: "));
    assert_eq!(outcome.region().fatal, None);
}

/// Of the 8 KiB that std gives its threads the kernel's frame takes up to 3.5 KiB.
#[test]
fn the_handler_needs_little_stack() {
    for (profile, most) in [(Profile::Dev, 2560), (Profile::Release, 1024)] {
        let run = || Run::victim(profile, "stack-use");
        let used = |outcome: Outcome| {
            let line = outcome.stdout.lines().find_map(|line| line.strip_prefix("used: "));
            line.expect("a line").parse::<i64>().expect("a number")
        };
        let (plain, ours) = (used(run().plain().run()), used(run().run()));
        println!("{profile:?}: {plain} bytes without, {ours} with lastwords");
        assert!(plain > 1000, "the fault was on the painted stack");
        assert!(ours - plain < most, "{plain} -> {ours}");
    }
}
