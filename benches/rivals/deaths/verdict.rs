//! What a server has been told of one death.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

use super::envelope::Envelope;
use super::program::{PLACE, is_line};

/// One cell of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Events, by their ids.
    events: usize,
    /// Events as they came, some of them perhaps twice.
    received: usize,
    /// How many of the lines the event has that has most of them.
    lines: usize,
    /// The best place that any of the events gives.
    place: Place,
}

/// What an event says of the place of death; the later the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nothing.
    Missing,
    /// A minidump, from which the server may find out.
    Minidump,
    /// A stack without the function it died in.
    Wrong,
    /// A stack with the function it died in, below others that are marked as the program's own, too.
    Below,
    /// A stack whose innermost frame of the program's own is the function it died in.
    Right,
}

/// Reads everything that came for one death.
pub fn of(envelopes: &[Envelope]) -> Verdict {
    let events: Vec<&Value> = envelopes.iter().filter_map(|it| it.event.as_ref()).collect();
    let ids: HashSet<_> = events.iter().map(|event| event["event_id"].as_str()).collect();
    Verdict {
        events: ids.len(),
        received: events.len(),
        lines: events.iter().map(|event| lines(event)).max().unwrap_or(0),
        place: envelopes.iter().map(place).max().unwrap_or(Place::Missing),
    }
}

/// The members of a list that is plain, or that stands below `values`.
fn values(list: &Value) -> &[Value] {
    let plain = list.as_array().or_else(|| list["values"].as_array());
    plain.map(Vec::as_slice).unwrap_or_default()
}

/// Different lines among an event's breadcrumbs.
fn lines(event: &Value) -> usize {
    let messages = values(&event["breadcrumbs"]).iter().filter_map(|it| it["message"].as_str());
    messages.filter(|message| is_line(message)).collect::<HashSet<_>>().len()
}

fn place(envelope: &Envelope) -> Place {
    match envelope.event.as_ref().and_then(stack) {
        Some(frames) => of_stack(frames),
        None if envelope.has_minidump => Place::Minidump,
        None => Place::Missing,
    }
}

/// The stack of the event's exception, the outermost frame first.
fn stack(event: &Value) -> Option<&[Value]> {
    // The newest comes last.
    let exception = values(&event["exception"]).last()?;
    exception["stacktrace"]["frames"].as_array().map(Vec::as_slice)
}

fn of_stack(frames: &[Value]) -> Place {
    let is_it =
        |frame: &Value| frame["function"].as_str().is_some_and(|function| function.contains(PLACE));
    let innermost = frames.iter().rev().find(|frame| frame["in_app"] == true);
    match innermost.is_some_and(is_it) {
        true => Place::Right,
        false if frames.iter().any(is_it) => Place::Below,
        false => Place::Wrong,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events == 0 {
            return write!(f, "0");
        }
        write!(f, "{}", self.events)?;
        if self.received > self.events {
            write!(f, " ({} times)", self.received)?;
        }
        let place = match self.place {
            Place::Missing => "–",
            Place::Minidump => "minidump",
            Place::Wrong => "✗",
            Place::Below => "(✓)",
            Place::Right => "✓",
        };
        write!(f, ", {}, {place}", self.lines)
    }
}
