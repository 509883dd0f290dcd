//! A terminal for the program's standard error alone.
//!
//! **Guarantee:** `isatty` is true there and the window size is our terminal's; bytes pass unaltered
//! (output is not processed here, the real terminal does that), and it never becomes a controlling
//! terminal by our doing. **Not given:** input. Nothing is typed there, a read waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Both ends of a new terminal, ours and the program's.
pub(super) fn open(like: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let programs = rustix::fs::open(name, flags, Mode::empty())?;
    let mut modes = tcgetattr(like).or_else(|_| tcgetattr(&programs))?;
    modes.output_modes.remove(OutputModes::OPOST);
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    tcsetattr(&programs, OptionalActions::Now, &modes)?;
    copy_size(like, ours.as_fd());
    Ok((ours, programs))
}

/// Copies the window size of one terminal to another; whether it was another one. Does nothing where
/// one is no terminal.
pub(super) fn copy_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let (Ok(new), Ok(old)) = (tcgetwinsize(from), tcgetwinsize(to)) else { return false };
    let is_other = (new.ws_col, new.ws_row, new.ws_xpixel, new.ws_ypixel)
        != (old.ws_col, old.ws_row, old.ws_xpixel, old.ws_ypixel);
    is_other && tcsetwinsize(to, new).is_ok()
}
