//! A crash becomes an event.
//!
//! The exception the event is about, the crash's first, stands last in `exception.values`, where a
//! server looks for it; what was thrown while it unwound stands before it, the latest first. The
//! crashed thread carries no stack of its own: the exception points at it by `thread_id`.
//!
//! Where there is no stack none is made up: the place of the panic is in the mechanism's data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sentry::protocol::{
    ClientSdkInfo, Event, Exception, Mechanism, MechanismMeta, PosixSignal, Stacktrace, Value,
};

use super::context::{self, Machine};
use super::thread::{self, Lacking};
use super::{Scene, breadcrumbs, cut, fingerprint, frame, image, limits, mend};
use crate::detect::{self, Runtime, Severity};

/// Shapes the event, every field already mended but the whole not yet trimmed; and what its type lacks
/// for each of its threads.
pub fn event(scene: &Scene, machine: &Machine) -> (Event<'static>, Vec<Lacking>) {
    let crash = &scene.crash;
    let threads = thread::threads(crash);
    let mut mended = Vec::new();
    let mut event = Event {
        event_id: crash.event_id,
        level: match crash.severity {
            Severity::Fatal => sentry::Level::Fatal,
            Severity::Error => sentry::Level::Error,
        },
        platform: Cow::Borrowed(platform(crash.runtime)),
        timestamp: mend::timestamp(crash.time),
        fingerprint: Cow::Owned(fingerprint::fingerprint(
            crash,
            scene.process.executable.as_deref(),
        )),
        exception: exceptions(crash).into(),
        threads: threads.values.into(),
        breadcrumbs: with_ambient(scene).into(),
        tags: tags(&all_tags(scene), &mut mended),
        release: whole("release", scene.release.as_deref(), mend::release, &mut mended),
        environment: {
            let environment = Some(scene.environment.as_str());
            whole("environment", environment, mend::environment, &mut mended)
        },
        server_name: {
            let server_name = scene.process.server_name.as_deref();
            whole("server_name", server_name, mend::server_name, &mut mended)
        },
        contexts: context::contexts(scene, machine),
        sdk: Some(Cow::Owned(sdk())),
        // Not from `Event::default()`: it makes an id with a generator of the thread's, which a
        // thread at its end has no more.
        culprit: None,
        transaction: scene.ambient.transaction.as_deref().and_then(mend::server_name),
        message: None,
        logentry: None,
        logger: None,
        modules: BTreeMap::new(),
        dist: None,
        user: scene.ambient.user.clone(),
        request: scene.ambient.request.clone(),
        stacktrace: None,
        template: None,
        extra: scene.ambient.extra.clone(),
        debug_meta: Cow::Owned(image::debug_meta(crash)),
    };
    if !mended.is_empty() {
        note(&mut event, "mended", Value::from(mended));
    }
    if threads.left_out > 0 {
        note(&mut event, THREADS_LEFT_OUT, Value::from(threads.left_out));
    }
    (event, threads.lacking)
}

/// The key that counts the threads that an event has no room for.
pub const THREADS_LEFT_OUT: &str = "threads_left_out";

