//! The documents say what the program does: `docs/data.md` has a row for every field of an event, and
//! the commands that a document says are checked do what it says.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod common;
mod scenes;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Outcome, Profile, Run, events_in};
use serde_json::Value;

const LASTWORDS: &str = env!("CARGO_BIN_EXE_lastwords");

/// The line before a block of commands that is run.
const CHECKED: &str = "<!-- checked -->\n```sh\n";

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// The table of fields.

/// The fields of an event: `exception[].value`, `breadcrumbs[].data.*`.
fn fields(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        // Whatever a program names its own, and what is of the same form as elsewhere.
        _ if path.ends_with(".*") || path == "threads[].stacktrace" => {
            found.insert(path.to_owned());
        }
        Value::Object(map) => {
            for (key, value) in map {
                let path = match (path, key.as_str()) {
                    ("", key) => key.to_owned(),
                    (list, "values") => list.to_owned(),
                    ("tags", _) => "tags.*".to_owned(),
                    ("breadcrumbs[].data", key) if !is_own(key, value) => format!("{path}.*"),
                    (spans, key) if spans == SPANS && key != "name" => format!("{path}.*"),
                    (path, key) => format!("{path}.{key}"),
                };
                fields(&path, value, found);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().for_each(|value| fields(&format!("{path}[]"), value, found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

const SPANS: &str = "breadcrumbs[].data.spans[]";

/// Whether a key of a breadcrumb's data is lastwords' own: a program's field may have its name, and
/// another form.
fn is_own(key: &str, value: &Value) -> bool {
    match key {
        "thread" => value.is_string() || value.is_u64(),
        "span" => value.is_string(),
        "spans" => value.is_array(),
        "cut" => value.is_boolean(),
        _ => false,
    }
}

/// The events of programs that die in every way, of every scene, and of the corpus.
fn events() -> Vec<Value> {
    let mut events = Vec::new();
    let under = [LASTWORDS, "run", "--"];
    let victim = |scenario: &str| Run::victim(Profile::Dev, scenario);
    let shell = |script: &str| {
        Run::of(Profile::Dev, "victim").under(&[LASTWORDS, "run", "--", "sh", "-c", script, "sh"])
    };
    for run in [
        victim("ingest"),
        victim("double").under(&under),
        victim("main").plain().under(&under),
        shell("echo ready >&2; kill -SEGV $$"),
        shell(
            "printf 'panic: x\\n\\ngoroutine 1 [running]:\\nmain.f()\\n\\t/a.go:3 +0x1d\\n' >&2; exit 2",
        ),
    ] {
        let outcome: Outcome = run.run();
        events.extend(events_in(&outcome.state()).into_iter().map(|event| event.0));
    }
    assert_eq!(events.len(), 5);
    events.push(message());
    events.push(scrubbed(&events[0]));
    let made = scenes::events().into_iter().chain(scenes::events_of_corpus());
    events.extend(made.map(|event| serde_json::from_slice(&event).expect("JSON")));
    events
}

/// What a program reports itself.
fn message() -> Value {
    Run::of(Profile::Dev, "capture").argument("message").run().event().0
}

/// An event in which there was something to scrub. Where it was is in `_meta`, in the event's form.
fn scrubbed(event: &Value) -> Value {
    let mut event = event.clone();
    event["server_name"] = "10.0.0.7".into();
    lastwords::report::Scrubber::new::<&str>(&[]).event(&mut event);
    assert!(event["_meta"].is_object(), "{event}");
    event["_meta"] = "as the event".into();
    event
}

/// What only a sender adds: `tests/delivery.rs` holds it.
const ADDED_BY_THE_SENDER: &str = "contexts.lastwords.not_sent";

/// The first cells of the table of fields, which hold one field or several, each in backticks.
fn documented() -> BTreeSet<String> {
    let text = document("data.md");
    let (_, after) = text.split_once("<!-- fields: begin -->").expect("the begin mark");
    let (table, _) = after.split_once("<!-- fields: end -->").expect("the end mark");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split(" | ").next().expect("a cell"));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_field_of_an_event_is_in_the_table() {
    let mut found = BTreeSet::new();
    events().iter().for_each(|event| fields("", event, &mut found));
    found.insert(ADDED_BY_THE_SENDER.to_owned());
    let documented = documented();
    let missing: Vec<_> = found.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/data.md has no row for {missing:#?}");
    let stale: Vec<_> = documented.difference(&found).collect();
    assert!(stale.is_empty(), "no event has what docs/data.md tells of: {stale:#?}");
}

// Commands.

/// The blocks of a document that are run, with the line each begins in.
fn checked(text: &str) -> Vec<(usize, &str)> {
    let blocks = text.match_indices(CHECKED).map(|(at, mark)| {
        let (block, _) = text[at + mark.len()..].split_once("```").expect("the block's end");
        (text[..at + mark.len()].lines().count() + 1, block)
    });
    blocks.collect()
}

/// Runs the blocks one after another as a person would who has nothing but the command.
fn run_blocks(name: &str, least: usize) {
    let text = document(name);
    let blocks = checked(&text);
    assert!(blocks.len() >= least, "{name} has {} checked blocks", blocks.len());
    let home = tempfile::tempdir().expect("a home");
    let beside = PathBuf::from(LASTWORDS).parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    for (line, block) in blocks {
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", block]).current_dir(home.path()).env_clear();
        shell.env("PATH", format!("{}:{path}", beside.display())).env("HOME", home.path());
        let output = shell.output().expect("a shell");
        assert!(
            output.status.success(),
            "docs/{name}, line {line}: {}\n{block}\n--- stdout\n{}--- stderr\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

#[test]
fn the_commands_of_data_md_do_what_it_says() {
    run_blocks("data.md", 6);
}

#[test]
fn the_commands_of_sentry_md_do_what_it_says() {
    run_blocks("sentry.md", 2);
}

/// Settings and flags that a document names are real ones.
#[test]
fn the_settings_that_documents_name_exist() {
    let settings = &lastwords::config::TABLE;
    let known: BTreeSet<&str> =
        settings.iter().flat_map(|setting| setting.variables).copied().collect();
    for name in ["data.md", "sentry.md"] {
        let text = document(name);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let named = words.filter(|word| word.starts_with("LASTWORDS_"));
        for variable in named {
            assert!(known.contains(variable), "docs/{name} names {variable}");
        }
    }
}

/// Links between the documents lead somewhere.
#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("a README");
    let pages = [(root.to_owned(), readme)].into_iter();
    let docs = ["data.md", "sentry.md"].map(|name| (root.join("docs"), document(name)));
    for (folder, text) in pages.chain(docs) {
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().expect("an end");
            let file = link.split('#').next().expect("a part");
            let is_local = !file.is_empty() && !file.contains("://");
            assert!(!is_local || folder.join(file).exists(), "{link}");
        }
    }
}
