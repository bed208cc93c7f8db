//! The entries of one kind out of a batch.

use accrue_engine::{Ingested, Refused};

/// The entries of one kind, with their positions in the batch.
pub(super) struct Part<T> {
    pub entries: Vec<T>,
    pub places: Vec<usize>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Vec::new() }
    }
}

impl<T> Part<T> {
    pub(super) fn push(&mut self, place: usize, entry: T) {
        self.entries.push(entry);
        self.places.push(place);
    }
}

/// Adds what came of a part to what came of its batch, with the positions that its records have there.
pub(super) fn add(total: &mut Ingested, part: Ingested, places: &[usize]) {
    total.accepted += part.accepted;
    total.repaired += part.repaired;
    total.duplicates += part.duplicates;
    let moved = |refused: Refused| Refused { index: places[refused.index], ..refused };
    total.quarantined.extend(part.quarantined.into_iter().map(moved));
    total.refused_again.extend(part.refused_again.into_iter().map(moved));
    total.add_notes(part.repairs, part.misspelt);
    total.add_warnings(part.dropped, part.leap);
    total.offset = total.offset.max(part.offset);
}
