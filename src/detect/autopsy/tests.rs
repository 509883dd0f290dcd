//! Every end, from regions as processes leave them.

use super::*;
use crate::detect::Mechanism;
use crate::detect::oom::OomCounters;
use crate::record::{Breadcrumb, Identity, PanicRecord, Region, Select, ThreadInfo};

const DEATH: &str = "0123456789abcdef0123456789abcdef";
const MAIN: u64 = 7;
const WORKER: u64 = 8;
const SECOND: u64 = 1_000_000_000;
/// When the process began, in nanoseconds since the machine's boot.
const BEGIN: u64 = 1000 * SECOND;

const KILL: i32 = 9;
const TERM: i32 = 15;
const SEGV: i32 = 11;
const HUP: i32 = 1;
const PIPE: i32 = 13;

/// A process that has left nothing but who it was.
fn left() -> Snapshot {
    let identity = Identity {
        pid: MAIN as u32,
        silent_death_id: DEATH.to_owned(),
        started_millis: 1_000_000,
        ..Identity::default()
    };
    let region = Region::on_heap(256 * 1024, &identity);
    Snapshot::of_region(&region, Select::newest(10)).unwrap()
}

/// Panic `number`, a second later for each.
fn panic(number: u64, thread: u64) -> PanicRecord {
    let boot_nanos = BEGIN + number * SECOND;
    PanicRecord {
        event_id: [number as u8; 16],
        number,
        chained_to: None,
        boot_nanos,
        wall_nanos: i64::try_from(boot_nanos).unwrap(),
        facts_nanos: boot_nanos,
        addresses_nanos: Some(boot_nanos),
        thread,
        thread_name: None,
        main: thread == MAIN,
        aborts: false,
        no_unwind: false,
        span: 0,
        placeholder: false,
        message: format!("panic {number}"),
        message_bytes: 7,
        file: "src/main.rs".to_owned(),
        line: 1,
        column: 1,
        addresses: Vec::new(),
        addresses_elided: 0,
        complete: true,
        reported: false,
        unkept: false,
        outlived: false,
    }
}

fn reported(panic: PanicRecord) -> PanicRecord {
    PanicRecord { reported: true, ..panic }
}

/// A signal taken by a thread so many seconds after the begin.
fn fatal(signal: i32, thread: u64, seconds: u64) -> FatalRecord {
    FatalRecord {
        signal,
        code: 1,
        address: 0xdead,
        sender: None,
        boot_nanos: BEGIN + seconds * SECOND,
        wall_nanos: i64::try_from(BEGIN + seconds * SECOND).unwrap(),
        thread,
        thread_name: None,
        main: thread == MAIN,
        span: 0,
        registers: None,
        stack_start: 0,
        stack: Vec::new(),
        maps: String::new(),
        complete: true,
        returned: false,
    }
}

/// A log line of a thread.
fn line(thread: u64, seconds: u64) -> Breadcrumb {
    let boot_nanos = BEGIN + seconds * SECOND;
    Breadcrumb {
        time: system_time(i64::try_from(boot_nanos).unwrap()),
        boot_nanos,
        level: tracing_core::Level::INFO,
        target: String::new(),
        message: String::new(),
        fields: serde_json::Map::new(),
        thread: ThreadInfo { id: thread, ..ThreadInfo::default() },
        spans: Vec::new(),
        file: None,
        line: None,
        cut: false,
        amid_panic: false,
        position: crate::record::Position::Nowhere,
    }
}

fn asked(signal: i32, seconds: u64, died_of_it: bool) -> Option<Asked> {
    Some(Asked { signal, boot_nanos: BEGIN + seconds * SECOND, died_of_it })
}

fn unwatched() -> Known {
    Known::default()
}

fn ended(ending: Ending) -> Known {
    Known { ending: Some(ending), ..Known::default() }
}

fn found(snapshot: &Snapshot, known: &Known) -> Findings {
    examine(snapshot, known, &mut Images::new())
}

/// Types of the crashes that are left to report, each with whether it is about the end.
fn crashes(findings: &Findings) -> Vec<(&str, bool)> {
    let of = |it: &Found| it.is_end;
    findings.crashes.iter().map(|it| (it.crash.exceptions[0].ty.as_str(), of(it))).collect()
}

