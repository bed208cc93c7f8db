//! The heads: how probable it is that a shopper clicks, puts into the cart and buys what they are shown.
//!
//! In: for an impression the [features](super::impression) of its moment, later what followed. Out: calibrated
//! probabilities. Learned online, one impression a step, once its window has passed.
//!
//! Three logistic heads share the features. As in Ma, Zhao, Huang, Wang, Hu, Zhu and Gai, *Entire space multi-task model*
//! (ESMM, SIGIR 2018), each is trained on all impressions through the product that is observed, never on the clicked
//! ones alone:
//!
//! ```text
//! p_h      = σ(b_h + Σ_i w_hi x_i)                             p_click also + ⟨Σ_context v, Σ_item v⟩
//! P(click) = p_click     P(cart) = p_click · p_cart     P(purchase) = p_click · p_cart · p_purchase
//! loss     = Σ_h −y_h ln P_h − (1 − y_h) ln(1 − P_h)
//! ```
//!
//! So P(purchase) ≤ P(cart) ≤ P(click). A purchase counts as a cart, and both as a click. Step sizes are Adagrad's with
//! forgetting. Each observed probability is then calibrated by what happened at this level of the prediction:
//! [`CalibrationCurve`].

use accrue_kernel::{Draws, sigmoid};
use serde::{Deserialize, Serialize};

use super::calibration_curve::CalibrationCurve;
use super::head_quality::HeadQuality;
use super::impression::{Keys, Side};
use crate::cow::CowVec;

/// The heads: click, cart, purchase.
pub const N_HEADS: usize = 3;
/// Their names.
pub const HEADS: [&str; N_HEADS] = ["click", "cart", "purchase"];
/// Rows of the tables; features are hashed into them.
const N_ROWS: u32 = 1 << 18;
const N_VECTORS: u32 = 1 << 15;
/// Rows in a chunk that is copied on write.
const CHUNK: usize = 16;
/// Width of a vector.
const D: usize = 8;
/// The logits before anything is learned: a click follows a few impressions in a hundred.
const FIRST: [f32; N_HEADS] = [-3.0, -1.5, -1.0];
/// Step sizes of weights and vectors.
const RATE: f32 = 0.05;
const VECTOR_RATE: f32 = 0.05;
/// Deviation of a vector's first numbers.
const DEVIATION: f32 = 0.05;
/// What a sum of squared gradients begins with, so that the first impressions of a feature move it a little.
const FIRST_SQUARES: f32 = 1.0;
/// Share of a sum of squared gradients that one impression forgets.
const FORGET: f32 = 1.0 / 50_000.0;
/// The stream of the first vectors.
const VECTORS: u64 = 0x636c_6963_0006;

/// The weights of one feature for all heads, with their sums of squared gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Weights {
    values: [f32; N_HEADS],
    squares: [f32; N_HEADS],
}

impl Weights {
    fn step(&mut self, slopes: [f32; N_HEADS], x: f32) {
        for ((value, square), slope) in self.values.iter_mut().zip(&mut self.squares).zip(slopes) {
            step(RATE, slope * x, value, square);
        }
    }
}

/// One step of Adagrad with forgetting.
fn step(rate: f32, gradient: f32, value: &mut f32, square: &mut f32) {
    *square += gradient * gradient - FORGET * *square;
    *value -= rate * gradient / (FIRST_SQUARES + *square).sqrt();
}

/// A vector, with the sums of its squared gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Vector {
    values: [f32; D],
    squares: [f32; D],
    /// Whether it has its first numbers.
    is_drawn: bool,
}

/// What followed an impression: how many of click, cart and purchase, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Followed(u8);

impl Followed {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// A click, or another choice that is neither a cart nor a purchase.
    pub const CLICK: Self = Self(1);
    /// It was put into the cart.
    pub const CART: Self = Self(2);
    /// It was bought.
    pub const PURCHASE: Self = Self(3);

    /// The labels of the heads.
    pub fn labels(self) -> [f32; N_HEADS] {
        std::array::from_fn(|head| f32::from(u8::from(usize::from(self.0) > head)))
    }
}

/// The probabilities of one impression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Foreseen {
    /// As the heads give them. Of each the logit.
    pub raw: [f32; N_HEADS],
    /// Calibrated: P(click), P(cart), P(purchase).
    pub probabilities: [f32; N_HEADS],
}

/// The heads with what they learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClickHeads {
    seed: u64,
    bias: Weights,
    weights: CowVec<Weights>,
    vectors: CowVec<Vector>,
    curves: [CalibrationCurve; N_HEADS],
    quality: [HeadQuality; N_HEADS],
    n_learned: u64,
    /// Impressions that were followed by a click, a cart, a purchase.
    n_followed: [u64; N_HEADS],
}

