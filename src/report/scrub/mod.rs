//! The scrubber: what a report says is freed of secrets before it is written.
//!
//! Every secret that is found becomes `[Filtered]`. Found are: the values of keys that are named like
//! secrets (`password=x`, `"apiKey": "x"`, `Authorization: x`, see `words.rs` for the names and
//! `assign.rs` for the forms), and, wherever they stand, IP addresses, numbers of payment cards,
//! tokens, PEM blocks, credentials in URLs and in commands, and users' names in the paths of their
//! homes. A text is searched as it is, and as its reader sees it (`view.rs`). Scrubbing what was
//! scrubbed changes nothing.
//!
//! What is lost: a value that only looks like a secret (`token: abc` in a sentence), since the key
//! decides; in a text of more than 16 MiB what is behind them, which is cut and not sent
//! unscrubbed. What is not found: a secret without a name or a shape of its own, such as a password
//! in a sentence.
//!
//! Time is linear in the text, whatever is in it: nothing goes back, and what is looked at and not
//! taken has a bounded length.

mod assign;
mod block;
mod card;
mod command;
mod event;
mod fit;
mod home;
mod ip;
mod json;
mod key;
mod meta;
mod pairs;
mod pem;
mod prose;
mod quote;
mod rules;
mod scene;
mod token;
mod typed;
mod url;
mod value;
mod version;
mod view;
mod words;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rules::{Extent, Rules};
pub use scene::{breadcrumbs as scrub_breadcrumbs, tags as scrub_tags};
use serde_json::Value;

/// What stands in the place of a secret.
const MARKER: &[u8] = FILTERED.as_bytes();

/// The same as text.
const FILTERED: &str = "[Filtered]";

/// Bytes of a text that are scrubbed; what is behind them is cut.
const MOST_BYTES: usize = 16 << 20;

/// How often a text is looked through, because a secret that is gone may uncover another one.
const PASSES: usize = 8;

/// Finds secrets and replaces them. Cloning it is cheap.
///
/// ```
/// let scrubber = lastwords::report::Scrubber::new(&["pin"]);
/// let scrubbed = scrubber.text("login of bob from 10.0.0.7:4711, password=hunter2 pin=1234");
/// let expected = "login of bob from [Filtered]:4711, password=[Filtered] pin=[Filtered]";
/// assert_eq!(scrubbed.as_deref(), Some(expected));
/// assert_eq!(scrubber.text(expected), None);
/// ```
#[derive(Debug, Clone)]
pub struct Scrubber {
    made: Arc<Made>,
}

/// What a scrubber is made of: the rules are made with its first use, since a program that reports
/// nothing needs none.
#[derive(Debug)]
struct Made {
    extra_keys: Vec<String>,
    rules: OnceLock<Rules>,
}

impl Scrubber {
    /// A scrubber that takes the values under `extra_keys` for secrets, too.
    #[must_use]
    pub fn new<S: AsRef<str>>(extra_keys: &[S]) -> Scrubber {
        let extra_keys = extra_keys.iter().map(|key| key.as_ref().to_owned()).collect();
        Scrubber { made: Arc::new(Made { extra_keys, rules: OnceLock::new() }) }
    }

    /// Does the work of the first use now, some milliseconds.
    pub fn prepare(&self) {
        self.rules();
    }

    fn rules(&self) -> &Rules {
        let Made { extra_keys, rules } = &*self.made;
        loop {
            if let Some(rules) = rules.get() {
                return rules;
            }
            // Not `get_or_init`: a child that is forked meanwhile would wait for ever.
            let _ = rules.set(Rules::new(extra_keys));
        }
    }

    /// The text without its secrets; `None` if it has none.
    #[must_use]
    pub fn text(&self, text: &str) -> Option<String> {
        self.text_of(text, Extent::All)
    }

    /// The bytes without their secrets; `None` if they have none. They need not be UTF-8; what is
    /// no secret stays as it is.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.bytes_of(bytes, Extent::All)
    }

    /// Whether the value under this key is a secret.
    #[must_use]
    pub fn is_secret_key(&self, key: &str) -> bool {
        self.rules().names.has(key)
    }

    /// Scrubs a JSON value in place; whether anything was replaced.
    ///
    /// The whole value under a secret key is replaced, unless it is null, a boolean or empty; all
    /// other strings, and the keys, are scrubbed as text. An array of a key and a value, and an object
    /// of a `key` or `name` and a `value`, are read as that; in a list of arguments `--password`
    /// decides over what follows. What nests deeper than 64 levels is replaced.
    pub fn value(&self, value: &mut Value) -> bool {
        json::scrub(self, value, 0)
    }

    /// Scrubs an event in place, brings what has grown back to its limits, and notes what was replaced
    /// in the event's `_meta`, as the protocol has it.
    ///
    /// What the protocol needs as it is stays: ids, times, levels, types, the SDK, the names of functions
    /// and modules. Paths of files lose a user's name and credentials only. An invalid address of a
    /// user would be an error, so it is removed.
    pub fn event(&self, event: &mut Value) {
        event::scrub(self, event);
        fit::fit(event);
        meta::note(event);
    }

    fn text_of(&self, text: &str, extent: Extent) -> Option<String> {
        let bytes = self.bytes_of(text.as_bytes(), extent)?;
        // What is cut out of UTF-8 begins and ends at ASCII, so this is never lossy.
        Some(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    fn bytes_of(&self, bytes: &[u8], extent: Extent) -> Option<Vec<u8>> {
        let rules = self.rules();
        let mut current = within_bounds(bytes);
        for _ in 0..PASSES {
            let secrets = rules.find(&current, extent);
            if secrets.is_empty() {
                return match current {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(changed) => Some(changed),
                };
            }
            let replaced = replace(&current, &secrets);
            current = Cow::Owned(within_bounds(&replaced).into_owned());
        }
        Some(cut_note(bytes.len()).into_bytes())
    }
}

/// A text with something in the place of each of its secrets.
fn replace(text: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len() + secrets.len() * MARKER.len());
    let mut from = 0;
    for secret in secrets {
        replaced.extend_from_slice(&text[from..secret.start]);
        replaced.extend_from_slice(MARKER);
        from = secret.end;
    }
    replaced.extend_from_slice(&text[from..]);
    replaced
}

/// A text that is not longer than can be scrubbed: cut at a blank, so that no secret is cut in two.
fn within_bounds(text: &[u8]) -> Cow<'_, [u8]> {
    if text.len() <= MOST_BYTES {
        return Cow::Borrowed(text);
    }
    let head = &text[..MOST_BYTES - 64];
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let end = head.iter().rposition(blank).map_or(0, |at| at + 1);
    let mut kept = head[..end].to_vec();
    kept.extend_from_slice(cut_note(text.len() - end).as_bytes());
    Cow::Owned(kept)
}

fn cut_note(bytes: usize) -> String {
    format!("[cut: {bytes} bytes not scrubbed]")
}

#[cfg(test)]
mod tests;
