//! A query with the statistics of a snapshot: which posting lists are read, and what each is worth.
//!
//! The lists of a concept are *full* if they are the word itself: its stems, the same word written apart or together, a
//! synonym, a compound that ends with it. A word that has none was mistyped or is unfinished, and what it may have been
//! takes its place. Completions of a word that is known are worth so little that they come after all that have the word
//! itself.

use accrue_kernel::exp;
use tantivy::Term;

use super::analysis::Kind;
use super::bm25::idf;
use super::query::{Alternative, Concept, Query};
use super::schema::In;
use super::snapshot::Snapshot;
use super::spelling::MeantWord;
use super::{SearchError, SearchSettings};

/// What a word is worth that two neighbours make together, in comparison with the word itself.
const FORM: f32 = 0.95;
/// What a word is worth that stands in an attribute.
pub(super) const ATTRIBUTE: f32 = 0.25;
/// What a synonym is worth if the catalogue has the word itself, in comparison with one of a word that it does not
/// have.
const BESIDE_OWN: f32 = 0.55;
/// What a guess is worth.
pub(super) const GUESSED: f32 = 0.9;
/// What a guess is worth in the place of a word that the catalogue has, in comparison with that word.
const RARE: f32 = 0.2;
/// A word that at most this many items have may be mistyped in them, if it has this many letters and a word near it is
/// this many times commoner.
const MAX_RARE: u64 = 2;
const MIN_RARE_CHARS: usize = 6;
const MUCH_COMMONER: u64 = 15;
/// A word that so many items have is taken for complete.
const ENOUGH: u64 = 24;
/// What the completions of a known word are worth.
const FAINT: f32 = 0.05;
/// Less likely guesses are left out.
const LEAST_LIKELY: f32 = 0.12;
/// Fewer letters are completed only if the catalogue has no such word.
pub(super) const MIN_OPEN_CHARS: usize = 3;
/// How much of its weight a word of one or two letters tells.
const SHORT: f32 = 0.4;
/// What splitting a word in two costs the logarithm of its likelihood.
const SPLIT: f32 = 2.6;

/// A query with the statistics of a snapshot.
pub(super) struct Plan {
    pub concepts: Vec<Planned>,
    pub codes: Vec<PlannedCode>,
    pub all_terms: f32,
    /// The query is blank, so every item is found.
    pub open: bool,
    /// The concepts that any item has, a bit each.
    pub needed: u32,
    /// Concepts that are only left out together, a bit each: the parts of a number with decimals.
    pub inseparable: Vec<u32>,
    /// The query names something by a code or a number that the catalogue has.
    pub is_exact: bool,
    /// What the words would be worth that no item has.
    pub unknown: f32,
}

impl Plan {
    /// The score of an item of mean length that has every word once that any item has.
    pub fn unit(&self) -> f32 {
        self.unit_with(0.0)
    }

    /// The score of an item of mean length that has every word of the query once, which is the unit of similarities. A word
    /// that no item has counts like the rarest one: who asks for a `wireless earphone` asks for more than `wireless`.
    pub fn whole_unit(&self) -> f32 {
        self.unit_with(self.unknown)
    }

    fn unit_with(&self, unknown: f32) -> f32 {
        let weight = |concept: &Planned| concept.lists.iter().map(|looked| looked.weight).fold(0.0, f32::max);
        let factor = if self.concepts.len() > 1 { self.all_terms } else { 1.0 };
        match factor * (self.concepts.iter().map(weight).sum::<f32>() + unknown) {
            unit if unit > 0.0 => unit,
            _ => 1.0,
        }
    }
}

/// The concepts of each quantity with decimals, a bit each.
fn inseparable(query: &Query) -> Vec<u32> {
    let mut all: Vec<(usize, u32)> = Vec::new();
    for (i, concept) in query.concepts.iter().enumerate() {
        let Some(quantity) = concept.quantity else { continue };
        match all.iter_mut().find(|(nth, _)| *nth == quantity) {
            Some((_, concepts)) => *concepts |= 1 << i,
            None => all.push((quantity, 1 << i)),
        }
    }
    all.into_iter().map(|(_, concepts)| concepts).collect()
}

