//! Room 3, report: a crash, breadcrumbs, tags and context become an event.
//!
//! A [`Report`] is always one that a server takes: its event is at most 1 MiB of JSON, every field
//! is within the protocol's limits, and values that a server would drop are mended. Whatever the
//! [`Scene`] holds, [`build`] returns a report and does not panic; event id, exception and the
//! newest breadcrumbs are always in it.
//!
//! What is lost on the way is what the limits demand, in the order that the sources of this room
//! document (`trim.rs` for the whole, `data.rs` for a breadcrumb); the event's `lastwords` context
//! counts it. Secrets are in it until a [`Scrubber`] has been over it, before a report is written.
mod as_sent;
mod breadcrumb;
mod context;
mod cut;
mod data;
mod envelope;
mod event;
mod fingerprint;
mod frame;
mod image;
mod limits;
mod mend;
mod minidump;
mod scene;
mod scrub;
mod session;
mod thread;
mod trim;

use sentry::protocol::Event;
use sentry::types::Uuid;
use serde_json::{Value, json};

use crate::detect::Ending;

pub use as_sent::{AsSent, Change, as_sent};
pub use breadcrumb::breadcrumbs;
pub use context::Usage;
pub(crate) use envelope::rfc3339;
pub use envelope::{Attachment, Envelope, EnvelopeError, Item, dsn_text};
pub(crate) use limits::EVENT_BYTES;
pub use minidump::{Deceased, minidump};
pub use scene::{Ambient, CgroupMemory, Place, ProcessInfo, Scene};
pub use scrub::{Scrubber, scrub_breadcrumbs, scrub_tags};
pub use session::{NoRelease, SESSION, Session, SessionStatus};
use thread::Lacking;

/// One report: an event and what goes with it.
#[derive(Debug, Clone)]
pub struct Report {
    event: Event<'static>,
    extras: Extras,
    /// What is sent beside the event: the raw end of standard error, a minidump.
    pub attachments: Vec<Attachment>,
}

/// What the protocol knows and the typed event does not.
#[derive(Debug, Clone, Default)]
struct Extras {
    /// For each thread.
    threads: Vec<Lacking>,
}

/// Shapes a scene into a report.
///
/// Reads a few small files below `/proc` and `/etc`; where they are missing, their facts are left
/// out. Does not panic, whatever the scene holds.
#[must_use]
pub fn build(scene: &Scene) -> Report {
    build_on(scene, context::Machine::this())
}

/// Adds to a report that another process made what only its monitor knows: how the process ended, if
/// that was what the report is about, and what it printed. A report that has no event stays as it is.
pub fn complete(envelope: &mut Envelope, ending: Option<Ending>, stderr: Option<&Attachment>) {
    if let Some(ending) = ending
        && let Ok(mut event) = envelope.event()
    {
        event.insert("level".to_owned(), Value::from(sentry::Level::Fatal.to_string()));
        let process = event
            .get_mut("contexts")
            .and_then(|contexts| contexts.get_mut(context::PROCESS))
            .and_then(Value::as_object_mut);
        process.into_iter().for_each(|process| process.extend([context::ending(ending)]));
        envelope.set_event(Value::Object(event).to_string().into_bytes());
    }
    if let Some(attachment) = stderr {
        envelope.set_attachment(attachment);
    }
}

/// Says of a report that another process made that it died of that.
pub fn mark_end(envelope: &mut Envelope) {
    set_level(envelope, sentry::Level::Fatal);
}

/// Says of a report that another process made in its last second that it did not die of that, but of
/// something else.
pub fn mark_outlived(envelope: &mut Envelope) {
    set_level(envelope, sentry::Level::Error);
}

fn set_level(envelope: &mut Envelope, level: sentry::Level) {
    if let Ok(mut event) = envelope.event() {
        event.insert("level".to_owned(), Value::from(level.to_string()));
        envelope.set_event(Value::Object(event).to_string().into_bytes());
    }
}

