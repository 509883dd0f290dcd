//! The goroutines of one report, in bounded memory.
//!
//! **Guarantee:** whatever is printed, at most [`MOST_THREADS`] goroutines come out, those that were
//! blocked the longest, and at most twice as many or about [`MOST_BYTES`] are held while reading;
//! goroutines with the same stack share it, and it is parsed once. **Lost, and counted:** the other
//! goroutines, and frames of one stack beyond [`MOST_FRAMES`].

use std::collections::HashMap;
use std::sync::Arc;

use crate::detect::{Frame, ThreadStack};

use super::lines::{self, Header, Place};

/// Goroutines besides the crashed one.
pub(super) const MOST_THREADS: usize = 4096;
/// Frames of one stack. The runtime prints 100 and its C frames.
const MOST_FRAMES: u64 = 512;
/// Bytes of stacks and goroutines.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// A stack while its lines come.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// `None` for the runtime's own stack.
    header: Option<Header>,
    /// The frames in the form of [`push_frame`]: what tells two stacks apart.
    key: Vec<u8>,
    frames: u64,
    /// Frames that the runtime left out, and that we did.
    elided: u64,
    /// The frame that the goroutine was started by, in the same form.
    created_by: Vec<u8>,
}

impl Open {
    pub(super) fn new(header: Option<Header>) -> Open {
        Open { header, key: Vec::new(), frames: 0, elided: 0, created_by: Vec::new() }
    }

    pub(super) fn frame(&mut self, function: &[u8], place: &Place<'_>) {
        if self.frames == MOST_FRAMES {
            self.elided += 1;
            return;
        }
        self.frames += 1;
        push_frame(&mut self.key, function, place);
    }

    pub(super) fn created_by(&mut self, function: &[u8], place: &Place<'_>) {
        self.created_by.clear();
        push_frame(&mut self.created_by, function, place);
    }

    pub(super) fn elided(&mut self, frames: u64) {
        self.elided = self.elided.saturating_add(frames);
    }

    fn bytes(&self) -> usize {
        self.key.capacity() + self.created_by.capacity()
    }
}

/// Function and place as bytes that are read back by [`frames`]: lengths before texts.
fn push_frame(key: &mut Vec<u8>, function: &[u8], place: &Place<'_>) {
    for part in [function, place.file] {
        key.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
        key.extend_from_slice(&part[..part.len().min(usize::from(u16::MAX))]);
    }
    key.extend_from_slice(&place.line.map_or(u64::MAX, u64::from).to_le_bytes());
    key.extend_from_slice(&place.pc.unwrap_or(u64::MAX).to_le_bytes());
}

/// The frames that were pushed.
fn frames(mut key: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = pop_frame(&mut key) {
        frames.push(frame);
    }
    frames
}

fn pop_frame(key: &mut &[u8]) -> Option<Frame> {
    let function = pop_text(key)?;
    let file = pop_text(key)?;
    let line = u32::try_from(pop_number(key)?).ok();
    let pc = Some(pop_number(key)?).filter(|pc| *pc != u64::MAX);
    Some(lines::frame(function, &Place { file, line, pc }))
}

fn pop_text<'a>(key: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = key.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    *key = rest;
    Some(text)
}

fn pop_number(key: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = key.split_first_chunk::<8>()?;
    *key = rest;
    Some(u64::from_le_bytes(*bytes))
}

/// A goroutine that has been read whole.
#[derive(Debug, Clone)]
struct Kept {
    /// Its place in the output.
    order: u64,
    thread: ThreadStack,
}

impl Kept {
    /// Those that are kept rather come first.
    fn rank(&self) -> (std::cmp::Reverse<u64>, u64) {
        (std::cmp::Reverse(self.thread.blocked_minutes.unwrap_or(0)), self.order)
    }

    fn bytes(&self) -> usize {
        size_of::<Kept>() + self.thread.state.as_ref().map_or(0, String::capacity)
    }
}

