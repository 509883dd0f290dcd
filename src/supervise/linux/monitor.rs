//! The monitor: waits for signals, standard error and the watcher's time, until the program's end
//! and a little beyond.

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, getpid};

use super::place::{Place, is_in_our_group, leads_session};
use super::reap::{self, Change};
use super::relay::{Came, Relay};
use super::signals::{self, Queue, Received};
use super::target::Target;
use crate::detect::Ending;
use crate::supervise::{Ended, GRACE, LINGER, PATIENCE, Rewrites, SILENCE, Usage, Watcher};

/// So many signals or reads come before something else has its turn.
const AT_ONCE: usize = 64;
/// How often the size of our terminal is looked at where another group than ours is told of it.
const LOOK_AT_SIZE: Duration = Duration::from_millis(500);
/// How often it is asked whether a group is empty.
const POLL_GROUP: Duration = Duration::from_millis(10);

pub(super) struct Monitor<'a> {
    watcher: &'a mut dyn Watcher,
    rewrites: &'a Rewrites,
    place: Place,
    target: Target,
    queue: Queue,
    relay: Relay,
    ended: Option<(Ending, Usage, SystemTime)>,
    /// Whether the program is stopped.
    stopped: bool,
    /// Whether it was stopped because we were asked to stop.
    stop_passed_on: bool,
    /// Whether we were just told to go on.
    is_going_on: bool,
    asked_to_stop: Option<c_int>,
    asked_at: Option<Instant>,
    /// Whether a signal that asks to stop came after the program's end.
    asked_to_hurry: bool,
}

impl<'a> Monitor<'a> {
    pub(super) fn new(
        watcher: &'a mut dyn Watcher,
        rewrites: &'a Rewrites,
        place: Place,
        target: Target,
        queue: Queue,
        relay: Relay,
    ) -> Self {
        Monitor {
            watcher,
            rewrites,
            place,
            target,
            queue,
            relay,
            ended: None,
            stopped: false,
            stop_passed_on: false,
            is_going_on: false,
            asked_to_stop: None,
            asked_at: None,
            asked_to_hurry: false,
        }
    }

    /// Runs until all is over.
    pub(super) fn run(mut self) -> Ended {
        let (ending, usage, time) = loop {
            if let Some(ended) = self.ended {
                break ended;
            }
            self.turn(None);
        };
        self.place.take_back(self.program());
        self.relay.drain();
        self.read_what_is_there();
        if self.place.is_own() {
            self.end_group();
        }
        self.linger();
        self.relay.end(self.watcher);
        self.watcher.ended(ending);
        self.deliver();
        let stderr_lost = self.relay.lost();
        let (asked_to_stop, asked_at) = (self.asked_to_stop, self.asked_at);
        Ended { ending, time, usage, asked_to_stop, asked_at, stderr_lost }
    }

    fn program(&self) -> Pid {
        self.target.process()
    }

    /// Ends what is left of the program's group.
    fn end_group(&mut self) {
        if !self.target.send(libc::SIGTERM) {
            return;
        }
        self.target.send(libc::SIGCONT);
        if !self.group_ends_within(GRACE) {
            self.target.send(libc::SIGKILL);
            self.group_ends_within(LINGER);
        }
    }

