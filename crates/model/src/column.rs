//! Columns: the numbers that members compute for a candidate, and how the blend lays them along its curves.
//!
//! A member declares its columns; the blend has a curve for each and for each group. Neither needs to know the other.

use accrue_kernel::Layout;
use serde::{Deserialize, Serialize};

/// Knots of a curve.
pub const N_KNOTS: usize = 16;

/// How a column's values are laid out along its curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Axis {
    /// Zero has knot 0 of its own; knots 1 … lie at `2^low`, `2^(low + step)`, …
    Log {
        /// Exponent at knot 1.
        low: f32,
        /// Exponents from knot to knot.
        step: f32,
    },
    /// Knots at equal distances from `low` to `high`.
    Linear {
        /// Value at knot 0.
        low: f32,
        /// Value at the last knot.
        high: f32,
    },
}

impl Axis {
    /// For each of `values` the knot below it and the share of the next one.
    #[inline]
    pub(crate) fn locate(self, values: &[f32], knots: &mut [u32], shares: &mut [f32]) {
        // Evidence of a visit is 0 for all candidates before the visit.
        if matches!(self, Axis::Log { .. }) && values.iter().fold(0, |bits, value| bits | value.to_bits()) == 0 {
            knots.fill(0);
            return shares.fill(0.0);
        }
        accrue_kernel::locate(self.into(), N_KNOTS, values, knots, shares);
    }
}

impl From<Axis> for Layout {
    fn from(axis: Axis) -> Self {
        match axis {
            Axis::Log { low, step } => Layout::Log { low, step },
            Axis::Linear { low, high } => Layout::Linear { low, high },
        }
    }
}

/// One number that a member computes for a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Its name in curves, reasons and metrics; unique over all members.
    pub name: &'static str,
    /// How its values are laid out along a curve of the blend.
    pub axis: Axis,
    /// Score per knot of that curve before anything is learned.
    pub slope: f32,
    /// Its factor where the member scores alone; 0 leaves it out.
    pub alone: f32,
    /// What explains a share of the score that comes from this column.
    pub reason: ReasonKind,
}

impl Column {
    /// A column whose values span magnitudes from `2^low` on, in steps of `2^step`; it is explained by the shopper's history and counts
    /// fully where its member scores alone.
    pub const fn log(name: &'static str, low: f32, step: f32, slope: f32) -> Self {
        Self { name, axis: Axis::Log { low, step }, slope, alone: 1.0, reason: ReasonKind::History }
    }

    /// A column whose values are between `low` and `high`.
    pub const fn linear(name: &'static str, low: f32, high: f32, slope: f32) -> Self {
        Self { name, axis: Axis::Linear { low, high }, slope, alone: 1.0, reason: ReasonKind::History }
    }

    /// The same column with another factor where the member scores alone.
    pub const fn alone(self, alone: f32) -> Self {
        Self { alone, ..self }
    }

    /// The same column with another reason.
    pub const fn because(self, reason: ReasonKind) -> Self {
        Self { reason, ..self }
    }
}

/// What explains a share of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// What this shopper did.
    History,
    /// What other shoppers did lately, the same for every shopper.
    Popular,
    /// How long the item has been in the shop, the same for every shopper.
    New,
    /// Where the shopper is, and how the shop describes them.
    Circumstances,
}
