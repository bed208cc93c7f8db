//! The dense parameters of a network: named matrices in one contiguous slice of numbers.
//!
//! In: names, shapes, initialisations. Out: the numbers, and packed forms of the matrices for products. One slice holds
//! all of them, so that an optimizer, a norm or a sum over threads is one loop. Two weights with one name cause a
//! panic.

use accrue_kernel::{Draws, Packed, View};
use std::ops::Range;

/// The stream of random numbers for initial values.
const INIT: u64 = 0x7465_6e73_6f72_0001;

/// One weight of a [`Weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightId(usize);

/// How a weight is initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// One number everywhere: 0 for biases, 1 for gains.
    Constant(f32),
    /// Normal numbers with mean 0.
    Normal {
        /// Their standard deviation.
        deviation: f32,
    },
    /// Uniform within ±(6 / (rows + columns))^½: Glorot and Bengio, *Understanding the difficulty of training deep
    /// feedforward neural networks* (2010).
    Xavier,
}

impl Init {
    /// Writes the initial values: a function of the seed and `counter`, the index of the weight.
    pub fn fill(self, seed: u64, counter: u64, [rows, cols]: [usize; 2], values: &mut [f32]) {
        let mut draws = Draws::new(seed, INIT, counter);
        match self {
            Self::Constant(value) => values.fill(value),
            Self::Normal { deviation } => values.iter_mut().for_each(|x| *x = deviation * draws.normal()),
            Self::Xavier => {
                let reach = (6.0 / (rows + cols) as f32).sqrt();
                values.iter_mut().for_each(|x| *x = reach * (2.0 * draws.uniform() - 1.0));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct NamedMatrix {
    name: String,
    shape: [usize; 2],
    range: Range<usize>,
    /// The matrix and its transpose, for products; `None` if only its rows are used.
    packed: Option<Box<(Packed, Packed)>>,
}

/// All dense parameters of a network.
///
/// ```
/// use accrue_tensor::{Init, Weights};
/// let mut weights = Weights::new(42);
/// let hidden = weights.matrix("hidden", [3, 2], Init::Xavier);
/// let bias = weights.rows("hidden.bias", [1, 2], Init::Constant(0.0));
/// assert_eq!(weights.values().len(), 8);
/// weights.change(|values| values.fill(1.0));
/// assert_eq!(weights.of(hidden), [1.0; 6]);
/// assert_eq!(weights.shape(bias), [1, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    seed: u64,
    entries: Vec<NamedMatrix>,
    values: Vec<f32>,
}

impl Weights {
    /// An empty collection. The seed is used by [`Init`].
    pub fn new(seed: u64) -> Self {
        Self { seed, entries: Vec::new(), values: Vec::new() }
    }

    /// Adds a matrix that rows are multiplied by. `shape: [inputs, outputs]`.
    ///
    /// # Panics
    /// If there is already a weight of this name.
    pub fn matrix(&mut self, name: &str, shape: [usize; 2], init: Init) -> WeightId {
        let id = self.rows(name, shape, init);
        self.entries[id.0].packed = Some(Box::default());
        self.pack(id.0);
        id
    }

    /// Adds a weight whose rows are used directly: a bias or a gain `[1, n]`, positions `[length, d]`.
    ///
    /// # Panics
    /// If there is already a weight of this name.
    pub fn rows(&mut self, name: &str, shape: [usize; 2], init: Init) -> WeightId {
        assert!(self.entries.iter().all(|entry| entry.name != name), "two weights are called `{name}`");
        let begin = self.values.len();
        let range = begin..begin + shape[0] * shape[1];
        self.values.resize(range.end, 0.0);
        init.fill(self.seed, self.entries.len() as u64, shape, &mut self.values[range.clone()]);
        self.entries.push(NamedMatrix { name: name.into(), shape, range, packed: None });
        WeightId(self.entries.len() - 1)
    }

    /// The numbers of one weight, row by row.
    pub fn of(&self, id: WeightId) -> &[f32] {
        &self.values[self.entries[id.0].range.clone()]
    }

    /// The numbers of rows and columns of one weight.
    pub fn shape(&self, id: WeightId) -> [usize; 2] {
        self.entries[id.0].shape
    }

    /// The range of a weight in [`values`](Self::values), and of its gradient in a slice of the same length.
    pub fn range(&self, id: WeightId) -> Range<usize> {
        self.entries[id.0].range.clone()
    }

    /// All numbers, in the order in which weights were added.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Names, shapes and numbers, in the order in which weights were added.
    pub fn named(&self) -> impl Iterator<Item = (&str, [usize; 2], &[f32])> {
        self.entries.iter().map(|entry| (&*entry.name, entry.shape, &self.values[entry.range.clone()]))
    }

    /// Changes the numbers, then packs the matrices again.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut [f32]) -> T) -> T {
        let out = change(&mut self.values);
        for index in 0..self.entries.len() {
            self.pack(index);
        }
        out
    }

    /// The packed matrix. `[inputs, outputs]`
    pub(crate) fn packed(&self, id: WeightId) -> &Packed {
        &self.both(id).0
    }

    /// The packed transpose. `[outputs, inputs]`
    pub(crate) fn packed_transpose(&self, id: WeightId) -> &Packed {
        &self.both(id).1
    }

    fn both(&self, id: WeightId) -> &(Packed, Packed) {
        let entry = &self.entries[id.0];
        entry.packed.as_ref().unwrap_or_else(|| panic!("`{}` was not added as a matrix", entry.name))
    }

    fn pack(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        if let Some(packed) = &mut entry.packed {
            let view = View::new(&self.values[entry.range.clone()], entry.shape[0], entry.shape[1]);
            packed.0.pack(view);
            packed.1.pack(view.transposed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_follow_their_rule_and_the_seed() {
        let build = |seed| {
            let mut weights = Weights::new(seed);
            let normal = weights.matrix("normal", [100, 80], Init::Normal { deviation: 0.02 });
            let xavier = weights.matrix("xavier", [30, 20], Init::Xavier);
            let one = weights.rows("gain", [1, 5], Init::Constant(1.0));
            (weights, normal, xavier, one)
        };
        let (weights, normal, xavier, one) = build(1);
        let variance = weights.of(normal).iter().map(|x| x * x).sum::<f32>() / 8000.0;
        assert!((variance.sqrt() - 0.02).abs() < 0.001);
        let reach = (6.0_f32 / 50.0).sqrt();
        assert!(weights.of(xavier).iter().all(|x| x.abs() <= reach));
        assert!(weights.of(xavier).iter().any(|x| x.abs() > 0.9 * reach));
        assert_eq!(weights.of(one), [1.0; 5]);
        assert_eq!(weights.values(), build(1).0.values());
        assert_ne!(weights.values(), build(2).0.values());
    }

    #[test]
    #[should_panic(expected = "two weights are called `w`")]
    fn two_weights_with_one_name_are_refused() {
        let mut weights = Weights::new(1);
        weights.rows("w", [1, 1], Init::Constant(0.0));
        weights.rows("w", [1, 1], Init::Constant(0.0));
    }
}
