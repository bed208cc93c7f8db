//! Words of the catalogue that resemble a text: those a few edits away, those that begin or end with it.
//!
//! The dictionaries of tantivy's segments are finite-state transducers, so a Levenshtein automaton visits only words that may
//! still match (Schulz & Mihov, *Fast String Correction with Levenshtein Automata*, 2002). Each lookup has a limit on the
//! words it returns.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use tantivy::TantivyError;
use tantivy_fst::Automaton;

use super::SearchError;
use super::schema::In;
use super::snapshot::Snapshot;

/// Words read from one dictionary for one lookup.
const MAX_READ: usize = 2048;

/// A word of the catalogue with the number of items that have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub word: String,
    pub df: u64,
}

/// Automata for one and for two edits; swapping two neighbours is one. Building them takes some milliseconds.
static EDITS: LazyLock<[LevenshteinAutomatonBuilder; 2]> =
    LazyLock::new(|| [LevenshteinAutomatonBuilder::new(1, true), LevenshteinAutomatonBuilder::new(2, true)]);

/// Which words are near another.
pub(super) enum Near {
    /// One edit anywhere.
    One,
    /// One edit, but not of the first letter.
    OneAfterFirst,
    /// Two edits, but not of the first letter.
    TwoAfterFirst,
    /// It begins with something one edit away, after the same first letter.
    Beginning,
}

impl Snapshot {
    /// The words of a dictionary that are near `word`, in their own order.
    pub(super) fn near(&self, place: In, word: &str, near: &Near) -> Result<Vec<Known>, SearchError> {
        let first = word.chars().next().map_or(0, char::len_utf8);
        let (head, rest) = match near {
            Near::One => ("", word),
            _ => word.split_at(first),
        };
        let dfa = match near {
            Near::One | Near::OneAfterFirst => EDITS[0].build_dfa(rest),
            Near::TwoAfterFirst => EDITS[1].build_dfa(rest),
            Near::Beginning => EDITS[0].build_prefix_dfa(rest),
        };
        let mut known = BTreeMap::new();
        for segment in &self.segments {
            let automaton = Edits { head: head.as_bytes(), dfa: &dfa };
            let terms = segment.index(place).terms();
            let mut stream = terms.search(automaton).into_stream().map_err(TantivyError::from)?;
            let mut n_read = 0;
            while n_read < MAX_READ && stream.advance() {
                let df = segment.alive(place, stream.value())?;
                add(&mut known, stream.key(), df);
                n_read += 1;
            }
        }
        Ok(listed(known))
    }

    /// The first `limit` words of a dictionary that begin with `prefix`, in their own order.
    pub(super) fn beginning(&self, place: In, prefix: &str, limit: usize) -> Result<Vec<Known>, SearchError> {
        let mut known = BTreeMap::new();
        for segment in &self.segments {
            let terms = segment.index(place).terms();
            let mut stream = terms.range().ge(prefix).into_stream().map_err(TantivyError::from)?;
            let mut n_read = 0;
            while n_read < limit && stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
                let df = segment.alive(place, stream.value())?;
                add(&mut known, stream.key(), df);
                n_read += usize::from(df > 0);
            }
        }
        let mut known = listed(known);
        known.truncate(limit);
        Ok(known)
    }
}

fn add(known: &mut BTreeMap<String, u64>, key: &[u8], df: u64) {
    if let (true, Ok(word)) = (df > 0, std::str::from_utf8(key)) {
        match known.get_mut(word) {
            Some(sum) => *sum += df,
            None => drop(known.insert(word.to_owned(), df)),
        }
    }
}

fn listed(known: BTreeMap<String, u64>) -> Vec<Known> {
    known.into_iter().map(|(word, df)| Known { word, df }).collect()
}

/// Words that begin with `head` and go on near another word.
struct Edits<'a> {
    head: &'a [u8],
    dfa: &'a DFA,
}

/// How much of the head was read, and the state of the automaton for what follows.
#[derive(Clone, Copy)]
enum State {
    Head(usize),
    Rest(u32),
    No,
}

impl Automaton for Edits<'_> {
    type State = State;

    fn start(&self) -> State {
        if self.head.is_empty() { State::Rest(self.dfa.initial_state()) } else { State::Head(0) }
    }

    fn is_match(&self, state: &State) -> bool {
        matches!(*state, State::Rest(state) if matches!(self.dfa.distance(state), Distance::Exact(_)))
    }

    fn can_match(&self, state: &State) -> bool {
        !matches!(*state, State::No | State::Rest(SINK_STATE))
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        match *state {
            State::Head(at) if self.head[at] != byte => State::No,
            State::Head(at) if at + 1 == self.head.len() => State::Rest(self.dfa.initial_state()),
            State::Head(at) => State::Head(at + 1),
            State::Rest(state) => State::Rest(self.dfa.transition(state, byte)),
            State::No => State::No,
        }
    }
}
