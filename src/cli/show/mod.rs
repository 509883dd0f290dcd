//! `lastwords show`: one report, the cause in its first two lines.
mod breadcrumbs;
mod facts;
mod source;
mod stack;
mod threads;

use super::args::{IdPrefix, ShowArgs};
use super::error::Error;
use super::event::{Event, Exception, Frame};
use super::list::short_length;
use super::output::Output;
use super::store::{Report, Store, Unreadable};
use super::text::{Line, Role, counted};
use super::{clock, json};

/// How many lines and characters of a message are shown unless all are asked for.
const MESSAGE_LINES: usize = 16;
const MESSAGE_CHARS: usize = 2000;

#[cfg(target_os = "linux")]
pub use breadcrumbs::{Columns, print_live};

/// Shows the report that was asked for.
pub fn run(args: &ShowArgs, store: &Store, out: &mut Output) -> Result<(), Error> {
    let reports = store.reports()?;
    let report = match &args.id {
        Some(prefix) => pick(prefix, &reports, store)?,
        None => reports.first().ok_or_else(|| Error::Empty { looked_in: store.nothing_found() })?,
    };
    let unreadable = |source| Error::Report { path: report.path.clone(), source };
    let document = store.event(report).map_err(unreadable)?;
    let mut event =
        Event::parse(&document).map_err(|error| unreadable(Unreadable::NotJson(error)))?;
    source::forget_foreign(&mut event);
    if args.json {
        return Ok(out.json_line(&json::one_line(&document))?);
    }
    if args.stderr {
        let tail = store.stderr(report).map_err(unreadable)?;
        let tail = tail.ok_or_else(|| Error::NoStderr { path: report.path.clone() })?;
        return print_stderr(&tail, out);
    }
    let detail = Detail { full: args.full, breadcrumbs: args.breadcrumbs.0 };
    print(Some(report), &event, &detail, out)
}

/// How much of an event is shown.
pub struct Detail {
    /// Whether nothing is folded.
    pub full: bool,
    /// How many breadcrumbs at most, the last ones.
    pub breadcrumbs: usize,
}

/// Shows an event that is in no spool.
pub fn print_event(event: &Event, detail: &Detail, out: &mut Output) -> Result<(), Error> {
    print(None, event, detail, out)
}

/// The raw end of standard error, line by line.
fn print_stderr(tail: &[u8], out: &mut Output) -> Result<(), Error> {
    for line in String::from_utf8_lossy(tail).lines() {
        out.line(Line::new().push(Role::Plain, &line.replace('\t', "    ")))?;
    }
    Ok(())
}

/// The one report whose id begins with `prefix`.
pub fn pick<'a>(
    prefix: &IdPrefix,
    reports: &'a [Report],
    store: &Store,
) -> Result<&'a Report, Error> {
    let wanted = prefix.as_str();
    let matching: Vec<_> = reports.iter().filter(|report| report.id.starts_with(wanted)).collect();
    let wanted = wanted.to_owned();
    match matching.as_slice() {
        [] if reports.is_empty() => Err(Error::Empty { looked_in: store.nothing_found() }),
        [] => {
            let digits = short_length(reports);
            let known = reports.iter().map(|report| short(report, digits)).collect();
            Err(Error::Unknown { wanted, known, looked_in: store.directory() })
        }
        [report] => Ok(report),
        several => {
            let digits = short_length(reports);
            let candidates =
                several.iter().map(|report| candidate(store, report, digits)).collect();
            Err(Error::Ambiguous { wanted, candidates })
        }
    }
}

fn short(report: &Report, digits: usize) -> String {
    report.id.chars().take(digits).collect()
}

/// A report's short id and what it is about.
fn candidate(store: &Store, report: &Report, digits: usize) -> String {
    let event = store.event(report).ok().and_then(|event| Event::parse(&event).ok());
    let what = event.map(|event| event.what()).unwrap_or_else(|| "unreadable".to_owned());
    let what = super::text::cut_end(what.lines().next().unwrap_or_default(), 60);
    let when = report.time.map(clock::to_second).unwrap_or_default();
    format!("{}  {when}  {what}", short(report, digits))
}

