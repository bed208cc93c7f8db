//! The blend: one learned curve for each column, added up, so that a score is the sum of its shares.
//!
//! `s(i) = Σ_c curve_{g,c}(x_c(i))`: a generalised additive model (Hastie, Tibshirani 1986) with piecewise-linear
//! curves. The group g says whether a visit is in progress and whether the shopper chose the item before, since a value
//! means something different in each case. Learned online by the softmax cross-entropy of the chosen item against the
//! other candidates; groups that are alike take a part of each other's steps, because each alone has few examples.
//! Scores come from an average of the latest curves (Polyak, Juditsky 1992), because a step size that
//! follows the shop also follows its noise. In: columns. Out: scores, and each column's share.

use std::ops::{Bound, Range};

use accrue_event::SettingFault;
use accrue_kernel::GroupCurves;
use serde::{Deserialize, Serialize};

use crate::column::{Axis, Column, N_KNOTS};

/// Part of a gradient with which the curves of a group that is alike take a step, too.
const ALIKE: f32 = 0.5;

/// Step sizes of the blend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlendSettings {
    /// Step of the curves.
    pub rate: f32,
    /// Share of the squared gradients that a step forgets, so that the rate does not fall to zero.
    pub forget: f32,
    /// Share of the latest curves in the average that scores; its reciprocal is about the number of steps averaged.
    pub average: f32,
}

impl BlendSettings {
    pub(crate) fn validate(&self) -> Result<(), SettingFault> {
        let above_zero = (Bound::Excluded(0.0), Bound::Included(1.0));
        SettingFault::check("rate", self.rate, above_zero)?;
        SettingFault::check("forget", self.forget, 0.0..=1.0)?;
        SettingFault::check("average", self.average, above_zero)
    }
}

impl Default for BlendSettings {
    fn default() -> Self {
        Self { rate: 0.05, forget: 1e-3, average: 2e-3 }
    }
}

/// One choice to learn from: the candidates that it was made among. Keep one and refill it, so that its memory is reused.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    groups: Vec<u32>,
    /// Groups with candidates, in their order.
    present: Vec<usize>,
    /// `[columns, candidates]`
    values: Vec<f32>,
    /// Logarithms of how many items a candidate represents; after learning, probabilities.
    scores: Vec<f32>,
    /// `[columns, candidates]`: the knot below each value.
    knots: Vec<u32>,
    /// `[columns, candidates]`: the share of the next knot.
    shares: Vec<f32>,
    /// Probabilities less 1 for the chosen one.
    errors: Vec<f32>,
    /// `[groups, columns, knots]`; groups without a candidate are not written.
    gradient: Vec<f32>,
}

impl Sample {
    /// Removes all candidates and allocates `n` others; returns their values, `[n_columns, n]`, to be written.
    pub fn begin(&mut self, n: usize, n_columns: usize) -> &mut [f32] {
        self.groups.clear();
        self.scores.clear();
        self.values.resize(n * n_columns, 0.0);
        &mut self.values
    }

    /// Adds a candidate, in the order of the values. Learning is fastest if candidates of one group are adjacent. It
    /// represents `exp(log_represented)` items: a retrieved one
    /// itself, one drawn at random its part of the catalogue.
    pub fn push(&mut self, group: u32, log_represented: f32) {
        self.groups.push(group);
        self.scores.push(log_represented);
    }

    /// After learning: the probability that candidate `place` had before the step.
    pub fn probability(&self, place: usize) -> f32 {
        self.scores[place]
    }
}

/// The curves of all groups and columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    settings: BlendSettings,
    n_groups: usize,
    /// The columns by name: a curve belongs to its name, whatever its position.
    names: Vec<Box<str>>,
    axes: Vec<Axis>,
    /// `[groups, columns, knots]`: updated by each step.
    curves: Vec<f32>,
    /// Their average, of the same shape: used for scores.
    averaged: Vec<f32>,
    /// Decayed squared gradients, of the same shape.
    squared: Vec<f32>,
    /// Steps taken.
    steps: u64,
}

impl Blend {
    /// Linear curves with the columns' initial slopes, for `n_groups` groups.
    pub fn new(settings: BlendSettings, columns: &[Column], n_groups: usize) -> Self {
        let curve = |column: &Column| (0..N_KNOTS).map(|knot| column.slope * knot as f32).collect::<Vec<_>>();
        let curves: Vec<f32> = (0..n_groups).flat_map(|_| columns.iter().flat_map(curve)).collect();
        Self {
            settings,
            n_groups,
            names: columns.iter().map(|column| column.name.into()).collect(),
            axes: columns.iter().map(|column| column.axis).collect(),
            squared: vec![0.0; curves.len()],
            averaged: curves.clone(),
            steps: 0,
            curves,
        }
    }

