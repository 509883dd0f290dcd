//! What an answer means for a report: it arrived, it is refused for good, it waits for a person, or
//! it waits for another time.
//!
//! No report is given up for anything that may pass: only a server that says it will never take
//! this one sets it aside. What is lost: a report the server took without our hearing of it is sent
//! again, under the same id.

use std::time::Duration;

use super::{Answer, NotAnswered};

/// What becomes of a report that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server has it.
    Accepted,
    /// The server does not want it, now or ever: it is set aside, with the server's words.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        words: String,
    },
    /// The DSN leads nowhere, or its key is not valid there: reports are kept until somebody puts
    /// it right.
    WrongDsn {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        words: String,
    },
    /// It may go through another time.
    Later {
        /// Why not now, for a person.
        why: String,
        /// Whether the server asked to be left alone, rather than failed.
        server_asked: bool,
    },
}

/// Whether an answer is for people: that of a login page, or of a portal on the way.
fn is_web_page(words: &str) -> bool {
    let begins =
        |with: &str| words.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    begins("<!doctype html") || begins("<html")
}

impl Outcome {
    /// What a courier's result means.
    #[must_use]
    pub fn of(result: &Result<Answer, NotAnswered>) -> Outcome {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return Outcome::Later { why: error.to_string(), server_asked: false },
        };
        let (status, words) = (answer.status, answer.words.clone());
        match status {
            200..=299 if is_web_page(&words) => Outcome::Later {
                why: "the answer is a web page, not one of Sentry's".to_owned(),
                server_asked: false,
            },
            200..=299 => Outcome::Accepted,
            401 | 403 | 300..=399 => Outcome::WrongDsn { status, words },
            408 | 429 | 502..=504 => {
                let server_asked = status == 429 || !answer.limits.is_empty();
                Outcome::Later { why: said(status, &words), server_asked }
            }
            _ => Outcome::Refused { status, words },
        }
    }
}

fn said(status: u16, words: &str) -> String {
    match words.is_empty() {
        true => format!("the server answered {status}"),
        false => format!("the server answered {status}: {words}"),
    }
}

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(5);

/// The longest wait, before it is spread.
const LAST: Duration = Duration::from_secs(15 * 60);

/// How long to wait after so many `failures` in a row: 5 s, doubled each time up to 15 min, and
/// spread by a quarter to both sides, so that machines which lost one server do not all come back
/// at once. `random` is any number, each as likely as another. No failure, no wait.
#[must_use]
pub fn backoff(failures: u32, random: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let middle = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LAST);
    middle.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliver::{RateLimit, Stage};

    fn answer(status: u16) -> Result<Answer, NotAnswered> {
        Ok(Answer { status, words: "because".to_owned(), limits: Vec::new() })
    }

    #[test]
    fn every_status_means_one_thing() {
        let words = || "because".to_owned();
        for status in 100..=599 {
            let why = format!("the server answered {status}: because");
            let expected = match status {
                200..=299 => Outcome::Accepted,
                401 | 403 => Outcome::WrongDsn { status, words: words() },
                300..=399 => Outcome::WrongDsn { status, words: words() },
                429 => Outcome::Later { why, server_asked: true },
                408 | 502 | 503 | 504 => Outcome::Later { why, server_asked: false },
                _ => Outcome::Refused { status, words: words() },
            };
            assert_eq!(Outcome::of(&answer(status)), expected);
        }
    }

    #[test]
    fn a_server_that_names_a_time_asked() {
        let limits = vec![RateLimit { lasts: Duration::from_secs(9), categories: Vec::new() }];
        let busy = Ok(Answer { status: 503, limits, words: String::new() });
        let why = "the server answered 503".to_owned();
        assert_eq!(Outcome::of(&busy), Outcome::Later { why, server_asked: true });
    }

    #[test]
    fn no_answer_means_later() {
        for at in [Stage::Resolve, Stage::Connect, Stage::Tls, Stage::Timeout, Stage::Broken] {
            let error = NotAnswered { at, words: "why".to_owned() };
            let why = error.to_string();
            assert_eq!(Outcome::of(&Err(error)), Outcome::Later { why, server_asked: false });
        }
    }

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let middle = |failures| backoff(failures, u32::MAX / 2).as_secs_f64().round();
        let waits: Vec<_> = (0..=10).map(middle).collect();
        let expected = [0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0, 900.0];
        assert_eq!(waits, expected);
    }

    proptest! {
        #[test]
        fn waits_grow_and_keep_their_bounds(failures in 1_u32.., random: u32) {
            let wait = backoff(failures, random);
            prop_assert!(wait >= FIRST.mul_f64(0.749) && wait <= LAST.mul_f64(1.251));
            prop_assert!(backoff(failures.saturating_add(1), random) >= wait);
            prop_assert!(backoff(failures, random.saturating_add(1)) >= wait);
        }
    }
}
