//! Lexical search: which items match a shopper's words, best first, and why.
//!
//! In: items as they are written ([`SearchIndex`], one writer), queries as shoppers type them ([`SearchReader`], any
//! number of threads). Out: item indices with scores and reasons. This module knows no shopper, no filter syntax and no
//! clock. The caller's `admit` decides which items may be shown, and what a match is worth; it is called for every match,
//! so a retired item is gone before any commit, and what sells well is not lost among thousands that match alike. The index is derived: it carries the log offset that it covers, and a folder that cannot be
//! read is emptied and filled again.
//!
//! **Terms.** A query has no syntax: operators and quotes are punctuation. Text is composed (NFKC), split into words,
//! lower-cased, stemmed in the item's language and folded to plain letters (`analysis`). Title, brand, categories and
//! description make one field (measured better than a field each); a term's position encodes the field it came from. Words of
//! attributes have a field of their own and are worth less. Stop words are indexed, but are used in a query only if it has no
//! other words. A blank query restricts nothing: all items in the order of their indices, with score 0. A query that is not
//! blank and has no term (signs alone) finds only an item with that id.
//!
//! **Concepts.** A word of a query is a concept with all the ways in which items may write it: stems, neighbours joined, marks
//! left out, synonyms, compounds that end with it; for the last word also its completions; and for a word that the catalogue does
//! not have, the words that it may have been (`query` reads the text, `plan` looks it up, `spelling` guesses). An item must have
//! every concept. If none that may be shown has, more words are taken for typing errors, and then those that tell least are
//! left out (`reader`).
//!
//! **Score.** `Σ idf · tf·(k1+1) / (tf + k1·(1 − b + b·length/mean length))` over the query's concepts, with
//! `idf = ln(1 + (n − df + ½)/(df + ½))` (Robertson & Zaragoza, *The Probabilistic Relevance Framework*, 2009). Of the ways to
//! write a concept the best one counts. A word that names a code (`dv7-1211ea`, written with or without its punctuation) adds the
//! code's idf; an id, alone or as a word of the shape of one, adds [`EXACT_ID`] and so comes first.
//!
//! **Same items, same scores.** `n`, `df` and the mean length are counted over the items that are in the index now,
//! never over deleted ones, and each score is summed in the query's order. So scores do not depend on segments, merges,
//! deletes and the grouping of commits; equal scores are ordered by item index. (The scores of tantivy's own scorer
//! depend on all of them.)

mod analysis;
mod best;
mod bm25;
#[cfg(test)]
mod chorus;
mod codes;
mod compound;
mod cursor;
mod document;
mod explain;
mod index;
mod joints;
#[cfg(test)]
mod language_tests;
mod plan;
mod quantity;
mod query;
mod reader;
mod schema;
mod score;
mod similar;
mod snapshot;
mod spelling;
mod synonyms;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod typing_tests;
mod vocabulary;
#[cfg(test)]
mod word_tests;

use std::path::PathBuf;

use accrue_event::SettingFault;
pub use index::{Opened, SearchIndex};
pub use reader::{ReadQuery, SearchReader};
pub use similar::{QueryVector, SimilarSettings};
pub use synonyms::{LineFault, MAX_SYNONYMS_BYTES, SynonymError, Synonyms};
/// A language with a stemmer.
pub use tantivy::tokenizer::Language;

use crate::repair::RepairSettings;

/// Whether a text has a Chinese character, so that searches for it need the dictionary of Chinese.
pub fn has_han(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(analysis::is_han_character)
}

/// A word of a text as searches read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadWord {
    /// Its stem, in plain letters.
    pub term: String,
    /// The word in small plain letters; of a unit its usual name.
    pub plain: String,
    /// Whether it has digits.
    pub has_digits: bool,
    /// Whether it says little in any text.
    pub is_stop: bool,
}

/// The words of each text, in their order.
pub fn read_words<'a>(texts: impl Iterator<Item = &'a str>, language: Language) -> Vec<Vec<ReadWord>> {
    let (analyzer, stop) = (analysis::Analyzer::new(language), analysis::StopWords::new(language));
    let of_text = |text: &str| {
        let mut words = Vec::new();
        analyzer.query_words(&analysis::compose(text), |analysis::Word { term, plain, kind, .. }| {
            let is_stop = stop.has(&plain);
            words.push(ReadWord { term, plain, has_digits: kind == analysis::Kind::Digits, is_stop });
        });
        words
    };
    texts.map(of_text).collect()
}

/// What an exact id adds to a score: far above any sum of words.
pub const EXACT_ID: f32 = 1000.0;
/// `offset + limit` of a search is cut to this depth.
pub const MAX_DEPTH: usize = crate::MAX_DEPTH;
/// Variants of one product that retrieval keeps as candidates.
pub const VARIANTS_KEPT: usize = 8;
/// Bytes of a query that are read; the rest is ignored.
pub const MAX_QUERY_BYTES: usize = 4096;
/// Different concepts of a query that are used; the rest is ignored.
pub const MAX_CONCEPTS: usize = 32;
/// Bytes of one field of an item that are searchable; the rest is ignored.
pub const MAX_FIELD_BYTES: usize = 64 * 1024;

