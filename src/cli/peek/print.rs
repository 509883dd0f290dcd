//! What `peek` prints: who it is about, then breadcrumbs as `show` prints them, or as JSON.

use lastwords::record::{Breadcrumb, Losses, Snapshot};
use lastwords::report::{self, Scrubber};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::follow::{Missed, News};
use super::process::Process;
use crate::cli::args::PeekArgs;
use crate::cli::error::Error;
use crate::cli::event::Event;
use crate::cli::output::Output;
use crate::cli::show::{Columns, print_live};
use crate::cli::text::{Line, Role, bytes, counted};
use crate::cli::{clock, exit, json as one};

/// Prints what was read.
pub struct Printer<'a> {
    args: &'a PeekArgs,
    out: &'a mut Output,
    /// `None` where a person wants to see secrets.
    scrubber: Option<Scrubber>,
    process: Process,
    /// What times are relative to.
    now: OffsetDateTime,
    columns: Option<Columns>,
}

impl<'a> Printer<'a> {
    /// Of a process, with the keys that its program names as secret.
    pub fn new(
        args: &'a PeekArgs,
        process: &Process,
        snapshot: &Snapshot,
        out: &'a mut Output,
    ) -> Printer<'a> {
        let scrubber = (!args.unscrubbed).then(|| Scrubber::new(&snapshot.identity.scrub_keys));
        let (process, now) = (process.clone(), OffsetDateTime::now_utc());
        Printer { args, out, scrubber, process, now, columns: None }
    }

    /// Program, process, how long it runs and its release; then how many breadcrumbs there are and what
    /// was lost. JSON has only breadcrumbs on standard output.
    pub fn header(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let losses = losses(&snapshot.losses);
        if self.args.json {
            if !losses.is_empty() {
                exit::say(&losses.join("; "));
            }
            return Ok(());
        }
        let identity = &snapshot.identity;
        let executable = identity.executable.as_deref().and_then(|path| path.rsplit('/').next());
        let program = executable.map(str::to_owned).or_else(|| self.process.name());
        let mut line = Line::new();
        line.push(Role::Strong, program.as_deref().unwrap_or("a process"))
            .push(Role::Plain, &format!(" (pid {})", self.process.pid));
        if let Some(age) = self.process.age() {
            line.push(Role::Plain, &format!(", up {}", clock::span(age)));
        }
        if let Some(release) = &identity.release {
            line.push(Role::Quiet, ", release ").push(Role::Strong, release);
        }
        if !identity.environment.is_empty() {
            line.push(Role::Quiet, " in ").push(Role::Plain, &identity.environment);
        }
        self.out.wrapped(&line, 2)?;
        let all = snapshot.breadcrumbs.len();
        let count = match (all, self.args.breadcrumbs.0.min(all)) {
            (0, _) => "no breadcrumbs".to_owned(),
            (all, shown) if shown < all => {
                format!("the last {shown} of {}", counted(all as u64, "breadcrumb"))
            }
            (all, _) => counted(all as u64, "breadcrumb"),
        };
        let mut line = Line::new();
        line.push(Role::Strong, &count);
        for loss in losses {
            line.push(Role::Warning, &format!("; {loss}"));
        }
        Ok(self.out.wrapped(&line, 2)?)
    }

    /// Breadcrumbs, the oldest first.
    pub fn breadcrumbs(&mut self, mut crumbs: Vec<Breadcrumb>) -> Result<(), Error> {
        if let Some(scrubber) = &self.scrubber {
            report::scrub_breadcrumbs(&mut crumbs, scrubber);
        }
        let mut event = json!({"breadcrumbs": {"values": report::breadcrumbs_json(&crumbs)}});
        if let Some(scrubber) = &self.scrubber {
            scrubber.event(&mut event);
        }
        if self.args.json {
            let values = event["breadcrumbs"]["values"].as_array().into_iter().flatten();
            for value in values.map(Value::to_string) {
                self.out.json_line(&one::one_line(&value))?;
            }
            return Ok(());
        }
        let event = Event::parse(&event.to_string()).expect("what was built is a JSON object");
        let follow = self.args.follow;
        print_live(&event.breadcrumbs, self.now, follow, &mut self.columns, self.out)
    }

    /// What a reading came to.
    pub fn news(&mut self, news: News) -> Result<(), Error> {
        let Missed { records, stderr } = news.missed;
        let missed = match (records, stderr) {
            (0, 0) => None,
            (_, 1..) => Some(format!("{} of standard error were missed", bytes(stderr))),
            (1, 0) => Some("1 breadcrumb was missed".to_owned()),
            (count, 0) => Some(format!("{} were missed", counted(count, "breadcrumb"))),
        };
        if let Some(missed) = missed {
            self.note(&format!("{missed}: they were overwritten before they could be read"))?;
        }
        self.breadcrumbs(news.breadcrumbs)?;
        self.flush()
    }

    /// The process has ended.
    pub fn ended(&mut self, process: &Process) -> Result<(), Error> {
        self.note(&format!("process {} has ended", process.pid))
    }

    /// A person has had enough. Nobody may read this.
    pub fn stopped(&mut self) -> Result<(), Error> {
        self.note(&format!("process {} goes on", self.process.pid))
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    /// A word of ours among the breadcrumbs: with JSON on standard error.
    fn note(&mut self, words: &str) -> Result<(), Error> {
        if self.args.json {
            exit::say(words);
            return Ok(());
        }
        self.out.wrapped(Line::new().push(Role::Warning, words), 2)?;
        self.flush()
    }
}

/// What could not be kept, in words.
fn losses(losses: &Losses) -> Vec<String> {
    let all = [
        (losses.overwritten, "older breadcrumb", "overwritten"),
        (losses.torn, "breadcrumb", "being written, or damaged"),
        (losses.dropped, "breadcrumb", "dropped for want of room"),
        (losses.cut, "breadcrumb", "cut to size"),
        (losses.spans_missing, "span", "already overwritten"),
        (losses.panics, "further panic", "not reported"),
    ];
    let words = all.into_iter().filter(|(count, ..)| *count > 0).map(|(count, noun, fate)| {
        let were = if count == 1 { "was" } else { "were" };
        format!("{} {were} {fate}", counted(count, noun))
    });
    words.collect()
}
