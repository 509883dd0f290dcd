//! Why a process cannot be peeked at: a [`Refusal`].

use std::fmt;
use std::path::PathBuf;

use lastwords::record::ReadError;

/// Why a process cannot be peeked at.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there it is always the last"))]
pub enum Refusal {
    /// What was given is no process id.
    NotAPid {
        /// What was given.
        given: String,
    },
    /// There is no such process, and no region of one.
    NoProcess {
        /// The id.
        pid: u32,
    },
    /// It has ended.
    Ended {
        /// Its id.
        pid: u32,
        /// The region that it left.
        region: PathBuf,
    },
    /// It has ended, and its parent has not waited for it.
    Zombie {
        /// Its id.
        pid: u32,
    },
    /// It belongs to somebody else.
    NotOurs {
        /// Its id.
        pid: u32,
        /// Its user.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// It lives, and no region is known to be its own.
    NoRegion {
        /// Its id.
        pid: u32,
        /// Where one was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// Its region cannot be read.
    Unreadable {
        /// Its id.
        pid: u32,
        /// The region.
        region: PathBuf,
        /// Why not.
        source: ReadError,
    },
    /// This system has no regions that another process can read.
    #[cfg(not(target_os = "linux"))]
    Unsupported,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPid { given } => {
                write!(f, "'{given}' is no process id: a number from 1 is wanted")
            }
            Self::NoProcess { pid } => write!(f, "there is no process {pid}"),
            Self::Ended { pid, region } => {
                write!(f, "process {pid} has ended, and left {}: ", region.display())?;
                write!(f, "`lastwords sweep` reports how")
            }
            Self::Zombie { pid } => {
                write!(f, "process {pid} has ended: it is a zombie, which its parent has not ")?;
                write!(f, "waited for yet")
            }
            Self::NotOurs { pid, owner, user } => {
                write!(f, "process {pid} belongs to user {owner}, and you are user {user}: only ")?;
                write!(f, "that user and root may read its breadcrumbs")
            }
            Self::NoRegion { pid, looked_in } => {
                write!(f, "process {pid} has no region: it does not record itself and is not ")?;
                write!(f, "under `lastwords run`, or its state directory is another one ")?;
                write!(f, "(--state-dir); looked in")?;
                for (i, path) in looked_in.iter().enumerate() {
                    write!(f, "{} {}", if i > 0 { "," } else { "" }, path.display())?;
                }
                Ok(())
            }
            Self::Unreadable { pid, region, .. } => {
                write!(f, "cannot read the region of process {pid}, {}", region.display())
            }
            #[cfg(not(target_os = "linux"))]
            Self::Unsupported => f.write_str("peek works on Linux only"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