/// Shapes the scene of a crash that was read from a text, which may come from any machine: nothing is
/// said of this one. The `lastwords` context says where in the text it stands.
#[must_use]
pub fn build_from_text(scene: &Scene, place: Option<Place>) -> Report {
    let mut report = build_on(scene, &context::Machine::default());
    let Event { contexts, .. } = &mut report.event;
    contexts.retain(|key, _| [context::PROCESS, context::LASTWORDS, "runtime"].contains(&&**key));
    if let Some(sentry::protocol::Context::Other(process)) = contexts.get_mut(context::PROCESS) {
        process.remove("pid");
        if process.is_empty() {
            contexts.remove(context::PROCESS);
        }
    }
    let ours = [("version", Value::from(env!("CARGO_PKG_VERSION")))];
    let trimmed = |key: &str| ["trimmed", "mended", event::THREADS_LEFT_OUT].contains(&key);
    if let Some(sentry::protocol::Context::Other(map)) = contexts.get_mut(context::LASTWORDS) {
        map.retain(|key, _| trimmed(key) || key == "breadcrumbs_trimmed");
        map.extend(ours.map(|(key, value)| (key.to_owned(), value)));
        if let Some(Place { lines, bytes }) = place {
            map.insert("lines".to_owned(), json!([lines.0, lines.1]));
            map.insert("bytes".to_owned(), json!([bytes.0, bytes.1]));
        }
    }
    report
}

fn build_on(scene: &Scene, machine: &context::Machine) -> Report {
    let (event, threads) = event::event(scene, machine);
    let extras = Extras { threads };
    let mut report = Report { event, extras, attachments: Vec::new() };
    report.trim();
    report
}

impl Report {
    /// The id of the report, which is the id of its crash.
    #[must_use]
    pub fn event_id(&self) -> Uuid {
        self.event.event_id
    }

    /// The event as the SDK's type. A few fields that the type lacks are in
    /// [`to_json`](Self::to_json) only: `main` and `state` of threads, and the ids that chain exceptions.
    #[must_use]
    pub fn event(&self) -> &Event<'static> {
        &self.event
    }

    /// Lets `change` change the event, as a scrubber or a user's own filter does, and brings it
    /// back within its limits. The event's id stays, whatever `change` makes of it.
    pub fn edit(&mut self, change: impl FnOnce(&mut Event<'static>)) {
        let id = self.event.event_id;
        change(&mut self.event);
        self.event.event_id = id;
        self.event.timestamp = mend::timestamp(self.event.timestamp);
        for crumb in &mut self.event.breadcrumbs.values {
            crumb.timestamp = mend::timestamp(crumb.timestamp);
        }
        self.trim();
    }

    /// The event as a JSON object, complete.
    #[must_use]
    pub fn to_json(&self) -> Value {
        render(&self.event, &self.extras)
    }

    /// The event as the bytes of a JSON object on one line, at most 1 MiB.
    #[must_use]
    pub fn to_json_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// The event and its attachments as an envelope, which may still be given a DSN and the time
    /// it is sent.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        let mut envelope = Envelope::new(self.event_id());
        envelope.push_event(self.to_json_bytes());
        for attachment in &self.attachments {
            envelope.push_attachment(attachment);
        }
        envelope
    }

    /// As [`envelope`](Self::envelope), with the event scrubbed as a whole. The attachments are taken as
    /// they are.
    #[must_use]
    pub fn envelope_scrubbed(&self, scrubber: &Scrubber) -> Envelope {
        let mut json = self.to_json();
        scrubber.event(&mut json);
        let mut envelope = Envelope::new(self.event_id());
        envelope.push_event(trim::again(json));
        for attachment in &self.attachments {
            envelope.push_attachment(attachment);
        }
        envelope
    }

    /// The bytes of [`envelope`](Self::envelope). What a recorder writes is
    /// [`envelope_scrubbed`](Self::envelope_scrubbed).
    #[must_use]
    pub fn to_envelope_bytes(&self) -> Vec<u8> {
        self.envelope().to_bytes()
    }

    fn trim(&mut self) {
        trim::fields(&mut self.event);
        trim::whole(&mut self.event, &self.extras);
    }
}

