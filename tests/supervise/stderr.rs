//! Standard error is passed on byte for byte, at once, whoever reads it.

use std::io::{PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use crate::common::{is_root, skipped};
use crate::support::{Case, Live, act, case, is_dead, path, script, send, wait_until};

fn flood(bytes: usize) -> Case {
    case([act(), "flood".to_owned(), bytes.to_string()])
}

/// Starts it with a pipe for standard error that is not read yet.
fn start_unread(case: &Case, wrapped: bool) -> (Live, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (Live::start_with(case, wrapped, writer.into()), reader)
}

#[test]
fn binary_output_is_identical() {
    let finished = flood(64 << 20).same();
    assert_eq!(finished.stderr.len(), 64 << 20);
    assert!(finished.log.contains(&format!("stderr ended after {}", 64 << 20)), "{}", finished.log);
}

#[test]
fn binary_output_through_a_terminal_is_identical() {
    let plain = flood(1 << 20).start_plain().finish();
    let wrapped = flood(1 << 20).option(&["--pty", "always"]).start().finish();
    wrapped.is_like(&plain);
}

#[test]
fn nothing_is_held_back() {
    let mut live =
        script("printf 'panic: half a line' >&2; read x; printf ' and more' >&2").start();
    live.stderr().wait_for("panic: half a line");
    live.wait_for_log("quiet after 18");
    live.write(b"\n");
    live.stderr().wait_for("panic: half a line and more");
    live.finish();
}

#[test]
fn files_are_appended_to_and_overwritten_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let run = |shell: &str, wrapped: bool| {
        std::fs::write(&file, "before, and more than is written\n").unwrap();
        let shell = ["sh", "-c", &format!("exec \"$@\" {shell}{}", file.display()), "sh"];
        let case = script("echo one >&2; echo two >&2").through(shell);
        let live = if wrapped { case.start() } else { case.start_plain() };
        assert_eq!(live.finish().code(), 0);
        std::fs::read_to_string(&file).unwrap()
    };
    for shell in ["2>", "2>>", "2<>"] {
        assert_eq!(run(shell, true), run(shell, false), "{shell}");
    }
}

#[test]
fn a_full_disk_costs_bytes_and_nothing_else() {
    let full = ["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"];
    let finished =
        script("echo lost >&2; sleep 0.05; echo goes on; exit 5").through(full).start().finish();
    assert_eq!((finished.code(), finished.stdout.as_str()), (5, "goes on\n"));
    assert!(finished.log.contains("lost 5\n"), "{}", finished.log);
    assert!(finished.log.contains("stderr ended after 5\n"), "{}", finished.log);
}

#[test]
fn a_socket_is_written_to() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let live = Live::start_with(&flood(1 << 20), true, OwnedFd::from(theirs));
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).unwrap();
    assert_eq!(live.finish().code(), 0);
    assert!(bytes == flood(1 << 20).start_plain().finish().stderr);
}

#[test]
fn without_a_reader_the_program_gets_the_error_it_would_get() {
    for program in ["\"$ACT\" write-until-error", "exec cat /dev/zero >&2"] {
        for closed_at_once in [true, false] {
            let finish = |wrapped| {
                let (live, mut reader) = start_unread(&script(program), wrapped);
                if !closed_at_once {
                    reader.read_exact(&mut [0; 10]).unwrap();
                }
                drop(reader);
                live.finish()
            };
            finish(true).is_like(&finish(false));
        }
    }
    let finish = |wrapped| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let live = Live::start_with(&script("\"$ACT\" write-until-error"), wrapped, theirs.into());
        drop(ours);
        live.finish()
    };
    // A socket that is closed with something unread in it is reset, which is a matter of luck.
    for finished in [finish(true), finish(false)] {
        let errors = ["BrokenPipe\n", "ConnectionReset\n"];
        assert!(errors.contains(&&*finished.stdout), "{:?}", finished.stdout);
        assert_eq!(finished.code(), 0);
    }
}

/// Already the first write fails, though nothing had been written when the reader went away.
#[test]
fn a_reader_that_goes_away_is_noticed_without_a_write() {
    let (mut live, reader) =
        start_unread(&script("read x; echo no >&2; echo $?; read x; exit 9"), true);
    live.program();
    drop(reader);
    live.wait_for_log("stderr ended after 0");
    live.write(b"\n\n");
    let plain = {
        let (mut live, reader) =
            start_unread(&script("read x; echo no >&2; echo $?; read x; exit 9"), false);
        drop(reader);
        live.write(b"\n");
        live.finish()
    };
    live.finish().is_like(&plain);
}

#[test]
fn a_program_may_close_it_early() {
    let mut live = script("echo last >&2; exec 2>&-; read x; exit 4").start();
    live.wait_for_log("stderr ended after 5\n");
    live.write(b"\n");
    assert_eq!(live.finish().code(), 4);
}

#[test]
fn another_process_that_holds_it_does_not_hold_up_the_end() {
    let case = script("sleep 600 >/dev/null & echo $!; echo last >&2; exit 6");
    let live = case.start();
    live.stdout.wait_for("\n");
    let sleeps: i32 = live.stdout.text().trim().parse().unwrap();
    let finished = live.finish_leaving(|| assert!(!is_dead(sleeps)));
    assert_eq!((finished.code(), finished.stderr.as_slice()), (6, b"last\n".as_slice()));
    send(sleeps, libc::SIGKILL);
}

