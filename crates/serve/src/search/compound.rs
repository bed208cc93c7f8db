//! Compounds: those that a word of a query is the end of, and a compound of a query as its parts, which a title has apart.

use tantivy::tokenizer::Language;

use super::SearchError;
use super::analysis::{Kind, compounds};
use super::bm25::idf;
use super::joints::MIN_PART_CHARS;
use super::plan::{ATTRIBUTE, Looked, Planned};
use super::query::Concept;
use super::schema::{END, In};
use super::snapshot::Snapshot;
use super::spelling::MeantWord;

/// Longer words of a query are not taken apart.
const MAX_COMPOUND_CHARS: usize = 40;
/// Compounds that a part is looked for at the end of.
const MAX_ENDING: usize = 16;

/// What a compound is worth that ends with the word: if the rest is a word of the catalogue, and if not.
const COMPOUND: f32 = 0.6;
const COMPOUND_OF_UNKNOWN: f32 = 0.5;
/// Compounds that are searched for.
const MAX_COMPOUNDS: usize = 64;
/// Fewer letters, as typed, are the end of too many words; unless the catalogue has the rest of the word or nothing else, one more
/// is needed.
const MIN_END_CHARS: usize = 3;
const MIN_REST_CHARS: usize = 3;

/// A compound of a query as two words of the catalogue.
pub(super) struct Parts {
    /// The words, with a blank between them.
    pub words: String,
    /// Items that have the rarer one, at most.
    pub df: u64,
    /// Stems that a text may have instead of the compound; of each pair both.
    pub stems: Vec<[String; 2]>,
}