    fn group_ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            self.reap();
            let now = Instant::now();
            if !self.target.send(0) {
                return true;
            }
            if now >= deadline {
                return false;
            }
            self.turn(Some(deadline.min(now + POLL_GROUP)));
        }
    }

    /// Waits for other processes that hold standard error, for a short time.
    fn linger(&mut self) {
        let limit = Instant::now() + LINGER;
        let mut quiet = Instant::now() + SILENCE;
        while !self.relay.has_ended() {
            let until = limit.min(quiet);
            if Instant::now() >= until {
                return;
            }
            if self.turn(Some(until)) == Came::Bytes {
                quiet = Instant::now() + SILENCE;
            }
        }
    }

    /// Waits for the reader to take the rest.
    fn deliver(&mut self) {
        let mut deadline = None;
        while !self.relay.is_passed_on() {
            let is_asked = self.asked_to_stop.is_some() || self.asked_to_hurry;
            let now = Instant::now();
            let until = is_asked.then(|| *deadline.get_or_insert(now + PATIENCE));
            if until.is_some_and(|until| now >= until) {
                return self.relay.lose();
            }
            let waiting = self.relay.waiting();
            self.turn(until);
            if self.relay.waiting() < waiting {
                deadline = None;
            }
        }
    }

    /// Waits for something to happen, until a time if one is given, and does what it asks for.
    fn turn(&mut self, until: Option<Instant>) -> Came {
        let wake = self.watcher.next_wake();
        let is_not_told = self.place.is_own() && self.relay.is_pty() && self.ended.is_none();
        let look = is_not_told.then(|| Instant::now() + LOOK_AT_SIZE);
        let until = [until, wake, look].into_iter().flatten().min();
        let mut ready = Ready::default();
        ready.signals.fd = self.queue.as_raw_fd();
        if let Some(source) = self.relay.waits_for_program() {
            ready.program.fd = source;
        }
        if let Some((outlet, waits)) = self.relay.waits_for_reader() {
            ready.reader.fd = outlet;
            ready.reader.events = if waits { libc::POLLOUT } else { 0 };
        }
        ready.wait(until);
        if ready.signals.revents != 0 {
            self.read_signals();
        }
        if ready.reader.revents != 0 {
            self.reader_is_ready(ready.reader.revents);
        }
        let has_bytes = ready.program.revents != 0;
        let came = if has_bytes { self.relay.read(self.watcher) } else { Came::Nothing };
        if is_not_told && self.relay.copy_window_size() && self.ended.is_none() {
            self.target.send(libc::SIGWINCH);
        }
        if wake.is_some_and(|wake| Instant::now() >= wake) {
            self.watcher.wake();
        }
        came
    }

    fn reader_is_ready(&mut self, events: libc::c_short) {
        let Some((_, waits)) = self.relay.waits_for_reader() else { return };
        if self.relay.tells_end() && events & (libc::POLLERR | libc::POLLHUP) != 0 {
            self.relay.reader_gone(self.watcher);
        } else if waits {
            self.relay.write_on(self.watcher);
        }
    }

    fn read_what_is_there(&mut self) {
        for _ in 0..AT_ONCE {
            if self.relay.read(self.watcher) == Came::Nothing {
                return;
            }
        }
    }

    fn read_signals(&mut self) {
        for _ in 0..AT_ONCE {
            match self.queue.read() {
                Some(received) => self.receive(&received),
                None => return,
            }
        }
    }

    fn receive(&mut self, received: &Received) {
        let signal = received.number();
        if signal == libc::SIGCHLD {
            return self.reap();
        }
        // Ours are SIGPIPE and SIGXFSZ of our own writes, and what the kernel sends when we give up
        // the terminal. The program's own went to its whole group, or to its parent.
        if received.is_from(getpid()) || received.is_from(self.program()) {
            return;
        }
        if self.ended.is_some() {
            self.asked_to_hurry |= asks_to_stop(signal);
            return;
        }
        if signal == libc::SIGWINCH {
            self.relay.copy_window_size();
        }
        if self.has_reached_program(received) {
            self.note(signal, signal);
        } else if let Some(rewritten) = self.rewrite(signal) {
            self.note(signal, rewritten);
            if signal == libc::SIGCONT && self.goes_on() {
                return;
            }
            if rewritten == libc::SIGCONT {
                // That it goes on because of us says nothing of who else it was told by.
                self.stopped = false;
            }
            if self.ended.is_none() {
                self.target.pass_on(received, rewritten);
            }
        }
    }

    /// Whether the kernel sent it to the whole process group, of which the program is part. When a
    /// terminal hangs up, it tells only the leader of its session.
    fn has_reached_program(&self, received: &Received) -> bool {
        let signal = received.number();
        let is_hang_up = matches!(signal, libc::SIGHUP | libc::SIGCONT) && leads_session();
        let is_resize = signal == libc::SIGWINCH && self.relay.is_pty();
        received.is_a_terminals() && !is_hang_up && !is_resize && is_in_our_group(self.program())
    }

    fn rewrite(&mut self, signal: c_int) -> Option<c_int> {
        let stops = is_a_terminals_stop(signal) && self.place.is_session();
        if !stops || self.rewrites.names(signal) {
            return self.rewrites.apply(signal);
        }
        self.stop_passed_on = true;
        Some(libc::SIGSTOP)
    }

    fn note(&mut self, signal: c_int, rewritten: c_int) {
        let asked = [rewritten, signal].into_iter().find(|signal| asks_to_stop(*signal));
        if let Some(signal) = asked {
            (self.asked_to_stop, self.asked_at) = (Some(signal), Some(Instant::now()));
            self.watcher.asked_to_stop(signal);
        }
    }

    /// We were told to go on; whether the program was as well, by what a shell sent to the group.
    fn goes_on(&mut self) -> bool {
        self.place.hand_over(self.program());
        let was_stopped = self.stopped;
        self.is_going_on = true;
        self.reap();
        self.is_going_on = false;
        was_stopped && !self.stopped
    }

    fn reap(&mut self) {
        while let Some((child, change)) = reap::next() {
            if child != self.program() {
                continue;
            }
            match change {
                Change::Ended(ending, usage) => {
                    self.ended = Some((ending, usage, SystemTime::now()));
                }
                Change::Continued => self.stopped = false,
                Change::Stopped(signal) => {
                    self.stopped = true;
                    self.program_stopped(signal);
                }
            }
        }
    }

    /// The program was stopped. Where a shell may wait for that, we stop as well.
    fn program_stopped(&mut self, signal: c_int) {
        let wants_terminal = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        if wants_terminal && self.place.hand_over(self.program()) {
            // It was started in the background, and is in the foreground by now.
            self.stopped = false;
            self.target.send(libc::SIGCONT);
            return;
        }
        let is_asked = std::mem::take(&mut self.stop_passed_on);
        let is_waited_for = self.place.is_waited_for(self.program());
        let is_ours = is_a_terminals_stop(signal) || is_asked || is_waited_for;
        if !is_ours || self.is_going_on {
            return;
        }
        self.read_what_is_there();
        signals::stop_by(signal, || reap::has_changed(self.program()));
        // The kernel stops no group that nobody could wake. The program's is another one.
        if matches!(self.place, Place::Group(_)) && !signals::is_pending(libc::SIGCONT) {
            self.target.send(libc::SIGCONT);
        }
    }
}

fn is_a_terminals_stop(signal: c_int) -> bool {
    matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}

fn asks_to_stop(signal: c_int) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT)
}

/// What is waited for.
#[repr(C)]
struct Ready {
    signals: libc::pollfd,
    program: libc::pollfd,
    reader: libc::pollfd,
}

impl Default for Ready {
    fn default() -> Self {
        let nothing = libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 };
        Ready { signals: nothing, program: nothing, reader: nothing }
    }
}

impl Ready {
    fn wait(&mut self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let time = left.map(|left| libc::timespec {
            // Who wakes after an hour with nothing to do sleeps again.
            tv_sec: left.as_secs().min(3600).try_into().unwrap_or(3600),
            tv_nsec: left.subsec_nanos() as _,
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `Ready` is laid out as an array of three `pollfd`, all initialised and borrowed
        // for the call; the time is null or lives as long.
        unsafe { libc::ppoll((&raw mut *self).cast(), 3, time, std::ptr::null()) };
    }
}
