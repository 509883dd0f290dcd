//! Where reports are found and how their event is taken out of the file: the one place that knows
//! what the state directory looks like.
//!
//! Reading changes nothing, waits for nothing (a FIFO in the spool is named, not opened) and takes
//! no file larger than a report can be. A file that is no report is an [`Unreadable`] of its own
//! and hides no other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::clock;
use super::error::Error;

/// The largest file that is read as a report.
const LARGEST: u64 = 256 << 20;

/// The state directory that was found, or where it was looked for in vain.
pub struct Store {
    found: Option<PathBuf>,
    candidates: Vec<PathBuf>,
}

/// A file in the spool.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Where it is on its way.
    pub state: State,
    /// When it happened, else when the file was written.
    pub time: Option<OffsetDateTime>,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// How far a report has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is yet to be sent.
    Waiting,
    /// A server has it.
    Sent,
}

impl State {
    const ALL: [Self; 2] = [Self::Waiting, Self::Sent];

    /// The word for it, which is the name of its directory too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
        }
    }
}

/// Why a file yields no event.
#[derive(Debug)]
pub enum Unreadable {
    /// It is a directory, a FIFO, a link or a device.
    NotRegular,
    /// It is larger than a report can be.
    TooLarge(u64),
    /// Reading failed.
    Io(io::Error),
    /// It is no envelope, or one without an event.
    Garbled(&'static str),
    /// The event is no JSON object.
    NotJson(serde_json::Error),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRegular => write!(f, "not a regular file"),
            Self::TooLarge(size) => write!(f, "{size} bytes, a report has at most {LARGEST}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Garbled(what) => write!(f, "{what}"),
            Self::NotJson(error) => write!(f, "the event is not a JSON object: {error}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Store {
    /// Finds the state directory: the one asked for, else the first that exists.
    pub fn find(asked: Option<&Path>) -> Result<Self, Error> {
        let candidates = match asked {
            Some(directory) => vec![directory.to_owned()],
            None => candidates(|name| std::env::var_os(name).map(PathBuf::from)),
        };
        let mut found = None;
        for candidate in &candidates {
            match fs::metadata(candidate) {
                Ok(metadata) if metadata.is_dir() && trusted(candidate, &metadata) => {
                    found = Some(candidate.clone());
                    break;
                }
                Ok(metadata) if asked.is_some() && !metadata.is_dir() => {
                    let source = io::ErrorKind::NotADirectory.into();
                    return Err(Error::Spool { path: candidate.clone(), source });
                }
                _ => {}
            }
        }
        Ok(Self { found, candidates })
    }

    /// Its reports, newest first.
    pub fn reports(&self) -> Result<Vec<Report>, Error> {
        let Some(directory) = &self.found else { return Ok(Vec::new()) };
        let mut reports = Vec::new();
        for state in State::ALL {
            let path = directory.join(state.word());
            match list(&path, state) {
                Ok(listed) => reports.extend(listed),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Spool { path, source }),
            }
        }
        reports.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.id.cmp(&b.id)));
        reports.dedup_by(|a, b| a.id == b.id);
        Ok(reports)
    }

    /// The directory its reports come from; empty where there is none.
    pub fn directory(&self) -> PathBuf {
        self.found.clone().unwrap_or_default()
    }

    /// That there is nothing, and where it was looked for.
    pub fn nothing_found(&self) -> String {
        let names = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        match (&self.found, self.candidates.as_slice()) {
            (Some(directory), _) => format!("nothing has died in {} yet", directory.display()),
            (None, [directory]) => format!("{} does not exist", directory.display()),
            (None, several) => format!("none of these exists: {}", names(several)),
        }
    }
}

/// The reports of one directory.
fn list(directory: &Path, state: State) -> io::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".envelope")) else {
            continue;
        };
        // Whoever sends may move it meanwhile: then it is not here any more.
        let Ok(metadata) = entry.metadata() else { continue };
        let mut report = Report {
            id: id.to_owned(),
            state,
            time: None,
            path: entry.path(),
            size: metadata.len(),
        };
        let written = || metadata.modified().ok().and_then(clock::from_system);
        report.time = report.event().ok().and_then(|event| crashed_at(&event)).or_else(written);
        reports.push(report);
    }
    Ok(reports)
}

/// When the event happened, without reading the rest of it.
fn crashed_at(event: &str) -> Option<OffsetDateTime> {
    #[derive(Deserialize)]
    struct Dated {
        timestamp: Value,
    }
    clock::parse(&serde_json::from_str::<Dated>(event).ok()?.timestamp)
}

impl Report {
    /// The event's payload, as it stands in the envelope.
    pub fn event(&self) -> Result<String, Unreadable> {
        let payload = event_payload(&read(&self.path)?)?;
        match serde_json::from_str::<serde_json::Map<String, Value>>(&payload) {
            Ok(_) => Ok(payload),
            Err(error) => Err(Unreadable::NotJson(error)),
        }
    }
}

/// A regular file's bytes.
fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(Unreadable::Io)?;
    if !metadata.is_file() {
        return Err(Unreadable::NotRegular);
    }
    if metadata.len() > LARGEST {
        return Err(Unreadable::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    Ok(bytes)
}

/// Opens without following a link in the last place and without waiting for a FIFO's writer.
fn open(path: &Path) -> Result<File, Unreadable> {
    if !fs::symlink_metadata(path).map_err(Unreadable::Io)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path).map_err(Unreadable::Io)
}

/// The payload of the envelope's event item.
fn event_payload(envelope: &[u8]) -> Result<String, Unreadable> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "type")]
        ty: String,
        length: Option<usize>,
    }
    let garbled = Unreadable::Garbled;
    let (header, mut rest) = split_line(envelope);
    serde_json::from_slice::<serde_json::Map<String, Value>>(header)
        .map_err(|_| garbled("it does not begin with an envelope's header"))?;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        if line.is_empty() {
            rest = after;
            continue;
        }
        let header: Header = serde_json::from_slice(line)
            .map_err(|_| garbled("the header of an item is garbled"))?;
        let length = header.length.unwrap_or_else(|| split_line(after).0.len());
        let payload = after.get(..length).ok_or(garbled("it ends in the middle of an item"))?;
        if header.ty == "event" {
            let text = std::str::from_utf8(payload);
            return text.map(str::to_owned).map_err(|_| garbled("the event is not UTF-8"));
        }
        rest = &after[length..];
    }
    Err(garbled("it holds no event"))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|&b| b == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// Where a state directory may be, best first.
fn candidates(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.as_os_str().is_empty());
    if let Some(directory) = set("LASTWORDS_STATE_DIR") {
        return vec![directory];
    }
    let mut candidates = Vec::new();
    candidates.extend(set("XDG_STATE_HOME").map(|home| home.join("lastwords")));
    candidates.extend(set("HOME").map(|home| home.join(".local/state/lastwords")));
    #[cfg(unix)]
    {
        let user = rustix::process::geteuid();
        if user.is_root() {
            candidates.push("/var/lib/lastwords".into());
        }
        candidates.push(format!("/tmp/lastwords-{}", user.as_raw()).into());
    }
    candidates
}

/// Whether a directory's reports are ours to believe: anyone may make a directory in /tmp.
#[cfg(unix)]
fn trusted(directory: &Path, metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    !directory.starts_with("/tmp") || metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn trusted(_: &Path, _: &fs::Metadata) -> bool {
    true
}
