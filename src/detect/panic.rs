//! From the panics in a region to [`Crash`]es: one for each death, whatever number of panics it
//! took.
//!
//! **Guarantee:** a panic and those raised about it (in a destructor while it unwound, at a function
//! that cannot unwind) are one crash, about the first, under the first's event id.

use std::time::Duration;

use sentry::types::Uuid;

use super::crash::{
    Crash, CrashedThread, Exception, Frame, Location, Mechanism, Runtime, Severity,
};
use super::hook::UNKNOWN_PAYLOAD;
use super::in_app::{OwnCrates, is_local};
use super::{rust_names, stack};
use crate::record::{PanicRecord, boot_nanos, system_time};

/// A panic with those chained to it, in the order in which they began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family<'a> {
    /// Never empty; the first is what the crash is about.
    pub members: Vec<&'a PanicRecord>,
}

/// Groups panics (in the order they began) into families.
pub fn families(panics: &[PanicRecord]) -> Vec<Family<'_>> {
    let root = |panic: &PanicRecord| {
        let mut number = panic.number;
        // A link goes to an earlier panic; anything else is damage, and could be a loop.
        while let Some(earlier) = panics
            .iter()
            .find(|p| p.number == number)
            .and_then(|p| p.chained_to)
            .filter(|earlier| *earlier < number && panics.iter().any(|p| p.number == *earlier))
        {
            number = earlier;
        }
        number
    };
    let mut families: Vec<Family<'_>> = Vec::new();
    for panic in panics {
        let root = root(panic);
        match families.iter_mut().find(|family| family.members[0].number == root) {
            Some(family) => family.members.push(panic),
            None => families.push(Family { members: vec![panic] }),
        }
    }
    families
}

impl Family<'_> {
    /// The panic that the crash is about.
    pub fn first(&self) -> &PanicRecord {
        self.members[0]
    }

    /// The ids of all its panics, any of which its report may have.
    pub(crate) fn event_ids(&self) -> Vec<Uuid> {
        self.members.iter().map(|panic| Uuid::from_bytes(panic.event_id)).collect()
    }

    /// Whether the process dies of it: it aborts, or it is on the main thread and not known to be
    /// caught.
    pub fn severity(&self) -> Severity {
        let fatal = self.members.iter().any(|panic| panic.aborts) || self.first().main;
        if fatal { Severity::Fatal } else { Severity::Error }
    }

    /// Whether its last panic began within the last `span`, by the clock of this machine.
    pub fn is_younger(&self, span: Duration) -> bool {
        let last = self.members.iter().map(|panic| panic.boot_nanos).max().unwrap_or(0);
        u128::from(boot_nanos().saturating_sub(last)) < span.as_nanos()
    }

    /// Symbolicates the family's stacks, in the process that panicked.
    pub fn crash(&self, own: &OwnCrates) -> Crash {
        self.crash_of(|panic| exception(panic, own))
    }

    /// The crash as another process knows it; `frames` makes something of return addresses.
    pub(crate) fn crash_from_outside(&self, mut frames: impl FnMut(&[u64]) -> Vec<Frame>) -> Crash {
        self.crash_of(|panic| {
            let exception = bare_exception(panic);
            let found = frames(&panic.addresses);
            if found.is_empty() { exception } else { Exception { frames: found, ..exception } }
        })
    }

    fn crash_of(&self, exception: impl FnMut(&PanicRecord) -> Exception) -> Crash {
        let first = self.first();
        Crash {
            event_id: Uuid::from_bytes(first.event_id),
            time: system_time(first.wall_nanos),
            runtime: Runtime::Rust,
            // The compiler of this crate, which is that of the program.
            runtime_version: rustc_version(),
            severity: self.severity(),
            thread: Some(CrashedThread {
                id: Some(first.thread),
                name: first.thread_name.clone(),
                main: first.main,
            }),
            exceptions: self.members.iter().copied().map(exception).collect(),
            threads: Vec::new(),
            threads_elided: 0,
        }
    }
}

/// The compiler that built this program.
pub(crate) fn rustc_version() -> Option<String> {
    option_env!("LASTWORDS_RUSTC").filter(|version| !version.is_empty()).map(str::to_owned)
}

