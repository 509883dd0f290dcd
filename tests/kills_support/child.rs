//! The child: records as its role says, and waits to be killed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use lastwords::record::{Select, Snapshot};
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

use super::ledger::Ledger;

pub const ROLE: &str = "LASTWORDS_TEST_ROLE";
pub const LEDGER: &str = "LASTWORDS_TEST_LEDGER";

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Threads that record without end, in spans, records of every size.
    FullSpeed { threads: u32, seed: u32 },
    /// Threads that record without end, records that fill a block of the smallest ring.
    BlockEach { threads: u32, seed: u32 },
    /// Threads that end after one to three records.
    ShortLived { threads: u32, seed: u32 },
    /// Threads that are stopped one after another in the middle of a record, and then one that
    /// writes 100,000 records.
    Stopped { threads: u32, seed: u32 },
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::FullSpeed { threads, seed } => write!(f, "full:{threads}:{seed}"),
            Role::BlockEach { threads, seed } => write!(f, "block:{threads}:{seed}"),
            Role::ShortLived { threads, seed } => write!(f, "short:{threads}:{seed}"),
            Role::Stopped { threads, seed } => write!(f, "stopped:{threads}:{seed}"),
        }
    }
}

impl Role {
    pub fn of_this_process() -> Option<Role> {
        let role = std::env::var(ROLE).ok()?;
        let mut parts = role.split(':');
        let kind = parts.next()?;
        let threads = parts.next()?.parse().ok()?;
        let seed = parts.next()?.parse().ok()?;
        Some(match kind {
            "full" => Role::FullSpeed { threads, seed },
            "block" => Role::BlockEach { threads, seed },
            "short" => Role::ShortLived { threads, seed },
            "stopped" => Role::Stopped { threads, seed },
            other => panic!("no such role: {other}"),
        })
    }

    pub fn ring_bytes(self) -> u64 {
        if matches!(self, Role::BlockEach { .. }) { 256 * 1024 } else { 1024 * 1024 }
    }

    pub fn has_spans(self) -> bool {
        matches!(self, Role::FullSpeed { .. })
    }

    fn seed(self) -> u32 {
        match self {
            Role::FullSpeed { seed, .. }
            | Role::BlockEach { seed, .. }
            | Role::ShortLived { seed, .. }
            | Role::Stopped { seed, .. } => seed,
        }
    }

    /// How long the payload of a record is: both sides know.
    pub fn payload_len(self, thread: u64, number: u64) -> usize {
        let mixed = (u64::from(self.seed()) << 40 ^ thread << 32 ^ number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let some = (mixed >> 20) as usize % 50;
        match self {
            Role::BlockEach { .. } => 500 + some * 5,
            _ => [0, 1, 30, 120, 700, 1500, 3300][(mixed >> 40) as usize % 7] + some,
        }
    }
}

/// Records of one batch, in one span.
pub const BATCH: u64 = 64;
/// Every so many records the batch's span is told where it is.
pub const STEP: u64 = 16;

/// The payload of a record: letters that say whose they are.
pub fn payload(thread: u64, number: u64, len: usize) -> &'static str {
    static LETTERS: OnceLock<String> = OnceLock::new();
    let letters = LETTERS
        .get_or_init(|| (0..5000).map(|i| char::from(b'a' + ((i / 26 + i) % 26) as u8)).collect());
    let start = (thread * 7 + number * 13) as usize % 1000;
    &letters[start..start + len]
}

struct Recording {
    role: Role,
    ledger: Ledger,
}

pub fn record(role: Role) {
    // SAFETY: a plain system call; a child must not outlive a test that failed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let recorder = lastwords::builder().install().expect("install");
    tracing_subscriber::registry().with(recorder.layer()).init();
    let (Role::FullSpeed { threads, .. }
    | Role::BlockEach { threads, .. }
    | Role::ShortLived { threads, .. }
    | Role::Stopped { threads, .. }) = role;
    let path = PathBuf::from(std::env::var_os(LEDGER).expect("a ledger"));
    let threads_and_writer = threads as usize + usize::from(matches!(role, Role::Stopped { .. }));
    let recording = Arc::new(Recording { role, ledger: Ledger::open(&path, threads_and_writer) });
    match role {
        Role::FullSpeed { .. } => full_speed(&recording, threads),
        Role::BlockEach { .. } => block_each(&recording, threads),
        Role::ShortLived { .. } => short_lived(&recording, threads),
        Role::Stopped { .. } => stopped(&recording, threads),
    }
    recording.ledger.set_done();
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

impl Recording {
    fn event(&self, thread: u64, number: u64) {
        self.ledger.account(thread, number, || match self.role.payload_len(thread, number) {
            0 => info!(thread, number, "tiny"),
            len => info!(thread, number, len, payload = payload(thread, number, len), "record"),
        });
    }

    fn events_without_end(&self, thread: u64) {
        for number in 1.. {
            self.event(thread, number);
        }
    }
}

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(f).expect("a thread")
}

