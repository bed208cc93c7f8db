//! Gradient-boosted regression trees for squared error.
//!
//! In: rows of numbers and a target for each. Out: a sum of small trees, each fitted to what the trees before it leave
//! (Friedman, *Greedy function approximation: a gradient boosting machine*, 2001). Numbers become one of at most
//! `MAX_BINS` bins, and a split is found from sums by bin; the leaf whose split gains most is split next (Ke et al.,
//! *LightGBM*, NeurIPS 2017). Each tree sees a part of the rows and of the features, drawn by their place and the seed.
//!
//! One fit is one thread that adds in the order of rows, so it gives the same bytes wherever it runs. A number that is none
//! counts as the smallest.

use accrue_kernel::Draws;

/// Bins of a feature, at most.
const MAX_BINS: usize = 64;
/// Streams of random numbers.
const ROWS: u64 = 0x424F_5257;
const FEATURES: u64 = 0x424F_4645;

/// How trees are fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostingSettings {
    /// Trees that are added up.
    pub trees: usize,
    /// The share of a tree that is added.
    pub step: f32,
    /// Leaves of a tree, at most.
    pub leaves: usize,
    /// Rows of a leaf, at least.
    pub least: usize,
    /// Rows without effect that each leaf is averaged with.
    pub shrinkage: f32,
    /// The share of the rows that a tree sees.
    pub rows: f32,
    /// The share of the features that a tree sees.
    pub features: f32,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for BoostingSettings {
    fn default() -> Self {
        Self { trees: 1_200, step: 0.02, leaves: 24, least: 40, shrinkage: 10.0, rows: 0.6, features: 0.4, seed: 1 }
    }
}

/// Rows of numbers. `values: [rows, width]`
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Row after row.
    pub values: Vec<f32>,
    /// Numbers in a row.
    pub width: usize,
}

impl Rows {
    /// Their number.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}

/// Fitted trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Boosted {
    mean: f32,
    trees: Vec<Vec<Node>>,
    /// By feature how much its splits lowered the sum of squares.
    pub gains: Vec<f64>,
}

/// A node of a tree; the first one is the root.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    /// Rows whose feature is at most `threshold` go to `left`, others to the node behind it.
    Split {
        feature: u32,
        threshold: f32,
        left: u32,
    },
    Leaf(f32),
}

/// The sum of what is left of the targets of some rows, and their number.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    n: f64,
}

impl Sum {
    fn minus(self, other: Self) -> Self {
        Self { sum: self.sum - other.sum, n: self.n - other.n }
    }

    /// How much a leaf of these rows lowers the sum of squares.
    fn gain(self, shrinkage: f64) -> f64 {
        self.sum * self.sum / (self.n + shrinkage)
    }
}

/// The best split of a leaf.
#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    bin: u8,
}

/// A leaf that may be split further.
struct Open {
    node: usize,
    rows: Vec<u32>,
    sum: Sum,
    /// `[features, MAX_BINS]`
    sums: Vec<Sum>,
    split: Option<Split>,
}

/// What a tree is fitted to.
struct Fit<'a> {
    settings: &'a BoostingSettings,
    /// `[rows, width]`
    bins: Vec<u8>,
    /// By feature the largest value of each bin but the last.
    edges: Vec<Vec<f32>>,
    /// What the trees leave of each target.
    left: Vec<f32>,
}

impl Boosted {
    /// Fits trees to the `targets` of some rows.
    pub fn fit(rows: &Rows, chosen: &[u32], targets: &[f32], settings: &BoostingSettings) -> Self {
        let n = chosen.len();
        let mean = chosen.iter().map(|&row| f64::from(targets[row as usize])).sum::<f64>() / n.max(1) as f64;
        let edges: Vec<Vec<f32>> = (0..rows.width).map(|feature| edges(rows, chosen, feature)).collect();
        let mut bins = Vec::with_capacity(n * rows.width);
        for &row in chosen {
            let values = rows.row(row as usize).iter().zip(&edges);
            bins.extend(values.map(|(value, edges)| edges.partition_point(|edge| edge < value) as u8));
        }
        let left = chosen.iter().map(|&row| targets[row as usize] - mean as f32).collect();
        let mut fit = Fit { settings, bins, edges, left };
        let mut boosted = Self { mean: mean as f32, trees: Vec::new(), gains: vec![0.0; rows.width] };
        for tree in 0..settings.trees as u64 {
            let tree = fit.tree(tree, &mut boosted.gains);
            for (place, &row) in chosen.iter().enumerate() {
                fit.left[place] -= leaf(&tree, rows.row(row as usize));
            }
            boosted.trees.push(tree);
        }
        boosted
    }

