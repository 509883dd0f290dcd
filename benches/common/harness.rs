//! Rounds of child processes, and the table of what they took.

use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::time::{ClockId, clock_gettime};

use super::children::{self, Children, median};
use super::contenders::{Contender, Setup};
use super::workload::Scene;

/// Events of one batch, batches of one child, and events before the first.
const BATCH: u64 = 10_000;
const BATCHES: usize = 11;
const WARM_UP: u64 = 20_000;
/// Events of each thread, where threads run side by side.
const PER_THREAD: u64 = 100_000;
/// Short threads.
const SHORT_THREADS: u64 = 10_000;
/// How often the parent goes round, unless told.
const ROUNDS: usize = 7;

/// Runs as the child that the arguments name, else as the parent.
pub fn main(title: &str, contenders: &[Contender]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--child", contender, setup, scene, task @ ..] => {
            let contender = contenders.iter().find(|c| c.name == *contender);
            let setup = Setup::ALL.into_iter().find(|s| s.name() == *setup);
            let scene = Scene::ALL.into_iter().find(|s| s.name() == *scene);
            let (Some(contender), Some(setup), Some(scene)) = (contender, setup, scene) else {
                eprintln!("no such contender, setup or scene");
                return ExitCode::FAILURE;
            };
            child(*contender, setup, scene, task)
        }
        ["--names"] => {
            contenders.iter().for_each(|contender| println!("{}", contender.name));
            ExitCode::SUCCESS
        }
        words => {
            if !children::is_bench(words) {
                return ExitCode::SUCCESS;
            }
            parent(title, contenders, children::rounds(words).unwrap_or(ROUNDS))
        }
    }
}

fn child(contender: Contender, setup: Setup, scene: Scene, task: &[&str]) -> ExitCode {
    let check = (contender.start)(setup);
    match task {
        ["check"] => {
            if let Err(problem) = scene.within(|record| check(scene, &|| record(7..8))) {
                eprintln!("{}, {}, {}: {problem}", contender.name, setup.name(), scene.name());
                return ExitCode::FAILURE;
            }
        }
        // For counting instructions: nothing but the events.
        ["count", events] => {
            let events = events.parse().expect("a number");
            scene.within(|record| counted(record, events));
        }
        ["time"] => children::print(&[one_thread(scene)]),
        ["threads", threads] => {
            children::print(&side_by_side(scene, threads.parse().expect("a number")))
        }
        ["short"] => children::print(&short_threads(scene)),
        _ => {
            eprintln!("no such task");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The one function whose instructions are counted, by its name.
#[inline(never)]
fn counted(record: &dyn Fn(std::ops::Range<u64>), events: u64) {
    record(0..events);
}

/// Nanoseconds per event of one thread.
fn one_thread(scene: Scene) -> f64 {
    scene.within(|record| {
        record(0..WARM_UP);
        let batch = || {
            let begun = Instant::now();
            record(0..BATCH);
            begun.elapsed().as_secs_f64() * 1e9 / BATCH as f64
        };
        median(std::iter::repeat_with(batch).take(BATCHES).collect())
    })
}

/// Nanoseconds of wall time and of processor time per event, with `threads` recording at once.
fn side_by_side(scene: Scene, threads: usize) -> [f64; 2] {
    let barrier = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let work = || {
            scene.within(|record| {
                record(0..WARM_UP);
                barrier.wait();
                record(0..PER_THREAD);
                barrier.wait();
            });
        };
        for _ in 0..threads {
            scope.spawn(work);
        }
        let wait = || barrier.wait();
        wait();
        let (begun, used) = (Instant::now(), processor_time());
        wait();
        let events = (threads as u64 * PER_THREAD) as f64;
        let wall = begun.elapsed();
        let processor = processor_time() - used;
        [wall.as_secs_f64() * 1e9 / events, processor.as_secs_f64() * 1e9 / events]
    })
}

/// Nanoseconds of wall time and of processor time per thread that records one event, and of
/// that event itself.
fn short_threads(scene: Scene) -> [f64; 3] {
    let run = |threads: u64| {
        let mut inside = Duration::ZERO;
        for number in 0..threads {
            let one = thread::spawn(move || {
                let begun = Instant::now();
                scene.within(|record| record(number..number + 1));
                begun.elapsed()
            });
            inside += one.join().expect("recording does not panic");
        }
        inside
    };
    run(SHORT_THREADS / 10);
    let (begun, used) = (Instant::now(), processor_time());
    let inside = run(SHORT_THREADS);
    let (wall, processor) = (begun.elapsed(), processor_time() - used);
    [wall, processor, inside].map(|time| time.as_secs_f64() * 1e9 / SHORT_THREADS as f64)
}

/// Processor time that all threads of this process used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One column of the table: how all contenders are run.
struct Column {
    heading: String,
    setup: Setup,
    scene: Scene,
    task: Vec<&'static str>,
    /// Which of the figures that the child prints.
    figure: usize,
}

impl Column {
    fn arguments<'a>(&self, contender: &Contender, task: &[&'a str]) -> Vec<&'a str> {
        [&["--child", contender.name, self.setup.name(), self.scene.name()], task].concat()
    }
}

