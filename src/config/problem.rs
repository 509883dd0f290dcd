//! What is said about a value that cannot be used: [`Problem`].

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;

use super::layers::{Origin, entry_name};
use super::redact::not_a_dsn;
use super::show::one_line;
use super::table::{Key, plain};

/// More characters of a value than this are not repeated.
const SHOWN: usize = 80;

/// A value that was not used, and why.
///
/// Its text is one line without full stop: where the value was given, the value, what is accepted
/// there, and what happens instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub key: Key,
    /// Where the value was given; never [`Origin::Default`].
    pub origin: Origin,
    value: String,
    fault: Fault,
    instead: Instead,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not of the setting's form.
    Form,
    /// It is of the form, but not within the bounds.
    Range,
    /// It is not UTF-8.
    Encoding,
    /// It asks for supervision where the program wants none.
    AddsSupervision,
}

/// What happens instead.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Instead {
    /// One entry of a list is left out.
    LeftOut,
    /// This value, of a lower layer, is used.
    Using(String),
}

impl Problem {
    /// A problem of which a lower layer's value is the remedy; [`settle`](Problem::settle) names it.
    pub(super) fn new(key: Key, origin: Origin, value: &OsStr, fault: Fault) -> Self {
        let lossy = value.to_string_lossy();
        let value = if key == Key::Dsn { not_a_dsn(&lossy) } else { lossy.into_owned() };
        Problem { key, origin, value: shortened(value), fault, instead: Instead::LeftOut }
    }

    /// Says which value is used instead.
    pub(super) fn settle(&mut self, value: String) {
        self.instead = Instead::Using(shortened(value));
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.key.setting();
        let words = setting.form.words();
        let words = plain(entry_name(self.key, self.origin).unwrap_or(&words));
        match self.origin {
            Origin::Code | Origin::Default => write!(f, "{} set in code: ", setting.name)?,
            Origin::Variable(_) | Origin::Flag(_) => write!(f, "{}: ", self.origin)?,
        }
        write!(f, "{:?} ", self.value)?;
        match self.fault {
            Fault::Form => write!(f, "is not {}: give {words}", setting.form.noun())?,
            Fault::Range => write!(f, "is out of range: give {words}")?,
            Fault::Encoding => f.write_str("is not valid UTF-8")?,
            Fault::AddsSupervision => {
                f.write_str("cannot add supervision to a program that asks for none")?;
            }
        }
        match &self.instead {
            Instead::LeftOut => f.write_str("; leaving it out"),
            Instead::Using(value) => write!(f, "; using {}", one_line(value)),
        }
    }
}

impl Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(key: Key, origin: Origin, value: &str, fault: Fault) -> Problem {
        Problem::new(key, origin, OsStr::new(value), fault)
    }

    #[test]
    fn one_line_whatever_the_value() {
        let mut problem = problem(
            Key::Flush,
            Origin::Variable("LASTWORDS_FLUSH"),
            "1\nERROR: forged\u{1b}[31m",
            Fault::Form,
        );
        problem.settle("a\nb".into());
        insta::assert_snapshot!(problem, @r#"LASTWORDS_FLUSH: "1\nERROR: forged\u{1b}[31m" is not a duration: give seconds, or a number with ms, s or m, from 0s to 1m; using a\nb"#);
    }

    #[test]
    fn long_values_are_shortened() {
        let shown =
            problem(Key::Tags, Origin::Flag("tag"), &"ü".repeat(10_000), Fault::Form).to_string();
        assert!(shown.contains(&format!("\"{}…\"", "ü".repeat(SHOWN))), "{shown}");
        assert!(shown.ends_with("is not a tag: give KEY=VALUE; leaving it out"), "{shown}");
    }
}
