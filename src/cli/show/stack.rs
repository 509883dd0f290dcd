//! A stack, innermost frame first: the program's own frames stand out, runs of others are folded
//! into a line that counts and names them.

use time::OffsetDateTime;

use super::source::{self, Excerpt};
use crate::cli::error::Error;
use crate::cli::event::{Event, Frame};
use crate::cli::output::Output;
use crate::cli::text::{Line, Role, counted};

/// Own frames shown at the inner and at the outer end of a stack.
const INNER: usize = 24;
const OUTER: usize = 6;

/// How many own frames after the first get their line of source.
const WITH_SOURCE: usize = 8;

/// The widest column of function names.
const WIDEST_NAME: usize = 56;

/// How stacks of one report are shown.
pub struct Style {
    full: bool,
    native: bool,
    crash: Option<OffsetDateTime>,
}

/// A row of a stack.
#[derive(Debug, PartialEq)]
enum Row<'a> {
    /// A frame.
    Frame(&'a Frame),
    /// The frame before it, so many times more.
    Repeated(usize),
    /// Frames outside the program.
    Others(&'a [Frame]),
    /// Rows in the middle of a long stack, with the count of their frames.
    Middle(usize),
}

impl Style {
    /// The style for `event`; `full` folds nothing.
    pub fn new(event: &Event, full: bool) -> Self {
        let native = matches!(event.platform.as_deref(), Some("native" | "rust" | "other") | None);
        Self { full, native, crash: event.time }
    }

    /// Prints `frames`, of which the recorder left out `elided`.
    pub fn print(&self, frames: &[Frame], elided: u64, out: &mut Output) -> Result<(), Error> {
        if frames.is_empty() {
            return self.quiet("no stack", out);
        }
        self.print_rows(frames, out)?;
        match elided {
            0 => Ok(()),
            n => self.quiet(&format!("({} in between not recorded)", counted(n, "frame")), out),
        }
    }

    /// Prints the stack of one thread among others: at most `most` frames from the inner end.
    pub fn print_indented(
        &self,
        frames: &[Frame],
        most: usize,
        out: &mut Output,
    ) -> Result<(), Error> {
        let shown = &frames[..frames.len().min(most)];
        for frame in shown {
            let role = if frame.in_app { Role::Plain } else { Role::Quiet };
            let mut line = Line::new();
            line.push(Role::Plain, "    ").push(role, &frame.function);
            if let Some(location) = frame.location() {
                let role = if frame.in_app { Role::Place } else { Role::Quiet };
                line.push(Role::Plain, "  ").push(role, &location);
            }
            out.wrapped(&line, 8)?;
        }
        match frames.len() - shown.len() {
            0 => Ok(()),
            more => self.quiet(&format!("  … {}", counted(more as u64, "more frame")), out),
        }
    }

    /// Prints `frames` as far as they are not those of the stack printed `before`.
    pub fn print_below(
        &self,
        frames: &[Frame],
        before: &[Frame],
        out: &mut Output,
    ) -> Result<(), Error> {
        let pairs = frames.iter().rev().zip(before.iter().rev());
        let shared = pairs.take_while(|(a, b)| a.function == b.function && a.line == b.line);
        let shared = shared.count().min(frames.len().saturating_sub(1));
        if self.full || shared < 2 {
            return self.print_rows(frames, out);
        }
        self.print_rows(&frames[..frames.len() - shared], out)?;
        self.quiet(&format!("… {} as above", counted(shared as u64, "frame")), out)
    }

    fn print_rows(&self, frames: &[Frame], out: &mut Output) -> Result<(), Error> {
        let rows = if self.full { frames.iter().map(Row::Frame).collect() } else { fold(frames) };
        let column = self.name_column(&rows, out.width());
        let mut own = 0;
        for row in &rows {
            match row {
                Row::Frame(frame) => {
                    self.frame(frame, column, out)?;
                    if frame.in_app && (own <= WITH_SOURCE || self.full) {
                        self.source(frame, own == 0, out)?;
                    }
                    own += usize::from(frame.in_app);
                }
                row => self.note(row, out)?,
            }
        }
        Ok(())
    }

    /// The column where locations begin: after the longest name, within reason.
    fn name_column(&self, rows: &[Row<'_>], width: Option<usize>) -> usize {
        let names = rows.iter().filter_map(|row| match row {
            Row::Frame(frame) => Some(crate::cli::text::width(&frame.function)),
            _ => None,
        });
        let widest = width.map_or(WIDEST_NAME, |width| (width / 2).min(WIDEST_NAME));
        names.filter(|&name| name <= widest).max().unwrap_or(0) + 4
    }

    fn frame(&self, frame: &Frame, column: usize, out: &mut Output) -> Result<(), Error> {
        let role = if frame.in_app { Role::Strong } else { Role::Quiet };
        let mut line = Line::new();
        line.push(Role::Plain, "  ").push(role, &frame.function);
        if let Some(location) = frame.location() {
            let role = if frame.in_app { Role::Place } else { Role::Quiet };
            line.pad_to(column, 2).push(role, &location);
        }
        Ok(out.wrapped(&line, 6)?)
    }

    /// The frame's lines of source: several for the first own frame, one for the others.
    fn source(&self, frame: &Frame, first: bool, out: &mut Output) -> Result<(), Error> {
        let around = if first || self.full { 2 } else { 0 };
        let Some(Excerpt { lines, changed }) = source::excerpt(frame, around, self.crash) else {
            return Ok(());
        };
        for (number, text) in lines {
            let hit = Some(number) == frame.line;
            let mut line = Line::new();
            let (marker, role) = if hit { ("▶", Role::Plain) } else { (" ", Role::Quiet) };
            line.push(Role::Cause, &format!("  {marker} "));
            line.push(Role::Quiet, &format!("{number:>5} │ "));
            line.push(role, text.replace('\t', "    ").trim_end());
            out.cut(&line)?;
        }
        if changed && first {
            let note = "          │ the file was changed after the crash";
            out.line(Line::new().push(Role::Warning, note))?;
        }
        Ok(())
    }

    fn note(&self, row: &Row<'_>, out: &mut Output) -> Result<(), Error> {
        let note = match row {
            Row::Frame(_) => return Ok(()),
            Row::Repeated(times) => format!("… and the same {times} times more"),
            Row::Others(frames) => {
                let count = counted(frames.len() as u64, "frame");
                format!("… {count} of {}", self.owners(frames))
            }
            Row::Middle(frames) => {
                format!("… {} (--full shows them)", counted(*frames as u64, "frame"))
            }
        };
        self.quiet(&note, out)
    }

    fn quiet(&self, note: &str, out: &mut Output) -> Result<(), Error> {
        let mut line = Line::new();
        line.push(Role::Plain, "  ").push(Role::Quiet, note);
        Ok(out.wrapped(&line, 6)?)
    }

    /// Whose frames they are: the crates, or just that they are not the program's.
    fn owners(&self, frames: &[Frame]) -> String {
        let mut owners: Vec<&str> = Vec::new();
        for owner in frames.iter().map(|frame| owner(&frame.function)) {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        match owners.as_slice() {
            _ if !self.native => "other code".to_owned(),
            [one] => (*one).to_owned(),
            [several @ .., last] if several.len() < 3 => {
                format!("{} and {last}", several.join(", "))
            }
            _ => format!("{} and others", owners[..3].join(", ")),
        }
    }
}

/// The crate a native function belongs to.
fn owner(function: &str) -> &str {
    let path = function.trim_start_matches(['<', '&', '[', '(']).trim_start_matches("dyn ");
    match path.split_once("::") {
        Some(("std" | "core" | "alloc" | "__rustc", _)) => "std",
        Some((name, _)) => name,
        None => "the system",
    }
}

/// Folds repetitions, runs of other frames, and the middle of what is still too long. The innermost
/// frame always stands by itself: that is where it happened.
fn fold(frames: &[Frame]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut rest = frames;
    let mut innermost = true;
    while let Some(frame) = rest.first() {
        let same = rest.iter().take_while(|f| f.function == frame.function && f.line == frame.line);
        let same = same.count();
        let others = rest.iter().take_while(|frame| !frame.in_app).count();
        let taken = if others > 1 && !innermost {
            rows.push(Row::Others(&rest[..others]));
            others
        } else {
            rows.push(Row::Frame(frame));
            match same {
                1 | 2 => 1,
                more => {
                    rows.push(Row::Repeated(more - 1));
                    more
                }
            }
        };
        rest = &rest[taken..];
        innermost = false;
    }
    fold_middle(rows)
}

fn fold_middle(mut rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    if rows.len() > INNER + OUTER + 1 {
        let middle = INNER..rows.len() - OUTER;
        let frames = rows[middle.clone()].iter().map(|row| match row {
            Row::Frame(_) => 1,
            Row::Repeated(frames) | Row::Middle(frames) => *frames,
            Row::Others(frames) => frames.len(),
        });
        let frames = frames.sum();
        rows.splice(middle, [Row::Middle(frames)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"app dep! dep!"`: own frames, and others with an exclamation mark.
    fn frames(spec: &str) -> Vec<Frame> {
        let frame = |(line, word): (u64, &str)| Frame {
            function: word.trim_end_matches('!').to_owned(),
            in_app: !word.ends_with('!'),
            line: Some(if word.starts_with("same") { 1 } else { line }),
            ..Frame::default()
        };
        (1..).zip(spec.split(' ')).map(frame).collect()
    }

    fn folded(spec: &str) -> String {
        let frames = frames(spec);
        let words = fold(&frames).into_iter().map(|row| match row {
            Row::Frame(frame) => frame.function.clone(),
            Row::Repeated(times) => format!("x{times}"),
            Row::Others(frames) => format!("[{}]", frames.len()),
            Row::Middle(frames) => format!("({frames})"),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn runs_of_other_frames_are_folded() {
        assert_eq!(folded("a b! c! d! e f! g h! i!"), "a [3] e f g [2]");
    }

    #[test]
    fn the_innermost_frame_stands_whoever_owns_it() {
        assert_eq!(folded("unwrap! b! c! d"), "unwrap [2] d");
        assert_eq!(folded("b! c! d!"), "b [2]");
    }

    #[test]
    fn recursion_is_counted() {
        assert_eq!(folded("a same same same same main"), "a same x3 main");
        assert_eq!(folded("a same same main"), "a same same main");
    }

    #[test]
    fn the_middle_of_a_long_stack_is_counted() {
        let spec: Vec<_> = (0..100).map(|i| format!("f{i}")).collect();
        let rows = folded(&spec.join(" "));
        assert!(rows.contains(" f23 (70) f94 "), "{rows}");
        let frames = frames(&spec[..31].join(" "));
        assert_eq!(fold(&frames).len(), 31);
    }

    #[test]
    fn a_function_belongs_to_its_crate() {
        for (function, expected) in [
            ("core::panicking::panic_fmt", "std"),
            ("<alloc::vec::Vec<T> as core::ops::Index>::index", "std"),
            ("<&mut tokio::io::Stdin as X>::poll", "tokio"),
            ("__libc_start_main", "the system"),
            ("hyper::client::send", "hyper"),
        ] {
            let path = function.replace("<&mut ", "<&");
            assert_eq!(owner(&path), expected);
        }
    }
}
