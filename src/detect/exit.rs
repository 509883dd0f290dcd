//! A death that only the exit status tells of.
//!
//! **Guarantee:** a process that a fault, an abort, a limit or SIGKILL ended is a crash also if it
//! printed nothing. **Not a crash:** any exit with a status of the program's own, and the signals by
//! which programs are asked to stop or told that nobody listens (`TERM`, `INT`, `HUP`, `QUIT`, `PIPE`,
//! `ALRM`, `USR1`, ...).

use std::time::SystemTime;

use sentry::types::Uuid;

use super::crash::{Crash, Ending, Exception, Mechanism, Runtime, Severity, SignalInfo};
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
const ABORT: i32 = libc::SIGABRT;
#[cfg(not(unix))]
const ABORT: i32 = 6;

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

/// The crash that an ending is by itself, if it is one.
#[must_use]
pub fn silent_crash(ending: Ending, event_id: Uuid, time: SystemTime) -> Option<Crash> {
    let Ending::Signal(number) = ending else { return None };
    if !is_crash(ending) {
        return None;
    }
    let name = signal::name(number);
    let exception = Exception {
        ty: name.clone(),
        value: String::new(),
        mechanism: if is_abort(ending) { Mechanism::Abort } else { Mechanism::Signal },
        signal: Some(SignalInfo { number: Some(number), name, ..SignalInfo::default() }),
        location: None,
        frames: Vec::new(),
        frames_elided: 0,
        created_by: None,
    };
    Some(Crash {
        event_id,
        time,
        runtime: Runtime::Unknown,
        runtime_version: None,
        severity: Severity::Fatal,
        thread: None,
        exceptions: vec![exception],
        threads: Vec::new(),
        threads_elided: 0,
    })
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
        assert!(crash(Ending::Signal(libc::SIGKILL)).is_some());
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
