//! From what a dead process left in its region to what it died of.
//!
//! **Guarantee:** a death is at most one crash, under the id that the region had before it happened,
//! whoever looks and however often; a panic whose report the process did not live to write is one of
//! its own, unless the death is about it. A clean end, a stop that somebody asked for and an exit with
//! a status of the program's own are none. A kill that meets the main thread's panic is about that panic.
//! **Lost:** where nobody learned the exit status, how a process
//! ended that neither ran a handler nor left a mark: SIGKILL and `_exit` look the same.
//!
//! What a fatal signal is about: a SIGABRT belongs to the last panic of its thread where the stack shows
//! the panic machinery (or, without a stack or its names, where the panic cannot have been survived); then the
//! panic's report is the one. A signal that the thread has outlived (it recorded something later) is
//! about nothing.

use std::time::{Duration, SystemTime};

use sentry::types::Uuid;

use super::crash::{Crash, CrashedThread, Ending, Exception, Image, Runtime, Severity, SignalInfo};
use super::exit::{self, Circumstances};
use super::outside::{self, CapturedStack, Images, Modules, OutsideStack};
use super::panic::{Family, families};
use super::{OwnCrates, fault, learn_from_frames, signal};
use crate::record::{Asked, FatalRecord, LoadedModule, Snapshot, system_time};

/// How long before an abort a panic was raised that it is about, where no stack tells.
const JUST_BEFORE: Duration = Duration::from_secs(2);

/// How long a panic may take to be told and to unwind, where nothing says that it is over.
const LONGEST_PANIC: Duration = Duration::from_secs(10);

/// How long after a signal that many programs also use otherwise (SIGHUP to read their settings again,
/// SIGQUIT to show their threads) an end by SIGKILL is taken for what was asked.
const ASKED: Duration = Duration::from_secs(10 * 60);

/// The exit status of a program whose `main` panicked, from the standard library's runtime.
const PANICKED: i32 = 101;

/// What is known of an end besides what the region says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// How the process ended, where somebody learned it.
    pub(crate) ending: Option<Ending>,
    /// Whether it was asked to stop by who watched it.
    pub(crate) asked_to_stop: bool,
    /// What was found around it.
    pub(crate) around: Circumstances,
    /// Whether it did not die, or with its machine: only what it left unreported is to be told.
    pub(crate) is_no_death: bool,
    /// When it ended, where somebody saw that.
    pub(crate) time: Option<SystemTime>,
    /// The same in nanoseconds since the machine's boot.
    pub(crate) boot_nanos: Option<u64>,
}

/// What a process died of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ended by itself, with a status of its own.
    Ended,
    /// It was asked to stop, or a signal ended it that is no crash.
    Stopped {
        /// The signal, where it is known.
        signal: Option<i32>,
    },
    /// It crashed.
    Crashed,
    /// It was killed, without any doing of its own.
    Killed,
}

/// A crash that is to be reported, unless that was done already.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The crash.
    pub(crate) crash: Crash,
    /// The panics that it is about, by their numbers; none for a death without a panic.
    pub(crate) panics: Vec<u64>,
    /// The boot time in nanoseconds up to which log lines belong to it, where not all do.
    pub(crate) until: Option<u64>,
    /// Whether the process died of it.
    pub(crate) is_end: bool,
    /// Whether the stack is that of a fatal signal which the handling of a panic ended in.
    pub(crate) in_panic: bool,
    /// What was loaded, the executable first: of a fatal signal, for the minidump that the program
    /// asked for.
    pub(crate) modules: Option<Vec<Image>>,
}

/// What a region says of a death.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    /// Crashes without a report by the process itself, the death last.
    pub(crate) crashes: Vec<Found>,
    /// The ids of the panics that its end is about, where the process has reported them itself: one of
    /// them is the report's, the last if several reports are there.
    pub(crate) explained_by: Vec<Uuid>,
    /// The ids of the other panics that the process has reported, where it died of something else: they
    /// did not end it.
    pub(crate) outlived: Vec<Uuid>,
    /// What it died of.
    pub(crate) outcome: Outcome,
}

/// What the end of a process was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// No crash.
    Not(Outcome),
    /// The panics of this family.
    Panic(usize),
    /// The fatal signal in the region.
    Signal,
    /// Nothing was written of it.
    Silent,
}

