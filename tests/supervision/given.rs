//! What the program is given: arguments, environment, descriptors, limits.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{Outcome, Run};
use crate::support::{ALL, WATCHES, run};

/// Variables that are added for a child, as the README has them.
const ADDED: [&str; 3] = [
    "variable \"LASTWORDS_REGION=",
    "variable \"LASTWORDS_MONITOR=",
    "variable \"LASTWORDS_TAGS_FILE=",
];

/// What it prints, but for what two runs differ in: the folder, the way of watching, and a process id.
fn told(outcome: &Outcome) -> String {
    let added = |line: &&str| !ADDED.iter().any(|name| line.starts_with(name));
    let lines = outcome.stdout.lines().filter(added).filter(|line| !line.contains("WATCHED="));
    let text = lines.map(|line| format!("{line}\n")).collect::<String>();
    let text = text.replace(&outcome.directory().display().to_string(), "FOLDER");
    text.replace(&format!("group {}\n", outcome.pid), "group STARTED\n")
}

/// Runs it in every way, as `ready` and `change` make it; all tell the same.
#[track_caller]
fn same(ready: impl Fn(Run) -> Run, change: impl Fn(&mut Command)) -> String {
    let plain = ready(run("plain", "tell")).start_as(&change).finish();
    plain.exits_with(0);
    for how in WATCHES {
        let watched = ready(run(how, "tell")).start_as(&change).finish();
        watched.exits_with(0);
        assert_eq!(told(&watched), told(&plain), "{how}");
        assert_eq!(watched.warnings(), Vec::<&str>::new(), "{how}");
        let has_child = watched.stdout.contains("LASTWORDS_MONITOR");
        assert_eq!(has_child, !how.ends_with("monitor"));
        assert!(!watched.stdout.contains("LASTWORDS_PROCESS_NAME"), "{how}");
    }
    told(&plain)
}

#[test]
fn arguments_are_the_same() {
    let odd = OsString::from_vec(vec![b'o', 0xFF, b'd', b'\n']);
    let with = |run: Run| {
        let words = ["", "a b", "--", "-x", "", "ümlaut"].map(OsString::from);
        words.into_iter().chain([odd.clone()]).fold(run, Run::argument)
    };
    let told = same(with, |command| _ = command.arg0("another name"));
    let arguments =
        r#"arguments ["another name", "", "a b", "--", "-x", "", "ümlaut", "o\xFFd\n"]"#;
    assert!(told.contains(arguments), "{told}");
    same(|run| run, |command| _ = command.arg0(""));
}

#[test]
fn directory_and_environment_are_the_same() {
    let told = same(
        |run| {
            run.variable("EMPTY", "").variable("LINES", "a=b\nc").variable("LASTWORDS_TAGS", "a=b")
        },
        |command| _ = command.current_dir("/usr").env("ODD", OsString::from_vec(vec![0xFE])),
    );
    assert!(told.contains("directory Some(\"/usr\")\n"), "{told}");
    assert!(told.contains(r#"variable "ODD=\xFE""#), "{told}");
    assert!(told.contains(r#"variable "LASTWORDS_TAGS=a=b""#), "{told}");
}

/// What service managers hand to the process they start, and to no other.
#[test]
fn variables_that_name_a_process_name_the_program() {
    let script = "shift; export LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=1; exec \"$@\"";
    let told = same(|run| run.through(&[], script), |_| {});
    assert!(told.contains("LISTEN_PID is this process: true\n"), "{told}");
    assert!(told.contains("WATCHDOG_PID is this process: true\n"), "{told}");
    assert!(told.contains("SYSTEMD_EXEC_PID is this process: false\n"), "{told}");
}

#[test]
fn descriptors_are_the_same() {
    let scripts = [
        "shift; exec 3</etc/passwd 7>/dev/null 9<>/dev/zero; exec \"$@\"",
        "shift; exec \"$@\" <&-",
        "shift; exec 5</etc/passwd; exec \"$@\" 5<&5 <&-",
    ];
    for script in scripts {
        let told = same(|run| run.through(&[], script), |_| {});
        assert!(told.contains("descriptors {"), "{told}");
    }
    // One that the program did not inherit is not made one.
    let kept = std::fs::File::open("/etc/passwd").expect("a file");
    let told = same(|run| run, |_| {});
    assert!(!told.contains(&format!(" {}: \"/etc/passwd\"", kept.as_raw_fd())), "{told}");
}

/// Without a standard error, or without any of the three, it has none.
#[test]
fn closed_standard_streams_stay_closed() {
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        let script = format!("shift; exec \"$@\" {closed}");
        for how in WATCHES {
            let plain = run("plain", "tell").through(&[], &script).run();
            let watched = run(how, "tell").through(&[], &script).run();
            let descriptors = |outcome: &Outcome| {
                let line = outcome.stdout.lines().find(|line| line.starts_with("descriptors"));
                let line = line.expect("a line").to_owned();
                // A child without a standard error gets one that leads to nobody.
                if closed.contains("2>") && !how.ends_with("monitor") {
                    line.replace("2: \"/dev/null\"", "2: \"pipe\"")
                } else {
                    line
                }
            };
            assert_eq!(descriptors(&watched), descriptors(&plain), "{how} {closed}");
            watched.exits_with(0);
        }
    }
    for how in WATCHES {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("told");
        let script = format!("shift; exec 9>{}; exec \"$@\" <&- >&- 2>&-", file.display());
        let outcome = run(how, "exit").variable("STATUS", "7").through(&[], &script).run();
        outcome.exits_with(7);
        assert_eq!(std::fs::read(&file).expect("a file"), b"", "{how}");
    }
}

#[test]
fn signals_limits_and_rank_are_the_same() {
    let scripts = [
        "shift; cd /usr; umask 027; ulimit -n 100; ulimit -St 1000; exec nice -n 3 \"$@\"",
        "shift; trap '' CHLD TSTP USR1; exec \"$@\"",
        "shift; exec env --block-signal=USR1 --block-signal=TERM \"$@\"",
        "shift; exec nohup \"$@\"",
    ];
    for script in scripts {
        let told = same(|run| run.through(&[], script), |_| {});
        assert!(told.contains("group STARTED\n"), "{told}");
    }
}

/// A limit on the size of files that is below the size of a region: nothing is recorded on disk, and
/// nobody dies of that.
#[test]
fn a_limit_on_files_costs_a_warning_alone() {
    for how in ALL {
        let exit = run(how, "exit").variable("STATUS", "7");
        let outcome = exit.through(&[], "shift; ulimit -f 1; exec \"$@\"").run();
        outcome.exits_with(7);
        let warnings = outcome.warnings().join("\n");
        assert!(warnings.contains("the limit on a file's size is 512 bytes"), "{how} {warnings}");
        outcome.leaves_no_region();
    }
}
