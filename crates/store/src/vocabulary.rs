//! Names and their dense indices: the order of first appearance in the log.
//!
//! Both folds over the log (facts and learned state) meet a name at the same record, so they agree on its index.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::SequenceMarks;

/// Names in a page of a checkpoint.
const PAGE: usize = 256;

/// Gives each name the next index, and finds one from the other. The names are in one string, because there may be millions.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    // Only looked up; `ends` has the order.
    table: HashTable<u32>,
    // Random, because names come from outside and could be chosen to collide.
    hasher: RandomState,
    marks: SequenceMarks,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            marks: SequenceMarks::new(PAGE, 0),
        }
    }
}

impl Vocabulary {
    /// The index of `name`; the next free one if the name is new.
    ///
    /// # Panics
    /// When there are more than 2^32 names.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(index) = self.get(name) {
            return index;
        }
        let index = u32::try_from(self.ends.len()).expect("fewer than 2^32 names");
        self.marks.touch(self.ends.len());
        self.text.push_str(name);
        self.ends.push(self.text.len());
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let hash = |&index: &u32| hasher.hash_one(at(text, ends, index));
        self.table.insert_unique(self.hasher.hash_one(name), index, hash);
        index
    }

    /// The index of `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        let is_it = |&index: &u32| at(&self.text, &self.ends, index) == name;
        self.table.find(self.hasher.hash_one(name), is_it).copied()
    }

    /// The name at `index`.
    pub fn name(&self, index: u32) -> Option<&str> {
        ((index as usize) < self.ends.len()).then(|| at(&self.text, &self.ends, index))
    }

    /// Number of names. Indices are below it.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names in the order of their indices.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len() as u32).map(|index| at(&self.text, &self.ends, index))
    }
}

/// The name at `index`, which must exist.
fn at<'a>(text: &'a str, ends: &[usize], index: u32) -> &'a str {
    let index = index as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &text[start..ends[index]]
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends && self.text == other.text
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.ends.len()))?;
        self.marks.serialize(self.ends.len(), |mut places| {
            places.try_for_each(|index| seq.serialize_element(at(&self.text, &self.ends, index as u32)))
        })?;
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<Box<str>>::deserialize(deserializer)?;
        let mut vocabulary = Self::default();
        for name in &names {
            vocabulary.intern(name);
        }
        Ok(vocabulary)
    }
}
