//! Whether a server is there, and what it says to an envelope.

use std::time::{Duration, Instant};

use lastwords::deliver::{Answer, Client, Courier, NotAnswered};
use lastwords::sentry::types::Dsn;

use super::finding::Mark;

/// How long an answer is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// An envelope without items: a server checks the key, and stores nothing.
const EMPTY: &[u8] = b"{}\n";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// No connection was opened, for this reason.
    NotChecked(&'static str),
    /// The server answered, after so long.
    Answered(Answer, Duration),
    /// It did not.
    NotAnswered(NotAnswered),
}

/// Who carries what is sent.
pub fn courier() -> impl Courier {
    Client::new()
}

/// Resolves, connects, agrees on TLS and asks whether the key is known, all by an empty envelope.
pub fn reach(courier: &dyn Courier, dsn: &Dsn) -> Reach {
    send(courier, dsn, EMPTY)
}

/// Sends an envelope.
pub fn send(courier: &dyn Courier, dsn: &Dsn, envelope: &[u8]) -> Reach {
    let begun = Instant::now();
    match courier.post(dsn, envelope, LIMIT) {
        Ok(answer) => Reach::Answered(answer, begun.elapsed()),
        Err(error) => Reach::NotAnswered(error),
    }
}

impl Reach {
    /// What it means, in words. `event` is the id of the event that was sent, if one was.
    pub fn judge(&self, event: Option<&str>) -> (Mark, String) {
        match self {
            Reach::NotChecked(why) => (Mark::Note, format!("the server was not asked: {why}")),
            Reach::NotAnswered(error) => (Mark::Problem, error.to_string()),
            Reach::Answered(answer, took) => {
                let (mark, text) = meaning(answer.status, event);
                let status = format!("status {}, {} ms", answer.status, took.as_millis());
                let words = match (mark, answer.words.is_empty()) {
                    (Mark::Ok, _) | (_, true) => String::new(),
                    _ => format!(": {}", answer.words),
                };
                (mark, format!("{text} ({status}){words}"))
            }
        }
    }
}

/// What a status means.
fn meaning(status: u16, event: Option<&str>) -> (Mark, String) {
    let (mark, text) = match (status, event) {
        (200..=299, Some(id)) => return (Mark::Ok, format!("the server took test event {id}")),
        (200..=299, None) => (Mark::Ok, "the server answers and knows the key"),
        // Some servers refuse what is empty before they look at the key.
        (400, None) => {
            (Mark::Ok, "the server answers; whether it knows the key, --send-test tells")
        }
        (401 | 403, _) => (Mark::Problem, "the server refuses the DSN's key or project"),
        (404 | 405 | 410, _) => (Mark::Problem, "at the DSN's address nobody takes reports"),
        (300..=399, _) => {
            (Mark::Problem, "the server sends us elsewhere; the DSN is not its address")
        }
        (407, _) => (Mark::Problem, "the proxy wants a user and password"),
        (429, _) => (Mark::Note, "the server takes no more for now"),
        (500..=599, _) => (Mark::Problem, "the server is in trouble"),
        _ => (Mark::Problem, "the server refuses it"),
    };
    (mark, text.to_owned())
}

#[cfg(test)]
mod tests {
    use lastwords::deliver::Stage;

    use super::*;

    struct Fake(Result<u16, Stage>);

    impl Courier for Fake {
        fn post(&self, _: &Dsn, _: &[u8], _: Duration) -> Result<Answer, NotAnswered> {
            let words = "its words".to_owned();
            match self.0 {
                Ok(status) => Ok(Answer { status, words, ..Answer::default() }),
                Err(at) => Err(NotAnswered { at, words }),
            }
        }
    }

    fn judged(result: Result<u16, Stage>, event: Option<&str>) -> (Mark, String) {
        let dsn = "https://key@host.invalid/1".parse().unwrap();
        match reach(&Fake(result), &dsn) {
            Reach::Answered(answer, _) => Reach::Answered(answer, Duration::ZERO).judge(event),
            other => other.judge(event),
        }
    }

    #[test]
    fn an_answer_is_put_into_words() {
        let ok = |text: &str| (Mark::Ok, text.to_owned());
        assert_eq!(
            judged(Ok(200), None),
            ok("the server answers and knows the key (status 200, 0 ms)")
        );
        assert_eq!(
            judged(Ok(200), Some("abc")),
            ok("the server took test event abc (status 200, 0 ms)")
        );
        assert_eq!(judged(Ok(400), None).0, Mark::Ok);
        assert_eq!(judged(Ok(429), None).0, Mark::Note);
        for status in [302, 401, 403, 404, 407, 500, 503, 700] {
            let (mark, text) = judged(Ok(status), None);
            assert_eq!(mark, Mark::Problem, "{status}");
            assert!(text.ends_with(&format!("(status {status}, 0 ms): its words")), "{text}");
        }
        assert_eq!(judged(Ok(400), Some("abc")).0, Mark::Problem);
    }

    #[test]
    fn no_answer_is_a_problem_that_says_where() {
        let (mark, text) = judged(Err(Stage::Resolve), None);
        assert_eq!(mark, Mark::Problem);
        assert_eq!(text, "the server's name cannot be resolved: its words");
    }
}
