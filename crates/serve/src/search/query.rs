//! A shopper's text as what is looked up in the index. In: a text and the languages in use. Out: concepts and codes.

use std::ops::Range;

use tantivy::tokenizer::Language;

use super::analysis::{Analyzer, StopWords, code, compose, head, is_blank};
use super::index::{CODE, FOLDED_ID, RAW_ID};
use super::{EXACT_ID, MAX_CONCEPTS, MAX_QUERY_BYTES};

/// A query, as lookups in the index.
pub(super) struct Query {
    pub concepts: Vec<Concept>,
    pub codes: Vec<CodeWord>,
    /// The text shows nothing, so it restricts nothing.
    pub is_blank: bool,
}

/// One meaning, in the ways it may be written. Corrected spellings and synonyms belong here too, with weights below 1.
pub(super) struct Concept {
    pub surface: Box<str>,
    /// Terms of the text field with their weights; the best one that a document has is used.
    pub alternatives: Vec<(String, f32)>,
}

/// A word, or the whole query, read as an id or a code.
pub(super) struct CodeWord {
    pub surface: Box<str>,
    /// A term of the code field.
    pub term: String,
    /// What it adds; `None` for its idf.
    pub weight: Option<f32>,
}

impl Query {
    /// `analyzers`: the default language's first, then those of other languages that items are written in.
    pub(super) fn new(text: &str, analyzers: &[(Language, Analyzer)], stop: &StopWords) -> Self {
        let text = head(text, MAX_QUERY_BYTES).trim();
        Self { concepts: concepts(&compose(text), analyzers, stop), codes: codes(text), is_blank: is_blank(text) }
    }
}

fn concepts(text: &str, analyzers: &[(Language, Analyzer)], stop: &StopWords) -> Vec<Concept> {
    let mut all: Vec<Concept> = Vec::new();
    let mut surfaces: Vec<Range<usize>> = Vec::new();
    for (nth, (_, analyzer)) in analyzers.iter().enumerate() {
        // Languages differ in their stems, not in word boundaries, so the i-th word is the same in all of them.
        let mut i = 0;
        analyzer.clone().words(text, |word| {
            if nth == 0 {
                let surface = text[word.surface.clone()].to_lowercase().into();
                surfaces.push(word.surface);
                all.push(Concept { surface, alternatives: vec![(word.term, 1.0)] });
            } else if let Some(concept) = all.get_mut(i)
                && concept.alternatives.iter().all(|(term, _)| *term != word.term)
            {
                concept.alternatives.push((word.term, 1.0));
            }
            i += 1;
        });
    }
    join_neighbours(text, analyzers, &surfaces, &mut all);
    // Han text also yields its single characters; within a longer word they add no information.
    let covered = |own: &Range<usize>| {
        surfaces.iter().any(|other| other.len() > own.len() && other.start <= own.start && own.end <= other.end)
    };
    let mut place = surfaces.iter();
    all.retain(|concept| place.next().is_none_or(|own| concept.surface.chars().nth(1).is_some() || !covered(own)));
    if all.iter().any(|concept| !stop.has(&concept.surface)) {
        all.retain(|concept| !stop.has(&concept.surface));
    }
    let mut distinct: Vec<Concept> = Vec::new();
    for concept in all {
        if distinct.len() == MAX_CONCEPTS {
            break;
        }
        if distinct.iter().all(|known| known.alternatives[0].0 != concept.alternatives[0].0) {
            distinct.push(concept);
        }
    }
    distinct
}

/// What a concept is worth in the spelling that writes it and its neighbour as one word.
const JOINED: f32 = 0.95;

/// Two words that stand side by side may be one in a title: `cake stand` is also found as `cakestand`. The joined word is
/// another spelling of both.
fn join_neighbours(text: &str, analyzers: &[(Language, Analyzer)], surfaces: &[Range<usize>], all: &mut [Concept]) {
    for right in 1..surfaces.len() {
        let (one, other) = (&surfaces[right - 1], &surfaces[right]);
        let is_apart = text.get(one.end..other.start).is_some_and(|between| matches!(between, " " | "-"));
        if !is_apart {
            continue;
        }
        let joined = format!("{}{}", &text[one.clone()], &text[other.clone()]);
        for (_, analyzer) in analyzers {
            analyzer.clone().words(&joined, |word| {
                for concept in &mut all[right - 1..=right] {
                    if word.surface.len() == joined.len()
                        && concept.alternatives.iter().all(|(term, _)| *term != word.term)
                    {
                        concept.alternatives.push((word.term.clone(), JOINED));
                    }
                }
            });
        }
    }
}

fn codes(text: &str) -> Vec<CodeWord> {
    let mut found: Vec<CodeWord> = Vec::new();
    let mut push = |surface: &str, term: String, weight: Option<f32>| {
        if found.iter().all(|known| known.term != term) {
            found.push(CodeWord { surface: surface.to_lowercase().into(), term, weight });
        }
    };
    let whole = (text.split_whitespace().nth(1).is_some()).then_some(text);
    for word in text.split_whitespace().take(MAX_CONCEPTS).chain(whole) {
        // Two halves, so that ids that differ only in case are both found, the one as written first.
        push(word, format!("{RAW_ID}{word}"), Some(EXACT_ID / 2.0));
        push(word, format!("{FOLDED_ID}{}", compose(word).to_lowercase()), Some(EXACT_ID / 2.0));
        if let Some(code) = code(&compose(word)) {
            push(word, format!("{CODE}{code}"), None);
        }
    }
    found
}
