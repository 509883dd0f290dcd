//! The name of the process, and a file that is not what it was any more.

use std::path::{Path, PathBuf};

use crate::common::{Outcome, Profile, Run, Running};
use crate::support::{WATCHES, run};

/// A copy of the program in `folder`: not by this process, since one that it forks meanwhile would hold
/// it open for writing, and such a file cannot be executed.
fn copy(folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    let program = Profile::Dev.program("watched");
    let copied = std::process::Command::new("cp").args([&program, &copy]).status();
    assert!(copied.expect("cp can be run").success());
    copy
}

fn name(outcome: &Outcome) -> String {
    let line = outcome.stdout.lines().find_map(|line| line.strip_prefix("name "));
    line.expect("it tells").to_owned()
}

/// Starts it, does something once it runs and before it has itself watched, and lets it go on.
#[track_caller]
fn with_change(
    how: &str,
    program: &Path,
    ready: impl Fn(Run) -> Run,
    change: impl Fn(),
) -> Outcome {
    let run = ready(run(how, "tell").variable("WAIT", "1").program(program));
    let mut running = run.start();
    wait_until_it_reads(&running);
    change();
    running.write_line("go on");
    let outcome = running.finish();
    outcome.exits_with(0);
    assert_eq!(outcome.warnings(), Vec::<&str>::new(), "{how}");
    outcome
}

/// Until it has got as far as `main`: the kernel has opened its file by then.
fn wait_until_it_reads(running: &Running) {
    let syscall = format!("/proc/{}/exe", running.pid());
    crate::support::wait_until("the program is executed", || {
        std::fs::read_link(&syscall)
            .is_ok_and(|exe| !exe.ends_with("lastwords") && !exe.ends_with("sh"))
            && std::fs::read_to_string(format!("/proc/{}/wchan", running.pid()))
                .is_ok_and(|it| it.contains("pipe"))
    });
}

#[test]
fn a_link_names_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = copy(folder.path(), "a-program");
    let link = folder.path().join("the-link");
    std::os::unix::fs::symlink(&program, &link).expect("a link");
    let plain = run("plain", "tell").program(&link).run();
    assert_eq!(name(&plain), r#""the-link\n""#);
    for how in WATCHES {
        let watched = run(how, "tell").program(&link).run();
        assert_eq!(name(&watched), name(&plain), "{how}");
    }
}

#[test]
fn a_long_name_is_cut_by_the_kernel_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = copy(folder.path(), "a-program-with-a-long-name");
    for how in ["plain"].into_iter().chain(WATCHES) {
        let outcome = run(how, "tell").program(&program).run();
        assert_eq!(name(&outcome), r#""a-program-with-\n""#, "{how}");
    }
}

#[test]
fn a_deleted_program_runs_on() {
    for how in WATCHES {
        let folder = tempfile::tempdir().expect("a folder");
        let program = copy(folder.path(), "deleted");
        let remove = || std::fs::remove_file(&program).expect("our own file");
        let outcome = with_change(how, &program, |run| run.argument("one").argument(""), remove);
        assert_eq!(name(&outcome), r#""deleted\n""#, "{how}");
        let arguments = format!("arguments [{:?}, \"one\", \"\"]\n", program.display().to_string());
        assert!(outcome.stdout.contains(&arguments), "{how} {}", outcome.stdout);
    }
}

/// Another program has its name by now: what runs is what was started.
#[test]
fn a_replaced_program_is_the_one_that_was_started() {
    for how in WATCHES {
        let folder = tempfile::tempdir().expect("a folder");
        let program = copy(folder.path(), "replaced");
        let replace = || {
            let other = folder.path().join("other");
            std::fs::copy("/bin/false", &other).expect("a copy");
            std::fs::rename(&other, &program).expect("our own file");
        };
        let outcome = with_change(how, &program, |run| run, replace);
        assert_eq!(name(&outcome), r#""replaced\n""#, "{how}");
    }
}

/// A death of a program whose file is gone still has names in its stack.
#[test]
fn a_deleted_program_dies_with_a_stack() {
    for how in WATCHES {
        let folder = tempfile::tempdir().expect("a folder");
        let program = copy(folder.path(), "deleted");
        let mut running =
            run(how, "die").variable("WAY", "segv").variable("WAIT", "1").program(&program).start();
        wait_until_it_reads(&running);
        std::fs::remove_file(&program).expect("our own file");
        running.write_line("go on");
        let outcome = running.finish();
        outcome.dies_by(libc::SIGSEGV);
        crate::support::wait_until_reported(&outcome);
        let event = outcome.event();
        assert!(event.functions().contains(&"watched::ways::by"), "{how} {:?}", event.functions());
        assert!(event.breadcrumb_messages().contains(&"the last line"), "{how}");
    }
}
