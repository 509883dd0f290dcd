//! Letters: envelopes that are on no disk, and are sent from memory.
//!
//! **Guarantee:** a letter is carried by one thread at a time, a server that asked for a pause gets
//! none meanwhile, and there are never more than [`MOST`]. **Lost:** what was not accepted when the
//! process ends; a letter to be sent once, by the first failure; the oldest beyond the bound.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use sentry::types::{Dsn, Uuid};

use super::journal::key;
use super::{Answer, NotAnswered, Outcome, backoff};
use crate::report::Envelope;

/// How many letters are held; the oldest makes room.
const MOST: usize = 32;

/// The letters of a process.
#[derive(Debug, Default)]
pub struct Letters {
    letters: HashMap<Uuid, Letter>,
    /// Servers that want nothing for now.
    quiet: HashMap<String, Instant>,
    /// Counts letters, to know the oldest.
    count: u64,
}

#[derive(Debug)]
struct Letter {
    number: u64,
    dsn: Dsn,
    envelope: Vec<u8>,
    /// Whether it is given up when it does not arrive at once.
    once: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// Whether a thread is just sending it.
    carried: bool,
}

/// A letter asked for.
#[derive(Debug)]
pub enum Taken {
    /// It is to be sent now, to there, in these bytes.
    Due(Dsn, Vec<u8>),
    /// It is to be looked at again.
    Later(Duration),
    /// There is none, or another thread has it.
    Gone,
}

impl Letters {
    /// Takes a letter, in place of an earlier one of its id; the one that makes room for it, if one does.
    pub fn put(&mut self, id: Uuid, dsn: &Dsn, envelope: Vec<u8>, once: bool) -> Option<Uuid> {
        self.count += 1;
        let letter = Letter {
            number: self.count,
            dsn: dsn.clone(),
            envelope,
            once,
            failures: 0,
            not_before: None,
            carried: false,
        };
        self.letters.insert(id, letter);
        let oldest = self.letters.iter().min_by_key(|(_, letter)| letter.number);
        let oldest = oldest.map(|(id, _)| *id).filter(|_| self.letters.len() > MOST)?;
        self.letters.remove(&oldest);
        Some(oldest)
    }

    /// A letter that is not on its way yet is another one now.
    pub fn replace(&mut self, id: Uuid, envelope: &[u8]) {
        if let Some(letter) = self.letters.get_mut(&id) {
            letter.envelope = envelope.to_vec();
        }
    }

    /// Forgets a letter.
    pub fn remove(&mut self, id: Uuid) {
        self.letters.remove(&id);
    }

    /// Whether there is such a letter.
    pub fn contains(&self, id: Uuid) -> bool {
        self.letters.contains_key(&id)
    }

    /// Whether there are any but those that are sent once.
    pub fn has_lasting(&self) -> bool {
        self.letters.values().any(|letter| !letter.once)
    }

    /// Takes a letter to be carried, if it is due.
    pub fn take(&mut self, id: Uuid, now: Instant) -> Taken {
        let Some(letter) = self.letters.get_mut(&id).filter(|letter| !letter.carried) else {
            return Taken::Gone;
        };
        let quiet = self.quiet.get(&key(&letter.dsn)).copied();
        let due = letter.not_before.max(quiet);
        if let Some(due) = due.filter(|due| *due > now) {
            return Taken::Later(due - now);
        }
        letter.carried = true;
        let envelope = Envelope::parse(&letter.envelope);
        let bytes = envelope.map(|envelope| envelope.for_sending(SystemTime::now(), None));
        Taken::Due(letter.dsn.clone(), bytes.unwrap_or_else(|_| letter.envelope.clone()))
    }