    /// How many columns a candidate has.
    pub fn n_columns(&self) -> usize {
        self.axes.len()
    }

    /// Replaces the columns. A column that was there before, under the same name and along the same axis, keeps its
    /// curves. A new one begins linear, and the curves of one that is gone are dropped.
    pub fn set_columns(&mut self, columns: &[Column]) {
        let mut fresh = Self::new(self.settings.clone(), columns, self.n_groups);
        fresh.steps = self.steps;
        if fresh.names == self.names && fresh.axes == self.axes {
            return;
        }
        for (to, name) in fresh.names.iter().enumerate() {
            let from = self.names.iter().position(|known| known == name);
            let Some(from) = from.filter(|&from| self.axes[from] == fresh.axes[to]) else { continue };
            for group in 0..self.n_groups {
                let (from, to) = (self.curve(group, from), fresh.n_columns() * group + to);
                let to = to * N_KNOTS..(to + 1) * N_KNOTS;
                fresh.curves[to.clone()].copy_from_slice(&self.curves[from.clone()]);
                fresh.averaged[to.clone()].copy_from_slice(&self.averaged[from.clone()]);
                fresh.squared[to].copy_from_slice(&self.squared[from]);
            }
        }
        *self = fresh;
    }

    /// Begins with the curves of another shop's blend for the columns that both have. The steps begin as large as if
    /// nothing had been learned, so that what differs here is soon corrected.
    pub(crate) fn begin_with(&mut self, learned: &Self) {
        if learned.n_groups != self.n_groups {
            return;
        }
        for (to, name) in self.names.iter().enumerate() {
            let from = learned.names.iter().position(|known| known == name);
            let Some(from) = from.filter(|&from| learned.axes[from] == self.axes[to]) else { continue };
            for group in 0..self.n_groups {
                let (from, to) = (learned.curve(group, from), self.curve(group, to));
                self.curves[to.clone()].copy_from_slice(&learned.averaged[from.clone()]);
                self.averaged[to].copy_from_slice(&learned.averaged[from]);
            }
        }
    }

    /// The places of a curve's knots.
    #[inline]
    fn curve(&self, group: usize, column: usize) -> Range<usize> {
        let first = (group * self.axes.len() + column) * N_KNOTS;
        first..first + N_KNOTS
    }

    /// The places of the knots of all curves of a group.
    #[inline]
    fn curves_of(&self, group: usize) -> Range<usize> {
        let len = self.axes.len() * N_KNOTS;
        group * len..(group + 1) * len
    }

    /// Changes the step sizes.
    pub fn set_settings(&mut self, settings: BlendSettings) {
        self.settings = settings;
    }

    /// What column number `column` adds to the score.
    #[inline]
    pub fn share(&self, group: usize, column: usize, value: f32) -> f32 {
        let (mut knot, mut next) = ([0], [0.0]);
        self.axes[column].locate(&[value], &mut knot, &mut next);
        let (averaged, _) = self.averaged.as_chunks::<N_KNOTS>();
        on_curve(&averaged[group * self.axes.len() + column], knot[0], next[0])
    }

    /// Adds to `scores` `[n]` the scores of candidates of `groups` `[n]` with the values `columns` `[columns, n]`.
    pub fn score_all(&self, groups: &[u32], columns: &[f32], scores: &mut [f32]) {
        let Some(&first) = groups.first() else { return };
        let second = groups.iter().copied().find(|&group| group != first).unwrap_or(first);
        if groups.iter().all(|&group| group == first || group == second) {
            let of = [self.averaged_of(first), self.averaged_of(second)];
            return accrue_kernel::add_curve_sums(&self.axes, of, groups, columns, scores);
        }
        // A context has two groups. Of more, each adds to the scores of all candidates, and each candidate takes those of
        // its own.
        let before = scores.to_vec();
        for group in (0..self.n_groups as u32).filter(|group| groups.contains(group)) {
            let mut by_group = before.clone();
            accrue_kernel::add_curve_sums(&self.axes, [self.averaged_of(group); 2], groups, columns, &mut by_group);
            let of_group = scores.iter_mut().zip(by_group).zip(groups).filter(|(_, of)| **of == group);
            of_group.for_each(|((score, by_group), _)| *score = by_group);
        }
    }

