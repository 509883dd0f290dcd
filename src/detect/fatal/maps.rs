//! Copies the executable lines of `/proc/self/maps` into the region.
//!
//! **Guarantee:** at most [`MOST_READS`] small reads into the region itself, none onto the stack;
//! what is kept are whole lines. **Lost:** all of it where there is no /proc or no descriptor left:
//! the region's identity has the executable and its build id.

use std::os::fd::AsRawFd;

use rustix::fs::{Mode, OFlags};

use crate::record::FatalArea;

/// Bytes of one read: what the kernel formats at a time.
const READ: usize = 4096;
/// A process with more than 100,000 mappings is cut off here.
const MOST_READS: u32 = 4096;

/// Copies the lines.
#[inline(never)]
pub(super) fn copy(area: FatalArea<'_>) {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = |path| rustix::fs::open(path, flags, Mode::empty());
    // That of the process is empty once the thread that ran `main` has ended.
    let opened = open(c"/proc/thread-self/maps").or_else(|_| open(c"/proc/self/maps"));
    let Ok(file) = opened else { return };
    let mut kept = Kept { lines: 0, end: 0, fields: 0, is_executable: false };
    for _ in 0..MOST_READS {
        let room = READ.min(FatalArea::MAPS_BYTES - kept.end);
        if room == 0 {
            break;
        }
        let first = area.maps_room().wrapping_add(kept.end);
        // SAFETY: the area gives the room from `kept.end` to its end, at least `room` bytes, for
        // system calls to write to, and only this thread writes there.
        let read = unsafe { libc::read(file.as_raw_fd(), first.cast(), room) };
        let Some(read) = usize::try_from(read).ok().filter(|read| *read > 0) else { break };
        let from = kept.end;
        for at in from..from + read {
            kept.take(area, at);
        }
    }
    area.set_maps_kept(kept.lines);
}

/// What is kept of what was read, at the beginning of the area.
struct Kept {
    /// Bytes of the whole lines kept.
    lines: usize,
    /// Where the line that is being read ends so far.
    end: usize,
    /// Blanks seen in it: the second field says what may be done with the mapping.
    fields: usize,
    /// Whether it has the letter `x` there.
    is_executable: bool,
}

impl Kept {
    /// Takes the next byte, which lies at `at` and belongs to `end`, at or before that.
    fn take(&mut self, area: FatalArea<'_>, at: usize) {
        let byte = area.maps_byte(at);
        area.write_maps_byte(self.end, byte);
        self.end += 1;
        match byte {
            b'\n' => {
                if self.is_executable {
                    self.lines = self.end;
                }
                *self =
                    Kept { lines: self.lines, end: self.lines, fields: 0, is_executable: false };
            }
            b' ' => self.fields += 1,
            b'x' if self.fields == 1 => self.is_executable = true,
            _ => {}
        }
    }
}
