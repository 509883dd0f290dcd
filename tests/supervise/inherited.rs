//! The program inherits what it would inherit, and the wrapper keeps nothing of it.

use std::path::Path;

use crate::support::{act, case, path, script};

#[test]
fn mask_and_ignored_signals_are_the_inherited_ones() {
    let status = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    let launchers: [&[&str]; 6] = [
        &["env"],
        &["nohup"],
        &["env", "--ignore-signal=PIPE"],
        &["env", "--ignore-signal=CHLD", "--ignore-signal=TSTP"],
        &["env", "--block-signal=USR1", "--block-signal=TERM", "--block-signal=RTMIN"],
        &["env", "--ignore-signal"],
    ];
    for launcher in launchers {
        for options in [&[][..], &["--group"]] {
            let case = case(status).through(launcher.iter().copied()).option(options);
            let finished = case.same();
            assert_eq!(finished.stdout.lines().count(), 3, "{launcher:?} {finished:?}");
        }
    }
}

#[test]
fn a_hang_up_does_not_end_what_nohup_started() {
    let live = case([act(), "signals".into()]).through(["nohup"]).start();
    live.stdout.wait_for("ready\n");
    live.signal(libc::SIGHUP);
    live.signal(libc::SIGUSR1);
    live.stdout.wait_for("signal 10\n");
    // Ignored signals that are blocked wait as well; so it tells of both, as it does without us.
    assert_eq!(live.finish().code(), 0);
    let mut nohup = script("echo ready; read x; echo \"$x\"").through(["nohup"]).start();
    nohup.stdout.wait_for("ready\n");
    nohup.signal(libc::SIGHUP);
    nohup.write(b"lives\n");
    nohup.stdout.wait_for("lives\n");
    assert_eq!(nohup.finish().code(), 0);
}

/// The descriptors and what they are, standard error's and the folder's own apart.
const DESCRIPTORS: &str = "cd /proc/$$/fd; for fd in *; do \
     case $fd in 0|1|10) ;; 2) echo 2 ;; *) printf \"$fd \"; readlink $fd ;; esac; done";

#[test]
fn descriptors_are_the_inherited_ones() {
    let shells = [
        "exec \"$@\"",
        "exec 3</etc/passwd 7>/dev/null 9<>/dev/zero; exec \"$@\"",
        "exec \"$@\" <&-",
        "exec 6</etc/passwd; exec \"$@\" <&- >&2",
    ];
    for shell in shells {
        let finished = script(DESCRIPTORS).through(["sh", "-c", shell, "sh"]).same();
        assert!(
            format!("{}{}", finished.stdout, finished.stderr_text()).contains("2\n"),
            "{shell}"
        );
    }
    let standard = "for fd in 0 1; do readlink /proc/$$/fd/$fd >/dev/null; echo $? >&2; done";
    for shell in ["exec \"$@\" <&-", "exec \"$@\" >&-", "exec \"$@\" <&- >&-"] {
        script(standard).through(["sh", "-c", shell, "sh"]).same();
    }
    // Without a standard error it gets one, which leads nowhere.
    let finished = script("echo lost >&2; echo $?").through(["sh", "-c", "exec \"$@\" 2>&-", "sh"]);
    let finished = finished.start().finish();
    assert_eq!(finished.stdout, "0\n");
    assert!(finished.log.contains("stderr ended after 5"), "{}", finished.log);
}

