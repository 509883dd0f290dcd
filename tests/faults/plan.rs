//! What is killed, how, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::Setting;

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// This signal is sent to the program.
    Signal(i32),
    /// SIGKILL to it and to who watches, right after one another.
    KillAll,
    /// SIGKILL to who watches; the program goes on.
    KillMonitor,
}

/// How it ends if it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Well, without any panic.
    Quiet,
    /// Well, after a thread has panicked.
    Thread,
    /// By a panic of its main thread, after another one has panicked.
    Panic,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            End::Quiet => "quiet",
            End::Thread => "thread",
            End::Panic => "panic",
        }
    }
}

/// One kill.
#[derive(Debug, Clone)]
pub struct Plan {
    pub setting: Setting,
    pub act: Act,
    pub end: End,
    /// The mark that is waited for; `None` for the start.
    pub after: Option<&'static str>,
    /// How long afterwards it happens.
    pub delay: Duration,
}

impl Plan {
    /// Any plan: half of them anywhere in the run, the others in the first milliseconds of a phase.
    pub fn random(random: &mut Random, lengths: &BTreeMap<Setting, Duration>) -> Plan {
        let setting = Setting::ALL[random.below(4) as usize];
        let end = [End::Quiet, End::Thread, End::Panic, End::Panic][random.below(4) as usize];
        let act = match (random.below(10), setting) {
            (0..4, _) | (6.., Setting::Hook) => Act::Signal(libc::SIGKILL),
            (4, _) => Act::Signal(libc::SIGSEGV),
            (5, _) => Act::Signal(libc::SIGABRT),
            (6, _) => Act::Signal(libc::SIGTERM),
            (7..9, _) => Act::KillAll,
            (_, _) => Act::KillMonitor,
        };
        // A hook has nobody else to be killed.
        let asks = setting == Setting::Hook && random.below(10) == 0;
        let act = if asks { Act::Signal(libc::SIGTERM) } else { act };
        let phases: &[&str] = match end {
            End::Quiet => &["begins", "installed", "exits"],
            End::Thread => &["begins", "installed", "panics", "survived", "exits"],
            End::Panic => &["begins", "installed", "panics", "survived", "falls", "unwound"],
        };
        if random.below(2) == 0 {
            let length = lengths[&setting].as_micros() as u64;
            let delay = Duration::from_micros(random.below(length + length / 8));
            return Plan { setting, act, end, after: None, delay };
        }
        let after = Some(phases[random.below(phases.len() as u64) as usize]);
        let most = [100, 1000, 10_000][random.below(3) as usize];
        let delay = Duration::from_micros(random.below(most));
        Plan { setting, act, end, after, delay }
    }
}

/// Numbers that look random, the same for the same seed: SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, stream: u64) -> Random {
        Random(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// One below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}