/// Where the catalogue lacks a part of a number, the other parts would find other numbers: `0.5 l` the `1.5 l`.
fn leave_out_incomplete(inseparable: &[u32], covered: u32, concepts: &mut [Planned]) {
    for &together in inseparable {
        let of_number = |i: usize| together & (1 << i) != 0;
        let lacks = |(i, concept): (usize, &Planned)| of_number(i) && concept.lists.is_empty();
        if covered & together == 0 && concepts.iter().enumerate().any(lacks) {
            let parts = concepts.iter_mut().enumerate().filter(|(i, _)| of_number(*i));
            parts.for_each(|(_, concept)| concept.lists.clear());
        }
    }
}

/// The lists of a concept.
pub(super) struct Planned {
    pub surface: Box<str>,
    pub lists: Vec<Looked>,
    /// How much the concept tells: the weight of its best list.
    pub telling: f32,
    /// What it was corrected to, likeliest first, if it was.
    pub guesses: Vec<MeantWord>,
    /// What a word that the catalogue does not have was most likely meant to be: a correction, or a completion.
    pub likeliest: Option<Box<str>>,
}

/// A list, looked up once for all segments.
pub(super) struct Looked {
    pub place: In,
    /// Of several, all must be there.
    pub terms: Vec<Term>,
    /// They must stand side by side.
    pub is_phrase: bool,
    pub weight: f32,
    pub is_full: bool,
    /// Which of the concept's guesses it belongs to.
    pub guess: Option<usize>,
}

/// What an unfinished word may become.
#[derive(Default)]
struct Unfinished {
    completions: Vec<MeantWord>,
    /// Neighbours in titles, written as one.
    joined: Vec<MeantWord>,
    /// The completions begin with something near the word.
    are_mistyped: bool,
}

/// An id or a code that a word of the query names, or begins to.
pub(super) struct PlannedCode {
    pub surface: Box<str>,
    pub term: Term,
    pub weight: f32,
    /// The concepts that it stands for, a bit each.
    pub covers: u32,
}

/// How far a query may be changed to find something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typos {
    /// Every word means what it says.
    Off,
    /// A word that the catalogue does not have may be mistyped.
    Unknown,
    /// Also a word that it has.
    All,
}

impl Snapshot {
    /// The lists that the query is answered from. The concepts `unknown`, a bit each, are read as if no item had them.
    pub(super) fn plan(
        &self,
        query: &Query,
        settings: &SearchSettings,
        typos: Typos,
        unknown: u32,
    ) -> Result<Plan, SearchError> {
        let mut codes = self.exact_codes(query)?;
        let mut concepts = Vec::with_capacity(query.concepts.len());
        for (i, concept) in query.concepts.iter().enumerate() {
            let mut lists = Vec::new();
            if unknown & (1 << i) == 0 {
                lists = self.full(concept)?;
                self.add_compounds(concept, &mut lists)?;
            }
            concepts.push(Planned {
                surface: concept.surface.clone(),
                lists,
                telling: 0.0,
                guesses: Vec::new(),
                likeliest: None,
            });
        }
        let last = query.is_open.then(|| query.concepts.len().checked_sub(1)).flatten();
        let last = last.filter(|&last| query.concepts[last].range.end == query.text.len());
        if query.is_open {
            self.add_open_codes(query, &concepts, &mut codes)?;
        }
        let covered = codes.iter().fold(0, |all, code| all | code.covers);
        let n_known = concepts.iter().filter(|concept| !concept.lists.is_empty()).count();
        for (i, concept) in query.concepts.iter().enumerate() {
            let planned = &mut concepts[i];
            let is_known = !planned.lists.is_empty();
            let is_last = last == Some(i);
            if is_known && is_last {
                self.add_faint(concept, planned)?;
            }
            let is_spelled = typos == Typos::Off || concept.is_code || concept.kind != Kind::Letters;
            let may_guess = !is_spelled
                && match is_known {
                    true => typos == Typos::All || self.is_rare(concept)?,
                    false => covered & (1 << i) == 0,
                };
            if may_guess || (!is_known && is_last && covered & (1 << i) == 0) {
                self.add_guesses(concept, planned, may_guess, is_last, n_known > 0)?;
            }
        }
        if let Some(last) = last {
            self.add_joined_completions(query, last, &mut concepts)?;
        }
        let inseparable = inseparable(query);
        leave_out_incomplete(&inseparable, covered, &mut concepts);
        let mut needed = covered;
        for (i, concept) in concepts.iter_mut().enumerate() {
            let weight = concept.lists.iter().map(|looked| looked.weight).fold(0.0, f32::max);
            // One or two letters are rare in a catalogue, and yet tell little.
            let is_short = concept.surface.chars().nth(2).is_none() && concept.surface.is_ascii();
            concept.telling = if is_short { SHORT * weight } else { weight };
            needed |= u32::from(!concept.lists.is_empty()) << i;
        }
        let numbered = query.concepts.iter().zip(&concepts);
        let is_exact = !codes.is_empty()
            || numbered.into_iter().any(|(concept, planned)| concept.is_code && !planned.lists.is_empty());
        let (all_terms, open) = (settings.all_terms, query.is_blank);
        let n_unknown = (0..concepts.len()).filter(|i| needed & (1 << i) == 0).count();
        let unknown = n_unknown as f32 * idf(self.n_texts, 0);
        Ok(Plan { concepts, codes, all_terms, open, needed, inseparable, is_exact, unknown })
    }

