//! Logs that look like crashes and are none: whatever the process's end, no event.
//!
//! One file each in `lookalikes/`, by the runtime that it looks like.

mod corpus_support;

use std::fs;
use std::path::Path;

use corpus_support::scan;
use lastwords::detect::Ending;

#[test]
fn lookalikes_stay_silent() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lookalikes");
    let mut logs = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read(&path).expect("a log");
        logs += 1;
        let endings = [None, Some(0), Some(1), Some(2)].map(|code| code.map(Ending::Code));
        for ending in endings.into_iter().chain([Some(Ending::Signal(15))]) {
            for chunk in [usize::MAX, 61] {
                let found = scan(text.chunks(chunk), ending);
                if let Some(found) = found.first() {
                    let first = &found.crash.exceptions[0];
                    wrong.push(format!(
                        "{path:?} ended by {ending:?}: {} {:?}",
                        first.ty, first.value
                    ));
                }
            }
        }
    }
    assert!(logs >= 40, "only {logs} logs");
    assert!(wrong.is_empty(), "{} events:\n{}", wrong.len(), wrong.join("\n"));
}
