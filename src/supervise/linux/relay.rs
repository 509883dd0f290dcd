//! Passing standard error on.
//!
//! **Guarantee:** every byte that is read is written, in order, at once as far as the reader takes
//! it; then the watcher sees it. What the reader does not take waits here, and nothing more is read:
//! the program waits as it would without us, and memory stays bounded. From pipe to pipe a flood is
//! passed on within the kernel (`tee`), and read afterwards: that saves a copy. After the program's end what
//! is left in the pipe is read without waiting for the reader, so that the watcher knows all.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, tee};

use super::outlet::{Outlet, Written};
use super::pty::copy_size;
use crate::supervise::Watcher;

/// So much is read at a time at most.
const CHUNK: usize = 128 * 1024;
/// A read of so much is taken for part of a flood. (What is passed on by `tee` takes a slot of the
/// reader's pipe however short it is: of little at a time the pipe would hold little.)
const FLOOD: usize = 32 * 1024;
/// So much waits for the reader at most, after the program's end: more than a pipe holds.
const BACKLOG: usize = 2 * 1024 * 1024;

/// Standard error of the program, and ours.
pub(super) struct Relay {
    source: Option<OwnedFd>,
    is_pty: bool,
    outlet: Outlet,
    /// What was read and is not all written: the first `passed` bytes are.
    bytes: Vec<u8>,
    passed: usize,
    lost: u64,
    told_end: bool,
    draining: bool,
    is_flood: bool,
    /// Whether there was no room for a flood in the reader's pipe.
    is_blocked: bool,
}

/// What came from the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Bytes,
    Nothing,
}

impl Relay {
    /// Reads from `source`, which does not block.
    pub(super) fn new(source: OwnedFd, is_pty: bool, outlet: Outlet) -> Self {
        Relay {
            source: Some(source),
            is_pty,
            outlet,
            bytes: Vec::with_capacity(CHUNK),
            passed: 0,
            lost: 0,
            told_end: false,
            draining: false,
            is_flood: false,
            is_blocked: false,
        }
    }

    /// The descriptor to read from, when there is room for what comes.
    pub(super) fn waits_for_program(&self) -> Option<RawFd> {
        let has_room = if self.draining {
            self.bytes.len() < BACKLOG
        } else {
            self.is_passed_on() && !self.is_blocked
        };
        self.source.as_ref().filter(|_| has_room).map(|source| source.as_raw_fd())
    }

    /// The descriptor to write to, and whether it is to be waited for.
    pub(super) fn waits_for_reader(&self) -> Option<(RawFd, bool)> {
        let waits = !self.is_passed_on() || self.is_blocked;
        (waits || self.outlet.tells()).then(|| (self.outlet.descriptor(), waits))
    }

    /// Whether the descriptor to write to tells that the reader has gone.
    pub(super) fn tells_end(&self) -> bool {
        self.outlet.tells()
    }

    /// Whether all that was read is written.
    pub(super) fn is_passed_on(&self) -> bool {
        self.passed == self.bytes.len()
    }

    /// How much was written of what waits: it grows as the reader takes it.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.passed
    }

    pub(super) fn has_ended(&self) -> bool {
        self.source.is_none()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// From now on what comes is read even if the reader takes nothing.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.is_blocked = false;
    }

    /// Reads once, writes what can be written, and tells the watcher.
    pub(super) fn read(&mut self, watcher: &mut dyn Watcher) -> Came {
        if self.waits_for_program().is_none() {
            return Came::Nothing;
        }
        if self.is_passed_on() {
            self.bytes.clear();
            self.passed = 0;
        }
        let teed = if self.is_flood && !self.draining { self.tee() } else { 0 };
        if self.is_blocked {
            return Came::Nothing;
        }
        let before = self.bytes.len();
        match self.read_up_to(if teed > 0 { teed } else { CHUNK }) {
            Ok(0) => {}
            Ok(read) => {
                self.is_flood = read >= FLOOD;
                self.passed += teed.min(read);
                self.write();
                watcher.stderr(&self.bytes[before..]);
                self.end_if_gone(watcher);
                return Came::Bytes;
            }
            Err(Errno::AGAIN | Errno::INTR) => return Came::Nothing,
            // A terminal that no process has open any more says EIO.
            Err(_) => {}
        }
        self.end(watcher);
        Came::Nothing
    }

    /// Adds at most so many bytes of what the program has written.
    fn read_up_to(&mut self, most: usize) -> Result<usize, Errno> {
        let Some(source) = &self.source else { return Ok(0) };
        self.bytes.reserve(most);
        let before = self.bytes.len();
        let room = &mut self.bytes.spare_capacity_mut()[..most];
        let read = rustix::io::read(source, room)?.0.len();
        // SAFETY: the kernel has filled in so many bytes behind those that there were.
        unsafe { self.bytes.set_len(before + read) };
        Ok(read)
    }

    /// Passes on what is in the program's pipe, without taking it out; how many bytes these were.
    fn tee(&mut self) -> usize {
        let (Some(source), Some(reader)) = (&self.source, self.outlet.pipe()) else { return 0 };
        match tee(source, reader, CHUNK, SpliceFlags::NONBLOCK) {
            Ok(bytes) => bytes,
            Err(errno) => {
                // There is something to be passed on, so it is room that is missing. Any other
                // error comes again when it is written.
                self.is_blocked = errno == Errno::AGAIN;
                0
            }
        }
    }

    /// Writes what waits, as far as there is room.
    pub(super) fn write_on(&mut self, watcher: &mut dyn Watcher) {
        self.is_blocked = false;
        self.write();
        self.end_if_gone(watcher);
    }

    fn write(&mut self) {
        while !self.is_passed_on() {
            match self.outlet.write(&self.bytes[self.passed..]) {
                Written::Some(written) => self.passed += written,
                Written::Full => return,
                Written::Lost => self.lose(),
                Written::Gone => {
                    self.outlet.close();
                    self.lose();
                }
            }
        }
    }

    /// Gives up what waits.
    pub(super) fn lose(&mut self) {
        self.lost += self.waiting() as u64;
        self.passed = self.bytes.len();
    }

    /// The reader has gone: so that the program gets the error that it would get, its pipe is
    /// closed.
    pub(super) fn reader_gone(&mut self, watcher: &mut dyn Watcher) {
        self.outlet.close();
        self.lose();
        self.end(watcher);
    }

    fn end_if_gone(&mut self, watcher: &mut dyn Watcher) {
        if self.outlet.is_gone() {
            self.end(watcher);
        }
    }

    /// Reads no more.
    pub(super) fn end(&mut self, watcher: &mut dyn Watcher) {
        self.source = None;
        if !self.told_end {
            self.told_end = true;
            watcher.stderr_ended();
        }
    }

    /// Whether the program's standard error is a terminal of its own.
    pub(super) fn is_pty(&self) -> bool {
        self.is_pty && self.source.is_some()
    }

    /// Gives the program's terminal the size of ours; whether it had another one.
    pub(super) fn copy_window_size(&self) -> bool {
        let source = self.source.as_ref().filter(|_| self.is_pty);
        source.is_some_and(|source| copy_size(self.outlet.as_terminal(), source.as_fd()))
    }
}