/// Demands one crash, the death itself, under the id that the region has for it.
fn is_death(findings: &Findings, ty: &str) {
    assert_eq!(crashes(findings), [(ty, true)]);
    let crash = &findings.crashes[0].crash;
    assert_eq!(crash.event_id, Uuid::parse_str(DEATH).unwrap());
    assert!(findings.crashes[0].panics.is_empty() && findings.explained_by.is_empty());
}

fn is_nothing(findings: &Findings, outcome: Outcome) {
    assert_eq!((crashes(findings), findings.outcome), (Vec::new(), outcome));
}

fn stopped(signal: i32) -> Outcome {
    Outcome::Stopped { signal: Some(signal) }
}

#[test]
fn a_clean_end_is_none_whatever_it_left() {
    let clean = Snapshot { ended_cleanly: true, ..left() };
    is_nothing(&found(&clean, &unwatched()), Outcome::Ended);
    is_nothing(&found(&clean, &ended(Ending::Code(3))), Outcome::Ended);
    // A signal that comes after the exit handlers is nobody's crash.
    is_nothing(&found(&clean, &ended(Ending::Signal(KILL))), Outcome::Ended);
    let with_panic = Snapshot { panics: vec![panic(1, WORKER)], ..clean };
    let findings = found(&with_panic, &unwatched());
    assert_eq!((crashes(&findings), findings.outcome), (vec![("panic", false)], Outcome::Ended));
}

#[test]
fn status_101_is_about_the_last_panic_of_the_main_thread() {
    let panics = vec![panic(1, MAIN), panic(2, MAIN), panic(3, WORKER)];
    for ended_cleanly in [false, true] {
        let snapshot = Snapshot { panics: panics.clone(), ended_cleanly, ..left() };
        let findings = found(&snapshot, &ended(Ending::Code(101)));
        let ends: Vec<_> = findings.crashes.iter().map(|it| (it.panics[0], it.is_end)).collect();
        assert_eq!(ends, [(1, false), (2, true), (3, false)]);
        assert_eq!(findings.outcome, Outcome::Crashed);
    }
    let all = panics.into_iter().map(reported).collect();
    let findings = found(&Snapshot { panics: all, ..left() }, &ended(Ending::Code(101)));
    assert_eq!(findings.explained_by, [Uuid::from_bytes([2; 16])]);
    assert_eq!(crashes(&findings), []);
}

#[test]
fn another_status_is_the_programs_own() {
    is_nothing(&found(&left(), &ended(Ending::Code(101))), Outcome::Ended);
    is_nothing(&found(&left(), &ended(Ending::Code(70))), Outcome::Ended);
    let panics = vec![panic(1, MAIN)];
    let findings = found(&Snapshot { panics, ..left() }, &ended(Ending::Code(70)));
    assert_eq!((crashes(&findings), findings.outcome), (vec![("panic", false)], Outcome::Ended));
    // A handler wrote a signal down that the process outlived: it exited.
    let fatal = Some(fatal(SEGV, MAIN, 1));
    is_nothing(&found(&Snapshot { fatal, ..left() }, &ended(Ending::Code(0))), Outcome::Ended);
}

#[test]
fn a_signal_that_was_written_down_is_the_death() {
    let snapshot = Snapshot { fatal: Some(fatal(SEGV, WORKER, 5)), ..left() };
    for known in [unwatched(), ended(Ending::Signal(SEGV))] {
        let findings = found(&snapshot, &known);
        is_death(&findings, "SIGSEGV");
        assert_eq!(findings.outcome, Outcome::Crashed);
        let crash = &findings.crashes[0].crash;
        assert_eq!(crash.time, system_time(i64::try_from(BEGIN + 5 * SECOND).unwrap()));
        assert_eq!(crash.thread.as_ref().and_then(|thread| thread.id), Some(WORKER));
    }
    // It holds also where the machine was restarted before anybody looked.
    is_death(&found(&snapshot, &Known { is_no_death: true, ..unwatched() }), "SIGSEGV");
    let told = Snapshot { silent_reported: true, ..snapshot };
    assert_eq!(crashes(&found(&told, &unwatched())), []);
}