fn full_speed(recording: &Arc<Recording>, threads: u32) {
    let writers: Vec<_> = (0..u64::from(threads))
        .map(|thread| {
            let recording = Arc::clone(recording);
            spawn(&format!("writer-{thread}"), move || {
                let _worker = info_span!("worker", thread).entered();
                for batch in 0.. {
                    let at = tracing::field::Empty;
                    let span = info_span!("batch", batch, at).entered();
                    for number in (batch * BATCH).max(1)..(batch + 1) * BATCH {
                        if number % STEP == 0 {
                            span.record("at", number);
                        }
                        recording.event(thread, number);
                    }
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no writer panics"));
}

fn block_each(recording: &Arc<Recording>, threads: u32) {
    let writers: Vec<_> = (0..u64::from(threads))
        .map(|thread| {
            let recording = Arc::clone(recording);
            spawn("block", move || recording.events_without_end(thread))
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no writer panics"));
}

fn short_lived(recording: &Arc<Recording>, threads: u32) {
    let next = Arc::new(AtomicU64::new(0));
    let spawners: Vec<_> = (0..8)
        .map(|_| {
            let (recording, next) = (Arc::clone(recording), Arc::clone(&next));
            spawn("spawner", move || {
                loop {
                    let thread = next.fetch_add(1, Ordering::Relaxed);
                    if thread >= u64::from(threads) {
                        return;
                    }
                    let recording = Arc::clone(&recording);
                    let short = spawn("short", move || {
                        (1..=1 + thread % 3).for_each(|number| recording.event(thread, number));
                    });
                    short.join().expect("no writer panics");
                }
            })
        })
        .collect();
    spawners.into_iter().for_each(|spawner| spawner.join().expect("no spawner panics"));
}

/// Whether the thread stopped last is to stay stopped.
static RELEASED: AtomicBool = AtomicBool::new(false);
/// How many threads are in the handler.
static PARKED: AtomicU64 = AtomicU64::new(0);

extern "C" fn park(_signal: libc::c_int) {
    PARKED.fetch_add(1, Ordering::SeqCst);
    while !RELEASED.load(Ordering::SeqCst) {
        let brief = libc::timespec { tv_sec: 0, tv_nsec: 20_000 };
        // SAFETY: `nanosleep` may be called in a signal handler, and `brief` outlives the call.
        unsafe { libc::nanosleep(&raw const brief, std::ptr::null_mut()) };
    }
    PARKED.fetch_sub(1, Ordering::SeqCst);
}

/// Ends the handler's wait for the one thread that waits there, and leaves those that wait for
/// ever where they are.
extern "C" fn park_for_ever(_signal: libc::c_int) {
    PARKED.fetch_add(1, Ordering::SeqCst);
    loop {
        // SAFETY: `pause` may be called in a signal handler.
        unsafe { libc::pause() };
    }
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the handlers above do nothing but what a handler may do, and never end.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..200_000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_micros(50));
    }
    panic!("waited in vain until {what}");
}

/// Threads in the middle of a record, as the region says: all others must be at rest.
fn inside(region: &Path) -> u64 {
    Snapshot::read_file(region, Select::newest(0)).expect("the region is read").losses.torn
}

fn own_region() -> PathBuf {
    let regions = PathBuf::from(std::env::var_os("LASTWORDS_STATE_DIR").expect("a directory"));
    let mut files = std::fs::read_dir(regions.join("regions")).expect("regions");
    files.next().expect("a region").expect("its name").path()
}

fn stopped(recording: &Arc<Recording>, threads: u32) {
    // While a victim is looked at it waits in the first handler; when it was caught inside a
    // record, the second signal keeps it there.
    handle(libc::SIGUSR1, park);
    handle(libc::SIGUSR2, park_for_ever);
    let region = own_region();
    for thread in 0..u64::from(threads) {
        // Everything else is at rest: the victim makes the difference.
        let (inside_before, parked_before) = (inside(&region), PARKED.load(Ordering::SeqCst));
        let recording_there = Arc::clone(recording);
        let (tell, told) = std::sync::mpsc::channel();
        spawn("victim", move || {
            // SAFETY: a plain system call.
            tell.send(unsafe { libc::gettid() }).expect("somebody listens");
            recording_there.events_without_end(thread);
        });
        let victim = told.recv().expect("the victim says who it is");
        let signal = |signal: libc::c_int| {
            // SAFETY: a plain system call, to a thread of this process that never ends.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), victim, signal) };
        };
        for attempt in 0.. {
            assert!(attempt < 5_000, "victim {thread} was never caught inside a record");
            let started = recording.ledger.started_by(thread);
            wait_until("the victim records", || recording.ledger.started_by(thread) > started + 3);
            RELEASED.store(false, Ordering::SeqCst);
            signal(libc::SIGUSR1);
            let parked = || PARKED.load(Ordering::SeqCst);
            wait_until("the victim is stopped", || parked() == parked_before + 1);
            if inside(&region) > inside_before {
                signal(libc::SIGUSR2);
                wait_until("the victim is stopped for ever", || parked() == parked_before + 2);
                break;
            }
            RELEASED.store(true, Ordering::SeqCst);
            wait_until("the victim goes on", || parked() == parked_before);
        }
    }
    let recording = Arc::clone(recording);
    spawn("writer", move || {
        let thread = u64::from(threads);
        (1..=100_000).for_each(|number| recording.event(thread, number));
    })
    .join()
    .expect("the writer does not panic");
}
