//! The last log lines as a timeline: each with its time before the crash, what repeats in quiet,
//! and the crash itself where it belongs.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use crate::cli::clock;
use crate::cli::error::Error;
use crate::cli::event::{Breadcrumb, Event, Field, Span};
use crate::cli::list::level_role;
use crate::cli::output::Output;
use crate::cli::text::{Line, Role, counted, cut_end, cut_start, width};

/// The widest columns of threads and targets, their gaps included.
const WIDEST_THREAD: usize = 18;
const WIDEST_TARGET: usize = 30;

/// A column narrower than this is left out, unless that is all its texts need.
const NARROWEST_COLUMN: usize = 8;

/// The room a message gets on any terminal that has it.
const NARROWEST_MESSAGE: usize = 44;

/// Columns between two columns.
const GAP: usize = 2;

/// Columns of the level, its gap included.
const LEVEL: usize = 7;

/// Prints the last `limit` breadcrumbs of `event`.
pub fn print(event: &Event, limit: usize, out: &mut Output) -> Result<(), Error> {
    let all = &event.breadcrumbs;
    let shown = &all[all.len().saturating_sub(limit)..];
    out.blank()?;
    heading(event, shown.len(), out)?;
    if shown.is_empty() {
        return Ok(());
    }
    let crash = event.time.or_else(|| shown.iter().rev().find_map(|crumb| crumb.time));
    let mut timeline = Timeline::new(shown, crash, out.width());
    let after = |crumb: &&Breadcrumb| crumb.time.zip(event.time).is_none_or(|(t, c)| t <= c);
    let before = shown.iter().rposition(|crumb| after(&crumb)).map_or(0, |last| last + 1);
    for crumb in &shown[..before] {
        timeline.print(crumb, out)?;
    }
    timeline.crash(event, out)?;
    for crumb in &shown[before..] {
        timeline.print(crumb, out)?;
    }
    Ok(())
}

/// Prints breadcrumbs of a process that lives, their times relative to `now`. Where more `follow`, they
/// have the columns of those before them.
#[cfg(target_os = "linux")]
pub fn print_live(
    crumbs: &[Breadcrumb],
    now: OffsetDateTime,
    follow: bool,
    columns: &mut Option<Columns>,
    out: &mut Output,
) -> Result<(), Error> {
    if crumbs.is_empty() {
        return Ok(());
    }
    let mut timeline = Timeline::new(crumbs, Some(now), out.width());
    if follow {
        timeline.within_a_second = false;
        timeline.columns = *columns.get_or_insert(timeline.columns);
    }
    crumbs.iter().try_for_each(|crumb| timeline.print(crumb, out))
}

/// How many there are, and in words what is missing.
fn heading(event: &Event, shown: usize, out: &mut Output) -> Result<(), Error> {
    let all = event.breadcrumbs.len();
    let mut line = Line::new();
    let count = match (all, all - shown) {
        (0, _) => "no breadcrumbs".to_owned(),
        (_, 0) => counted(all as u64, "breadcrumb"),
        (_, _) => format!("the last {shown} of {}", counted(all as u64, "breadcrumb")),
    };
    line.push(Role::Strong, &count);
    for loss in losses(event) {
        line.push(Role::Warning, &format!("; {loss}"));
    }
    Ok(out.wrapped(&line, 2)?)
}

/// What can be missing: the count in the `lastwords` context, what is counted, what became of it.
const LOSSES: [(&str, &str, &str); 8] = [
    ("breadcrumbs_overwritten", "older breadcrumb", "overwritten"),
    ("breadcrumbs_beyond_limit", "older breadcrumb", "left out by the breadcrumb limit"),
    ("breadcrumbs_trimmed", "older breadcrumb", "left out to make the report small enough"),
    ("breadcrumbs_torn", "breadcrumb", "torn by the death"),
    ("breadcrumbs_dropped", "breadcrumb", "dropped for want of room"),
    ("breadcrumbs_cut", "breadcrumb", "cut to size"),
    ("spans_missing", "span", "already overwritten"),
    ("panics_unreported", "further panic", "not reported"),
];

/// What the recorder could not keep, in words.
fn losses(event: &Event) -> Vec<String> {
    let Some(counts) = event.contexts.get("lastwords") else { return Vec::new() };
    let mut words = Vec::new();
    for (key, noun, fate) in LOSSES {
        if let Some(count) = counts[key].as_u64().filter(|&count| count > 0) {
            let were = if count == 1 { "was" } else { "were" };
            words.push(format!("{} {were} {fate}", counted(count, noun)));
        }
    }
    if counts["durable"] == false {
        words.push("they were kept in memory only".to_owned());
    }
    words
}

/// How wide the columns of a timeline are.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    time: usize,
    /// `None` where the column is left out.
    thread: Option<usize>,
    target: Option<usize>,
}

/// A timeline, and what the row before said.
struct Timeline<'a> {
    crash: Option<OffsetDateTime>,
    /// Whether all breadcrumbs are within a second of the crash.
    within_a_second: bool,
    columns: Columns,
    last: (&'a str, &'a str),
    /// The spans last seen on each thread.
    spans: HashMap<&'a str, &'a [Span]>,
}

