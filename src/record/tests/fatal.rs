//! The fatal-signal area: what its writer says is what a reader finds, at every step.

use super::super::layout::{FATAL_MAPS_BYTES, FATAL_STACK_BYTES, Section, end, head};
use super::super::{
    Asked, FatalArea, FatalFacts, FatalRecord, Machine, PanickingThread, Select, Snapshot,
};
use super::support::{Bench, section, set_word};

pub(super) const REGISTERS: usize = match Machine::HERE {
    Some(machine) => machine.register_count(),
    None => 0,
};

fn thread() -> PanickingThread {
    let name = u64::from_ne_bytes(*b"worker\0\0");
    PanickingThread { id: 77, main: false, name: (6, [name, 0, 0, 0, 0, 0, 0, 0]), span: 5 }
}

/// Facts and registers of a signal.
pub(super) fn write_facts(area: FatalArea<'_>) {
    let facts = FatalFacts {
        signal: libc::SIGSEGV,
        code: -6,
        address: 0xdead,
        sender: Some((12, 34)),
        boot: 1000,
        wall: -2000,
        thread: &thread(),
        machine: Machine::HERE.map_or(0, Machine::elf_number),
    };
    area.write_facts(&facts, (0..REGISTERS as u64).map(|number| number * 3));
}

/// Writes all there is.
pub(super) fn write_all(area: FatalArea<'_>) {
    assert!(area.claim(77));
    write_facts(area);
    area.set_stack_start(0x7000);
    for word in 0..10 {
        area.write_stack_word(word, word as u64 * 7);
    }
    area.set_stack_kept(80);
    for (at, byte) in b"1000-2000 r-xp\n".iter().enumerate() {
        area.write_maps_byte(at, *byte);
    }
    area.set_maps_kept(15);
    area.complete();
}

fn record(bench: &Bench) -> Option<FatalRecord> {
    bench.snapshot().fatal
}

#[test]
fn what_is_written_is_read() {
    let bench = Bench::small();
    let area = bench.region().fatal();
    assert_eq!(record(&bench), None);
    write_all(area);
    let record = record(&bench).expect("a record");
    assert_eq!((record.signal, record.code, record.address), (libc::SIGSEGV, -6, 0xdead));
    assert_eq!(record.sender, Some((12, 34)));
    assert_eq!((record.boot_nanos, record.wall_nanos), (1000, -2000));
    assert_eq!((record.thread, record.main, record.span), (77, false, 5));
    assert_eq!(record.thread_name.as_deref(), Some("worker"));
    assert_eq!((record.stack_start, record.stack.len()), (0x7000, 80));
    assert_eq!(record.stack[72..], 63_u64.to_ne_bytes());
    assert_eq!(record.maps, "1000-2000 r-xp\n");
    assert!(record.complete && !record.returned);
    let registers = record.registers.map(|registers| registers.iter().collect::<Vec<_>>());
    assert_eq!(registers.as_ref().map_or(0, Vec::len), REGISTERS);
    for (at, (_, value)) in registers.into_iter().flatten().enumerate() {
        assert_eq!(value, at as u64 * 3);
    }
}

/// A process that is killed while it writes.
#[test]
fn every_step_can_be_the_last() {
    let bench = Bench::small();
    let area = bench.region().fatal();
    assert!(area.claim(77));
    assert_eq!(record(&bench), None);
    write_facts(area);
    let read = record(&bench).expect("the facts");
    assert!(!read.complete && read.stack.is_empty() && read.maps.is_empty());
    area.set_stack_kept(4096);
    let read = record(&bench).expect("some of the stack");
    assert_eq!((read.complete, read.stack.len()), (false, 4096));
}

