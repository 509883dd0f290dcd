//! The ring on real memory with real threads, small enough for Miri, which looks for undefined
//! behaviour and lets loads see every value that the memory model allows.

use std::sync::Arc;
use std::thread;

use super::super::layout::{BLOCK_HEADER_WORDS, NAME_BYTES};
use super::super::memory::Memory;
use super::super::ring::{Cursor, Refused, Ring, RingPlace, State, Writer};

const BLOCKS: usize = 4;
const BLOCK_WORDS: usize = BLOCK_HEADER_WORDS + 12;
const RECORDS: u64 = if cfg!(miri) { 20 } else { 2_000 };

fn place() -> RingPlace {
    RingPlace {
        id: 1,
        blocks: 2,
        block_count: BLOCKS,
        block_words: BLOCK_WORDS,
        next_lease: 0,
        overwritten: 1,
        stale: 1,
    }
}

/// Appends records of 2 to 5 words, every word but the time being the record's value.
fn write(memory: &Memory, thread: u64) {
    let place = place();
    let ring = Ring::new(memory, &place);
    let mut cursor = Cursor::NONE;
    for number in 0..RECORDS {
        let value = thread << 32 | number;
        let mut words = vec![value; 2 + (number % 4) as usize];
        let writer = || Writer { id: thread, name_len: 0, name: [0; NAME_BYTES / 8] };
        match ring.append(&mut cursor, writer, &mut words, 1, || value) {
            Ok(_) | Err(Refused::AllBusy) => {}
            Err(Refused::TooLarge) => panic!("{} words do not fit", words.len()),
        }
    }
}

/// Copies a block as a reader does; its words if they are whole.
fn read_block(memory: &Memory, index: usize) -> Option<(State, Vec<u64>)> {
    let offset = 8 * (2 + index * BLOCK_WORDS) as u64;
    let state = || {
        let mut bytes = [0; 8];
        memory.read_at(offset, &mut bytes);
        State::unpack(u64::from_ne_bytes(bytes))
    };
    let before = state();
    let mut bytes = vec![0; before.committed * 8];
    memory.read_at(offset, &mut bytes);
    let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
    let words = words.collect();
    (state().lease == before.lease).then_some((before, words))
}

/// Every record of a block is whole, and all are of its one thread, in order.
fn check(words: &[u64]) -> usize {
    let mut records = words.get(BLOCK_HEADER_WORDS..).unwrap_or_default();
    let mut seen = 0;
    let mut last = None;
    while let Some(value) = records.first() {
        let (thread, number) = (value >> 32, value & 0xFFFF_FFFF);
        let len = 2 + (number % 4) as usize;
        assert!(records[..len].iter().all(|word| word == value), "torn: {records:x?}");
        assert_eq!(thread, words[2], "a record of another thread");
        assert!(last < Some(number), "out of order");
        last = Some(number);
        records = &records[len..];
        seen += 1;
    }
    seen
}

#[test]
fn readers_see_whole_records_of_one_thread() {
    let memory = Arc::new(Memory::heap(8 * (2 + BLOCKS * BLOCK_WORDS)).expect("memory"));
    let writers: Vec<_> = (1..=3)
        .map(|number| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || write(&memory, number))
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        for (_, words) in (0..BLOCKS).filter_map(|index| read_block(&memory, index)) {
            check(&words);
        }
        thread::yield_now();
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let blocks = (0..BLOCKS).map(|index| read_block(&memory, index).expect("nobody writes"));
    let seen: usize = blocks.map(|(_, words)| check(&words)).sum();
    assert!(seen >= BLOCKS - 1, "{seen} records are left");
}
