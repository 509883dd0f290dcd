//! What is left of programs that have ended.

use std::path::{Path, PathBuf};

/// The folders of a state directory, itself last.
const FOLDERS: [&str; 8] =
    ["regions", "waiting", "sent", "rejected", "limited", "sessions", "tmp", "."];

/// The files of a state directory that should be gone: all but reports, and what the spool knows of
/// servers. Regions, temporary files and files of tags are among them.
pub fn left_in(state: &Path) -> Vec<PathBuf> {
    let files = |folder| std::fs::read_dir(state.join(folder)).into_iter().flatten().flatten();
    let paths = FOLDERS.into_iter().flat_map(files).map(|file| file.path());
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file()
            && !name.ends_with(".envelope")
            && !["lock", "delivery.json"].contains(&&*name)
    };
    paths.filter(is_left).collect()
}
