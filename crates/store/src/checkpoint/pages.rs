//! Pages: the parts in which a large state is written, so that a checkpoint writes only those that changed.
//!
//! A large structure is divided into pages of neighbouring elements, and up to [`PAGES`] pages into a block. The structure keeps
//! [`PageMarks`] for each block, calls [`PageMarks::touch`] whenever the bytes of a page may change, and serialises its elements through
//! [`serialize_pages`]. While a checkpoint is being written ([`SectionWriter::value`](super::SectionWriter::value)), a page that did
//! not change since it was last written is referred to and not serialised. In all other cases (digests, tests) all pages are serialised,
//! so the bytes of a value never depend on its marks.
//!
//! `serde` cannot pass a context to a `Serialize` implementation, so the checkpoint that is being written is found through a thread-local
//! variable, which is set during one call of `value`.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::body::Body;
use super::marks::{PAGES, PageMarks};

/// Marks for a growing sequence of elements, `page_len` to a page.
#[derive(Clone, Debug)]
pub struct SequenceMarks {
    page_len: usize,
    blocks: Vec<PageMarks>,
}

impl SequenceMarks {
    /// Marks for `len` elements that were not written yet, `page_len` to a page.
    pub fn new(page_len: usize, len: usize) -> Self {
        assert!(page_len > 0, "a page has at least one element");
        let mut marks = Self { page_len, blocks: Vec::new() };
        if len > 0 {
            marks.touch(len - 1);
        }
        marks
    }

    /// Notes that the element at `place` may change, or is new.
    #[inline]
    pub fn touch(&mut self, place: usize) {
        let page = place / self.page_len;
        if page / PAGES >= self.blocks.len() {
            self.blocks.resize_with(page / PAGES + 1, PageMarks::default);
        }
        self.blocks[page / PAGES].touch(page % PAGES);
    }

    /// Notes that every element may change.
    pub fn touch_all(&mut self) {
        self.blocks.iter_mut().for_each(PageMarks::touch_all);
    }

    /// Serialises the elements `0..len`: calls `page` with the places of each page that has to be written, in order.
    ///
    /// # Errors
    /// The first error of `page`.
    ///
    /// # Panics
    /// If elements were added without a touch.
    pub fn serialize<E>(&self, len: usize, mut page: impl FnMut(Range<usize>) -> Result<(), E>) -> Result<(), E> {
        let block_len = self.page_len * PAGES;
        for block in 0..len.div_ceil(block_len) {
            let (start, end) = (block * block_len, len.min((block + 1) * block_len));
            let n_pages = (end - start).div_ceil(self.page_len);
            serialize_pages(&self.blocks[block], n_pages, |number| {
                let first = start + number * self.page_len;
                page(first..end.min(first + self.page_len))
            })?;
        }
        Ok(())
    }

    /// All touched places are below this one.
    pub(crate) fn end(&self) -> usize {
        self.blocks.len() * self.page_len * PAGES
    }
}

thread_local! {
    /// The file into which this thread is serialising a value.
    static WRITING: RefCell<Option<Rc<RefCell<Body>>>> = const { RefCell::new(None) };
}

/// Sets the file into which the thread serialises, until it is dropped.
pub(super) struct Writing {
    before: Option<Rc<RefCell<Body>>>,
}

impl Writing {
    pub(super) fn into_file(body: &Rc<RefCell<Body>>) -> Self {
        Self { before: WRITING.replace(Some(body.clone())) }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(self.before.take());
    }
}

/// Serialises the `n_pages` pages of a block: calls `page` for each that has to be written, in order. `page` serialises the elements of
/// the page and nothing else.
///
/// # Errors
/// The first error of `page`.
pub fn serialize_pages<E>(
    marks: &PageMarks,
    n_pages: usize,
    mut page: impl FnMut(usize) -> Result<(), E>,
) -> Result<(), E> {
    let body = WRITING.with_borrow(Option::clone);
    // A page is not divided into smaller ones.
    let Some(body) = body.filter(|body| body.borrow_mut().begin_block(marks, n_pages)) else {
        return (0..n_pages).try_for_each(page);
    };
    for place in 0..n_pages {
        if !body.borrow_mut().begin_page(marks, place) {
            continue;
        }
        page(place)?;
        body.borrow_mut().end_page();
    }
    body.borrow_mut().end_block(marks);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_checkpoint_every_element_is_serialised_in_order() {
        let marks = SequenceMarks::new(3, 1000);
        for len in [0, 1, 3, 191, 192, 193, 1000] {
            let mut seen = Vec::new();
            let serialized = marks.serialize(len, |places| {
                seen.extend(places);
                Ok::<(), ()>(())
            });
            assert_eq!(serialized, Ok(()));
            assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
