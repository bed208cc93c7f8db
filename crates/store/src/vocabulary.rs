//! Names and their dense indices: the order of first appearance in the log.
//!
//! Both folds over the log (facts and learned state) meet a name at the same record, so they agree on its index.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Gives each name the next index, and finds either from the other.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    // The map only answers "which index"; whoever needs an order walks `names`.
    index: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Vocabulary {
    /// The index of `name`; the next free one if the name is new.
    ///
    /// # Panics
    /// When there are more than 2^32 names.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        let index = u32::try_from(self.names.len()).expect("fewer than 2^32 names");
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.index.insert(name, index);
        index
    }

    /// The index of `name`, if it was ever seen.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The name at `index`.
    pub fn name(&self, index: u32) -> Option<&Arc<str>> {
        self.names.get(index as usize)
    }

    /// How many names there are; indices run from 0 to below it.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name was seen yet.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in the order of their indices.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names.iter().map(|name| &**name))
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
