//! Room 5, supervise: runs a program and watches it, as if nobody did.
//!
//! **Guarantee:** a program behaves under [`run`] as it does without. Standard input and output are
//! its own, not copies; what it writes to standard error is passed on byte for byte as it comes;
//! it has the descriptors, signal mask, ignored signals, limits, directory and environment it would
//! have; every signal sent to the monitor that can be passed on is passed on; the monitor stops and
//! goes on when it does, and ends as it ended ([`exit_like`]). Beside it runs one process with one
//! thread, which holds nothing of what it inherited but standard error and keeps no directory busy.
//!
//! **What differs:**
//! * Its standard error is a pipe, or with [`PtyMode`] a terminal of its own. Writing there while
//!   the reader is slow blocks later, by the pipe's size. Nothing can be read from that terminal.
//!   A program started with standard error closed gets a pipe there all the same.
//! * Its parent is the monitor, so a signal that it sends to its parent ends there; and a signal
//!   that somebody sends to the whole process group of both reaches it twice, except a terminal's
//!   own (`^C`) and one it sent itself. SIGWINCH is the exception to this: where standard error is
//!   a terminal of its own it is passed on as well, after the new size is in place
//!   (with [`group`](Command::group), half a second later at most: the kernel does not tell us).
//! * Where standard output and error go to the same place, text of one may overtake the other's.
//! * A terminal's own signal that it got directly cannot be rewritten: that takes
//!   [`group`](Command::group).
//! * The monitor stops when the program is stopped by SIGTSTP, SIGTTIN or SIGTTOU; by SIGSTOP only
//!   if it has the terminal's foreground, where a shell waits for it.
//!
//! **The end.** What the program wrote is passed on to its last byte, however long the reader takes,
//! unless SIGTERM, SIGINT, SIGHUP or SIGQUIT was received: then a reader that takes nothing for
//! [`PATIENCE`] is given up. Another process that holds the pipe delays the end until it is silent
//! for [`SILENCE`], or by [`LINGER`]. With [`group`](Command::group), what is left of the
//! group when the program has ended gets SIGTERM, and after [`GRACE`] SIGKILL.
//!
//! **If the reader of standard error goes away**, the pipe is closed, so that the program gets the
//! SIGPIPE or error it would get without us; it is watched on. A full disk, a limit on a
//! file's size or a terminal that hung up costs bytes ([`Ended::stderr_lost`]), and the program does
//! not notice.
//!
//! **If the monitor is killed**, the program lives on; its next write to standard error fails with
//! EPIPE and SIGPIPE (EIO where it is a terminal). Nothing ties its life to the monitor's, so
//! nothing is taken down by a fault here. A fault of the monitor's own (SIGSEGV) ends it: such
//! signals are passed on only when somebody sends them.
//!
//! **As PID 1**, and with [`group`](Command::group) as a subreaper, it reaps orphans. Elsewhere it is
//! no subreaper: orphans of the program get the parent they would have without us.
//!
//! **Variables that name a process**: `LISTEN_PID`, `LISTEN_PIDFDID`, `WATCHDOG_PID` and
//! `SYSTEMD_EXEC_PID` name the program if they named the monitor. (A service whose messages to
//! systemd come from it needs `NotifyAccess=all`.)

mod command;
mod error;
mod rewrite;

#[cfg(target_os = "linux")]
mod linux;

use std::time::{Duration, Instant, SystemTime};

#[cfg(target_os = "linux")]
pub(crate) use linux::{Happened, Watched, detach, has_one_thread, itself};

pub use command::{Born, Command, PtyMode, PtyModeError, RawFd};
pub use error::StartError;
pub use rewrite::{RewriteError, Rewrites};

use crate::detect::{Ending, signal};