/// All goroutines of a report.
#[derive(Debug, Clone, Default)]
pub(super) struct Goroutines {
    first: Option<ThreadStack>,
    runtime: Option<ThreadStack>,
    others: Vec<Kept>,
    stacks: HashMap<Box<[u8]>, Arc<[Frame]>>,
    makers: HashMap<Box<[u8]>, Arc<Frame>>,
    bytes: usize,
    seen: u64,
    elided: u64,
}

/// The crashed goroutine, the others, and how many are missing.
pub(super) struct Sorted {
    pub(super) crashed: Option<ThreadStack>,
    pub(super) others: Vec<ThreadStack>,
    pub(super) elided: u64,
}

impl Goroutines {
    /// Adds a stack that has ended. The first goroutine is the crashed one.
    pub(super) fn add(&mut self, open: Open) {
        let thread = self.thread(open);
        self.seen += 1;
        if thread.id.is_none() {
            self.runtime.get_or_insert(thread);
            return;
        }
        if self.first.is_none() {
            self.first = Some(thread);
            return;
        }
        let kept = Kept { order: self.seen, thread };
        self.bytes += kept.bytes();
        self.others.push(kept);
        if self.others.len() >= 2 * MOST_THREADS {
            self.shrink(MOST_THREADS);
        }
        while self.bytes > MOST_BYTES && !self.others.is_empty() {
            self.shrink(self.others.len() * 3 / 4);
        }
    }

    fn thread(&mut self, open: Open) -> ThreadStack {
        let (frames, created_by) = (self.stack(&open.key), self.maker(&open.created_by));
        let (id, state, minutes) = match open.header {
            Some(header) => (Some(header.id), Some(header.state), header.minutes),
            None => (None, None, None),
        };
        ThreadStack {
            id,
            name: id.is_none().then(|| "runtime stack".to_owned()),
            state,
            blocked_minutes: minutes,
            frames,
            frames_elided: open.elided,
            created_by,
        }
    }

    fn stack(&mut self, key: &[u8]) -> Arc<[Frame]> {
        if let Some(known) = self.stacks.get(key) {
            return Arc::clone(known);
        }
        let stack: Arc<[Frame]> = frames(key).into();
        self.bytes += key.len() + stack.iter().map(frame_bytes).sum::<usize>();
        self.stacks.insert(key.into(), Arc::clone(&stack));
        stack
    }

    fn maker(&mut self, mut key: &[u8]) -> Option<Arc<Frame>> {
        if let Some(known) = self.makers.get(key) {
            return Some(Arc::clone(known));
        }
        let whole = key;
        let maker = Arc::new(pop_frame(&mut key)?);
        self.bytes += whole.len() + frame_bytes(&maker);
        self.makers.insert(whole.into(), Arc::clone(&maker));
        Some(maker)
    }

    /// Keeps `most` of the others, and the stacks that are still somebody's.
    fn shrink(&mut self, most: usize) {
        self.others.sort_by_key(Kept::rank);
        self.elided += self.others.len().saturating_sub(most) as u64;
        self.others.truncate(most);
        self.stacks.retain(|_, stack| Arc::strong_count(stack) > 1);
        self.makers.retain(|_, maker| Arc::strong_count(maker) > 1);
        let frames = |stack: &Arc<[Frame]>| stack.iter().map(frame_bytes).sum::<usize>();
        let stacks = self.stacks.iter().map(|(key, stack)| key.len() + frames(stack));
        let makers = self.makers.iter().map(|(key, maker)| key.len() + frame_bytes(maker));
        self.bytes = stacks.sum::<usize>()
            + makers.sum::<usize>()
            + self.others.iter().map(Kept::bytes).sum::<usize>();
    }

    /// The number of the crashed goroutine.
    pub(super) fn first_id(&self) -> Option<u64> {
        self.first.as_ref().and_then(|first| first.id)
    }

