//! Rows of the result: the name of each, its unit, and the budget that it has to meet.

use std::fmt;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// One row of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Name of the row.
    pub name: String,
    /// The median, or the 99th percentile if the name contains `p99`.
    pub value: f64,
    /// Of the value and the target.
    pub unit: String,
    /// The budget, if there is one.
    pub target: Option<f64>,
    /// Whether the budget is met; absent at sizes that the budget is not for.
    pub met: Option<bool>,
    /// How many single measurements the value summarises.
    pub samples: u64,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:.3} {}", self.name, self.value, self.unit)
    }
}

/// The size of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// Tiny, to test that the benches run.
    Tiny,
    /// A tenth of the events; takes some minutes.
    Quick,
    /// The sizes of the budgets.
    #[default]
    Full,
}

impl Size {
    pub(crate) fn pick<T>(self, tiny: T, quick: T, full: T) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    pub(crate) fn flag(self) -> Option<&'static str> {
        self.pick(Some("--tiny"), Some("--quick"), None)
    }
}

/// A row of a bench.
pub(crate) struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub target: Target,
}

/// The budget of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// The value of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub value: f64,
    pub samples: u64,
}

pub(crate) const fn row(name: &'static str, unit: &'static str, target: Target) -> Row {
    Row { name, unit, target }
}

/// A figure in its row.
pub(crate) fn measured(row: &Row, Figure { value, samples }: Figure, size: Size) -> anyhow::Result<Measure> {
    ensure!(value.is_finite(), "{} is {value}", row.name);
    let (target, met) = match row.target {
        Target::AtLeast(target) => (Some(target), Some(value >= target)),
        Target::AtMost(target) => (Some(target), Some(value <= target)),
        Target::None => (None, None),
    };
    let met = met.filter(|_| size != Size::Tiny);
    Ok(Measure { name: row.name.into(), value, unit: row.unit.into(), target, met, samples })
}
