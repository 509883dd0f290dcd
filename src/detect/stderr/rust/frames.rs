//! Backtraces as the standard library prints them, short and full.
//!
//! **Guarantee:** a line is a frame's only if its number is the one after the last, so what other
//! threads log between two frames (each is printed as it is resolved, which takes time) does not
//! end a backtrace. Frames come out with the panic machinery cut and marked as the program's own
//! or not. **Lost:** of a stack of more than 1,024 frames those between the innermost and the
//! outermost ones, which are counted.

use std::collections::VecDeque;

use super::header::location;
use crate::detect::in_app::{OwnCrates, is_local};
use crate::detect::{Exception, Frame, Location, rust_names, stack};

/// How many frames at each end are kept.
const MOST_INNER: usize = 768;
const MOST_OUTER: usize = 256;

/// How long a name or path may be, and how many brackets a name may have to be cleaned.
const MOST_NAME: usize = 2048;
const MOST_BRACKETS: usize = 64;

/// A backtrace as it is read.
#[derive(Debug, Default, Clone)]
pub struct Trace {
    inner: Vec<Frame>,
    outer: VecDeque<Frame>,
    elided: u64,
    /// The number that the next frame must have.
    next: u64,
    /// Whether frames have addresses, so that no note ends the backtrace.
    full: bool,
    /// Whether the outermost function of a thread was printed.
    at_the_end: bool,
    held: usize,
}

impl Trace {
    /// A backtrace of which the first frames may not be printed.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// About how many bytes it holds.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Whether it is in the full form.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether no frame can follow.
    pub fn is_at_the_end(&self) -> bool {
        self.at_the_end
    }

    /// Whether the line belongs to the backtrace; then it is read.
    pub fn line(&mut self, line: &str) -> bool {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some((number, after)) = numbered(text) {
            return number == self.next && self.frame(after);
        }
        if self.is_empty() || indent < 6 {
            return false;
        }
        if let Some(place) = text.strip_prefix("at ") {
            return self.place(place);
        }
        if let Some(omitted) = text.strip_prefix("[... omitted ") {
            let count = omitted.split(' ').next().and_then(|count| count.parse().ok());
            self.elided += count.unwrap_or(0u64);
            return count.is_some();
        }
        // A function inlined into the one after it has no number of its own.
        let is_name = text.contains("::") && !text.contains(": ") && !text.ends_with(':');
        if is_name {
            let address = self.last().and_then(|last| last.address);
            self.push(frame(text, address));
        }
        is_name
    }

    /// Lets the first frame have any number, and gaps between numbers.
    pub fn skip_to(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    fn frame(&mut self, after: &str) -> bool {
        let (address, name) = match after.trim_start().split_once(" - ") {
            Some((address, name)) if address.starts_with("0x") => {
                let Ok(address) = u64::from_str_radix(&address[2..], 16) else { return false };
                (Some(address), name)
            }
            _ => (None, after),
        };
        self.next += 1;
        self.full |= address.is_some();
        let frame = frame(name.trim(), address.filter(|address| *address != 0));
        const OUTERMOST: [&str; 5] = ["_start", "clone", "__clone", "clone3", "__clone3"];
        let outermost = |function: &String| OUTERMOST.contains(&function.as_str());
        self.at_the_end = address == Some(0) || frame.function.as_ref().is_some_and(outermost);
        self.push(frame);
        true
    }

    fn place(&mut self, place: &str) -> bool {
        // C sources have no column.
        let Some(location) = location(place) else { return false };
        let Some(last) = self.last_mut().filter(|last| last.file.is_none()) else { return false };
        last.file = Some(cut(&location.file).to_owned());
        last.line = Some(location.line);
        last.column = Some(location.column).filter(|column| *column > 0);
        true
    }

    fn push(&mut self, frame: Frame) {
        self.held += frame_bytes(&frame);
        if self.inner.len() < MOST_INNER {
            return self.inner.push(frame);
        }
        if self.outer.len() == MOST_OUTER {
            let elided = self.outer.pop_front();
            self.held -= elided.as_ref().map_or(0, frame_bytes);
            self.elided += 1;
        }
        self.outer.push_back(frame);
    }

    fn last(&self) -> Option<&Frame> {
        self.outer.back().or(self.inner.last())
    }

    fn last_mut(&mut self) -> Option<&mut Frame> {
        self.outer.back_mut().or(self.inner.last_mut())
    }

    /// The frames, innermost first, of a panic raised at `raised`, and how many are left out.
    pub fn frames(self, raised: Option<&Location>) -> (Vec<Frame>, u64) {
        let mut frames = self.inner;
        frames.extend(self.outer);
        let mut frames = stack::cut_panic_machinery(frames);
        let own = own_crates(&frames, raised);
        stack::mark_in_app(&mut frames, &own);
        place_of_top(&mut frames, raised);
        (frames, self.elided)
    }
}

/// `NUMBER: ` and what follows.
fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, after) = text.split_once(": ")?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits)?, after))
}

/// About how many bytes an exception's stack holds.
pub fn held_bytes(exception: &Exception) -> usize {
    exception.frames.iter().map(frame_bytes).sum()
}

fn frame_bytes(frame: &Frame) -> usize {
    // The file comes with a later line, and is not counted: it is about as long as a name.
    let names = [&frame.function, &frame.symbol, &frame.module];
    let names: usize = names.into_iter().flatten().map(String::len).sum();
    size_of::<Frame>() + names
}

/// The beginning of a name.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(MOST_NAME)]
}

fn frame(name: &str, address: Option<u64>) -> Frame {
    if name == "<unknown>" || name.is_empty() {
        return Frame { address, ..Frame::default() };
    }
    let printed = rust_names::without_hashes(cut(name));
    let brackets = printed.bytes().filter(|byte| matches!(byte, b'<' | b'{' | b'(' | b'[')).count();
    let function =
        if brackets > MOST_BRACKETS { printed.clone() } else { rust_names::clean(&printed) };
    Frame {
        module: rust_names::module(&function).map(str::to_owned),
        symbol: (printed != function).then_some(printed),
        function: Some(function),
        address,
        ..Frame::default()
    }
}

/// The crates that the stack shows to be the program's: those of `main` functions, of functions in
/// files of the program, and of the one that panicked at a file of the program.
fn own_crates(frames: &[Frame], raised: Option<&Location>) -> OwnCrates {
    let mut own = OwnCrates::default();
    for frame in frames {
        let Some(function) = frame.function.as_deref() else { continue };
        let mut path = function.split("::").skip(1);
        let is_main = path.next() == Some("main") && path.all(|part| part.starts_with('{'));
        if is_main || frame.file.as_deref().is_some_and(is_local) {
            own.learn_function(function);
        }
    }
    let top = frames.first().and_then(|frame| frame.function.as_deref());
    if let (Some(top), Some(raised)) = (top, raised) {
        own.learn_panic(top, &raised.file);
    }
    own
}

/// Where a build has no debug info, the panic's own place is that of the program's innermost function.
fn place_of_top(frames: &mut [Frame], raised: Option<&Location>) {
    let top = frames.iter_mut().find(|frame| frame.in_app);
    if let (Some(top), Some(raised)) = (top, raised)
        && top.file.is_none()
        && is_local(&raised.file)
    {
        top.file = Some(raised.file.clone());
        top.line = Some(raised.line);
        top.column = Some(raised.column).filter(|column| *column > 0);
    }
}
