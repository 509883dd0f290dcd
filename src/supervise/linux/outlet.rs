//! Where standard error goes on to: written to without waiting, and without changing what others
//! share.
//!
//! **Guarantee:** a slow reader never holds up the monitor, and flags of the inherited open file
//! stay as they are (O_NONBLOCK there would reach the shell and everyone else who has it). **Except**
//! for regular files, disks and devices that are no terminal: writes there wait as any write does.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2, write};
use rustix::net::{SendFlags, send};
use rustix::stdio::stderr;

/// What is always written to a pipe whole, or not at all.
const PIPE_BUF: usize = 4096;

/// Where standard error goes on to.
pub(super) struct Outlet {
    way: Way,
    /// Whether it tells by `poll` that its reader has gone.
    tells: bool,
}

/// How it is written to.
enum Way {
    /// As any file.
    Plain,
    /// Through an open file of our own, which does not block.
    Reopened(OwnedFd),
    /// A socket, where each call says that it does not block.
    Socket,
    /// A pipe or terminal that could not be opened again: in small pieces, when there is room.
    Careful,
    /// Its reader has gone.
    Gone,
}

/// What became of bytes to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// So many of them were.
    Some(usize),
    /// There is no room now.
    Full,
    /// They cannot be, now or later.
    Lost,
    /// There is no reader any more.
    Gone,
}

impl Outlet {
    /// Our standard error.
    pub(super) fn new() -> Self {
        let kind = fstat(stderr()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let (way, tells) = match kind {
            Ok(FileType::Fifo) => (reopen(), true),
            Ok(FileType::Socket) => (Way::Socket, is_stream()),
            Ok(FileType::CharacterDevice) if rustix::termios::isatty(stderr()) => (reopen(), false),
            _ => (Way::Plain, false),
        };
        Outlet { way, tells }
    }

    /// Writes what there is room for.
    pub(super) fn write(&self, bytes: &[u8]) -> Written {
        let result = match &self.way {
            Way::Plain => write(stderr(), bytes),
            Way::Reopened(own) => write(own, bytes),
            Way::Socket => send(stderr(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Way::Careful => write_carefully(bytes),
            Way::Gone => Err(Errno::PIPE),
        };
        match result {
            Ok(written) => Written::Some(written),
            Err(Errno::AGAIN | Errno::INTR) => Written::Full,
            Err(Errno::PIPE | Errno::CONNRESET) => Written::Gone,
            Err(_) => Written::Lost,
        }
    }

    /// The descriptor that `poll` tells about room and the reader's end by.
    pub(super) fn descriptor(&self) -> RawFd {
        match &self.way {
            Way::Reopened(own) => own.as_raw_fd(),
            _ => stderr().as_raw_fd(),
        }
    }

    /// Whether `poll` tells that its reader has gone.
    pub(super) fn tells(&self) -> bool {
        self.tells && !self.is_gone()
    }

    /// The pipe that it is, if it does not block.
    pub(super) fn pipe(&self) -> Option<&OwnedFd> {
        match &self.way {
            Way::Reopened(own) if self.tells => Some(own),
            _ => None,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.way, Way::Gone)
    }

    /// Notes that its reader has gone.
    pub(super) fn close(&mut self) {
        self.way = Way::Gone;
    }

    /// The terminal that window size and modes are taken from, if it is one.
    pub(super) fn as_terminal(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Reopened(own) => own.as_fd(),
            _ => stderr(),
        }
    }
}

/// Opens standard error once more: the new open file has flags of its own.
fn reopen() -> Way {
    /// `/dev/ptmx`: opened again it is another terminal.
    const PTMX: u64 = libc::makedev(5, 2);
    let readable_only = fcntl_getfl(stderr()).is_ok_and(|it| it & OFlags::RWMODE == OFlags::RDONLY);
    if readable_only || fstat(stderr()).is_ok_and(|stat| stat.st_rdev == PTMX) {
        return Way::Careful;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open("/proc/self/fd/2", flags, Mode::empty()) {
        Ok(own) => Way::Reopened(own),
        // Another user's, or no /proc here. A pipe without a reader is found out later.
        Err(_) => Way::Careful,
    }
}

/// Writes without waiting where the call can say so, else as much as there is room for if nobody
/// else writes at the same time.
fn write_carefully(bytes: &[u8]) -> Result<usize, Errno> {
    match pwritev2(stderr(), &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::SPIPE) => {}
        result => return result,
    }
    let mut ready = libc::pollfd { fd: stderr().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one `pollfd` is borrowed for the call.
    match unsafe { libc::poll(&mut ready, 1, 0) } {
        1 => write(stderr(), &bytes[..bytes.len().min(PIPE_BUF)]),
        _ => Err(Errno::AGAIN),
    }
}

fn is_stream() -> bool {
    rustix::net::sockopt::socket_type(stderr()) == Ok(rustix::net::SocketType::STREAM)
}
