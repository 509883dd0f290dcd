//! The builder: every setting has a method of its name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::above::{self, Above};
use super::delivery::Delivery;
use super::publish::{Outward, Publisher};
use super::reporter::Reporter;
use super::seal::BeforeSend;
use super::sink::Sink;
use super::state_dir::Opened;
use super::supervision::{self, Supervision};
use super::{Recorder, exit, global, reporter, state_dir, thread};
use sentry::protocol::Event;

use crate::build_info::BuildInfo;
use crate::config::{self, Flags, Origin, Overrides, Settings, SuperviseMode};
use crate::deliver::Spool;
use crate::detect::{hook, install_signal_handlers};
use crate::record::{
    Identity, Plan, Recording, Region, detach_in_forked_children, remember_main_name,
};
use crate::report;

/// Collects settings for [`install`](Builder::install). What is set here is the program's default:
/// environment variables have the last word, see [`config`].
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is recorded before `install`"]
pub struct Builder {
    code: Overrides,
    /// Literals that could not be parsed, in words.
    mistakes: Vec<String>,
    before_send: Option<BeforeSend>,
}

/// Begins to configure a recorder.
pub fn builder() -> Builder {
    Builder::default()
}

impl Builder {
    /// Whether anything may leave this machine.
    pub fn enable_sentry(mut self, enable: bool) -> Builder {
        self.code.enable_sentry = Some(enable);
        self
    }

    /// Where to send: a Sentry DSN. A text that is none makes [`install`](Builder::install) fail.
    pub fn dsn(mut self, dsn: &str) -> Builder {
        self.code.dsn = config::parse::dsn(dsn);
        if self.code.dsn.is_none() && !dsn.trim().is_empty() {
            // Never shown: it may hold a key.
            self.mistakes.push("dsn set in code: not a DSN, https://KEY@HOST/PROJECT".to_owned());
        }
        self
    }

    /// Version of the program, best as `name@version`.
    pub fn release(mut self, release: impl Into<String>) -> Builder {
        self.code.release = Some(release.into());
        self
    }

    /// Where the program runs, such as `staging`. Without it, `prod` or `dev` is derived from the
    /// release.
    pub fn environment(mut self, environment: impl Into<String>) -> Builder {
        self.code.environment = Some(environment.into());
        self
    }

    /// The program's edition, `oss` or `enterprise`, which is added to the derived environment.
    pub fn edition(mut self, edition: impl Into<String>) -> Builder {
        self.code.edition = Some(edition.into());
        self
    }

