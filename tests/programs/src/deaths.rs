//! Panics that end a thread or the process, one way each.

use std::cell::RefCell;
use std::panic::{catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::thread;

use lastwords::record::{Select, Snapshot};

pub(crate) const SCENARIOS: [crate::Scenario; 23] = [
    ("caught-often", caught_often),
    ("caught-long-before-an-abort", caught_long_before_an_abort),
    ("main", main),
    ("thread", in_thread),
    ("caught", caught),
    ("caught-on-main", caught_on_main),
    ("caught-then-uncaught", caught_then_uncaught),
    ("resume", resume),
    ("hook-panics", main),
    ("two", two),
    ("forty", forty),
    ("many", many),
    ("many-without-files", many_without_files),
    ("hook-exits", hook_exits),
    ("inlined", inlined),
    ("thread-local", thread_local_destructor),
    ("recording-thread-local", recording_thread_local),
    ("double", double),
    ("destructor", destructor_only),
    ("extern-c", through_extern_c),
    ("message-panics", message_panics),
    ("exit-meanwhile", exit_meanwhile),
    ("small-stack", small_stack),
];

/// Something that panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread")
}

fn main() {
    tracing::info!("the last line");
    panic!("main is no more");
}

fn in_thread() {
    let died = spawn("worker", || panic!("a worker is no more")).join().is_err();
    println!("died: {died}");
}

fn caught() {
    let work = || println!("caught: {}", catch_unwind(|| panic!("caught in a thread")).is_err());
    spawn("worker", work).join().expect("it was caught");
}

fn caught_on_main() {
    println!("caught: {}", catch_unwind(|| panic!("caught on main")).is_err());
}

fn caught_often() {
    let caught = (0..20).filter(|n| catch_unwind(|| panic!("caught number {n}")).is_err()).count();
    println!("caught: {caught}");
}

fn caught_long_before_an_abort() {
    println!("caught: {}", catch_unwind(|| panic!("caught at the start")).is_err());
    thread::sleep(std::time::Duration::from_millis(2500));
    tracing::info!("the last line");
    std::process::abort();
}

fn caught_then_uncaught() {
    println!("caught: {}", catch_unwind(|| panic!("the first is caught")).is_err());
    panic!("the second is not");
}

fn resume() {
    println!("resumed: {}", catch_unwind(|| resume_unwind(Box::new("no hook"))).is_err());
}

pub(crate) fn set_hook_that_panics() {
    std::panic::set_hook(Box::new(|_| panic!("the program's own hook panics")));
}

fn two() {
    at_once(2);
}

fn forty() {
    at_once(40);
}

fn at_once(count: usize) {
    let start = Arc::new(Barrier::new(count));
    let work = |number: usize| {
        let start = Arc::clone(&start);
        spawn(&format!("worker-{number}"), move || {
            tracing::info!(number, "about to die");
            start.wait();
            panic!("thread {number} is no more");
        })
    };
    let threads: Vec<_> = (0..count).map(work).collect();
    let died = threads.into_iter().filter_map(|thread| thread.join().err()).count();
    println!("{died} died");
}

/// Forty panics, one after another.
fn many() {
    let die = |number: usize| {
        spawn("worker", move || panic!("thread {number} is no more")).join().is_err()
    };
    println!("{} died", (0..40).filter(|number| die(*number)).count());
}

/// The same with no descriptor left, so that no report can be written.
fn many_without_files() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) };
    many();
}

/// A hook around lastwords' own that ends the process.
fn hook_exits() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::exit(7);
    }));
    let _ = spawn("worker", || panic!("the last one")).join();
}

/// A panic in a closure that an optimised build inlines into a function of a dependency.
fn inlined() {
    let none = tracing::Dispatch::none();
    let work = || {
        tracing::dispatcher::with_default(&none, || {
            if std::hint::black_box(true) {
                panic!("inlined");
            }
        });
    };
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
    println!("died: {died}");
}

fn thread_local_destructor() {
    thread_local! {
        static BOMB: Bomb = const { Bomb("a thread-local's destructor panics") };
    }
    let _ = spawn("worker", || BOMB.with(|_| println!("armed"))).join();
}

/// A destructor of a thread-local that logs, and whose panic is caught.
fn recording_thread_local() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            tracing::info!("logged while thread-locals are destroyed");
            let died = catch_unwind(|| panic!("caught while thread-locals are destroyed")).is_err();
            println!("caught: {died}");
        }
    }
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    spawn("worker", || LAST.with(|last| *last.borrow_mut() = Some(Last))).join().expect("no death");
}

fn double() {
    let work = || {
        let _bomb = Bomb("the destructor panics, too");
        panic!("the first of two");
    };
    let _ = spawn("worker", work).join();
}

fn destructor_only() {
    let died = spawn("worker", || drop(Bomb("a destructor panics"))).join().is_err();
    println!("died: {died}");
}

extern "C" fn never_unwinds() {
    panic!("inside an extern C function");
}

fn through_extern_c() {
    let _ = spawn("worker", || never_unwinds()).join();
}

/// A panic whose message cannot be formatted: the standard library aborts before any hook.
fn message_panics() {
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("the message panics");
        }
    }
    panic!("{Unspeakable}");
}

/// The region of this process, as a reader outside would find it.
fn own_region() -> PathBuf {
    let regions = std::env::var_os("LASTWORDS_STATE_DIR").expect("the tests set it");
    let own = format!("{}-", std::process::id());
    let files = PathBuf::from(regions).join("regions").read_dir().expect("a directory");
    let paths = files.map(|entry| entry.expect("an entry").path());
    let is_own = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&own);
    paths.into_iter().find(is_own).expect("a region")
}

/// One thread panics; another one ends the process while that is being reported.
fn exit_meanwhile() {
    let _ = spawn("exiter", || {
        let region = own_region();
        spawn("worker", || panic!("reported during exit"));
        let begun = || {
            let snapshot = Snapshot::read_file(&region, Select::newest(0)).expect("a region");
            !snapshot.panics.is_empty()
        };
        while !begun() {
            thread::yield_now();
        }
        std::process::exit(7);
    })
    .join();
}

fn small_stack() {
    fn tiny() {
        panic!("on 16 KiB");
    }
    fn small() {
        tracing::info!("logged on a small stack");
        panic!("on 64 KiB");
    }
    for (size, work) in [(16 * 1024, tiny as fn()), (64 * 1024, small)] {
        let thread = thread::Builder::new().name("small".to_owned()).stack_size(size);
        println!("{size}: died {}", thread.spawn(work).expect("a thread").join().is_err());
    }
}
