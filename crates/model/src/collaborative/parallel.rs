//! Work divided among threads, with a result that does not depend on how many there are.
//!
//! In: a slice cut into chunks of a fixed size, and work on a chunk that reads nothing another chunk writes. Out: the
//! slice, written. The caller does a reduction over chunks in their order. Refuses: shared state; a thread's scratch
//! memory must not affect the result.

use std::sync::Mutex;

/// Runs `work(scratch, chunk number, chunk)` for each chunk of `chunk_len` elements of `out`.
///
/// Chunks are handed out as threads become free; `scratch` is created once a thread.
///
/// # Panics
/// If `chunk_len` is 0 or `work` panics.
pub fn for_each_chunk<T: Send, S>(
    threads: usize,
    out: &mut [T],
    chunk_len: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize, &mut [T]) + Sync,
) {
    let n_chunks = out.len().div_ceil(chunk_len);
    let chunks = out.chunks_mut(chunk_len).enumerate();
    if threads <= 1 || n_chunks <= 1 {
        let mut scratch = scratch();
        chunks.for_each(|(number, chunk)| work(&mut scratch, number, chunk));
        return;
    }
    let queue = Mutex::new(chunks);
    let next = || queue.lock().expect("a thread that panicked ends the scope").next();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(n_chunks) {
            scope.spawn(|| {
                let mut scratch = scratch();
                while let Some((number, chunk)) = next() {
                    work(&mut scratch, number, chunk);
                }
            });
        }
    });
}

/// `work(scratch, 0), work(scratch, 1), …` as a vector in that order.
pub fn map<T: Send + Default + Clone, S>(
    threads: usize,
    n: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let mut out = vec![T::default(); n];
    // About 16 chunks a thread: chunks take unequal time, and each costs a lock of the queue.
    let chunk_len = n.div_ceil(threads.max(1) * 16).max(1);
    for_each_chunk(threads, &mut out, chunk_len, scratch, |scratch, number, chunk| {
        for (place, slot) in chunk.iter_mut().enumerate() {
            *slot = work(scratch, number * chunk_len + place);
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_computed_once_and_in_order() {
        for (threads, n) in [(1, 0), (1, 7), (2, 1), (2, 1000), (5, 33)] {
            let squares = map(threads, n, || (), |(), index| index * index);
            assert_eq!(squares, (0..n).map(|index| index * index).collect::<Vec<_>>(), "{threads} threads, {n}");
        }
    }
}