impl Snapshot {
    /// Compounds that end with the word, in languages that write them as one.
    pub(super) fn add_compounds(&self, concept: &Concept, lists: &mut Vec<Looked>) -> Result<(), SearchError> {
        if concept.kind != Kind::Letters || !self.has_language(compounds) {
            return Ok(());
        }
        let n_typed = concept.plain.chars().count();
        if n_typed < MIN_END_CHARS {
            return Ok(());
        }
        let own = lists.first().map_or(f32::INFINITY, |own| own.weight);
        let singulars = self.analyzers.iter().filter_map(|analyzer| analyzer.singular(&concept.plain));
        let singulars: Vec<String> = singulars.filter(|one| one.chars().nth(MIN_END_CHARS - 1).is_some()).collect();
        let mut ends: Vec<&str> = vec![&concept.plain];
        ends.extend(singulars.iter().map(|singular| &**singular));
        for alternative in concept.alternatives.iter().filter(|alternative| alternative.worth == 1.0) {
            let [term] = &*alternative.terms else { continue };
            // A stem that is shorter than an end may be is only looked for at the end of the word as it was typed.
            if !ends.contains(&&**term) && term.chars().nth(MIN_END_CHARS - 1).is_some() {
                ends.push(term);
            }
        }
        let mut of_unknown = Vec::new();
        let mut known_terms: Vec<String> = Vec::new();
        for end in ends {
            let reversed: String = end.chars().rev().collect();
            for known in self.beginning(In::End, &reversed, MAX_COMPOUNDS)? {
                let (backwards, term) = known.word.split_once(END).unwrap_or((&known.word, ""));
                let whole: String = backwards.chars().rev().collect();
                let term = if term.is_empty() { whole.clone() } else { term.to_owned() };
                let rest = &whole[..whole.len() - end.len()];
                if rest.chars().count() < MIN_REST_CHARS
                    || !rest.contains(['a', 'e', 'i', 'o', 'u', 'y'])
                    || known_terms.contains(&term)
                {
                    continue;
                }
                let worth = match self.is_part(rest)? || (n_typed == MIN_END_CHARS && self.is_compound(rest)?) {
                    true => COMPOUND,
                    false if n_typed > MIN_END_CHARS => COMPOUND_OF_UNKNOWN,
                    false => {
                        of_unknown.push((term, known.df));
                        continue;
                    }
                };
                let weight = worth * idf(self.n_texts, known.df).min(own);
                for (place, of_place) in [(In::Text, 1.0), (In::Attribute, ATTRIBUTE)] {
                    if self.document_frequency(place, &term)? > 0 {
                        lists.push(self.looked(place, &term, of_place * weight, true, None));
                    }
                }
                known_terms.push(term);
            }
        }
        if lists.is_empty() {
            for (term, df) in of_unknown {
                let weight = COMPOUND_OF_UNKNOWN * idf(self.n_texts, df);
                for (place, of_place) in [(In::Text, 1.0), (In::Attribute, ATTRIBUTE)] {
                    if self.document_frequency(place, &term)? > 0 {
                        lists.push(self.looked(place, &term, of_place * weight, true, None));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the catalogue has the first part of a compound as a word, maybe without the letters that join parts.
    fn is_part(&self, rest: &str) -> Result<bool, SearchError> {
        for joint in ["", "s", "es", "n", "en", "e", "er", "ens"] {
            if let Some(part) = rest.strip_suffix(joint)
                && part.len() >= MIN_REST_CHARS
                && self.document_frequency(In::Word, part)? > 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the first part of a compound is itself one of two words of the catalogue.
    fn is_compound(&self, rest: &str) -> Result<bool, SearchError> {
        for (at, _) in rest.char_indices().skip(MIN_REST_CHARS) {
            let (first, second) = rest.split_at(at);
            if second.len() >= MIN_REST_CHARS
                && self.document_frequency(In::Word, second)? > 0
                && self.is_part(first)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A compound that the catalogue does not have, as its parts in one text.
    pub(super) fn add_parts(&self, word: &str, planned: &mut Planned) -> Result<(), SearchError> {
        let Some(Parts { words, df, stems }) = self.parts(word)? else { return Ok(()) };
        let guess = Some(planned.guesses.len());
        let weight = COMPOUND * idf(self.n_texts, df);
        for pair in stems {
            let terms = pair.iter().map(|stem| self.term(In::Text, stem)).collect();
            let looked = Looked { place: In::Text, terms, is_phrase: false, weight, is_full: true, guess };
            planned.lists.push(looked);
        }
        planned.guesses.push(MeantWord { word: words, score: 0.0, df });
        Ok(())
    }

    /// The ways in which texts have the parts of a compound apart: the first as a word, the second as a word or at the end of
    /// another compound (`damenjacke` for `Winterjacke Damen`).
    pub(super) fn parts(&self, word: &str) -> Result<Option<Parts>, SearchError> {
        if word.chars().nth(MAX_COMPOUND_CHARS).is_some() {
            return Ok(None);
        }
        let mut best: Option<Parts> = None;
        let places: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
        let inside = places.get(MIN_PART_CHARS..(places.len() + 1).saturating_sub(MIN_PART_CHARS)).unwrap_or_default();
        for analyzer in self.analyzers.iter().filter(|analyzer| compounds(analyzer.language())) {
            for &at in inside {
                let (left, right) = word.split_at(at);
                let Some((first, first_stem, first_df)) = self.first_part(analyzer.language(), left)? else { continue };
                let seconds = self.written(&analyzer.stem(right))?;
                let df = first_df.min(seconds.iter().map(|(_, df)| df).sum());
                if df == 0 || best.as_ref().is_some_and(|known| known.df >= df) {
                    continue;
                }
                let stems = seconds.into_iter().map(|(second, _)| [first_stem.clone(), second]).collect();
                best = Some(Parts { words: format!("{first} {right}"), df, stems });
            }
        }
        Ok(best)
    }

    /// The word of the catalogue that the first part of a compound is, its stem in texts, and how many have it.
    fn first_part(&self, language: Language, left: &str) -> Result<Option<(String, String, u64)>, SearchError> {
        let Some(analyzer) = self.analyzers.iter().find(|analyzer| analyzer.language() == language) else {
            return Ok(None);
        };
        for joint in ["", "s", "es", "n", "en", "e", "er", "ens"] {
            let Some(part) = left.strip_suffix(joint) else { continue };
            if part.chars().nth(MIN_PART_CHARS - 1).is_none() {
                continue;
            }
            let stem = analyzer.stem(part);
            let df = self.document_frequency(In::Text, &stem)?;
            if df > 0 && self.document_frequency(In::Word, part)? > 0 {
                return Ok(Some((part.to_owned(), stem, df)));
            }
        }
        Ok(None)
    }

    /// The stems of texts that are a stem or compounds that end with it.
    fn written(&self, stem: &str) -> Result<Vec<(String, u64)>, SearchError> {
        if stem.chars().nth(MIN_PART_CHARS - 1).is_none() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let df = self.document_frequency(In::Text, stem)?;
        found.extend((df > 0).then(|| (stem.to_owned(), df)));
        let reversed: String = stem.chars().rev().collect();
        for known in self.beginning(In::End, &reversed, MAX_ENDING)? {
            let whole: String = known.word.chars().rev().collect();
            // Words as written, which have their stem behind them, begin with other letters.
            if !whole.contains(END) && whole != stem {
                let df = self.document_frequency(In::Text, &whole)?;
                found.extend((df > 0).then_some((whole, df)));
            }
        }
        Ok(found)
    }
}
