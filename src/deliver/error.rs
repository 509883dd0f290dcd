//! Why the spool could not do what it was asked to: a [`SpoolError`].

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use sentry::types::Uuid;

/// What went wrong, with the path it went wrong at. The system's own words are the source.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The spool's limit is 0: it keeps nothing on disk, and the report has to be sent from memory.
    KeepsNothing,
    /// The path of a directory is that of something else, or of a symbolic link, which is not
    /// followed.
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A directory belongs to another user, who could read and forge reports.
    NotOurs {
        /// The path.
        path: PathBuf,
        /// The user id it belongs to.
        owner: u32,
        /// The user id of this process.
        us: u32,
    },
    /// A directory is made for sharing (it has the sticky bit, as `/tmp` has).
    Shared {
        /// The path.
        path: PathBuf,
    },
    /// There is no report of this id.
    NotFound {
        /// The id.
        id: Uuid,
    },
    /// A file under a report's name is not a regular file. It was not read.
    NotARegularFile {
        /// The path.
        path: PathBuf,
    },
    /// A report is larger than any that could be sent. It was not read.
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// The system refused.
    Io {
        /// What was tried: `create`, `write`, ...
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SpoolError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> SpoolError {
        SpoolError::Io { action, path: path.to_owned(), source }
    }

    /// The kind of error as `std::io` counts them.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::KeepsNothing => io::ErrorKind::Unsupported,
            Self::NotADirectory { .. } => io::ErrorKind::NotADirectory,
            Self::NotOurs { .. } | Self::Shared { .. } => io::ErrorKind::PermissionDenied,
            Self::NotFound { .. } => io::ErrorKind::NotFound,
            Self::NotARegularFile { .. } => io::ErrorKind::InvalidInput,
            Self::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Self::Io { source, .. } => source.kind(),
        }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepsNothing => f.write_str("the spool keeps nothing, its limit is 0"),
            Self::NotADirectory { path } => {
                write!(f, "{} is not a directory (links are not followed)", path.display())
            }
            Self::NotOurs { path, owner, us } => write!(
                f,
                "{} belongs to user {owner}, but a spool must belong to user {us}",
                path.display()
            ),
            Self::Shared { path } => {
                write!(f, "{} is a shared directory, but a spool must be private", path.display())
            }
            Self::NotFound { id } => write!(f, "there is no report {}", id.simple()),
            Self::NotARegularFile { path } => {
                write!(f, "{} is not a regular file", path.display())
            }
            Self::TooLarge { path, size, limit } => {
                write!(f, "{} has {size} bytes, but a report has at most {limit}", path.display())
            }
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl Error for SpoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<SpoolError> for io::Error {
    fn from(error: SpoolError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
