//! What a program learns after its start, and which build it was.

use std::process::Command;

use serde_json::json;

use super::common::{Profile, regions_in};
use super::faulty::{Faulty, Reply};
use super::support::{UNDER, event_of, only, shell, victim, wait_until};

#[test]
fn a_tag_that_a_script_writes_is_on_its_event() {
    let server = Faulty::always(Reply::Ok200);
    let script = r#"
        echo "cluster=eu-6" >> "$LASTWORDS_TAGS_FILE"
        echo "cluster=eu-7" >> "$LASTWORDS_TAGS_FILE"
        echo "$LASTWORDS_TAGS_FILE"
        kill -SEGV $$"#;
    let outcome = shell(script, &server).variable("LASTWORDS_TAGS", "shard=3,cluster=eu-1").run();
    outcome.exits_with(139);
    let event = event_of(&only(&server));
    assert_eq!(event.0["tags"], json!({"cluster": "eu-7", "shard": "3"}));
    let file = std::path::Path::new(outcome.stdout.trim());
    assert!(file.starts_with(outcome.state()) && !file.exists(), "{}", outcome.stdout);
    assert_eq!(regions_in(&outcome.state()).len(), 0);
}

#[test]
fn a_tag_that_a_recording_program_writes_is_on_its_event() {
    for plain in [false, true] {
        let server = Faulty::always(Reply::Ok200);
        let run = victim("tags-file", &server);
        let outcome = if plain { run.plain() } else { run }.under(&UNDER).run();
        outcome.exits_with(101);
        let event = event_of(&only(&server));
        assert_eq!(event.message(), "with a tag", "plain: {plain}");
        assert_eq!(event.0["tags"]["cluster"], "eu-7", "plain: {plain}");
        assert_eq!(regions_in(&outcome.state()).len(), 0);
    }
}

/// The checksum as another program has it.
fn sha256(path: &std::path::Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("coreutils");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_small_program_is_known_by_its_checksum_at_once() {
    let server = Faulty::always(Reply::Ok200);
    let outcome = shell("echo $$ >&2; readlink /proc/$$/exe; kill -SEGV $$", &server).run();
    let event = event_of(&only(&server));
    let expected = sha256(std::path::Path::new(outcome.stdout.trim()));
    assert_eq!(expected.len(), 64);
    assert_eq!(event.0["contexts"]["process"]["executable_sha256"], json!(expected));
}

#[test]
fn a_large_program_is_known_by_its_checksum_after_its_start() {
    let expected = sha256(&Profile::Dev.program("victim"));
    for under in [&[][..], &UNDER] {
        let server = Faulty::always(Reply::Ok200);
        // It dies of a small thing again and again, until its checksum is known.
        let run = victim("again-and-again", &server).variable("LASTWORDS_RATE_LIMIT", "0");
        let mut running = run.under(under).start();
        let known = |received| {
            let event = event_of(&received);
            event.0["contexts"]["process"].get("executable_sha256").cloned()
        };
        let first_known = || server.accepted().into_iter().find_map(known);
        wait_until(&mut running, || first_known().is_some());
        running.finish().exits_with(0);
        assert_eq!(first_known(), Some(json!(expected)));
    }
}
