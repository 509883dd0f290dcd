//! `lastwords show`: one report, the cause in its first two lines.
mod breadcrumbs;
mod facts;
mod source;
mod stack;

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
    print(report, &event, args, out)
}

/// The one report whose id begins with `prefix`.
fn pick<'a>(prefix: &IdPrefix, reports: &'a [Report], store: &Store) -> Result<&'a Report, Error> {
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
fn print(report: &Report, event: &Event, args: &ShowArgs, out: &mut Output) -> Result<(), Error> {
    match event.exceptions.first() {
        Some(exception) => headline(event, exception, "", args.full, out)?,
        None => out.wrapped(Line::new().push(Role::Cause, &event.what()), 2)?,
    }
    out.blank()?;
    facts::print(report, event, out)?;
    let style = stack::Style::new(event, args.full);
    if let Some((first, chained)) = event.exceptions.split_first() {
        out.blank()?;
        style.print(&first.frames, first.frames_elided, out)?;
        for exception in chained {
            out.blank()?;
            headline(event, exception, relation(exception), args.full, out)?;
            style.print_below(&exception.frames, &first.frames, out)?;
        }
    }
    threads(event, &style, args.full, out)?;
    breadcrumbs::print(event, args.breadcrumbs.0, out)?;
    Ok(())
}

/// How a chained exception relates to the one the event is about.
fn relation(exception: &Exception) -> &'static str {
    if exception.is_panic() { "then, while unwinding: " } else { "caused by: " }
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
        (Some(thread), true) => format!("thread '{thread}' panicked: "),
        (None, true) => "panicked: ".to_owned(),
        (Some(thread), false) => format!("{} in thread '{thread}': ", exception.ty),
        (None, false) => format!("{}: ", exception.ty),
    };
    let (first, rest) = exception.value.split_once('\n').unwrap_or((&exception.value, ""));
    let subject = if first.is_empty() { subject.trim_end_matches([':', ' ']) } else { &subject };
    let (first, cut) = shorten(first, full);
    let mut line = Line::new();
    line.push(Role::Strong, relation).push(Role::Cause, subject).push(Role::Cause, &first);
    line.push(Role::Quiet, &cut);
    out.wrapped(&line, 2)?;
    // A chained one is followed by its stack right away, which says where.
    if relation.is_empty() || exception.frames.is_empty() {
        place(exception, out)?;
    }
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

/// The other threads: their stacks if all is asked for, else how many there were.
fn threads(event: &Event, style: &stack::Style, full: bool, out: &mut Output) -> Result<(), Error> {
    let others = event.threads.iter().filter(|t| !t.crashed && !t.frames.is_empty());
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return Ok(());
    }
    out.blank()?;
    if !full {
        let note = format!("{} with a stack", counted(others.len() as u64, "other thread"));
        let mut line = Line::new();
        line.push(Role::Strong, &note).push(Role::Quiet, "  (--full shows them)");
        return Ok(out.wrapped(&line, 2)?);
    }
    for (i, thread) in others.into_iter().enumerate() {
        if i > 0 {
            out.blank()?;
        }
        let mut line = Line::new();
        line.push(Role::Strong, &format!("thread '{}'", thread.name));
        if let Some(state) = &thread.state {
            line.push(Role::Quiet, &format!("  {state}"));
        }
        out.wrapped(&line, 2)?;
        style.print(&thread.frames, 0, out)?;
    }
    Ok(())
}
