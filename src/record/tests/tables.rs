//! The tables of a region: callsites, tags, clock anchors.

use std::sync::OnceLock;

use tracing_core::callsite::{Callsite, Identifier};
use tracing_core::field::{FieldSet, Value as FieldValue};
use tracing_core::metadata::Kind;
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Level, Metadata};

use super::super::clock;
use super::super::layout::{Layout, Section, TAG_ENTRIES, TAG_KEY_BYTES, TAG_VALUE_BYTES, head};
use super::super::memory::Memory;
use super::super::sync::{Ordering, Words};
use super::super::tags::Tags;
use super::super::{Identity, Region};
use super::support::Bench;

/// A callsite made at run time.
struct Made(OnceLock<Metadata<'static>>);

impl Callsite for Made {
    fn set_interest(&self, _interest: Interest) {}
    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("set when it was made")
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A new callsite with these fields.
fn callsite(name: &'static str, fields: &'static [&'static str]) -> &'static Metadata<'static> {
    let made: &'static Made = Box::leak(Box::new(Made(OnceLock::new())));
    let fields = FieldSet::new(fields, Identifier(made));
    let (file, module) = (Some("made.rs"), Some("made::here"));
    made.0.get_or_init(|| {
        Metadata::new(name, "made", Level::WARN, file, Some(7), module, fields, Kind::EVENT)
    })
}

/// Records one event whose first field is `value`.
fn record(bench: &Bench, metadata: &'static Metadata<'static>, value: u64) {
    let first = metadata.fields().iter().next().expect("a field");
    let values = [(&first, Some(&value as &dyn FieldValue))];
    bench.region().record_event(&Event::new(metadata, &metadata.fields().value_set(&values)), 0);
}

#[test]
fn events_beyond_the_callsite_table_carry_their_own_parts() {
    let bench = Bench::new(1 << 20);
    // More than the process's index has places, and more than the region's table has room for.
    let many = 6_000;
    for number in 0..many {
        record(&bench, callsite(leaked(format!("made {number}")), &["number"]), number);
    }
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.losses.torn, 0);
    assert!(snapshot.breadcrumbs.len() >= many.min(2_000) as usize);
    let oldest = many - snapshot.breadcrumbs.len() as u64;
    for (crumb, number) in snapshot.breadcrumbs.iter().zip(oldest..) {
        assert_eq!(crumb.fields["number"], number);
        assert_eq!(
            (crumb.target.as_str(), crumb.level, crumb.line),
            ("made", Level::WARN, Some(7))
        );
        assert_eq!(crumb.file.as_deref(), Some("made.rs"));
    }
    assert_eq!(snapshot.modules, [("made::here".to_owned(), "made.rs".to_owned())]);
}

#[test]
fn a_name_as_long_as_a_record_spoils_nothing() {
    for ring in [0, 1 << 20] {
        let bench = Bench::new(ring);
        let metadata = callsite(leaked("n".repeat(5_000)), &["number"]);
        record(&bench, metadata, 3);
        record(&bench, callsite("short", &["number"]), 4);
        let snapshot = bench.snapshot();
        // In the smallest block the name leaves no room for that of the field.
        let seen: Vec<_> =
            snapshot.breadcrumbs.iter().flat_map(|crumb| crumb.fields.values()).collect();
        assert_eq!(seen, [3, 4]);
        assert!(snapshot.breadcrumbs[0].cut && !snapshot.breadcrumbs[1].cut);
    }
}

#[test]
fn what_has_more_fields_than_fit_is_cut() {
    let names: Vec<_> = (0..300).map(|i| leaked(format!("field_number_{i}"))).collect();
    let metadata = callsite("wide", names.leak());
    let bench = Bench::new(1 << 20);
    let fields: Vec<_> = metadata.fields().iter().collect();
    let values: Vec<u64> = (0..300).collect();
    let some = |i: usize| (&fields[i], Some(&values[i] as &dyn FieldValue));
    // A value set holds 32 at most: the last of them, twice.
    for first in [0, 268] {
        let set: [_; 32] = std::array::from_fn(|i| some(first + i));
        let set = metadata.fields().value_set(&set);
        bench.region().record_event(&Event::new(metadata, &set), 0);
    }
    let crumbs = bench.breadcrumbs();
    assert_eq!(crumbs.len(), 2);
    assert_eq!((crumbs[0].fields.len(), &crumbs[0].fields["field_number_31"]), (32, &31.into()));
    assert!(crumbs[1].cut, "a field beyond the 256th cannot be named");
    assert!(crumbs[1].fields.values().all(|value| value.as_u64() < Some(256)));
}

#[test]
fn tags_are_set_replaced_and_removed_in_order() {
    let bench = Bench::small();
    let region = bench.region();
    let pairs = |tags: &[(&str, &str)]| -> Vec<(String, String)> {
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    region.set_tag("a", "1");
    region.set_tag("b", "2");
    region.set_tag("a", "3");
    assert_eq!(region.tags(), pairs(&[("b", "2"), ("a", "3")]));
    region.remove_tag("b");
    region.remove_tag("never");
    assert_eq!(region.tags(), pairs(&[("a", "3")]));
    region.set_tag("", "");
    assert_eq!(bench.snapshot().tags, pairs(&[("a", "3"), ("", "")]));
}

#[test]
fn long_tags_are_cut_at_a_character() {
    let bench = Bench::small();
    bench.region().set_tag(&"é".repeat(150), &format!("x{}", "€".repeat(400)));
    let tags = bench.region().tags();
    assert_eq!(tags[0].0, "é".repeat(TAG_KEY_BYTES / 2));
    assert_eq!(tags[0].1, format!("x{}", "€".repeat((TAG_VALUE_BYTES - 1) / 3)));
    // The same key again, cut the same way, is the same tag.
    bench.region().set_tag(&"é".repeat(150), "short");
    assert_eq!(bench.region().tags().len(), 1);
}

#[test]
fn a_full_table_refuses_new_keys_and_still_changes_old_ones() {
    let bench = Bench::small();
    let set = |i: usize, value: &str| bench.region().set_tag(&format!("key {i}"), value);
    let accepted = (0..TAG_ENTRIES + 3).filter(|i| set(*i, "old")).count();
    assert_eq!(accepted, TAG_ENTRIES - 1, "one entry stays free for a change");
    assert!(set(0, "new"));
    assert_eq!(bench.region().tags().last(), Some(&("key 0".to_owned(), "new".to_owned())));
    bench.region().remove_tag("key 1");
    assert!(set(1000, "fits again"));
}

/// Words that remember every store, to look at the memory after each of them.
struct Watched<'a> {
    memory: &'a Memory,
    /// How many stores are still done.
    left: std::cell::Cell<usize>,
    lost: super::super::sync::AtomicU64,
}

impl Words for Watched<'_> {
    fn word(&self, index: usize) -> &super::super::sync::AtomicU64 {
        self.memory.word(index)
    }
    fn store_bytes(&self, at: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            if self.left.get() == 0 {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.left.set(self.left.get() - 1);
            self.memory.store_bytes(at + i, chunk);
        }
    }
}

/// A process that dies anywhere in the bytes of a tag leaves the old value: an entry counts only
/// once its number is there.
#[test]
fn a_tag_half_written_is_not_there() {
    let layout = Layout::new(0);
    let memory = Memory::heap(layout.bytes).expect("memory");
    let section = layout.word_of(Section::Tags);
    let tags = Tags::new(&memory, section);
    tags.set(&memory, "cid", "the old value");
    for stores in 0..4 {
        let watched = Watched {
            memory: &memory,
            left: stores.into(),
            lost: super::super::sync::AtomicU64::new(0),
        };
        tags.set(&watched, "cid", "the new and longer value");
        assert!(watched.lost.load(Ordering::Relaxed) > 0);
        // What came after the last store did not happen: the number and the freeing.
        let entries = (0..TAG_ENTRIES).map(|i| section + i * 128);
        let newest = entries.max_by_key(|at| memory.word(*at).load(Ordering::Relaxed)).unwrap();
        memory.word(newest).store(0, Ordering::Relaxed);
        let first = section;
        memory.word(first).store(1, Ordering::Relaxed);
        assert_eq!(tags.all(&memory), [("cid".to_owned(), "the old value".to_owned())]);
    }
    tags.set(&memory, "cid", "the new value");
    assert_eq!(tags.all(&memory), [("cid".to_owned(), "the new value".to_owned())]);
}

#[test]
fn tags_read_while_they_are_set_are_whole() {
    let bench = Bench::small();
    let times = 2_000;
    bench.region().set_tag("key", &"a".repeat(100));
    bench.region().set_tag("other", "stays");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 0..times {
                let letter = ["a", "b", "c"][i % 3];
                bench.region().set_tag("key", &letter.repeat(100));
            }
        });
        while !writer.is_finished() {
            let tags = bench.region().tags();
            assert!(tags.contains(&("other".to_owned(), "stays".to_owned())));
            // Changed faster than it is read, it may be missed, but never mixed.
            if let Some((_, value)) = tags.iter().find(|(key, _)| key == "key") {
                let letter = &value[..1];
                assert_eq!(*value, letter.repeat(100));
            }
        }
    });
}

