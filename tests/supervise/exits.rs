//! How the wrapper ends.

use crate::support::{Case, case, file, script};

#[test]
fn the_exit_status_is_the_programs() {
    for code in [0, 1, 2, 125, 126, 127, 128, 255] {
        let finished = script(&format!("echo out; echo err >&2; exit {code}")).same();
        assert_eq!(finished.code(), code);
        assert!(finished.log.contains(&format!("ended Code({code})\n")), "{}", finished.log);
        assert!(finished.log.contains("asked None\nlost 0\n"), "{}", finished.log);
    }
}

#[test]
fn a_signal_that_ends_the_program_is_128_and_its_number() {
    let stops_or_does_nothing = [17, 18, 19, 20, 21, 22, 23, 28];
    for signal in (1..=31).filter(|signal| !stops_or_does_nothing.contains(signal)) {
        let finished = script(&format!("ulimit -c 0; kill -{signal} $$; sleep 9")).same();
        assert_eq!(finished.code(), 128 + signal);
        assert!(finished.log.contains(&format!("ended Signal({signal})\n")), "{}", finished.log);
    }
}

#[test]
fn what_the_program_used_is_known() {
    let finished = script("true").same();
    let resident = finished.log.lines().find_map(|line| line.strip_prefix("resident "));
    assert!(resident.expect("a line").parse::<u64>().expect("a number") > 100_000);
}

/// Ends without the program, with this code and a line that holds all of `parts`.
#[track_caller]
fn refused(case: &Case, code: i32, parts: &[&str]) {
    let case = case.clone().through(["/usr/bin/env"]);
    let finished = case.start().finish();
    assert_eq!(finished.code(), code, "{finished:?}");
    let text = finished.stderr_text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(finished.log, "", "the watcher is told nothing");
    let by_env = case.start_plain().finish();
    assert_eq!(by_env.code(), code, "{by_env:?}");
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let folder = tempfile::tempdir().unwrap();
    refused(&case(["no-such-program"]), 127, &["\"no-such-program\"", "not found"]);
    refused(&case(["/no/such/program"]), 127, &["not found"]);
    refused(&case(["no\nsuch"]), 127, &["\"no\\nsuch\""]);
    let orphan = file(&folder, "orphan", "#!/no/such/interpreter\n", 0o755);
    refused(&case([orphan]), 127, &["its interpreter is not found"]);
    refused(&case(["ls"]).variable("PATH", "/nowhere"), 127, &["not found"]);
    let empty = case([""]).start().finish();
    assert_eq!(empty.code(), 127);
}

#[test]
fn a_program_that_cannot_be_run_is_126() {
    let folder = tempfile::tempdir().unwrap();
    let denied = file(&folder, "denied", "#!/bin/sh\n", 0o644);
    refused(&case([denied.clone()]), 126, &[&denied, "Permission denied"]);
    refused(&case(["/"]), 126, &["Permission denied"]);
    refused(&case([format!("{denied}/x")]), 126, &["Not a directory"]);
    let path = folder.path().display().to_string();
    refused(&case(["denied"]).variable("PATH", &format!("{path}:/nowhere")), 126, &["denied"]);
}

#[test]
fn a_program_is_looked_for_as_execvp_does() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    file(&first, "tool", "not to be run", 0o644);
    file(&second, "tool", "#!/bin/sh\necho the second: \"$0\" \"$@\"\n", 0o755);
    let path = format!("{}:/nowhere:{}", first.path().display(), second.path().display());
    let finished =
        case(["tool", "a b", ""]).through(["/usr/bin/env"]).variable("PATH", &path).same();
    assert!(finished.stdout.starts_with("the second: "), "{finished:?}");
}

#[test]
fn a_script_without_a_first_line_is_run_by_sh() {
    let folder = tempfile::tempdir().unwrap();
    let bare = file(&folder, "bare", "echo \"$0\" \"$@\"; exit 7\n", 0o755);
    let finished = case([&bare, "a b", "c"]).through(["/usr/bin/env"]).same();
    assert_eq!(finished.code(), 7);
    assert_eq!(finished.stdout, format!("{bare} a b c\n"));
}
