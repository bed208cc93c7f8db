//! Graph filters: a history smoothed over the graph of users and the items they chose, in closed form.
//!
//! With `R̃ = D_u^-½ R D_i^-½`, a history's row `r` is smoothed by a linear filter `r R̃ᵀR̃` and an ideal low-pass
//! filter `r D_i^-½ V Vᵀ D_i^½`, `V` the first `rank` right singular vectors of `R̃`, and then sharpened, `y ← y -
//! sharpen · y R̃ᵀR̃`. Shen et al., *How powerful is graph
//! convolution for recommendation?* (GF-CF), CIKM 2021; Choi et al., *Blurring-sharpening process models* (BSPM), SIGIR 2023.
//! Singular vectors by subspace iteration: Halko, Martinsson, Tropp, *Finding structure with randomness*, SIAM Review 2011.

use accrue_kernel::{Draws, axpy, dot};
use libm::pow;
use serde::{Deserialize, Serialize};

use super::linear::{dot_rows_batch, orthonormalise, symmetric_eigen};
use super::{CollaborativeModel, Fit, FitError, Interactions, parallel};

/// Stream of random numbers.
const STREAM: u64 = 0x4752_4150;
/// Histories filtered at once.
const LANES: usize = 16;
/// Columns beyond `rank` that the subspace iteration carries, so that the last of the `rank` vectors converge too.
const SPARE_COLUMNS: usize = 32;

/// Weights of the filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphFilterSettings {
    /// Singular vectors of the low-pass filter; 0 leaves it out.
    pub rank: usize,
    /// Weight of the low-pass filter beside the linear one.
    pub low_pass: f64,
    /// How far the result is sharpened.
    pub sharpen: f64,
    /// Exponent of an item's count in `D_i`; ½ is the symmetric normalisation.
    pub item_norm: f64,
    /// Exponent of a user's count in `D_u`.
    pub user_norm: f64,
    /// Rounds of the subspace iteration.
    pub rounds: usize,
}

impl Default for GraphFilterSettings {
    fn default() -> Self {
        Self { rank: 256, low_pass: 0.3, sharpen: 0.0, item_norm: 0.5, user_norm: 0.5, rounds: 4 }
    }
}

/// The graph, its degrees and its first singular vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphFilter {
    settings: GraphFilterSettings,
    graph: Graph,
    rank: usize,
    /// `[n_items, rank]`
    vectors: Vec<f32>,
}

/// `R̃`: which user chose which item, scaled on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Graph {
    sets: Interactions,
    user_scale: Vec<f32>,
    item_scale: Vec<f32>,
}

/// The first right singular vectors of the symmetrically normalised `R̃`, the largest first. `→ [n_items, rank]`, with fewer columns if there
/// are fewer items or users.
pub(crate) fn singular_vectors(
    data: &Interactions,
    rank: usize,
    rounds: usize,
    fit: &Fit<'_>,
) -> Result<Vec<f32>, FitError> {
    Graph::new(data.distinct(), [0.5, 0.5]).singular_vectors(rank.min(data.n_items()).min(data.n_users()), rounds, fit)
}

impl CollaborativeModel for GraphFilter {
    type Settings = GraphFilterSettings;

    fn fit(data: &Interactions, settings: &GraphFilterSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        for (name, value) in [
            ("low_pass", settings.low_pass),
            ("sharpen", settings.sharpen),
            ("item_norm", settings.item_norm),
            ("user_norm", settings.user_norm),
        ] {
            FitError::check(value >= 0.0 && value.is_finite(), name, value, "a number of at least 0")?;
        }
        let graph = Graph::new(data.distinct(), [settings.user_norm, settings.item_norm]);
        let rank = settings.rank.min(data.n_items()).min(data.n_users());
        let vectors = if rank == 0 { Vec::new() } else { graph.singular_vectors(rank, settings.rounds, fit)? };
        Ok(Self { settings: settings.clone(), graph, rank, vectors })
    }

