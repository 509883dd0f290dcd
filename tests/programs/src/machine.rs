//! Programs on a machine that offers less.

use std::io::Write;
use std::thread;

pub(crate) const SCENARIOS: [crate::Scenario; 1] = [("fill-disk", fill_disk)];

/// Fills the state directory's disk, then panics: there is room for the region, and none for the
/// report.
fn fill_disk() {
    if let Some(state) = std::env::var_os("LASTWORDS_STATE_DIR") {
        let path = std::path::PathBuf::from(state).join("filler");
        let mut file = std::fs::File::create(path).expect("a file");
        for size in [4096, 512, 1] {
            while file.write_all(&[1; 4096][..size]).is_ok() {}
        }
    }
    let died = thread::spawn(|| panic!("on a full disk")).join().is_err();
    println!("died: {died}");
}
