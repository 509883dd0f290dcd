//! A death that only the exit status tells of.
//!
//! **Guarantee:** a process that a fault, an abort, a limit or SIGKILL ended is a crash also if it
//! printed nothing. **Not a crash:** any exit with a status of the program's own, and the signals by
//! which programs are asked to stop or told that nobody listens (`TERM`, `INT`, `HUP`, `QUIT`, `PIPE`,
//! `ALRM`, `USR1`, ...).
//!
//! Why a signal came is said where it is known: SIGKILL by the counters of the memory cgroup, SIGXCPU
//! and SIGXFSZ by the limit that was set.

use std::time::SystemTime;

use sentry::types::Uuid;

use super::crash::{Crash, Ending, Exception, Mechanism, Runtime, Severity, SignalInfo};
use super::oom::OomCounters;
use super::rlimits::ResourceLimits;
use super::signal;

/// Signals that nobody sends to have a program stop.
#[cfg(unix)]
const FATAL: [i32; 10] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGKILL,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// Elsewhere no signal ends a process.
#[cfg(not(unix))]
const FATAL: [i32; 0] = [];

/// The signal that an abort ends in.
#[cfg(unix)]
pub(crate) const ABORT: i32 = libc::SIGABRT;
#[cfg(not(unix))]
pub(crate) const ABORT: i32 = 6;

/// The signals whose numbers say why they were sent. Where no signal ends a process, the numbers are
/// Linux's, for what is said of a process of another machine.
#[cfg(unix)]
const KILL: i32 = libc::SIGKILL;
#[cfg(not(unix))]
const KILL: i32 = 9;
#[cfg(unix)]
const CPU_LIMIT: i32 = libc::SIGXCPU;
#[cfg(not(unix))]
const CPU_LIMIT: i32 = 24;
#[cfg(unix)]
const FILE_LIMIT: i32 = libc::SIGXFSZ;
#[cfg(not(unix))]
const FILE_LIMIT: i32 = 25;

/// Whether an ending is a crash by itself.
#[must_use]
pub fn is_crash(ending: Ending) -> bool {
    matches!(ending, Ending::Signal(number) if FATAL.contains(&number))
}

/// Whether `ending` is the one that an abort has, which what was printed before explains.
#[must_use]
pub fn is_abort(ending: Ending) -> bool {
    ending == Ending::Signal(ABORT)
}

/// What is known around an end, besides how it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The counters of its memory cgroup after its end, if they [show](super::oom::is_oom_kill) that the
    /// OOM killer was at work there while it ran.
    pub oom: Option<OomCounters>,
    /// The limits it ran under.
    pub limits: ResourceLimits,
}

/// The crash that an ending is by itself, if it is one, with nothing known around it.
#[must_use]
pub fn silent_crash(ending: Ending, event_id: Uuid, time: SystemTime) -> Option<Crash> {
    silent_crash_in(&Circumstances::default(), ending, event_id, time)
}

/// The crash that an ending is by itself, if it is one, and what the circumstances say of its reason:
/// a SIGKILL where the OOM killer was at work is an `OutOfMemory`.
#[must_use]
pub fn silent_crash_in(
    around: &Circumstances,
    ending: Ending,
    event_id: Uuid,
    time: SystemTime,
) -> Option<Crash> {
    let Ending::Signal(number) = ending else { return None };
    if !is_crash(ending) {
        return None;
    }
    if let Some(counters) = around.oom.filter(|_| is_kill(number)) {
        return Some(crash(out_of_memory(&counters), event_id, time));
    }
    let mechanism = if is_abort(ending) { Mechanism::Abort } else { Mechanism::Signal };
    let value = reason(number, &around.limits);
    Some(crash(exception(signal::name(number), value, mechanism, number), event_id, time))
}

/// The crash of a process that is gone and has left no mark of a clean end, where nobody learned its
/// status: SIGKILL, as far as can be told, or `OutOfMemory` where the counters of its memory cgroup
/// (`oom`) [show](super::oom::is_oom_kill) that the OOM killer was at work there since it began.
#[must_use]
pub fn unwatched_death(event_id: Uuid, time: SystemTime, oom: Option<OomCounters>) -> Crash {
    let exception = match oom {
        Some(counters) => out_of_memory(&counters),
        // Its type is the likeliest end; that a signal was sent is not known, so none is named.
        None => Exception {
            signal: None,
            ..exception(signal::name(KILL), UNWATCHED.to_owned(), Mechanism::Signal, KILL)
        },
    };
    crash(exception, event_id, time)
}

/// What is said of an end that nobody saw.
const UNWATCHED: &str = "killed, or ended by _exit or as another program: nobody watched it";

fn out_of_memory(counters: &OomCounters) -> Exception {
    let mut value = "killed by the kernel's OOM killer".to_owned();
    let known = [("limit", counters.limit), ("peak", counters.peak)];
    let known = known.into_iter().filter_map(|(name, bytes)| bytes.map(|bytes| (name, bytes)));
    for (i, (name, bytes)) in known.enumerate() {
        let before = if i == 0 { ":" } else { "," };
        value.push_str(&format!("{before} {name} {} MiB", mebibytes(bytes)));
    }
    exception("OutOfMemory".to_owned(), value, Mechanism::Oom, KILL)
}

/// Bytes in MiB whatever their number, rounded up: reports are grouped by their words, so the unit must
/// not change from one to the next.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