/// How long other processes that hold the pipe may be silent after the program's end.
pub const SILENCE: Duration = Duration::from_millis(100);
/// How long they delay the end in all.
pub const LINGER: Duration = Duration::from_millis(500);
/// How long the rest of a group has to end after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(2);
/// For how long a reader of standard error may take nothing after the program's end and a signal
/// that asks to stop.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Who is told of what happens to the program. All calls come from within [`run`].
///
/// While a call takes its time, standard error and signals wait: it should be short.
pub trait Watcher {
    /// The program runs. Called once, before anything else, after inherited descriptors were closed.
    fn started(&mut self, pid: u32);
    /// Bytes of its standard error, passed on already as far as the reader takes them.
    fn stderr(&mut self, bytes: &[u8]);
    /// When [`wake`](Watcher::wake) wants to be called, if it does.
    fn next_wake(&self) -> Option<Instant>;
    /// The time has come. The next one is later, or there is none.
    fn wake(&mut self);
    /// The program gets a signal that asks to stop, or what it is rewritten to: from us, or (a terminal's)
    /// from the kernel.
    fn asked_to_stop(&mut self, signal: i32) {
        let _ = signal;
    }
    /// Nothing more will come from standard error: it was closed, its reader went away, or it was
    /// given up because another process held it. Called once.
    fn stderr_ended(&mut self) {}
    /// The program has ended like this, and [`stderr_ended`](Watcher::stderr_ended) was called.
    /// Some of the last bytes may still wait for their reader, and [`run`] with them.
    fn ended(&mut self, ending: Ending) {
        let _ = ending;
    }
}

/// How the program ended, and what it used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ended {
    /// Its exit status, or the signal that ended it.
    pub ending: Ending,
    /// When we learned that.
    pub time: SystemTime,
    /// What it and its descendants used.
    pub usage: Usage,
    /// The last SIGTERM, SIGINT, SIGHUP or SIGQUIT that was received for it, passed on by us or
    /// (a terminal's) by the kernel.
    pub asked_to_stop: Option<i32>,
    /// When that came.
    pub asked_at: Option<Instant>,
    /// How many bytes of standard error could not be written where ours goes.
    pub stderr_lost: u64,
}

/// How long after a signal that many programs also use otherwise (SIGHUP to read their settings again,
/// SIGQUIT to show their threads) an end is taken for what it asked.
const ASKED: Duration = Duration::from_secs(10 * 60);

impl Ended {
    /// Whether its end may be what somebody asked for: SIGTERM asks for nothing else, however long the
    /// program takes; the other signals, a while ago.
    #[must_use]
    pub fn was_asked_to_stop(&self) -> bool {
        let recently = self.asked_at.is_some_and(|at| at.elapsed() <= ASKED);
        self.asked_to_stop.is_some_and(|signal| signal::is_term(signal) || recently)
    }
}

/// What a program used, it and those of its descendants that it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that the largest of them had at most.
    pub max_resident: u64,
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
}

/// Runs the program to its end.
///
/// To be called from a process with one thread; the watcher may start more once the program runs.
/// Afterwards standard input and output are
/// `/dev/null`, the working directory is `/`, and signals stay blocked, so that nothing but the
/// program's end decides how the wrapper ends. All this also holds while the watcher is called.
///
/// # Errors
///
/// If the program was not started; then the watcher was not called.
#[cfg(target_os = "linux")]
pub fn run(command: &Command, watcher: &mut dyn Watcher) -> Result<Ended, StartError> {
    linux::run(command, watcher)
}

/// Programs are not supervised on this system.
///
/// # Errors
///
/// Always [`StartError::Unsupported`].
#[cfg(not(target_os = "linux"))]
pub fn run(_command: &Command, _watcher: &mut dyn Watcher) -> Result<Ended, StartError> {
    Err(StartError::Unsupported)
}

/// Exits as a shell reports such an end: with the program's status, or 128+N for signal N.
pub fn exit_like(ending: Ending) -> ! {
    std::process::exit(match ending {
        Ending::Code(code) => code,
        Ending::Signal(signal) => 128 + signal,
    })
}

/// Ends as the program ended: with its status, or by the signal that ended it, without a core of our
/// own. As PID 1, which no signal of its own ends, as [`exit_like`] does.
///
/// No exit handler runs: those that there are were registered for the program, which has run its own.
#[cfg(target_os = "linux")]
pub(crate) fn die_like(ending: Ending) -> ! {
    if let Ending::Signal(signal) = ending {
        linux::die_by(signal);
    }
    let status = match ending {
        Ending::Code(code) => code,
        Ending::Signal(signal) => 128 + signal,
    };
    // SAFETY: it ends the process, and runs nothing.
    unsafe { libc::_exit(status) }
}
