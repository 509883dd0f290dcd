//! An event in the order a person asks about it: what, where, who, and what went before.
//!
//! Any JSON object is an event here. What is missing or of another type than the protocol's is left
//! out; nothing is refused, since a half report still tells something.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::clock;

/// A report's event.
#[derive(Debug, Default)]
pub struct Event {
    /// `fatal`, `error`, ...
    pub level: Option<String>,
    /// The runtime: `native`, `go`, ...
    pub platform: Option<String>,
    /// When it happened.
    pub time: Option<OffsetDateTime>,
    /// Version of the program.
    pub release: Option<String>,
    /// Environment it ran in.
    pub environment: Option<String>,
    /// Name of the machine.
    pub server_name: Option<String>,
    /// Its message, where it has no exception.
    pub message: Option<String>,
    /// Its tags, sorted.
    pub tags: Vec<(String, String)>,
    /// What was thrown: the one the event is about first, then the chained ones.
    pub exceptions: Vec<Exception>,
    /// The threads it knows.
    pub threads: Vec<Thread>,
    /// The log lines before it, oldest first.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// Its contexts by name.
    pub contexts: Map<String, Value>,
}

/// One thrown thing.
#[derive(Debug, Default)]
pub struct Exception {
    /// Its type: `panic`, `SIGSEGV`, `ValueError`.
    pub ty: String,
    /// Its message.
    pub value: String,
    /// The thread it happened on.
    pub thread_id: Option<String>,
    /// Where it was raised, in the runtime's words.
    pub location: Option<String>,
    /// The address of a fault.
    pub address: Option<String>,
    /// Its stack, innermost first.
    pub frames: Vec<Frame>,
    /// Where its goroutine was started.
    pub created_by: Option<String>,
    /// How many frames were left out in the middle of it.
    pub frames_elided: u64,
}

/// One function on a stack.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Frame {
    /// The function with its module, as the runtime writes it.
    pub function: String,
    /// The file as it should be shown.
    pub file: Option<String>,
    /// Where the source may be, best first.
    pub sources: Vec<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// Whether it is the program's own.
    pub in_app: bool,
    /// Source lines that came with the event: number and text.
    pub context: Vec<(u64, String)>,
}

/// A thread.
#[derive(Debug, Default)]
pub struct Thread {
    /// Its id as the event writes it.
    pub id: Option<String>,
    /// Its name; for a goroutine that has none, where it was started.
    pub name: Option<String>,
    /// Whether it crashed.
    pub crashed: bool,
    /// What it was doing, in the runtime's words.
    pub state: Option<String>,
    /// Its stack, innermost first.
    pub frames: Vec<Frame>,
}

/// A log line.
#[derive(Debug, Default, PartialEq)]
pub struct Breadcrumb {
    /// When.
    pub time: Option<OffsetDateTime>,
    /// `info`, `warning`, ...
    pub level: String,
    /// Its target or logger.
    pub target: String,
    /// Its message.
    pub message: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The thread that wrote it.
    pub thread: String,
    /// The spans it was written in, outermost first, with their fields.
    pub spans: Vec<Span>,
    /// Whether some of it had to be cut.
    pub cut: bool,
}

/// A field's name and its value, ready to be shown as `key=value`.
pub type Field = (String, String);

/// A span's name and its fields.
pub type Span = (String, Vec<Field>);

impl Event {
    /// Reads an event's JSON.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let event: Map<String, Value> = serde_json::from_str(json)?;
        let event = Value::Object(event);
        let platform = text(&event["platform"]);
        let stacks = Stacks { platform: platform.as_deref() };
        let mut exceptions: Vec<_> =
            values(&event["exception"]).map(|e| stacks.exception(e)).collect();
        exceptions.reverse();
        let message = text(&event["message"]).or_else(|| text(&event["logentry"]["formatted"]));
        Ok(Self {
            // The protocol's default, which clients leave out.
            level: text(&event["level"]).or_else(|| Some("error".to_owned())),
            time: clock::parse(&event["timestamp"]),
            release: text(&event["release"]),
            environment: text(&event["environment"]),
            server_name: text(&event["server_name"]),
            message: message.or_else(|| text(&event["logentry"]["message"])),
            tags: tags(&event["tags"]),
            exceptions,
            threads: values(&event["threads"]).map(|t| stacks.thread(t)).collect(),
            breadcrumbs: values(&event["breadcrumbs"]).map(breadcrumb).collect(),
            contexts: event["contexts"].as_object().cloned().unwrap_or_default(),
            platform,
        })
    }

    /// What happened, as `type: message`.
    pub fn what(&self) -> String {
        match self.exceptions.first() {
            Some(exception) if exception.value.is_empty() => exception.ty.clone(),
            Some(exception) => format!("{}: {}", exception.ty, exception.value),
            None => self.message.clone().unwrap_or_else(|| "an event without a cause".to_owned()),
        }
    }

    /// The innermost frame of the program itself, else the innermost at all.
    pub fn place(&self) -> Option<&Frame> {
        self.exceptions.first().and_then(Exception::place)
    }

    /// Whether its threads are goroutines.
    pub fn is_go(&self) -> bool {
        self.platform.as_deref() == Some("go")
    }

    /// The thread `exception` happened on, in words: `thread 'main'`, `goroutine 7`.
    pub fn thread_of(&self, exception: &Exception) -> Option<String> {
        self.find_thread(exception).map(|thread| self.label(thread))
    }

    /// The name alone of the thread `exception` happened on.
    pub fn thread_name(&self, exception: &Exception) -> Option<&str> {
        self.find_thread(exception)?.name.as_deref()
    }

    fn find_thread(&self, exception: &Exception) -> Option<&Thread> {
        let by_id = |thread: &&Thread| thread.id.is_some() && thread.id == exception.thread_id;
        match exception.thread_id {
            Some(_) => self.threads.iter().find(by_id),
            None => self.threads.iter().find(|thread| thread.crashed),
        }
    }
}

