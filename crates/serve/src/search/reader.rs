//! The readers: a query in, a page out, from one immutable snapshot of the committed index.
//!
//! An answer has the items that have every word of the query. If none of these may be shown, a word that only items have which
//! may not be shown is read as one that the catalogue does not have; then words that it has are taken for typing errors too, and
//! then the words that tell least are dropped: see [`ReadQuery::retrieve`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use accrue_model::Vectors;
use arc_swap::ArcSwap;
use tantivy::postings::SegmentPostings;
use tantivy::schema::IndexRecordOption;

use super::analysis::{Kind, load_dictionary};
use super::best::Best;
use super::cursor::Cursor;
use super::plan::{Plan, Typos};
use super::query::Query;
use super::score::{Code, FoundDoc, Walk};
use super::similar::{QueryVector, Similar, SimilarSettings};
use super::snapshot::{Segment, Snapshot};
use super::synonyms::{Meanings, Synonyms};
use super::{
    Admitted, Candidate, Hit, MAX_DEPTH, Match, MatchedField, Retrieved, SearchError, SearchPage, SearchSettings,
};

/// Sets of words that are tried if nothing has all of them.
const MAX_TRIES: usize = 12;

/// Answers queries; cheap to clone, safe to share. Each call reads one commit, the newest.
#[derive(Clone)]
pub struct SearchReader {
    current: Arc<ArcSwap<Snapshot>>,
    settings: Arc<SearchSettings>,
    meanings: Arc<ArcSwap<Meanings>>,
}

/// A query, read with the words of one commit.
pub struct ReadQuery {
    snapshot: Arc<Snapshot>,
    settings: Arc<SearchSettings>,
    query: Query,
    plan: Plan,
    typos: Typos,
    similar: Option<Similar>,
    /// Whether no item has all words of the query, so that meaning comes first.
    lacks_words: bool,
}

impl SearchReader {
    pub(super) fn new(current: Arc<ArcSwap<Snapshot>>, settings: Arc<SearchSettings>) -> Self {
        let meanings = Meanings::new(&Synonyms::default(), settings.language, settings.common_synonyms);
        Self { current, settings, meanings: Arc::new(ArcSwap::from_pointee(meanings)) }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }

    /// Replaces the shop's synonyms, for this reader and its clones.
    pub fn set_synonyms(&self, synonyms: &Synonyms) {
        let (language, has_common) = (self.settings.language, self.settings.common_synonyms);
        self.meanings.store(Arc::new(Meanings::new(synonyms, language, has_common)));
    }

    /// Loads the dictionary of Chinese, for which the first query with Han text would wait otherwise. That takes up to
    /// half a second, and memory that a shop without Chinese texts does not need.
    pub fn load_dictionary(&self) {
        load_dictionary();
        self.meanings.load().load_han();
    }

    /// A reader of the same index with more synonyms; later changes of this reader's synonyms are not seen by it.
    pub fn with_more_synonyms(&self, more: &Synonyms) -> Self {
        let meanings = self.meanings.load().with(more, self.settings.language);
        let (current, settings) = (Arc::clone(&self.current), Arc::clone(&self.settings));
        Self { current, settings, meanings: Arc::new(ArcSwap::from_pointee(meanings)) }
    }

    /// Items in the index.
    pub fn n_items(&self) -> u64 {
        self.current.load().n_items
    }