/// The sums of one impression's features.
#[derive(Clone, Copy)]
struct Sums {
    logits: [f32; N_HEADS],
    context: [f32; D],
    item: [f32; D],
}

/// The sums of a page's own features.
pub struct PageSums(Sums);

impl Sums {
    /// The logits, with what the vectors of the page and of the item add to that of a click.
    fn paired_logits(&self) -> [f32; N_HEADS] {
        let mut logits = self.logits;
        logits[0] += self.context.iter().zip(&self.item).map(|(context, item)| context * item).sum::<f32>();
        logits
    }
}

impl ClickHeads {
    /// Heads that have learned nothing.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            bias: Weights { values: FIRST, squares: [0.0; N_HEADS] },
            weights: CowVec::new(CHUNK, Weights::default()),
            vectors: CowVec::new(CHUNK, Vector::default()),
            curves: Default::default(),
            quality: Default::default(),
            n_learned: 0,
            n_followed: [0; N_HEADS],
        }
    }

    /// Impressions learned.
    pub fn n_learned(&self) -> u64 {
        self.n_learned
    }

    /// Impressions that were followed by a click, a cart, a purchase.
    pub fn n_followed(&self) -> [u64; N_HEADS] {
        self.n_followed
    }

    /// How well each head predicted, over about the last 30,000 impressions.
    pub fn quality(&self) -> &[HeadQuality; N_HEADS] {
        &self.quality
    }

    /// The probabilities of an impression.
    pub fn foresee(&self, keys: &Keys) -> Foreseen {
        self.foreseen(self.sums(keys))
    }

    /// The sums of a page, whose features `keys` has. They are the same for all of its items.
    pub fn begin(&self, keys: &Keys) -> PageSums {
        let mut sums = Sums { logits: self.bias.values, context: [0.0; D], item: [0.0; D] };
        self.add(&mut sums, keys.linear_of_page(), keys.paired_of_page());
        PageSums(sums)
    }

    /// The probabilities of an item of the page that `page` was begun with: the same bits as [`ClickHeads::foresee`].
    pub fn foresee_on(&self, page: &PageSums, keys: &Keys) -> Foreseen {
        let mut sums = page.0;
        self.add(&mut sums, keys.linear_of_item(), keys.paired_of_item());
        self.foreseen(sums)
    }

    fn foreseen(&self, sums: Sums) -> Foreseen {
        let raw = observed(sums.paired_logits()).map(logit);
        let mut probabilities: [f32; N_HEADS] = std::array::from_fn(|head| self.curves[head].probability(raw[head]));
        // Each is calibrated alone; what follows is never more probable than what comes before it.
        for head in 1..N_HEADS {
            probabilities[head] = probabilities[head].min(probabilities[head - 1]);
        }
        Foreseen { raw, probabilities }
    }

    /// Learns an impression. `foreseen` is what was predicted when it was shown.
    pub fn learn(&mut self, keys: &Keys, foreseen: &Foreseen, followed: Followed) {
        let labels = followed.labels();
        for (head, label) in labels.into_iter().enumerate() {
            self.quality[head].count(foreseen.probabilities[head], label);
            self.curves[head].count(foreseen.raw[head], label);
            self.n_followed[head] += u64::from(label > 0.0);
        }
        self.n_learned += 1;
        let sums = self.sums(keys);
        let slopes = slopes(sums.paired_logits(), labels);
        self.bias.step(slopes, 1.0);
        for &(key, x) in keys.linear() {
            self.weights.get_mut(row(key, N_ROWS)).step(slopes, x);
        }
        for &(key, side) in keys.paired() {
            let place = row(key, N_VECTORS);
            let vector = self.vectors.get_mut(place);
            if !vector.is_drawn && side == Side::Context {
                *vector = first_vector(self.seed, place);
            }
            let other = if side == Side::Context { &sums.item } else { &sums.context };
            for ((value, square), other) in vector.values.iter_mut().zip(&mut vector.squares).zip(other) {
                step(VECTOR_RATE, slopes[0] * other, value, square);
            }
        }
    }

    fn sums(&self, keys: &Keys) -> Sums {
        let mut sums = self.begin(keys).0;
        self.add(&mut sums, keys.linear_of_item(), keys.paired_of_item());
        sums
    }

    fn add(&self, sums: &mut Sums, linear: &[(u64, f32)], paired: &[(u64, Side)]) {
        for &(key, x) in linear {
            let weights = self.weights.get(row(key, N_ROWS));
            sums.logits.iter_mut().zip(weights.values).for_each(|(logit, weight)| *logit += weight * x);
        }
        for &(key, side) in paired {
            let place = row(key, N_VECTORS);
            let vector = self.vectors.get(place);
            let is_first = side == Side::Context && !vector.is_drawn;
            let values = if is_first { first_vector(self.seed, place).values } else { vector.values };
            let sum = if side == Side::Context { &mut sums.context } else { &mut sums.item };
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Refers to the memory of `other` wherever both hold the same values.
    pub fn share_with(&mut self, other: &Self) {
        self.weights.share_with(&other.weights);
        self.vectors.share_with(&other.vectors);
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        (self.weights.len() * N_HEADS + self.vectors.len() * D + N_HEADS) as u64
    }
}

/// A vector of the context before it has learned anything. Those of items begin at 0, because one side is enough to
/// begin with.
fn first_vector(seed: u64, place: usize) -> Vector {
    let mut draws = Draws::new(seed, VECTORS, place as u64);
    Vector { values: std::array::from_fn(|_| DEVIATION * draws.normal()), squares: [0.0; D], is_drawn: true }
}

/// Where a feature lies in a table.
fn row(key: u64, n_rows: u32) -> usize {
    (key >> 40) as usize & (n_rows as usize - 1)
}

/// The probabilities of what is observed: each is that of its head times those before it.
fn observed(logits: [f32; N_HEADS]) -> [f32; N_HEADS] {
    let mut before = 1.0;
    logits.map(|logit| {
        before *= sigmoid(logit);
        before
    })
}

fn logit(p: f32) -> f32 {
    const LEAST: f32 = 1e-6;
    let p = p.clamp(LEAST, 1.0 - LEAST);
    accrue_kernel::ln(p / (1.0 - p))
}

/// The derivative of the loss by each logit: `Σ_{h ≥ j} (P_h − y_h) (1 − p_j) / (1 − P_h)`, which is at most the number
/// of heads, because `P_h ≤ p_j`.
fn slopes(logits: [f32; N_HEADS], labels: [f32; N_HEADS]) -> [f32; N_HEADS] {
    let (own, observed) = (logits.map(sigmoid), observed(logits));
    let parts: [f32; N_HEADS] = std::array::from_fn(|h| (observed[h] - labels[h]) / (1.0 - observed[h]).max(1e-6));
    std::array::from_fn(|j| (1.0 - own[j]) * parts[j..].iter().sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss of the formula at the top.
    fn loss(logits: [f32; N_HEADS], labels: [f32; N_HEADS]) -> f64 {
        let terms = observed(logits).into_iter().zip(labels).map(|(p, label)| {
            let p = f64::from(p);
            -(if label > 0.5 { p } else { 1.0 - p }).ln()
        });
        terms.sum()
    }

    #[test]
    fn slopes_equal_finite_differences_of_the_loss() {
        for followed in [Followed::NOTHING, Followed::CLICK, Followed::CART, Followed::PURCHASE] {
            let (logits, labels) = ([0.4, -0.7, 0.2], followed.labels());
            for (head, slope) in slopes(logits, labels).into_iter().enumerate() {
                let at = |step: f32| {
                    let mut moved = logits;
                    moved[head] += step;
                    loss(moved, labels)
                };
                let difference = (at(0.01) - at(-0.01)) / 0.02;
                assert!((difference - f64::from(slope)).abs() < 2e-3, "{followed:?} {head}: {slope} {difference}");
            }
        }
    }

    #[test]
    fn labels_are_nested_and_probabilities_ordered() {
        assert_eq!(Followed::CART.labels(), [1.0, 1.0, 0.0]);
        assert!(Followed::PURCHASE > Followed::CLICK && Followed::NOTHING.labels() == [0.0; 3]);
        let mut heads = ClickHeads::new(1);
        let keys = Keys::default();
        for number in 0..2_000 {
            let followed = if number % 10 == 0 { Followed::PURCHASE } else { Followed::NOTHING };
            let foreseen = heads.foresee(&keys);
            assert!(foreseen.probabilities.is_sorted_by(|a, b| a >= b), "{foreseen:?}");
            heads.learn(&keys, &foreseen, followed);
        }
        let found = heads.foresee(&keys).probabilities;
        assert!(found.iter().all(|p| (p - 0.1).abs() < 0.05), "{found:?}");
        assert_eq!((heads.n_learned(), heads.n_followed()), (2_000, [200; 3]));
    }

    #[test]
    fn extreme_logits_have_finite_slopes() {
        for logit in [-100.0, 100.0] {
            for labels in [[0.0; N_HEADS], [1.0; N_HEADS]] {
                let slopes = slopes([logit; N_HEADS], labels);
                assert!(slopes.iter().all(|slope| slope.abs() <= N_HEADS as f32 + 0.1), "{logit}: {slopes:?}");
            }
        }
    }
}
