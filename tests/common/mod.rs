//! Runs the programs in `tests/programs` and reads what they leave behind.
//!
//! Each run has a state directory and a home of its own and a pinned environment. A run that does
//! not end is killed and fails the test: a deadlock is a failure. When a test fails, what its
//! programs were and what they printed is printed with it.
#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]

mod dispositions;
mod left;
pub mod processes;
mod setting;
mod waiting;

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use lastwords::deliver::Spool;
use lastwords::record::{Select, Snapshot};
use lastwords::report::Envelope;
use serde_json::Value;
use tempfile::TempDir;

pub use dispositions::by_default;
pub use left::left_in;
pub use setting::Setting;
pub use waiting::{HANGS, wait_until};

/// How the programs are built: a profile of `tests/programs/Cargo.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
    ReleaseDebug,
    Abort,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Release => "release",
            Profile::ReleaseDebug => "release-debug",
            Profile::Abort => "abort",
        }
    }

    fn folder(self) -> &'static str {
        if self == Profile::Dev { "debug" } else { self.name() }
    }

    /// Builds the programs once per test binary, and gives the folder they are in. Several test
    /// binaries take turns by cargo's own lock on its target directory.
    fn built(self) -> PathBuf {
        static BUILT: [OnceLock<PathBuf>; 4] = [const { OnceLock::new() }; 4];
        let build = || {
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/Cargo.toml");
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--locked", "--quiet", "--profile", self.name()]);
            if matches!(self, Profile::Release | Profile::ReleaseDebug) {
                cargo.args(["--bin", "victim"]);
            }
            cargo.arg("--manifest-path").arg(&manifest).arg("--target-dir").arg(&target);
            let output = cargo.output().expect("cargo can be run");
            assert!(
                output.status.success(),
                "{cargo:?}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            target.join(self.folder())
        };
        BUILT[self as usize].get_or_init(build).clone()
    }

    /// One of the programs, built.
    pub fn program(self, name: &str) -> PathBuf {
        self.built().join(name)
    }
}

/// A run to come.
pub struct Run {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, Option<OsString>)>,
    directory: TempDir,
    through: Vec<OsString>,
    before: Vec<OsString>,
    user: Option<u32>,
}

impl Run {
    /// A run of the program `victim` with one scenario.
    pub fn victim(profile: Profile, scenario: &str) -> Run {
        Run::of(profile, "victim").argument(scenario)
    }

    pub fn of(profile: Profile, program: &str) -> Run {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = profile.built().join(program);
        let run = Run {
            program,
            arguments: Vec::new(),
            variables: Vec::new(),
            directory,
            through: Vec::new(),
            before: Vec::new(),
            user: None,
        };
        std::fs::create_dir(run.home()).expect("a home");
        let (home, state) = (run.home(), run.state());
        run.variable("HOME", home).variable("LASTWORDS_STATE_DIR", state)
    }

    pub fn argument(mut self, argument: impl Into<OsString>) -> Run {
        self.arguments.push(argument.into());
        self
    }

    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Run {
        self.variables.push((name.into(), Some(value.into())));
        self
    }

    pub fn without_variable(mut self, name: &str) -> Run {
        self.variables.push((name.into(), None));
        self
    }

    /// Runs it without lastwords.
    pub fn plain(self) -> Run {
        self.variable("PLAIN", "1")
    }

    /// Runs it through a shell script, which gets the state directory as `$1` and the program with
    /// its arguments as the rest: it ends in `shift; exec "$@"`.
    pub fn through(mut self, wrapper: &[&str], script: &str) -> Run {
        self.through = wrapper.iter().map(Into::into).collect();
        self.through.extend(["sh", "-c", script, "sh"].map(OsString::from));
        self
    }

    /// Runs it as the command of another program: `words` stand before its own.
    pub fn under(mut self, words: &[&str]) -> Run {
        self.before = words.iter().map(Into::into).collect();
        self
    }

    /// Runs all of it, a monitor too, as the command of another program.
    pub fn before_all(mut self, words: &[&str]) -> Run {
        self.before.splice(0..0, words.iter().map(Into::into));
        self
    }

