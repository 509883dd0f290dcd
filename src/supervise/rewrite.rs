//! Which signals reach the program as another one: `FROM:TO`.

use std::fmt;
use std::str::FromStr;

use crate::detect::signal;

/// Signals that are passed on as another one, or dropped.
///
/// Made from `FROM:TO` ([`FromStr`]), joined by [`add`](Rewrites::add).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrites {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    from: i32,
    to: Option<i32>,
}

impl Rewrites {
    /// Adds the rules of `others`; the later rule for a signal is the one that counts.
    pub fn add(&mut self, others: Rewrites) {
        self.rules.extend(others.rules);
    }

    /// What `signal` is passed on as; `None` if it is dropped.
    #[must_use]
    pub fn apply(&self, signal: i32) -> Option<i32> {
        match self.rules.iter().rev().find(|rule| rule.from == signal) {
            Some(rule) => rule.to,
            None => Some(signal),
        }
    }

    /// Whether there is a rule for `signal`.
    #[must_use]
    pub fn names(&self, signal: i32) -> bool {
        self.rules.iter().any(|rule| rule.from == signal)
    }
}

impl FromStr for Rewrites {
    type Err = RewriteError;

    fn from_str(text: &str) -> Result<Self, RewriteError> {
        let error = |fault| RewriteError { value: text.to_owned(), fault };
        let (from, to) = text.split_once(':').ok_or_else(|| error(Fault::Form))?;
        let named = |part: &str| {
            let unknown = || error(Fault::Unknown(part.trim().to_owned()));
            signal::number(part).ok_or_else(unknown)
        };
        let from = named(from)?;
        if !may_be_received(from) {
            return Err(error(Fault::NeverPassedOn(from)));
        }
        let to = if to.trim() == "0" { None } else { Some(named(to)?) };
        Ok(Rewrites { rules: vec![Rule { from, to }] })
    }
}

/// Whether a signal is one that is passed on.
#[cfg(unix)]
fn may_be_received(signal: i32) -> bool {
    ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(&signal)
}

#[cfg(not(unix))]
fn may_be_received(_signal: i32) -> bool {
    true
}

/// A text that is not a rule for a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteError {
    value: String,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    Form,
    Unknown(String),
    NeverPassedOn(i32),
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.value)?;
        match &self.fault {
            Fault::Form => write!(
                f,
                "expected FROM:TO, two signals by name or number, as in TERM:INT, or TERM:0 to drop it"
            ),
            Fault::Unknown(name) => {
                write!(f, "{name:?} is not a signal; names are as in TERM, SIGTERM or RTMIN+1")
            }
            Fault::NeverPassedOn(signal) => {
                let name = signal::name(*signal);
                write!(f, "{name} is never passed on; KILL and STOP cannot be, CHLD is our own")
            }
        }
    }
}

impl std::error::Error for RewriteError {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rewrites {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn names_and_numbers_are_rules() {
        assert_eq!(rule("TERM:INT").apply(libc::SIGTERM), Some(libc::SIGINT));
        assert_eq!(rule("15:2").apply(libc::SIGTERM), Some(libc::SIGINT));
        assert_eq!(rule("sigterm : kill").apply(libc::SIGTERM), Some(libc::SIGKILL));
        assert_eq!(rule("HUP:0").apply(libc::SIGHUP), None);
        assert_eq!(rule("HUP:0").apply(libc::SIGTERM), Some(libc::SIGTERM));
    }

    #[test]
    fn the_last_rule_for_a_signal_counts() {
        let mut rules = rule("TERM:INT");
        rules.add(rule("HUP:0"));
        rules.add(rule("TERM:QUIT"));
        assert_eq!(rules.apply(libc::SIGTERM), Some(libc::SIGQUIT));
        assert_eq!(rules.apply(libc::SIGHUP), None);
        assert!(rules.names(libc::SIGHUP) && !rules.names(libc::SIGINT));
    }

    #[test]
    fn what_is_no_rule_is_named_with_the_rule() {
        let error = |text: &str| text.parse::<Rewrites>().expect_err(text).to_string();
        for text in ["", "TERM", "15"] {
            assert!(error(text).contains("expected FROM:TO"), "{}", error(text));
        }
        assert!(error("TERM:").contains("\"\" is not a signal"), "{}", error("TERM:"));
        assert!(error("0:TERM").contains("\"0\" is not a signal"), "{}", error("0:TERM"));
        assert!(error("TERM:NOPE").contains("\"NOPE\" is not a signal"));
        assert!(error("A:B:C\n").starts_with("\"A:B:C\\n\": "), "{}", error("A:B:C\n"));
        for text in ["KILL:TERM", "STOP:TERM", "CHLD:0"] {
            assert!(error(text).contains("is never passed on"), "{}", error(text));
        }
    }
}