#[test]
fn the_first_signal_has_the_area_until_it_is_survived() {
    let bench = Bench::small();
    let area = bench.region().fatal();
    write_all(area);
    assert!(!area.claim(78));
    assert!(!area.is_being_written_beside(78));
    area.release();
    assert_eq!(record(&bench), None);
    assert!(area.claim(78));
    assert!(area.is_being_written_beside(77) && !area.is_being_written_beside(78));
    write_facts(area);
    let read = record(&bench).expect("the facts");
    assert!(read.stack.is_empty(), "that of the one before is gone");
    area.set_returned();
    assert!(record(&bench).is_some_and(|record| record.complete && record.returned));
    assert!(area.claim(79), "an abort whose handler returned may have been survived");
}

#[test]
fn lengths_beyond_the_area_are_cut() {
    let bench = Bench::small();
    write_all(bench.region().fatal());
    let mut bytes = bench.bytes();
    let (fatal, _) = section(&bytes, Section::Fatal);
    for at in [9, 19, 21, 22] {
        set_word(&mut bytes, fatal + at, u64::MAX - 6);
    }
    let read = Snapshot::read_bytes(&bytes, Select::newest(0)).expect("a region");
    let record = read.fatal.expect("a record");
    assert_eq!((record.stack.len(), record.maps.len()), (FATAL_STACK_BYTES, FATAL_MAPS_BYTES));
    assert_eq!(record.registers, None);
    for state in [1, 5, u64::MAX] {
        set_word(&mut bytes, fatal, state);
        let read = Snapshot::read_bytes(&bytes, Select::newest(0)).expect("a region");
        assert_eq!(read.fatal, None, "{state}");
    }
}

#[test]
fn how_it_ended_stands_in_the_header() {
    let bench = Bench::small();
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.asked, snapshot.ended_by, snapshot.silent_reported), (None, None, false));
    assert_eq!((snapshot.child_pid, snapshot.owner_pid), (0, 0));
    bench.region().mark_asked(libc::SIGTERM, false);
    let asked = bench.snapshot().asked.expect("asked");
    assert_eq!((asked.signal, asked.died_of_it), (libc::SIGTERM, false));
    assert!(asked.boot_nanos > 0);
    bench.region().mark_asked(libc::SIGINT, true);
    bench.region().mark_ended_by(libc::SIGALRM);
    let snapshot = bench.snapshot();
    assert!(matches!(snapshot.asked, Some(Asked { died_of_it: true, signal: libc::SIGINT, .. })));
    assert_eq!((snapshot.ended_by, snapshot.ended_cleanly), (Some(libc::SIGALRM), false));
}

/// Words that no signal handler writes.
#[test]
fn mad_words_of_the_header_are_nothing() {
    let mut bytes = Bench::small().bytes();
    for (at, value) in [
        (head::ASKED, u64::MAX),
        (head::ENDED_BY, 1 << 40),
        (head::SILENT, 7),
        (head::CHILD, 1 << 50),
        (head::OWNER, u64::MAX),
        (head::END, end::ASKED),
    ] {
        set_word(&mut bytes, at, value);
    }
    let read = Snapshot::read_bytes(&bytes, Select::newest(0)).expect("a region");
    assert_eq!((read.asked, read.ended_by, read.silent_reported), (None, None, false));
    assert_eq!((read.child_pid, read.owner_pid), (0, u64::MAX));
}

/// What is read without the blocks says the same of how the process ended.
#[test]
fn a_brief_look_says_the_same_but_for_breadcrumbs() {
    let bench = Bench::small();
    let _guard = bench.subscribe();
    tracing::info!("one");
    bench.region().set_tag("cid", "7");
    write_all(bench.region().fatal());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.region");
    std::fs::write(&path, bench.bytes()).expect("written");
    let whole = Snapshot::read_file(&path, Select::newest(10)).expect("a region");
    let brief = Snapshot::read_file_brief(&path).expect("a region");
    assert_eq!(whole.breadcrumbs.len(), 1);
    assert!(brief.breadcrumbs.is_empty());
    assert_eq!(
        (brief.fatal, brief.tags, brief.identity),
        (whole.fatal, whole.tags, whole.identity)
    );
    assert_eq!(brief.leases, whole.leases);
}
