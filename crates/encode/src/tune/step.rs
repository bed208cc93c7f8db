//! One step of a training: a batch forward, its loss, backward, and the update.
//!
//! A batch whose states take more than [`KEPT_BYTES`] is computed in slabs: first the vectors of all, then for each slab
//! the forward pass again and the backward pass (Gao et al., *Scaling deep contrastive learning batch size under memory
//! limited setup*, 2021). Slabs and groups follow from the lengths of the texts alone.

use std::ops::Range;

use accrue_kernel::axpy;

use super::gradient::{GradientScratch, add_gradients};
use super::loss::{Loss, contrast};
use super::parameters::Sizes;
use super::pass::{Group, PassScratch};
use super::threads::each;
use super::{Batch, Tuner};
use crate::EncodeError;

/// States that are kept for a backward pass: those of 32 pairs of 40 tokens each in a network of MiniLM's size.
const KEPT_BYTES: usize = 384 << 20;
/// Tokens of a group, about: its states then stay in the second-level cache.
const GROUP_TOKENS: usize = 192;

/// Memory from one step to the next, some of it for each thread.
#[derive(Debug, Default)]
pub(super) struct Memory {
    groups: Vec<Group>,
    passes: Vec<PassScratch>,
    gradients: Vec<GradientScratch>,
    pub buffers: Vec<Vec<f32>>,
    /// Bytes of states that are kept for a backward pass.
    pub kept_bytes: usize,
}

impl Memory {
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let mut memory = Self { kept_bytes: KEPT_BYTES, ..Self::default() };
        memory.passes.resize_with(threads, PassScratch::default);
        memory.gradients.resize_with(threads, GradientScratch::default);
        memory.buffers.resize_with(threads, Vec::default);
        memory
    }
}

impl Tuner {
    /// Learns from a batch; returns its loss before the update.
    ///
    /// # Errors
    /// If numbers are no longer finite; the parameters are then as they were.
    pub fn step(&mut self, batch: &Batch) -> Result<f64, EncodeError> {
        let (loss, _) = self.gradients(batch)?;
        let rate = self.rate();
        let how = (self.n_steps + 1, rate, self.settings.weight_decay);
        self.moments.step(&mut self.parameters, how, &mut self.memory.buffers)?;
        self.parameters.pack(self.parameters.first_layer, &mut self.memory.buffers);
        self.n_steps += 1;
        Ok(loss)
    }

    /// The loss of a batch as the network is, and the vectors of its texts, queries first; computes all gradients.
    pub(super) fn gradients(&mut self, batch: &Batch) -> Result<(f64, Vec<f32>), EncodeError> {
        let d = self.parameters.sizes.d;
        let places: Vec<u32> = batch.queries.iter().chain(&batch.passages).copied().collect();
        let lengths: Vec<usize> = places.iter().map(|&place| self.texts[place as usize].len()).collect();
        let slabs = slabs(&lengths, self.memory.kept_bytes / bytes_per_token(&self.parameters.sizes));
        let mut vectors = Vec::with_capacity(places.len() * d);
        for slab in &slabs {
            self.forward(&places[slab.clone()])?;
            self.memory.groups.iter().for_each(|group| vectors.extend_from_slice(&group.vectors));
        }
        let (queries, passages) = vectors.split_at(batch.queries.len() * d);
        let Loss { loss, d_queries, d_passages } =
            contrast(queries, passages, d, self.settings.temperature, &batch.excluded);
        let d_vectors = [d_queries, d_passages].concat();
        let mut touched: Vec<u32> = places.iter().flat_map(|&place| &self.texts[place as usize]).copied().collect();
        touched.sort_unstable();
        touched.dedup();
        self.moments.clear(touched, d);
        for slab in &slabs {
            if slabs.len() > 1 {
                self.forward(&places[slab.clone()])?;
            }
            self.backward(&d_vectors[slab.start * d..slab.end * d]);
        }
        Ok((loss, vectors))
    }