    /// Whether the crashed goroutine was handling a panic, of which `panic` is on its stack below a
    /// function of the program: a deferred one.
    pub(super) fn shows_handling(&self) -> bool {
        let Some(first) = &self.first else { return false };
        let is_panic = |frame: &Frame| frame.symbol.as_deref() == Some("panic");
        let above = first.frames.iter().take_while(|frame| !is_panic(frame));
        let deferred = above.filter(|frame| frame.module.as_deref() != Some("runtime")).count();
        deferred > 0 && first.frames.iter().any(is_panic)
    }

    /// The first goroutine is the crashed one; where there is none, the runtime's own stack is.
    pub(super) fn sorted(mut self) -> Sorted {
        if self.others.len() > MOST_THREADS {
            self.shrink(MOST_THREADS);
        }
        self.others.sort_by_key(Kept::rank);
        let mut others: Vec<ThreadStack> =
            self.others.into_iter().map(|kept| kept.thread).collect();
        let mut runtime = self.runtime;
        let crashed = self.first.or_else(|| runtime.take());
        others.extend(runtime);
        Sorted { crashed, others, elided: self.elided }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }
}

impl Open {
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes()
    }
}

fn frame_bytes(frame: &Frame) -> usize {
    let texts = [&frame.function, &frame.symbol, &frame.module, &frame.file];
    let held = texts.into_iter().flatten().map(String::capacity).sum::<usize>();
    size_of::<Frame>() + held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(id: u64, minutes: Option<u64>, depth: u32) -> Open {
        let header = Header { id, state: "select".to_owned(), minutes };
        let mut open = Open::new(Some(header));
        let place = |line| Place { file: b"/srv/app/main.go", line: Some(line), pc: None };
        for line in 1..=depth {
            open.frame(b"main.wait", &place(line));
        }
        open.created_by(b"main.main", &place(99));
        open
    }

    #[test]
    fn the_longest_blocked_are_kept_and_the_rest_is_counted() {
        let mut all = Goroutines::default();
        for id in 1..=20_000 {
            all.add(stack(id, (id % 100 == 0).then_some(id / 100), 3));
            assert!(all.others.len() <= 2 * MOST_THREADS);
        }
        let sorted = all.sorted();
        assert_eq!(sorted.crashed.and_then(|thread| thread.id), Some(1));
        assert_eq!(sorted.others.len(), MOST_THREADS);
        assert_eq!(sorted.elided, 20_000 - 1 - MOST_THREADS as u64);
        let ids: Vec<u64> = sorted.others.iter().filter_map(|thread| thread.id).take(3).collect();
        assert_eq!(ids, [20_000, 19_900, 19_800]);
    }

    #[test]
    fn equal_stacks_are_shared() {
        let mut all = Goroutines::default();
        (1..=10).for_each(|id| all.add(stack(id, None, 3)));
        let sorted = all.sorted();
        let first = &sorted.others[0];
        assert!(sorted.others.iter().all(|other| Arc::ptr_eq(&other.frames, &first.frames)));
        assert_eq!(first.frames.len(), 3);
        assert_eq!(first.frames[0].function.as_deref(), Some("wait"));
        assert_eq!(first.frames[2].line, Some(3));
        assert_eq!(first.created_by.as_ref().and_then(|frame| frame.line), Some(99));
    }

    #[test]
    fn stacks_that_all_differ_stay_within_the_bound() {
        let mut all = Goroutines::default();
        for id in 1..=20_000_u64 {
            let mut open = stack(id, None, 10);
            let file = format!("/srv/app/{}/{id}.go", "x".repeat(900));
            open.frame(b"main.f", &Place { file: file.as_bytes(), line: Some(1), pc: Some(id) });
            all.add(open);
            assert!(all.held_bytes() <= MOST_BYTES, "{}", all.held_bytes());
        }
        assert!(all.sorted().elided > 10_000);
    }

    #[test]
    fn a_deep_stack_is_cut_and_counted() {
        let mut all = Goroutines::default();
        all.add(stack(1, None, 2000));
        let crashed = all.sorted().crashed.expect("a goroutine");
        assert_eq!(crashed.frames.len() as u64 + crashed.frames_elided, 2000);
    }
}