#[test]
fn a_signal_that_its_thread_outlived_is_about_nothing() {
    let outlived = Snapshot {
        fatal: Some(fatal(SEGV, WORKER, 5)),
        breadcrumbs: vec![line(WORKER, 6)],
        ..left()
    };
    is_death(&found(&outlived, &unwatched()), "SIGKILL");
    is_death(&found(&outlived, &ended(Ending::Signal(KILL))), "SIGKILL");
    // Another thread's line says nothing, and the status has the last word.
    let of_other = Snapshot { breadcrumbs: vec![line(MAIN, 6)], ..outlived.clone() };
    is_death(&found(&of_other, &unwatched()), "SIGSEGV");
    is_death(&found(&outlived, &ended(Ending::Signal(SEGV))), "SIGSEGV");
}

#[test]
fn an_abort_right_after_a_panic_of_its_thread_is_about_that() {
    let abort = |thread, seconds| Some(fatal(exit::ABORT, thread, seconds));
    let panics = vec![panic(1, WORKER)];
    let snapshot = Snapshot { panics, fatal: abort(WORKER, 2), ..left() };
    for known in [unwatched(), ended(Ending::Signal(exit::ABORT))] {
        let findings = found(&snapshot, &known);
        assert_eq!(crashes(&findings), [("panic", true)]);
        assert_eq!(findings.crashes[0].crash.severity, Severity::Fatal);
    }
    // Long after it, of another thread, or before it, it is a death of its own.
    for (thread, seconds) in [(WORKER, 20), (MAIN, 2), (WORKER, 0)] {
        let snapshot = Snapshot { fatal: abort(thread, seconds), ..snapshot.clone() };
        let findings = found(&snapshot, &unwatched());
        assert_eq!(crashes(&findings), [("panic", false), ("SIGABRT", true)], "{thread} {seconds}");
    }
    // A panic that cannot unwind is what ends the process, however long that takes.
    let aborts = PanicRecord { aborts: true, ..panic(1, WORKER) };
    let slow = Snapshot { panics: vec![aborts], fatal: abort(WORKER, 60), ..left() };
    assert_eq!(crashes(&found(&slow, &unwatched())), [("panic", true)]);
}

#[test]
fn an_abort_that_only_the_status_tells_is_about_a_panic_that_aborts() {
    let aborts = PanicRecord { aborts: true, ..panic(1, WORKER) };
    let snapshot = Snapshot { panics: vec![aborts], ..left() };
    for known in [unwatched(), ended(Ending::Signal(exit::ABORT))] {
        let findings = found(&snapshot, &known);
        assert_eq!(
            (crashes(&findings), findings.outcome),
            (vec![("panic", true)], Outcome::Crashed)
        );
    }
    let findings = found(&left(), &ended(Ending::Signal(exit::ABORT)));
    is_death(&findings, "SIGABRT");
    assert_eq!(findings.crashes[0].crash.exceptions[0].mechanism, Mechanism::Abort);
}

#[test]
fn a_stop_that_was_asked_for_is_none() {
    is_nothing(&found(&left(), &ended(Ending::Signal(TERM))), stopped(TERM));
    is_nothing(&found(&left(), &ended(Ending::Signal(PIPE))), stopped(PIPE));
    let died = Snapshot { asked: asked(TERM, 1, true), ..left() };
    is_nothing(&found(&died, &unwatched()), stopped(TERM));
    let by_other = Snapshot { ended_by: Some(PIPE), ..left() };
    is_nothing(&found(&by_other, &unwatched()), stopped(PIPE));
    // Who asks and is not heard kills.
    let handled = Snapshot { asked: asked(TERM, 1, false), ..left() };
    is_nothing(&found(&handled, &unwatched()), stopped(TERM));
    is_nothing(&found(&handled, &ended(Ending::Signal(KILL))), stopped(KILL));
    let by_monitor = Known { asked_to_stop: true, ..ended(Ending::Signal(KILL)) };
    is_nothing(&found(&left(), &by_monitor), stopped(KILL));
    // A fault while it stops is one all the same.
    is_death(&found(&handled, &ended(Ending::Signal(SEGV))), "SIGSEGV");
}

