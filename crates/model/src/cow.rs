//! A growing array whose snapshots are cheap: chunks are shared and copied when written after a snapshot.
//!
//! Publishing a model clones it; with this array a clone costs a pointer a node (some thousands of elements), and a write
//! after it copies one chunk. Readers of a snapshot never wait and never see a write.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Chunks in a node of the tree.
const NODE: usize = 64;

type Chunk<T> = Arc<Vec<T>>;

/// An array of `T` in shared chunks.
#[derive(Clone, Debug)]
pub struct CowVec<T> {
    nodes: Vec<Arc<Vec<Chunk<T>>>>,
    len: usize,
    chunk_len: usize,
    fill: T,
    copied_bytes: u64,
}

impl<T: Clone> CowVec<T> {
    /// An empty array with `chunk_len` elements to a chunk; elements that were never written read as `fill`.
    pub fn new(chunk_len: usize, fill: T) -> Self {
        assert!(chunk_len > 0, "a chunk holds at least one element");
        Self { nodes: Vec::new(), len: 0, chunk_len, fill, copied_bytes: 0 }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes copied by writes to shared chunks so far (of the chunks themselves, not of what their elements point to).
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// Element `place`; the fill value beyond the end.
    pub fn get(&self, place: usize) -> &T {
        if place >= self.len { &self.fill } else { &self.chunk_of(place)[place % self.chunk_len] }
    }

    /// `width` elements from `place` on, which must lie in one chunk; `None` beyond the end.
    pub fn run(&self, place: usize, width: usize) -> Option<&[T]> {
        if place + width > self.len {
            return None;
        }
        let start = place % self.chunk_len;
        Some(&self.chunk_of(place)[start..start + width])
    }

    fn chunk_of(&self, place: usize) -> &[T] {
        let chunk = place / self.chunk_len;
        &self.nodes[chunk / NODE][chunk % NODE]
    }

    /// Element `place` for writing; grows the array to hold it.
    pub fn get_mut(&mut self, place: usize) -> &mut T {
        &mut self.run_mut(place, 1)[0]
    }

    /// `width` elements for writing, all in one chunk; grows the array to hold them.
    pub fn run_mut(&mut self, place: usize, width: usize) -> &mut [T] {
        self.grow(place + width);
        let chunk = place / self.chunk_len;
        let node = Arc::make_mut(&mut self.nodes[chunk / NODE]);
        let shared = &mut node[chunk % NODE];
        if Arc::get_mut(shared).is_none() {
            self.copied_bytes += (self.chunk_len * size_of::<T>()) as u64;
        }
        let start = place % self.chunk_len;
        &mut Arc::make_mut(shared)[start..start + width]
    }

    fn grow(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        let n_chunks = len.div_ceil(self.chunk_len);
        let mut have = self.len.div_ceil(self.chunk_len);
        while have < n_chunks {
            if have.is_multiple_of(NODE) {
                self.nodes.push(Arc::new(Vec::with_capacity(NODE)));
            }
            let node = self.nodes.last_mut().expect("a node was pushed for the first chunk");
            Arc::make_mut(node).push(Arc::new(vec![self.fill.clone(); self.chunk_len]));
            have += 1;
        }
        self.len = len;
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks().flatten()
    }

    /// The chunks in order; the last one is cut at the end of the array.
    pub fn chunks(&self) -> impl Iterator<Item = &[T]> {
        let mut left = self.len;
        self.nodes.iter().flat_map(|node| node.iter()).map_while(move |chunk| {
            let take = left.min(self.chunk_len);
            left -= take;
            (take > 0).then(|| &chunk[..take])
        })
    }
}

impl<T: PartialEq + Clone> PartialEq for CowVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Clone + Serialize> Serialize for CowVec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        struct Elements<'a, T>(&'a CowVec<T>);
        impl<T: Clone + Serialize> Serialize for Elements<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq;
                let mut seq = serializer.serialize_seq(Some(self.0.len))?;
                for element in self.0.iter() {
                    seq.serialize_element(element)?;
                }
                seq.end()
            }
        }
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&(self.chunk_len as u64))?;
        tuple.serialize_element(&self.fill)?;
        tuple.serialize_element(&Elements(self))?;
        tuple.end()
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for CowVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (chunk_len, fill, elements) = <(u64, T, Vec<T>)>::deserialize(deserializer)?;
        if chunk_len == 0 {
            return Err(serde::de::Error::custom("a chunk of no elements"));
        }
        let mut array = CowVec::new(chunk_len as usize, fill);
        for (place, element) in elements.into_iter().enumerate() {
            *array.get_mut(place) = element;
        }
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_later_writes() {
        let mut array = CowVec::new(4, 0);
        *array.get_mut(1000) = 7;
        let snapshot = array.clone();
        *array.get_mut(1000) = 8;
        *array.get_mut(2000) = 9;
        assert_eq!((*snapshot.get(1000), snapshot.len(), *snapshot.get(2000)), (7, 1001, 0));
        assert_eq!((*array.get(1000), array.len()), (8, 2001));
    }

    #[test]
    fn only_a_write_to_a_shared_chunk_copies() {
        let mut array = CowVec::new(4, 0_u32);
        *array.get_mut(10) = 1;
        assert_eq!(array.copied_bytes(), 0);
        let snapshot = array.clone();
        *array.get_mut(10) = 2;
        *array.get_mut(11) = 2;
        assert_eq!(array.copied_bytes(), 16);
        drop(snapshot);
    }

    #[test]
    fn elements_come_back_from_their_bytes() {
        let mut array = CowVec::new(3, 0_u32);
        for place in 0..500 {
            *array.get_mut(place) = place as u32;
        }
        let bytes = postcard::to_stdvec(&array).unwrap();
        let back: CowVec<u32> = postcard::from_bytes(&bytes).unwrap();
        assert!(back == array);
        assert_eq!(back.chunks().map(<[u32]>::len).sum::<usize>(), 500);
    }
}