/// Finds out what the process of `snapshot` died of. `images` are the files its code is in, as far as
/// they can still be had.
pub(crate) fn examine(snapshot: &Snapshot, known: &Known, images: &mut Images) -> Findings {
    let families = families(&snapshot.panics);
    let fatal = snapshot.fatal.as_ref().filter(|fatal| is_the_end(fatal, snapshot, known.ending));
    let recorded = &snapshot.identity.modules;
    let modules = match &snapshot.fatal {
        Some(fatal) => Modules::of_maps(fatal.maps.as_bytes(), recorded),
        None => Modules::of_record(recorded),
    };
    let mut laboratory = Laboratory { own: OwnCrates::default(), modules, images };
    // Most processes end well, and nothing is to be worked out.
    let is_reported = |family: &Family<'_>| family.members.iter().any(|panic| panic.reported);
    if fatal.is_some() || !families.iter().all(is_reported) {
        laboratory.learn(snapshot);
    }
    let stack = fatal.map(|fatal| laboratory.stack(fatal));
    let end = end(snapshot, known, &families, fatal, stack.as_ref());

    let mut findings = Findings {
        crashes: Vec::new(),
        explained_by: Vec::new(),
        outlived: Vec::new(),
        outcome: outcome(end, known),
    };
    for (index, family) in families.iter().enumerate() {
        let is_end = end == End::Panic(index);
        if is_reported(family) {
            if is_end {
                findings.explained_by = family.event_ids();
            } else if !matches!(end, End::Not(_)) {
                findings.outlived.extend(family.event_ids());
            }
            continue;
        }
        findings.crashes.push(laboratory.panic(family, is_end));
    }
    let in_panic = stack.as_ref().and_then(|stack| stack.in_panic) == Some(true);
    let death = match (end, fatal, stack) {
        _ if snapshot.silent_reported => None,
        (End::Signal, Some(fatal), Some(stack)) => {
            Some(signal_crash(fatal, stack, death_id(snapshot), snapshot.identity.pid))
        }
        (End::Silent, ..) => silent(snapshot, known),
        _ => None,
    };
    let is_wanted = snapshot.identity.minidump && end == End::Signal;
    findings.crashes.extend(death.map(|crash| Found {
        crash,
        panics: Vec::new(),
        until: None,
        is_end: true,
        in_panic,
        modules: is_wanted.then(|| laboratory.loaded(recorded)),
    }));
    findings
}

/// The id that the region has for its process's death.
fn death_id(snapshot: &Snapshot) -> Uuid {
    Uuid::parse_str(&snapshot.identity.silent_death_id).unwrap_or_default()
}

/// Whether the process died of a signal that its handler wrote down, and did not outlive it.
fn is_the_end(fatal: &FatalRecord, snapshot: &Snapshot, ending: Option<Ending>) -> bool {
    let outlived = || {
        let mut later = snapshot.breadcrumbs.iter().rev();
        later.any(|crumb| crumb.thread.id == fatal.thread && crumb.boot_nanos > fatal.boot_nanos)
    };
    match ending {
        Some(Ending::Code(_)) => false,
        // The standard library answers an overflow, which is a fault, by an abort.
        Some(ending) if ending == Ending::Signal(fatal.signal) || exit::is_abort(ending) => true,
        Some(_) | None => !outlived(),
    }
}

