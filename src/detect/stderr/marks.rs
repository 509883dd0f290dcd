//! The search for the words of which one stands in the first line of every report.
//!
//! While no report is being read the scanner splits no lines: it looks for these words in whole
//! chunks, several bytes at a time, and only at lines that hold one.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem;

use super::Runtime;

/// The words of a list of runtimes.
pub(super) struct Marks {
    search: Search,
    /// Each word with its runtime's place in the list.
    words: Vec<(usize, memmem::Finder<'static>)>,
}

enum Search {
    /// Sixteen or more bytes at a time, where the processor can.
    Packed(packed::Searcher),
    /// Byte by byte.
    Automaton(AhoCorasick),
    /// There is no word.
    Nothing,
}

impl Marks {
    pub(super) fn new(runtimes: &[&'static dyn Runtime]) -> Marks {
        let words: Vec<(usize, &'static str)> = runtimes
            .iter()
            .enumerate()
            .flat_map(|(at, runtime)| runtime.marks().iter().map(move |word| (at, *word)))
            .filter(|(_, word)| !word.is_empty())
            .collect();
        let patterns = || words.iter().map(|(_, word)| word);
        let packed = packed::Config::new().builder().extend(patterns()).build();
        let search = match packed {
            Some(searcher) => Search::Packed(searcher),
            None if words.is_empty() => Search::Nothing,
            None => AhoCorasick::new(patterns()).map_or(Search::Nothing, Search::Automaton),
        };
        let words = words
            .into_iter()
            .map(|(at, word)| (at, memmem::Finder::new(word.as_bytes())))
            .collect();
        Marks { search, words }
    }

    /// Where the first of the words stands.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        self.first(text).map(|(at, _)| at)
    }

    /// Where the first of the words stands, and which one it is.
    fn first(&self, text: &[u8]) -> Option<(usize, usize)> {
        match &self.search {
            Search::Packed(searcher) => {
                searcher.find(text).map(|found| (found.start(), found.pattern().as_usize()))
            }
            Search::Automaton(automaton) => {
                automaton.find(text).map(|found| (found.start(), found.pattern().as_usize()))
            }
            Search::Nothing => None,
        }
    }

    /// The runtimes of which a word stands in `text`, in the order of the list.
    pub(super) fn runtimes(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let first = self.first(text).map(|(_, word)| self.words[word].0);
        let most =
            if first.is_some() { self.words.last().map_or(0, |(last, _)| last + 1) } else { 0 };
        let has = move |runtime: usize| {
            let mut own = self.words.iter().filter(move |(of, _)| *of == runtime);
            Some(runtime) == first || own.any(|(_, word)| word.find(text).is_some())
        };
        (0..most).filter(move |runtime| has(*runtime))
    }
}
