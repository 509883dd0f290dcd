//! `lastwords list`: every report in the spool, newest first.

use lastwords::deliver::State;
use serde_json::json;
use time::OffsetDateTime;

use super::args::ListArgs;
use super::error::{Error, sentence};
use super::event::Event;
use super::output::Output;
use super::store::{Report, Store, Unreadable};
use super::text::{Line, Role, cut_end, cut_start, width};
use super::{clock, exit, json};

/// How many digits of an id are shown at least.
const SHORT_ID: usize = 8;

/// Lists the reports of `store`.
pub fn run(args: &ListArgs, store: &Store, out: &mut Output) -> Result<(), Error> {
    let reports = store.reports()?;
    if reports.is_empty() {
        exit::say(&format!("no reports: {}", store.nothing_found()));
    }
    let digits = short_length(&reports);
    for report in &reports {
        let event = read(store, report);
        if args.json {
            print_json(report, event, out)?;
        } else {
            print(report, event, digits, out)?;
        }
    }
    Ok(())
}

fn read(store: &Store, report: &Report) -> Result<Event, Unreadable> {
    Event::parse(&store.event(report)?).map_err(Unreadable::NotJson)
}

/// How many digits tell every id from every other.
pub fn short_length(reports: &[Report]) -> usize {
    let mut ids: Vec<&str> = reports.iter().map(|report| report.id.as_str()).collect();
    ids.sort_unstable();
    let shared =
        |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or(0).max(SHORT_ID)
}

/// One report for a person, on two lines.
fn print(
    report: &Report,
    event: Result<Event, Unreadable>,
    digits: usize,
    out: &mut Output,
) -> Result<(), Error> {
    let indent = digits + 2;
    let id: String = report.id.chars().take(digits).collect();
    let mut head = Line::new();
    head.push(Role::Strong, &id).pad_to(indent, 2);
    match event {
        Ok(event) => {
            push_facts(&mut head, report, event.level.as_deref());
            push_version(&mut head, &event);
            out.wrapped(&head, indent)?;
            out.line(&what_and_where(&event, indent, out.width()))?;
            if let Some(verdict) = &report.verdict {
                out.wrapped(&note(verdict, indent), indent)?;
            }
        }
        Err(problem) => {
            push_facts(&mut head, report, None);
            out.wrapped(&head, indent)?;
            let mut note = note(&format!("unreadable: {}", sentence(&problem)), indent);
            note.push(Role::Quiet, &format!("  {}", report.path.display()));
            out.wrapped(&note, indent)?;
        }
    }
    Ok(())
}

/// What is wrong with a report, on a line of its own.
fn note(problem: &str, indent: usize) -> Line {
    let mut note = Line::new();
    note.push(Role::Plain, &" ".repeat(indent)).push(Role::Warning, problem);
    note
}

/// Level, time, age and state, in columns.
fn push_facts(line: &mut Line, report: &Report, level: Option<&str>) {
    let start = line.width();
    let level = level.unwrap_or("-");
    line.push(level_role(level), level).pad_to(start + 7, 2);
    let when =
        report.time.map(clock::to_second_short).unwrap_or_else(|| "at an unknown time".into());
    line.push(Role::Plain, &when).pad_to(start + 29, 2);
    let age = report.time.map(|time| clock::age(OffsetDateTime::now_utc(), time));
    line.push(Role::Quiet, &age.unwrap_or_default()).pad_to(start + 38, 2);
    line.push(state_role(report.state), report.state.name()).pad_to(start + 46, 0);
}

/// Release and environment.
fn push_version(line: &mut Line, event: &Event) {
    let mut gap = "  ";
    for part in [&event.release, &event.environment].into_iter().flatten() {
        line.push(Role::Plain, gap).push(Role::Plain, part);
        gap = " ";
    }
}

/// `type: message  in function`, the message cut to what the width leaves.
fn what_and_where(event: &Event, indent: usize, columns: Option<usize>) -> Line {
    let place = event.place().map(|frame| frame.function.as_str());
    let what = event.what();
    let what = what.lines().next().unwrap_or_default();
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent));
    // The place gives way to what happened, down to a third of the line.
    let share = room.saturating_sub(width(what) + "  in ".len()).max(room / 3);
    let place = place.map(|place| format!("  in {}", cut_start(place, share)));
    let left = room.saturating_sub(place.as_deref().map_or(0, width));
    let mut line = Line::new();
    line.push(Role::Plain, &" ".repeat(indent)).push(Role::Plain, &cut_end(what, left));
    line.push(Role::Quiet, place.as_deref().unwrap_or_default());
    line
}

/// The role of a state's word.
pub fn state_role(state: State) -> Role {
    match state {
        State::Sent => Role::Quiet,
        State::Waiting | State::Limited | State::Session => Role::Warning,
        State::Rejected => Role::Error,
    }
}

/// The role of a level's word.
pub fn level_role(level: &str) -> Role {
    match level {
        "fatal" => Role::Fatal,
        "error" => Role::Error,
        "warning" => Role::Warning,
        "info" => Role::Info,
        "debug" => Role::Debug,
        _ => Role::Quiet,
    }
}

/// One report for a program, on one line.
fn print_json(
    report: &Report,
    event: Result<Event, Unreadable>,
    out: &mut Output,
) -> Result<(), Error> {
    let problem = event.as_ref().err().map(|problem| sentence(problem));
    let problem = problem.or_else(|| report.verdict.clone());
    let event = event.unwrap_or_default();
    let exception = event.exceptions.first();
    let place = event.place();
    let line = json!({
        "id": report.id,
        "state": report.state.name(),
        "time": report.time.map(clock::rfc3339),
        "level": event.level,
        "platform": event.platform,
        "type": exception.map(|exception| &exception.ty),
        "value": exception.map(|exception| &exception.value).or(event.message.as_ref()),
        "function": place.map(|frame| &frame.function),
        "filename": place.and_then(|frame| frame.file.as_ref()),
        "lineno": place.and_then(|frame| frame.line),
        "release": event.release,
        "environment": event.environment,
        "server_name": event.server_name,
        "size": report.size,
        "path": report.path.display().to_string(),
        "problem": problem,
    });
    Ok(out.json_line(&json::one_line(&line.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(id: &str) -> Report {
        Report {
            id: id.into(),
            state: State::Waiting,
            verdict: None,
            time: None,
            path: "x".into(),
            size: 0,
        }
    }

    #[test]
    fn short_ids_are_long_enough_to_tell_reports_apart() {
        assert_eq!(short_length(&[]), 8);
        assert_eq!(short_length(&[report("aaaaaaaaaa1"), report("b")]), 8);
        assert_eq!(short_length(&[report("aaaaaaaaaa1"), report("b"), report("aaaaaaaaaa2")]), 11);
    }

    #[test]
    fn what_and_where_share_the_width() {
        let event = Event::parse(
            r#"{"exception":[{"type":"panic","value":"index out of bounds\nsecond line",
                "stacktrace":{"frames":[{"function":"service::ingest::parse","in_app":true}]}}]}"#,
        )
        .unwrap();
        let at = |columns| {
            let line = what_and_where(&event, 4, columns);
            assert!(columns.is_none_or(|columns| line.width() <= columns));
            line.trimmed().map(|(_, text)| text).collect::<String>()
        };
        assert_eq!(at(None), "    panic: index out of bounds  in service::ingest::parse");
        assert_eq!(at(Some(50)), "    panic: index out of bounds  in …:ingest::parse");
        assert_eq!(at(Some(30)), "    panic: index…  in …::parse");
    }
}