/// Puts the message where every server looks for it: one at the top is not in the public schema, and one
/// without parameters is no template.
fn name_message(json: &mut Value) {
    let Some(event) = json.as_object_mut() else { return };
    if let Some(message) = event.remove("message") {
        event.entry("logentry").or_insert_with(|| json!({ "message": message }));
    }
    if let Some(entry) = event.get_mut("logentry").and_then(Value::as_object_mut)
        && entry.get("params").and_then(Value::as_array).is_none_or(Vec::is_empty)
        && let Some(message) = entry.remove("message")
    {
        entry.insert("formatted".to_owned(), message);
    }
}

/// Renders the event and merges into it what its type lacks.
fn render(event: &Event<'static>, extras: &Extras) -> Value {
    let mut json = serde_json::to_value(event).unwrap_or_else(|_| minimal(event));
    // The types leave out their defaults, but a reader of the file should not have to know them.
    json["level"] = Value::from(event.level.to_string());
    name_message(&mut json);
    each(&mut json, "breadcrumbs", |_, crumb| explicit(crumb));
    each(&mut json, "exception", |_, exception| note_omitted_frames(exception));
    each(&mut json, "threads", |index, thread| {
        note_omitted_frames(thread);
        let Some(Lacking { main, state }) = extras.threads.get(index) else { return };
        if let Some(main) = main {
            thread["main"] = Value::from(*main);
        }
        if let Some(state) = state {
            thread["state"] = Value::from(state.as_str());
        }
    });
    let images = json.pointer_mut("/debug_meta/images").and_then(Value::as_array_mut);
    images.into_iter().flatten().for_each(image::modern);
    if event.exception.values.len() > 1 {
        chain(&mut json, event.exception.values.len());
    }
    if let Some(contexts) = json.get_mut("contexts").and_then(Value::as_object_mut) {
        for (key, context) in contexts {
            if context["type"] == "unknown" {
                context["type"] = Value::from(key.as_str());
            }
        }
    }
    json
}

/// Writes out a breadcrumb's level and type where they are the defaults.
fn explicit(crumb: &mut Value) {
    for (key, default) in [("level", "info"), ("type", "default")] {
        if crumb.get(key).is_none() {
            crumb[key] = Value::from(default);
        }
    }
}

/// Breadcrumbs as they stand in an event, each a JSON object, in the order given.
#[must_use]
pub fn breadcrumbs_json(crumbs: &[crate::record::Breadcrumb]) -> Vec<Value> {
    let values =
        breadcrumbs(crumbs).into_iter().filter_map(|crumb| serde_json::to_value(crumb).ok());
    let explicit = |mut crumb| {
        explicit(&mut crumb);
        crumb
    };
    values.map(explicit).collect()
}

/// Moves the note on frames that were left out to the mechanism: in a stack the public schema has
/// no such key, and a strict server refuses the event for it.
fn note_omitted_frames(holder: &mut Value) {
    let stack = holder.get_mut("stacktrace").and_then(Value::as_object_mut);
    let Some(omitted) = stack.and_then(|stack| stack.remove("frames_omitted")) else { return };
    if let Some(mechanism) = holder.get_mut("mechanism").and_then(Value::as_object_mut) {
        mechanism.entry("data").or_insert_with(|| json!({}))["frames_omitted"] = omitted;
    }
}

/// Chains `count` exceptions: the last one, which the event is about, is number 0, and each one
/// before it is the child of the one behind it.
fn chain(json: &mut Value, count: usize) {
    each(json, "exception", |index, exception| {
        let id = count.saturating_sub(index + 1);
        let Some(mechanism) = exception.get_mut("mechanism").and_then(Value::as_object_mut) else {
            return;
        };
        mechanism.insert("exception_id".to_owned(), Value::from(id));
        if id > 0 {
            mechanism.insert("parent_id".to_owned(), Value::from(id - 1));
        }
    });
}

fn each(json: &mut Value, list: &str, mut change: impl FnMut(usize, &mut Value)) {
    let values = json.get_mut(list).and_then(|list| list.get_mut("values"));
    for (index, value) in values.and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        change(index, value);
    }
}

/// What is left of an event that JSON cannot hold, which only a time before 1970 in a field that
/// nobody mends could bring about.
fn minimal(event: &Event<'static>) -> Value {
    json!({
        "event_id": event.event_id.simple().to_string(),
        "platform": event.platform,
        "exception": event.exception,
        "fingerprint": event.fingerprint,
    })
}

#[cfg(test)]
mod tests;
