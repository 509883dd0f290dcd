//! The cases of the crash corpus, and how the scanner is run over text.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lastwords::detect::stderr::{Found, Scanner};
use lastwords::detect::{Crash, Ending, signal};
use sentry::types::Uuid;
use serde_json::Value;

/// One folder of the corpus.
pub struct Case {
    pub name: String,
    pub stderr: Vec<u8>,
    pub about: Value,
}

impl Case {
    pub fn all() -> Vec<Case> {
        Case::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
    }

    pub fn all_in(folder: &Path) -> Vec<Case> {
        let entries =
            fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry"));
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        folders.sort();
        let is_case = |folder: &PathBuf| folder.join("case.json").is_file();
        folders.into_iter().filter(is_case).map(|folder| Case::read(&folder)).collect()
    }

    fn read(folder: &Path) -> Case {
        let about = fs::read(folder.join("case.json")).expect("an annotation");
        Case {
            name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
            stderr: fs::read(folder.join("stderr")).expect("output"),
            about: serde_json::from_slice(&about).expect("JSON"),
        }
    }

    pub fn ending(&self) -> Option<Ending> {
        if let Some(name) = self.about["signal"].as_str() {
            return signal::number(name).map(Ending::Signal);
        }
        let code = self.about["exit_code"].as_i64()?;
        Some(Ending::Code(i32::try_from(code).expect("a small number")))
    }

    pub fn scan(&self, chunk: usize) -> Vec<Found> {
        let chunks = self.stderr.chunks(chunk);
        scan(chunks, self.ending())
    }
}

/// What the scanner finds in a stream that comes in chunks.
pub fn scan<'a>(chunks: impl Iterator<Item = &'a [u8]>, ending: Option<Ending>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new();
    for chunk in chunks {
        scanner.feed(chunk, SystemTime::UNIX_EPOCH, &mut |new| found.push(new));
    }
    scanner.finish(ending, &mut |new| found.push(new));
    latest(found)
}

/// A crash with the id of an earlier one takes its place, and those that it takes in are none.
pub fn latest(all: Vec<Found>) -> Vec<Found> {
    let mut kept: Vec<Found> = Vec::new();
    for new in all {
        kept.retain(|old| !new.takes_in.contains(&old.crash.event_id));
        match kept.iter_mut().find(|old| old.crash.event_id == new.crash.event_id) {
            Some(old) => *old = new,
            None => kept.push(new),
        }
    }
    kept
}

/// The crashes without their ids, which are random.
pub fn crashes(found: Vec<Found>) -> Vec<Crash> {
    found.into_iter().map(|found| Crash { event_id: Uuid::nil(), ..found.crash }).collect()
}