    /// Runs it as another user, who owns home and state directory. For tests that run as root.
    pub fn user(mut self, user: u32) -> Run {
        // The folder that programs are built in may be out of that user's reach.
        let copy = self.directory.path().join("program");
        // Not by this process: one that it forks meanwhile would hold the copy open for writing,
        // and such a file cannot be executed.
        let copied = Command::new("cp").args([&self.program, &copy]).status();
        assert!(copied.expect("cp can be run").success());
        self.program = copy;
        for path in [self.directory.path(), &self.home()] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).expect("root may");
        }
        self.user = Some(user);
        self
    }

    /// Runs another file in its place: a link to it, a copy.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Run {
        self.program = program.into();
        self
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// The state directory that `LASTWORDS_STATE_DIR` names. It is not there before the run.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn command(&self) -> Command {
        let mut words = self.through.clone();
        if !words.is_empty() {
            words.push(self.state().into());
        }
        words.extend(self.before.iter().cloned());
        words.push(self.program.clone().into());
        words.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().current_dir(self.directory.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        by_default(&mut command);
        // A group of its own, so that all of it can be killed.
        command.process_group(0);
        command
    }

    /// Starts it with all three streams piped.
    pub fn start(self) -> Running {
        self.start_as(|_| {})
    }

    /// The same, with a command that `change` has changed: another first argument, things to do between
    /// fork and exec.
    pub fn start_as(self, change: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Stream::read(child.stdout.take().expect("piped"));
        let stderr = Stream::read(child.stderr.take().expect("piped"));
        let stdin = child.stdin.take();
        let command = format!("{command:?}");
        Running {
            command,
            child,
            stdin,
            stdout,
            stderr,
            directory: Some(self.directory),
            other_user: self.user.is_some(),
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }
}

/// What a stream has given so far.
struct Stream {
    lines: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Stream {
    fn read(from: impl Read + Send + 'static) -> Stream {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                kept.lock().unwrap().append(&mut line);
            }
        });
        Stream { lines, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.lock().unwrap()).into_owned()
    }
}

/// A program that runs. It is killed if the test gives up on it.
pub struct Running {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
    directory: Option<TempDir>,
    other_user: bool,
}

