//! Assigns indices to names: the first name is 0, the next new one 1, and so on.

use std::collections::HashMap;

/// Indices of names, in the order of their first occurrence.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// It is only looked up, never iterated, so its order cannot affect a result.
    numbers: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

impl Vocabulary {
    /// The index of a name; a new name gets the next one.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }

    /// The indices in `other` of all names here, where new names get the next ones.
    pub fn moved_into(&self, other: &mut Vocabulary) -> Vec<u32> {
        self.names.iter().map(|name| other.number(name)).collect()
    }

    /// The index of a known name.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name with this index.
    pub fn name(&self, number: u32) -> Option<&str> {
        self.names.get(number as usize).map(|name| &**name)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