impl Event {
    /// A thread in words: `thread 'main'`, `goroutine 7`.
    pub fn label(&self, thread: &Thread) -> String {
        match (&thread.name, &thread.id) {
            (_, Some(id)) if self.is_go() => format!("goroutine {id}"),
            (Some(name), _) => format!("thread '{name}'"),
            (None, Some(id)) => format!("thread '#{id}'"),
            (None, None) => "thread 'unnamed'".to_owned(),
        }
    }
}

impl Exception {
    /// The innermost frame of the program itself, else the innermost at all.
    pub fn place(&self) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.in_app).or(self.frames.first())
    }

    /// Whether it is a panic of Rust or Go.
    pub fn is_panic(&self) -> bool {
        self.ty == "panic"
    }
}

impl Frame {
    /// `src/ingest.rs:142:18`, as far as it is known.
    pub fn location(&self) -> Option<String> {
        let mut location = self.file.clone()?;
        for number in [self.line, self.column].into_iter().map_while(|n| n) {
            location.push_str(&format!(":{number}"));
        }
        Some(location)
    }
}

/// How stacks are read on one platform.
struct Stacks<'a> {
    platform: Option<&'a str>,
}

impl Stacks<'_> {
    fn exception(&self, exception: &Value) -> Exception {
        Exception {
            ty: text(&exception["type"]).unwrap_or_else(|| "unknown".to_owned()),
            value: text(&exception["value"]).unwrap_or_default(),
            thread_id: text(&exception["thread_id"]),
            location: text(&exception["mechanism"]["data"]["location"]),
            address: text(&exception["mechanism"]["data"]["address"]),
            created_by: text(&exception["mechanism"]["data"]["created_by"]),
            frames_elided: exception["mechanism"]["data"]["frames_elided"].as_u64().unwrap_or(0),
            frames: self.frames(&exception["stacktrace"]),
        }
    }

    fn thread(&self, thread: &Value) -> Thread {
        let id = text(&thread["id"]);
        Thread {
            name: text(&thread["name"]),
            crashed: thread["crashed"].as_bool().unwrap_or(false),
            state: text(&thread["state"]),
            frames: self.frames(&thread["stacktrace"]),
            id,
        }
    }

    fn frames(&self, stacktrace: &Value) -> Vec<Frame> {
        let frames = stacktrace["frames"].as_array().into_iter().flatten();
        frames.rev().map(|frame| self.frame(frame)).collect()
    }

    fn frame(&self, frame: &Value) -> Frame {
        let (filename, abs_path) = (text(&frame["filename"]), text(&frame["abs_path"]));
        let line = frame["lineno"].as_u64();
        // A bare file name says too little where the whole path is known.
        let telling = filename.clone().filter(|name| name.contains('/') || abs_path.is_none());
        // A path without its first directory is the file's name inside the crate it belongs to.
        let inside = telling.as_ref().filter(|name| !name.starts_with('/'));
        let inside = inside.and_then(|name| Some(name.split_once('/')?.1.to_owned()));
        Frame {
            function: self.function(frame),
            file: telling.or_else(|| abs_path.clone()),
            sources: abs_path.into_iter().chain(filename).chain(inside).collect(),
            line,
            column: frame["colno"].as_u64().filter(|&column| column > 0),
            in_app: frame["in_app"].as_bool().unwrap_or(false),
            context: line.map(|line| context(frame, line)).unwrap_or_default(),
        }
    }

    /// The function's name, with its module in front where the name does not begin with it.
    fn function(&self, frame: &Value) -> String {
        let function = text(&frame["function"]);
        let module = text(&frame["module"]);
        // A closure in `main.main` is `main.func` in the package `main`.
        let is_go = self.platform == Some("go");
        let qualified = |name: &str, module: &str| {
            let begins = name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
            begins || self.platform == Some("native") || name.contains("::")
        };
        match (function, module) {
            (Some(name), Some(module)) if is_go || !qualified(&name, &module) => {
                format!("{module}.{name}")
            }
            (Some(name), _) => name,
            (None, Some(module)) => module,
            (None, None) => place_in_file(frame)
                .or_else(|| text(&frame["instruction_addr"]))
                .unwrap_or_else(|| "?".to_owned()),
        }
    }
}

