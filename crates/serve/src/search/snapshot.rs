//! One commit of the index, with its statistics over the items that are in it.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::SegmentId;
use tantivy::postings::SegmentPostings;
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::Language;
use tantivy::{DocSet as _, InvertedIndexReader, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

use super::analysis::{Analyzer, LANGUAGES, StopWords};
use super::bm25::Bm25;
use super::schema::{Fields, HAN, In, LANGUAGE};
use super::{SearchError, SearchSettings};

/// What queries are answered from.
pub(super) struct Snapshot {
    pub fields: Fields,
    pub segments: Vec<Segment>,
    pub n_items: u64,
    /// Items with any text.
    pub n_texts: u64,
    pub bm25: Bm25,
    /// The default language's first, then those of other languages that items are written in.
    pub analyzers: Vec<Analyzer>,
    pub stop: StopWords,
}

pub(super) struct Segment {
    pub reader: SegmentReader,
    item: Arc<InvertedIndexReader>,
    indexes: [Arc<InvertedIndexReader>; 6],
    pub lengths: FieldNormReader,
    /// By document; kept in memory, because every match reads it.
    pub items: Arc<[u32]>,
    n_texts: u64,
    n_words: u64,
}

/// A document.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub segment: u32,
    pub doc: u32,
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
        let mut snapshot = Self {
            fields,
            segments,
            n_items,
            n_texts,
            bm25: Bm25::new(settings.k1, settings.b, mean_length as f32),
            analyzers: vec![Analyzer::new(settings.language)],
            stop: StopWords::new(settings.language),
        };
        for (tag, language) in LANGUAGES {
            if snapshot.document_frequency(In::Code, &format!("{LANGUAGE}{tag}"))? > 0 {
                snapshot.analyzers.push(Analyzer::new(language));
            }
        }
        Ok(snapshot)
    }

    fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.reader.segment_id() == id)
    }

    pub(super) fn term(&self, place: In, text: &str) -> Term {
        Term::from_field_text(self.fields.of(place), text)
    }

    /// Items in the index that have the term; tantivy's own count would include deleted ones.
    pub(super) fn document_frequency(&self, place: In, text: &str) -> Result<u64, SearchError> {
        let term = self.term(place, text);
        let mut df = 0;
        for segment in &self.segments {
            let index = segment.index(place);
            let Some(found) = index.get_term_info(&term).map_err(TantivyError::from)? else { continue };
            df += segment.alive(place, &found)?;
        }
        Ok(df)
    }

    pub(super) fn has_language(&self, is: impl Fn(Language) -> bool) -> bool {
        self.analyzers.iter().any(|analyzer| is(analyzer.language()))
    }

    /// The items whose titles are in Han characters, if others are not; ascending.
    pub(super) fn han_items(&self) -> Result<Vec<u32>, SearchError> {
        let n = self.document_frequency(In::Code, HAN)?;
        if n == 0 || n == self.n_items {
            return Ok(Vec::new());
        }
        let term = self.term(In::Code, HAN);
        let mut items = Vec::with_capacity(n as usize);
        for segment in &self.segments {
            let Some(mut postings) = segment.postings(In::Code, &term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                items.extend(
                    (!segment.reader.is_deleted(postings.doc())).then(|| segment.items[postings.doc() as usize]),
                );
                postings.advance();
            }
        }
        items.sort_unstable();
        Ok(items)
    }

    /// The document of an item.
    pub(super) fn find(&self, item_idx: u32) -> Result<Option<Place>, SearchError> {
        let term = Term::from_field_u64(self.fields.item, item_idx.into());
        for (ord, segment) in self.segments.iter().enumerate() {
            let postings = segment.item.read_postings(&term, IndexRecordOption::Basic).map_err(TantivyError::from)?;
            let Some(mut postings) = postings else { continue };
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
        let index = |place: In| reader.inverted_index(fields.of(place));
        let indexes = [
            index(In::Text)?,
            index(In::Form)?,
            index(In::Attribute)?,
            index(In::Code)?,
            index(In::Word)?,
            index(In::End)?,
        ];
        Ok(Self {
            item: reader.inverted_index(fields.item)?,
            indexes,
            reader: reader.clone(),
            lengths,
            items,
            n_texts,
            n_words,
        })
    }

    pub(super) fn index(&self, place: In) -> &InvertedIndexReader {
        &self.indexes[place as usize]
    }

    pub(super) fn postings(
        &self,
        place: In,
        term: &Term,
        option: IndexRecordOption,
    ) -> Result<Option<SegmentPostings>, SearchError> {
        Ok(self.index(place).read_postings(term, option).map_err(TantivyError::from)?)
    }

    /// How many items that are in the index have a term of this segment.
    pub(super) fn alive(&self, place: In, term: &tantivy::postings::TermInfo) -> Result<u64, SearchError> {
        let Some(alive) = self.reader.alive_bitset() else { return Ok(term.doc_freq.into()) };
        let postings = self
            .index(place)
            .read_postings_from_terminfo(term, IndexRecordOption::Basic)
            .map_err(TantivyError::from)?;
        Ok(postings.doc_freq_given_deletes(alive).into())
    }
}
