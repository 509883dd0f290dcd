//! Runs a program with and without the wrapper.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use crate::common::{HANGS, wait_until};
use crate::common::{Profile, by_default};

/// The program of the tests that does what its arguments say.
pub fn act() -> String {
    path("act")
}

pub fn path(program: &str) -> String {
    Profile::Dev.program(program).into_os_string().into_string().expect("a path of text")
}

/// A run to come: `launcher... [wrap options... --] program...`.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub launcher: Vec<String>,
    pub options: Vec<String>,
    pub program: Vec<String>,
    pub variables: Vec<(String, String)>,
    /// Whether it leads a session; else it leads a process group.
    pub leads_session: bool,
}

pub fn case<W: Into<String>>(program: impl IntoIterator<Item = W>) -> Case {
    Case { program: program.into_iter().map(Into::into).collect(), ..Case::default() }
}

/// A shell script; `$ACT` is the program of the tests.
pub fn script(script: &str) -> Case {
    case(["sh", "-c", script])
}

impl Case {
    /// What runs the program, or the wrapper.
    pub fn through<W: Into<String>>(mut self, launcher: impl IntoIterator<Item = W>) -> Case {
        self.launcher = launcher.into_iter().map(Into::into).collect();
        self
    }

    pub fn option(mut self, words: &[&str]) -> Case {
        self.options.extend(words.iter().map(ToString::to_string));
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Case {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command, wrapped or not. The wrapper writes its log to `log`.
    pub fn command(&self, log: Option<&PathBuf>) -> Command {
        let mut words = self.launcher.clone();
        if let Some(log) = log {
            words.extend([path("wrap"), "--log".to_owned(), log.display().to_string()]);
            words.extend(self.options.iter().cloned());
            words.push("--".to_owned());
        }
        words.extend(self.program.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("ACT", act()).env("LC_ALL", "C");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        by_default(&mut command);
        command
    }

    pub fn start(&self) -> Live {
        Live::start(self, true)
    }

    pub fn start_plain(&self) -> Live {
        Live::start(self, false)
    }

    /// Runs both; they end the same way and print the same.
    #[track_caller]
    pub fn same(&self) -> Finished {
        let plain = self.start_plain().finish();
        let wrapped = self.start().finish();
        wrapped.is_like(&plain);
        wrapped
    }
}

/// What a stream has given so far.
pub struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    pub fn read(mut from: impl Read + Send + 'static) -> Stream {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut block = vec![0; 64 * 1024];
            // A terminal that nobody has open any more ends in an error.
            while let Ok(read @ 1..) = from.read(&mut block) {
                kept.lock().unwrap().extend_from_slice(&block[..read]);
            }
        });
        Stream { bytes, reader }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }

    #[track_caller]
    pub fn wait_for(&self, part: &str) {
        let begun = Instant::now();
        while !self.text().contains(part) {
            assert!(begun.elapsed() < HANGS, "no {part:?} in {:?}", self.text());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A program that runs, wrapped or not. All of its group is killed at the end.
pub struct Live {
    pub child: Child,
    input: Option<ChildStdin>,
    pub stdout: Stream,
    /// Where the test has not given another one.
    stderr: Option<Stream>,
    log: Option<PathBuf>,
    _directory: tempfile::TempDir,
}

impl Live {
    fn start(case: &Case, wrapped: bool) -> Live {
        let (pipe, stderr) = std::io::pipe().expect("a pipe");
        let mut live = Live::start_with(case, wrapped, stderr.into());
        live.read_stderr(pipe);
        live
    }

    /// Starts it with this standard error, which is closed here.
    pub fn start_with(case: &Case, wrapped: bool, stderr: OwnedFd) -> Live {
        Live::start_as(case, wrapped, stderr, |_| {})
    }

    pub fn start_as(
        case: &Case,
        wrapped: bool,
        stderr: OwnedFd,
        change: impl FnOnce(&mut Command),
    ) -> Live {
        let directory = tempfile::tempdir().expect("a directory");
        let log = wrapped.then(|| directory.path().join("log"));
        let mut command = case.command(log.as_ref());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        // A group of its own, so that all of it can be killed.
        if case.leads_session {
            let lead = || rustix::process::setsid().map(|_| ()).map_err(Into::into);
            // SAFETY: `setsid` is one system call, which may be made between fork and exec.
            unsafe { command.pre_exec(lead) };
        } else {
            command.process_group(0);
        }
        change(&mut command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Stream::read(child.stdout.take().expect("piped"));
        let input = child.stdin.take();
        Live { child, input, stdout, stderr: None, log, _directory: directory }
    }

    pub fn read_stderr(&mut self, from: impl Read + Send + 'static) {
        self.stderr = Some(Stream::read(from));
    }

    pub fn stderr(&self) -> &Stream {
        self.stderr.as_ref().expect("it is read")
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn log(&self) -> String {
        let log = self.log.as_ref().and_then(|log| std::fs::read_to_string(log).ok());
        log.unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_for_log(&self, part: &str) {
        let begun = Instant::now();
        while !self.log().contains(part) {
            assert!(begun.elapsed() < HANGS, "no {part:?} in {:?}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process id of the program itself.
    #[track_caller]
    pub fn program(&self) -> i32 {
        if self.log.is_none() {
            return self.pid();
        }
        self.wait_for_log("started ");
        let log = self.log();
        let line = log.lines().find_map(|line| line.strip_prefix("started ")).expect("waited for");
        line.parse().expect("a number")
    }

    pub fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads");
    }

    /// Waits for its end, not for other processes that hold its output, which are killed after
    /// `check`.
    #[track_caller]
    pub fn finish_leaving(mut self, check: impl FnOnce()) -> Finished {
        drop(self.input.take());
        wait_until("the end", || self.child.try_wait().expect("a child").is_some());
        check();
        send(-self.pid(), libc::SIGKILL);
        self.finish()
    }

    /// Closes its input and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        drop(self.input.take());
        let mut status = None;
        wait_until("the end", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let stderr = self.stderr.take();
        wait_until("the end of output", || {
            let streams = [Some(&self.stdout), stderr.as_ref()];
            streams.into_iter().flatten().all(|stream| stream.reader.is_finished())
        });
        Finished {
            status: status.expect("waited for"),
            stdout: self.stdout.text(),
            stderr: stderr.map(|stream| stream.bytes()).unwrap_or_default(),
            log: self.log(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A program with a group of its own, or one whose wrapper is gone.
        for line in self.log().lines() {
            let pid = line.strip_prefix("started ").and_then(|pid| pid.parse::<i32>().ok());
            if let Some(pid) = pid
                && self.child.try_wait().is_ok_and(|status| status.is_none())
            {
                send(pid, libc::SIGKILL);
            }
        }
        send(-self.pid(), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Sends a signal to whoever there is.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: the call has no preconditions.
    unsafe { libc::kill(pid, signal) };
}

/// What a run left behind.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: Vec<u8>,
    pub log: String,
}

impl Finished {
    /// As a shell tells it.
    pub fn code(&self) -> i32 {
        self.status.code().or(self.status.signal().map(|signal| 128 + signal)).expect("it ended")
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub fn is_like(&self, plain: &Finished) {
        assert_eq!(self.code(), plain.code(), "{self:?}\n{plain:?}");
        assert_eq!(self.stdout, plain.stdout);
        assert!(self.stderr == plain.stderr, "{self:?}\n{plain:?}");
        assert!(self.status.code().is_some(), "the wrapper itself ended by a signal: {self:?}");
    }
}

/// The state of a process, by the letter of `ps`; `None` when it is gone.
pub fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
pub fn wait_for_state(pid: i32, letter: char) {
    wait_until(&format!("{pid} in state {letter}, {:?}", state(pid)), || {
        state(pid) == Some(letter)
    });
}

/// Whether a process is gone, or a zombie.
pub fn is_dead(pid: i32) -> bool {
    matches!(state(pid), None | Some('Z'))
}

/// An empty file in `directory` to write to.
pub fn file(directory: &tempfile::TempDir, name: &str, text: &str, mode: u32) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.path().join(name);
    let mut file = File::create(&path).expect("a new file");
    file.write_all(text.as_bytes()).expect("room");
    file.set_permissions(std::fs::Permissions::from_mode(mode)).expect("our own file");
    path.into_os_string().into_string().expect("a path of text")
}