impl<'a> Timeline<'a> {
    fn new(
        crumbs: &'a [Breadcrumb],
        crash: Option<OffsetDateTime>,
        columns: Option<usize>,
    ) -> Self {
        let times = || crumbs.iter().filter_map(|crumb| crash.zip(crumb.time));
        let within_a_second = times().all(|(crash, time)| (time - crash).abs() < Duration::SECOND);
        let offsets = times().map(|(crash, time)| clock::offset(crash, time, within_a_second));
        let time = offsets.map(|offset| offset.len()).max().unwrap_or(1).max(7) + GAP;
        // At least half of the width belongs to the messages; two columns share the rest.
        let share = columns.map_or(usize::MAX, |columns| {
            columns.saturating_sub((columns / 2).max(NARROWEST_MESSAGE))
        });
        let budget = share.saturating_sub(time + GAP + LEVEL);
        let column = |text: fn(&Breadcrumb) -> &str, limit: usize| {
            let widest = crumbs.iter().map(|crumb| width(text(crumb))).max()?;
            let shown = widest.min(limit.saturating_sub(GAP));
            let tells = shown > 0 && (shown == widest || shown >= NARROWEST_COLUMN);
            tells.then_some(shown + GAP)
        };
        let thread = column(|crumb| &crumb.thread, WIDEST_THREAD.min(budget / 2));
        let left = budget.saturating_sub(thread.unwrap_or(0));
        let target = column(|crumb| &crumb.target, WIDEST_TARGET.min(left));
        let columns = Columns { time, thread, target };
        Self { crash, within_a_second, columns, last: ("", ""), spans: HashMap::new() }
    }

    fn print(&mut self, crumb: &'a Breadcrumb, out: &mut Output) -> Result<(), Error> {
        let mut line = self.time_of(crumb.time);
        let level = match crumb.level.as_str() {
            "warning" => "WARN".to_owned(),
            level => cut_end(&level.to_uppercase(), LEVEL - GAP),
        };
        let start = line.width();
        line.push(level_role(&crumb.level), &level).pad_to(start + LEVEL, GAP);
        self.push_columns(crumb, &mut line);
        let indent = line.width();
        let loud = matches!(crumb.level.as_str(), "error" | "fatal" | "warning");
        let role = if loud { level_role(&crumb.level) } else { Role::Plain };
        line.push_lines(role, &crumb.message);
        push_fields(&mut line, &crumb.fields, !crumb.message.is_empty());
        if crumb.cut {
            line.push(Role::Warning, " (cut)");
        }
        self.context(crumb, &mut line);
        self.last = (&crumb.thread, &crumb.target);
        Ok(out.wrapped(&line, indent)?)
    }

    /// The crash itself, as a row.
    fn crash(&mut self, event: &'a Event, out: &mut Output) -> Result<(), Error> {
        let mut line = self.time_of(event.time);
        let start = line.width();
        line.push(Role::Fatal, "✖").pad_to(start + LEVEL, GAP);
        let exception = event.exceptions.first();
        let thread =
            exception.and_then(|exception| event.thread_name(exception)).unwrap_or_default();
        if let Some(columns) = self.columns.thread {
            let start = line.width();
            line.push(Role::Plain, &cut_end(thread, columns - GAP)).pad_to(start + columns, GAP);
        }
        let what = event.what();
        let indent = line.width();
        line.push(Role::Cause, what.lines().next().unwrap_or_default());
        self.last = (thread, "");
        match out.width() {
            Some(_) => Ok(out.cut(&line)?),
            None => Ok(out.wrapped(&line, indent)?),
        }
    }

    /// A line that begins with the offset of `time` from the crash.
    fn time_of(&self, time: Option<OffsetDateTime>) -> Line {
        let offset = self
            .crash
            .zip(time)
            .map(|(crash, time)| clock::offset(crash, time, self.within_a_second));
        let mut line = Line::new();
        let columns = self.columns.time;
        line.push(Role::Quiet, &format!("{:>columns$}  ", offset.as_deref().unwrap_or("?")));
        line
    }

    /// Thread and target, quiet where they are the same as in the row before.
    fn push_columns(&self, crumb: &Breadcrumb, line: &mut Line) {
        let role = |same| if same { Role::Quiet } else { Role::Plain };
        if let Some(columns) = self.columns.thread {
            let start = line.width();
            let same = self.last.0 == crumb.thread;
            line.push(role(same), &cut_end(&crumb.thread, columns - GAP))
                .pad_to(start + columns, GAP);
        }
        if let Some(columns) = self.columns.target {
            let start = line.width();
            let same = self.last.1 == crumb.target;
            line.push(role(same), &cut_start(&crumb.target, columns - GAP))
                .pad_to(start + columns, GAP);
        }
    }

    /// Where it was written: the span path, with fields where they are new to the thread, and what
    /// found no column and is not as before.
    fn context(&mut self, crumb: &'a Breadcrumb, line: &mut Line) {
        let known = self.spans.insert(&crumb.thread, &crumb.spans) == Some(&crumb.spans);
        let path = crumb.spans.iter().map(|(name, fields)| match fields.as_slice() {
            [] => name.clone(),
            _ if known => name.clone(),
            fields => {
                let fields: Vec<_> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("{name}{{{}}}", fields.join(" "))
            }
        });
        push_context(line, "in", &path.collect::<Vec<_>>().join(":"));
        if self.columns.thread.is_none() && self.last.0 != crumb.thread {
            push_context(line, "on", &crumb.thread);
        }
        if self.columns.target.is_none() && self.last.1 != crumb.target {
            push_context(line, "by", &crumb.target);
        }
    }
}

/// A word and what it is about, kept together up to the first space of the latter.
fn push_context(line: &mut Line, word: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let first = text.find(' ').unwrap_or(text.len());
    line.push(Role::Plain, "  ");
    line.push_glued(Role::Quiet, &format!("{word} {}", &text[..first]));
    line.push(Role::Quiet, &text[first..]);
}

/// `key=value` pairs, the keys in quiet.
fn push_fields(line: &mut Line, fields: &[Field], after_text: bool) {
    for (i, (key, value)) in fields.iter().enumerate() {
        let gap = if i > 0 || after_text { " " } else { "" };
        line.push(Role::Quiet, &format!("{gap}{key}=")).push(Role::Plain, value);
    }
}