    /// What came of a letter that was carried; when to try again.
    pub fn settle(
        &mut self,
        id: Uuid,
        answer: &Result<Answer, NotAnswered>,
        now: Instant,
        random: u32,
    ) -> Option<Duration> {
        let letter = self.letters.get_mut(&id)?;
        letter.carried = false;
        if let Ok(answer) = answer {
            let asked = answer.limits.iter().filter(|limit| {
                letter.once || limit.categories.is_empty() || names(&limit.categories, "error")
            });
            if let Some(lasts) = asked.map(|limit| limit.lasts).max() {
                self.quiet.insert(key(&letter.dsn), now + lasts);
            }
        }
        match Outcome::of(answer) {
            Outcome::Later { .. } | Outcome::WrongDsn { .. } if !letter.once => {
                letter.failures += 1;
                let pause = backoff(letter.failures, random);
                letter.not_before = Some(now + pause);
                Some(pause)
            }
            _ => {
                self.letters.remove(&id);
                None
            }
        }
    }
}

fn names(categories: &[String], category: &str) -> bool {
    categories.iter().any(|named| named == category)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::{RateLimit, Stage};

    fn dsn() -> Dsn {
        "http://key@host.invalid/1".parse().unwrap()
    }

    fn answer(status: u16, limits: Vec<RateLimit>) -> Result<Answer, NotAnswered> {
        Ok(Answer { status, limits, words: String::new() })
    }

    fn silence() -> Result<Answer, NotAnswered> {
        Err(NotAnswered { at: Stage::Timeout, words: String::new() })
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn is_due(taken: &Taken) -> bool {
        matches!(taken, Taken::Due(..))
    }

    #[test]
    fn a_letter_is_carried_by_one_thread_and_kept_until_it_arrives() {
        let (mut letters, now) = (Letters::default(), Instant::now());
        letters.put(id(1), &dsn(), b"{}".to_vec(), false);
        assert!(is_due(&letters.take(id(1), now)));
        assert!(matches!(letters.take(id(1), now), Taken::Gone), "another thread has it");
        assert!(letters.contains(id(1)), "it is not gone while it is on its way");
        let pause = letters.settle(id(1), &silence(), now, 0).unwrap();
        assert!(matches!(letters.take(id(1), now), Taken::Later(_)));
        assert!(is_due(&letters.take(id(1), now + pause)));
        assert_eq!(letters.settle(id(1), &answer(200, Vec::new()), now, 0), None);
        assert!(!letters.contains(id(1)));
    }

    #[test]
    fn one_to_be_sent_once_is_given_up_and_one_withdrawn_stays_away() {
        let (mut letters, now) = (Letters::default(), Instant::now());
        letters.put(id(1), &dsn(), b"{}".to_vec(), true);
        letters.put(id(2), &dsn(), b"{}".to_vec(), false);
        assert!(is_due(&letters.take(id(1), now)) && is_due(&letters.take(id(2), now)));
        letters.remove(id(2));
        assert_eq!(letters.settle(id(1), &silence(), now, 0), None);
        assert_eq!(letters.settle(id(2), &silence(), now, 0), None);
        assert!(!letters.contains(id(1)) && !letters.contains(id(2)));
    }

    #[test]
    fn a_server_that_asked_for_a_pause_gets_one() {
        let (mut letters, now) = (Letters::default(), Instant::now());
        letters.put(id(1), &dsn(), b"{}".to_vec(), false);
        letters.put(id(2), &dsn(), b"{}".to_vec(), false);
        assert!(is_due(&letters.take(id(1), now)));
        let minute = Duration::from_secs(60);
        let limit = RateLimit { lasts: minute, categories: vec!["error".to_owned()] };
        letters.settle(id(1), &answer(200, vec![limit]), now, 0);
        assert!(matches!(letters.take(id(2), now), Taken::Later(left) if left == minute));
        assert!(is_due(&letters.take(id(2), now + minute)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut letters = Letters::default();
        for number in 0..MOST as u128 {
            assert_eq!(letters.put(id(number), &dsn(), Vec::new(), false), None);
        }
        assert_eq!(letters.put(id(1000), &dsn(), Vec::new(), false), Some(id(0)));
        assert!(letters.contains(id(1000)) && !letters.contains(id(0)));
    }
}