    /// The forward pass of texts, in groups.
    fn forward(&mut self, places: &[u32]) -> Result<(), EncodeError> {
        let Self { parameters, form, texts, memory, .. } = self;
        let Memory { groups, passes, .. } = memory;
        let lengths: Vec<usize> = places.iter().map(|&place| texts[place as usize].len()).collect();
        let parts = divided(&lengths);
        groups.resize_with(parts.len(), Group::default);
        for (group, part) in groups.iter_mut().zip(&parts) {
            group.lengths = lengths[part.clone()].to_vec();
            group.rows.clear();
            places[part.clone()].iter().for_each(|&place| group.rows.extend_from_slice(&texts[place as usize]));
        }
        let mut sound = vec![true; groups.len()];
        let jobs = groups.iter_mut().zip(&mut sound).collect();
        each(passes, jobs, |(group, sound): (&mut Group, &mut bool), scratch| {
            *sound = group.forward(parameters, form, scratch);
        });
        match sound.iter().all(|sound| *sound) {
            true => Ok(()),
            false => Err(EncodeError::NotFiniteStep { step: self.n_steps + 1 }),
        }
    }

    /// The backward pass of the texts that went forward last. `d_vectors: [texts, d]`
    fn backward(&mut self, d_vectors: &[f32]) {
        let Self { parameters, form, moments, memory, .. } = self;
        let Memory { groups, passes, gradients, .. } = memory;
        let d = parameters.sizes.d;
        let mut first = 0;
        for group in groups.iter_mut() {
            let n = group.lengths.len() * d;
            group.d_vectors.clear();
            group.d_vectors.extend_from_slice(&d_vectors[first..first + n]);
            first += n;
        }
        each(passes, groups.iter_mut().collect(), |group: &mut Group, scratch| {
            group.backward(parameters, form, scratch);
        });
        add_gradients(parameters, groups, &mut moments.gradient, gradients);
        if !moments.row_gradient.is_empty() {
            for group in groups.iter() {
                for (&row, gradient) in group.rows.iter().zip(group.embedded.chunks_exact(d)) {
                    axpy(1.0, gradient, &mut moments.row_gradient[row as usize * d..][..d]);
                }
            }
        }
    }
}

/// Bytes that are kept of a token.
fn bytes_per_token(sizes: &Sizes) -> usize {
    let Sizes { d, inner, n_heads, n_layers, .. } = *sizes;
    // Probabilities: one for each head and other token of the text; 64 of those is a usual text.
    4 * n_layers * (8 * d + 2 * inner + 64 * n_heads)
}

/// Consecutive texts with at most so many tokens, at least one text each.
fn slabs(lengths: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut slabs: Vec<Range<usize>> = Vec::new();
    let mut n_tokens = 0;
    for (place, length) in lengths.iter().enumerate() {
        n_tokens += length;
        match slabs.last_mut() {
            Some(slab) if n_tokens <= most => slab.end = place + 1,
            _ => {
                slabs.push(place..place + 1);
                n_tokens = *length;
            }
        }
    }
    slabs
}

/// Consecutive texts in groups of about as many tokens; of more than one group an even number, for two threads.
fn divided(lengths: &[usize]) -> Vec<Range<usize>> {
    let total: usize = lengths.iter().sum();
    let n = total.div_ceil(GROUP_TOKENS).max(1);
    let n = (if n > 1 { n.next_multiple_of(2) } else { n }).min(lengths.len().max(1));
    let (mut parts, mut begin, mut n_tokens) = (Vec::new(), 0, 0);
    for (place, length) in lengths.iter().enumerate() {
        n_tokens += length;
        if n_tokens * n >= total * (parts.len() + 1) {
            parts.push(begin..place + 1);
            begin = place + 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_and_groups_have_every_text_once_in_order() {
        let lengths = [3, 500, 64, 64, 64, 1, 190, 2, 2, 2];
        for parts in [divided(&lengths), slabs(&lengths, 200), divided(&[7]), divided(&[0, 5])] {
            let all: Vec<usize> = parts.iter().cloned().flatten().collect();
            assert_eq!(all, (0..all.len()).collect::<Vec<_>>());
            assert!(parts.iter().all(|part| !part.is_empty()), "{parts:?}");
        }
        assert_eq!(divided(&lengths).concat_len(), lengths.len());
        assert_eq!(slabs(&lengths, 200)[1], 1..2);
        assert_eq!(divided(&[32; 64]).len(), 12);
    }

    trait ConcatLen {
        fn concat_len(&self) -> usize;
    }

    impl ConcatLen for Vec<Range<usize>> {
        fn concat_len(&self) -> usize {
            self.iter().map(ExactSizeIterator::len).sum()
        }
    }
}
