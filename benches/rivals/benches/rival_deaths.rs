//! What a server hears of a death, by each way to die and each way to report.
//!
//! ```text
//! cargo bench --manifest-path benches/rivals/Cargo.toml --bench rival_deaths
//! ```
//!
//! A real child process logs 21 lines and dies; a server on this machine takes whatever comes. Nothing
//! is timed: what the child has left behind to deliver (the reporter of `sentry-minidump`, the monitor of
//! lastwords) is waited for until the last process has closed the pipe that they all inherit. Each
//! contender is given what its documentation says, with its defaults:
//!
//! * `sentry`: the guard of `sentry::init` lives to the end of `main`, and its drop flushes; the
//!   hook of `sentry-panic` flushes by itself. `SpanLayer` and `BreadcrumbLayer` of `sentry-tracing`
//!   take INFO and above. Spans are not sampled, which costs it no breadcrumb.
//! * `sentry-minidump`: `MinidumpIntegration` among the options, once as it comes, and once with a
//!   layer that hands it every line, since it takes no breadcrumbs of the client's by itself.
//! * lastwords with its hook and its layer: one sweep after the death, as at the program's next start.
//! * lastwords behind `supervise()`: nothing afterwards.
//!
//! All have a DSN by `SENTRY_DSN`, an own directory, and no other setting.
#![cfg(target_os = "linux")]

#[path = "../../common/children.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod children;
#[path = "../deaths/contenders.rs"]
mod contenders;
#[path = "../deaths/envelope.rs"]
mod envelope;
#[path = "../deaths/program.rs"]
mod program;
#[path = "../deaths/server.rs"]
mod server;
#[path = "../deaths/verdict.rs"]
mod verdict;

use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use children::{is_bench, progress};
use contenders::Contender;
use lastwords::config::{Flags, Overrides, resolve};
use server::Server;
use verdict::Verdict;

/// How long a process may live, with all that it leaves behind.
const HANGS: Duration = Duration::from_secs(60);

/// A way to die.
struct Way {
    name: &'static str,
    title: &'static str,
    end: End,
}

/// How a process ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
}

const WAYS: [Way; 10] = [
    way("panic-main", "panic in `main`", End::Exit(101)),
    way("panic-thread", "panic in a thread, which `main` survives", End::Exit(0)),
    way("panic-in-drop", "panic in a `Drop` while another panic unwinds", ABORTED),
    way("panic-no-unwind", "panic in an `extern \"C\"` function", ABORTED),
    way("panic-in-panic", "panic in the program's own hook", ABORTED),
    way("process-abort", "`process::abort`", ABORTED),
    way("segv-main", "SIGSEGV", End::Signal(libc::SIGSEGV)),
    way("overflow-main", "stack overflow", ABORTED),
    way("allocation", "allocation failure", ABORTED),
    way("killed", "SIGKILL", End::Signal(libc::SIGKILL)),
];

const ABORTED: End = End::Signal(libc::SIGABRT);

const fn way(name: &'static str, title: &'static str, end: End) -> Way {
    Way { name, title, end }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--death-child", name, way] => {
            let contender = contenders::ALL.iter().find(|contender| contender.name == *name);
            let _guard = (contender.expect("a contender").start)();
            program::run(way);
            ExitCode::SUCCESS
        }
        ["--sweep-child", state] => {
            sweep(Path::new(state));
            ExitCode::SUCCESS
        }
        words if is_bench(words) => {
            parent();
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}

fn sweep(state: &Path) {
    let resolved = resolve(&Overrides::default(), &|name| env::var_os(name), &Flags::default());
    lastwords::sweep(state, &resolved.settings).expect("a spool");
}

fn parent() {
    let server = Server::start();
    let mut otherwise = Vec::new();
    let titles: Vec<&str> = contenders::ALL.iter().map(|contender| contender.name).collect();
    println!("| way to die | {} |", titles.join(" | "));
    println!("| --- |{}", " --- |".repeat(titles.len()));
    let mut project = 0;
    for way in &WAYS {
        print!("| {} |", way.title);
        for contender in &contenders::ALL {
            project += 1;
            progress(way.name);
            let (verdict, end) = death(way, contender, &server, project);
            print!(" {verdict} |");
            if end != way.end {
                otherwise
                    .push(format!("{}, {}: {end:?}, not {:?}", way.title, contender.name, way.end));
            }
        }
        println!();
    }
    println!(
        "\nEach cell: events; how many of the {} lines the best of them has as breadcrumbs; whether the \
         innermost frame of the program's own is the function it died in: ✓ it is, (✓) it is in the \
         stack below frames of the reporter's or the runtime's that are marked as the program's, ✗ it \
         is not in it, – there is no stack; a minidump leaves it to the server.\n",
        program::LINES
    );
    contenders::ALL.iter().for_each(|it| println!("{}: {}", it.name, it.about));
    otherwise.iter().for_each(|it| println!("ended in another way than without anybody: {it}"));
}

/// Lets a child die, and waits for all that it leaves behind.
fn death(way: &Way, contender: &Contender, server: &Server, project: usize) -> (Verdict, End) {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let place = place.path();
    let state = place.join("state");
    let dsn = server.dsn(project);
    let status = run(place, &dsn, &["--death-child", contender.name, way.name]);
    if contender.is_swept {
        let state = state.to_str().expect("the target directory is UTF-8");
        assert!(run(place, &dsn, &["--sweep-child", state]).success(), "the sweep succeeds");
    }
    (verdict::of(&server.envelopes(project)), end(status))
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.expect("it has ended")),
    }
}

/// Runs this program anew, until nobody holds the standard output it was given.
fn run(place: &Path, dsn: &str, arguments: &[&str]) -> ExitStatus {
    let own: PathBuf = env::current_exe().expect("a program knows its path");
    let mut command = Command::new(own);
    let steers =
        |name: &str| ["LASTWORDS_", "SENTRY_", "RUST_"].iter().any(|it| name.starts_with(it));
    let names = env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| steers(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.env("SENTRY_DSN", dsn).env("LASTWORDS_STATE_DIR", place.join("state"));
    // Core dumps and minidumps stay in there, too.
    command.env("TMPDIR", place).current_dir(place).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("this program");
    let mut output = child.stdout.take().expect("it is piped");
    let (ended, all_ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = output.read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let status = child.wait().expect("a child");
    all_ended
        .recv_timeout(HANGS)
        .unwrap_or_else(|_| panic!("{arguments:?} leaves a process behind"));
    status
}