#[test]
fn the_wrapper_keeps_no_descriptor_and_no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let shell =
        format!("cd {}; exec \"$@\" 5</etc/passwd 7>held 8</etc/group", folder.path().display());
    let mut live = script("echo ready; read x").through(["sh", "-c", &shell, "sh"]);
    live = live.option(&["--keep", "8"]);
    let live = live.start();
    live.stdout.wait_for("ready\n");
    live.program();
    let own = Path::new("/proc").join(live.pid().to_string());
    assert_eq!(std::fs::read_link(own.join("cwd")).unwrap(), Path::new("/"));
    let link = |fd: &str| std::fs::read_link(own.join("fd").join(fd)).unwrap();
    let open: Vec<_> = own.join("fd").read_dir().unwrap().map(|fd| fd.unwrap().path()).collect();
    let open: Vec<_> = open.iter().map(|fd| std::fs::read_link(fd).unwrap()).collect();
    assert_eq!(
        (link("0").as_path(), link("1").as_path()),
        (Path::new("/dev/null"), Path::new("/dev/null"))
    );
    assert!(!open.contains(&"/etc/passwd".into()), "{open:?}");
    assert!(!open.contains(&folder.path().join("held")), "{open:?}");
    assert!(open.contains(&"/etc/group".into()), "{open:?}");
    live.finish();
}

/// What the program's own reader would see of a pipe that the program closes.
#[test]
fn a_pipe_that_the_program_closes_ends() {
    let mut live = script("exec >&- <&-; sleep 600").start();
    live.program();
    crate::support::wait_until("the end of its output", || live.stdout.has_ended());
    live.signal(libc::SIGTERM);
    assert_eq!(live.child.wait().unwrap().code(), Some(128 + libc::SIGTERM));
}

#[test]
fn place_limits_and_name_are_the_inherited_ones() {
    let tell = "pwd; umask; nice; ulimit -Sa; ulimit -Ha; cat /proc/$$/comm /proc/$$/cmdline; \
                cut -d' ' -f5,6 /proc/$$/stat | tr ' ' '\\n' | wc -l; id";
    let shell = "cd /usr; umask 027; ulimit -n 100; ulimit -St 1000; ulimit -v 4000000; ulimit -f 1000; \
                 exec nice -n 3 \"$@\"";
    let finished = script(tell).through(["sh", "-c", shell, "sh"]).same();
    assert!(finished.stdout.starts_with("/usr\n0027\n3\n"), "{}", finished.stdout);
    // The same group and session as the wrapper's.
    let place = "[ $(ps -o pgid= -p $$) = $(ps -o pgid= -p $PPID) ] && echo same";
    assert_eq!(script(place).start().finish().stdout, "same\n");
}

#[test]
fn the_environment_is_the_inherited_one() {
    let odd = ["env", "-i", "A=1", "EMPTY=", "PATH=/bin:/usr/bin", "WITH=a=b\nc", "=x", "A.b=c"];
    case(["/usr/bin/env"]).through(odd).same();
    let set = ["--set", "A=2", "--set", "NEW=3"];
    let finished = case(["/usr/bin/env"]).through(odd).option(&set).start().finish();
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["=x", "A.b=c", "A=2", "EMPTY=", "NEW=3", "PATH=/bin:/usr/bin", "WITH=a=b", "c"]
    );
}

#[test]
fn variables_that_name_a_process_name_the_program() {
    let shell = "export LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ OTHER_PID=1; exec \"$@\"";
    let tell = "for pid in $LISTEN_PID $WATCHDOG_PID $SYSTEMD_EXEC_PID $OTHER_PID; do \
                [ $pid = $$ ] && echo mine || echo no; done";
    let finished = script(tell).through(["sh", "-c", shell, "sh"]).same();
    assert_eq!(finished.stdout, "mine\nmine\nmine\nno\n");
    let others = "export LISTEN_PID=1 WATCHDOG_PID=no; exec \"$@\"";
    let finished =
        script("echo $LISTEN_PID $WATCHDOG_PID").through(["sh", "-c", others, "sh"]).same();
    assert_eq!(finished.stdout, "1 no\n");
}

#[test]
fn a_pidfd_that_is_named_is_the_programs() {
    let act = path("act");
    let finished = case([&act, "pidfd"]).through([&act, "exec-with-pidfd"]).same();
    assert_eq!(finished.stdout, "true\n");
}
