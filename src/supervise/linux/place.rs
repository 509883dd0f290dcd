//! The program's place: our session and process group, or one of its own with the terminal.
//!
//! **Guarantee:** with a group of its own the program has the terminal where we had it: it can read,
//! and `^C` reaches it. When it ends or stops, the terminal is the shell's or ours again.
//!
//! If we lead the session, we give up the controlling terminal and the program leads a new session
//! with it. The kernel tells the foreground group of this by SIGHUP and SIGCONT, in our own name: by
//! this they are known and not passed on. If we do not lead it, the terminal stays the session's
//! and the program leads a process group, which becomes the foreground one if ours was.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, getpid};

/// Where the program's process group and session are.
pub(super) enum Place {
    /// In our process group.
    Shared,
    /// In a new session, with the controlling terminal that was ours, if we had one.
    Session(Option<OwnedFd>),
    /// In a new process group of our session, which may have a controlling terminal.
    Group(Option<OwnedFd>),
}

impl Place {
    /// Makes the place ready, before the program is started.
    pub(super) fn prepare(own_group: bool) -> Place {
        if !own_group {
            return Place::Shared;
        }
        let terminal = open_terminal();
        if !leads_session() {
            return Place::Group(terminal);
        }
        if let Some(terminal) = &terminal {
            // SAFETY: the call takes no argument.
            unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
        }
        Place::Session(terminal)
    }

    /// Takes the place, in the forked child. Async-signal-safe.
    pub(super) fn enter(&self) {
        // SAFETY: the calls have no preconditions; descriptors are open. SIGTTOU, which a change of
        // the foreground group raises in the background, is blocked.
        unsafe {
            match self {
                Place::Shared => {}
                Place::Session(terminal) => {
                    libc::setsid();
                    if let Some(terminal) = terminal {
                        libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0);
                    }
                }
                Place::Group(terminal) => {
                    let ours = libc::getpgrp();
                    libc::setpgid(0, 0);
                    if let Some(terminal) = terminal
                        && libc::tcgetpgrp(terminal.as_raw_fd()) == ours
                    {
                        libc::tcsetpgrp(terminal.as_raw_fd(), libc::getpgrp());
                    }
                }
            }
        }
    }

    /// Whether the program leads a group of its own.
    pub(super) fn is_own(&self) -> bool {
        !matches!(self, Place::Shared)
    }

    /// Whether the program was put into a session of its own, where the kernel lets no signal of a
    /// terminal's stop it: nobody there could make it go on.
    pub(super) fn is_session(&self) -> bool {
        matches!(self, Place::Session(_))
    }

    /// Whether the terminal's foreground is ours or was given to the program: a shell waits for us.
    pub(super) fn is_waited_for(&self, program: Pid) -> bool {
        let (foreground, ours) = match self {
            Place::Group(terminal) => (terminal.as_ref().and_then(foreground_of), Some(program)),
            Place::Session(_) => return false,
            Place::Shared => (open_terminal().as_ref().and_then(foreground_of), None),
        };
        foreground.is_some() && (foreground == own_group() || foreground == ours)
    }

    /// Gives the terminal's foreground to the program's group if it is our group's; whether it was.
    pub(super) fn hand_over(&self, program: Pid) -> bool {
        self.move_foreground(own_group(), Some(program))
    }

    /// Takes it back if it is the program's group's.
    pub(super) fn take_back(&self, program: Pid) {
        self.move_foreground(Some(program), own_group());
    }

    fn move_foreground(&self, from: Option<Pid>, to: Option<Pid>) -> bool {
        let (Place::Group(Some(terminal)), Some(from), Some(to)) = (self, from, to) else {
            return false;
        };
        foreground_of(terminal) == Some(from) && rustix::termios::tcsetpgrp(terminal, to).is_ok()
    }
}

/// Our controlling terminal, if we have one.
fn open_terminal() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()
}

// Groups and sessions that were made outside our PID namespace have no number in it: the calls say
// 0, which `rustix` does not expect of all of them.

fn foreground_of(terminal: &OwnedFd) -> Option<Pid> {
    // SAFETY: the descriptor is open.
    visible(unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) })
}

fn own_group() -> Option<Pid> {
    // SAFETY: the call has no preconditions.
    visible(unsafe { libc::getpgrp() })
}

fn visible(group: libc::pid_t) -> Option<Pid> {
    if group > 0 { Pid::from_raw(group) } else { None }
}

/// Whether this process leads its session.
pub(super) fn leads_session() -> bool {
    // SAFETY: the call has no preconditions.
    unsafe { libc::getsid(0) == getpid().as_raw_nonzero().get() }
}

/// Whether a process is in our process group.
pub(super) fn is_in_our_group(process: Pid) -> bool {
    // SAFETY: the calls have no preconditions.
    unsafe { libc::getpgid(process.as_raw_nonzero().get()) == libc::getpgrp() }
}
