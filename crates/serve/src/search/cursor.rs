//! One list of a query in one segment: the documents of a term, or those of several terms together.

use tantivy::postings::{Postings as _, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet as _, TERMINATED};

use super::SearchError;
use super::plan::Looked;
use super::snapshot::Segment;

/// A list with its weight.
pub(super) struct Cursor {
    list: List,
    pub weight: f32,
    pub is_full: bool,
    pub guess: Option<usize>,
}

enum List {
    Term(Box<SegmentPostings>),
    /// Documents in ascending order; the place of the first word in each.
    Together {
        documents: Vec<(u32, u32)>,
        at: usize,
    },
}

impl Cursor {
    /// `None` if the segment has no such document.
    pub(super) fn open(segment: &Segment, looked: &Looked, positions: bool) -> Result<Option<Self>, SearchError> {
        let option = if positions { IndexRecordOption::WithFreqsAndPositions } else { IndexRecordOption::WithFreqs };
        let list = match &*looked.terms {
            [term] => match segment.postings(looked.place, term, option)? {
                Some(postings) => List::Term(Box::new(postings)),
                None => return Ok(None),
            },
            _ => List::Together { documents: together(segment, looked)?, at: 0 },
        };
        Ok(Some(Self { list, weight: looked.weight, is_full: looked.is_full, guess: looked.guess }))
    }

    /// The document that it stands at; [`TERMINATED`] behind the last one.
    pub(super) fn doc(&self) -> u32 {
        match &self.list {
            List::Term(postings) => postings.doc(),
            List::Together { documents, at } => documents.get(*at).map_or(TERMINATED, |(doc, _)| *doc),
        }
    }

    /// How often the document has it.
    pub(super) fn frequency(&self) -> u32 {
        match &self.list {
            List::Term(postings) => postings.term_freq(),
            List::Together { .. } => 1,
        }
    }

    /// Goes to the first document that is not before `doc`.
    pub(super) fn seek(&mut self, doc: u32) {
        if self.doc() >= doc {
            return;
        }
        match &mut self.list {
            List::Term(postings) => drop(postings.seek(doc)),
            List::Together { documents, at } => *at += documents[*at..].partition_point(|(known, _)| *known < doc),
        }
    }

    /// Where the document has it.
    pub(super) fn positions(&mut self, positions: &mut Vec<u32>) {
        match &mut self.list {
            List::Term(postings) => postings.positions(positions),
            List::Together { documents, at } => {
                positions.clear();
                positions.extend(documents.get(*at).map(|(_, position)| *position));
            }
        }
    }

    /// Visits the documents before `end` with their frequencies.
    pub(super) fn each(&mut self, end: u32, mut visit: impl FnMut(u32, u32)) {
        match &mut self.list {
            List::Term(postings) => {
                let mut doc = postings.doc();
                while doc < end {
                    visit(doc, postings.term_freq());
                    doc = postings.advance();
                }
            }
            List::Together { documents, at } => {
                while let Some((doc, _)) = documents.get(*at).filter(|(doc, _)| *doc < end) {
                    visit(*doc, 1);
                    *at += 1;
                }
            }
        }
    }
}

/// The documents that have all terms, side by side if it is a phrase.
fn together(segment: &Segment, looked: &Looked) -> Result<Vec<(u32, u32)>, SearchError> {
    let mut lists = Vec::with_capacity(looked.terms.len());
    for term in &looked.terms {
        match segment.postings(looked.place, term, IndexRecordOption::WithFreqsAndPositions)? {
            Some(postings) => lists.push(postings),
            None => return Ok(Vec::new()),
        }
    }
    let mut documents = Vec::new();
    let mut places: Vec<Vec<u32>> = vec![Vec::new(); lists.len()];
    let mut doc = lists.first().map_or(TERMINATED, |first| first.doc());
    while doc != TERMINATED {
        let mut next = doc;
        for list in &mut lists {
            if list.doc() < next {
                list.seek(next);
            }
            next = next.max(list.doc());
        }
        if next == doc {
            lists.iter_mut().zip(&mut places).for_each(|(list, places)| list.positions(places));
            let follows = |first: u32| {
                let mut rest = places.iter().enumerate().skip(1);
                rest.all(|(nth, places)| places.binary_search(&(first + nth as u32)).is_ok())
            };
            let first = places[0].iter().copied().find(|first| !looked.is_phrase || follows(*first));
            documents.extend(first.map(|position| (doc, position)));
            next = lists[0].advance();
        }
        doc = next;
    }
    Ok(documents)
}