    /// Whether so few items have the word that it may be mistyped in them.
    fn is_rare(&self, concept: &Concept) -> Result<bool, SearchError> {
        let is_long = concept.plain.chars().nth(MIN_RARE_CHARS - 1).is_some();
        Ok(is_long && (1..=MAX_RARE).contains(&self.document_frequency(In::Word, &concept.plain)?))
    }

    /// The lists of the word itself.
    fn full(&self, concept: &Concept) -> Result<Vec<Looked>, SearchError> {
        let mut lists: Vec<Looked> = Vec::new();
        let mut n_own = 0;
        for (nth, alternative) in concept.alternatives.iter().enumerate() {
            let Alternative { terms, worth, is_joined, is_synonym, is_apart } = alternative;
            // Of a Han word, places inside other words are no lists of its own.
            n_own = match nth {
                0 => usize::MAX,
                1 if concept.kind == Kind::Han => lists.len(),
                _ => n_own,
            };
            let own = |lists: &[Looked]| lists.iter().take(n_own).next().map(|own| own.weight);
            let worth = if *is_synonym && own(&lists).is_some() { worth * BESIDE_OWN } else { *worth };
            let [term] = &**terms else {
                lists.extend(self.several(terms, worth, own(&lists), *is_apart)?);
                continue;
            };
            for (place, of_place) in [(In::Text, 1.0), (In::Form, FORM), (In::Attribute, ATTRIBUTE)] {
                if *is_joined && place == In::Form {
                    continue;
                }
                let df = self.document_frequency(place, term)?;
                if df > 0 {
                    let worth = worth * of_place;
                    // Another spelling is not worth more than the word itself, however rare it is.
                    let own = own(&lists).filter(|_| worth < 1.0).unwrap_or(f32::INFINITY);
                    let weight = worth * idf(self.n_texts, df).min(own);
                    lists.push(self.looked(place, term, weight, true, None));
                }
            }
        }
        Ok(lists)
    }

    pub(super) fn looked(&self, place: In, term: &str, weight: f32, is_full: bool, guess: Option<usize>) -> Looked {
        Looked { place, terms: vec![self.term(place, term)], is_phrase: false, weight, is_full, guess }
    }

    /// Words that stand side by side, or anywhere in a text if they may be `apart`; if the catalogue has each of them.
    fn several(
        &self,
        terms: &[String],
        worth: f32,
        own: Option<f32>,
        apart: bool,
    ) -> Result<Option<Looked>, SearchError> {
        let mut rarest = 0.0_f32;
        for term in terms {
            match self.document_frequency(In::Text, term)? {
                0 => return Ok(None),
                df => rarest = rarest.max(idf(self.n_texts, df)),
            }
        }
        let weight = worth * rarest.min(own.unwrap_or(f32::INFINITY));
        let terms = terms.iter().map(|term| self.term(In::Text, term)).collect();
        Ok(Some(Looked { place: In::Text, terms, is_phrase: !apart, weight, is_full: true, guess: None }))
    }

    /// Completions of a last word that the catalogue has, but not many items.
    fn add_faint(&self, concept: &Concept, planned: &mut Planned) -> Result<(), SearchError> {
        let is_long = concept.plain.chars().nth(MIN_OPEN_CHARS - 1).is_some();
        if !is_long || !matches!(concept.kind, Kind::Letters | Kind::Digits) {
            return Ok(());
        }
        let [own] = &*concept.alternatives[0].terms else { return Ok(()) };
        if self.document_frequency(In::Text, own)? >= ENOUGH {
            return Ok(());
        }
        let completions = self.completions(&concept.plain, false)?;
        let df = completions.iter().map(|guess| guess.df).sum();
        let weight = FAINT * idf(self.n_texts, df).min(planned.lists[0].weight);
        for completion in completions {
            self.add_word(&completion.word, weight, false, None, &mut planned.lists)?;
        }
        Ok(())
    }