    /// The averaged curves of a group.
    fn averaged_of(&self, group: u32) -> GroupCurves<'_> {
        let (curves, _) = self.averaged[self.curves_of(group as usize)].as_chunks::<N_KNOTS>();
        GroupCurves { group, curves }
    }

    /// Leaves the place of each of `values` `[columns, n]` on its curve in `knots` and `shares` of the same shape, and adds
    /// to `scores` `[n]` what the curves that learn say there.
    fn locate_and_score(
        &self,
        groups: &[u32],
        values: &[f32],
        scores: &mut [f32],
        knots: &mut Vec<u32>,
        shares: &mut Vec<f32>,
    ) {
        knots.resize(values.len(), 0);
        shares.resize(values.len(), 0.0);
        for (places, group) in runs(groups) {
            let (curves, _) = self.curves[self.curves_of(group)].as_chunks::<N_KNOTS>();
            let (first, scores) = (places.start, &mut scores[places]);
            accrue_kernel::locate_and_add(&self.axes, curves, values, first, scores, (&mut *knots, &mut *shares));
        }
    }

    /// Learns that candidate `chosen` was chosen among those of the sample, and leaves their probabilities before the step.
    /// `alike` names the group, if there is one, that learns a part of what a group learns.
    pub fn learn(&mut self, sample: &mut Sample, chosen: usize, weight: f32, alike: fn(usize) -> Option<usize>) {
        let Sample { groups, present, values, scores, knots, shares, errors, gradient } = sample;
        let n = groups.len().max(1);
        self.locate_and_score(groups, values, scores, knots, shares);
        accrue_kernel::softmax_in_place(scores);
        errors.clear();
        errors.extend_from_slice(scores);
        errors[chosen] -= 1.0;
        // The candidates of one step are of two groups at most; the curves of the others stay as they are.
        present.clear();
        present.extend(runs(groups).map(|(_, group)| group));
        present.sort_unstable();
        present.dedup();
        gradient.resize(self.curves.len(), 0.0);
        for &group in &*present {
            gradient[self.curves_of(group)].fill(0.0);
        }
        for (places, group) in runs(groups) {
            let (of_curves, _) = gradient[self.curves_of(group)].as_chunks_mut::<N_KNOTS>();
            let columns = knots.chunks_exact(n).zip(shares.chunks_exact(n));
            let errors = &errors[places.clone()];
            // That of every column at the first knot.
            let sum = errors.iter().sum::<f32>();
            for (of_curve, (knots, shares)) in of_curves.iter_mut().zip(columns) {
                add_gradient((errors, sum), &knots[places.clone()], &shares[places.clone()], of_curve);
            }
        }
        for &group in &*present {
            let of_group = &mut gradient[self.curves_of(group)];
            self.step(group, of_group, weight);
            if let Some(other) = alike(group).filter(|&other| other < self.n_groups) {
                of_group.iter_mut().for_each(|gradient| *gradient *= ALIKE);
                self.step(other, of_group, weight);
            }
        }
        // While there are few steps, the average is their plain mean.
        self.steps += 1;
        let average = self.settings.average.max(1.0 / self.steps as f32);
        accrue_kernel::move_towards(average, &self.curves, &mut self.averaged);
    }

    /// Moves the curves of a group against `gradient` `[columns, knots]`.
    fn step(&mut self, group: usize, gradient: &[f32], weight: f32) {
        let BlendSettings { rate, forget, .. } = self.settings;
        let of_group = self.curves_of(group);
        let (curves, squared) = (&mut self.curves[of_group.clone()], &mut self.squared[of_group]);
        accrue_kernel::adagrad_forgetting(weight * rate, forget, 1e-3, gradient, curves, squared);
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        self.curves.len() as u64
    }

    /// Whether there is a number for each knot.
    pub(crate) fn is_whole(&self) -> bool {
        let n = self.n_groups * self.axes.len() * N_KNOTS;
        self.names.len() == self.axes.len()
            && [&self.curves, &self.averaged, &self.squared].iter().all(|of| of.len() == n)
    }

    /// Whether every parameter is finite.
    pub fn is_finite(&self) -> bool {
        self.curves.iter().chain(&self.averaged).all(|number| number.is_finite())
    }
}

