//! Key names as words, and which of them are secret.
//!
//! A name is split at everything that is neither letter nor digit, at a change between letters and
//! digits, and at changes of case: `db.userPassword2` is `db`, `user`, `Password`, `2`. A listed name
//! matches where as many whole words as it has, or one, spell it: `api_key` is in `X-Api-Key`, `apiKey` and `apikey`,
//! and `token` is not in `tokenizer`. A name that goes on and ends in a measure is none: `token_count`.
//!
//! Case is ASCII's; a letter beyond ASCII is a small one.

use std::collections::{BTreeMap, BTreeSet};

use super::prose;

/// The names that are always secret; `docs/data.md` lists them, too.
const LISTED: [&str; 41] = [
    "password",
    "secret",
    "passwd",
    "api_key",
    "apikey",
    "access_token",
    "auth_token",
    "credentials",
    "mysql_pwd",
    "stripetoken",
    "card[number]",
    "authorization",
    "cookie",
    "session",
    "private_key",
    "dsn",
    "token",
    "account_key",
    "shared_access_key",
    "shared_access_signature",
    "secret_key",
    "secret_access_key",
    "passwords",
    "secrets",
    "tokens",
    "credential",
    "cookies",
    "passphrase",
    "passcode",
    "pwd",
    "pgpassword",
    "dbpassword",
    "sessionid",
    "jsessionid",
    "phpsessid",
    "csrftoken",
    "xsrftoken",
    "refreshtoken",
    "encryption_key",
    "access_key",
    "ssh_key",
];

/// Most bytes of a listed name, and most names that may be added: more are not looked for.
const NAME_BYTES: usize = 128;
const MORE_NAMES: usize = 512;

/// What stands between the words of a name in a text.
const JOINTS: [&str; 5] = ["", "_", "-", ".", " "];

/// What more stands between those of a listed name.
const DOUBLED: [&str; 7] = ["__", "--", "-_", "_-", "  ", "\t", "___"];

/// The names whose values are secrets.
#[derive(Debug)]
pub struct Names {
    /// Small letters and digits only; of how many words each is.
    joined: BTreeMap<String, usize>,
    longest: usize,
    /// Every way a name may be written in a text, but for case.
    written: Vec<String>,
}

impl Names {
    /// The listed names and `more`.
    pub fn new<S: AsRef<str>>(more: &[S]) -> Names {
        let more = more.iter().map(AsRef::as_ref).filter(|name| name.len() <= NAME_BYTES);
        let mut names = Names { joined: BTreeMap::new(), longest: 0, written: Vec::new() };
        let mut written = BTreeSet::new();
        let listed = LISTED.into_iter().map(|name| (name, &DOUBLED[..]));
        for (name, joints) in listed.chain(more.take(MORE_NAMES).map(|name| (name, &[][..]))) {
            let words: Vec<&str> = words(name).collect();
            let joined = words.concat().to_lowercase();
            if joined.is_empty() {
                continue;
            }
            names.longest = names.longest.max(joined.len());
            let most = names.joined.entry(joined).or_default();
            *most = words.len().max(*most);
            written.extend(JOINTS.iter().chain(joints).map(|joint| words.join(joint)));
            // Forms write `card[number]`, and so do those that encode their brackets.
            written.extend(["[", "%5b"].map(|joint| words.join(joint)));
        }
        names.written = written.into_iter().collect();
        names
    }

    /// Every way a name may be written in a text, but for case.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether a run of whole words of `key` spells a listed name, and the last word does not say that
    /// it is a measure (`token_count`).
    pub fn has(&self, key: &str) -> bool {
        let words: Vec<&str> = words(key).collect();
        let measure = words.last().is_some_and(|last| prose::is_measure(last.as_bytes()));
        (0..words.len()).any(|first| {
            let mut joined = String::new();
            words[first..].iter().enumerate().any(|(more, word)| {
                joined.push_str(&word.to_lowercase());
                let last = first + more + 1 == words.len();
                let is_one = |words: &usize| more == 0 || more + 1 == *words;
                (last || !measure)
                    && joined.len() <= self.longest
                    && self.joined.get(&joined).is_some_and(is_one)
            })
        })
    }

    /// Whether `value` is secret under `key`: it is neither the path nor the count that the key names.
    pub fn hides(&self, key: &str, value: &str) -> bool {
        self.has(key) && !prose::is_setting(key.as_bytes(), value.as_bytes())
    }
}

/// The words of a name.
pub fn words(name: &str) -> impl Iterator<Item = &str> {
    let bytes = name.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) && (at == start || !is_edge(bytes, at)) {
            at += 1;
        }
        (start < at).then(|| &name[start..at])
    })
}

/// Whether a byte is part of a word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Whether one word ends and another begins before `at`; both ends of a text are edges.
pub fn is_edge(text: &[u8], at: usize) -> bool {
    let (Some(&before), Some(&here)) = (at.checked_sub(1).and_then(|i| text.get(i)), text.get(at))
    else {
        return true;
    };
    if !is_word(before) || !is_word(here) || before.is_ascii_digit() != here.is_ascii_digit() {
        return true;
    }
    let after = text.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    here.is_ascii_uppercase() && (!before.is_ascii_uppercase() || after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_into_words() {
        let split = |name| words(name).collect::<Vec<_>>().join("|");
        assert_eq!(split("db.userPassword2"), "db|user|Password|2");
        assert_eq!(split("HTTPCookie"), "HTTP|Cookie");
        assert_eq!(split("X-Api-Key"), "X|Api|Key");
        assert_eq!(split("card[number]"), "card|number");
        assert_eq!(split("größe"), "größe");
        assert_eq!(split("--"), "");
    }

    #[test]
    fn every_name_is_documented() {
        let docs = include_str!("../../../docs/data.md");
        for name in LISTED {
            assert!(docs.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn whole_words_make_a_key_secret() {
        let names = Names::new(&["pin", "tax id", ""]);
        for key in [
            "password",
            "PASSWORD",
            "session_id",
            "db.password",
            "X-Api-Key",
            "apiKey",
            "API-KEY",
            "apikey",
            "APIKey",
            "userPassword",
            "HTTPCookie",
            "Set-Cookie",
            "MYSQL_PWD",
            "pin",
            "stripeToken",
            "card[number]",
            "card.number",
            "LASTWORDS_DSN",
            "taxId",
            "TAX_ID",
            "private-key",
            "oauth2_token",
            "password1",
            "AWS_SECRET_ACCESS_KEY",
            "auth:token",
            "api__key",
            "JSESSIONID",
            "PHPSESSID",
            "PGPASSWORD",
            "SSH_KEY",
            "cookies",
            "pwd",
            "type_token",
        ] {
            assert!(names.has(key), "{key}");
        }
        for key in [
            "passwordless",
            "tokenizer",
            "sessions",
            "secretary",
            "dsnip",
            "keypad",
            "pinned",
            "",
            "-",
            "api",
            "key",
            "card",
            "number",
            "key_api",
            "token_count",
            "session_timeout",
            "password_length",
            "sshkeys",
        ] {
            assert!(!names.has(key), "{key}");
        }
    }
}