#[test]
fn another_process_that_writes_on_does_not_hold_up_the_end() {
    let case = script("yes >&2 2>/dev/null & yes 1>&2 & echo $!; exit 6");
    let live = case.start();
    assert_eq!(live.finish_leaving(|| ()).code(), 6);
}

#[test]
fn a_slow_reader_gets_every_byte_after_the_end() {
    let bytes = 250_000;
    let (mut live, reader) = start_unread(&flood(bytes), true);
    live.wait_for_log("ended Code(0)");
    assert!(live.log().contains(&format!("stderr ended after {bytes}\n")), "{}", live.log());
    assert!(live.child.try_wait().unwrap().is_none(), "the reader has not got it");
    live.read_stderr(reader);
    assert!(live.finish().stderr == flood(bytes).start_plain().finish().stderr);
}

/// Whether anybody who shares the pipe would find it non-blocking.
fn blocks(reader_or_writer: &impl AsRawFd) -> bool {
    // SAFETY: asking for the flags of an open descriptor.
    let flags = unsafe { libc::fcntl(reader_or_writer.as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_NONBLOCK == 0
}

#[test]
fn signals_get_through_while_nobody_reads() {
    let program = "trap 'echo got; kill $!; exit 3' TERM; yes >&2 & echo ready; wait";
    let (reader, writer) = std::io::pipe().unwrap();
    let shared = writer.try_clone().unwrap();
    let mut live = Live::start_with(&script(program), true, writer.into());
    live.stdout.wait_for("ready\n");
    stays_full(&shared);
    assert!(blocks(&shared), "the flags of a shared open file were changed");
    live.signal(libc::SIGTERM);
    live.stdout.wait_for("got\n");
    live.wait_for_log("ended Code(3)");
    drop(shared);
    live.read_stderr(reader);
    assert_eq!(live.finish().code(), 3);
}

/// Waits until a pipe has no room.
fn stays_full(writer: &impl AsRawFd) {
    wait_until("a full pipe", || {
        let mut room = libc::pollfd { fd: writer.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one `pollfd` is borrowed for the call.
        unsafe { libc::poll(&mut room, 1, 50) == 0 }
    });
}

/// Waits until a pipe that nobody reads holds all it can.
fn stays_full_of(reader: &PipeReader) {
    let mut before = -1;
    wait_until("a full pipe", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut held: libc::c_int = 0;
        // SAFETY: the call writes one number.
        unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &mut held) };
        held > 0 && std::mem::replace(&mut before, held) == held
    });
}

/// A reader that takes nothing is given up once the program was asked to stop.
#[test]
fn a_reader_that_takes_nothing_does_not_keep_a_program_that_was_asked_to_stop() {
    let program = "trap 'kill $!; exit 3' TERM; yes >&2 & echo ready; wait";
    let (live, reader) = start_unread(&script(program), true);
    live.stdout.wait_for("ready\n");
    stays_full_of(&reader);
    live.signal(libc::SIGTERM);
    let finished = live.finish();
    assert_eq!(finished.code(), 3);
    assert!(!finished.log.contains("lost 0\n"), "{}", finished.log);
    drop(reader);
}

/// The pipe belongs to another user: it cannot be opened once more.
#[test]
fn a_pipe_of_another_user_is_written_to_with_care() {
    if !is_root() {
        return skipped("only root can run programs as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
    let copy = |name: &str| {
        let to = folder.path().join(name).display().to_string();
        // Not by this process: one that it forks meanwhile would hold the copy open for writing.
        let copied = std::process::Command::new("cp").args([path(name), to.clone()]).status();
        assert!(copied.unwrap().success());
        to
    };
    let (wrap, act) = (copy("wrap"), copy("act"));
    let start = |words: &[&str], stderr: OwnedFd| {
        let case = case([&[wrap.as_str(), "--"], words].concat());
        Live::start_as(&case, false, stderr, |command| {
            command.uid(65_534).gid(65_534);
        })
    };
    let (reader, writer) = std::io::pipe().unwrap();
    let mut live = start(&[&act, "flood", "3000000"], writer.into());
    live.read_stderr(reader);
    assert!(live.finish().stderr == flood(3_000_000).start_plain().finish().stderr);

    let program = "trap 'echo got; kill $!; exit 3' TERM; yes >&2 & echo ready; wait";
    let (reader, writer) = std::io::pipe().unwrap();
    let shared = writer.try_clone().unwrap();
    let mut live = start(&["sh", "-c", program], writer.into());
    live.stdout.wait_for("ready\n");
    stays_full(&shared);
    assert!(blocks(&shared));
    live.signal(libc::SIGTERM);
    live.stdout.wait_for("got\n");
    drop(shared);
    live.read_stderr(reader);
    assert_eq!(live.finish().code(), 3);
}

#[test]
fn the_watcher_is_woken_when_it_is_quiet() {
    let mut live = script("echo one >&2; read x; echo two >&2; read x").start();
    live.wait_for_log("quiet after 4\n");
    live.write(b"\n");
    live.wait_for_log("quiet after 8\n");
    live.finish();
}
