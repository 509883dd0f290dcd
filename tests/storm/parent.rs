//! Who keeps the processes of the storm alive, and kills them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::common::Profile;
use super::faulty::mixed;

/// How many processes run at once.
const PROCESSES: u64 = 4;

/// The longest time between two kills.
const BETWEEN_KILLS: u64 = 80;

/// What the processes have said.
#[derive(Default)]
pub struct Told {
    /// Numbers and ids.
    pub published: Vec<(u64, String)>,
    /// Why requests failed.
    pub unheard: Vec<String>,
}

impl Told {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words[..] {
            ["published", number, id] => {
                self.published.push((number.parse().expect("a number"), id.to_owned()));
            }
            ["unheard", _, why] => self.unheard.push(why.to_owned()),
            _ => panic!("not understood: {line:?}"),
        }
    }

    fn add(&mut self, other: Told) {
        self.published.extend(other.published);
        self.unheard.extend(other.unheard);
    }
}

pub struct Parent {
    program: PathBuf,
    state: PathBuf,
    dsn: String,
    reports: u64,
    random: u64,
    slots: Vec<Slot>,
    told: Told,
    kills: usize,
}

/// A share of the reports.
struct Slot {
    /// The number of the first report that nobody has spoken of.
    next: u64,
    runs: Option<(Child, JoinHandle<Told>)>,
}

impl Parent {
    pub fn new(state: &Path, dsn: String, reports: u64, seed: u64) -> Parent {
        Parent {
            program: Profile::Dev.program("storm"),
            state: state.to_owned(),
            dsn,
            reports,
            random: seed,
            slots: (0..PROCESSES).map(|next| Slot { next, runs: None }).collect(),
            told: Told::default(),
            kills: 0,
        }
    }

    /// Keeps all of them alive and kills one after the other, until each has done its share.
    pub fn kill_until_done(&mut self) {
        for slot in 0..self.slots.len() {
            self.start(slot);
        }
        while self.slots.iter().any(|slot| slot.runs.is_some()) {
            thread::sleep(Duration::from_millis(1 + self.random() % BETWEEN_KILLS));
            self.take_ended();
            let slot = self.random() as usize % self.slots.len();
            if self.kill(slot) {
                self.start(slot);
            }
        }
    }

    pub fn kills(&self) -> usize {
        self.kills
    }

    /// What all of them have said, each report once.
    pub fn told(&mut self) -> Told {
        let mut told = std::mem::take(&mut self.told);
        told.published.sort();
        told.published.dedup();
        told
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(1);
        mixed(self.random)
    }

    fn start(&mut self, slot: usize) {
        let mut command = Command::new(&self.program);
        command.arg(&self.state).arg(&self.dsn);
        command.args([self.slots[slot].next, self.reports, PROCESSES].map(|it| it.to_string()));
        command.env_clear().stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program is built");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let reader = thread::spawn(move || {
            let mut told = Told::default();
            output.lines().for_each(|line| told.line(&line.expect("text")));
            told
        });
        self.slots[slot].runs = Some((child, reader));
    }

    /// Kills a process; `false` if it has ended.
    fn kill(&mut self, slot: usize) -> bool {
        let Some((child, _)) = &mut self.slots[slot].runs else { return false };
        child.kill().expect("it is ours");
        let has_ended = child.wait().expect("it is ours").success();
        self.kills += usize::from(!has_ended);
        self.take_words(slot);
        !has_ended
    }

    /// Takes note of processes that have ended by themselves, which they do only at the end.
    fn take_ended(&mut self) {
        for slot in 0..self.slots.len() {
            let Some((child, _)) = &mut self.slots[slot].runs else { continue };
            if let Some(status) = child.try_wait().expect("it is ours") {
                assert!(status.success(), "{status}");
                self.take_words(slot);
            }
        }
    }

    fn take_words(&mut self, slot: usize) {
        let Some((_, reader)) = self.slots[slot].runs.take() else { return };
        let told = reader.join().expect("lines that are understood");
        if let Some((last, _)) = told.published.last() {
            self.slots[slot].next = last + PROCESSES;
        }
        self.told.add(told);
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for (child, _) in self.slots.iter_mut().filter_map(|slot| slot.runs.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
