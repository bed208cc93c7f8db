//! The cost of an answer, counted in operations. Unlike times, counts are the same on every machine, so tests can check
//! bounds on them.

use std::cell::Cell;

/// Counters of one answer.
#[derive(Debug, Default)]
pub(super) struct Work {
    looked_at: Cell<u64>,
    scored: Cell<u64>,
    compared: Cell<u64>,
}

impl Work {
    /// `n` items were tested for whether the page may show them.
    pub fn look_at(&self, n: usize) {
        self.looked_at.set(self.looked_at.get() + n as u64);
    }

    /// The models scored `n` items.
    pub fn score(&self, n: usize) {
        self.scored.set(self.scored.get() + n as u64);
    }

    /// `n` pairs of items were compared by their descriptions.
    pub fn compare(&self, n: usize) {
        self.compared.set(self.compared.get() + n as u64);
    }
}

#[cfg(test)]
impl Work {
    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    pub fn scored(&self) -> u64 {
        self.scored.get()
    }

    pub fn compared(&self) -> u64 {
        self.compared.get()
    }
}
