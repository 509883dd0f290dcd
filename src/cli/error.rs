//! Everything that can end the command early. A message names the offending value and the rule it
//! broke, or the names that would have been right; causes travel as the source.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use lastwords::deliver::SpoolError;

use super::peek::Refusal;
use super::store::Unreadable;

/// Why the command could not do what was asked.
#[derive(Debug)]
pub enum Error {
    /// No report's id begins like this.
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The ids there are, newest first.
        known: Vec<String>,
        /// Where they were looked for.
        looked_in: PathBuf,
    },
    /// More than one report's id begins like this.
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The ids that begin so, each with a word about its report.
        candidates: Vec<String>,
    },
    /// There is no report to show.
    Empty {
        /// Where they were looked for, in words.
        looked_in: String,
    },
    /// The spool could not be read.
    Spool(SpoolError),
    /// A report could not be read.
    Report {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: Unreadable,
    },
    /// The input could not be read.
    Input {
        /// What was read, in words.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A report has no raw standard error with it.
    NoStderr {
        /// Its file.
        path: PathBuf,
    },
    /// A process cannot be peeked at.
    Peek(Refusal),
    /// Standard output could not be written.
    Output(io::Error),
}

/// How many known ids an error names.
const NAMED: usize = 8;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { wanted, known, looked_in } => {
                let looked_in = looked_in.display();
                write!(f, "no report in {looked_in} has an id that begins with '{wanted}'")?;
                write!(f, "; known, newest first:")?;
                named(f, known)
            }
            Self::Ambiguous { wanted, candidates } => {
                write!(f, "'{wanted}' begins the ids of {} reports:", candidates.len())?;
                named(f, candidates)?;
                write!(f, "\ngive more digits of one of them")
            }
            Self::Empty { looked_in } => write!(f, "no report to show: {looked_in}"),
            Self::Spool(_) => write!(f, "cannot read the spool"),
            Self::Report { path, .. } => write!(f, "cannot read the report {}", path.display()),
            Self::Input { name, .. } => write!(f, "cannot read {name}"),
            Self::NoStderr { path } => {
                write!(f, "the report {} has no standard error with it: ", path.display())?;
                write!(
                    f,
                    "only a monitor (`lastwords run`) records it, and none with --stderr-tail 0"
                )
            }
            Self::Peek(refusal) => refusal.fmt(f),
            Self::Output(_) => write!(f, "cannot write to standard output"),
        }
    }
}

/// The first few of `ids`, one a line, and a count of the others.
fn named(f: &mut std::fmt::Formatter<'_>, ids: &[String]) -> std::fmt::Result {
    for id in ids.iter().take(NAMED) {
        write!(f, "\n  {id}")?;
    }
    match ids.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more, see `lastwords list`"),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spool(source) => Some(source),
            Self::Output(source) | Self::Input { source, .. } => Some(source),
            Self::Report { source, .. } => Some(source),
            Self::Peek(refusal) => refusal.source(),
            Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Empty { .. }
            | Self::NoStderr { .. } => None,
        }
    }
}

/// An error and its causes as one sentence.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(sentence, ": {error}");
        cause = error.source();
    }
    sentence
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