/// The number under `key` in the `lastwords` context, 0 if there is none.
pub fn noted(event: &Event<'static>, key: &str) -> u64 {
    match event.contexts.get(context::LASTWORDS) {
        Some(sentry::protocol::Context::Other(map)) => {
            map.get(key).and_then(Value::as_u64).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Writes something into the `lastwords` context.
pub fn note(event: &mut Event<'static>, key: &str, value: Value) {
    let context = event
        .contexts
        .entry(context::LASTWORDS.to_owned())
        .or_insert_with(|| sentry::protocol::Context::Other(BTreeMap::new()));
    if let sentry::protocol::Context::Other(map) = context {
        map.insert(key.to_owned(), value);
    }
}

fn platform(runtime: Runtime) -> &'static str {
    match runtime {
        // Relay knows no `rust` and would make it `other`.
        Runtime::Rust | Runtime::Unknown => "native",
        Runtime::Go => "go",
    }
}

fn sdk() -> ClientSdkInfo {
    ClientSdkInfo {
        name: "lastwords".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        integrations: Vec::new(),
        packages: Vec::new(),
    }
}

/// The newest breadcrumbs, those of a `sentry` client among them.
fn with_ambient(scene: &Scene) -> Vec<sentry::Breadcrumb> {
    let mut crumbs = breadcrumbs(newest(scene));
    if !scene.ambient.breadcrumbs.is_empty() {
        crumbs.extend(scene.ambient.breadcrumbs.iter().cloned());
        // Stable: of the same time ours come first, in their order.
        crumbs.sort_by_key(|crumb| crumb.timestamp);
        crumbs.drain(..crumbs.len().saturating_sub(scene.breadcrumb_limit));
    }
    crumbs
}

/// All tags; of the same key the last one counts.
fn all_tags(scene: &Scene) -> Vec<(String, String)> {
    let theirs = scene.ambient.tags.iter().map(|(key, value)| (key.clone(), value.clone()));
    theirs.chain(scene.tags.iter().cloned()).collect()
}

fn newest(scene: &Scene) -> &[crate::record::Breadcrumb] {
    let older = scene.breadcrumbs.len().saturating_sub(scene.breadcrumb_limit);
    &scene.breadcrumbs[older..]
}

/// The exceptions in the protocol's order: the first thrown stands last. Of very many the first
/// ones stay.
fn exceptions(crash: &detect::Crash) -> Vec<Exception> {
    let kept = crash.exceptions.iter().take(limits::EXCEPTIONS);
    kept.rev().map(|thrown| exception(thrown, crash.thread.as_ref())).collect()
}

fn exception(thrown: &detect::Exception, thread: Option<&detect::CrashedThread>) -> Exception {
    let frames = frame::frames(thrown);
    Exception {
        ty: cut::to_chars(&thrown.ty, limits::TYPE_CHARS),
        value: (!thrown.value.is_empty() || thrown.mechanism == detect::Mechanism::Panic)
            .then(|| cut::to_chars(&thrown.value, limits::VALUE_CHARS)),
        thread_id: thread.and_then(thread::id),
        stacktrace: (!frames.is_empty()).then(|| Stacktrace { frames, ..Stacktrace::default() }),
        mechanism: Some(mechanism(thrown)),
        ..Exception::default()
    }
}

fn mechanism(thrown: &detect::Exception) -> Mechanism {
    let mut data = BTreeMap::new();
    if let Some(place) = &thrown.location {
        let location = format!("{}:{}:{}", place.file, place.line, place.column);
        let location = cut::to_chars(&location, limits::MECHANISM_DATA_CHARS);
        data.insert("location".to_owned(), Value::from(location));
    }
    if let Some(started) = &thrown.created_by {
        let started = cut::to_chars(&thread::created_by(started), limits::MECHANISM_DATA_CHARS);
        data.insert("created_by".to_owned(), Value::from(started));
    }
    if thrown.frames_elided > 0 {
        data.insert("frames_elided".to_owned(), Value::from(thrown.frames_elided));
    }
    let ty = match thrown.mechanism {
        detect::Mechanism::Panic => "panic",
        detect::Mechanism::Exception => "exception",
        detect::Mechanism::Error => "generic",
        detect::Mechanism::Signal => "signal",
        detect::Mechanism::Abort => "abort",
        detect::Mechanism::Oom => "oom",
    };
    let signal = thrown.signal.as_ref();
    if let Some(address) = signal.and_then(|signal| signal.address) {
        data.insert("address".to_owned(), Value::from(format!("{address:#x}")));
    }
    Mechanism {
        ty: ty.to_owned(),
        handled: Some(thrown.mechanism == detect::Mechanism::Error),
        // A signal's name says nothing of the place: the stack alone is to group by.
        synthetic: (thrown.mechanism == detect::Mechanism::Signal).then_some(true),
        data,
        meta: MechanismMeta { signal: signal.and_then(posix), ..MechanismMeta::default() },
        ..Mechanism::default()
    }
}

/// A signal whose number is known.
fn posix(signal: &detect::SignalInfo) -> Option<PosixSignal> {
    Some(PosixSignal {
        number: signal.number?,
        code: signal.code.and_then(|code| i32::try_from(code).ok()),
        name: Some(signal.name.clone()),
        code_name: None,
    })
}

fn tags(tags: &[(String, String)], mended: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in tags {
        let (kept_key, kept_value) = (mend::tag_key(key), mend::tag_value(value));
        if kept_key.as_ref() != Some(key) || kept_value.as_ref() != Some(value) {
            mended.push(cut::to_chars(&format!("tag {}", shown(key)), limits::TAG_KEY_CHARS));
        }
        if let (Some(key), Some(value)) = (kept_key, kept_value) {
            map.insert(key, value);
        }
    }
    // A context is small: the names of a few mended tags tell what happened to all.
    mended.truncate(MENDED_NAMES);
    map
}

/// A tag's key in one line.
fn shown(key: &str) -> String {
    key.replace(char::is_control, " ")
}

/// How many mended tags the `lastwords` context names.
const MENDED_NAMES: usize = 16;

fn whole(
    name: &str,
    value: Option<&str>,
    mend: fn(&str) -> Option<String>,
    mended: &mut Vec<String>,
) -> Option<Cow<'static, str>> {
    let value = value.filter(|value| !value.is_empty())?;
    let kept = mend(value);
    if kept.as_deref() != Some(value) {
        mended.push(name.to_owned());
    }
    kept.map(Cow::Owned)
}