#[test]
fn a_signal_that_has_other_uses_explains_a_kill_for_a_while_only() {
    let after = |minutes: u64| Snapshot {
        asked: asked(HUP, 0, false),
        breadcrumbs: vec![line(MAIN, minutes * 60)],
        ..left()
    };
    is_nothing(&found(&after(9), &unwatched()), stopped(HUP));
    is_death(&found(&after(11), &unwatched()), "SIGKILL");
}

#[test]
fn nothing_written_down_is_a_kill() {
    for known in [unwatched(), ended(Ending::Signal(KILL))] {
        let findings = found(&left(), &known);
        is_death(&findings, "SIGKILL");
        assert_eq!(findings.outcome, Outcome::Killed);
    }
    // A panic before it is another report.
    let snapshot = Snapshot { panics: vec![panic(1, WORKER)], ..left() };
    let findings = found(&snapshot, &unwatched());
    assert_eq!(crashes(&findings), [("panic", false), ("SIGKILL", true)]);
    let told = Snapshot { silent_reported: true, ..left() };
    is_nothing(&found(&told, &unwatched()), Outcome::Killed);
}

#[test]
fn the_oom_killer_is_no_stop_that_was_asked_for() {
    let around = Circumstances { oom: Some(OomCounters::default()), ..Circumstances::default() };
    let handled = Snapshot { asked: asked(TERM, 1, false), ..left() };
    for ending in [None, Some(Ending::Signal(KILL))] {
        let known = Known { ending, around, ..Known::default() };
        let findings = found(&handled, &known);
        is_death(&findings, "OutOfMemory");
        assert_eq!(findings.outcome, Outcome::Killed);
    }
}

#[test]
fn what_is_no_death_leaves_only_what_was_not_told() {
    let known = Known { is_no_death: true, ..Known::default() };
    is_nothing(&found(&left(), &known), Outcome::Ended);
    let panics = vec![reported(panic(1, MAIN)), panic(2, WORKER)];
    let findings = found(&Snapshot { panics, ..left() }, &known);
    assert_eq!(crashes(&findings), [("panic", false)]);
    assert_eq!(findings.crashes[0].panics, [2]);
}

#[test]
fn the_time_of_death_is_that_of_the_last_sign_where_nobody_saw_it() {
    let time = |snapshot: &Snapshot, known: &Known| found(snapshot, known).crashes[0].crash.time;
    let at = |seconds: u64| system_time(i64::try_from(BEGIN + seconds * SECOND).unwrap());
    assert_eq!(time(&left(), &unwatched()), system_time(1_000_000 * 1_000_000));
    let logged = Snapshot { breadcrumbs: vec![line(MAIN, 1), line(WORKER, 4)], ..left() };
    assert_eq!(time(&logged, &unwatched()), at(4));
    let panicked = Snapshot { panics: vec![reported(panic(9, WORKER))], ..logged };
    assert_eq!(time(&panicked, &unwatched()), at(9));
    let seen = Known { time: Some(at(20)), ..unwatched() };
    assert_eq!(time(&panicked, &seen), at(20));
}

#[test]
fn panics_of_one_unwinding_are_one_crash() {
    let chained = PanicRecord { chained_to: Some(1), ..panic(2, WORKER) };
    let snapshot = Snapshot { panics: vec![panic(1, WORKER), chained.clone()], ..left() };
    let findings = found(&snapshot, &ended(Ending::Code(0)));
    assert_eq!(findings.crashes.len(), 1);
    assert_eq!(findings.crashes[0].panics, [1, 2]);
    assert_eq!(findings.crashes[0].until, Some(BEGIN + SECOND));
    let half = Snapshot { panics: vec![reported(panic(1, WORKER)), chained], ..left() };
    assert_eq!(crashes(&found(&half, &ended(Ending::Code(0)))), []);
}

