//! How a program is run on Linux.
//!
//! `at_start` knows what was inherited; `exec` with `environment` makes the program's image ready;
//! `place` its session or group; `spawn` starts it; `detach` lets go of what was inherited. Then
//! `monitor` waits for what comes: `signals` are read and passed on to a `target`, standard error by
//! `relay` from a pipe or `pty` to an `outlet`, children's ends by `reap`.
//!
//! A program that watches itself is run by `itself`, or left as it is and watched by a `detached`
//! process that learns of its end from a `pidfd`.

mod at_start;
mod detach;
mod detached;
mod environment;
mod exec;
mod itself;
mod monitor;
mod outlet;
mod place;
mod pty;
mod reap;
mod relay;
mod signals;
mod spawn;
mod target;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, getpid};

pub(crate) use self::detached::{Happened, Watched, detach};
pub(super) use self::itself::die_by;
pub(crate) use self::itself::{has_one_thread, itself};

use self::exec::Image;
use self::monitor::Monitor;
use self::outlet::Outlet;
use self::place::Place;
use self::relay::Relay;
use self::signals::{Inherited, Queue};
use self::spawn::{Failure, Plan};
use self::target::Target;
use super::{Command, Ended, PtyMode, StartError, Watcher};

/// What the pipe shall hold, so that a program need not wait for us often. More gained nothing, and
/// all pipes of a user share 64 MiB, beyond which new ones get a page or two.
const PIPE_SIZE: usize = 256 * 1024;

pub(super) fn run(command: &Command, watcher: &mut dyn Watcher) -> Result<Ended, StartError> {
    let cannot_run = |source| StartError::CannotRun { program: command.program.clone(), source };
    let image = Image::new(command).map_err(cannot_run)?;
    let signals = signals::block();
    let started = start(command, image, &signals);
    let (program, place, queue, relay) = started.inspect_err(|_| signals.restore_mask())?;
    detach::let_go(&command.keep);
    watcher.started(program.as_raw_nonzero().get().cast_unsigned());
    let target = Target::new(program, place.is_own());
    Ok(Monitor::new(watcher, &command.rewrites, place, target, queue, relay).run())
}

type Started = (Pid, Place, Queue, Relay);

fn start(command: &Command, image: Image, signals: &Inherited) -> Result<Started, StartError> {
    let internal = |action| move |source| StartError::Internal { action, source };
    let queue = Queue::new().map_err(internal("read signals"))?;
    let outlet = Outlet::new();
    let channel = open_channel(command.pty, &outlet).map_err(internal("make a pipe"))?;
    if command.group && getpid() != Pid::INIT {
        let _ = rustix::process::set_child_subreaper(Some(getpid()));
    }
    let place = Place::prepare(command.group);
    let plan = Plan { image, stderr: channel.programs.as_fd(), place: &place, signals };
    let program = spawn::spawn(plan).map_err(|failure| describe(failure, command))?;
    let relay = Relay::new(channel.ours, channel.is_pty, outlet);
    Ok((program, place, queue, relay))
}

/// What standard error goes through.
struct Channel {
    ours: OwnedFd,
    programs: OwnedFd,
    is_pty: bool,
}

fn open_channel(mode: PtyMode, outlet: &Outlet) -> io::Result<Channel> {
    let wants_pty = match mode {
        PtyMode::Auto => rustix::termios::isatty(rustix::stdio::stderr()),
        PtyMode::Always => true,
        PtyMode::Never => false,
    };
    let pty = if wants_pty { Some(pty::open(outlet.as_terminal())) } else { None };
    let (ours, programs, is_pty) = match pty {
        Some(Ok((ours, programs))) => (ours, programs, true),
        Some(Err(error)) if mode == PtyMode::Always => return Err(error),
        _ => {
            let (ours, programs) = pipe_with(PipeFlags::CLOEXEC)?;
            let _ = fcntl_setpipe_size(&ours, PIPE_SIZE);
            (ours, programs, false)
        }
    };
    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    Ok(Channel { ours, programs, is_pty })
}

fn describe(failure: Failure, command: &Command) -> StartError {
    let program = command.program.clone();
    match failure {
        Failure::Fork(source) => StartError::Internal { action: "start a process", source },
        Failure::Exec { error, there } if error.raw_os_error() == Some(libc::ENOENT) => {
            StartError::NotFound { program, interpreter: there }
        }
        Failure::Exec { error, .. } => StartError::CannotRun { program, source: error },
    }
}
