//! Disks that fail and spools that somebody has tampered with: the watched program is as it would
//! be, and what can be delivered is.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use lastwords::deliver::State;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::common::{Outcome, Profile, Run, can_mount, is_root, once, skipped};
use super::faulty::{Faulty, Reply};
use super::support::{
    UNDER, event_of, file_of, forget_servers, lastwords, lastwords_says, make_old, only, over,
    reports, the_report, victim, wait_until,
};

/// A user who owns nothing here.
const STRANGER: u32 = 64_991;

/// The watched program is as it is alone, but for one line that it did not print.
#[track_caller]
fn unharmed_with_one_warning(outcome: &Outcome, alone: &Alone) -> String {
    assert_eq!(outcome.status.code(), alone.0.status.code());
    assert_eq!(outcome.stdout, alone.0.stdout);
    let warnings = outcome.warnings();
    let [warning] = warnings[..] else { panic!("one warning: {warnings:?}") };
    let rest = outcome.normal_stderr().replace(&format!("{warning}\n"), "");
    assert_eq!(rest, alone.0.normal_stderr());
    warning.to_owned()
}

/// A run without lastwords.
struct Alone(Outcome);

fn alone(scenario: &str) -> Alone {
    Alone(Run::victim(Profile::Dev, scenario).plain().run())
}

/// The same with the library, with the library under a monitor, and under a monitor alone.
fn each_way(run: impl Fn() -> Run) -> [Outcome; 3] {
    [run().run(), run().under(&UNDER).run(), run().plain().under(&UNDER).run()]
}

#[test]
fn a_directory_that_is_read_only() {
    if !can_mount() {
        return;
    }
    let alone = alone("main");
    let server = Faulty::always(Reply::Ok200);
    let script =
        r#"mkdir -p "$1" && mount -t tmpfs -o mode=0700,ro none "$1" && shift && exec "$@""#;
    for outcome in each_way(|| victim("main", &server).through(&["unshare", "-m"], script)) {
        let warnings = outcome.warnings();
        assert!(warnings.iter().all(|it| it.contains("Read-only file system")), "{warnings:?}");
        assert!(warnings[0].contains("reports are kept in"), "{warnings:?}");
        assert_eq!(outcome.status.code(), alone.0.status.code());
        assert_eq!(outcome.stdout, alone.0.stdout);
        the_report(&outcome.home().join(".local/state/lastwords"), State::Sent);
    }
    assert_eq!((server.accepted().len(), server.requests()), (3, 3));
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    if !can_mount() {
        return;
    }
    let alone = alone("main");
    let server = Faulty::always(Reply::Ok200);
    let script = r#"mkdir -p "$1" && mount -t tmpfs -o mode=0700,size=64k none "$1" &&
        { head -c 100000 /dev/zero > "$1/filler" || true; } 2>/dev/null; shift; exec "$@""#;
    for outcome in each_way(|| victim("main", &server).through(&["unshare", "-m"], script)) {
        let warnings = outcome.warnings();
        assert!(warnings[0].contains("No space left on device"), "{warnings:?}");
        assert_eq!(outcome.status.code(), alone.0.status.code());
        assert_eq!(outcome.stdout, alone.0.stdout);
        the_report(&outcome.home().join(".local/state/lastwords"), State::Sent);
    }
    assert_eq!((server.accepted().len(), server.requests()), (3, 3));
}

#[test]
fn a_disk_that_fills_up_before_the_death() {
    if !can_mount() {
        return;
    }
    let server = Faulty::always(Reply::Ok200);
    let script =
        r#"mkdir -p "$1" && mount -t tmpfs -o mode=0700,size=4m none "$1" && shift && exec "$@""#;
    for under in [&[][..], &UNDER] {
        let run = victim("fill-disk", &server).under(under);
        let outcome = run.through(&["unshare", "-m"], script).run();
        outcome.exits_with(0);
        assert_eq!(outcome.stdout, "died: true\nmain returns\n");
        let warnings = outcome.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("No space left"), "{warnings:?}");
        the_report(&outcome.home().join(".local/state/lastwords"), State::Sent);
    }
    assert_eq!((server.accepted().len(), server.requests()), (2, 2));
}

#[test]
fn a_spool_of_somebody_else() {
    if !is_root() {
        return skipped("only root can give a directory away");
    }
    let alone = alone("main");
    let server = Faulty::always(Reply::Ok200);
    let run = || {
        let run = victim("main", &server);
        fs::create_dir(run.state()).expect("a directory");
        chown(run.state(), Some(STRANGER), Some(STRANGER)).expect("root may");
        run
    };
    let outcome = run().run();
    let warning = unharmed_with_one_warning(&outcome, &alone);
    assert!(warning.contains(&format!("belongs to user {STRANGER}")), "{warning}");
    the_report(&outcome.home().join(".local/state/lastwords"), State::Sent);
    only(&server);
    assert_eq!(outcome.state().read_dir().expect("a directory").count(), 0, "nothing is put there");
    for arguments in [&["send"][..], &["list"]] {
        let output = lastwords(&outcome.state(), arguments);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("belongs to user {STRANGER}")), "{said}");
    }
}

#[test]
fn no_home_directory() {
    if !is_root() {
        return skipped("only root can run a program as somebody else");
    }
    let makeshift = format!("/tmp/lastwords-{STRANGER}");
    let server = Faulty::always(Reply::Ok200);
    let run = victim("main", &server).user(STRANGER);
    let outcome = run.without_variable("HOME").without_variable("LASTWORDS_STATE_DIR").run();
    let sent = fs::read_dir(Path::new(&makeshift).join("sent")).map(Iterator::count);
    let _ = fs::remove_dir_all(&makeshift);
    let warning = unharmed_with_one_warning(&outcome, &alone("main"));
    assert!(warning.contains("no home directory is known") && warning.contains(&makeshift));
    assert_eq!(sent.expect("the makeshift"), 1);
    only(&server);
}