/// Why the signal was sent, where its number says so.
fn reason(number: i32, limits: &ResourceLimits) -> String {
    let limited = |what: &str, limit: Option<u64>, unit: &str| match limit {
        Some(limit) => format!("{what} limit of {limit} {unit} exceeded"),
        None => format!("{what} limit exceeded"),
    };
    match number {
        CPU_LIMIT => limited("CPU time", limits.cpu_seconds, "s"),
        FILE_LIMIT => limited("file size", limits.file_bytes, "bytes"),
        _ if is_kill(number) => "killed".to_owned(),
        _ => String::new(),
    }
}

/// Whether an ending is that of a kill: what no program can do anything about.
#[must_use]
pub fn is_killed(ending: Ending) -> bool {
    ending == Ending::Signal(KILL)
}

fn is_kill(number: i32) -> bool {
    number == KILL
}

fn exception(ty: String, value: String, mechanism: Mechanism, number: i32) -> Exception {
    let name = signal::name(number);
    Exception {
        ty,
        value,
        mechanism,
        signal: Some(SignalInfo { number: Some(number), name, ..SignalInfo::default() }),
        location: None,
        frames: Vec::new(),
        frames_elided: 0,
        created_by: None,
    }
}

fn crash(exception: Exception, event_id: Uuid, time: SystemTime) -> Crash {
    Crash {
        event_id,
        time,
        runtime: Runtime::Unknown,
        runtime_version: None,
        severity: Severity::Fatal,
        thread: None,
        exceptions: vec![exception],
        threads: Vec::new(),
        threads_elided: 0,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn crash(ending: Ending) -> Option<Crash> {
        silent_crash(ending, Uuid::nil(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn faults_and_kills_are_crashes() {
        let segv = crash(Ending::Signal(libc::SIGSEGV)).expect("a crash");
        assert_eq!(segv.exceptions[0].ty, "SIGSEGV");
        assert_eq!(segv.exceptions[0].mechanism, Mechanism::Signal);
        let abort = crash(Ending::Signal(libc::SIGABRT)).expect("a crash");
        assert_eq!(abort.exceptions[0].mechanism, Mechanism::Abort);
        let kill = crash(Ending::Signal(libc::SIGKILL)).expect("a crash");
        assert_eq!(said(&kill), ("SIGKILL", "killed"));
    }

    fn said(crash: &Crash) -> (&str, &str) {
        (&crash.exceptions[0].ty, &crash.exceptions[0].value)
    }

    fn crash_in(around: &Circumstances, number: i32) -> Crash {
        let ending = Ending::Signal(number);
        silent_crash_in(around, ending, Uuid::nil(), SystemTime::UNIX_EPOCH).expect("a crash")
    }

    fn oom(limit: Option<u64>, peak: Option<u64>) -> OomCounters {
        OomCounters { oom_kills: 1, limit, peak, usage: None }
    }

    #[test]
    fn the_oom_killer_explains_a_kill_and_nothing_else() {
        let around = Circumstances {
            oom: Some(oom(Some(64 << 20), Some((64 << 20) - 4096))),
            ..Circumstances::default()
        };
        let kill = crash_in(&around, libc::SIGKILL);
        let value = "killed by the kernel's OOM killer: limit 64 MiB, peak 64 MiB";
        assert_eq!(said(&kill), ("OutOfMemory", value));
        assert_eq!(kill.exceptions[0].mechanism, Mechanism::Oom);
        let number = kill.exceptions[0].signal.as_ref().and_then(|signal| signal.number);
        assert_eq!(number, Some(libc::SIGKILL));
        assert_eq!(said(&crash_in(&around, libc::SIGSEGV)), ("SIGSEGV", ""));
    }

    #[test]
    fn what_is_not_known_of_the_memory_is_left_out() {
        for (limit, peak, end) in
            [(None, None, ""), (None, Some(1), ": peak 1 MiB"), (Some(0), None, ": limit 0 MiB")]
        {
            let crash =
                unwatched_death(Uuid::nil(), SystemTime::UNIX_EPOCH, Some(oom(limit, peak)));
            let value = format!("killed by the kernel's OOM killer{end}");
            assert_eq!(said(&crash), ("OutOfMemory", &*value));
        }
    }

    #[test]
    fn a_limit_is_named_with_its_size_where_that_is_known() {
        let limits = ResourceLimits { cpu_seconds: Some(5), file_bytes: Some(4096) };
        let around = Circumstances { limits, ..Circumstances::default() };
        let cpu = crash_in(&around, libc::SIGXCPU);
        assert_eq!(said(&cpu), ("SIGXCPU", "CPU time limit of 5 s exceeded"));
        let file = crash_in(&around, libc::SIGXFSZ);
        assert_eq!(said(&file), ("SIGXFSZ", "file size limit of 4096 bytes exceeded"));
        let unknown = crash(Ending::Signal(libc::SIGXFSZ)).expect("a crash");
        assert_eq!(said(&unknown), ("SIGXFSZ", "file size limit exceeded"));
    }

    #[test]
    fn an_end_that_nobody_saw_claims_no_signal() {
        let crash = unwatched_death(Uuid::nil(), SystemTime::UNIX_EPOCH, None);
        assert_eq!(said(&crash), ("SIGKILL", UNWATCHED));
        assert_eq!(crash.exceptions[0].signal, None);
        assert_eq!(crash.severity, Severity::Fatal);
    }

    #[test]
    fn stops_and_exits_are_none() {
        for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
            assert_eq!(crash(Ending::Signal(number)), None, "{number}");
        }
        for code in [0, 1, 101, 139] {
            assert_eq!(crash(Ending::Code(code)), None, "{code}");
        }
    }
}