/// Where the code of a frame without a name is: `service+0x1c553`, the same in every run of a build.
fn place_in_file(frame: &Value) -> Option<String> {
    let number = |key: &str| {
        let text = frame[key].as_str()?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    let offset = number("instruction_addr")?.checked_sub(number("image_addr")?)?;
    let name = frame["package"].as_str()?.rsplit('/').next().filter(|name| !name.is_empty())?;
    Some(format!("{name}+{offset:#x}"))
}

/// The source lines an event brings along for a frame at `line`.
fn context(frame: &Value, line: u64) -> Vec<(u64, String)> {
    let Some(at) = frame["context_line"].as_str() else { return Vec::new() };
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(text).collect()
    };
    let (before, after) = (strings(&frame["pre_context"]), strings(&frame["post_context"]));
    let first = line.saturating_sub(before.len() as u64);
    let lines = before.into_iter().chain([at.to_owned()]).chain(after);
    (first..).zip(lines).collect()
}

fn breadcrumb(value: &Value) -> Breadcrumb {
    let empty = Map::new();
    let data = value["data"].as_object().unwrap_or(&empty);
    // What the recorder says about the line steps aside for a field of the same name.
    let name_of = |key: &str| match data.contains_key(&format!("{OURS}{key}")) {
        true => format!("{OURS}{key}"),
        false => key.to_owned(),
    };
    let ours = ["thread", "span", "spans", "cut"].map(name_of);
    let [thread, path, spans, cut] =
        ours.each_ref().map(|key| data.get(key).unwrap_or(&Value::Null));
    let mut spans: Vec<_> = spans.as_array().into_iter().flatten().map(span).collect();
    if spans.is_empty() {
        let path = text(path).unwrap_or_default();
        spans = path.split(':').filter(|s| !s.is_empty()).map(|s| (s.to_owned(), vec![])).collect();
    }
    let cut = cut == &Value::Bool(true);
    let theirs = |key: &String| !ours.contains(key) || (key == "cut" && !cut);
    Breadcrumb {
        time: clock::parse(&value["timestamp"]),
        level: text(&value["level"]).unwrap_or_else(|| "info".to_owned()),
        target: text(&value["category"]).unwrap_or_default(),
        message: text(&value["message"]).unwrap_or_default(),
        fields: data.iter().filter(|(key, _)| theirs(key)).map(field).collect(),
        thread: text(thread).or_else(|| text(&thread["name"])).unwrap_or_default(),
        spans,
        cut,
    }
}

fn span(value: &Value) -> Span {
    let name = text(value).or_else(|| text(&value["name"])).unwrap_or_else(|| "?".to_owned());
    let fields = value.as_object().into_iter().flatten();
    (
        name,
        fields.filter(|(key, _)| !["name", "target"].contains(&key.as_str())).map(field).collect(),
    )
}

/// What the recorder puts before a name of its own that a field has taken.
const OURS: &str = "lastwords.";

/// A field as `key=value` shows it: quoted where the value would run into its neighbours.
fn field((key, value): (&String, &Value)) -> Field {
    let shown = match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '"', '=', '\n']) => {
            format!("\"{}\"", text.replace('"', "\\\""))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (key.strip_prefix(OURS).unwrap_or(key).to_owned(), shown)
}

/// The elements of `{"values": [...]}`, or of a list.
fn values(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().or(value["values"].as_array()).into_iter().flatten()
}

/// Tags as an object, or as a list of pairs.
fn tags(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().into_iter().flatten();
    let pairs = pairs.filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)));
    let object = value.as_object().into_iter().flatten();
    let mut tags: Vec<_> =
        object.filter_map(|(key, value)| Some((key.clone(), text(value)?))).chain(pairs).collect();
    tags.sort();
    tags
}

/// A scalar as text; `None` for an empty one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
