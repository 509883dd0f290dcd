//! Every case of the crash corpus, read by the scanner as it is annotated (`corpus/README.md`).
//!
//! A case of a language whose runtime is not read yet must stay silent, and so must the rest of
//! what its program prints.

mod corpus_support;

use corpus_support::Case;
use lastwords::detect::stderr::Found;
use lastwords::detect::{Crash, Exception, Frame, Mechanism, Runtime};
use serde_json::Value;

/// Languages whose reports are read, by the annotations' names.
const READ: [&str; 2] = ["go", "rust"];

/// The language of an event in a case of several.
fn language_of(event: &Value) -> &'static str {
    let file = event["top_frame"]["file"].as_str().unwrap_or_default();
    match file.rsplit('.').next() {
        Some("go") => "go",
        Some("rs") => "rust",
        _ => "other",
    }
}

/// The events that the text alone tells of: a silent death is the monitor's to report.
fn expected(case: &Case) -> Vec<&Value> {
    let language = case.about["language"].as_str().expect("a language");
    let events = case.about["expect"].as_array().expect("events").iter();
    let told = events.filter(|event| !event["value"].is_null() || event["frames"] != 0);
    let of = |event: &Value| if language == "mixed" { language_of(event) } else { language };
    told.filter(|event| READ.contains(&of(event))).collect()
}

fn is_open(about: &Value, what: &str) -> bool {
    about["open"].as_array().is_some_and(|open| open.iter().any(|field| field == what))
}

#[test]
fn every_case_is_read_as_annotated() {
    let cases = Case::all();
    assert!(cases.len() > 150, "only {} cases", cases.len());
    check_all(&cases);
}

/// What `corpus/make.sh` made of the toolchains on this machine.
#[test]
fn every_case_made_here_is_read_as_annotated() {
    match std::env::var_os("LASTWORDS_MADE_CORPUS") {
        Some(folder) => check_all(&Case::all_in(folder.as_ref())),
        None => println!("skipped: LASTWORDS_MADE_CORPUS names no folder made by corpus/make.sh"),
    }
}

fn check_all(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let found = case.scan(usize::MAX);
        for problem in problems(case, &found) {
            wrong.push(format!("{}: {problem}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}

fn problems(case: &Case, found: &[Found]) -> Vec<String> {
    let expected = expected(case);
    if found.len() != expected.len() {
        if is_open(&case.about, "is_crash") || is_open(&case.about, "count") {
            return Vec::new();
        }
        let values = found.iter().map(|found| &found.crash.exceptions[0].value).collect::<Vec<_>>();
        return vec![format!("{} events for {}: {values:?}", found.len(), expected.len())];
    }
    let pairs = found.iter().zip(expected);
    pairs.flat_map(|(found, event)| compare(case, found, event)).collect()
}

/// What differs, field by field.
fn compare(case: &Case, found: &Found, event: &Value) -> Vec<String> {
    let crash = &found.crash;
    let first = &crash.exceptions[0];
    let top = top_frame(crash);
    let mut differences = Vec::new();
    let mut check = |field: &str, is: Value, wanted: &Value| {
        if !is_open(event, field) && is != *wanted {
            differences.push(format!("{field} is {is}, not {wanted}"));
        }
    };
    check("type", first.ty.clone().into(), &event["type"]);
    check("value", first.value.clone().into(), &event["value"]);
    check("thread", thread(crash), &event["thread"]);
    check("frames", frames(crash, &event["frames"]), &event["frames"]);
    check("mechanism", mechanism(first.mechanism).into(), &event["mechanism"]);
    if let Some(wanted) = event["top_frame"].as_object() {
        // What a made case does not know it leaves out.
        for (key, is) in [("function", top.0), ("file", top.1), ("line", top.2)] {
            if let Some(wanted) = wanted.get(key) {
                check("top_frame", is, wanted);
            }
        }
    } else {
        check("top_frame", top.0, &Value::Null);
    }
    if event.get("signal").is_some() {
        let name = first.signal.as_ref().map(|signal| signal.name.clone());
        check("signal", name.into(), &event["signal"]);
    }
    if event.get("chain").is_some() {
        check("chain", chain(crash), &event["chain"]);
    }
    let (start, end) = found.bytes;
    if start >= end || end > case.stderr.len() as u64 || found.lines.0 > found.lines.1 {
        differences.push(format!("it is at {:?}, {:?}", found.bytes, found.lines));
    }
    differences
}

/// How many frames were printed. Of Rust's those of the panic machinery are cut, of which even a full
/// backtrace has no more than [`MACHINERY`].
fn frames(crash: &Crash, printed: &Value) -> Value {
    let kept = crash.exceptions[0].frames.len() as u64;
    let printed = printed.as_u64().unwrap_or_default();
    let cut = printed.saturating_sub(kept);
    let fits = crash.runtime == Runtime::Rust && kept > 0 && (1..=MACHINERY).contains(&cut);
    if fits { printed.into() } else { kept.into() }
}

/// The most frames between the place of a panic and the printing of its backtrace, inlined ones
/// included.
const MACHINERY: u64 = 19;

/// Function, file and line of the innermost frame of the program's own.
fn top_frame(crash: &Crash) -> (Value, Value, Value) {
    let first = &crash.exceptions[0];
    let frame = first.frames.iter().find(|frame| frame.in_app);
    let function = frame.map(|frame| printed(frame, crash.runtime));
    let placed = frame.filter(|frame| frame.file.is_some());
    let (file, line) = match (placed, &first.location) {
        (Some(frame), _) => (frame.file.clone(), frame.line),
        (None, Some(location)) => (Some(location.file.clone()), Some(location.line)),
        (None, None) => (None, None),
    };
    (function.into(), file.into(), line.into())
}

/// The function as the runtime printed it.
fn printed(frame: &Frame, runtime: Runtime) -> String {
    let function = frame.function.clone().unwrap_or_default();
    match (&frame.symbol, &frame.module) {
        (Some(symbol), _) => symbol.clone(),
        (None, Some(module)) if runtime == Runtime::Go => format!("{module}.{function}"),
        // Rust's functions have their path already.
        _ => function,
    }
}

fn thread(crash: &Crash) -> Value {
    let Some(thread) = &crash.thread else { return Value::Null };
    match crash.runtime {
        Runtime::Go => thread.id.map(|id| id.to_string()).into(),
        _ => thread.name.clone().into(),
    }
}

fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Panic => "panic",
        Mechanism::Exception => "exception",
        Mechanism::Signal => "signal",
        Mechanism::Abort => "abort",
        Mechanism::Oom => "oom",
        _ => "another",
    }
}

/// All exceptions in the order of the output. Go's are linked from the last one to the first.
fn chain(crash: &Crash) -> Value {
    let link = |exception: &Exception| serde_json::json!({ "type": exception.ty, "value": exception.value });
    let mut links: Vec<Value> = crash.exceptions.iter().map(link).collect();
    if crash.runtime == Runtime::Go {
        links.reverse();
    }
    links.into()
}
