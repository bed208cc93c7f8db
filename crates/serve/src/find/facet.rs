//! A facet as a request names it and an answer has it; `facets.rs` counts.

use std::fmt;

use serde::Serialize;

use crate::filter::FacetField;

/// Facets in one request, at most.
pub const MAX_FACETS: usize = 20;
/// Values of a facet that an answer has, at most.
pub const MAX_VALUES: usize = 100;

/// A field that a request wants counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// The name as the request has it.
    pub name: Box<str>,
    pub(crate) field: FacetField,
    /// Whether all values in the shop are numbers.
    pub(super) is_numeric: bool,
}

/// The counts of a facet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FacetCounts {
    /// The name as the request has it.
    pub name: Box<str>,
    /// The values that most products have, at most [`MAX_VALUES`]; equal counts in the order of the texts.
    pub values: Vec<ValueCount>,
    /// For a field of numbers: how they are spread.
    pub numbers: Option<NumberCounts>,
}

/// How many products have a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueCount {
    /// The value, in the spelling that most of the matches have.
    pub value: Box<str>,
    /// Products with that value.
    pub count: usize,
}

/// How the numbers of matches are spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NumberCounts {
    /// The least; `None` if no match has a number.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// In ascending order, without empty ones.
    pub ranges: Vec<RangeCount>,
}

/// How many products have a number in a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangeCount {
    /// The least number that is in it.
    pub from: f64,
    /// The least number that is beyond it.
    pub to: f64,
    /// Products with such a number.
    pub count: usize,
}

impl fmt::Display for Facet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
