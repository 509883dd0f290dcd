//! `lastwords parse`: crash output from a file or standard input becomes events.
//!
//! It reads piece by piece, so the input may be larger than memory. A crash is printed when
//! [`MOST_HELD`] others were found behind it, or at the end: until then more may become known of it.
//! The lines before a crash are its breadcrumbs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use lastwords::config::{self, Flags, Overrides};
use lastwords::detect::stderr::{Found, Scanner};
use lastwords::detect::{Ending, exit as endings};
use lastwords::record::{Breadcrumb, RecentLines};
use lastwords::report::{self, Place, Report, Scene, Scrubber};
use lastwords::sentry::types::Uuid;

use super::args::ParseArgs;
use super::error::Error;
use super::event::Event;
use super::output::Output;
use super::show::{self, Detail};
use super::text::{Line, Role};

/// How many crashes are held back.
const MOST_HELD: usize = 16;

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// Reads crashes and prints them; whether any was found.
pub fn run(args: &ParseArgs, out: &mut Output) -> Result<bool, Error> {
    let (lines, held) = (RecentLines::default(), VecDeque::new());
    let scrubber = scrubber();
    let mut parse = Parse { args, out, lines, read_at: args.time(), held, found: 0, scrubber };
    let ending = args.ending();
    let mut input = args.open()?;
    let mut scanner = Scanner::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let bytes = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Error::Input { name: args.name(), source }),
        };
        parse.lines.push(bytes, parse.read_at, scanner.is_waiting());
        let mut found = Vec::new();
        scanner.feed(bytes, parse.read_at, &mut |one| found.push(one));
        found.into_iter().try_for_each(|one| parse.take(one))?;
    }
    let mut found = Vec::new();
    scanner.finish(ending, &mut |one| found.push(one));
    found.into_iter().try_for_each(|one| parse.take(one))?;
    while let Some(held) = parse.held.pop_front() {
        parse.print(held)?;
    }
    parse.silent_death(ending)?;
    Ok(parse.found > 0)
}

/// Scrubs by the keys that are configured.
fn scrubber() -> Scrubber {
    let environment = |name: &str| std::env::var_os(name);
    let resolved = config::resolve(&Overrides::default(), &environment, &Flags::default());
    Scrubber::new(&resolved.settings.scrub_keys)
}

struct Parse<'a> {
    args: &'a ParseArgs,
    out: &'a mut Output,
    lines: RecentLines,
    read_at: SystemTime,
    held: VecDeque<Held>,
    found: usize,
    scrubber: Scrubber,
}

/// A crash with the lines before it.
struct Held {
    found: Found,
    breadcrumbs: Vec<Breadcrumb>,
}

impl Parse<'_> {
    /// Holds a crash, in the place of an earlier one of the same id.
    fn take(&mut self, found: Found) -> Result<(), Error> {
        let id = found.crash.event_id;
        self.held.retain(|held| !found.takes_in.contains(&held.found.crash.event_id));
        if let Some(held) = self.held.iter_mut().find(|held| held.found.crash.event_id == id) {
            held.found = found;
            return Ok(());
        }
        let most = self.args.breadcrumbs.0.min(1000);
        let breadcrumbs = self.lines.breadcrumbs(most, found.bytes.0);
        self.held.push_back(Held { found, breadcrumbs });
        if self.held.len() > MOST_HELD
            && let Some(oldest) = self.held.pop_front()
        {
            self.print(oldest)?;
        }
        Ok(())
    }

    fn print(&mut self, held: Held) -> Result<(), Error> {
        let Held { found: Found { mut crash, lines, bytes, .. }, breadcrumbs } = held;
        // The text does not say when: not before the last line that has a time.
        let last_said = breadcrumbs.last().map(|crumb| crumb.time);
        crash.time = last_said.filter(|time| *time < crash.time).unwrap_or(crash.time);
        let mut scene = Scene::of_text(crash, breadcrumbs, self.args.ending());
        if !self.args.unscrubbed {
            scene.scrub(&self.scrubber);
        }
        let place = Place { lines, bytes };
        self.report(report::build_from_text(&scene, Some(place)), Some(place))
    }

    /// With an exit that is a crash by itself, and no crash in the text.
    fn silent_death(&mut self, ending: Option<Ending>) -> Result<(), Error> {
        let id = Uuid::from_u128(0);
        let silent = ending.filter(|_| self.found == 0);
        let crash = silent.and_then(|ending| endings::silent_crash(ending, id, self.read_at));
        let Some(mut crash) = crash else { return Ok(()) };
        crash.event_id = lastwords::sentry::types::random_uuid();
        let breadcrumbs = self.lines.breadcrumbs(self.args.breadcrumbs.0.min(1000), u64::MAX);
        let mut scene = Scene::of_text(crash, breadcrumbs, ending);
        if !self.args.unscrubbed {
            scene.scrub(&self.scrubber);
        }
        self.report(report::build_from_text(&scene, None), None)
    }

    fn report(&mut self, report: Report, place: Option<Place>) -> Result<(), Error> {
        self.found += 1;
        let mut event = report.to_json();
        if !self.args.unscrubbed {
            // As it would be written: who shows a crash to others shows no secret with it.
            self.scrubber.event(&mut event);
        }
        let document = event.to_string();
        if self.args.json {
            return Ok(self.out.json_line(&document)?);
        }
        if self.found > 1 {
            self.out.blank()?;
            self.out.line(Line::new().push(Role::Quiet, &"─".repeat(8)))?;
            self.out.blank()?;
        }
        let event = Event::parse(&document).expect("what was built is a JSON object");
        if let Some(Place { lines: (first, last), bytes: (from, to) }) = place {
            let name = self.args.name();
            let text = format!("{name}: lines {first} to {last}, bytes {from} to {to}");
            self.out.wrapped(Line::new().push(Role::Quiet, &text), 2)?;
        }
        show::print_event(
            &event,
            &Detail { full: self.args.full, breadcrumbs: usize::MAX },
            self.out,
        )
    }
}

impl ParseArgs {
    /// What is read, in words.
    fn name(&self) -> String {
        match &self.file {
            Some(file) if file.as_os_str() != "-" => file.display().to_string(),
            _ => "standard input".to_owned(),
        }
    }

    fn open(&self) -> Result<Box<dyn Read>, Error> {
        match &self.file {
            Some(file) if file.as_os_str() != "-" => {
                let opened = File::open(file);
                let opened = opened.map_err(|source| Error::Input { name: self.name(), source })?;
                Ok(Box::new(opened))
            }
            _ => Ok(Box::new(io::stdin().lock())),
        }
    }

    /// When the input was written: a file's last change, else now.
    fn time(&self) -> SystemTime {
        let file = self.file.as_ref().filter(|file| file.as_os_str() != "-");
        let changed = file.and_then(|file| file.metadata().ok()?.modified().ok());
        changed.unwrap_or_else(SystemTime::now)
    }

    /// How the process ended, if that was given.
    fn ending(&self) -> Option<Ending> {
        let signal = self.signal.map(|signal| Ending::Signal(signal.0));
        signal.or(self.exit_code.map(Ending::Code))
    }
}
