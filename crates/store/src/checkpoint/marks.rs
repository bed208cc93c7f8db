//! Marks of changed pages: which pages of a block changed since a checkpoint wrote them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Largest number of pages of a block: one bit for each.
pub const PAGES: usize = 64;

/// Which pages of a block changed since they were last written to a checkpoint.
///
/// Clones have the same earlier writing and mark their changes separately. So a copy-on-write structure keeps the marks inside the part
/// that it copies.
#[derive(Debug, Default)]
pub struct PageMarks {
    /// Number of the last writing of the block; 0 before the first. No two writings of a process have the same number.
    written: AtomicU64,
    /// A bit for each page that has changed since then.
    changed: AtomicU64,
}

impl PageMarks {
    /// Notes that the bytes of a page may change.
    #[inline]
    pub fn touch(&mut self, page: usize) {
        *self.changed.get_mut() |= 1 << (page % PAGES);
    }

    /// Notes that the bytes of every page may change.
    pub fn touch_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn is_changed(&self, page: usize) -> bool {
        self.changed.load(Ordering::Relaxed) >> page & 1 == 1
    }

    pub(super) fn has_changes(&self) -> bool {
        self.changed.load(Ordering::Relaxed) != 0
    }

    /// Records that all pages were written, and returns the number of that writing.
    pub(super) fn note_written(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = NEXT.fetch_add(1, Ordering::Relaxed);
        self.written.store(name, Ordering::Relaxed);
        // `clone` reads the changes first, so a clone made meanwhile never has the old number without the changes since then.
        self.changed.store(0, Ordering::Release);
        name
    }
}

impl Clone for PageMarks {
    fn clone(&self) -> Self {
        let changed = self.changed.load(Ordering::Acquire);
        Self { written: self.written().into(), changed: changed.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_have_the_same_earlier_writing_and_changes_of_their_own() {
        let mut marks = PageMarks::default();
        marks.touch(3);
        let name = marks.note_written();
        let mut clone = marks.clone();
        clone.touch(5);
        assert_eq!((marks.written(), clone.written()), (name, name));
        assert!(!marks.has_changes() && clone.is_changed(5) && !clone.is_changed(3));
        assert_ne!(marks.note_written(), name);
    }
}