/// How an index is built and scored.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSettings {
    /// Stemmer and stop words of queries, and of items whose locale names no language that has a stemmer.
    pub language: Language,
    /// Memory of the writer in bytes, limited to 15–50 MB.
    pub heap_bytes: usize,
    /// Milliseconds between commits of [`SearchIndex::commit_if_due`].
    pub commit_every_ms: u64,
    /// BM25: how soon repetitions of a word stop adding to the score.
    pub k1: f32,
    /// BM25: how much the scores of long texts are reduced, 0 to 1.
    pub b: f32,
    /// Factor on the score of items that have every concept of a query.
    pub all_terms: f32,
    /// A file of words of one meaning, a line for each group: `brolly, umbrella` or `notebook => laptop`.
    pub synonyms: Option<PathBuf>,
    /// Whether words that have one meaning in every shop (`xmas`, `christmas`) find each other.
    pub common_synonyms: bool,
    /// How the meaning of a query counts beside its words, where items have vectors.
    pub similar: SimilarSettings,
    /// How search repairs itself.
    pub repair: RepairSettings,
}

impl SearchSettings {
    /// The tag of the language of queries, such as `de`.
    pub fn language_tag(&self) -> &'static str {
        analysis::LANGUAGES.iter().find(|(_, language)| *language == self.language).map_or("en", |(tag, _)| tag)
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("heap_bytes", self.heap_bytes, 15_000_000..=50_000_000)?;
        SettingFault::check("commit_every_ms", self.commit_every_ms, 1..=60_000)?;
        SettingFault::check("k1", self.k1, 0.0..=10.0)?;
        SettingFault::check("b", self.b, 0.0..=1.0)?;
        SettingFault::check("all_terms", self.all_terms, 1.0..=10.0)?;
        self.similar.validate().map_err(|fault| fault.within("similar"))?;
        self.repair.validate().map_err(|fault| fault.within("repair"))
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            language: Language::English,
            heap_bytes: 30_000_000,
            commit_every_ms: 200,
            k1: 1.2,
            b: 0.75,
            all_terms: 1.25,
            synonyms: None,
            common_synonyms: true,
            similar: SimilarSettings::default(),
            repair: RepairSettings::default(),
        }
    }
}

/// One page of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchPage {
    /// All matches that `accept` admits, including those outside the page.
    pub total: usize,
    /// The page, best first; equal scores by item index.
    pub hits: Vec<Hit>,
}

/// An item found, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The item.
    pub item_idx: u32,
    /// Finite; 0 where the query is blank.
    pub score: f32,
    /// Where the query's words were found; the contributions add up to the score.
    pub fields: Vec<MatchedField>,
}

/// What one field of an item adds to its score.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedField {
    /// The field.
    pub field: SearchField,
    /// The query's words found there, as the shopper wrote them (lower-cased), in the order of the query.
    pub terms: Vec<Box<str>>,
    /// The field's share of the score: that of a word found in several fields is divided by how often it occurs in
    /// each.
    pub contribution: f32,
}

/// A part of an item that search reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchField {
    /// The item's id, its parent's, or a code (article number, EAN) in its title or attributes.
    Id,
    /// The title.
    Title,
    /// The maker.
    Brand,
    /// One of the categories or tags.
    Categories,
    /// The description.
    Description,
    /// An attribute.
    Attributes,
}

/// An item that has the words of the query, or is similar to it, as retrieval asks about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The item.
    pub item_idx: u32,
    /// How well its texts match, as far as they do; 0 where the query is blank.
    pub lexical: f32,
    /// What similarity of meaning adds; 0 if the query was not compared with vectors.
    pub similar: f32,
    /// Whether it has all words of the query that any item has, as they are and not only as the beginning of longer ones, or a code
    /// that the query names.
    pub has_all: bool,
}

impl Match {
    /// How well it matches, by words and by meaning.
    pub fn relevance(&self) -> f32 {
        self.lexical + self.similar
    }
}

/// What the caller says of a match that it admits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Admitted {
    /// What retrieval orders by.
    pub score: f32,
    /// Matches of one product count as one; `None` for an item that counts alone.
    pub product: Option<u32>,
}

/// A candidate of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The match.
    pub found: Match,
    /// The score that the caller gave it.
    pub score: f32,
    /// The product that it counts for, if several items may.
    pub product: Option<u32>,
}

/// Candidates of a query, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retrieved {
    /// All products that match and are admitted.
    pub total: usize,
    /// The best products. Of each, up to [`VARIANTS_KEPT`] of the variants that match best.
    pub candidates: Vec<Candidate>,
    /// The query as it was searched, if a word of it was taken for a mistyped one.
    pub corrected: Option<Box<str>>,
    /// Words of the query that the candidates may lack, because no item has all of them.
    pub dropped: Vec<Box<str>>,
    /// How often matches were looked for: more than once if nothing with all words was admitted.
    pub n_rounds: u32,
}

/// Why an index cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Another process, or another part of this one, writes to the folder.
    #[error("the search index in {} is being written by another process; stop it or use another folder", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds files that are not a search index; nothing was changed.
    #[error("{} holds files that are not a search index; empty it or choose another folder", path.display())]
    NotAnIndex {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("the search index in {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// tantivy failed.
    #[error("the search index failed: {0}; it can be deleted and is then built again from the log")]
    Index(#[from] tantivy::TantivyError),
    /// An earlier write failed, so the writer accepts nothing more; open the index again.
    #[error("an earlier write to the search index failed; open it again")]
    Poisoned,
}

impl SearchError {
    /// Whether there was no room for a file: then the files that are there are not at fault.
    pub fn is_lack_of_space(&self) -> bool {
        use tantivy::TantivyError::{IoError, OpenWriteError};
        use tantivy::directory::error::OpenWriteError as Write;
        let kind = match self {
            Self::Io { source, .. } => source.kind(),
            Self::Index(IoError(error)) => error.kind(),
            Self::Index(OpenWriteError(Write::IoError { io_error, .. })) => io_error.kind(),
            _ => return false,
        };
        matches!(kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}
