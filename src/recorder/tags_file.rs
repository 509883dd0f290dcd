//! The tags file: how a program in any language sets tags while it runs.
//!
//! `lastwords run` makes an empty file and names it to the program in `LASTWORDS_TAGS_FILE`. The
//! program appends lines `key=value`; of a key that stands twice the last line counts, and one
//! without a value takes the tag away. Blank lines, lines that begin with `#` and lines without `=`
//! mean nothing. The file is read when a report is made, and removed with the program's end; a link in
//! its place is not followed.
//!
//! **Guarantee:** reading is bounded ([`MOST_BYTES`], [`MOST_TAGS`]) and never waits: what is no
//! regular file is not opened for longer than it takes to see that. **Lost:** of a larger file all but
//! its end; a line that was being written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::record::TAGS;

/// Names the file.
pub(super) const VARIABLE: &str = "LASTWORDS_TAGS_FILE";

/// Bytes that are read, from the end.
const MOST_BYTES: u64 = 64 * 1024;

/// Tags that are taken: a server takes no more of one event.
const MOST_TAGS: usize = 200;

/// Makes the file beside a region.
pub(super) fn create(region: &Path) -> io::Result<PathBuf> {
    let path = region.with_extension(TAGS);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map(|_| path)
}

/// The tags in the file that this process's environment names.
pub(super) fn from_environment() -> Vec<(String, String)> {
    match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => read(Path::new(&path)),
        None => Vec::new(),
    }
}

/// The tags in a file; none where it cannot be read.
pub(super) fn read(path: &Path) -> Vec<(String, String)> {
    let text = read_end(path).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let cut = length.saturating_sub(MOST_BYTES);
    file.seek(SeekFrom::Start(cut))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    if cut > 0 {
        // The first line may be the end of one.
        let whole = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..whole);
    }
    Ok(bytes)
}

/// Opens a regular file, without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY,
    );
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn parse(text: &str) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = Vec::new();
    // A line without its newline is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            continue;
        }
        tags.retain(|(known, _)| known != key);
        if !value.is_empty() && tags.len() < MOST_TAGS {
            tags.push((key.to_owned(), value.to_owned()));
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
    }

    #[test]
    fn the_last_line_of_a_key_counts() {
        let text =
            "# set after start\ncluster = eu-7\nshard=1\n\nnonsense\nshard=2\ngone=x\ngone=\n=y\n";
        let expected = [("cluster", "eu-7"), ("shard", "2")];
        assert_eq!(pairs(text), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_line_that_is_being_written_is_not_read() {
        assert_eq!(pairs("a=1\nb=2"), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(pairs("a=1"), []);
    }

    #[test]
    fn a_large_file_is_read_from_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tags");
        let many: String = (0..20_000).map(|n| format!("key{}={n}\n", n % 3)).collect();
        std::fs::write(&path, many).unwrap();
        let tags = read(&path);
        assert_eq!(tags.len(), 3);
        assert!(tags.contains(&("key1".to_owned(), "19999".to_owned())), "{tags:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tags");
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: `name` is a path that ends in a zero byte.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert_eq!(read(&path), []);
        assert_eq!(read(directory.path()), []);
        assert_eq!(read(&directory.path().join("none")), []);
    }
}
