//! A program that watches itself.
//!
//! **Guarantee:** where a monitor above watches already, no second one is started; where none can be
//! started, the program runs unwatched, with one warning. **Not offered:** other systems than Linux; a
//! program that has started threads before: a fork would leave them behind.
//!
//! `wrap`: the program runs once more as the child of what it was, and the first process is the
//! [monitor](super::monitor), as under `lastwords run`. `beside`: the program goes on as it is, and a
//! small process beside it waits for its end. As PID 1, whose end takes everything in its namespace with
//! it, a program that asks for `monitor` is wrapped.

#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod wrap;

use std::sync::Mutex;

use super::above;
use super::global::warn;
use super::seal::BeforeSend;
use crate::config::{self, Flags, Overrides, Settings, SuperviseMode};
#[cfg(target_os = "linux")]
use crate::detect::outside::room;
use crate::record::Region;

/// How this program is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervision {
    /// Not at all, as it was told to.
    Off,
    /// By its parent: this process is the child of one that was this program, or of `lastwords run`.
    ByParent,
    /// By a process beside it.
    Beside {
        /// That process's id.
        monitor: u32,
    },
    /// Not at all, because it cannot be: the system is not Linux, or a warning says why.
    Unsupported,
}

/// Why a program cannot be watched any more.
#[cfg(target_os = "linux")]
const TOO_LATE: &str =
    "supervise has to be called before any thread is started, as the first statement of main";

/// The region of a program that is watched from before it was recorded.
static EARLY: Mutex<Option<Region>> = Mutex::new(None);

/// Has this program watched from here on, so that any death is reported at once, with the log lines up
/// to the last: what no hook sees (SIGKILL, a stack overflow, `abort`) is reported by the process that
/// watches. It is to be the first statement of a synchronous `main`:
///
/// ```no_run
/// fn main() {
///     lastwords::supervise();
///     run();
/// }
///
/// # fn run() {}
/// // With tokio: #[tokio::main] async fn run() { ... }
/// ```
///
/// The program is started once more as a child of this process ([`Wrap`](SuperviseMode::Wrap)), unless
/// `LASTWORDS_SUPERVISE` says otherwise; with [`Builder::supervise`](super::Builder::supervise) the
/// monitor also knows what the program sets in its code, `before_send` among it. The call returns in the
/// program that is watched. Under `lastwords run`, or below a call of the same program, it only says so.
///
/// It has to come before any thread is started; if it does not, or if the system refuses, a warning says
/// so and the program goes on unwatched.
pub fn supervise() -> Supervision {
    let code = Overrides { supervise: Some(SuperviseMode::Wrap), ..Overrides::default() };
    // What is wrong with a variable is said when the program is recorded.
    let settings =
        config::resolve(&code, &|name| std::env::var_os(name), &Flags::default()).settings;
    let supervision = begin(&settings, None);
    if supervision != Supervision::Unsupported || settings.supervise != Some(SuperviseMode::Monitor)
    {
        return supervision;
    }
    beside_now(&settings)
}

/// Begins what has to come before anything is opened: the wrap. Returns in the program that is watched.
/// With [`Monitor`](SuperviseMode::Monitor), where this process is not watched yet, it says
/// [`Unsupported`](Supervision::Unsupported): the region comes first.
pub(super) fn begin(settings: &Settings, before_send: Option<&BeforeSend>) -> Supervision {
    if above::is_our_parent() {
        #[cfg(target_os = "linux")]
        wrap::take_name();
        return Supervision::ByParent;
    }
    above::leave_dead_monitor();
    if let Some(monitor) = above::beside() {
        return Supervision::Beside { monitor };
    }
    match settings.supervise {
        None | Some(SuperviseMode::Off) => Supervision::Off,
        Some(SuperviseMode::Monitor) if std::process::id() != 1 => Supervision::Unsupported,
        Some(SuperviseMode::Monitor | SuperviseMode::Wrap) => wrapped(settings, before_send),
    }
}

#[cfg(target_os = "linux")]
fn wrapped(settings: &Settings, before_send: Option<&BeforeSend>) -> Supervision {
    if !room::is_enough_to_watch() {
        warn("its limit on memory leaves no room for a monitor: the program is not watched");
        return Supervision::Unsupported;
    }
    let error = wrap::wrap(settings, before_send);
    warn(&format!("{error}: the program is not watched"));
    Supervision::Unsupported
}

#[cfg(not(target_os = "linux"))]
fn wrapped(_settings: &Settings, _before_send: Option<&BeforeSend>) -> Supervision {
    warn("programs are not watched on this system");
    Supervision::Unsupported
}

/// Starts the process beside this one before anything is recorded, with a region for both.
fn beside_now(settings: &Settings) -> Supervision {
    let identity = super::builder::identity(settings);
    let mut opened = super::state_dir::open(settings, &identity, None);
    let supervision = beside(&mut opened.region, settings, None);
    *EARLY.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(opened.region);
    supervision
}

/// The region that was made before the program was recorded.
pub(super) fn early_region() -> Option<Region> {
    EARLY.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
}

/// Starts the process beside this one, which watches over `region`.
#[cfg(target_os = "linux")]
pub(super) fn beside(
    region: &mut Region,
    settings: &Settings,
    before_send: Option<&BeforeSend>,
) -> Supervision {
    match beside::watch(region, settings, before_send) {
        Ok(monitor) => {
            above::set_beside(monitor);
            Supervision::Beside { monitor }
        }
        Err(error) => {
            warn(&format!("{error}: the program is not watched"));
            Supervision::Unsupported
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn beside(
    _region: &mut Region,
    _settings: &Settings,
    _before_send: Option<&BeforeSend>,
) -> Supervision {
    warn("programs are not watched on this system");
    Supervision::Unsupported
}
