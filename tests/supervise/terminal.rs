//! At a terminal: its signals, job control, and a standard error that is a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::common::skipped;
use crate::support::{Case, Stream, act, case, script, send, state, wait_until};

/// A terminal with a session whose leader is the program, the wrapper or a shell.
struct Session {
    terminal: Option<File>,
    hung_up: Arc<AtomicBool>,
    screen: Stream,
    leader: Child,
    log: tempfile::TempDir,
}

impl Session {
    fn start(case: &Case, wrapped: bool) -> Session {
        let (ours, theirs) = open_terminal();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = case.command(wrapped.then_some(&log));
        let copy = || theirs.try_clone().unwrap();
        command.stdin(copy()).stdout(copy()).stderr(copy());
        let lead = || {
            rustix::process::setsid()?;
            Ok(rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?)
        };
        // SAFETY: both are system calls that may be made between fork and exec.
        unsafe { command.pre_exec(lead) };
        let leader = command.spawn().unwrap();
        drop((command, theirs));
        let terminal = File::from(ours);
        let hung_up = Arc::new(AtomicBool::new(false));
        let reading = UntilHungUp(terminal.try_clone().unwrap(), Arc::clone(&hung_up));
        let screen = Stream::read(reading);
        Session { terminal: Some(terminal), hung_up, screen, leader, log: folder }
    }

    fn kind(&mut self, keys: &[u8]) {
        self.terminal.as_ref().unwrap().write_all(keys).unwrap();
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.terminal.as_ref().unwrap(), size).unwrap();
    }

    /// Closes the terminal: for those who have it, the line is gone.
    fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::Relaxed);
        wait_until("the end of reading", || self.screen.has_ended());
        self.terminal = None;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    /// The leader's exit code, as a shell tells it, and the screen.
    fn finish(mut self) -> (i32, String) {
        use std::os::unix::process::ExitStatusExt;
        wait_until("the leader's end", || self.leader.try_wait().unwrap().is_some());
        let status = self.leader.wait().unwrap();
        wait_until("the screen's end", || self.screen.has_ended());
        (status.code().unwrap_or_else(|| 128 + status.signal().unwrap()), self.screen.text())
    }
}

/// The screen, as long as it is not hung up.
struct UntilHungUp(File, Arc<AtomicBool>);

impl Read for UntilHungUp {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let mut ready =
                libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one `pollfd` is borrowed for the call.
            let is_ready = unsafe { libc::poll(&mut ready, 1, 10) } == 1;
            if self.1.load(Ordering::Relaxed) {
                return Ok(0);
            }
            if is_ready {
                return self.0.read(buffer);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for line in self.log().lines() {
            if let Some(pid) = line.strip_prefix("started ").and_then(|pid| pid.parse().ok())
                && state(pid).is_some_and(|_| self.leader.try_wait().is_ok_and(|it| it.is_none()))
            {
                send(pid, libc::SIGKILL);
            }
        }
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

/// A new terminal, without echo and without changes to what is written.
fn open_terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    let mut modes = tcgetattr(&theirs).unwrap();
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&theirs, OptionalActions::Now, &modes).unwrap();
    tcsetwinsize(&ours, Winsize { ws_col: 91, ws_row: 33, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    assert!(rustix::termios::isatty(theirs.as_fd()) && theirs.as_raw_fd() > 2);
    (ours, theirs)
}

const WAYS: [&[&str]; 4] = [&[], &["--pty", "never"], &["--group"], &["--group", "--pty", "never"]];

#[test]
fn a_terminals_signal_comes_once() {
    // Led by the wrapper, and by a shell that waits for it.
    for shell in [&["env"][..], &["sh", "-c", "trap : INT QUIT TSTP; \"$@\"; exit $?", "sh"]] {
        for options in WAYS {
            let case =
                case([act(), "signals".into()]).through(shell.iter().copied()).option(options);
            let run = |wrapped| {
                let mut session = Session::start(&case, wrapped);
                session.screen.wait_for("ready\r\n");
                for (key, signal) in [(3, 2), (28, 3), (26, 20), (3, 2)] {
                    let before =
                        session.screen.text().matches(&format!("signal {signal}\r\n")).count();
                    session.kind(&[key]);
                    let told = format!("signal {signal}\r\n");
                    wait_until(&told, || session.screen.text().matches(&told).count() > before);
                }
                session.kind(&[4]);
                session.finish()
            };
            let (plain, wrapped) = (run(false), run(true));
            assert_eq!(wrapped, plain, "{shell:?} {options:?}");
            assert_eq!(wrapped.1.matches("signal").count(), 4, "{}", wrapped.1);
        }
    }
}

#[test]
fn an_interrupt_is_known_to_have_been_asked_for() {
    let mut session = Session::start(&script("trap 'exit 5' INT; echo ready; read x"), true);
    session.screen.wait_for("ready\r\n");
    session.kind(&[3]);
    wait_until("the end", || session.log().contains("asked Some(2)"));
    assert_eq!(session.finish().0, 5);
}

#[test]
fn a_hang_up_reaches_the_program() {
    for options in WAYS {
        let run = |wrapped| {
            let case = script("trap 'exit 6' HUP; echo ready; while :; do sleep 0.01; done");
            let mut session = Session::start(&case.option(options), wrapped);
            session.screen.wait_for("ready\r\n");
            session.hang_up();
            wait_until("the end", || session.leader.try_wait().unwrap().is_some());
            session.leader.wait().unwrap().code()
        };
        assert_eq!(run(true), run(false), "{options:?}");
    }
}

#[test]
fn standard_error_is_a_terminal_of_the_same_size() {
    let program = "\"$ACT\" terminal; read x; [ -t 2 ] && \
        while [ \"$(stty size <&2)\" != \"50 120\" ]; do sleep 0.01; done; \"$ACT\" terminal";
    for options in WAYS {
        let case = script(program).option(options);
        let run = |wrapped| {
            let mut session = Session::start(&case, wrapped);
            session.screen.wait_for("91x33\r\n");
            session.resize(120, 50);
            session.kind(b"\n");
            session.finish()
        };
        if options.contains(&"never") {
            let mut session = Session::start(&case, true);
            session.screen.wait_for("[true, true, false] 0x0\r\n");
            session.kind(b"\n");
            assert_eq!(session.finish().0, 0);
        } else {
            let wrapped = run(true);
            assert_eq!(wrapped, run(false));
            assert_eq!(wrapped.1, "[true, true, true] 91x33\r\n[true, true, true] 120x50\r\n");
        }
    }
}

#[test]
fn a_resize_is_told() {
    for options in WAYS {
        let program =
            "trap 'echo resized >&2' WINCH; echo ready >&2; while ! read -t 1 x; do :; done";
        let case = case(["bash", "-c", program]).option(options);
        let mut session = Session::start(&case, true);
        session.screen.wait_for("ready\r\n");
        session.resize(50, 20);
        session.screen.wait_for("resized\r\n");
        session.kind(b"\n");
        assert_eq!(session.finish().0, 0);
    }
}

#[test]
fn what_is_written_to_the_terminal_is_the_same() {
    let text =
        "printf 'one\\ntwo\\r\\n\\ttab \\033[31mred\\033[0m \\001\\002\\n' >&2; printf 'last' >&2";
    for options in WAYS {
        let case = script(text).option(options);
        let run = |wrapped| Session::start(&case, wrapped).finish();
        assert_eq!(run(true), run(false), "{options:?}");
    }
}

/// A shell with job control, which puts the job in the foreground, sees it stop, and lets it go on.
#[test]
fn a_shell_stops_it_and_lets_it_go_on() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("no bash is installed");
    }
    let shell = "set -m; \"$@\"; echo \"stopped with $?\"; read x; fg >/dev/null; echo \"ended with $?\"; \
                 exit 0";
    let program = "echo ready; read x; echo \"read $x\"; exit 9";
    for options in WAYS {
        let case = script(program).through(["bash", "-c", shell, "bash"]).option(options);
        let run = |wrapped| {
            let mut session = Session::start(&case, wrapped);
            session.screen.wait_for("ready\r\n");
            session.kind(&[26]);
            session.screen.wait_for("stopped with");
            session.kind(b"to the shell\n");
            wait_until("fg", || session.screen.text().contains("stopped with"));
            session.kind(b"to the job\n");
            session.finish()
        };
        let (plain, wrapped) = (run(false), run(true));
        assert_eq!(wrapped, plain, "{options:?}");
        assert!(wrapped.1.contains("read to the job\r\nended with 9\r\n"), "{wrapped:?}");
    }
}

