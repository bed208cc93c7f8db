//! Collections that mark which of their pages changed, so that a checkpoint writes only those.
//!
//! They serialise as a vector and a map do, and are read like them. Changes go through methods that mark the page.

use std::collections::{BTreeMap, btree_map};
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::SequenceMarks;

/// A vector whose elements are written in pages of `PAGE`.
#[derive(Clone, Debug)]
pub struct PagedVec<T, const PAGE: usize> {
    elements: Vec<T>,
    marks: SequenceMarks,
}

impl<T, const PAGE: usize> Default for PagedVec<T, PAGE> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T, const PAGE: usize> From<Vec<T>> for PagedVec<T, PAGE> {
    fn from(elements: Vec<T>) -> Self {
        Self { marks: SequenceMarks::new(PAGE, elements.len()), elements }
    }
}

impl<T, const PAGE: usize> PagedVec<T, PAGE> {
    /// Adds an element at the end.
    pub fn push(&mut self, element: T) {
        self.marks.touch(self.elements.len());
        self.elements.push(element);
    }

    /// The element at `place`, for writing.
    ///
    /// # Panics
    /// If there is none.
    pub fn get_mut(&mut self, place: usize) -> &mut T {
        self.marks.touch(place);
        &mut self.elements[place]
    }

    /// The element at `place`, for writing. If there is none, the vector grows.
    pub fn get_mut_or_grow(&mut self, place: usize) -> &mut T
    where
        T: Default,
    {
        if place >= self.elements.len() {
            (self.elements.len()..=place).for_each(|new| self.marks.touch(new));
            self.elements.resize_with(place + 1, T::default);
        }
        self.get_mut(place)
    }

    /// The elements, for replacing them by others that serialise to the same bytes. Nothing is marked.
    pub fn interchange(&mut self) -> &mut [T] {
        &mut self.elements
    }

    /// Removes the first `n` elements and returns them.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn drain_front(&mut self, n: usize) -> std::vec::Drain<'_, T> {
        if n > 0 {
            self.marks.touch_all();
        }
        self.elements.drain(..n)
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<T, const PAGE: usize> Extend<T> for PagedVec<T, PAGE> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T, const PAGE: usize> Deref for PagedVec<T, PAGE> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

impl<T: PartialEq, const PAGE: usize> PartialEq for PagedVec<T, PAGE> {
    fn eq(&self, other: &Self) -> bool {
        self.elements == other.elements
    }
}

impl<T: Serialize, const PAGE: usize> Serialize for PagedVec<T, PAGE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.elements.len()))?;
        self.marks.serialize(self.elements.len(), |places| {
            self.elements[places].iter().try_for_each(|element| seq.serialize_element(element))
        })?;
        seq.end()
    }
}

impl<'de, T: Deserialize<'de>, const PAGE: usize> Deserialize<'de> for PagedVec<T, PAGE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// The key of a map in pages: a dense index or an offset.
pub trait PageKey: Copy + Ord {
    /// The key as a number.
    fn place(self) -> u64;
    /// The key with that number.
    fn at(place: u64) -> Self;
}

impl PageKey for u32 {
    fn place(self) -> u64 {
        self.into()
    }

    fn at(place: u64) -> Self {
        Self::try_from(place).unwrap_or(Self::MAX)
    }
}

impl PageKey for crate::Offset {
    fn place(self) -> u64 {
        self.0
    }

    fn at(place: u64) -> Self {
        Self(place)
    }
}

/// An ordered map whose entries are written in pages: a page has the entries of `PAGE` consecutive numbers.
#[derive(Clone, Debug)]
pub struct PagedMap<K, V, const PAGE: usize> {
    entries: BTreeMap<K, V>,
    marks: SequenceMarks,
}

impl<K, V, const PAGE: usize> Default for PagedMap<K, V, PAGE> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), marks: SequenceMarks::new(PAGE, 0) }
    }
}

impl<K: PageKey, V, const PAGE: usize> PagedMap<K, V, PAGE> {
    /// Adds an entry or replaces it; returns the value that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.marks.touch(key.place() as usize);
        self.entries.insert(key, value)
    }

    /// Removes an entry; returns the value that it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.entries.remove(key);
        if removed.is_some() {
            self.marks.touch(key.place() as usize);
        }
        removed
    }
}

impl<K, V, const PAGE: usize> Deref for PagedMap<K, V, PAGE> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.entries
    }
}

impl<K, V, const PAGE: usize> IntoIterator for PagedMap<K, V, PAGE> {
    type Item = (K, V);
    type IntoIter = btree_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: PartialEq, V: PartialEq, const PAGE: usize> PartialEq for PagedMap<K, V, PAGE> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: PageKey + Serialize, V: Serialize, const PAGE: usize> Serialize for PagedMap<K, V, PAGE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        self.marks.serialize(self.marks.end(), |places| {
            let keys = K::at(places.start as u64)..K::at(places.end as u64);
            self.entries.range(keys).try_for_each(|(key, value)| map.serialize_entry(key, value))
        })?;
        map.end()
    }
}

impl<'de, K: PageKey + Deserialize<'de>, V: Deserialize<'de>, const PAGE: usize> Deserialize<'de>
    for PagedMap<K, V, PAGE>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<K, V>::deserialize(deserializer)?;
        let len = entries.last_key_value().map_or(0, |(key, _)| key.place() as usize + 1);
        Ok(Self { entries, marks: SequenceMarks::new(PAGE, len) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_serialise_as_a_vector_and_a_map_do() {
        let vec: Vec<u32> = (0..1000).collect();
        let paged = PagedVec::<u32, 7>::from(vec.clone());
        assert_eq!(postcard::to_stdvec(&paged).unwrap(), postcard::to_stdvec(&vec).unwrap());
        let mut map = BTreeMap::new();
        let mut paged = PagedMap::<u32, Box<str>, 7>::default();
        for key in [0, 5, 6, 7, 1000, 40_000, u32::MAX - 1] {
            map.insert(key, Box::<str>::from(key.to_string()));
            paged.insert(key, key.to_string().into());
        }
        let bytes = postcard::to_stdvec(&map).unwrap();
        assert_eq!(postcard::to_stdvec(&paged).unwrap(), bytes);
        let back: PagedMap<u32, Box<str>, 7> = postcard::from_bytes(&bytes).unwrap();
        assert!(back == paged && postcard::to_stdvec(&back).unwrap() == bytes);
    }
}
