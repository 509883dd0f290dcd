//! Which reports are right, by how far the program had come and how it ended.
//!
//! A panic of a thread is a report of its own, and so is one of the main thread that ended the program by
//! itself. A death by a signal is one report under the id that the region had before, whatever panicked
//! before it; only a SIGABRT may be about the panic that came right before it, and then that panic's report
//! is the one about the end.

use std::path::Path;

use super::plan::{Act, Plan};
use crate::common::Event;
use crate::common::Setting;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it would have with nobody killing.
    ByItself,
    /// By this signal.
    Signal(i32),
    /// Who would know was killed as well.
    Unknown,
}

/// What the program has said of itself.
#[derive(Debug, Clone, Default)]
pub struct Marks(Vec<(String, u32)>);

impl Marks {
    pub fn read(file: &Path) -> Marks {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mark = |line: &str| {
            let (mark, pid) = line.split_once(' ')?;
            Some((mark.to_owned(), pid.parse().ok()?))
        };
        Marks(text.lines().filter_map(mark).collect())
    }

    pub fn has(&self, mark: &str) -> bool {
        self.0.iter().any(|(it, _)| it == mark)
    }

    /// The program's process id.
    pub fn pid(&self) -> Option<u32> {
        self.0.first().map(|(_, pid)| *pid)
    }

    /// Whether nothing of the program's own comes any more.
    pub fn is_over(&self) -> bool {
        self.has("exits") || self.has("unwound")
    }

    /// The phase that it died in.
    pub fn last(&self) -> &'static str {
        match self.0.last().map(|(mark, _)| mark.as_str()) {
            Some("begins") => "install",
            Some("installed") => "logging",
            Some("panics") => "panic",
            Some("survived") => "logging again",
            Some("falls") => "main's panic",
            Some("exits" | "unwound") => "exit",
            _ => "start",
        }
    }
}

/// A kill that was carried out.
#[derive(Debug)]
pub struct Case {
    pub plan: Plan,
    pub marks: Marks,
    pub ended: Ended,
    /// Ids that regions had for their process's death when the blow fell.
    pub ids: Vec<String>,
}

/// How many of a kind of reports there may be: at least, and at most.
type Bounds = (usize, usize);

/// Demands that `events` are what they should be.
pub fn judge(case: &Case, events: &[Event]) {
    let words: Vec<_> = events.iter().map(|it| (it.exceptions()[0].clone(), it.level())).collect();
    let about = |text: &str| {
        let is_it = |it: &&Event| it.exceptions()[0]["value"] == text;
        events.iter().filter(is_it).collect::<Vec<_>>()
    };
    let (thread, main) = (about("a worker is no more"), about("main is no more"));
    let deaths: Vec<_> =
        events.iter().filter(|it| it.exceptions()[0]["mechanism"]["type"] != "panic").collect();
    let say = format!("{case:#?}\n{words:#?}");
    assert_eq!(thread.len() + main.len() + deaths.len(), events.len(), "others: {say}");
    within(thread.len(), of_thread(case), "of the thread's panic", &say);
    within(main.len(), of_main(case), "of main's panic", &say);
    within(deaths.len(), of_death(case), "of the death", &say);
    if met_mains_panic(case) && case.marks.has("installed") && !may_lose_print(case) {
        let about_end = main.iter().chain(&deaths).collect::<Vec<_>>();
        assert_eq!(about_end.len(), 1, "of the end: {say}");
        assert_eq!(about_end[0].level(), "fatal", "{say}");
    }
    if let Some(death) = deaths.first() {
        looks_like_the_death(case, death, &say);
    }
    if is_abort(case) && case.marks.has("installed") && deaths.is_empty() && !case.marks.is_over() {
        let about_end = thread.iter().chain(&main).filter(|it| it.level() == "fatal").count();
        assert_eq!(about_end, 1, "nothing about the end: {say}");
    }
}

fn within(number: usize, (least, most): Bounds, what: &str, say: &str) {
    assert!((least..=most).contains(&number), "{number} {what}, not {least} to {most}: {say}");
}

/// Whether what was printed may be lost: it is in a pipe, and whoever reads there was killed too.
fn may_lose_print(case: &Case) -> bool {
    let watcher_killed = matches!(case.plan.act, Act::KillAll | Act::KillMonitor);
    case.plan.setting == Setting::Plain && watcher_killed
}

/// Whether main was panicking, or ended by that, when the blow fell: then that is what it died of.
fn met_mains_panic(case: &Case) -> bool {
    case.ended == Ended::Signal(libc::SIGKILL) && case.marks.has("falls")
}

fn of_thread(case: &Case) -> Bounds {
    match (case.marks.has("panics"), case.marks.has("survived")) {
        (_, true) if !may_lose_print(case) => (1, 1),
        (true, _) => (0, 1),
        (false, _) => (0, 0),
    }
}

fn of_main(case: &Case) -> Bounds {
    let ended_by_itself = case.ended == Ended::ByItself;
    match case.marks.has("falls") {
        false => (0, 0),
        true if may_lose_print(case) => (0, 1),
        true if met_mains_panic(case) => (0, 1),
        true if case.marks.has("unwound") || ended_by_itself => (1, 1),
        true => (0, 1),
    }
}

fn of_death(case: &Case) -> Bounds {
    let marks = &case.marks;
    match case.ended {
        // Nobody can know how a program ended that records nothing and has lost who watched it.
        Ended::ByItself | Ended::Unknown if may_lose_print(case) => (0, 1),
        Ended::ByItself => (0, 0),
        Ended::Signal(libc::SIGTERM) => (0, 0),
        // It may have made its region, or not; or its end may be written down already.
        Ended::Unknown => (0, 1),
        Ended::Signal(_) if !marks.has("installed") || marks.is_over() => (0, 1),
        Ended::Signal(_) if met_mains_panic(case) => (0, 1),
        Ended::Signal(libc::SIGABRT) if marks.has("panics") => (0, 1),
        Ended::Signal(_) => (1, 1),
    }
}

fn is_abort(case: &Case) -> bool {
    case.ended == Ended::Signal(libc::SIGABRT)
}

/// It has the region's id, and says what is known of the signal.
fn looks_like_the_death(case: &Case, death: &Event, say: &str) {
    assert_eq!(death.level(), "fatal", "{say}");
    let ty = death.exceptions()[0]["type"].as_str().expect("a type");
    let right = match case.ended {
        Ended::Signal(libc::SIGSEGV) => ty == "SIGSEGV",
        Ended::Signal(libc::SIGABRT) => ty == "SIGABRT",
        _ => ty == "SIGKILL",
    };
    assert!(right, "{ty}: {say}");
    let id = death.0["event_id"].as_str().expect("an id").replace('-', "");
    // Where the region was there when the blow fell.
    assert!(case.ids.is_empty() || case.ids.contains(&id), "{id}: {say}");
}
