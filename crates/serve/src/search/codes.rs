//! Ids and codes that a query names, or begins to.

use super::SearchError;
use super::analysis::{MAX_WORD_BYTES, squashed};
use super::bm25::idf;
use super::plan::{GUESSED, MIN_OPEN_CHARS, Planned, PlannedCode};
use super::query::{Concept, Query};
use super::schema::{CODE, FOLDED_ID, In};
use super::snapshot::Snapshot;
use super::vocabulary::Known;

/// Ids and codes that are searched for by their beginning.
const MAX_CODES: usize = 32;

impl Snapshot {
    pub(super) fn exact_codes(&self, query: &Query) -> Result<Vec<PlannedCode>, SearchError> {
        let mut codes = Vec::new();
        for code in &query.codes {
            let df = self.document_frequency(In::Code, &code.term)?;
            if df > 0 {
                let weight = code.weight.unwrap_or_else(|| idf(self.n_items, df));
                let term = self.term(In::Code, &code.term);
                codes.push(PlannedCode { surface: code.surface.clone(), term, weight, covers: code.covers });
            }
        }
        Ok(codes)
    }

    /// Ids and codes that begin with the last word, if that is no word of the catalogue or has digits; or with all words together,
    /// if the catalogue has none of them.
    pub(super) fn add_open_codes(
        &self,
        query: &Query,
        concepts: &[Planned],
        codes: &mut Vec<PlannedCode>,
    ) -> Result<(), SearchError> {
        let Some(word) = query.text.split_whitespace().next_back() else { return Ok(()) };
        let n_chars = word.chars().filter(|c| c.is_alphanumeric()).count();
        let start = query.text.len() - word.len();
        let end = query.text.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
        let of_last = |concept: &Concept| concept.range.end == end && !concept.is_code;
        let mut planned = query.concepts.iter().zip(concepts);
        let is_word = planned.any(|(concept, known)| of_last(concept) && !known.lists.is_empty());
        if n_chars < MIN_OPEN_CHARS || is_word {
            return self.add_spaced_codes(query, concepts, codes);
        }
        let covers = query.concepts.iter().enumerate().filter(|(_, concept)| concept.range.start >= start);
        let covers = covers.fold(0, |all, (i, _)| all | (1 << i));
        let mut found = self.beginning(In::Code, &format!("{FOLDED_ID}{}", word.to_lowercase()), MAX_CODES)?;
        if word.bytes().any(|b| b.is_ascii_digit()) {
            found.extend(self.beginning(In::Code, &format!("{CODE}{}", squashed(word)), MAX_CODES)?);
        }
        self.add_found_codes(found, word, covers, codes);
        self.add_spaced_codes(query, concepts, codes)
    }

    /// Codes that begin with all words together, if the catalogue has none of them: `xkcd ab`.
    fn add_spaced_codes(
        &self,
        query: &Query,
        concepts: &[Planned],
        codes: &mut Vec<PlannedCode>,
    ) -> Result<(), SearchError> {
        let squashed = squashed(&query.text);
        let is_long = squashed.chars().nth(MIN_OPEN_CHARS).is_some();
        let is_known = concepts.iter().any(|known| !known.lists.is_empty()) || !codes.is_empty();
        if is_known || !is_long || concepts.len() < 2 || squashed.len() > MAX_WORD_BYTES {
            return Ok(());
        }
        let found = self.beginning(In::Code, &format!("{CODE}{squashed}"), MAX_CODES)?;
        self.add_found_codes(found, &query.text, (1 << concepts.len()) - 1, codes);
        Ok(())
    }

    fn add_found_codes(&self, found: Vec<Known>, surface: &str, covers: u32, codes: &mut Vec<PlannedCode>) {
        let df = found.iter().map(|known| known.df).sum();
        for known in found {
            let term = self.term(In::Code, &known.word);
            if codes.iter().all(|code| code.term != term) {
                let surface = surface.to_lowercase().into();
                codes.push(PlannedCode { surface, term, weight: GUESSED * idf(self.n_items, df), covers });
            }
        }
    }
}
