//! A growing array whose snapshots are cheap: chunks are shared and copied when written after a snapshot.
//!
//! Publishing a model clones it; with this array a clone costs a pointer a node (some thousands of elements), and a write
//! after it copies one chunk. Readers of a snapshot never wait and never see a write.

use accrue_kernel::Shared;
use accrue_store::{PAGES, PageMarks, serialize_pages};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Chunks in a node of the tree: as many as a block of a checkpoint has pages.
const NODE: usize = PAGES;
/// The largest size of a page of a checkpoint, in bytes, if chunks are smaller.
const PAGE_BYTES: usize = 1 << 12;

type Chunk<T> = Shared<[T]>;

/// Consecutive chunks, and which of their pages changed since they were last written to a checkpoint. The references to the chunks are part
/// of the node's own allocation, so that an element is three dependent reads away.
#[derive(Clone, Debug)]
struct Node<T> {
    chunks: [Chunk<T>; NODE],
    marks: PageMarks,
}

/// An array of rows of `T`, each as wide as the others, in shared chunks.
#[derive(Clone, Debug)]
pub struct CowVec<T> {
    nodes: Vec<Shared<Node<T>>>,
    n_rows: usize,
    /// Elements of a row.
    width: usize,
    /// A chunk holds `1 << chunk_bits` rows.
    chunk_bits: u32,
    /// A page of a checkpoint holds `1 << page_bits` chunks.
    page_bits: u32,
    fill: T,
    /// The chunk that every unwritten chunk refers to.
    blank: Chunk<T>,
    copied_bytes: u64,
}

impl<T: Clone> CowVec<T> {
    /// An empty array with `chunk_len` elements to a chunk, a power of two; elements that were never written read as `fill`.
    pub fn new(chunk_len: usize, fill: T) -> Self {
        Self::of_rows(chunk_len, 1, fill)
    }

    /// An empty array of rows of `width` elements, `chunk_rows` to a chunk, a power of two.
    pub fn of_rows(chunk_rows: usize, width: usize, fill: T) -> Self {
        assert!(chunk_rows.is_power_of_two(), "a chunk holds a power of two of rows");
        assert!(width > 0, "a row has at least one element");
        // The pointees are written with the elements, so a page of pointers is one chunk.
        let chunk_bytes = if std::mem::needs_drop::<T>() { PAGE_BYTES } else { size_of::<T>() * width * chunk_rows };
        let page_bits = (PAGE_BYTES / chunk_bytes.max(1)).clamp(1, NODE).ilog2();
        let chunk_bits = chunk_rows.trailing_zeros();
        let blank = std::iter::repeat_n(fill.clone(), chunk_rows * width).collect();
        Self { nodes: Vec::new(), n_rows: 0, width, chunk_bits, page_bits, fill, blank, copied_bytes: 0 }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Elements of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Bytes copied by writes to shared chunks so far (of the chunks themselves, not of what their elements point to).
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// The first element of a row (of width 1: the only one); the fill value beyond the end.
    #[inline]
    pub fn get(&self, row: usize) -> &T {
        if row >= self.n_rows { &self.fill } else { &self.chunk_of(row)[self.start(row)] }
    }

    /// The elements of a row; `None` beyond the end.
    #[inline]
    pub fn row(&self, row: usize) -> Option<&[T]> {
        (row < self.n_rows).then(|| &self.chunk_of(row)[self.start(row)..][..self.width])
    }

    /// Prefetches a row, with the reference count that a write to it checks.
    #[inline]
    pub fn prefetch(&self, row: usize) {
        if row < self.n_rows {
            let chunk = self.chunk_of(row);
            accrue_kernel::prefetch(&chunk[self.start(row)..][..self.width]);
            chunk.prefetch_count();
        }
    }

    #[inline]
    fn chunk_of(&self, row: usize) -> &Chunk<T> {
        let chunk = row >> self.chunk_bits;
        &self.nodes[chunk / NODE].chunks[chunk % NODE]
    }

    /// Where a row begins in its chunk.
    #[inline]
    fn start(&self, row: usize) -> usize {
        (row & ((1 << self.chunk_bits) - 1)) * self.width
    }

    /// The first element of a row for writing; grows the array to hold it.
    #[inline]
    pub fn get_mut(&mut self, row: usize) -> &mut T {
        &mut self.row_mut(row)[0]
    }

    /// The elements of a row for writing; grows the array to hold them.
    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        if row >= self.n_rows {
            self.grow(row + 1);
        }
        let (chunk, start, width) = (row >> self.chunk_bits, self.start(row), self.width);
        let Self { nodes, blank, copied_bytes, page_bits, .. } = self;
        let node = nodes[chunk / NODE].make_mut();
        node.marks.touch((chunk % NODE) >> *page_bits);
        let elements = node.chunks[chunk % NODE].make_mut_noting(|shared| {
            if !shared.ptr_eq(blank) {
                *copied_bytes += size_of_val::<[T]>(shared) as u64;
            }
        });
        &mut elements[start..start + width]
    }