/// A spool with one good report that waits, and a server that takes it now.
fn one_waits() -> (Faulty, Outcome, String) {
    let server = Faulty::always(Reply::DropBeforeRead);
    let outcome = victim("main", &server).run();
    let id = the_report(&outcome.state(), State::Waiting);
    server.set(|_| Reply::Ok200);
    forget_servers(&outcome.state());
    (server, outcome, id)
}

fn planted(state: &Path, number: u32) -> std::path::PathBuf {
    file_of(state, State::Waiting, &format!("{number:032x}"))
}

/// Puts into `waiting/` what is no report.
fn plant(state: &Path, good: &str) {
    let secret = state.parent().expect("a parent").join("secret");
    fs::copy(file_of(state, State::Waiting, good), &secret).expect("a copy");
    symlink(&secret, planted(state, 1)).expect("a link");
    symlink("/nowhere", planted(state, 2)).expect("a link");
    mknodat(CWD, planted(state, 3), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    fs::create_dir(planted(state, 4)).expect("a directory");
    symlink("/dev/zero", planted(state, 5)).expect("a link");
}

#[test]
fn what_is_planted_under_a_reports_name_is_left_alone() {
    let (server, outcome, id) = one_waits();
    let state = outcome.state();
    plant(&state, &id);
    let listed = lastwords_says(&state, &["list"]);
    assert!(once(&listed, &id[..8]), "{listed}");
    lastwords_says(&state, &["send"]);
    assert_eq!(server.accepted_ids(), [id.as_str()]);
    assert_eq!(the_report(&state, State::Sent), id);
    (1..=5).for_each(|number| {
        planted(&state, number).symlink_metadata().expect("it is still there");
    });
    // A program in this spool is not disturbed by it.
    let alone = alone("main");
    for under in [&[][..], &UNDER] {
        let outcome = over(victim("main", &server), &outcome).under(under).run();
        assert_eq!(outcome.normal_stderr(), alone.0.normal_stderr());
        outcome.exits_with(101);
    }
    assert_eq!(server.accepted().len(), 3);
}

/// Envelopes that are none, each in its way, beside the report `good`.
fn garble(state: &Path, good: &str) -> Vec<(String, Vec<u8>)> {
    let whole = fs::read(file_of(state, State::Waiting, good)).expect("a report");
    let id = |number: u32| format!("{number:032x}");
    let named = |number: u32| {
        let text = String::from_utf8_lossy(&whole).replace(good, &id(number));
        text.into_bytes()
    };
    let header = |number: u32| {
        let line = named(number).iter().position(|byte| *byte == b'\n').expect("a line");
        named(number)[..line].to_vec()
    };
    let mut garbled: Vec<(String, Vec<u8>)> = vec![
        (id(1), Vec::new()),
        (id(2), vec![0; 4096]),
        (id(3), named(3)[..named(3).len() / 2].to_vec()),
        (id(4), header(4)),
        (id(5), b"{\"event_id\":\"".to_vec()),
        // Another report's envelope.
        (id(6), whole.clone()),
        (id(7), (0..=255).cycle().take(100_000).collect()),
        (id(8), [&header(8)[..], b"\n{\"type\":\"event\",\"length\":99999999999}\n{}\n"].concat()),
        (id(9), [&header(9)[..], b"\n{\"type\":\"event\",\"length\":4}\nnull\n"].concat()),
    ];
    let cut = named(10);
    garbled.push((id(10), cut[..cut.len() - 20].to_vec()));
    for (id, bytes) in &garbled {
        fs::write(file_of(state, State::Waiting, id), bytes).expect("it can be written");
    }
    garbled
}

#[test]
fn garbled_reports_wait_and_others_are_delivered() {
    let (server, outcome, id) = one_waits();
    let state = outcome.state();
    let garbled = garble(&state, &id);
    make_old(&state);
    // A program that serves this spool.
    let mut running = over(victim("wait", &server), &outcome).start();
    running.wait_for_line("ready");
    let is_sent = || reports(&state).contains(&(id.clone(), State::Sent));
    wait_until(&mut running, is_sent);
    let served = running.finish();
    served.exits_with(0);
    assert_eq!((served.stdout.as_str(), served.stderr.as_str()), ("ready\nmain returns\n", ""));
    // And a person.
    let output = lastwords(&state, &["send"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said.lines().filter(|line| line.contains("waiting")).count(),
        garbled.len(),
        "{said}"
    );
    assert_eq!(server.accepted_ids(), [id]);
    assert_eq!(event_of(&server.accepted()[0]).message(), "main is no more");
    for (id, bytes) in &garbled {
        assert_eq!(fs::read(file_of(&state, State::Waiting, id)).expect("it waits"), *bytes);
    }
    let listed = lastwords_says(&state, &["list"]);
    assert!(listed.contains("unreadable"), "{listed}");
}

#[test]
fn a_journal_that_is_garbled_stops_nothing() {
    for garbage in [&b""[..], b"{\"destinations\":7}", b"\xff\x00{[", b"[]"] {
        let (server, outcome, id) = one_waits();
        fs::write(outcome.state().join("delivery.json"), garbage).expect("it can be written");
        lastwords_says(&outcome.state(), &["send"]);
        assert_eq!(server.accepted_ids(), [id]);
    }
    let (server, outcome, id) = one_waits();
    fs::create_dir(outcome.state().join("delivery.json")).expect("a directory in its place");
    lastwords_says(&outcome.state(), &["send"]);
    assert_eq!(server.accepted_ids(), [id]);
}