/// The places of adjacent candidates of one group, with the group.
fn runs(groups: &[u32]) -> impl Iterator<Item = (Range<usize>, usize)> {
    let mut first = 0;
    groups.chunk_by(|a, b| a == b).map(move |run| {
        let places = first..first + run.len();
        first = places.end;
        (places, run[0] as usize)
    })
}

/// Adds the gradient of one curve. A column at the first knot needs no more than the `sum` of the errors.
fn add_gradient((errors, sum): (&[f32], f32), knots: &[u32], shares: &[f32], gradient: &mut [f32; N_KNOTS]) {
    if accrue_kernel::are_at_first_knot(knots, shares) {
        gradient[0] += sum;
    } else {
        accrue_kernel::curve_gradient(errors, knots, shares, gradient);
    }
}

/// The value of a curve `[knots]` between a knot and the next one, of which it has the share `next`: what
/// [`accrue_kernel::add_on_curve`] adds.
#[inline]
fn on_curve(curve: &[f32; N_KNOTS], knot: u32, next: f32) -> f32 {
    let mut value = [0.0];
    accrue_kernel::add_on_curve(curve, &[knot], &[next], &mut value);
    value[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_zeros_adds_what_its_share_says() {
        let columns = [Column::log("evidence", -3.0, 1.0, 0.5), Column::log("other", -3.0, 1.0, 0.25)];
        let mut blend = Blend::new(BlendSettings::default(), &columns, 1);
        let mut sample = Sample::default();
        sample.begin(2, 2).copy_from_slice(&[0.0, 2.0, 1.0, 0.0]);
        sample.push(0, 0.0);
        sample.push(0, 0.0);
        blend.learn(&mut sample, 0, 1.0, |_| None);
        let mut scores = [0.0; 2];
        blend.score_all(&[0, 0], &[0.0, 0.0, 1.0, 4.0], &mut scores);
        for (score, value) in scores.into_iter().zip([1.0, 4.0]) {
            assert!(blend.share(0, 0, 0.0) != 0.0);
            assert_eq!(score, blend.share(0, 0, 0.0) + blend.share(0, 1, value));
        }
    }

    #[test]
    fn candidates_of_any_number_of_groups_get_the_curves_of_their_own() {
        let columns = [Column::log("evidence", -3.0, 1.0, 0.5), Column::linear("other", 0.0, 1.0, 0.25)];
        let mut blend = Blend::new(BlendSettings::default(), &columns, 3);
        let mut sample = Sample::default();
        for group in [0, 1, 1, 2, 2, 2] {
            sample.begin(2, 2).copy_from_slice(&[0.0, 2.0, 1.0, 0.5]);
            sample.push(group, 0.0);
            sample.push(group, 0.0);
            blend.learn(&mut sample, 1, 1.0, |_| None);
        }
        let values = [0.5, 2.0, 0.0, 4.0, 0.25, 0.0, 0.75, 1.0];
        for groups in [[0; 4], [0, 1, 0, 1], [0, 1, 2, 1], [2, 2, 0, 1]] {
            let mut scores = [0.0; 4];
            blend.score_all(&groups, &values, &mut scores);
            for (place, score) in scores.into_iter().enumerate() {
                let share = |column: usize| blend.share(groups[place] as usize, column, values[4 * column + place]);
                assert_eq!(score, share(0) + share(1), "{groups:?} {place}");
            }
        }
        assert!(blend.share(0, 0, 2.0) != blend.share(1, 0, 2.0) && blend.share(1, 0, 2.0) != blend.share(2, 0, 2.0));
    }

    #[test]
    fn a_group_that_is_alike_learns_too_and_no_other_group_learns() {
        let columns = [Column::linear("evidence", 0.0, 1.0, 0.0)];
        let mut blend = Blend::new(BlendSettings::default(), &columns, 3);
        let mut sample = Sample::default();
        for _ in 0..40 {
            sample.begin(2, 1).copy_from_slice(&[1.0, 0.0]);
            sample.push(0, 0.0);
            sample.push(0, 0.0);
            blend.learn(&mut sample, 0, 1.0, |group| (group == 0).then_some(1));
        }
        let learned: Vec<f32> = (0..3).map(|group| blend.share(group, 0, 1.0) - blend.share(group, 0, 0.0)).collect();
        assert!(learned[1] > 0.1 && learned[0] >= learned[1] && learned[2] == 0.0, "{learned:?}");
    }
}
