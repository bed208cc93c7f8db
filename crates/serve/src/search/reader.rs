//! The readers: a query in, a page out, from one immutable snapshot of the committed index.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::SegmentId;
use tantivy::postings::{Postings as _, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::Language;
use tantivy::{DocSet as _, InvertedIndexReader, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

use super::analysis::{Analyzer, LANGUAGES, StopWords};
use super::index::{Fields, LANGUAGE, field_at};
use super::query::Query;
use super::score::{Bm25, Cursor, Walk, idf};
use super::{
    Admitted, Candidate, Hit, MAX_DEPTH, Match, MatchedField, Retrieved, SearchError, SearchField, SearchPage,
    SearchSettings, VARIANTS_KEPT,
};

/// Answers queries; cheap to clone, safe to share. Each call reads one commit, the newest.
#[derive(Clone)]
pub struct SearchReader {
    current: Arc<ArcSwap<Snapshot>>,
    settings: Arc<SearchSettings>,
}

/// One commit, with its statistics over the items that are in it.
pub(super) struct Snapshot {
    fields: Fields,
    segments: Vec<Segment>,
    n_items: u64,
    /// Items with any text.
    n_texts: u64,
    bm25: Bm25,
    analyzers: Vec<(Language, Analyzer)>,
    stop: StopWords,
}

struct Segment {
    reader: SegmentReader,
    item: Arc<InvertedIndexReader>,
    text: Arc<InvertedIndexReader>,
    code: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    /// By document; kept in memory, because every match reads it.
    items: Arc<[u32]>,
    n_texts: u64,
    n_words: u64,
}

/// A document.
#[derive(Clone, Copy)]
struct Place {
    segment: u32,
    doc: u32,
}

/// A term of a query with its weight, looked up once for all segments.
struct Looked {
    term: Term,
    weight: f32,
}

/// A query with the statistics of a snapshot.
struct Plan {
    concepts: Vec<Vec<Looked>>,
    codes: Vec<Looked>,
    all_terms: f32,
    /// The query is blank, so every item is found.
    open: bool,
}

impl SearchReader {
    pub(super) fn new(current: Arc<ArcSwap<Snapshot>>, settings: Arc<SearchSettings>) -> Self {
        Self { current, settings }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }

    /// Items in the index.
    pub fn n_items(&self) -> u64 {
        self.current.load().n_items
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
        let snapshot = self.snapshot();
        let query = snapshot.query(query);
        let plan = snapshot.plan(&query, &self.settings)?;
        let lexical = |found: Match| accept(found.item_idx).then_some(Admitted { score: found.lexical, product: None });
        let retrieved = snapshot.retrieve(&plan, &lexical, offset.saturating_add(limit).min(MAX_DEPTH))?;
        let page = retrieved.candidates.get(offset..).unwrap_or(&[]);
        let items: Vec<u32> = page.iter().map(|candidate| candidate.found.item_idx).collect();
        let fields = snapshot.explain(&query, &plan, &items)?;
        let hit = |(candidate, fields): (&Candidate, _)| Hit {
            item_idx: candidate.found.item_idx,
            score: candidate.score,
            fields,
        };
        Ok(SearchPage { total: retrieved.total, hits: page.iter().zip(fields).map(hit).collect() })
    }

    /// The candidates of the best `limit` products that `admit` lets in, without reasons, for a later ranking stage.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn retrieve(
        &self,
        query: &str,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        limit: usize,
    ) -> Result<Retrieved, SearchError> {
        let snapshot = self.snapshot();
        let query = snapshot.query(query);
        let plan = snapshot.plan(&query, &self.settings)?;
        snapshot.retrieve(&plan, admit, limit.min(MAX_DEPTH))
    }

    /// Why a query finds these items: the fields of each, none for an item that it does not find (or that is not in the
    /// index).
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn explain(&self, query: &str, items: &[u32]) -> Result<Vec<Vec<MatchedField>>, SearchError> {
        let snapshot = self.snapshot();
        let query = snapshot.query(query);
        let plan = snapshot.plan(&query, &self.settings)?;
        snapshot.explain(&query, &plan, items)
    }
}

impl Snapshot {
    /// Takes statistics of segments that are still there from `before`.
    pub(super) fn new(
        searcher: &Searcher,
        fields: Fields,
        settings: &SearchSettings,
        before: Option<&Snapshot>,
    ) -> Result<Self, SearchError> {
        let segments = searcher
            .segment_readers()
            .iter()
            .map(|reader| {
                let known = before.and_then(|before| before.segment(reader.segment_id()));
                Segment::new(reader, fields, known)
            })
            .collect::<Result<Vec<_>, TantivyError>>()?;
        let n_items = segments.iter().map(|segment| u64::from(segment.reader.num_docs())).sum();
        let n_texts: u64 = segments.iter().map(|segment| segment.n_texts).sum();
        let n_words: u64 = segments.iter().map(|segment| segment.n_words).sum();
        let mean_length = n_words as f64 / n_texts.max(1) as f64;
        let mut analyzers = vec![(settings.language, Analyzer::new(settings.language))];
        for (tag, language) in LANGUAGES {
            let term = Term::from_field_text(fields.code, &format!("{LANGUAGE}{tag}"));
            if document_frequency(&segments, |segment| &segment.code, &term)? > 0 {
                analyzers.push((language, Analyzer::new(language)));
            }
        }
        Ok(Self {
            fields,
            segments,
            n_items,
            n_texts,
            bm25: Bm25::new(settings.k1, settings.b, mean_length as f32),
            analyzers,
            stop: StopWords::new(settings.language),
        })
    }

    fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.reader.segment_id() == id)
    }

    fn query(&self, text: &str) -> Query {
        Query::new(text, &self.analyzers, &self.stop)
    }

    fn plan(&self, query: &Query, settings: &SearchSettings) -> Result<Plan, SearchError> {
        let weigh = |field: Field, text: &str, worth: f32, n: u64, index: fn(&Segment) -> &InvertedIndexReader| {
            let term = Term::from_field_text(field, text);
            let df = document_frequency(&self.segments, index, &term)?;
            Ok::<_, SearchError>((df > 0).then(|| Looked { weight: worth * idf(n, df), term }))
        };
        let mut concepts = Vec::with_capacity(query.concepts.len());
        for concept in &query.concepts {
            let mut found: Vec<Looked> = Vec::new();
            for (term, worth) in &concept.alternatives {
                let looked = weigh(self.fields.text, term, *worth, self.n_texts, |segment| &segment.text)?;
                // Another spelling is not worth more than the word itself, however rare it is.
                let most = found.first().filter(|_| *worth < 1.0).map_or(f32::INFINITY, |own| worth * own.weight);
                found.extend(looked.map(|looked| Looked { weight: looked.weight.min(most), ..looked }));
            }
            concepts.push(found);
        }
        let mut codes = Vec::with_capacity(query.codes.len());
        for code in &query.codes {
            let found = weigh(self.fields.code, &code.term, 1.0, self.n_items, |segment| &segment.code)?;
            // A code that no item has keeps its position, so that positions agree with the query's.
            let term = Term::from_field_text(self.fields.code, &code.term);
            let weight = code.weight.unwrap_or(found.map_or(0.0, |found| found.weight));
            codes.push(Looked { term, weight });
        }
        Ok(Plan { concepts, codes, all_terms: settings.all_terms, open: query.is_blank })
    }

    /// The best `depth` products that match, and the number of all.
    fn retrieve(
        &self,
        plan: &Plan,
        admit: &dyn Fn(Match) -> Option<Admitted>,
        depth: usize,
    ) -> Result<Retrieved, SearchError> {
        let mut best = Best::new(depth);
        for segment in &self.segments {
            let mut take = |doc: u32, lexical: f32, has_all: bool| {
                if segment.reader.is_deleted(doc) {
                    return;
                }
                let found = Match { item_idx: segment.items[doc as usize], lexical, has_all };
                if let Some(Admitted { score, product }) = admit(found) {
                    best.push(Candidate { found, score, product });
                }
            };
            if plan.open {
                (0..segment.reader.max_doc()).for_each(|doc| take(doc, 0.0, true));
            } else {
                segment.walk(plan, &self.bm25)?.run(take);
            }
        }
        Ok(best.into_retrieved())
    }

    fn find(&self, item_idx: u32) -> Result<Option<Place>, SearchError> {
        let term = Term::from_field_u64(self.fields.item, item_idx.into());
        for (ord, segment) in self.segments.iter().enumerate() {
            let Some(mut postings) = postings(&segment.item, &term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                let doc = postings.doc();
                if !segment.reader.is_deleted(doc) {
                    return Ok(Some(Place { segment: ord as u32, doc }));
                }
                postings.advance();
            }
        }
        Ok(None)
    }

    /// The matched fields of each item, in the order given.
    fn explain(&self, query: &Query, plan: &Plan, items: &[u32]) -> Result<Vec<Vec<MatchedField>>, SearchError> {
        let mut places = Vec::with_capacity(items.len());
        for (nth, item_idx) in items.iter().enumerate() {
            places.extend(self.find(*item_idx)?.map(|place| (place, nth)));
        }
        places.sort_unstable_by_key(|(place, _)| (place.segment, place.doc));
        let mut all = vec![Vec::new(); items.len()];
        for group in places.chunk_by(|(a, _), (b, _)| a.segment == b.segment) {
            let segment = &self.segments[group[0].0.segment as usize];
            let mut walk = segment.walk_with(plan, &self.bm25, IndexRecordOption::WithFreqsAndPositions)?;
            for (place, nth) in group {
                all[*nth] = reasons(&mut walk, query, place.doc);
            }
        }
        Ok(all)
    }
}

