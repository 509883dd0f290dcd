//! What a panic costs: how long each hook holds the panicking thread, and when what was done.
//!
//! One hook is set before the contender's and one after it, so that the contender's is between
//! the two: from the entry of the outer to the call of the inner is what it takes.

use std::env;
use std::hint::black_box;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lastwords::record::{Select, Snapshot};
use rustix::time::{ClockId, clock_gettime};

use super::children::{self, Children, median};
use super::contenders::{Check, Setup};
use super::workload;

/// Panics of one child: the first is the cold one.
const PANICS: usize = 31;
/// Breadcrumbs there are when the panics begin.
const BREADCRUMBS: u64 = 100;
const ROUNDS: usize = 5;
/// How many calls deep the panics are.
const DEPTHS: [usize; 2] = [3, 30];

/// A panic hook.
pub struct Contender {
    pub name: &'static str,
    pub about: &'static str,
    /// Sets the hook and a subscriber that records breadcrumbs.
    pub start: fn() -> Look,
}

/// Looks whether the report of the last panic is there, with its message, and gives the times in
/// boot nanoseconds at which its facts and its addresses were written, where there are such times.
pub type Look = Box<dyn Fn(&str) -> Result<[Option<u64>; 2], String> + Send>;

/// The contenders without rivals.
pub const OWN: [Contender; 2] = [
    Contender {
        name: "no hook",
        about: "what the measuring itself takes",
        start: || Box::new(|_| Ok([None; 2])),
    },
    Contender {
        name: "lastwords",
        about: "an installed recorder with its defaults, no DSN: the report is on disk when the \
                hook is done",
        start: start_lastwords,
    },
];

static ENTERED: AtomicU64 = AtomicU64::new(0);
static PASSED_ON: AtomicU64 = AtomicU64::new(0);

fn boot_nanos() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Runs as the child that the arguments name, else as the parent.
pub fn main(contenders: &[Contender]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--hook-child", name, depth] => {
            let contender = contenders.iter().find(|contender| contender.name == *name);
            let (Some(contender), Ok(depth)) = (contender, depth.parse()) else {
                eprintln!("no such contender or depth");
                return ExitCode::FAILURE;
            };
            child(contender, depth)
        }
        words if children::is_bench(words) => {
            parent(contenders, children::rounds(words).unwrap_or(ROUNDS))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Prints times of the first panic, then those of the others in the median: facts, addresses,
/// passed on. `NaN` where there is no such time.
fn child(contender: &Contender, depth: usize) -> ExitCode {
    panic::set_hook(Box::new(|_| PASSED_ON.store(boot_nanos(), Ordering::Relaxed)));
    let look = (contender.start)();
    let between = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        ENTERED.store(boot_nanos(), Ordering::Relaxed);
        between(info);
    }));
    (0..BREADCRUMBS).for_each(workload::event);
    // A thread of its own, as in a service whose worker panics and is caught.
    let worker = thread::Builder::new().name("worker".to_owned());
    let work = move || (0..PANICS).map(|number| one_panic(number, depth, &look)).collect();
    let times: Result<Vec<[f64; 3]>, String> =
        worker.spawn(work).expect("a thread").join().expect("all panics are caught");
    match times {
        Ok(times) => {
            let warm = [0, 1, 2].map(|at| median(times[1..].iter().map(|t| t[at]).collect()));
            children::print(&[times[0], warm].concat());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{}: {problem}", contender.name);
            ExitCode::FAILURE
        }
    }
}

fn one_panic(number: usize, depth: usize, look: &Look) -> Result<[f64; 3], String> {
    let message = format!("no space left in shard {number}");
    let caught = panic::catch_unwind(|| descend(depth, &message));
    if caught.is_ok() {
        return Err("it did not panic".to_owned());
    }
    let [facts, addresses] = look(&message)?;
    let entered = ENTERED.load(Ordering::Relaxed);
    let since =
        |time: Option<u64>| time.map_or(f64::NAN, |time| time.saturating_sub(entered) as f64);
    Ok([facts, addresses, Some(PASSED_ON.load(Ordering::Relaxed))].map(since))
}

#[inline(never)]
fn descend(depth: usize, message: &str) -> usize {
    if black_box(depth) == 0 {
        panic!("{message}");
    }
    descend(depth - 1, message) + black_box(1)
}

/// Sets up a subscriber by one of the contenders for events.
pub fn record_with(start: fn(Setup) -> Check) {
    drop(start(Setup::Plain));
}

fn start_lastwords() -> Look {
    let own = super::contenders::OWN.iter().find(|contender| contender.name == "lastwords");
    record_with(own.expect("it is one of them").start);
    let region = region_file();
    Box::new(move |message| {
        let region = region.as_ref().ok_or("the region is not a file")?;
        let snapshot = Snapshot::read_file(region, Select::newest(1)).map_err(|e| e.to_string())?;
        let panic = snapshot.panics.last().ok_or("the region has no panic")?;
        if panic.message != message || !panic.reported || snapshot.breadcrumbs.is_empty() {
            return Err(format!("the region has {panic:?}"));
        }
        Ok([Some(panic.facts_nanos), panic.addresses_nanos])
    })
}

/// The file that this process's region lies in.
fn region_file() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(".region"))?;
    line.find('/').map(|at| PathBuf::from(&line[at..]))
}

fn parent(contenders: &[Contender], rounds: usize) -> ExitCode {
    let children = Children::new();
    let kinds: Vec<(usize, &Contender)> =
        DEPTHS.iter().flat_map(|depth| contenders.iter().map(move |c| (*depth, c))).collect();
    let mut all = vec![[const { Vec::new() }; 6]; kinds.len()];
    for round in 1..=rounds {
        children::progress(&format!("round {round} of {rounds}"));
        for ((depth, contender), all) in kinds.iter().zip(&mut all) {
            let arguments = ["--hook-child", contender.name, &depth.to_string()];
            let Some(figures) = children.run(&arguments) else { return ExitCode::FAILURE };
            all.iter_mut().zip(figures).for_each(|(all, figure)| all.push(figure));
        }
    }
    children::progress("");
    println!("a panic's way through the hook: microseconds since the hook was entered");
    println!("(medians of {rounds} rounds, every contender in a process of its own)\n");
    println!("{:<24}{:>36}{:>36}", "", "first panic", "later panics (median of 30)");
    let stages = ["slot", "addresses", "passed on"];
    print!("{:<24}", "calls deep");
    [stages, stages].concat().iter().for_each(|stage| print!("{stage:>12}"));
    println!();
    for ((depth, contender), figures) in kinds.iter().zip(all) {
        print!("{:<24}", format!("{depth:>2}  {}", contender.name));
        for figure in figures.map(median) {
            let cell =
                if figure.is_nan() { "-".to_owned() } else { format!("{:.1}", figure / 1e3) };
            print!("{cell:>12}");
        }
        println!();
    }
    println!();
    contenders.iter().for_each(|contender| println!("{}: {}", contender.name, contender.about));
    println!(
        "
slot: message, place and thread are in the region. addresses: the stack is too, and the panic
survives whatever happens next. passed on: the report is published and the hook that was set before
is called. The panics are caught, in a worker thread, with {BREADCRUMBS} breadcrumbs recorded; the program
has symbols but no debug info, which takes longer to read at the first panic.
A program panics seldom: the first panic is the typical one."
    );
    ExitCode::SUCCESS
}