fn columns() -> Vec<Column> {
    let time = |setup: Setup, scene: Scene| {
        let heading = match setup {
            Setup::Plain => scene.name().to_owned(),
            _ => format!("{}, {}", setup.name(), scene.name()),
        };
        Column { heading, setup, scene, task: vec!["time"], figure: 0 }
    };
    let mut columns: Vec<Column> =
        Scene::ALL.into_iter().map(|scene| time(Setup::Plain, scene)).collect();
    for setup in [Setup::Targets, Setup::Two] {
        columns.extend([Scene::Outside, Scene::Span].map(|scene| time(setup, scene)));
    }
    let mut others = |task: &[&'static str], headings: &[&str]| {
        for (figure, heading) in headings.iter().enumerate() {
            columns.push(Column {
                heading: (*heading).to_owned(),
                setup: Setup::Plain,
                scene: if task[0] == "short" { Scene::Outside } else { Scene::Span },
                task: task.to_vec(),
                figure,
            });
        }
    };
    others(&["threads", "2"], &["2 threads, wall", "2 threads, cpu"]);
    others(&["threads", "8"], &["8 threads, wall", "8 threads, cpu"]);
    others(&["short"], &["short thread, wall", "short thread, cpu", "its event"]);
    columns
}

fn parent(title: &str, contenders: &[Contender], rounds: usize) -> ExitCode {
    let columns = columns();
    let children = Children::new();
    let Some(figures) = measure(&children, contenders, &columns, rounds) else {
        return ExitCode::FAILURE;
    };
    report(title, contenders, &columns, &figures, rounds);
    ExitCode::SUCCESS
}

/// The median of each contender in each column.
fn measure(
    children: &Children,
    contenders: &[Contender],
    columns: &[Column],
    rounds: usize,
) -> Option<Vec<Vec<f64>>> {
    for contender in contenders {
        for column in columns.iter().filter(|column| column.task == ["time"]) {
            children.run(&column.arguments(contender, &["check"]))?;
        }
    }
    let mut all = vec![vec![Vec::with_capacity(rounds); columns.len()]; contenders.len()];
    for round in 1..=rounds {
        children::progress(&format!("round {round} of {rounds}"));
        for (at, column) in columns.iter().enumerate().filter(|(_, column)| column.figure == 0) {
            for (contender, all) in contenders.iter().zip(&mut all) {
                // All figures of one child, for the columns that follow.
                let figures = children.run(&column.arguments(contender, &column.task))?;
                for (more, figure) in figures.into_iter().enumerate() {
                    all[at + more].push(figure);
                }
            }
        }
    }
    children::progress("");
    Some(all.into_iter().map(|row| row.into_iter().map(median).collect()).collect())
}

fn report(
    title: &str,
    contenders: &[Contender],
    columns: &[Column],
    figures: &[Vec<f64>],
    rounds: usize,
) {
    let control = contenders.iter().position(|c| c.name == "control").expect("it is always there");
    println!("{title}: nanoseconds per event, and in brackets how many times the control layer's");
    println!("(medians of {rounds} rounds; in each, every contender in a process of its own)\n");
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let width = names.iter().map(|name| name.len().max(14)).collect::<Vec<_>>();
    print!("{:<22}", "");
    names.iter().zip(&width).for_each(|(name, width)| print!("  {name:>width$}"));
    println!();
    for (at, column) in columns.iter().enumerate() {
        print!("{:<22}", column.heading);
        for (row, width) in figures.iter().zip(&width) {
            let ratio = row[at] / figures[control][at];
            let cell = format!("{:.0} ({ratio:.2})", row[at]);
            print!("  {cell:>width$}");
        }
        println!();
    }
    println!();
    contenders.iter().for_each(|contender| println!("{}: {}", contender.name, contender.about));
    println!(
        "
The event: three fields (u64, &str, bool) and a message with two format arguments, at one callsite.
A program does other things between two events, so its caches are colder than here.
outside, span, 3 spans: in spans entered once. enter+event: in an existing span, entered and left
around each event, as a polled future is. new span+event: with a span of two fields, made and closed
around each event, as for a request.
Targets: with a filter of four directives. 2 layers: the same, beside a layer filtered to warnings.
N threads: each in a span of its own; wall is the time from start to end by all events of all
threads, cpu the processor time by the same. This machine has {} processors.
short thread: start and join of a thread that records one event outside any span, one after another;
its event: the time of that event in the thread, the clock read twice included.",
        thread::available_parallelism().map_or(1, std::num::NonZero::get),
    );
}