    fn n_params(&self) -> u64 {
        self.vectors.len() as u64 + self.graph.sets.n_interactions() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        self.score_batch(&[history], out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let n_items = self.graph.sets.n_items();
        for (histories, out) in histories.chunks(LANES).zip(out.chunks_mut(LANES * n_items.max(1))) {
            self.filter(histories, out);
        }
    }
}

/// A number for each of [`LANES`] histories.
type Lanes = [f32; LANES];

impl GraphFilter {
    fn filter(&self, histories: &[&[u32]], out: &mut [f32]) {
        let n_items = self.graph.sets.n_items();
        let mut signal: Vec<Lanes> = vec![[0.0; LANES]; n_items];
        for (lane, history) in histories.iter().enumerate() {
            history.iter().for_each(|&item| signal[item as usize][lane] = 1.0);
        }
        let mut blurred = self.graph.smooth(&signal);
        if self.rank > 0 {
            self.add_low_pass(histories, &mut blurred);
        }
        if self.settings.sharpen > 0.0 {
            let smooth = self.graph.smooth(&blurred);
            let sharpen = self.settings.sharpen as f32;
            for (blurred, smooth) in blurred.iter_mut().zip(&smooth) {
                (0..LANES).for_each(|lane| blurred[lane] -= sharpen * smooth[lane]);
            }
        }
        for (lane, out) in out.chunks_exact_mut(n_items).enumerate() {
            out.iter_mut().zip(&blurred).for_each(|(out, lanes)| *out = lanes[lane]);
        }
    }

    /// `+= low_pass · r D_i^-½ V Vᵀ D_i^½`
    fn add_low_pass(&self, histories: &[&[u32]], blurred: &mut [Lanes]) {
        let mut folded = vec![0.0; self.rank * histories.len()];
        for (history, folded) in histories.iter().zip(folded.chunks_exact_mut(self.rank)) {
            let mut set = history.to_vec();
            set.sort_unstable();
            set.dedup();
            for item in set {
                let vector = &self.vectors[item as usize * self.rank..][..self.rank];
                axpy(self.graph.item_scale[item as usize], vector, folded);
            }
        }
        let mut scores = vec![0.0; blurred.len() * histories.len()];
        dot_rows_batch(&folded, &self.vectors, self.rank, &mut scores);
        for (lane, scores) in scores.chunks_exact(blurred.len()).enumerate() {
            for ((blurred, &score), &scale) in blurred.iter_mut().zip(scores).zip(&self.graph.item_scale) {
                // An item without a choice has degree 0 and a zero vector.
                if scale > 0.0 {
                    blurred[lane] += self.settings.low_pass as f32 * score / scale;
                }
            }
        }
    }
}

impl Graph {
    fn new(sets: Interactions, [user_norm, item_norm]: [f64; 2]) -> Self {
        let scale = |n: u32, norm: f64| if n == 0 { 0.0 } else { pow(f64::from(n), -norm) as f32 };
        Self {
            user_scale: sets.histories().map(|set| scale(set.len() as u32, user_norm)).collect(),
            item_scale: sets.counts().into_iter().map(|n| scale(n, item_norm)).collect(),
            sets,
        }
    }

    /// `y R̃ᵀR̃` for [`LANES`] signals over items. `[n_items] → [n_items]`
    fn smooth(&self, signal: &[Lanes]) -> Vec<Lanes> {
        let scaled: Vec<Lanes> =
            signal.iter().zip(&self.item_scale).map(|(lanes, &scale)| lanes.map(|x| x * scale)).collect();
        let mut smooth: Vec<Lanes> = vec![[0.0; LANES]; signal.len()];
        for (set, &scale) in self.sets.histories().zip(&self.user_scale) {
            let mut sum = [0.0; LANES];
            for &item in set {
                let lanes = &scaled[item as usize];
                (0..LANES).for_each(|lane| sum[lane] += lanes[lane]);
            }
            let sum = sum.map(|x| x * scale * scale);
            for &item in set {
                let lanes = &mut smooth[item as usize];
                (0..LANES).for_each(|lane| lanes[lane] += sum[lane]);
            }
        }
        smooth.iter_mut().zip(&self.item_scale).for_each(|(lanes, &scale)| *lanes = lanes.map(|x| x * scale));
        smooth
    }

