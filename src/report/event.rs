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
    ClientSdkInfo, Event, Exception, Mechanism, Stacktrace, Thread, ThreadId, Value,
};

use super::context::{self, Machine};
use super::{Scene, breadcrumbs, cut, fingerprint, frame, limits, mend};
use crate::detect::{self, Runtime, Severity};

/// Shapes the event, every field already mended but the whole not yet trimmed.
pub fn event(scene: &Scene, machine: &Machine) -> Event<'static> {
    let crash = &scene.crash;
    let mut mended = Vec::new();
    let mut event = Event {
        event_id: crash.event_id,
        level: match crash.severity {
            Severity::Fatal => sentry::Level::Fatal,
            Severity::Error => sentry::Level::Error,
        },
        platform: Cow::Borrowed(platform(crash.runtime)),
        timestamp: mend::timestamp(crash.time),
        fingerprint: Cow::Owned(fingerprint::fingerprint(crash)),
        exception: exceptions(crash).into(),
        threads: threads(crash).into(),
        breadcrumbs: breadcrumbs(newest(scene)).into(),
        tags: tags(&scene.tags, &mut mended),
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
        transaction: None,
        message: None,
        logentry: None,
        logger: None,
        modules: BTreeMap::new(),
        dist: None,
        user: None,
        request: None,
        stacktrace: None,
        template: None,
        extra: BTreeMap::new(),
        debug_meta: Cow::default(),
    };
    if !mended.is_empty() {
        note(&mut event, "mended", Value::from(mended));
    }
    event
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
        value: Some(cut::to_chars(&thrown.value, limits::VALUE_CHARS)),
        thread_id: thread.and_then(thread_id),
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
    if thrown.frames_elided > 0 {
        data.insert("frames_elided".to_owned(), Value::from(thrown.frames_elided));
    }
    let ty = match thrown.mechanism {
        detect::Mechanism::Panic => "panic",
        detect::Mechanism::Exception => "exception",
        detect::Mechanism::Signal => "signal",
        detect::Mechanism::Abort => "abort",
        detect::Mechanism::Oom => "oom",
    };
    Mechanism { ty: ty.to_owned(), handled: Some(false), data, ..Mechanism::default() }
}

/// What exception and thread have in common: the thread's id, else its name.
fn thread_id(thread: &detect::CrashedThread) -> Option<ThreadId> {
    let name = || thread.name.as_deref().map(|n| cut::to_chars(n, limits::THREAD_NAME_CHARS));
    thread.id.map(ThreadId::Int).or_else(|| name().map(ThreadId::String))
}

fn threads(crash: &detect::Crash) -> Vec<Thread> {
    let thread = crash.thread.iter().map(|thread| Thread {
        id: thread_id(thread),
        name: thread.name.as_deref().map(|n| cut::to_chars(n, limits::THREAD_NAME_CHARS)),
        crashed: true,
        current: true,
        ..Thread::default()
    });
    thread.collect()
}

fn tags(tags: &[(String, String)], mended: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in tags {
        let (kept_key, kept_value) = (mend::tag_key(key), mend::tag_value(value));
        if kept_key.as_ref() != Some(key) || kept_value.as_ref() != Some(value) {
            let name = cut::to_chars(&format!("tag {key}"), limits::TAG_KEY_CHARS);
            mended.push(name);
        }
        if let (Some(key), Some(value)) = (kept_key, kept_value) {
            map.insert(key, value);
        }
    }
    // A context is small: the names of a few mended tags tell what happened to all.
    mended.truncate(MENDED_NAMES);
    map
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
