//! A column of states of orders, with what its texts say.

use std::collections::{BTreeMap, HashMap};

use super::vocabulary::{StateCell, StateColumn};
use crate::check::prefix;

/// Different texts of a column of states that are kept.
const MAX_STATES: usize = 1_000;
/// Bytes of a text that is not known.
const MAX_STATE_BYTES: usize = 60;

/// A column of states.
#[derive(Clone, Debug)]
pub(super) struct BoundState {
    pub place: usize,
    column: StateColumn,
    /// What the texts of the column say. Looked up only.
    read: HashMap<Box<str>, StateCell>,
    /// Texts that are not known: how many lines have them. Those lines are purchases.
    pub unknown: BTreeMap<Box<str>, u64>,
}

impl BoundState {
    pub fn new(place: usize, column: &str) -> Self {
        Self { place, column: StateColumn::named(column), read: HashMap::new(), unknown: BTreeMap::new() }
    }

    /// What a text of the column says.
    pub fn says(&self, text: &str) -> StateCell {
        self.read.get(text).copied().unwrap_or_else(|| self.column.read(text))
    }

    /// Keeps what a text says, so that the next rows that have it need not read it, and counts those that are not known.
    pub fn note(&mut self, text: &str) {
        let says = self.says(text);
        if self.read.len() < MAX_STATES && !self.read.contains_key(text) {
            self.read.insert(text.into(), says);
        }
        if says == StateCell::Unknown {
            let text = prefix(text.trim(), MAX_STATE_BYTES);
            if self.unknown.len() < MAX_STATES || self.unknown.contains_key(text) {
                *self.unknown.entry(text.into()).or_default() += 1;
            }
        }
    }
}