impl Running {
    pub fn state(&self) -> PathBuf {
        self.directory.as_ref().expect("not finished").path().join("state")
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed on standard output so far.
    pub fn output(&self) -> String {
        self.stdout.text()
    }

    /// Gives it a line on standard input.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Waits until nobody holds its standard error any more.
    pub fn wait_for_end_of_error(&mut self) {
        self.wait_until(|running| running.stderr.reader.is_finished());
    }

    /// Waits for its end, as its parent does, and takes nothing of what it left.
    pub fn wait_for_end(&mut self) {
        self.wait_until(Running::has_ended);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        let words = [format!("-{signal}"), self.pid().to_string()];
        let sent = Command::new("kill").args(words).status();
        assert!(sent.expect("kill can be run").success(), "{self:?}");
    }

    /// Writes a line to its standard input.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("not finished");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Waits until it has printed `line` on standard output.
    pub fn wait_for_line(&mut self, line: &str) {
        self.wait_until(|running| {
            let ready = running.stdout.text().lines().any(|printed| printed == line);
            assert!(ready || !running.has_ended(), "it ended without {line:?}\n{running:?}");
            ready
        });
    }

    /// Waits until it has printed a line on standard output that begins so, and gives it.
    pub fn wait_for_line_with(&mut self, beginning: &str) -> String {
        let find = |running: &Running| {
            let text = running.stdout.text();
            text.lines().find(|line| line.starts_with(beginning)).map(str::to_owned)
        };
        self.wait_until(|running| {
            let ready = find(running).is_some();
            assert!(ready || !running.has_ended(), "it ended without {beginning:?}\n{running:?}");
            ready
        });
        find(self).expect("it was there")
    }

    /// As [`wait_for_line`](Self::wait_for_line), of standard error.
    pub fn wait_for_error_line(&mut self, line: &str) {
        self.wait_until(|running| {
            let ready = running.stderr.text().lines().any(|printed| printed == line);
            assert!(ready || !running.has_ended(), "it ended without {line:?}\n{running:?}");
            ready
        });
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    fn wait_until(&mut self, condition: impl Fn(&mut Running) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            if begun.elapsed() > HANGS {
                self.kill_group();
                panic!("it hangs after {HANGS:?}\n{self:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it with SIGKILL and takes what it left.
    pub fn kill(mut self) -> Outcome {
        self.kill_group();
        self.finish()
    }

    fn kill_group(&mut self) {
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
    }

    /// Closes its standard input and waits for its end.
    pub fn finish(mut self) -> Outcome {
        drop(self.stdin.take());
        self.wait_until(Running::has_ended);
        let status = self.child.wait().expect("it ended");
        if self.other_user {
            // Nobody reads the spool of somebody else.
            let path = self.directory.as_ref().expect("not finished").path();
            let given = Command::new("chown").args(["-R", "0:0"]).arg(path).status();
            assert!(given.expect("chown can be run").success());
        }
        // A process that it forked may still hold the streams.
        self.wait_until(|running| {
            running.stdout.reader.is_finished() && running.stderr.reader.is_finished()
        });
        Outcome {
            command: self.command.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            pid: self.child.id(),
            directory: self.directory.take().expect("not finished"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.directory.is_some() {
            self.kill_group();
            let _ = self.child.wait();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        write!(f, "{}\n--- stdout\n{stdout}--- stderr\n{stderr}---", self.command)
    }
}

/// What a run left behind. A test that fails prints it.
pub struct Outcome {
    command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub pid: u32,
    directory: TempDir,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{self:?}");
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.command, self.status)?;
        write!(f, "--- stdout\n{}--- stderr\n{}---", self.stdout, self.stderr)
    }
}

impl Outcome {
    /// The directory it ran in, which is gone with this.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The events in the spool, the earliest crash first.
    pub fn events(&self) -> Vec<Event> {
        events_in(&self.state())
    }

    /// The attachments of the one report there is: names and bytes.
    pub fn attachments(&self) -> Vec<(String, Vec<u8>)> {
        let spool = Spool::open_existing(&self.state()).expect("a spool");
        let entries = spool.list().expect("a spool");
        assert_eq!(entries.len(), 1, "{entries:?}");
        let bytes = spool.read(entries[0].id).expect("a report");
        let envelope = Envelope::parse(&bytes).expect("whole");
        let attachments = envelope.items.iter().filter(|item| item.ty() == "attachment");
        attachments
            .map(|item| (item.filename().expect("a name").to_owned(), item.payload().to_vec()))
            .collect()
    }

    /// The one event there is.
    pub fn event(&self) -> Event {
        let events = self.events();
        assert_eq!(events.len(), 1, "{:?}", events.iter().map(Event::message).collect::<Vec<_>>());
        events.into_iter().next().expect("counted")
    }

    /// The files of the regions that are left.
    pub fn regions(&self) -> Vec<PathBuf> {
        regions_in(&self.state())
    }

    /// As after a clean end.
    #[track_caller]
    pub fn leaves_no_region(&self) {
        assert!(self.regions().is_empty(), "{:?}", self.regions());
    }

    /// The one region that is left.
    pub fn region(&self) -> Snapshot {
        let regions = self.regions();
        assert_eq!(regions.len(), 1, "{regions:?}");
        Snapshot::read_file(&regions[0], Select::newest(1000)).expect("a region")
    }

    /// The lines lastwords itself printed.
    pub fn warnings(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.contains("lastwords:")).collect()
    }

    #[track_caller]
    pub fn exits_with(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}", self.status);
    }

    #[track_caller]
    pub fn dies_by(&self, signal: i32) {
        assert_eq!(self.status.signal(), Some(signal), "{}", self.status);
    }

    /// Standard error without what differs between two runs: thread ids, and the frames of a full
    /// backtrace, which the standard library prints with addresses when a panic cannot unwind.
    pub fn normal_stderr(&self) -> String {
        let mut text = String::new();
        let mut rest = self.stderr.as_str();
        // thread 'main' (1234) panicked at
        while let Some((before, after)) = rest.split_once("' (") {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            text.push_str(before);
            text.push_str("' (");
            text.push_str(if digits > 0 { "N" } else { "" });
            rest = &after[digits..];
        }
        text += rest;
        let is_full_frame = |line: &&str| {
            let (number, frame) = line.split_once(':').unwrap_or_default();
            let numbered = number.trim().parse::<u32>().is_ok();
            line.starts_with(&" ".repeat(30)) || (numbered && frame.trim().starts_with("0x"))
        };
        text.lines().filter(|line| !is_full_frame(line)).map(|line| format!("{line}\n")).collect()
    }
}

/// The events of the spool in `state`, the earliest crash first.
pub fn events_in(state: &Path) -> Vec<Event> {
    let spool = Spool::open_existing(state).expect("a spool, or none");
    let entries = spool.list().expect("a spool");
    let read = |entry: &lastwords::deliver::Entry| {
        let envelope = Envelope::parse(&spool.read(entry.id).expect("a report")).expect("whole");
        assert_eq!(envelope.event_id(), Some(entry.id));
        Event(Value::Object(envelope.event().expect("an event")))
    };
    let mut events: Vec<Event> = entries.iter().map(read).collect();
    events.sort_by(|a, b| {
        a.0["timestamp"].as_f64().unwrap().total_cmp(&b.0["timestamp"].as_f64().unwrap())
    });
    events
}

/// The files of the regions below `state`.
pub fn regions_in(state: &Path) -> Vec<PathBuf> {
    let Ok(files) = state.join("regions").read_dir() else { return Vec::new() };
    let paths = files.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "region")).collect()
}

/// An event as a server would get it.
#[derive(Debug)]
pub struct Event(pub Value);

impl Event {
    /// The exceptions, the one the event is about first.
    pub fn exceptions(&self) -> Vec<&Value> {
        let values = self.0["exception"]["values"].as_array().expect("exceptions");
        values.iter().rev().collect()
    }

    pub fn messages(&self) -> Vec<&str> {
        let exceptions = self.exceptions().into_iter();
        exceptions.map(|exception| exception["value"].as_str().expect("a text")).collect()
    }

    /// The message the event is about.
    pub fn message(&self) -> &str {
        self.messages()[0]
    }

    /// How many panics had no report when this one was written.
    pub fn panics_unreported(&self) -> u64 {
        self.0["contexts"]["lastwords"]["panics_unreported"].as_u64().expect("a count")
    }

    pub fn level(&self) -> &str {
        self.0["level"].as_str().expect("a level")
    }

    pub fn thread(&self) -> &Value {
        let threads = self.0["threads"]["values"].as_array().expect("threads");
        threads.iter().find(|thread| thread["crashed"] == true).expect("a crashed thread")
    }

    /// The functions of the stack, innermost first.
    pub fn functions(&self) -> Vec<&str> {
        let frames = self.frames().into_iter();
        frames.map(|frame| frame["function"].as_str().unwrap_or("?")).collect()
    }

    fn frames(&self) -> Vec<&Value> {
        let frames = self.exceptions()[0]["stacktrace"]["frames"].as_array();
        frames.expect("a stack").iter().rev().collect()
    }

    /// The innermost frame of the program's own.
    pub fn top_in_app(&self) -> &Value {
        let own = self.frames().into_iter().find(|frame| frame["in_app"] == true);
        own.unwrap_or_else(|| panic!("no frame in app: {:?}", self.functions()))
    }

    pub fn breadcrumbs(&self) -> Vec<&Value> {
        self.0["breadcrumbs"]["values"].as_array().into_iter().flatten().collect()
    }

    pub fn breadcrumb_messages(&self) -> Vec<&str> {
        let crumbs = self.breadcrumbs().into_iter();
        crumbs.map(|crumb| crumb["message"].as_str().unwrap_or_default()).collect()
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this system permits a mount namespace; where it does not, says that a test is skipped.
pub fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = || {
        let mut probe = Command::new("unshare");
        probe.args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"]);
        probe.output().is_ok_and(|output| output.status.success())
    };
    let can = *CAN.get_or_init(can);
    if !can {
        skipped("no mount namespace is permitted here");
    }
    can
}

/// Says that a test is skipped, past the harness's capture.
pub fn skipped(why: &str) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// Whether `text` has `part` exactly once.
pub fn once(text: impl AsRef<str>, part: &str) -> bool {
    text.as_ref().matches(part).count() == 1
}

/// The line of `source` that holds `mark`, counted from 1.
pub fn line_of(source: &str, mark: &str) -> u64 {
    let at = source.lines().position(|line| line.contains(mark)).expect("the mark");
    at as u64 + 1
}
