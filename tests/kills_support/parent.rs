//! The parent: kills a child, reads what is left, and judges it by the child's own account.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lastwords::record::{Breadcrumb, Select, Snapshot};

use super::child::{self, BATCH, Role, STEP};
use super::ledger::{Entry, Ledger};

/// The newest records that nothing may take away.
const NEWEST: usize = 128;
/// What the parent waits for, at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// When to kill.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    /// Threads that keep an account.
    pub threads: u32,
    /// After how many finished records; 0 for when the child says that it is done.
    pub after_records: u64,
}

/// What kills left behind, added up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    pub kills: u64,
    pub breadcrumbs: u64,
    /// Records that by the account had to be there.
    pub owed: u64,
    /// Records that were being copied at the moment of the kill.
    pub killed_inside: u64,
    /// Breadcrumbs whose thread was stopped between looking after its spans and recording.
    pub spans_late: u64,
}

impl Verdict {
    pub fn add(&mut self, other: Verdict) {
        self.kills += other.kills;
        self.breadcrumbs += other.breadcrumbs;
        self.owed += other.owed;
        self.killed_inside += other.killed_inside;
        self.spans_late += other.spans_late;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { kills, breadcrumbs, owed, killed_inside, spans_late } = self;
        write!(
            f,
            "{kills} kills, {breadcrumbs} breadcrumbs read, {owed} of them owed, {killed_inside} \
             records killed while being copied, {spans_late} with a later copy of their spans"
        )
    }
}