/// A program that stops itself: a shell waits for the wrapper, so the wrapper stops as well.
#[test]
fn a_program_at_a_terminal_may_stop_itself() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("no bash is installed");
    }
    let shell = "set -m; \"$@\"; echo \"stopped\"; fg >/dev/null; echo \"ended with $?\"; exit 0";
    for stop in ["STOP", "TSTP"] {
        for options in WAYS {
            let case = script(&format!("kill -{stop} $$; echo gone on; exit 9"));
            let case = case.through(["bash", "-c", shell, "bash"]).option(options);
            let run = |wrapped| Session::start(&case, wrapped).finish();
            let wrapped = run(true);
            assert_eq!(wrapped, run(false), "{stop} {options:?}");
            assert!(wrapped.1.ends_with("stopped\r\ngone on\r\nended with 9\r\n"), "{wrapped:?}");
        }
    }
}

/// Started in the background, it stops when it reads from the terminal, and reads when it is in the
/// foreground.
#[test]
fn a_job_in_the_background_waits_for_the_foreground() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("no bash is installed");
    }
    let shell =
        "set -m; \"$@\" & wait -n %1; echo \"waited $?\"; fg >/dev/null; echo \"ended with $?\"";
    let program = "exec 3</dev/tty; read x <&3; echo \"read $x\"; exit 9";
    for options in WAYS {
        let case = script(program).through(["bash", "-c", shell, "bash"]).option(options);
        let run = |wrapped| {
            let mut session = Session::start(&case, wrapped);
            session.screen.wait_for("waited");
            session.kind(b"a line\n");
            session.finish()
        };
        let (plain, wrapped) = (run(false), run(true));
        assert!(plain.1.contains("read a line\r\nended with 9\r\n"), "{plain:?}");
        assert!(wrapped.1.contains("read a line\r\nended with 9\r\n"), "{options:?} {wrapped:?}");
    }
}

/// After a group that had the terminal's foreground, who started the wrapper has it again.
#[test]
fn the_foreground_is_given_back() {
    let shell = "\"$@\"; read line; echo \"the shell read $line\"";
    for options in WAYS {
        let case =
            script("echo ready; read x; echo \"read $x\"").through(["sh", "-c", shell, "sh"]);
        let mut session = Session::start(&case.option(options), true);
        session.screen.wait_for("ready\r\n");
        session.kind(b"one\n");
        session.screen.wait_for("read one\r\n");
        session.kind(b"two\n");
        assert_eq!(
            session.finish().1,
            "ready\r\nread one\r\nthe shell read two\r\n",
            "{options:?}"
        );
    }
}