/// The wall clock is looked at again after a second, and what it says is kept when it was stepped.
#[test]
fn a_step_of_the_wall_clock_gets_an_anchor() {
    let layout = Layout::new(0);
    let memory = Memory::heap(layout.bytes).expect("memory");
    let count = || memory.word(head::ANCHOR_COUNT).load(Ordering::Relaxed);
    let now = clock::boot_nanos();
    clock::anchor_if_due(&memory, now);
    assert_eq!(count(), 1);
    clock::anchor_if_due(&memory, now + 1);
    assert_eq!(count(), 1, "not due");
    clock::anchor_if_due(&memory, now + 2_000_000_000);
    assert_eq!(count(), 1, "the clocks agree");
    // As if the wall clock had stood an hour earlier when it was last looked at.
    let wall = memory.word(head::ANCHORS + 1);
    let hour = 3_600_000_000_000;
    wall.store(wall.load(Ordering::Relaxed) - hour, Ordering::Relaxed);
    clock::anchor_if_due(&memory, now + 4_000_000_000);
    assert_eq!(count(), 2);
    let anchors = clock::Anchors::read(|at| memory.word(at).load(Ordering::Relaxed));
    let stepped = memory.word(head::ANCHORS + 2).load(Ordering::Relaxed);
    let step = anchors.wall(stepped) - anchors.wall(stepped - 1);
    assert!(step.abs_diff(hour as i64) < 60_000_000_000, "a step of {step} ns");
}

/// A process may record in its monitor's region if it is the monitor's child, and goes on to when it
/// executes another program.
#[test]
fn a_region_is_taken_over_by_the_child_it_was_made_for() {
    let region = Region::on_heap(0, &Identity::default());
    let own = std::process::id();
    region.set_child(own + 1);
    assert!(!region.take_over());
    assert_eq!(region.owner(), 0);
    region.set_child(own);
    assert!(region.take_over() && region.take_over());
    assert_eq!(region.owner(), u64::from(own));
}

/// The identity is written again by a child that takes a region over, and readers find the last one.
#[test]
fn an_identity_can_be_written_again_while_there_is_room() {
    let made = Identity { pid: 7, release: Some("first".to_owned()), ..Identity::default() };
    let region = Region::on_heap(0, &made);
    assert_eq!(region.identity(), made);
    let long = Identity { release: Some("r".repeat(12_000)), ..made.clone() };
    region.set_identity(&long);
    region.set_identity(&long);
    assert_eq!(region.identity(), long);
    // The third has no room any more, and leaves the settings out.
    region.set_identity(&long);
    assert_eq!(region.identity(), Identity { release: None, ..long });
}
