//! What is one per process: the installed recording, tags set before there is one, and warnings.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Recorder;
use crate::record::Recording;

static INSTALLED: OnceLock<Arc<Recording>> = OnceLock::new();
static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// The installed recorder.
pub(super) fn recorder() -> Option<&'static Recorder> {
    RECORDER.get()
}

/// Tags set before `install`, in order.
static EARLY: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Makes a recording the process's own, and gives it the tags set so far.
pub(super) fn set_installed(recorder: &Recorder) {
    let recording = Arc::clone(recorder.publisher.recording());
    let _ = RECORDER.set(recorder.clone());
    let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(region) = recording.region() {
        for (key, value) in early.drain(..) {
            region.set_tag(&key, &value);
        }
    }
    // Under the lock: a tag is either in `early` before the drain, or finds this.
    let _ = INSTALLED.set(recording);
}

/// Sets a tag of every report this process makes from now on, whatever it dies of. From any thread,
/// at any time; before `install` it is kept for it.
///
/// Of a key 200 bytes are kept and of a value 800; a region holds 64 keys. Characters that the
/// protocol does not take are mended in the report.
pub fn set_tag(key: &str, value: impl Display) {
    // Formatted here, before any lock: it is code of the program's.
    let value = value.to_string();
    if INSTALLED.get().is_none() {
        let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
        // `install` may have come in between.
        if INSTALLED.get().is_none() {
            early.retain(|(earlier, _)| earlier != key);
            early.push((key.to_owned(), value));
            return;
        }
    }
    if let Some(region) = INSTALLED.get().and_then(|recording| recording.region()) {
        region.set_tag(key, &value);
    }
}

/// Removes a tag that [`set_tag`] set. Static tags, from builder or environment, stay.
pub fn remove_tag(key: &str) {
    EARLY.lock().unwrap_or_else(PoisonError::into_inner).retain(|(earlier, _)| earlier != key);
    if let Some(region) = INSTALLED.get().and_then(|recording| recording.region()) {
        region.remove_tag(key);
    }
}

/// Whether nothing is said: somebody else says it.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Says nothing from here on, or something again.
pub(super) fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// One line on standard error, in one write; where there is none, it is lost.
///
/// Past the standard library's lock: the thread that panics may hold it.
pub(super) fn warn(text: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    let line = format!("lastwords: {text}\n");
    write_to_stderr(line.as_bytes());
}

#[cfg(unix)]
fn write_to_stderr(line: &[u8]) {
    // SAFETY: `line` can be read for its length; a descriptor that is closed is an error, which
    // costs the line.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

#[cfg(not(unix))]
fn write_to_stderr(line: &[u8]) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(line);
}
