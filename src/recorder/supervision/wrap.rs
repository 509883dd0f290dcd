//! The program as the child of what it was.

use std::ffi::OsString;
use std::fmt;

use super::super::monitor;
use super::super::seal::BeforeSend;
use crate::config::{Flags, Settings};
use crate::supervise::{self, StartError};

/// Names the process to the child where the kernel would name it otherwise: its file was replaced, or it
/// was started by a link.
const PROCESS_NAME: &str = "LASTWORDS_PROCESS_NAME";

/// Why the program was not started as a child.
#[derive(Debug)]
pub(super) enum Error {
    /// `supervise` came too late.
    Threads,
    /// `/proc` does not say what this program is.
    Unknown(std::io::Error),
    /// The system refused.
    Start(StartError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Threads => f.write_str(super::TOO_LATE),
            Error::Unknown(error) => write!(f, "cannot tell what program this is: {error}"),
            Error::Start(error) => {
                write!(f, "{error}")?;
                let source = std::error::Error::source(error);
                source.map_or(Ok(()), |source| write!(f, ": {source}"))
            }
        }
    }
}

/// Starts this program as a child, watches it and ends as it ends. Returns only where it was not started.
pub(super) fn wrap(settings: &Settings, before_send: Option<&BeforeSend>) -> Error {
    if !supervise::has_one_thread() {
        return Error::Threads;
    }
    let (mut command, name) = match supervise::itself() {
        Ok(itself) => itself,
        Err(error) => return Error::Unknown(error),
    };
    command.variables.extend(name.map(|name| (OsString::from(PROCESS_NAME), name)));
    match monitor::run_itself(command, settings.clone(), &Flags::default(), before_send.cloned()) {
        Ok(ended) => supervise::die_like(ended.ending),
        Err(error) => Error::Start(error),
    }
}

/// Takes the name that the first process had.
pub(super) fn take_name() {
    use std::os::unix::ffi::OsStringExt;
    let name = std::env::var_os(PROCESS_NAME).map(OsStringExt::into_vec);
    if let Some(name) = name.and_then(|name| std::ffi::CString::new(name).ok())
        && rustix::process::getpid().as_raw_nonzero() == rustix::thread::gettid().as_raw_nonzero()
    {
        let _ = rustix::thread::set_name(&name);
        if supervise::has_one_thread() {
            // SAFETY: no other thread is there to read the environment.
            unsafe { std::env::remove_var(PROCESS_NAME) };
        }
    }
}
