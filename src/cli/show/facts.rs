//! The facts around a death, one labelled line each; a fact that is not known takes no line.

use lastwords::deliver::State;
use serde_json::Value;
use time::OffsetDateTime;

use crate::cli::clock;
use crate::cli::error::Error;
use crate::cli::event::Event;
use crate::cli::list::{level_role, state_role};
use crate::cli::output::Output;
use crate::cli::store::Report;
use crate::cli::text::{Line, Role, bytes};

/// The column where values begin.
const COLUMN: usize = 11;

/// Prints them.
pub fn print(report: Option<&Report>, event: &Event, out: &mut Output) -> Result<(), Error> {
    let about = [when(report, event), version(event), process(event), machine(event)];
    let lines = about.into_iter().chain([tags(event), note(event), report.and_then(id)]);
    for (label, value) in lines.flatten() {
        let mut line = Line::new();
        line.push(Role::Quiet, label).pad_to(COLUMN, 1);
        for (role, text) in value {
            line.push(role, &text);
        }
        out.wrapped(&line, COLUMN)?;
    }
    Ok(())
}

type Fact = Option<(&'static str, Vec<(Role, String)>)>;

fn when(report: Option<&Report>, event: &Event) -> Fact {
    let time = event.time.or(report.and_then(|report| report.time))?;
    let age = clock::age(OffsetDateTime::now_utc(), time);
    let mut value =
        vec![(Role::Strong, clock::to_millisecond(time)), (Role::Plain, format!(", {age}"))];
    if let Some(level) = &event.level {
        value.push((Role::Quiet, ", level ".to_owned()));
        value.push((level_role(level), level.clone()));
    }
    Some(("  when", value))
}

fn version(event: &Event) -> Fact {
    let mut value = Vec::new();
    value.extend(event.release.iter().map(|release| (Role::Strong, release.clone())));
    if let Some(environment) = &event.environment {
        let before = if value.is_empty() { "in " } else { " in " };
        value.push((Role::Quiet, before.to_owned()));
        value.push((Role::Strong, environment.clone()));
    }
    (!value.is_empty()).then_some(("  release", value))
}

/// Says a value in words.
type Words = fn(&Value) -> String;

/// What of the process is told first, in this order and in these words.
const PROCESS: [(&str, Words); 8] = [
    ("executable", plain),
    ("pid", |pid| format!("pid {}", plain(pid))),
    ("uptime_seconds", |up| format!("up {}", clock::span(up.as_f64().unwrap_or_default()))),
    ("last_sign_seconds", |after| {
        format!("last heard of after {}", clock::span(after.as_f64().unwrap_or_default()))
    }),
    ("found_dead", |when| format!("found dead at {}", plain(when))),
    ("peak_memory_bytes", |peak| {
        format!("peak memory {}", bytes(peak.as_u64().unwrap_or_default()))
    }),
    ("memory_limit_bytes", |limit| {
        format!("cgroup limit {}", bytes(limit.as_u64().unwrap_or_default()))
    }),
    ("memory_peak_bytes", |peak| {
        format!("cgroup peak {}", bytes(peak.as_u64().unwrap_or_default()))
    }),
];

/// What the event says about the process: what is known by name in words, the rest as it is.
fn process(event: &Event) -> Fact {
    let process = event.contexts.get("process")?.as_object()?;
    let told = PROCESS.iter().filter(|(key, _)| !is_idle(key, process));
    let told = told.filter_map(|(key, tell)| process.get(*key).map(tell));
    let mut words: Vec<String> = told.collect();
    for (key, value) in process {
        let told = PROCESS.iter().any(|(told, _)| told == key);
        let said = key == "started"
            && ["uptime_seconds", "last_sign_seconds"].iter().any(|up| process.contains_key(*up));
        let scalar = !(value.is_null() || value.is_array() || value.is_object());
        if scalar && !told && !said && !is_idle(key, process) && key != "type" {
            words.push(format!("{} {}", key.replace('_', " "), plain(value)));
        }
    }
    (!words.is_empty()).then(|| ("  process", vec![(Role::Plain, words.join(", "))]))
}

/// Whether a fact says nothing: the peak of a cgroup that all of the machine may be in, and that the OOM
/// killer took nobody.
fn is_idle(key: &str, process: &serde_json::Map<String, Value>) -> bool {
    match key {
        "memory_peak_bytes" => !process.contains_key("memory_limit_bytes"),
        "oom_kills_since_start" => process[key] == 0,
        _ => false,
    }
}

fn machine(event: &Event) -> Fact {
    let mut value: Vec<_> = event.server_name.iter().cloned().collect();
    for name in ["os", "runtime"] {
        let context = &event.contexts.get(name).unwrap_or(&Value::Null);
        let parts = [&context["name"], &context["version"]].map(plain);
        let described = parts.join(" ").trim().to_owned();
        value.extend(Some(described).filter(|text| !text.is_empty()));
    }
    value.extend(event.contexts.get("device").map(|device| plain(&device["arch"])));
    value.retain(|text| !text.is_empty());
    (!value.is_empty()).then(|| ("  machine", vec![(Role::Plain, value.join(", "))]))
}

fn tags(event: &Event) -> Fact {
    let mut value = Vec::new();
    for (i, (key, tag)) in event.tags.iter().enumerate() {
        let gap = if i > 0 { "  " } else { "" };
        value.push((Role::Quiet, format!("{gap}{key}=")));
        value.push((Role::Plain, tag.clone()));
    }
    (!value.is_empty()).then_some(("  tags", value))
}

/// What the recorder had to do to the report to have it taken.
fn note(event: &Event) -> Fact {
    let ours = event.contexts.get("lastwords")?;
    let names = |key: &str| -> Vec<String> {
        ours[key].as_array().into_iter().flatten().map(plain).collect()
    };
    let mut notes = Vec::new();
    for (key, what) in [("trimmed", "trimmed to fit"), ("mended", "changed to be valid")] {
        let names = names(key);
        if !names.is_empty() {
            notes.push(format!("{what}: {}", names.join(", ")));
        }
    }
    (!notes.is_empty()).then(|| ("  note", vec![(Role::Warning, notes.join("; "))]))
}

fn id(report: &Report) -> Fact {
    let state = match report.state {
        State::Waiting | State::Session => "waiting to be sent".to_owned(),
        State::Sent => "sent".to_owned(),
        State::Limited => "limited: not sent, too many of its kind were".to_owned(),
        State::Rejected => match &report.verdict {
            Some(verdict) => format!("rejected: {verdict}"),
            None => "rejected by the server".to_owned(),
        },
    };
    let role = state_role(report.state);
    Some(("  report", vec![(Role::Plain, format!("{}, ", report.id)), (role, state)]))
}

/// A scalar without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_told_in_words_and_nothing_is_lost() {
        let event = Event::parse(
            r#"{"contexts":{"process":{"type":"process","pid":42,"uptime_seconds":7384.5,"started":"2026","signal":"SIGSEGV",
                "peak_memory_bytes":1073741824,"executable":"/bin/alpha","exit_code":null}}}"#,
        )
        .unwrap();
        let (_, value) = process(&event).unwrap();
        assert_eq!(value[0].1, "/bin/alpha, pid 42, up 2h03m, peak memory 1.0 GiB, signal SIGSEGV");
    }
}
