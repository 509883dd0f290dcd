//! What a sweep says of each region.

use std::fmt;
use std::path::PathBuf;

use sentry::types::Uuid;

use crate::detect::signal;

/// A region that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Its file, which may be gone now.
    pub path: PathBuf,
    /// The process that recorded in it, where that can be read.
    pub pid: Option<u32>,
    /// What became of it.
    pub outcome: SweepOutcome,
}

/// What became of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SweepOutcome {
    /// Its process died unwatched: that is reported now, and the region removed.
    Reported {
        /// Ids of the reports.
        ids: Vec<Uuid>,
    },
    /// Its process died, and what is to be told was reported before; the region is removed.
    HadReported,
    /// Its process ended well; the region is removed.
    EndedWell,
    /// Its process was asked to stop, or ended by a signal that is no crash; the region is removed.
    Stopped {
        /// The signal, where it is known.
        signal: Option<i32>,
    },
    /// Its process lives on as another program; the region is removed.
    Replaced,
    /// The machine was restarted while its process ran; the region is removed.
    Restarted,
    /// Its process lives.
    Lives {
        /// The process.
        pid: u32,
    },
    /// A monitor watches over it, or another sweep reports it just now.
    Watched {
        /// The process.
        pid: u32,
    },
    /// Reports of its program must pass the program's own `before_send`: its next start reports it.
    WaitsForProgram {
        /// The program's executable.
        program: String,
    },
    /// It belongs to a machine of this name.
    OtherMachine {
        /// The machine.
        name: String,
    },
    /// It belongs to another user.
    OtherUser {
        /// The user's id.
        uid: u32,
    },
    /// It is just being made, or its process was killed while it was.
    Unfinished,
    /// It was written by another version of lastwords.
    OtherLayout {
        /// The version of its layout.
        found: u64,
    },
    /// It never became a region, or is none any more; the file is removed.
    Damaged {
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be opened, read, locked or removed.
    Unreadable {
        /// What the system says.
        why: String,
    },
    /// A report could be kept nowhere: the region stays.
    NotKept {
        /// What the system says.
        why: String,
    },
}

impl SweepOutcome {
    /// One word for it, which does not change: for scripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            SweepOutcome::Reported { .. } => "reported",
            SweepOutcome::HadReported => "had-reported",
            SweepOutcome::EndedWell => "ended-well",
            SweepOutcome::Stopped { .. } => "stopped",
            SweepOutcome::Replaced => "replaced",
            SweepOutcome::Restarted => "restarted",
            SweepOutcome::Lives { .. } => "lives",
            SweepOutcome::Watched { .. } => "watched",
            SweepOutcome::WaitsForProgram { .. } => "waits-for-program",
            SweepOutcome::OtherMachine { .. } => "other-machine",
            SweepOutcome::OtherUser { .. } => "other-user",
            SweepOutcome::Unfinished => "unfinished",
            SweepOutcome::OtherLayout { .. } => "other-layout",
            SweepOutcome::Damaged { .. } => "damaged",
            SweepOutcome::Unreadable { .. } => "unreadable",
            SweepOutcome::NotKept { .. } => "not-kept",
        }
    }

    /// Whether something is left that should have been done.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, SweepOutcome::Unreadable { .. } | SweepOutcome::NotKept { .. })
    }
}

impl fmt::Display for SweepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SweepOutcome::Reported { ids } => {
                f.write_str("died unwatched: reported as ")?;
                for (i, id) in ids.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, id.simple())?;
                }
                Ok(())
            }
            SweepOutcome::HadReported => f.write_str("died, and was reported before"),
            SweepOutcome::EndedWell => f.write_str("ended well"),
            SweepOutcome::Stopped { signal: Some(number) } => {
                write!(f, "stopped by {}, which is no crash", signal::name(*number))
            }
            SweepOutcome::Stopped { signal: None } => f.write_str("was asked to stop"),
            SweepOutcome::Replaced => f.write_str("executed another program, and lives on as that"),
            SweepOutcome::Restarted => f.write_str("ended when the machine was restarted"),
            SweepOutcome::Lives { pid } => write!(f, "process {pid} lives"),
            SweepOutcome::Watched { pid } => {
                write!(f, "process {pid} is watched, or being reported by somebody else")
            }
            SweepOutcome::WaitsForProgram { program } => write!(
                f,
                "died, and waits for the next start of {program}, whose before_send it must pass"
            ),
            SweepOutcome::OtherMachine { name } => write!(f, "belongs to the machine {name}"),
            SweepOutcome::OtherUser { uid } => write!(f, "belongs to user {uid}"),
            SweepOutcome::Unfinished => f.write_str("is just being made, or was left unfinished"),
            SweepOutcome::OtherLayout { found } => {
                write!(f, "has layout version {found}, of another version of lastwords: left to it")
            }
            SweepOutcome::Damaged { why } => write!(f, "removed: {why}"),
            SweepOutcome::Unreadable { why } => write!(f, "cannot be looked at: {why}"),
            SweepOutcome::NotKept { why } => write!(f, "died, and cannot be reported: {why}"),
        }
    }
}
