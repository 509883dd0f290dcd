//! Every secret of a text, found in one pass for all that has a word to look for, and one for each
//! kind of number.
//!
//! What is found is judged where it stands, by the file that knows its kind; then the pass goes on
//! behind what it takes. What is passed over costs a bounded number of bytes, so the whole is linear
//! in the text.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use super::token::{self, Shape};
use super::value::{self, Around};
use super::view::Odd;
use super::words::Names;
use super::{MARKER, assign, card, command, home, ip, pem, typed, url};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// Everything but addresses, which a version can look like.
    NoAddresses,
    /// What a path may have in it: a user's name, and credentials of a URL.
    Paths,
}

/// What a pattern is of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Key,
    Url,
    EncodedUrl,
    /// `user:password@host:port`, `//user:password@host`.
    Authority,
    Database,
    Oracle,
    Hook,
    Bot,
    Pass,
    Command,
    Home,
    Credentials,
    Jwt,
    Pem,
    Token(&'static Shape),
    /// A key that is one only as it is written here, its separator included.
    Pair,
}

/// The patterns that are no keys and no tokens.
const PATTERNS: [(&str, Kind); 30] = [
    ("://", Kind::Url),
    (r":\/\/", Kind::Url),
    ("%3a%2f%2f", Kind::EncodedUrl),
    ("@", Kind::Authority),
    ("@tcp(", Kind::Database),
    ("@unix(", Kind::Database),
    ("/home/", Kind::Home),
    ("/users/", Kind::Home),
    (r"\users\", Kind::Home),
    ("jdbc:oracle:thin:", Kind::Oracle),
    ("jdbc:oracle:oci:", Kind::Oracle),
    ("sqlplus ", Kind::Oracle),
    ("hooks.slack.com/", Kind::Hook),
    ("/api/webhooks/", Kind::Hook),
    ("webhook.office.com/", Kind::Hook),
    (":AA", Kind::Bot),
    ("pass", Kind::Pass),
    ("bearer ", Kind::Credentials),
    ("basic ", Kind::Credentials),
    ("eyj", Kind::Jwt),
    (pem::BEGIN, Kind::Pem),
    (";pwd=", Kind::Pair),
    ("?sig=", Kind::Pair),
    ("&sig=", Kind::Pair),
    ("x-amz-signature=", Kind::Pair),
    ("x-amz-credential=", Kind::Pair),
    ("x-goog-signature=", Kind::Pair),
    ("x-goog-credential=", Kind::Pair),
    ("identified by '", Kind::Pair),
    ("identified by \"", Kind::Pair),
];

/// What is secret.
#[derive(Debug)]
pub struct Rules {
    /// The names of secret values.
    pub names: Names,
    /// `None` if they could not be built: then nothing can be told from a secret.
    patterns: Option<AhoCorasick>,
    kinds: Vec<Kind>,
    odd: Odd,
}

impl Rules {
    /// The rules, with `more` names of secret values.
    pub fn new<S: AsRef<str>>(more: &[S]) -> Rules {
        let names = Names::new(more);
        let mut patterns: Vec<&str> = names.written().iter().map(String::as_str).collect();
        let mut kinds = vec![Kind::Key; patterns.len()];
        for (pattern, kind) in PATTERNS {
            patterns.push(pattern);
            kinds.push(kind);
        }
        for option in command::PATTERNS {
            patterns.push(option);
            kinds.push(Kind::Command);
        }
        for shape in &token::SHAPES {
            patterns.push(shape.prefix);
            kinds.push(Kind::Token(shape));
        }
        let patterns = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&patterns)
            .ok();
        Rules { names, patterns, kinds, odd: Odd::new() }
    }

    /// The secrets of a text, in order, none touching another.
    pub fn find(&self, text: &[u8], extent: Extent) -> Vec<Range<usize>> {
        let mut found = self.find_in(text, extent);
        if extent != Extent::Paths
            && let Some(view) = self.odd.view(text)
        {
            found.extend(self.find_in(&view.text, extent).iter().map(|seen| view.range(seen)));
        }
        joined(found)
    }

    /// The secrets of a text as it is.
    fn find_in(&self, text: &[u8], extent: Extent) -> Vec<Range<usize>> {
        let Some(patterns) = &self.patterns else {
            let all = 0..text.len();
            return if text.is_empty() || text == MARKER { Vec::new() } else { vec![all] };
        };
        let mut found = Vec::new();
        let mut ends = pem::Ends::default();
        let mut from = 0;
        while let Some(hit) = patterns.find(Input::new(text).range(from..)) {
            let kind = self.kinds[hit.pattern().as_usize()];
            let applies = extent != Extent::Paths || matches!(kind, Kind::Url | Kind::Home);
            let secret = applies.then(|| self.judge(kind, text, hit.range(), &mut ends)).flatten();
            from = hit.start() + 1;
            if applies && secret.is_none() && matches!(kind, Kind::Key) {
                let before = found.len();
                typed::fields(text, &hit.range(), &mut found);
                let last = found[before..].last();
                from = from.max(last.map_or(0, |last| last.end));
            }
            if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
                from = from.max(secret.end);
                found.push(secret);
            }
        }
        if extent != Extent::Paths {
            found.extend(pem::rest(text));
            card::find(text, &mut found);
        }
        if extent == Extent::All {
            ip::find(text, &mut found);
        }
        found
    }

    fn judge(
        &self,
        kind: Kind,
        text: &[u8],
        hit: Range<usize>,
        ends: &mut pem::Ends,
    ) -> Option<Range<usize>> {
        match kind {
            Kind::Key => assign::value(text, &hit, &self.names),
            Kind::Url => url::credentials(text, hit.end),
            Kind::EncodedUrl => url::encoded_credentials(text, hit.end),
            Kind::Authority => url::authority(text, hit.start),
            Kind::Database => url::database_credentials(text, hit.start),
            Kind::Oracle => url::oracle_credentials(text, hit.end),
            Kind::Hook => url::hook(text, &hit),
            Kind::Bot => token::bot(text, &hit),
            Kind::Pass => typed::pass(text, &hit),
            Kind::Command => command::password(text, &hit),
            Kind::Home => home::user(text, hit),
            Kind::Credentials => token::credentials(text, &hit),
            Kind::Jwt => token::jwt(text, &hit),
            Kind::Pem => pem::block(text, &hit, ends),
            Kind::Token(shape) => token::token(text, &hit, shape),
            Kind::Pair => pair(text, &hit),
        }
    }
}

fn pair(text: &[u8], hit: &Range<usize>) -> Option<Range<usize>> {
    let quoted = text[..hit.end].ends_with(b"'") || text[..hit.end].ends_with(b"\"");
    let from = hit.end - usize::from(quoted);
    let query = b"?&xX".contains(&text[hit.start]);
    let end = value::end(text, from, Around { query, ..Around::default() });
    assign::content(text, from, end, Around::default())
}

/// Sorts ranges and joins those that touch.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