    /// The first right singular vectors of `R̃`. `→ [n_items, rank]`
    fn singular_vectors(&self, rank: usize, rounds: usize, fit: &Fit<'_>) -> Result<Vec<f32>, FitError> {
        let (n_items, n_users) = (self.sets.n_items(), self.sets.n_users());
        let width = (rank + SPARE_COLUMNS).min(n_items).min(n_users);
        let column = |number: usize| -> Vec<f32> {
            let mut draws = Draws::new(fit.seed, STREAM, number as u64);
            (0..n_items).map(|_| draws.normal()).collect()
        };
        let mut basis: Vec<Vec<f32>> = (0..width).map(column).collect();
        for round in 1..=rounds.max(1) {
            fit.go_on()?;
            basis = parallel::map(fit.threads, width, || (), |(), number| self.back(&self.forth(&basis[number])));
            orthonormalise(&mut basis, fit.threads);
            (fit.progress)(super::Epoch { done: round, of: rounds, loss: None });
        }
        fit.go_on()?;
        // Ritz vectors: the best combinations of the basis.
        let images = parallel::map(fit.threads, width, || (), |(), number| self.forth(&basis[number]));
        let rows = parallel::map(
            fit.threads,
            width,
            || (),
            |(), row| -> Vec<f64> { images.iter().map(|image| f64::from(dot(&images[row], image))).collect() },
        );
        let (_, combinations) = symmetric_eigen(rows.concat(), width);
        let columns = parallel::map(
            fit.threads,
            rank,
            || (),
            |(), number| {
                let mut vector = vec![0.0; n_items];
                for (&weight, column) in combinations[number].iter().zip(&basis) {
                    axpy(weight as f32, column, &mut vector);
                }
                vector
            },
        );
        let mut vectors = vec![0.0; n_items * rank];
        for (number, column) in columns.iter().enumerate() {
            column.iter().enumerate().for_each(|(item, &x)| vectors[item * rank + number] = x);
        }
        Ok(vectors)
    }

    /// `R̃ x`: items to users.
    fn forth(&self, x: &[f32]) -> Vec<f32> {
        let scaled: Vec<f32> = x.iter().zip(&self.item_scale).map(|(x, scale)| x * scale).collect();
        let sum = |set: &[u32]| set.iter().map(|&item| scaled[item as usize]).sum::<f32>();
        self.sets.histories().zip(&self.user_scale).map(|(set, scale)| sum(set) * scale).collect()
    }

    /// `R̃ᵀ x`: users to items.
    fn back(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.sets.n_items()];
        for ((set, scale), x) in self.sets.histories().zip(&self.user_scale).zip(x) {
            set.iter().for_each(|&item| out[item as usize] += x * scale);
        }
        out.iter_mut().zip(&self.item_scale).for_each(|(out, scale)| *out *= scale);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: GraphFilterSettings, expected: impl Fn(usize) -> f32) {
        // Two users, disjoint: R̃ has two equal singular values, and both filters stay inside a user's items.
        let data = Interactions::new(5, [vec![0, 1], vec![2, 3]]);
        let model = GraphFilter::fit(&data, &settings, &Fit::quiet(1, 1)).expect("plain data");
        let mut out = [0.0; 5];
        model.score(&[0], &mut out);
        for (item, &score) in out.iter().enumerate() {
            assert!((score - expected(item)).abs() < 1e-5, "{settings:?}: {out:?}");
        }
    }

    #[test]
    fn filters_have_the_values_computed_by_hand() {
        let own = |value: f32| move |item: usize| if item < 2 { value } else { 0.0 };
        let linear = GraphFilterSettings { rank: 0, ..GraphFilterSettings::default() };
        check(linear.clone(), own(0.5));
        check(GraphFilterSettings { sharpen: 0.5, ..linear }, own(0.25));
        check(GraphFilterSettings { rank: 2, low_pass: 1.0, ..GraphFilterSettings::default() }, own(1.0));
    }
}