/// Until it is over, the main thread's panic is what the process dies of, whoever is faster.
#[test]
fn a_kill_that_meets_the_main_threads_panic_is_about_that() {
    let kill = ended(Ending::Signal(KILL));
    let panicked = Snapshot { panics: vec![panic(1, MAIN)], ..left() };
    let seconds = |seconds: u64| {
        let nanos = panicked.panics[0].wall_nanos + i64::try_from(seconds * SECOND).unwrap();
        Some(system_time(nanos))
    };
    let types = |snapshot: &Snapshot, known: &Known| {
        let findings = found(snapshot, known);
        let crashes = crashes(&findings).into_iter();
        crashes.map(|(ty, end)| (ty.to_owned(), end)).collect::<Vec<_>>()
    };
    let both = [("panic".to_owned(), false), ("SIGKILL".to_owned(), true)];
    for known in [unwatched(), kill.clone(), Known { time: seconds(1), ..kill.clone() }] {
        assert_eq!(types(&panicked, &known), [("panic".to_owned(), true)]);
        // Reported by itself, it is completed.
        let by_itself = panicked.panics.iter().cloned().map(reported).collect();
        let findings = found(&Snapshot { panics: by_itself, ..left() }, &known);
        assert_eq!(findings.explained_by, [Uuid::from_bytes([1; 16])]);
        assert_eq!((crashes(&findings), findings.outcome), (vec![], Outcome::Crashed));
        // Other threads end alone, and what was outlived was caught.
        let of = |panic: PanicRecord| Snapshot { panics: vec![panic], ..left() };
        assert_eq!(types(&of(panic(1, WORKER)), &known), both);
        assert_eq!(types(&of(PanicRecord { outlived: true, ..panic(1, MAIN) }), &known), both);
        let later = panicked.panics[0].boot_nanos / SECOND - BEGIN / SECOND + 1;
        let went_on = Snapshot { breadcrumbs: vec![line(MAIN, later)], ..panicked.clone() };
        assert_eq!(types(&went_on, &known), both);
        let told = Breadcrumb { amid_panic: true, ..line(MAIN, later) };
        let told = Snapshot { breadcrumbs: vec![told], ..panicked.clone() };
        assert_eq!(types(&told, &known), [("panic".to_owned(), true)], "a hook's own line");
    }
    assert_eq!(types(&panicked, &Known { time: seconds(60), ..kill.clone() }), both);
    let around = Circumstances { oom: Some(OomCounters::default()), ..Circumstances::default() };
    assert_eq!(types(&panicked, &Known { around, ..kill })[0], both[0]);
}

/// What a signal ends within a second of a panic that was caught was not ended by that.
#[test]
fn a_panic_before_another_death_was_outlived() {
    let panics = vec![reported(panic(1, MAIN)), reported(panic(2, WORKER))];
    let snapshot = Snapshot { panics, fatal: Some(fatal(SEGV, WORKER, 60)), ..left() };
    let findings = found(&snapshot, &unwatched());
    is_death(&findings, "SIGSEGV");
    assert_eq!(findings.outlived, [1, 2].map(|id| Uuid::from_bytes([id; 16])));
    let stopped = Snapshot { fatal: None, asked: asked(TERM, 60, true), ..snapshot };
    assert!(found(&stopped, &unwatched()).outlived.is_empty(), "nobody knows");
}

/// A signal that many programs use otherwise explains a kill for a while, whether they log or not.
#[test]
fn what_asked_long_ago_explains_no_kill() {
    let snapshot = Snapshot { asked: asked(HUP, 10, false), ..left() };
    let kill = |minutes: u64| Known {
        boot_nanos: Some(BEGIN + 10 * SECOND + minutes * 60 * SECOND),
        ..ended(Ending::Signal(KILL))
    };
    is_nothing(&found(&snapshot, &kill(9)), Outcome::Stopped { signal: Some(KILL) });
    is_death(&found(&snapshot, &kill(11)), "SIGKILL");
    let term = Snapshot { asked: asked(TERM, 10, false), ..left() };
    is_nothing(&found(&term, &kill(60)), Outcome::Stopped { signal: Some(KILL) });
}