/// What each field adds to one document's score. Documents must be passed in ascending order.
fn reasons(walk: &mut Walk, query: &Query, doc: u32) -> Vec<MatchedField> {
    let mut shares: Vec<(SearchField, &str, f32)> = Vec::new();
    let mut n_concepts = 0;
    let mut positions = Vec::new();
    for (concept, alternatives) in query.concepts.iter().zip(&mut walk.concepts) {
        let mut best: Option<(f32, Vec<u32>)> = None;
        for cursor in alternatives {
            if !stands_at(&mut cursor.postings, doc) {
                continue;
            }
            let score = walk.bm25.score(cursor.weight, cursor.postings.term_freq(), walk.lengths.fieldnorm_id(doc));
            if best.as_ref().is_none_or(|(known, _)| score > *known) {
                cursor.postings.positions(&mut positions);
                best = Some((score, positions.clone()));
            }
        }
        let Some((score, positions)) = best else { continue };
        n_concepts += 1;
        for run in positions.chunk_by(|a, b| field_at(*a) == field_at(*b)) {
            let share = score * run.len() as f32 / positions.len() as f32;
            shares.push((field_at(run[0]), &concept.surface, share));
        }
    }
    if n_concepts > 1 && n_concepts == walk.concepts.len() {
        shares.iter_mut().for_each(|(_, _, share)| *share *= walk.all_terms);
    }
    for (code, cursor) in query.codes.iter().zip(&mut walk.bonuses) {
        if stands_at(&mut cursor.postings, doc) {
            shares.push((SearchField::Id, &code.surface, cursor.weight));
        }
    }
    gather(shares)
}