    #[cold]
    fn grow(&mut self, n_rows: usize) {
        let (n_chunks, n_before) = (n_rows.div_ceil(1 << self.chunk_bits), self.n_rows.div_ceil(1 << self.chunk_bits));
        while self.nodes.len() * NODE < n_chunks {
            let chunks = std::array::from_fn(|_| self.blank.clone());
            self.nodes.push(Shared::new(Node { chunks, marks: PageMarks::default() }));
        }
        // The rest of the last chunk now belongs to the array, and so do all chunks after it.
        for chunk in n_before.saturating_sub(1)..n_chunks {
            self.nodes[chunk / NODE].make_mut().marks.touch((chunk % NODE) >> self.page_bits);
        }
        self.n_rows = n_rows;
    }

    /// Refers to the chunks of `other` wherever both hold the same values: states that were read from files one by one share memory again.
    pub fn share_with(&mut self, other: &Self)
    where
        T: PartialEq,
    {
        if self.chunk_bits != other.chunk_bits || self.width != other.width {
            return;
        }
        for (node, theirs) in self.nodes.iter_mut().zip(&other.nodes) {
            if node.ptr_eq(theirs) {
                continue;
            }
            if node.chunks == theirs.chunks {
                *node = theirs.clone();
                continue;
            }
            let node = node.make_mut();
            for (place, (chunk, theirs)) in node.chunks.iter_mut().zip(&theirs.chunks).enumerate() {
                if chunk == theirs && !chunk.ptr_eq(theirs) {
                    *chunk = theirs.clone();
                    // Zeros of both signs are equal but differ in their bytes.
                    node.marks.touch(place >> self.page_bits);
                }
            }
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks().flatten()
    }

    /// The chunks in order; the last one is cut at the end of the array.
    pub fn chunks(&self) -> impl Iterator<Item = &[T]> {
        (0..self.n_rows.div_ceil(1 << self.chunk_bits)).map(|chunk| self.chunk(chunk))
    }

    /// The elements of a chunk; the last one is cut at the end of the array.
    fn chunk(&self, chunk: usize) -> &[T] {
        let elements = &self.nodes[chunk / NODE].chunks[chunk % NODE];
        let left = (self.n_rows - (chunk << self.chunk_bits)) * self.width;
        &elements[..left.min(elements.len())]
    }
}

impl<T: PartialEq + Clone> PartialEq for CowVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.n_rows == other.n_rows && self.width == other.width && self.iter().eq(other.iter())
    }
}

impl<T: Clone + Serialize> Serialize for CowVec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        struct Elements<'a, T>(&'a CowVec<T>);
        impl<T: Clone + Serialize> Serialize for Elements<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq;
                let array = self.0;
                let mut seq = serializer.serialize_seq(Some(array.n_rows * array.width))?;
                let n_chunks = array.n_rows.div_ceil(1 << array.chunk_bits);
                for (number, node) in array.nodes.iter().enumerate() {
                    let (first, end) = (number * NODE, n_chunks.min((number + 1) * NODE));
                    serialize_pages(&node.marks, (end - first).div_ceil(1 << array.page_bits), |page| {
                        let start = first + (page << array.page_bits);
                        let mut elements =
                            (start..end.min(start + (1 << array.page_bits))).map(|chunk| array.chunk(chunk));
                        elements
                            .try_for_each(|chunk| chunk.iter().try_for_each(|element| seq.serialize_element(element)))
                    })?;
                }
                seq.end()
            }
        }
        let mut tuple = serializer.serialize_tuple(4)?;
        tuple.serialize_element(&self.chunk_bits)?;
        tuple.serialize_element(&(self.width as u64))?;
        tuple.serialize_element(&self.fill)?;
        tuple.serialize_element(&Elements(self))?;
        tuple.end()
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for CowVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (chunk_bits, width, fill, elements) = <(u32, u64, T, Vec<T>)>::deserialize(deserializer)?;
        let width = width as usize;
        if chunk_bits > 24 || width == 0 || !elements.len().is_multiple_of(width) {
            return Err(serde::de::Error::custom("an array whose rows do not fit its elements"));
        }
        let mut array = CowVec::of_rows(1 << chunk_bits, width, fill);
        for (row, elements) in elements.chunks_exact(width).enumerate() {
            array.row_mut(row).clone_from_slice(elements);
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
    fn equal_chunks_are_shared_again() {
        let mut array = CowVec::new(4, 0_u32);
        (0..1000).for_each(|place| *array.get_mut(place) = place as u32);
        let mut other: CowVec<u32> = postcard::from_bytes(&postcard::to_stdvec(&array).unwrap()).unwrap();
        *other.get_mut(500) = 0;
        other.share_with(&array);
        assert_eq!((*other.get(500), *other.get(501)), (0, 501));
        let shared = |array: &CowVec<u32>, other: &CowVec<u32>| {
            let pairs = array.chunks().zip(other.chunks());
            pairs.filter(|(mine, theirs)| std::ptr::eq(mine.as_ptr(), theirs.as_ptr())).count()
        };
        assert_eq!(shared(&array, &other), 249, "all but the chunk that differs");
        *other.get_mut(3) = 9;
        assert_eq!((*array.get(3), shared(&array, &other)), (3, 248));
    }

    #[test]
    fn elements_come_back_from_their_bytes() {
        let mut array = CowVec::new(2, 0_u32);
        for place in 0..500 {
            *array.get_mut(place) = place as u32;
        }
        let bytes = postcard::to_stdvec(&array).unwrap();
        let back: CowVec<u32> = postcard::from_bytes(&bytes).unwrap();
        assert!(back == array);
        assert_eq!(back.chunks().map(<[u32]>::len).sum::<usize>(), 500);
    }
}