    /// Completions of the last word and the one before it, written as one: `sun gl` for sunglasses, `500 m` for 500ml.
    fn add_joined_completions(&self, query: &Query, last: usize, concepts: &mut [Planned]) -> Result<(), SearchError> {
        let Some(before) = last.checked_sub(1) else { return Ok(()) };
        let [one, other] = [before, last].map(|nth| &query.concepts[nth]);
        let between = query.text.get(one.range.end..other.range.start);
        let are_letters = [one, other].iter().all(|concept| concept.kind == Kind::Letters && !concept.is_code);
        // `500 m` is the beginning of `500 ml`.
        let is_number = one.plain.bytes().all(|b| b.is_ascii_digit()) && other.kind == Kind::Letters;
        let joined = format!("{}{}", one.plain, other.plain);
        let is_long = joined.chars().nth(MIN_OPEN_CHARS).is_some() || is_number;
        if !(are_letters || is_number)
            || !is_long
            || !between.is_some_and(|between| matches!(between, " " | "-" | "'" | "’"))
        {
            return Ok(());
        }
        let completions = self.completions(&joined, false)?;
        let df = completions.iter().map(|guess| guess.df).sum();
        for planned in &mut concepts[before..=last] {
            let is_known = !planned.lists.is_empty();
            let own = planned.lists.first().map_or(f32::INFINITY, |own| own.weight);
            let weight = (if is_known { FAINT } else { GUESSED } * idf(self.n_texts, df)).min(own);
            for completion in &completions {
                self.add_word(&completion.word, weight, !is_known, None, &mut planned.lists)?;
            }
        }
        Ok(())
    }

    /// What a word may have been: with typing errors if `may_guess`, as the beginning of a word if it `is_last`.
    fn add_guesses(
        &self,
        concept: &Concept,
        planned: &mut Planned,
        may_guess: bool,
        is_last: bool,
        beside_known: bool,
    ) -> Result<(), SearchError> {
        let is_known = !planned.lists.is_empty();
        let own = planned.lists.first().map_or(f32::INFINITY, |own| own.weight);
        let mut guesses = if may_guess { self.guesses(&concept.plain, beside_known)? } else { Vec::new() };
        if is_known {
            // A word that is rarer still is no better guess.
            guesses.retain(|guess| guess.word != concept.plain && guess.df >= MAX_RARE * MUCH_COMMONER);
        } else {
            // Where items have the word and none of them may be shown, it is no guess of itself.
            let own = |word: &str| concept.alternatives[0].terms == [self.analyzers[0].stem(word)];
            guesses.retain(|guess| guess.word != concept.plain && !own(&guess.word));
        }
        let Unfinished { completions, joined, are_mistyped } = match is_last && !is_known {
            true => self.unfinished(&concept.plain, may_guess && guesses.is_empty())?,
            false => Unfinished::default(),
        };
        let split = if may_guess && !is_known { self.split(&concept.plain)? } else { None };
        let scores = guesses.first().into_iter().chain(&completions).chain(&joined).map(|guess| guess.score);
        let best = scores.chain(split.iter().map(|(score, _)| *score)).fold(f32::NEG_INFINITY, f32::max);
        let likelihood = |score: f32| Some(exp(score - best)).filter(|likelihood| *likelihood >= LEAST_LIKELY);
        let df = completions.iter().map(|guess| guess.df).sum();
        let of_completions = GUESSED * idf(self.n_texts, df);
        if let Some(likelihood) = completions.first().and_then(|first| likelihood(first.score)) {
            for completion in &completions {
                // A completion of a mistyped beginning is a correction, and told as one.
                let nth = are_mistyped.then_some(planned.guesses.len());
                self.add_word(&completion.word, of_completions * likelihood, !is_known, nth, &mut planned.lists)?;
                planned.guesses.extend(are_mistyped.then(|| completion.clone()));
            }
        }
        if let Some(likelihood) = joined.first().and_then(|first| likelihood(first.score)) {
            let weight = FORM * GUESSED * likelihood * idf(self.n_texts, joined.iter().map(|guess| guess.df).sum());
            for guess in &joined {
                self.add_word(&guess.word, weight, true, None, &mut planned.lists)?;
            }
        }
        if !is_known {
            let split = split.iter().map(|(score, guess)| (*score, guess));
            let others = completions.first().into_iter().chain(guesses.first()).map(|guess| (guess.score, guess));
            let likeliest = split.chain(others).max_by(|(a, _), (b, _)| a.total_cmp(b));
            planned.likeliest = likeliest.map(|(_, guess)| guess.word.as_str().into());
        }
        for guess in guesses {
            let Some(likelihood) = likelihood(guess.score) else { break };
            let nth = Some(planned.guesses.len());
            let weight = self.weight_of(&guess.word, guess.df)?.min(own) * likelihood.sqrt();
            let weight = if is_known { RARE * weight } else { weight };
            self.add_word(&guess.word, weight, !is_known, nth, &mut planned.lists)?;
            planned.guesses.push(guess);
        }
        if let Some((score, guess)) = split
            && let Some(likelihood) = likelihood(score)
        {
            self.add_split(guess, likelihood, planned)?;
        }
        match may_guess && !is_known {
            true => self.add_parts(&concept.plain, planned),
            false => Ok(()),
        }
    }