    /// Reads a query; with `corrects`, words that the catalogue does not have may be mistyped. No text is refused.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn read(&self, query: &str, corrects: bool) -> Result<ReadQuery, SearchError> {
        let snapshot = self.snapshot();
        let settings = Arc::clone(&self.settings);
        let query = Query::new(query, &snapshot.analyzers, &snapshot.stop, &self.meanings.load());
        let typos = if corrects { Typos::Unknown } else { Typos::Off };
        let plan = snapshot.plan(&query, &settings, typos, 0)?;
        let lacks_words = plan.unknown > 0.0;
        Ok(ReadQuery { snapshot, settings, query, plan, typos, similar: None, lacks_words })
    }

    /// Whether the catalogue has each word of a text as it is written, or as synonyms and other spellings lead to it.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn has(&self, text: &str) -> Result<bool, SearchError> {
        // With a blank behind it, so that the last word is not the beginning of another one.
        let concepts = self.read(&format!("{text} "), false)?.plan.concepts;
        Ok(!concepts.is_empty() && concepts.iter().all(|concept| !concept.lists.is_empty()))
    }

    /// A page of what `query` finds among the items that `accept` admits, best first, with reasons.
    ///
    /// No text is refused. Results beyond [`MAX_DEPTH`] cannot be paged to; `total` counts them.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn search(
        &self,
        query: &str,
        accept: &dyn Fn(u32) -> bool,
        limit: usize,
        offset: usize,
    ) -> Result<SearchPage, SearchError> {
        let mut query = self.read(query, true)?;
        let lexical = |found: Match| accept(found.item_idx).then_some(Admitted { score: found.lexical, product: None });
        let retrieved = query.retrieve(&lexical, offset.saturating_add(limit).min(MAX_DEPTH))?;
        let page = retrieved.candidates.get(offset..).unwrap_or(&[]);
        let items: Vec<u32> = page.iter().map(|candidate| candidate.found.item_idx).collect();
        let fields = query.explain(&items)?;
        let hit = |(candidate, fields): (&Candidate, _)| Hit {
            item_idx: candidate.found.item_idx,
            score: candidate.score,
            fields,
        };
        Ok(SearchPage { total: retrieved.total, hits: page.iter().zip(fields).map(hit).collect() })
    }

    /// [`ReadQuery::retrieve`] of a query with corrections.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn retrieve(
        &self,
        query: &str,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        limit: usize,
    ) -> Result<Retrieved, SearchError> {
        self.read(query, true)?.retrieve(admit, limit)
    }

    /// [`ReadQuery::explain`] of a query with corrections.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn explain(&self, query: &str, items: &[u32]) -> Result<Vec<Vec<MatchedField>>, SearchError> {
        self.read(query, true)?.explain(items)
    }
}