fn exception(panic: &PanicRecord, own: &OwnCrates) -> Exception {
    let frames = stack::symbolicate(&panic.addresses);
    let mut frames = stack::cut_panic_machinery(frames);
    // A build without debug info still says where a panic was raised, and so whose code it is.
    let mut own = own.clone();
    if let Some(function) = frames.first().and_then(|frame| frame.function.as_deref()) {
        own.learn_panic(function, &panic.file);
    }
    stack::mark_in_app(&mut frames, &own);
    if let Some(inlined) = inlined_place(panic, &frames) {
        frames.insert(0, inlined);
    }
    Exception { value: value(panic), frames, ..bare_exception(panic) }
}

/// A panic with nothing resolved.
fn bare_exception(panic: &PanicRecord) -> Exception {
    let address = |address: &u64| Frame { address: Some(*address), ..Frame::default() };
    Exception {
        ty: "panic".to_owned(),
        value: message(panic),
        mechanism: Mechanism::Panic,
        signal: None,
        location: (!panic.file.is_empty()).then(|| Location {
            file: panic.file.clone(),
            line: panic.line,
            column: panic.column,
        }),
        frames: panic.addresses.iter().filter(|at| **at != 0).map(address).collect(),
        frames_elided: panic.addresses_elided,
        created_by: None,
    }
}

/// The place of a panic as a frame, where the function it is in was inlined into one that is not the
/// program's and no debug info tells of it. Its name is not known.
fn inlined_place(panic: &PanicRecord, frames: &[Frame]) -> Option<Frame> {
    let standard = |frame: &&Frame| {
        let krate = frame.function.as_deref().and_then(rust_names::krate);
        krate.is_some_and(rust_names::is_standard)
    };
    let into = frames.iter().find(|frame| !standard(frame))?;
    let known = into.in_app || into.file.is_some() || into.function.is_none();
    (is_local(&panic.file) && !panic.file.is_empty() && !known).then(|| Frame {
        file: Some(panic.file.clone()),
        line: Some(panic.line),
        column: Some(panic.column),
        in_app: true,
        address: into.address,
        inlined: true,
        ..Frame::default()
    })
}

/// The message, with the type of a payload filled in where the symbols say it.
fn value(panic: &PanicRecord) -> String {
    if panic.placeholder
        && panic.message == UNKNOWN_PAYLOAD
        && let Some(ty) = stack::payload_type(&panic.addresses)
    {
        return format!("<panic payload of type {ty}>");
    }
    message(panic)
}

/// The message, the cut marked.
fn message(panic: &PanicRecord) -> String {
    let missing = panic.message_bytes.saturating_sub(panic.message.len() as u64);
    if missing > 0 {
        format!("{}… ({missing} more bytes)", panic.message)
    } else {
        panic.message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(number: u64, chained_to: Option<u64>) -> PanicRecord {
        PanicRecord {
            event_id: [number as u8; 16],
            number,
            chained_to,
            boot_nanos: 0,
            wall_nanos: 0,
            facts_nanos: 0,
            addresses_nanos: Some(0),
            thread: 1,
            thread_name: None,
            main: false,
            aborts: chained_to.is_some(),
            no_unwind: false,
            span: 0,
            placeholder: false,
            message: "m".into(),
            message_bytes: 1,
            file: "src/lib.rs".into(),
            line: 1,
            column: 1,
            addresses: vec![],
            addresses_elided: 0,
            complete: true,
            reported: false,
            unkept: false,
            outlived: false,
        }
    }

    #[test]
    fn chained_panics_are_one_crash_about_the_first() {
        let panics = [panic(1, None), panic(2, Some(1)), panic(3, None), panic(4, Some(2))];
        let families = families(&panics);
        let numbers: Vec<Vec<u64>> = families
            .iter()
            .map(|family| family.members.iter().map(|panic| panic.number).collect())
            .collect();
        assert_eq!(numbers, [vec![1, 2, 4], vec![3]]);
        assert_eq!(families[0].severity(), Severity::Fatal);
        assert_eq!(families[1].severity(), Severity::Error);
    }

    #[test]
    fn damaged_links_end() {
        let panics = [panic(1, Some(2)), panic(2, Some(1)), panic(5, Some(5)), panic(6, Some(99))];
        assert_eq!(families(&panics).len(), 3);
    }
}
