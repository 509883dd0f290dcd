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

#[cfg(all(test, not(any(lastwords_loom, miri))))]
mod tests {
    use super::*;
    use crate::record::{Identity, Region, Select, Snapshot};

    /// What is kept of these bytes.
    fn kept(text: &str) -> String {
        let region = Region::on_heap(0, &Identity::default());
        let area = region.fatal();
        let mut kept = Kept { lines: 0, end: 0, fields: 0, is_executable: false };
        for byte in text.bytes() {
            // Where the kernel would have put it.
            let at = kept.end;
            area.write_maps_byte(at, byte);
            kept.take(area, at);
        }
        (0..kept.lines).map(|at| char::from(area.maps_byte(at))).collect()
    }

    #[test]
    fn executable_lines_are_kept_whole() {
        let code = "1000-2000 r-xp 00000000 fe:00 7   /usr/bin/x y\n";
        let data = "2000-3000 rw-p 00001000 fe:00 7   /usr/lib/exec/x\n";
        let vdso = "7000-8000 r-xp 00000000 00:00 0   [vdso]\n";
        assert_eq!(kept(&[data, code, data, vdso, data].concat()), [code, vdso].concat());
        assert_eq!(kept(&[code, vdso.trim_end()].concat()), code, "a line that was cut off");
        assert_eq!(kept(""), "");
        assert_eq!(kept(data), "");
    }

    /// The real thing: as the kernel tells it otherwise.
    #[test]
    fn this_process_is_mapped() {
        let region = Region::on_heap(0, &Identity::default());
        let area = region.fatal();
        assert!(area.claim(1));
        copy(area);
        area.complete();
        let record = Snapshot::of_region(&region, Select::newest(0)).expect("a region").fatal;
        let maps = record.expect("a record").maps;
        let own = std::env::current_exe().expect("a path").display().to_string();
        assert!(maps.lines().any(|line| line.ends_with(&own)), "{maps}");
        assert!(maps.lines().all(|line| line.split(' ').nth(1).is_some_and(|p| p.contains('x'))));
        assert!(maps.ends_with('\n'));
    }
}