fn end(
    snapshot: &Snapshot,
    known: &Known,
    families: &[Family<'_>],
    fatal: Option<&FatalRecord>,
    stack: Option<&OutsideStack>,
) -> End {
    if let Some(fatal) = fatal {
        let about = exit::is_abort(Ending::Signal(fatal.signal))
            .then(|| panic_of_abort(snapshot, families, fatal, stack))
            .flatten();
        return about.map_or(End::Signal, End::Panic);
    }
    if known.is_no_death {
        return End::Not(Outcome::Ended);
    }
    if snapshot.ended_cleanly && !matches!(known.ending, Some(Ending::Code(PANICKED))) {
        return End::Not(Outcome::Ended);
    }
    let last = families.len().checked_sub(1);
    match known.ending {
        Some(Ending::Code(code)) => {
            let main = families.iter().rposition(|family| family.first().main);
            match main.filter(|_| code == PANICKED) {
                Some(index) => End::Panic(index),
                None => End::Not(Outcome::Ended),
            }
        }
        Some(ending @ Ending::Signal(number)) => {
            let explains = |index: &usize| {
                let family = &families[*index];
                family.members.iter().any(|panic| panic.aborts) || family.is_younger(JUST_BEFORE)
            };
            if let Some(index) = last.filter(explains).filter(|_| exit::is_abort(ending)) {
                return End::Panic(index);
            }
            let asked = known.asked_to_stop || was_asked(snapshot, known);
            if !exit::is_crash(ending)
                || exit::is_killed(ending) && asked && known.around.oom.is_none()
            {
                return End::Not(Outcome::Stopped { signal: Some(number) });
            }
            let met =
                exit::is_killed(ending).then(|| panic_that_a_kill_met(snapshot, known, families));
            met.flatten().map_or(End::Silent, End::Panic)
        }
        None => unwatched(snapshot, known, families),
    }
}

/// The end of a process whose status nobody learned, and that left no record of a fatal signal.
fn unwatched(snapshot: &Snapshot, known: &Known, families: &[Family<'_>]) -> End {
    let stopped = |signal| End::Not(Outcome::Stopped { signal: Some(signal) });
    if let Some(asked) = snapshot.asked.filter(|asked| asked.died_of_it) {
        return stopped(asked.signal);
    }
    if let Some(signal) = snapshot.ended_by {
        return stopped(signal);
    }
    let aborts = |family: &Family<'_>| family.members.iter().any(|panic| panic.aborts);
    if let Some(index) = families.iter().rposition(aborts) {
        return End::Panic(index);
    }
    match snapshot.asked {
        Some(asked) if was_asked(snapshot, known) && known.around.oom.is_none() => {
            stopped(asked.signal)
        }
        _ => panic_that_a_kill_met(snapshot, known, families).map_or(End::Silent, End::Panic),
    }
}

/// The main thread's panic that a kill met before it was over, so that it is what the process dies of: as
/// far as anybody knows the thread was still unwinding, or telling of it.
fn panic_that_a_kill_met(
    snapshot: &Snapshot,
    known: &Known,
    families: &[Family<'_>],
) -> Option<usize> {
    if known.around.oom.is_some() {
        return None;
    }
    let ends_it = |family: &Family<'_>| {
        family.first().main || family.members.iter().any(|panic| panic.aborts)
    };
    let index = families.iter().rposition(ends_it)?;
    let family = &families[index];
    let last = family.members.iter().map(|panic| panic.wall_nanos).max()?;
    let ended = known.time.unwrap_or_else(|| last_sign(snapshot).1);
    let since = ended.duration_since(system_time(last)).unwrap_or_default();
    (!is_over(family, snapshot) && since <= LONGEST_PANIC).then_some(index)
}

/// Whether a panic was survived: the process went on for long enough, or the thread has recorded something
/// that is not about the panic.
fn is_over(family: &Family<'_>, snapshot: &Snapshot) -> bool {
    let Some(last) = family.members.iter().max_by_key(|panic| panic.boot_nanos) else {
        return true;
    };
    let mut later = snapshot.breadcrumbs.iter().rev().filter(|crumb| !crumb.amid_panic);
    family.members.iter().all(|panic| panic.outlived)
        || later.any(|crumb| crumb.thread.id == last.thread && crumb.boot_nanos > last.boot_nanos)
}

/// Whether a signal that the process has outlived asked it to stop, and may be why it was killed.
fn was_asked(snapshot: &Snapshot, known: &Known) -> bool {
    let Some(Asked { signal, boot_nanos, .. }) = snapshot.asked else { return false };
    let ended = known.boot_nanos.unwrap_or_else(|| last_sign(snapshot).0);
    let after = ended.saturating_sub(boot_nanos);
    // What asks PID 1 of a namespace changes nothing if it has no handler: it may be long ago.
    signal::is_term(signal) && snapshot.identity.pid != 1 || u128::from(after) <= ASKED.as_nanos()
}

/// The family of panics that an abort ended.
fn panic_of_abort(
    snapshot: &Snapshot,
    families: &[Family<'_>],
    fatal: &FatalRecord,
    stack: Option<&OutsideStack>,
) -> Option<usize> {
    let of_thread = |family: &Family<'_>| {
        family
            .members
            .iter()
            .any(|panic| panic.thread == fatal.thread && is_before(panic.boot_nanos, fatal))
    };
    let index = families.iter().rposition(of_thread)?;
    let family = &families[index];
    let shown = stack.filter(|stack| !stack.frames.is_empty()).and_then(|stack| stack.in_panic);
    let aborts = family.members.iter().any(|panic| panic.aborts);
    let last = family.members.iter().map(|panic| panic.boot_nanos).max().unwrap_or(0);
    let just_before = fatal.boot_nanos.saturating_sub(last);
    let is_near = u128::from(just_before) <= LONGEST_PANIC.as_nanos();
    let explains = aborts || shown.unwrap_or_else(|| is_near && !is_over(family, snapshot));
    explains.then_some(index)
}

fn is_before(boot_nanos: u64, fatal: &FatalRecord) -> bool {
    boot_nanos <= fatal.boot_nanos
}

fn outcome(end: End, known: &Known) -> Outcome {
    let killed = known.around.oom.is_some() || known.ending.is_none_or(exit::is_killed);
    match end {
        End::Not(outcome) => outcome,
        End::Silent if killed => Outcome::Killed,
        End::Panic(_) | End::Signal | End::Silent => Outcome::Crashed,
    }
}

/// The last time at which the process certainly lived: boot time and wall time.
fn last_sign(snapshot: &Snapshot) -> (u64, SystemTime) {
    let started = system_time(snapshot.identity.started_millis.saturating_mul(1_000_000));
    let crumbs = snapshot.breadcrumbs.iter().map(|crumb| (crumb.boot_nanos, crumb.time));
    let panics = snapshot.panics.iter().map(|it| (it.boot_nanos, system_time(it.wall_nanos)));
    crumbs.chain(panics).max_by_key(|(boot, _)| *boot).unwrap_or((0, started))
}

/// The crash of a death that left no record.
fn silent(snapshot: &Snapshot, known: &Known) -> Option<Crash> {
    let id = death_id(snapshot);
    let time = known.time.unwrap_or_else(|| last_sign(snapshot).1);
    match known.ending {
        Some(ending) => exit::silent_crash_in(&known.around, ending, id, time),
        None => Some(exit::unwatched_death(id, time, known.around.oom)),
    }
}

/// The crash of a fatal signal of process `pid`.
fn signal_crash(fatal: &FatalRecord, stack: OutsideStack, event_id: Uuid, pid: u32) -> Crash {
    let name = signal::name(fatal.signal);
    let (ty, value, mechanism) = fault::describe(fatal, &stack.frames, pid);
    let exception = Exception {
        ty,
        value,
        mechanism,
        signal: Some(SignalInfo {
            number: Some(fatal.signal),
            name,
            code: Some(fatal.code.into()),
            address: fault::has_address(fatal).then_some(fatal.address),
        }),
        location: None,
        frames: stack.frames,
        frames_elided: stack.frames_elided,
        created_by: None,
    };
    Crash {
        event_id,
        time: system_time(fatal.wall_nanos),
        runtime: Runtime::Rust,
        runtime_version: None,
        severity: Severity::Fatal,
        thread: Some(CrashedThread {
            id: Some(fatal.thread),
            name: fatal.thread_name.clone(),
            main: fatal.main,
        }),
        exceptions: vec![exception],
        threads: Vec::new(),
        threads_elided: 0,
    }
}

/// What stacks are worked out with.
struct Laboratory<'a> {
    own: OwnCrates,
    modules: Modules,
    images: &'a mut Images,
}

impl Laboratory<'_> {
    /// Learns whose code the program's is.
    fn learn(&mut self, snapshot: &Snapshot) {
        for (module, file) in &snapshot.modules {
            self.own.learn(module, file);
        }
        let none = OwnCrates::default();
        let install = outside::stack_of_panic(
            &snapshot.identity.install_stack,
            &self.modules,
            self.images,
            &none,
        );
        learn_from_frames(&install.frames, &mut self.own);
    }

    fn stack(&mut self, fatal: &FatalRecord) -> OutsideStack {
        let Some(registers) = &fatal.registers else { return OutsideStack::default() };
        let captured = CapturedStack {
            registers: outside::Registers {
                pc: registers.pc(),
                sp: registers.sp(),
                fp: registers.fp(),
                lr: registers.lr().unwrap_or(0),
                all: registers.iter().collect(),
            },
            stack_start: fatal.stack_start,
            stack: &fatal.stack,
        };
        outside::stack_of_signal(&captured, &self.modules, self.images, &self.own)
    }

    fn loaded(&mut self, recorded: &[LoadedModule]) -> Vec<Image> {
        let executable = recorded.first().map_or(0, |module| module.base);
        outside::loaded_images(&self.modules, self.images, executable)
    }

    fn panic(&mut self, family: &Family<'_>, is_end: bool) -> Found {
        let mut crash = family.crash_from_outside(|addresses| {
            outside::stack_of_panic(addresses, &self.modules, self.images, &self.own).frames
        });
        crash.severity = if is_end { Severity::Fatal } else { Severity::Error };
        let panics = family.members.iter().map(|panic| panic.number).collect();
        let until = Some(family.first().boot_nanos);
        Found { crash, panics, until, is_end, in_panic: true, modules: None }
    }
}

#[cfg(test)]
mod tests;