/// Kills the child even when the test fails.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a child in `role`, kills it, and judges what it left.
pub fn run(role: &Role, kill: Kill) -> Verdict {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger_path = dir.path().join("ledger");
    let ledger = Ledger::open(&ledger_path, kill.threads as usize);
    let stderr_path = dir.path().join("stderr");
    let stderr = std::fs::File::create(&stderr_path).expect("a file");
    let state = dir.path().join("state");
    let mut command = Command::new(std::env::current_exe().expect("this test's own file"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LASTWORDS_") {
            command.env_remove(name);
        }
    }
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(child::ROLE, role.to_string())
        .env(child::LEDGER, &ledger_path)
        .env("LASTWORDS_STATE_DIR", &state)
        .env("LASTWORDS_RING_SIZE", role.ring_bytes().to_string())
        .env_remove("SENTRY_DSN")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = Reaped(command.spawn().expect("the child starts"));
    let explain = |what: &str| -> ! {
        let stderr = std::fs::read_to_string(&stderr_path).unwrap_or_default();
        panic!("{role}: {what}\ncommand: {command:?}\nstderr: {stderr}");
    };
    let deadline = Instant::now() + PATIENCE;
    let enough = || match kill.after_records {
        0 => ledger.is_done(),
        records => ledger.finished() >= records,
    };
    while !enough() {
        if let Ok(Some(status)) = child.0.try_wait() {
            explain(&format!("the child ended by itself: {status}"));
        }
        if Instant::now() > deadline {
            explain("the child did not get so far");
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    child.0.kill().expect("the child is killed");
    let status = child.0.wait().expect("the child is reaped");
    if status.signal() != Some(libc::SIGKILL) {
        explain(&format!("the child did not die of the kill: {status}"));
    }
    let snapshot = match read(&state) {
        Ok(snapshot) => snapshot,
        Err(what) => explain(&what),
    };
    match judge(*role, &ledger, &snapshot) {
        Ok(verdict) => verdict,
        Err(what) => explain(&what),
    }
}

fn read(state: &Path) -> Result<Snapshot, String> {
    let files = std::fs::read_dir(state.join("regions")).map_err(|error| error.to_string())?;
    let files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    let [region] = &files[..] else { return Err(format!("not one region: {files:?}")) };
    Snapshot::read_file(region, Select::newest(usize::MAX)).map_err(|error| error.to_string())
}

fn judge(role: Role, ledger: &Ledger, snapshot: &Snapshot) -> Result<Verdict, String> {
    let entries = ledger.entries();
    let known: HashMap<(u64, u64), Entry> =
        entries.iter().map(|entry| ((entry.thread, entry.number), *entry)).collect();
    let mut verdict = Verdict { kills: 1, ..Verdict::default() };
    let mut last: HashMap<u64, u64> = HashMap::new();
    let mut spanless = false;
    let from = snapshot.breadcrumbs.len().saturating_sub(NEWEST);
    for (i, crumb) in snapshot.breadcrumbs.iter().enumerate() {
        let (thread, number) = check_content(role, crumb)?;
        let what = || format!("record {number} of thread {thread}");
        let started = ledger.started_by(thread);
        if number == 0 || number > started {
            return Err(format!("{} was never started; {started} were", what()));
        }
        if let Some(entry) = known.get(&(thread, number)) {
            let after = entry.after.unwrap_or(u64::MAX);
            if !(entry.before..=after).contains(&crumb.boot_nanos) {
                return Err(format!("{} has another's time: {entry:?}", what()));
            }
        }
        match last.insert(thread, number) {
            Some(before) if number <= before => {
                return Err(format!("{} comes after number {before}", what()));
            }
            Some(before)
                if i > from && number != before + 1 && in_newest(snapshot, from, before) =>
            {
                return Err(format!("{} comes right after number {before}", what()));
            }
            _ => {}
        }
        if role.has_spans() && i >= from {
            // A thread that is stopped between writing its spans again and recording may leave one
            // breadcrumb without them, and that is counted. Older ones are counted too, so the count
            // alone excuses no second one among the newest.
            if crumb.spans.is_empty() && !spanless && snapshot.losses.spans_missing > 0 {
                spanless = true;
                continue;
            }
            verdict.spans_late += check_spans(crumb, thread, number, started)?;
        }
    }
    verdict.breadcrumbs = snapshot.breadcrumbs.len() as u64;
    verdict.owed = check_owed(&entries, snapshot)?;
    verdict.killed_inside = snapshot.losses.torn;
    if let Role::Stopped { threads, .. } = role {
        check_writer(u64::from(threads), snapshot)?;
    }
    check_counts(role, ledger, snapshot, &verdict)?;
    Ok(verdict)
}

/// Whether the newest 128 are those of the one thread that wrote while all others were stopped.
fn check_writer(writer: u64, snapshot: &Snapshot) -> Result<(), String> {
    let newest = snapshot.breadcrumbs.iter().rev().take(NEWEST);
    let numbers: Vec<_> = newest
        .map(|crumb| (crumb.fields["thread"].as_u64(), crumb.fields["number"].as_u64()))
        .collect();
    let expected: Vec<_> = (0..NEWEST as u64).map(|i| (Some(writer), Some(100_000 - i))).collect();
    if numbers == expected { Ok(()) } else { Err(format!("the newest are {numbers:?}")) }
}

fn in_newest(snapshot: &Snapshot, from: usize, number: u64) -> bool {
    let newest = &snapshot.breadcrumbs[from..];
    newest.iter().any(|crumb| crumb.fields["number"] == number)
}

/// Whether a breadcrumb is exactly what its thread recorded under its number: thread and number.
fn check_content(role: Role, crumb: &Breadcrumb) -> Result<(u64, u64), String> {
    let number_of = |name: &str| crumb.fields.get(name).and_then(serde_json::Value::as_u64);
    let (Some(thread), Some(number)) = (number_of("thread"), number_of("number")) else {
        return Err(format!("a breadcrumb without its numbers: {crumb:?}"));
    };
    let len = role.payload_len(thread, number);
    let may_be_cut = may_be_cut(role);
    let right = if len == 0 {
        crumb.message == "tiny" && crumb.fields.len() == 2
    } else {
        let payload = child::payload(thread, number, len);
        crumb.message == "record"
            && crumb.fields.len() == 4
            && number_of("len") == Some(len as u64)
            && (crumb.fields["payload"] == payload || may_be_cut && is_cut(crumb, payload))
    };
    let name = match role {
        Role::FullSpeed { .. } => format!("writer-{thread}"),
        Role::BlockEach { .. } => "block".to_owned(),
        Role::ShortLived { .. } => "short".to_owned(),
        Role::Stopped { threads, .. } if thread == u64::from(threads) => "writer".to_owned(),
        Role::Stopped { .. } => "victim".to_owned(),
    };
    if right
        && (may_be_cut || !crumb.cut)
        && crumb.thread.name == Some(name)
        && crumb.target.contains("child")
    {
        Ok((thread, number))
    } else {
        Err(format!("a corrupt breadcrumb: {crumb:?}"))
    }
}

/// Whether a record that fills its block may lose the end of its payload: while one thread writes
/// the entry of the callsite, the records of others carry what would stand there.
fn may_be_cut(role: Role) -> bool {
    matches!(role, Role::BlockEach { .. })
}

/// Whether a breadcrumb holds the beginning of `payload`, and says that it was cut.
fn is_cut(crumb: &Breadcrumb, payload: &str) -> bool {
    let kept = crumb.fields["payload"].as_str().and_then(|text| text.split_once("… ("));
    crumb.cut && kept.is_some_and(|(kept, _)| !kept.is_empty() && payload.starts_with(kept))
}

/// Whether a breadcrumb is in its own spans, as they were when it was recorded; 1 if they are of a
/// later moment. A thread that sleeps between looking after its spans and recording finds them
/// overwritten; its next record writes them again, and the two newest of a thread may come before
/// that.
fn check_spans(crumb: &Breadcrumb, thread: u64, number: u64, started: u64) -> Result<u64, String> {
    let names: Vec<&str> = crumb.spans.iter().map(|span| span.name.as_str()).collect();
    let what =
        || format!("record {number} of {started} of thread {thread} is in {:?}", crumb.spans);
    match names[..] {
        ["worker", "batch"] => {
            let batch = &crumb.spans[1].fields;
            let at = batch.get("at").and_then(serde_json::Value::as_u64).unwrap_or(0);
            let expected = number / STEP * STEP;
            let expected = if expected < number / BATCH * BATCH { 0 } else { expected };
            if crumb.spans[0].fields["thread"] != thread || batch["batch"] != number / BATCH {
                return Err(what());
            }
            match at {
                at if at == expected => Ok(0),
                at if at > expected && at <= expected + STEP => Ok(1),
                _ => Err(what()),
            }
        }
        // Its spans are gone, or the inner one is there and the outer one gone.
        [] | ["batch"] if number + 2 > started => Ok(1),
        _ => Err(what()),
    }
}

/// Whether every record is there of which it is certain that it is among the newest 128: it was
/// finished, and fewer than 128 others were not certainly over before it began.
fn check_owed(entries: &[Entry], snapshot: &Snapshot) -> Result<u64, String> {
    let mut ends: Vec<u64> = entries.iter().map(|entry| entry.after.unwrap_or(u64::MAX)).collect();
    ends.sort_unstable();
    let there: std::collections::HashSet<(u64, u64)> = snapshot
        .breadcrumbs
        .iter()
        .filter_map(|crumb| {
            Some((crumb.fields["thread"].as_u64()?, crumb.fields["number"].as_u64()?))
        })
        .collect();
    let mut owed = 0;
    for entry in entries.iter().filter(|entry| entry.after.is_some()) {
        // Itself is one of those that end after its beginning.
        let maybe_newer = ends.len() - ends.partition_point(|end| *end < entry.before) - 1;
        if maybe_newer >= NEWEST {
            continue;
        }
        owed += 1;
        if !there.contains(&(entry.thread, entry.number)) {
            return Err(format!(
                "{entry:?} is missing, with at most {maybe_newer} newer; {:?}, {} leases",
                snapshot.losses, snapshot.leases
            ));
        }
    }
    Ok(owed)
}

/// Whether the counts of what is lost agree with what was recorded.
fn check_counts(
    role: Role,
    ledger: &Ledger,
    snapshot: &Snapshot,
    verdict: &Verdict,
) -> Result<(), String> {
    let losses = snapshot.losses;
    let threads = match role {
        // Eight at a time.
        Role::ShortLived { .. } => 8,
        Role::FullSpeed { threads, .. } | Role::BlockEach { threads, .. } => u64::from(threads),
        Role::Stopped { threads, .. } => u64::from(threads) + 1,
    };
    let finished = ledger.finished();
    let seen = verdict.breadcrumbs + losses.overwritten;
    // A kill inside the first steps of a lease leaves the events that were in its block uncounted.
    let uncounted = threads * 512;
    // What a thread has finished counts a moment later, and may be counted a moment before.
    if losses.torn > threads
        || losses.cut != 0 && !may_be_cut(role)
        || losses.dropped != 0
        || seen > finished + 2 * threads
        || seen + uncounted < finished
    {
        return Err(format!("{losses:?} with {verdict} and {finished} finished"));
    }
    Ok(())
}
