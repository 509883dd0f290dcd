//! Why a program was not started: [`StartError`].

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io;

/// Why a program was not started. Its text is one line, without that of its source.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such program, or what its first line names as its interpreter is not there.
    NotFound {
        /// The program as it was named.
        program: OsString,
        /// Whether the program's file is there, and its interpreter is not.
        interpreter: bool,
    },
    /// There is one, and the system does not run it.
    CannotRun {
        /// The program as it was named.
        program: OsString,
        /// What the system says.
        source: io::Error,
    },
    /// Programs are not supervised on this system.
    Unsupported,
    /// The monitor could not be set up.
    Internal {
        /// What it tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl StartError {
    /// What a wrapper exits with: 127 where there is no such program, 126 where it cannot be run,
    /// as a shell does; 125, as `env` and `nohup` do, where the fault is the wrapper's.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            StartError::NotFound { .. } => 127,
            StartError::CannotRun { .. } => 126,
            StartError::Unsupported | StartError::Internal { .. } => 125,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotFound { program, interpreter: false } => {
                write!(f, "cannot run {program:?}: not found")
            }
            StartError::NotFound { program, interpreter: true } => {
                write!(f, "cannot run {program:?}: its interpreter is not found")
            }
            StartError::CannotRun { program, .. } => {
                write!(f, "cannot run {program:?}")
            }
            StartError::Unsupported => {
                write!(f, "running programs is not supported on this system")
            }
            StartError::Internal { action, .. } => write!(f, "cannot {action}"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::CannotRun { source, .. } | StartError::Internal { source, .. } => {
                Some(source)
            }
            StartError::NotFound { .. } | StartError::Unsupported => None,
        }
    }
}
