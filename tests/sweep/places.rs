//! Where the sweep may not do what it should: other users, folders without rights, read-only disks, and
//! other PID namespaces.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::corpse::{Corpse, Grave, NOBODY, marked, sweeper, told, wait_for_mark};
use crate::common::{can_mount, events_in, is_root, regions_in, skipped};

/// Nobody, by the convention of every distribution.
const OTHER: u32 = 65534;

/// A sweep as that user, who can reach the command and the folder.
fn as_other(grave: &Grave) -> Command {
    let copy = grave.state().parent().expect("a parent").join("lastwords");
    let copied =
        Command::new("cp").args([super::corpse::LASTWORDS.as_ref(), copy.as_path()]).status();
    assert!(copied.expect("cp can be run").success());
    let of_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(copy.parent().expect("a parent"), of_all).expect("ours");
    let mut command = Command::new(copy);
    command.args(["sweep", "--json", "--state-dir"]).arg(grave.state()).env_clear();
    command.uid(OTHER).gid(OTHER);
    command
}

fn give(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("root may");
}

#[test]
fn another_users_region_is_left_alone() {
    if !is_root() {
        return skipped("only root gives files away");
    }
    let grave = Grave::new();
    let path = grave.lay(Corpse::new());
    give(&path);
    assert_eq!(grave.outcome(), "other-user", "root could, and does not");
    // The other way round: a folder of that user's with a region of root's in it.
    for folder in ["", "regions", "waiting", "sent"] {
        give(&grave.state().join(folder));
    }
    chown(&path, Some(0), Some(0)).expect("root may");
    let told = told(&mut as_other(&grave));
    assert_eq!(told[0]["outcome"], "other-user", "{told:?}");
    assert!(told[0]["words"].as_str().unwrap().contains('0') && path.exists());
}

#[test]
fn a_folder_of_regions_that_cannot_be_read_is_said_to_be_one() {
    if !is_root() {
        return skipped("only root becomes another user");
    }
    let grave = Grave::new();
    let path = grave.lay(Corpse::new());
    for folder in ["", "waiting", "sent"] {
        give(&grave.state().join(folder));
    }
    let told = told(&mut as_other(&grave));
    assert_eq!(told[0]["outcome"], "unreadable", "{told:?}");
    assert_eq!(told[0]["path"], grave.state().join("regions").to_str().unwrap());
    assert!(path.exists());
}

#[test]
fn on_a_read_only_disk_the_region_stays() {
    if !can_mount() {
        return;
    }
    let grave = Grave::new();
    let path = grave.lay(Corpse::numbered(1));
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let told = told(&mut in_mounts(script, &grave));
    assert_eq!(told[0]["outcome"], "unreadable", "{told:?}");
    assert!(told[0]["words"].as_str().unwrap().contains("Read-only"), "{told:?}");
    assert!(path.exists() && grave.events().is_empty());
    assert_eq!(grave.outcome(), "reported");
}

#[test]
fn where_no_directory_takes_the_report_the_region_stays() {
    if !can_mount() {
        return;
    }
    let grave = Grave::new();
    let path = grave.lay(Corpse::numbered(1));
    // Everything is read-only but the regions.
    let script = "mount --bind \"$1/regions\" \"$1/regions\" || exit 9
        for place in $(awk '{print $5}' /proc/self/mountinfo); do
            test \"$place\" = \"$1/regions\" || mount -o remount,bind,ro \"$place\" 2>/dev/null
        done
        touch \"$1/waiting/x\" 2>/dev/null && exit 9
        shift; exec \"$@\"";
    let told = told(&mut in_mounts(script, &grave));
    assert_eq!(told[0]["outcome"], "not-kept", "{told:?}");
    assert!(path.exists() && grave.events().is_empty());
    assert_eq!(grave.outcome(), "reported");
    grave.is_empty();
}

/// A sweep in a mount namespace of its own, which a script prepares: `$1` is the state directory, the rest
/// the command.
fn in_mounts(script: &str, grave: &Grave) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(grave.state());
    let sweep = sweeper(&grave.state());
    command.arg(sweep.get_program()).args(sweep.get_args());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

#[test]
fn a_process_in_a_pid_namespace_of_its_own_is_left_until_it_is_dead() {
    let probe = Command::new("unshare").args(["-p", "-f", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skipped("no PID namespace is permitted here");
    }
    let (run, marks) = marked("hook", "waits");
    // Not as PID 1: nobody is to answer for others.
    let run = run.through(&["unshare", "-p", "-f", "--mount-proc"], "shift; \"$@\"; exit $?");
    let running = run.start();
    wait_for_mark(&marks, "waits");
    let state = running.state();
    assert_eq!(told(&mut sweeper(&state))[0]["outcome"], "lives");
    assert_eq!(regions_in(&state).len(), 1);
    let outcome = running.kill();
    // `unshare` is dead; the kernel is still ending what was below it.
    super::corpse::wait_until("it is dead", || {
        told(&mut sweeper(&state)).first().is_none_or(|one| one["outcome"] == "reported")
    });
    let types: Vec<_> = events_in(&outcome.state())
        .iter()
        .map(|event| event.exceptions()[0]["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(types.iter().filter(|ty| *ty == "SIGKILL").count(), 1, "{types:?}");
    outcome.leaves_no_region();
}

#[test]
fn a_file_that_is_none_is_named() {
    let grave = Grave::new();
    std::fs::create_dir(grave.state().join(format!("regions/{NOBODY}-x.region")))
        .expect("a folder");
    let told = grave.sweep();
    assert_eq!(told[0]["outcome"], "unreadable", "{told:?}");
    let grave = Grave::new();
    let link = grave.state().join(format!("regions/{NOBODY}-x.region"));
    std::os::unix::fs::symlink("/etc/passwd", link).expect("a link");
    assert_eq!(grave.outcome(), "unreadable");
}