    /// The prediction for a row.
    pub fn predict(&self, row: &[f32]) -> f32 {
        self.trees.iter().fold(self.mean, |sum, tree| sum + leaf(tree, row))
    }
}

/// The value of the leaf of a row.
fn leaf(tree: &[Node], row: &[f32]) -> f32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Leaf(value) => return value,
            // Not a number is not above the threshold.
            Node::Split { feature, threshold, left } => {
                at = left as usize + usize::from(row[feature as usize] > threshold);
            }
        }
    }
}

/// Values that part a feature's rows into bins of about equal size.
fn edges(rows: &Rows, chosen: &[u32], feature: usize) -> Vec<f32> {
    let mut values: Vec<f32> = chosen.iter().map(|&row| rows.row(row as usize)[feature]).collect();
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f32::total_cmp);
    let at = |bin: usize| values[bin * values.len() / MAX_BINS];
    let mut edges: Vec<f32> = if values.is_empty() { Vec::new() } else { (1..MAX_BINS).map(at).collect() };
    edges.dedup();
    // The largest value needs no edge, because nothing is above it.
    edges.retain(|edge| values.last().is_some_and(|last| edge < last));
    edges
}

impl Fit<'_> {
    fn width(&self) -> usize {
        self.edges.len()
    }

    fn tree(&self, tree: u64, gains: &mut [f64]) -> Vec<Node> {
        let settings = self.settings;
        let mut draws = Draws::new(settings.seed, ROWS, tree);
        let rows: Vec<u32> = (0..self.left.len() as u32).filter(|_| draws.uniform() < settings.rows).collect();
        let mut draws = Draws::new(settings.seed, FEATURES, tree);
        let features: Vec<usize> = (0..self.width()).filter(|_| draws.uniform() < settings.features).collect();
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut open = vec![self.open(0, rows, &features)];
        while open.len() < settings.leaves {
            let gain = |open: &Open| open.split.map_or(0.0, |split| split.gain);
            let best =
                (0..open.len()).fold(0, |best, one| if gain(&open[one]) > gain(&open[best]) { one } else { best });
            let Some(split) = open.get(best).and_then(|open| open.split) else { break };
            gains[split.feature] += split.gain;
            let threshold = self.edges[split.feature][usize::from(split.bin)];
            let parent = open.swap_remove(best);
            nodes[parent.node] = Node::Split { feature: split.feature as u32, threshold, left: nodes.len() as u32 };
            let [left, right] = self.parts(parent, split, nodes.len(), &features);
            nodes.extend([Node::Leaf(0.0); 2]);
            open.extend([left, right]);
        }
        for open in &open {
            let value = open.sum.sum / (open.sum.n + f64::from(settings.shrinkage));
            nodes[open.node] = Node::Leaf(settings.step * value as f32);
        }
        nodes
    }

    /// The two parts of a split leaf. The sums of the smaller one are counted, those of the other one are what is left.
    fn parts(&self, parent: Open, split: Split, node: usize, features: &[usize]) -> [Open; 2] {
        let is_left = |row: &u32| self.bins[*row as usize * self.width() + split.feature] <= split.bin;
        let (left, right): (Vec<u32>, Vec<u32>) = parent.rows.into_iter().partition(is_left);
        let is_left_smaller = left.len() <= right.len();
        let (small, large) = if is_left_smaller { (left, right) } else { (right, left) };
        let places = if is_left_smaller { [node, node + 1] } else { [node + 1, node] };
        let small = self.open(places[0], small, features);
        let mut sums = parent.sums;
        sums.iter_mut().zip(&small.sums).for_each(|(sum, other)| *sum = sum.minus(*other));
        let mut large = Open { node: places[1], rows: large, sum: parent.sum.minus(small.sum), sums, split: None };
        large.split = self.best_split(&large, features);
        if is_left_smaller { [small, large] } else { [large, small] }
    }

    fn open(&self, node: usize, rows: Vec<u32>, features: &[usize]) -> Open {
        let width = self.width();
        let mut sums = vec![Sum::default(); features.len() * MAX_BINS];
        let mut whole = Sum::default();
        for &row in &rows {
            let left = f64::from(self.left[row as usize]);
            let bins = &self.bins[row as usize * width..(row as usize + 1) * width];
            whole = Sum { sum: whole.sum + left, n: whole.n + 1.0 };
            for (place, &feature) in features.iter().enumerate() {
                let sum = &mut sums[place * MAX_BINS + usize::from(bins[feature])];
                sum.sum += left;
                sum.n += 1.0;
            }
        }
        let mut open = Open { node, rows, sum: whole, sums, split: None };
        open.split = self.best_split(&open, features);
        open
    }

    fn best_split(&self, open: &Open, features: &[usize]) -> Option<Split> {
        let (least, shrinkage) = (self.settings.least as f64, f64::from(self.settings.shrinkage));
        let before = open.sum.gain(shrinkage);
        let mut best: Option<Split> = None;
        for (place, &feature) in features.iter().enumerate() {
            let sums = &open.sums[place * MAX_BINS..(place + 1) * MAX_BINS];
            let mut left = Sum::default();
            for (bin, sum) in sums.iter().enumerate().take(self.edges[feature].len()) {
                left = Sum { sum: left.sum + sum.sum, n: left.n + sum.n };
                let right = open.sum.minus(left);
                if left.n < least || right.n < least {
                    continue;
                }
                let gain = left.gain(shrinkage) + right.gain(shrinkage) - before;
                if gain > best.map_or(1e-9, |best| best.gain) {
                    best = Some(Split { gain, feature, bin: bin as u8 });
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of three numbers, of which the first two decide.
    fn drawn(n: usize) -> (Rows, Vec<f32>) {
        let mut draws = Draws::new(5, 6, 7);
        let values: Vec<f32> = (0..3 * n).map(|_| draws.uniform()).collect();
        let target = |row: &[f32]| if row[0] > 0.5 { 1.0 + row[1] } else { -row[1] };
        let targets = values.chunks(3).map(target).collect();
        (Rows { values, width: 3 }, targets)
    }

    fn settings() -> BoostingSettings {
        BoostingSettings {
            trees: 200,
            step: 0.1,
            leaves: 8,
            least: 5,
            shrinkage: 1.0,
            features: 1.0,
            ..BoostingSettings::default()
        }
    }

    #[test]
    fn trees_learn_what_no_sum_of_features_says_and_name_what_decided() {
        let (rows, targets) = drawn(2_000);
        let chosen: Vec<u32> = (0..1_500).collect();
        let boosted = Boosted::fit(&rows, &chosen, &targets, &settings());
        let error = |row: usize| (boosted.predict(rows.row(row)) - targets[row]).powi(2);
        let mse = (1_500..2_000).map(error).sum::<f32>() / 500.0;
        let mean = targets.iter().sum::<f32>() / 2_000.0;
        let variance = targets.iter().map(|target| (target - mean).powi(2)).sum::<f32>() / 2_000.0;
        assert!(mse < 0.05 * variance, "{mse} of {variance}");
        assert!(boosted.gains[0] > boosted.gains[1] && boosted.gains[1] > 5.0 * boosted.gains[2]);
    }

    #[test]
    fn a_fit_comes_again_and_depends_on_the_chosen_rows_alone() {
        let (rows, mut targets) = drawn(500);
        let chosen: Vec<u32> = (0..400).collect();
        let first = Boosted::fit(&rows, &chosen, &targets, &settings());
        targets[450] = f32::NAN;
        assert_eq!(first, Boosted::fit(&rows, &chosen, &targets, &settings()));
        let other = BoostingSettings { seed: 2, ..settings() };
        assert_ne!(first, Boosted::fit(&rows, &chosen, &targets, &other));
    }

    #[test]
    fn rows_that_tell_nothing_are_predicted_as_the_mean() {
        let rows = Rows { values: vec![f32::NAN; 100], width: 1 };
        let chosen: Vec<u32> = (0..100).collect();
        let targets: Vec<f32> = (0..100).map(|row| (row % 2) as f32).collect();
        let boosted = Boosted::fit(&rows, &chosen, &targets, &settings());
        assert!((boosted.predict(&[f32::NAN]) - 0.5).abs() < 0.05);
        assert!(boosted.predict(&[3.0]).is_finite());
        let nothing = Boosted::fit(&rows, &[], &targets, &settings());
        assert_eq!(nothing.predict(&[1.0]), 0.0);
    }
}