fn gather(mut shares: Vec<(SearchField, &str, f32)>) -> Vec<MatchedField> {
    // A stable sort: within a field the words keep the query's order.
    shares.sort_by_key(|(field, _, _)| *field);
    let mut fields: Vec<MatchedField> = Vec::new();
    for group in shares.chunk_by(|a, b| a.0 == b.0) {
        let mut terms: Vec<Box<str>> = Vec::new();
        for (_, term, _) in group {
            if terms.iter().all(|known| **known != **term) {
                terms.push((*term).into());
            }
        }
        let contribution = group.iter().map(|(_, _, share)| share).sum();
        fields.push(MatchedField { field: group[0].0, terms, contribution });
    }
    fields
}

fn stands_at(postings: &mut SegmentPostings, doc: u32) -> bool {
    if postings.doc() < doc {
        postings.seek(doc);
    }
    postings.doc() == doc
}

impl Segment {
    fn new(reader: &SegmentReader, fields: Fields, known: Option<&Segment>) -> Result<Self, TantivyError> {
        let lengths = reader.get_fieldnorms_reader(fields.text)?;
        let items = match known {
            Some(known) => Arc::clone(&known.items),
            None => {
                let column = reader.fast_fields().u64("item")?;
                let item = |doc| column.first(doc).and_then(|item_idx| u32::try_from(item_idx).ok());
                let items: Option<Arc<[u32]>> = (0..reader.max_doc()).map(item).collect();
                items.ok_or_else(|| TantivyError::InternalError("a document without an item".to_owned()))?
            }
        };
        let (n_texts, n_words) = match known {
            Some(known) if known.reader.num_deleted_docs() == reader.num_deleted_docs() => {
                (known.n_texts, known.n_words)
            }
            _ => {
                let alive = (0..reader.max_doc()).filter(|doc| !reader.is_deleted(*doc));
                let lengths = alive.map(|doc| u64::from(lengths.fieldnorm(doc))).filter(|length| *length > 0);
                lengths.fold((0, 0), |(n_texts, n_words), length| (n_texts + 1, n_words + length))
            }
        };
        Ok(Self {
            item: reader.inverted_index(fields.item)?,
            text: reader.inverted_index(fields.text)?,
            code: reader.inverted_index(fields.code)?,
            reader: reader.clone(),
            lengths,
            items,
            n_texts,
            n_words,
        })
    }

