//! Wires the rooms together: a [`Builder`] collects settings, `install` opens the region and sets
//! the hook, and a [`Recorder`] is what the program holds.
//!
//! **Guarantee:** installing fails only for a mistake in the program's own code; a machine that
//! offers less (no directory, no /proc, a full disk) degrades it, with one warning on standard
//! error each. Dropping a `Recorder` does nothing: recording ends with the process.

pub(crate) mod above;
mod beside_sentry;
mod builder;
mod capture;
mod checksum;
mod delivery;
#[cfg(target_os = "linux")]
mod end_watch;
mod exit;
mod global;
mod inspect;
mod memory;
#[cfg(target_os = "linux")]
pub(crate) mod monitor;
#[cfg(target_os = "linux")]
mod post_mortem;
mod publish;
mod reporter;
mod seal;
#[cfg(target_os = "linux")]
mod sessions;
mod sink;
mod state_dir;
mod supervision;
pub(crate) mod sweep;
mod tags_file;
mod thread;

use std::sync::Arc;

use sentry::protocol::Event;
use tracing_core::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::record::{BreadcrumbLayer, Select, Snapshot};
use crate::report;
use publish::Publisher;

pub use beside_sentry::{SentryIntegration, SentryTransport};
pub use builder::{Builder, InstallError, builder};
pub use capture::{capture_error, capture_error_with_backtrace, capture_message};
pub use global::{remove_tag, set_tag};
pub use inspect::{StateDir, inspect_state_dirs};
pub use state_dir::state_dir_candidates;
pub use supervision::{Supervision, supervise};

/// A handle to a recording. Cheap to clone; dropping it does nothing.
#[derive(Clone)]
pub struct Recorder {
    publisher: Arc<Publisher>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder without globals, for tests: no files, no hook of the process, settings at their
    /// defaults, every level recorded. Its [`layer`](Recorder::layer) records into memory,
    /// [`watch`](Recorder::watch) turns panics into [`events`](Recorder::events).
    ///
    /// ```
    /// use tracing_subscriber::prelude::*;
    ///
    /// let recorder = lastwords::Recorder::in_memory();
    /// let subscriber = tracing_subscriber::registry().with(recorder.layer());
    /// tracing::subscriber::with_default(subscriber, || {
    ///     tracing::info!(shard = 7, "opened");
    /// });
    /// let died = recorder.watch(|| panic!("no space in shard {}", 7));
    /// assert!(died.is_err());
    ///
    /// assert_eq!(recorder.breadcrumbs()[0].message.as_deref(), Some("opened"));
    /// let event = &recorder.events()[0];
    /// assert_eq!(event.exception[0].value.as_deref(), Some("no space in shard 7"));
    /// assert_eq!(event.breadcrumbs[0].data["shard"], 7);
    /// ```
    #[must_use]
    pub fn in_memory() -> Recorder {
        memory::recorder()
    }

    /// The layer that records events and spans as breadcrumbs, filtered by the setting
    /// `LASTWORDS_FILTER`.
    ///
    /// The filter is the layer's own. A filter that was put on the whole subscriber silences
    /// breadcrumbs too: put it on the layer that prints, with
    /// [`with_filter`](Layer::with_filter).
    ///
    /// ```
    /// use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};
    ///
    /// # let recorder = lastwords::Recorder::in_memory();
    /// let subscriber = tracing_subscriber::registry()
    ///     .with(recorder.layer())
    ///     .with(fmt::layer().with_filter(LevelFilter::WARN));
    /// # drop(subscriber);
    /// ```
    ///
    /// A field whose name begins with `private.`, of an event or of a span, is never recorded, nor
    /// even formatted; other layers see it as they see any:
    ///
    /// ```
    /// # use tracing_subscriber::prelude::*;
    /// # let recorder = lastwords::Recorder::in_memory();
    /// # let subscriber = tracing_subscriber::registry().with(recorder.layer());
    /// # tracing::subscriber::with_default(subscriber, || {
    /// tracing::info!(user = 7, private.email = "ada@example.com", "signed in");
    /// # });
    /// assert_eq!(recorder.breadcrumbs()[0].data.get("private.email"), None);
    /// assert_eq!(recorder.breadcrumbs()[0].data["user"], 7);
    /// ```
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let filter: Targets = self.publisher.settings().filter.clone();
        let layer = BreadcrumbLayer::new(Arc::clone(self.publisher.recording()));
        layer.with_filter(filter)
    }

    /// The newest breadcrumbs, scrubbed, newest last, as many as an event carries (the setting
    /// `LASTWORDS_BREADCRUMBS`).
    #[must_use]
    pub fn breadcrumbs(&self) -> Vec<sentry::Breadcrumb> {
        let Some(region) = self.publisher.recording().existing_region() else {
            return Vec::new();
        };
        let select = Select::newest(self.publisher.settings().breadcrumbs);
        match Snapshot::of_region(region, select) {
            Ok(mut snapshot) => {
                self.publisher.scrub(&mut snapshot.breadcrumbs);
                report::breadcrumbs(&snapshot.breadcrumbs)
            }
            Err(_) => Vec::new(),
        }
    }

    /// Sets a tag of this recording; see [`crate::set_tag`] for that of the process.
    pub fn set_tag(&self, key: &str, value: impl std::fmt::Display) {
        // Formatted here, before any lock: it is code of the program's.
        let value = value.to_string();
        if let Some(region) = self.publisher.recording().region() {
            region.set_tag(key, &value);
        }
    }

    /// Removes a tag that was set at run time. Static tags, from builder or environment, stay.
    pub fn remove_tag(&self, key: &str) {
        if let Some(region) = self.publisher.recording().region() {
            region.remove_tag(key);
        }
    }

    /// The events of a recorder [in memory](Recorder::in_memory), oldest first. An installed
    /// recorder keeps its reports in the spool, and answers with none.
    #[must_use]
    pub fn events(&self) -> Vec<Event<'static>> {
        self.publisher.events()
    }

    /// Calls `f`, and makes every panic of this thread meanwhile an event of this recorder instead
    /// of the installed one's. It returns what `f` returned, or the payload of its panic.
    ///
    /// # Errors
    /// The payload, as [`catch_unwind`](std::panic::catch_unwind) gives it.
    pub fn watch<R>(&self, f: impl FnOnce() -> R) -> std::thread::Result<R> {
        memory::watch(&self.publisher, f)
    }
}