    /// Adds a static tag. Tags that are learned while the program runs are for
    /// [`set_tag`](crate::set_tag).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Builder {
        self.code.tags.push((key.into(), value.into()));
        self
    }

    /// Adds static tags.
    pub fn tags<K, V>(mut self, tags: impl IntoIterator<Item = (K, V)>) -> Builder
    where
        K: Into<String>,
        V: Into<String>,
    {
        let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into()));
        self.code.tags.extend(tags);
        self
    }

    /// Release and tags from [`build_info!`](crate::build_info!): the release `name@version`, unless
    /// another one is set, and the tags `commit`, `branch` and `build_time`, as far as they are known.
    pub fn build_info(mut self, info: BuildInfo) -> Builder {
        self.code.release.get_or_insert_with(|| info.release());
        self.code.tags.extend(info.tags());
        self
    }

    /// The key under which the program's first argument becomes a tag.
    pub fn tag_subcommand(mut self, key: impl Into<String>) -> Builder {
        self.code.tag_subcommand = Some(key.into());
        self
    }

    /// Which events become breadcrumbs, as `Targets` writes it: `info,my_crate=debug`. A text that
    /// is no filter makes [`install`](Builder::install) fail.
    pub fn filter(mut self, filter: &str) -> Builder {
        self.code.filter = config::parse::filter(filter);
        if self.code.filter.is_none() {
            self.mistakes
                .push(format!("filter set in code: {filter:?} is not TARGET=LEVEL,... or LEVEL"));
        }
        self
    }

    /// How many breadcrumbs an event carries at most: 0 to 1000.
    pub fn breadcrumbs(mut self, most: usize) -> Builder {
        self.code.breadcrumbs = Some(most);
        self
    }

    /// Bytes of the ring: 256 KiB to 256 MiB.
    pub fn ring_size(mut self, bytes: u64) -> Builder {
        self.code.ring_size = Some(bytes);
        self
    }

    /// Bytes of raw standard error attached to a report.
    pub fn stderr_tail(mut self, bytes: u64) -> Builder {
        self.code.stderr_tail = Some(bytes);
        self
    }

    /// Directory of spool and regions.
    pub fn state_dir(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.code.state_dir = Some(directory.into());
        self
    }

    /// Bytes of reports kept; 0 keeps none on disk.
    pub fn spool_limit(mut self, bytes: u64) -> Builder {
        self.code.spool_limit = Some(bytes);
        self
    }

    /// Longest wait of a dying process for a silent server, where no monitor watches it.
    pub fn flush(mut self, longest: Duration) -> Builder {
        self.code.flush = Some(longest);
        self
    }

    /// How many reports of one fingerprint are sent in an hour: 0 to 100,000, where 0 sends all. The
    /// others stay in the spool, and the next one that is sent says how many they were.
    pub fn rate_limit(mut self, most: usize) -> Builder {
        self.code.rate_limit = Some(most);
        self
    }

    /// More key names whose values are scrubbed.
    pub fn scrub_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Builder {
        self.code.scrub_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// How the program is to be watched, so that a death which no hook sees is reported at once. Then
    /// [`install`](Builder::install) has to be called before any thread is started, at the beginning of a
    /// synchronous `main`:
    ///
    /// * [`Wrap`](SuperviseMode::Wrap): the program is started once more as a child of this process, and
    ///   `install` returns there; this process watches it and ends as it ends. Its standard error goes
    ///   through a pipe, or a terminal of its own, whose end is attached to reports.
    /// * [`Monitor`](SuperviseMode::Monitor): this process goes on as it is, and a small one beside it waits
    ///   for its end.
    ///
    /// `LASTWORDS_SUPERVISE` has the last word over the mode. Unlike [`supervise`](crate::supervise) the
    /// monitor knows every setting made here, and asks [`before_send`](Builder::before_send).
    pub fn supervise(mut self, mode: SuperviseMode) -> Builder {
        self.code.supervise = Some(mode);
        self
    }

    /// Whether sessions are sent, for crash-free rates: by who watches the program, once for each run,
    /// with its [release](Builder::release). A program that nobody watches sends none.
    pub fn sessions(mut self, send: bool) -> Builder {
        self.code.sessions = Some(send);
        self
    }

    /// Whether the report of a native crash (a fatal signal that no panic is behind) carries a minidump,
    /// for a debugger. What stood on the crashed thread's stack is in it as it was, not scrubbed.
    pub fn minidump(mut self, write: bool) -> Builder {
        self.code.minidump = Some(write);
        self
    }

    /// Calls `f` with every event before it is written: what it returns is written and sent, after it
    /// was scrubbed; for `None` there is no report at all. A report that is amended before it is sent
    /// (by how the process ended, for one) is given again, under the same event id.
    ///
    /// Of a panic it is called on a thread of lastwords' own while the thread that panicked waits, so it
    /// should be quick; of what the program captured, on the thread that captures; at the end of the
    /// process, on the one that exits. If it panics, the report stays on this machine. Of a death that runs
    /// no hook it is called in the process that watches ([`supervise`](Builder::supervise)), or in the next
    /// start of the program, which reports it; only `lastwords run` does not know it.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), lastwords::InstallError> {
    /// let recorder = lastwords::builder()
    ///     .before_send(|mut event| {
    ///         event.server_name = None;
    ///         Some(event)
    ///     })
    ///     .install()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_send(
        mut self,
        f: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Builder {
        self.before_send = Some(BeforeSend(Arc::new(f)));
        self
    }

    /// Starts recording: opens the region, sets the panic hook before the one that is there, and
    /// starts the thread that writes reports.
    ///
    /// # Errors
    /// Only for mistakes in the program: a literal that is no value of its setting, or a second
    /// call. What the machine lacks costs a warning on standard error, not the start.
    pub fn install(self) -> Result<Recorder, InstallError> {
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        if let Some(mistake) = self.mistakes.into_iter().next() {
            return Err(InstallError::BadLiteral { mistake });
        }
        let above = above::find();
        let flags = above.as_ref().map_or_else(Flags::default, Above::flags);
        let resolved = config::resolve(&self.code, &|name| std::env::var_os(name), &flags);
        if let Some(problem) = resolved.problems.iter().find(|p| p.origin == Origin::Code) {
            return Err(InstallError::BadLiteral { mistake: problem.to_string() });
        }
        if INSTALLED.swap(true, Ordering::AcqRel) {
            return Err(InstallError::AlreadyInstalled);
        }
        let mut settings = resolved.settings;
        settings.supervise = settings.supervise.filter(|_| self.code.supervise.is_some());
        settings.tag_first_argument(std::env::args_os().nth(1).as_deref());
        // Before anything is opened, and said: a wrap starts all of this once more.
        let supervision = supervision::begin(&settings, self.before_send.as_ref());
        resolved.problems.iter().for_each(|problem| global::warn(&problem.to_string()));
        let wants_beside = supervision == Supervision::Unsupported
            && settings.supervise == Some(SuperviseMode::Monitor);
        Ok(start(settings, above, self.before_send, wants_beside))
    }
}