/// The whole report for a person.
fn print(
    report: Option<&Report>,
    event: &Event,
    detail: &Detail,
    out: &mut Output,
) -> Result<(), Error> {
    match event.exceptions.first() {
        Some(exception) => headline(event, exception, "", detail.full, out)?,
        None => message(&event.what(), detail.full, out)?,
    }
    out.blank()?;
    facts::print(report, event, out)?;
    let style = stack::Style::new(event, detail.full);
    if let Some((first, chained)) = event.exceptions.split_first() {
        out.blank()?;
        style.print(&first.frames, first.frames_elided, out)?;
        if let Some(started) = &first.created_by {
            out.wrapped(Line::new().push(Role::Plain, "  ").push(Role::Quiet, started), 6)?;
        }
        for exception in chained {
            out.blank()?;
            headline(event, exception, relation(event, exception), detail.full, out)?;
            style.print_below(&exception.frames, &first.frames, out)?;
        }
    }
    threads::print(event, &style, detail.full, out)?;
    breadcrumbs::print(event, detail.breadcrumbs, out)?;
    Ok(())
}

/// How a chained exception relates to the one the event is about.
fn relation(event: &Event, exception: &Exception) -> &'static str {
    match exception.is_panic() {
        true if event.is_go() => "while handling: ",
        true => "then, while unwinding: ",
        false => "caused by: ",
    }
}

/// What happened on the first line, where on the second, then the rest of the message.
fn headline(
    event: &Event,
    exception: &Exception,
    relation: &str,
    full: bool,
    out: &mut Output,
) -> Result<(), Error> {
    let thread = event.thread_of(exception);
    let subject = match (thread, exception.is_panic()) {
        (Some(thread), true) => format!("{thread} panicked: "),
        (None, true) => "panicked: ".to_owned(),
        (Some(thread), false) => format!("{} in {thread}: ", exception.ty),
        (None, false) => format!("{}: ", exception.ty),
    };
    let (first, rest) = exception.value.split_once('\n').unwrap_or((&exception.value, ""));
    let subject = if first.is_empty() { subject.trim_end_matches([':', ' ']) } else { &subject };
    let (first, cut) = shorten(first, full);
    let mut line = Line::new();
    line.push(Role::Strong, relation).push(Role::Cause, subject).push(Role::Cause, &first);
    line.push(Role::Quiet, &cut);
    if let Some(address) = &exception.address {
        line.push(Role::Quiet, &format!(" ({address})"));
    }
    out.wrapped(&line, 2)?;
    // A chained one is followed by its stack right away, which says where.
    if relation.is_empty() || exception.frames.is_empty() {
        place(exception, out)?;
    }
    message_rest(rest, full, out)
}

/// What an event without an exception says.
fn message(text: &str, full: bool, out: &mut Output) -> Result<(), Error> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (first, cut) = shorten(first, full);
    out.wrapped(Line::new().push(Role::Cause, &first).push(Role::Quiet, &cut), 2)?;
    message_rest(rest, full, out)
}

/// The function and the line it happened in.
fn place(exception: &Exception, out: &mut Output) -> Result<(), Error> {
    let function = exception.place().map(|frame| frame.function.as_str());
    let location = exception.place().and_then(Frame::location).or(exception.location.clone());
    let mut line = Line::new();
    for (word, role, text) in
        [("in ", Role::Strong, function), ("at ", Role::Place, location.as_deref())]
    {
        let Some(text) = text else { continue };
        let gap = if line.width() == 0 { "  " } else { " " };
        line.push(Role::Plain, gap).push(Role::Plain, word).push(role, text);
    }
    if line.width() == 0 {
        return Ok(());
    }
    Ok(out.wrapped(&line, 4)?)
}

/// The lines of a message after its first.
fn message_rest(rest: &str, full: bool, out: &mut Output) -> Result<(), Error> {
    let lines: Vec<&str> = rest.lines().collect();
    let shown = if full { lines.len() } else { lines.len().min(MESSAGE_LINES) };
    for text in &lines[..shown] {
        let (text, cut) = shorten(text, full);
        let mut line = Line::new();
        line.push(Role::Plain, "  ").push_lines(Role::Cause, &text).push(Role::Quiet, &cut);
        out.wrapped(&line, 4)?;
    }
    match lines.len() - shown {
        0 => Ok(()),
        more => {
            let note = format!("  … {} (--full shows them)", counted(more as u64, "more line"));
            Ok(out.wrapped(Line::new().push(Role::Quiet, &note), 4)?)
        }
    }
}

/// The beginning of a line of a message, and a note on what was cut.
fn shorten(text: &str, full: bool) -> (String, String) {
    let characters = text.chars().count();
    if full || characters <= MESSAGE_CHARS {
        return (text.to_owned(), String::new());
    }
    let more = counted((characters - MESSAGE_CHARS) as u64, "more character");
    (text.chars().take(MESSAGE_CHARS).collect(), format!("… {more} (--full shows them)"))
}