    fn walk<'a>(&'a self, plan: &Plan, bm25: &'a Bm25) -> Result<Walk<'a>, SearchError> {
        let mut walk = self.walk_with(plan, bm25, IndexRecordOption::WithFreqs)?;
        walk.bonuses.retain(|cursor| cursor.postings.doc() != TERMINATED);
        Ok(walk)
    }

    fn walk_with<'a>(
        &'a self,
        plan: &Plan,
        bm25: &'a Bm25,
        option: IndexRecordOption,
    ) -> Result<Walk<'a>, SearchError> {
        let mut concepts = Vec::with_capacity(plan.concepts.len());
        for alternatives in &plan.concepts {
            let mut cursors = Vec::with_capacity(alternatives.len());
            for Looked { term, weight } in alternatives {
                let postings = postings(&self.text, term, option)?;
                cursors.extend(postings.map(|postings| Cursor { postings, weight: *weight }));
            }
            concepts.push(cursors);
        }
        let mut bonuses = Vec::with_capacity(plan.codes.len());
        for Looked { term, weight } in &plan.codes {
            let postings = postings(&self.code, term, IndexRecordOption::Basic)?.unwrap_or_else(SegmentPostings::empty);
            bonuses.push(Cursor { postings, weight: *weight });
        }
        let n_known = plan.concepts.iter().filter(|alternatives| !alternatives.is_empty()).count();
        Ok(Walk { bm25, lengths: &self.lengths, concepts, bonuses, all_terms: plan.all_terms, n_known })
    }
}

fn postings(
    index: &InvertedIndexReader,
    term: &Term,
    option: IndexRecordOption,
) -> Result<Option<SegmentPostings>, SearchError> {
    Ok(index.read_postings(term, option).map_err(TantivyError::from)?)
}

/// Items in the index that have the term; tantivy's own count would include deleted ones.
fn document_frequency(
    segments: &[Segment],
    index: impl Fn(&Segment) -> &InvertedIndexReader,
    term: &Term,
) -> Result<u64, SearchError> {
    let mut df = 0;
    for segment in segments {
        let index = index(segment);
        let Some(found) = index.get_term_info(term).map_err(TantivyError::from)? else { continue };
        df += match segment.reader.alive_bitset() {
            None => found.doc_freq,
            Some(alive) => index
                .read_postings_from_terminfo(&found, IndexRecordOption::Basic)
                .map_err(TantivyError::from)?
                .doc_freq_given_deletes(alive),
        } as u64;
    }
    Ok(df)
}

/// The best of many matches, by product: a heap whose top is the worst that is kept.
struct Best {
    depth: usize,
    n_alone: usize,
    heap: BinaryHeap<Candidate>,
    /// The best variants of each product with several, best first. The order of the products is not read.
    products: HashMap<u32, Vec<Candidate>>,
}

impl Best {
    fn new(depth: usize) -> Self {
        Self { depth, n_alone: 0, heap: BinaryHeap::new(), products: HashMap::new() }
    }

    fn push(&mut self, candidate: Candidate) {
        let Some(product) = candidate.product else {
            self.n_alone += 1;
            self.keep(candidate);
            return;
        };
        let variants = self.products.entry(product).or_default();
        let place = variants.partition_point(|better| *better < candidate);
        if place < VARIANTS_KEPT {
            variants.insert(place, candidate);
            variants.truncate(VARIANTS_KEPT);
        }
    }

    fn keep(&mut self, candidate: Candidate) {
        if self.heap.len() < self.depth {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// All candidates of the best products, best first.
    fn into_retrieved(mut self) -> Retrieved {
        let products = std::mem::take(&mut self.products);
        let total = self.n_alone + products.len();
        products.values().for_each(|variants| self.keep(variants[0]));
        let mut candidates = self.heap.into_sorted_vec();
        for place in 0..candidates.len() {
            let variants = candidates[place].product.and_then(|product| products.get(&product));
            candidates.extend(variants.into_iter().flat_map(|variants| &variants[1..]));
        }
        candidates.sort_unstable();
        Retrieved { total, candidates }
    }
}

/// A better match is smaller: higher score first, then the smaller item index.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.found.item_idx.cmp(&other.found.item_idx))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Candidate {}