/// Opens everything and connects it.
fn start(
    settings: Settings,
    above: Option<Above>,
    before_send: Option<BeforeSend>,
    wants_beside: bool,
) -> Recorder {
    remember_main_name();
    let (ledger, own) = above.map_or((None, None), |above| (Some(above.ledger), above.own));
    let own = own.or_else(supervision::early_region);
    let mut identity = Identity {
        has_before_send: before_send.is_some(),
        watched: own.is_some() || wants_beside,
        install_stack: install_stack(),
        ..identity(&settings)
    };
    if let Some(region) = &own {
        // Whoever reports a silent death reports it under the one id.
        let made = region.identity();
        identity.silent_death_id = made.silent_death_id;
        identity.flags = made.flags;
        region.set_identity(&identity);
    }
    if identity.start_ticks.is_none() && cfg!(target_os = "linux") {
        global::warn("cannot read /proc: reports lack facts about the process");
    }
    // Whoever asks the process to stop before the region can say so would leave what looks like a kill.
    let (recording, spool, drained) = thread::with_signals_blocked(|| {
        let Opened { mut region, spool, place } = state_dir::open(&settings, &identity, own);
        if wants_beside {
            supervision::beside(&mut region, &settings, before_send.as_ref());
        }
        let drained = drained_by_monitor(&region, spool.as_ref());
        let plan = Plan { place, ring_bytes: settings.ring_size, identity: identity.clone() };
        let recording = Arc::new(Recording::new(region, plan));
        detach_in_forked_children(&recording);
        install_signal_handlers(&recording, ledger.clone());
        (recording, spool, drained)
    });
    warn_of_mended(&settings);
    let delivery = Arc::new(Delivery::new(&settings, drained));
    delivery.begin(spool.as_ref());
    let outward = Outward { delivery, before_send };
    let limit = settings.spool_limit;
    let sink = spool.map_or(Sink::Nothing, |spool| Sink::Spool(spool, limit));
    let publisher = Arc::new(Publisher::new(settings, identity, recording, sink, outward));
    publisher.sweep();
    let reporter = Reporter::start(Arc::clone(&publisher));
    hook::install(reporter::sink(&publisher, &reporter, ledger));
    let recorder = Recorder { publisher: Arc::clone(&publisher) };
    global::set_installed(&recorder);
    exit::register(publisher, reporter);
    recorder
}

/// The innermost frames of the call of [`install`](Builder::install).
pub(super) fn install_stack() -> Vec<u64> {
    /// How many are kept: the call is made in `main`, or not far from it.
    const MOST: usize = 32;
    let mut stack = Vec::with_capacity(MOST);
    hook::walk(|address| {
        stack.push(address);
        stack.len() < MOST
    });
    stack
}

/// The directory of the spool, if a monitor drains it when the process has ended.
fn drained_by_monitor(region: &Region, spool: Option<&Spool>) -> Option<PathBuf> {
    let regions = region.path().filter(|_| region.is_guest()).and_then(Path::parent)?;
    let dir = spool?.dir();
    (regions.parent() == Some(dir)).then(|| dir.to_owned())
}

/// One line for each value that a server would lose as it was given.
pub(super) fn warn_of_mended(settings: &Settings) {
    let release = settings.release.as_deref();
    let changed = report::as_sent(release, &settings.environment, &settings.tags).changed;
    changed.iter().for_each(|change| global::warn(&change.to_string()));
}

/// Who this process is, and the settings that a later reader of its region needs.
pub(super) fn identity(settings: &Settings) -> Identity {
    Identity {
        release: settings.release.clone(),
        environment: settings.environment.clone(),
        dsn: settings.dsn.as_ref().map(report::dsn_text),
        silent: !settings.enable_sentry,
        static_tags: settings.tags.clone(),
        scrub_keys: settings.scrub_keys.clone(),
        breadcrumbs: settings.breadcrumbs,
        sessions: settings.sessions,
        minidump: settings.minidump,
        runtime_version: crate::detect::rustc_version(),
        ..Identity::of_this_process()
    }
}

/// Why a recorder was not installed: a mistake in the program's code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// A value given to the builder is none of its setting.
    BadLiteral {
        /// Which value, and what is accepted.
        mistake: String,
    },
    /// This process has a recorder.
    AlreadyInstalled,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::BadLiteral { mistake } => f.write_str(mistake),
            InstallError::AlreadyInstalled => {
                f.write_str("this process has a recorder: install one, once, in main")
            }
        }
    }
}

impl std::error::Error for InstallError {}