    /// What a last word that the catalogue does not have may be the beginning of; with `may_guess` also if it has an error.
    fn unfinished(&self, word: &str, may_guess: bool) -> Result<Unfinished, SearchError> {
        let completions = match word.chars().nth(1).is_some() {
            true => self.completions(word, false)?,
            false => Vec::new(),
        };
        let joined = self.joined_completions(word, &completions)?;
        if may_guess && completions.is_empty() && joined.is_empty() && word.chars().nth(4).is_some() {
            let completions = self.completions(word, true)?;
            return Ok(Unfinished { completions, joined, are_mistyped: true });
        }
        Ok(Unfinished { completions, joined, are_mistyped: false })
    }

    /// Two words that were typed as one.
    fn add_split(&self, guess: MeantWord, likelihood: f32, planned: &mut Planned) -> Result<(), SearchError> {
        let stems: Vec<String> = guess.word.split(' ').map(|part| self.analyzers[0].stem(part)).collect();
        // Of Han words in Latin letters the text has no stem.
        let mut place = In::Text;
        for stem in &stems {
            if self.document_frequency(In::Text, stem)? == 0 {
                place = In::Form;
            }
        }
        let terms = stems.iter().map(|stem| self.term(place, stem)).collect();
        let weight = GUESSED * likelihood * idf(self.n_texts, guess.df);
        let nth = Some(planned.guesses.len());
        planned.lists.push(Looked { place, terms, is_phrase: false, weight, is_full: true, guess: nth });
        planned.guesses.push(guess);
        Ok(())
    }

    /// What a word of the catalogue would be worth in a query.
    fn weight_of(&self, word: &str, df: u64) -> Result<f32, SearchError> {
        let df = match self.document_frequency(In::Text, &self.analyzers[0].stem(word))? {
            0 => df,
            df => df,
        };
        Ok(idf(self.n_texts, df))
    }

    /// Adds the lists of a word that is not the concept's own.
    fn add_word(
        &self,
        word: &str,
        weight: f32,
        is_full: bool,
        guess: Option<usize>,
        lists: &mut Vec<Looked>,
    ) -> Result<(), SearchError> {
        let mut terms = vec![word.to_owned()];
        for analyzer in &self.analyzers {
            terms.push(analyzer.stem(word));
        }
        terms.sort_unstable();
        terms.dedup();
        for term in terms {
            for (place, of_place) in [(In::Text, 1.0), (In::Form, FORM), (In::Attribute, ATTRIBUTE)] {
                let is_there =
                    lists.iter().any(|known| known.place == place && known.terms == [self.term(place, &term)]);
                if !is_there && self.document_frequency(place, &term)? > 0 {
                    lists.push(self.looked(place, &term, weight * of_place, is_full, guess));
                }
            }
        }
        Ok(())
    }

    /// The word as two words of the catalogue, which need not stand side by side.
    fn split(&self, word: &str) -> Result<Option<(f32, MeantWord)>, SearchError> {
        let places: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
        let mut best: Option<(f32, MeantWord)> = None;
        for &at in places.get(3..places.len().saturating_sub(2)).unwrap_or_default() {
            let (left, right) = word.split_at(at);
            let df = self.document_frequency(In::Word, left)?.min(self.document_frequency(In::Word, right)?);
            let score = 0.35 * accrue_kernel::ln(df as f32 + 1.0) - SPLIT;
            if df > 0 && best.as_ref().is_none_or(|(known, _)| score > *known) {
                best = Some((score, MeantWord { score, word: format!("{left} {right}"), df }));
            }
        }
        Ok(best)
    }
}