impl ReadQuery {
    /// The candidates of the best `limit` products that `admit` lets in, without reasons, for a later ranking stage.
    ///
    /// They have every word of the query that the catalogue has, as it is or as it may have been meant. If none of these is
    /// admitted, every word may be mistyped; if still none is, the words that tell least are left out until some are. `admit`
    /// is asked once for each match of the answer, and may be asked again for one that it refused.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn retrieve(
        &mut self,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        limit: usize,
    ) -> Result<Retrieved, SearchError> {
        self.retrieve_of(admit, &|_| true, limit)
    }

    /// [`ReadQuery::retrieve`] where `shows` says which items `admit` may let in at all: a word that only others have is read as
    /// one that the catalogue does not have. Beside items that are similar it is not, because a filter would then find more than
    /// the count of its value says.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn retrieve_of(
        &mut self,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        shows: &dyn Fn(u32) -> bool,
        limit: usize,
    ) -> Result<Retrieved, SearchError> {
        let limit = limit.min(MAX_DEPTH);
        let mut kept = self.plan.needed;
        let mut n_rounds = 1;
        let mut met = HashSet::new();
        let (mut best, n_met) = self.collect(kept, admit, limit, &mut met)?;
        if best.is_empty() && kept != 0 && (self.similar.is_none() || n_met == 0) {
            let hidden = self.hidden(shows)?;
            let plan = match hidden {
                0 => None,
                _ => Some(self.snapshot.plan(&self.query, &self.settings, self.typos, hidden)?),
            };
            if let Some(plan) = plan.filter(|plan| plan.needed != 0) {
                let whole = std::mem::replace(&mut self.plan, plan);
                (best, _) = self.collect(self.plan.needed, admit, limit, &mut met)?;
                n_rounds += 1;
                match best.is_empty() {
                    true => self.plan = whole,
                    false => kept = self.plan.needed,
                }
            }
        }
        if best.is_empty() && kept.count_ones() > 1 {
            let mut n_most = n_met;
            if self.typos == Typos::Unknown {
                let corrected = self.snapshot.plan(&self.query, &self.settings, Typos::All, 0)?;
                let exact = std::mem::replace(&mut self.plan, corrected);
                let (found, n_corrected) = self.collect(self.plan.needed, admit, limit, &mut met)?;
                best = found;
                n_rounds += 1;
                n_most = n_most.max(n_corrected);
                match best.is_empty() {
                    true => self.plan = exact,
                    false => kept = self.plan.needed,
                }
            }
            // Whatever the filter leaves of them, so that it does not change how an item counts.
            self.lacks_words |= n_most == 0;
            if best.is_empty() {
                for some in self.most_telling(kept)? {
                    kept = some;
                    let n_met;
                    (best, n_met) = self.collect(kept, admit, limit, &mut met)?;
                    n_rounds += 1;
                    // Beside items that are similar the filter does not decide which words are left out either: a facet's
                    // count is the total after its value is chosen.
                    if !best.is_empty() || (self.similar.is_some() && n_met > 0) {
                        break;
                    }
                }
            }
        }
        if best.is_empty() {
            // What is only similar has no word of the query.
            kept = 0;
        }
        self.add_similar(admit, &mut best, &met)?;
        let mut retrieved = best.into_retrieved();
        retrieved.n_rounds = n_rounds;
        if let Some(first) = retrieved.candidates.iter().find(|candidate| candidate.found.lexical > 0.0) {
            retrieved.corrected = self.corrected(first.found.item_idx)?;
        }
        if !retrieved.candidates.is_empty() {
            retrieved.dropped = self.dropped(kept);
        }
        Ok(retrieved)
    }

    /// Compares the query with items by meaning from now on: similarity adds to their scores, and what is similar enough is
    /// found without the words of the query. `false` if the vectors of the items are not of the query's space, so that nothing
    /// is compared. A query without [a meaning](Self::has_meaning) is left as it is.
    pub fn compare(&mut self, vectors: &Vectors, query: &QueryVector) -> bool {
        let settings = self.settings.clone();
        self.compare_with(vectors, query, &settings.similar)
    }

    /// [`ReadQuery::compare`] with other settings than those of the reader.
    pub fn compare_with(&mut self, vectors: &Vectors, query: &QueryVector, settings: &SimilarSettings) -> bool {
        if !self.has_meaning() || settings.weight == 0.0 {
            return true;
        }
        // Files that cannot be read fail the search itself.
        let han = self.snapshot.han_items().unwrap_or_default();
        self.similar = Similar::new(vectors, query, settings, &han);
        self.similar.is_some()
    }

    /// The query with the likeliest word of the catalogue in the place of each word that it does not have: the text that is
    /// encoded. Typing errors and unfinished words mean nothing to an encoder.
    pub fn likely(&self) -> Box<str> {
        let concepts = self.plan.concepts.iter().enumerate();
        let words: Vec<(usize, &str)> =
            concepts.filter_map(|(i, concept)| Some((i, concept.likeliest.as_deref()?))).collect();
        self.query.rewritten(&words)
    }

    /// The score of a usual hit: an item of mean length that has every word of the query once.
    pub fn unit(&self) -> f32 {
        self.plan.unit()
    }

    /// Whether the query names something by a code or a number that the catalogue has.
    pub fn is_exact(&self) -> bool {
        self.plan.is_exact
    }

    /// Whether the query has no words.
    pub fn is_blank(&self) -> bool {
        self.plan.open
    }

    /// Whether its meaning is compared: not of a blank query, and not of one that names something by a code or a number that
    /// the catalogue has, because a shopper who writes `iphone 15` does not mean the 14, whose vector is nearly the same.
    pub fn has_meaning(&self) -> bool {
        !self.plan.open && !self.plan.is_exact
    }

    /// Why the query finds these items: the fields of each, none for an item that it does not find (or that is not in the
    /// index).
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn explain(&self, items: &[u32]) -> Result<Vec<Vec<MatchedField>>, SearchError> {
        let mut all = self.snapshot.explain(&self.plan, items)?;
        if self.similar.is_some() && self.lacks_words {
            let unit = self.plan.whole_unit();
            for fields in &mut all {
                let lexical: f32 = fields.iter().map(|field| field.contribution).sum();
                let kept = self.beside_meaning(lexical, unit) / lexical.max(f32::MIN_POSITIVE);
                fields.iter_mut().for_each(|field| field.contribution *= kept);
            }
        }
        Ok(all)
    }

    /// The best items that have the `required` concepts, and how many have them, whether they are admitted or not.
    fn collect(
        &self,
        required: u32,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        depth: usize,
        met: &mut HashSet<u32>,
    ) -> Result<(Best, usize), SearchError> {
        let mut best = Best::new(depth);
        let (similar, unit) = (self.similar.as_ref(), self.plan.whole_unit());
        let mut n_met = 0;
        met.clear();
        for segment in &self.snapshot.segments {
            let mut take = |FoundDoc { doc, score, has_all, .. }: FoundDoc| {
                if segment.reader.is_deleted(doc) {
                    return;
                }
                n_met += 1;
                let item_idx = segment.items[doc as usize];
                let mut found = Match { item_idx, lexical: score, similar: 0.0, has_all };
                if let Some(similar) = similar {
                    found.similar = similar.share(item_idx, score, unit);
                    found.lexical = self.beside_meaning(score, unit);
                    if similar.finds(item_idx) {
                        met.insert(item_idx);
                    }
                }
                if let Some(Admitted { score, product }) = admit(found) {
                    best.push(Candidate { found, score, product });
                }
            };
            if self.plan.open {
                let all = |doc| FoundDoc { doc, score: 0.0, has: 0, has_all: true };
                (0..segment.reader.max_doc()).map(all).for_each(&mut take);
            } else {
                self.snapshot.walk(segment, &self.plan, false)?.run(required, take);
            }
        }
        Ok((best, n_met))
    }

    /// The concepts, a bit each, that items have of which none is shown. Codes and numbers are not among them: they mean what
    /// they say.
    fn hidden(&self, shows: &dyn Fn(u32) -> bool) -> Result<u32, SearchError> {
        let coded = self.plan.codes.iter().fold(0, |all, code| all | code.covers);
        let concepts = self.query.concepts.iter().enumerate();
        let words = concepts.filter(|(_, concept)| !concept.is_code).fold(0_u32, |all, (i, _)| all | 1 << i);
        let wanted = words & self.plan.needed & !coded;
        let mut shown = 0_u32;
        for segment in &self.snapshot.segments {
            // One walk for all words; an item is asked about only if it has one of which none is known to be shown.
            self.snapshot.walk(segment, &self.plan, false)?.run(0, |FoundDoc { doc, has, .. }| {
                let has = has & wanted;
                if has & !shown != 0 && !segment.reader.is_deleted(doc) && shows(segment.items[doc as usize]) {
                    shown |= has;
                }
            });
        }
        Ok(wanted & !shown)
    }

    /// What words are worth beside meaning. Where no item has all of them, some count in proportion to how much of the query
    /// they are, because a `wireless mouse` is no answer to `wireless earphones`.
    fn beside_meaning(&self, lexical: f32, unit: f32) -> f32 {
        if self.lacks_words { lexical * (lexical / unit).clamp(0.0, 1.0) } else { lexical }
    }

    /// Adds the items that are similar and have not the words.
    fn add_similar(
        &self,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        best: &mut Best,
        met: &HashSet<u32>,
    ) -> Result<(), SearchError> {
        let Some(similar) = &self.similar else { return Ok(()) };
        for found in self.matches(&similar.others(met, !self.lacks_words))? {
            if let Some(Admitted { score, product }) = admit(found) {
                best.push(Candidate { found, score, product });
            }
        }
        Ok(())
    }

    /// How well these items match, as if they had not all words of the query.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn matches(&self, items: &[u32]) -> Result<Vec<Match>, SearchError> {
        let unit = self.plan.whole_unit();
        let scores = self.snapshot.scores(&self.plan, items)?.into_iter();
        let found = items.iter().zip(scores).map(|(&item_idx, lexical)| match &self.similar {
            None => Match { item_idx, lexical, similar: 0.0, has_all: false },
            Some(similar) => {
                let share = similar.share(item_idx, lexical, unit);
                Match { item_idx, lexical: self.beside_meaning(lexical, unit), similar: share, has_all: false }
            }
        });
        Ok(found.collect())
    }

    /// The sets of concepts that items have, those that tell most first.
    fn most_telling(&self, needed: u32) -> Result<Vec<u32>, SearchError> {
        let mut sets: BTreeMap<u32, u64> = BTreeMap::new();
        for segment in &self.snapshot.segments {
            self.snapshot.walk(segment, &self.plan, false)?.run(0, |FoundDoc { doc, has, .. }| {
                let whole = |has: u32, together: &u32| if has & together == *together { has } else { has & !together };
                let kept = self.plan.inseparable.iter().fold(has, whole) & needed;
                let is_part = kept == 0 && has & needed != 0;
                if !segment.reader.is_deleted(doc) && !is_part {
                    *sets.entry(kept).or_default() += 1;
                }
            });
        }
        let telling = |set: u32| -> f32 {
            let concepts = self.plan.concepts.iter().enumerate();
            concepts.filter(|(i, _)| set & (1 << i) != 0).map(|(_, concept)| concept.telling).sum()
        };
        let mut sets: Vec<u32> = sets.into_keys().collect();
        sets.sort_by(|a, b| telling(*b).total_cmp(&telling(*a)).then(a.cmp(b)));
        sets.truncate(MAX_TRIES);
        Ok(sets)
    }

    /// The query as it was searched, if a word of it was taken for another.
    fn corrected(&self, first: u32) -> Result<Option<Box<str>>, SearchError> {
        if self.plan.concepts.iter().all(|concept| concept.guesses.is_empty()) {
            return Ok(None);
        }
        let guesses = self.snapshot.guesses_of(&self.plan, first)?;
        let words = guesses
            .iter()
            .zip(&self.plan.concepts)
            .enumerate()
            .filter_map(|(i, (guess, concept))| Some((i, &*concept.guesses.get((*guess)?)?.word)));
        let words: Vec<(usize, &str)> = words.collect();
        Ok((!words.is_empty()).then(|| self.query.rewritten(&words)))
    }

    /// The words that the answer may lack. A pair of characters that both stand in kept pairs beside it is only where two words
    /// meet, in a script without blanks: nothing of the query is left out with it.
    fn dropped(&self, kept: u32) -> Vec<Box<str>> {
        let is_kept = |i: usize| kept & (1 << i) != 0;
        let concepts = &self.query.concepts;
        let joins_kept = |i: usize| {
            let meets = |other: Option<usize>| {
                let other = other.filter(|&other| is_kept(other)).and_then(|other| concepts.get(other));
                other.is_some_and(|other| {
                    let (one, other) = (&concepts[i].range, &other.range);
                    one.start < other.end && other.start < one.end
                })
            };
            concepts[i].kind == Kind::Pair && meets(i.checked_sub(1)) && meets(Some(i + 1))
        };
        let planned = self.plan.concepts.iter().enumerate();
        let left_out = planned.filter(|(i, _)| !is_kept(*i) && !joins_kept(*i));
        left_out.map(|(_, concept)| concept.surface.clone()).collect()
    }
}

impl Snapshot {
    pub(super) fn walk<'a>(
        &'a self,
        segment: &'a Segment,
        plan: &Plan,
        positions: bool,
    ) -> Result<Walk<'a>, SearchError> {
        let mut concepts = Vec::with_capacity(plan.concepts.len());
        for concept in &plan.concepts {
            let mut cursors = Vec::with_capacity(concept.lists.len());
            for looked in &concept.lists {
                cursors.extend(Cursor::open(segment, looked, positions)?);
            }
            concepts.push(cursors);
        }
        let mut codes = Vec::with_capacity(plan.codes.len());
        for code in &plan.codes {
            let postings = segment.postings(super::schema::In::Code, &code.term, IndexRecordOption::Basic)?;
            let postings = postings.unwrap_or_else(SegmentPostings::empty);
            codes.push(Code { postings, weight: code.weight, covers: code.covers });
        }
        let (bm25, lengths) = (&self.bm25, &segment.lengths);
        Ok(Walk { bm25, lengths, concepts, codes, all_terms: plan.all_terms, needed: plan.needed })
    }
}
