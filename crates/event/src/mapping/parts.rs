//! The parts of a bound mapping: where the values of a record are in a row, and which rules change them.

use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::Names;
use super::bound_state::BoundState;
use super::cell::Reading;
use super::object::Path;
use super::rule::{Test, Undo};
use super::shape::Shape;
use crate::{RawValue, Timestamp};

/// A column by its name, and the path that its name describes.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: Box<str>,
    pub path: Option<Path>,
    /// Whether the name is that of a list of single values, each of which is an item.
    pub is_opened: bool,
    /// How many arrays of the path are those of which each element is a record.
    pub n_shared: usize,
}

/// A field and how its value is made.
#[derive(Clone, Debug)]
pub(super) struct BoundField {
    pub field: &'static str,
    /// Where the value is; the first that has one counts.
    pub sources: Vec<Source>,
    /// Names under which objects may have the field; a table's header was searched for them before.
    pub other_names: &'static [&'static str],
    /// The values of all sources make a list.
    pub is_collected: bool,
    pub shape: Shape,
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Cell(usize),
    /// Texts and cells, one behind the other: `{Handle}-{Option1 Value}`. Without a value if one of the cells has none.
    Joined(Vec<Piece>),
}

impl Source {
    /// The places of all cells.
    pub fn cells(&self) -> Vec<usize> {
        match self {
            Self::Cell(place) => vec![*place],
            Self::Joined(pieces) => pieces.iter().filter_map(Piece::cell).collect(),
        }
    }

    /// The place of the cell, if it is one.
    pub fn cell(&self) -> Option<usize> {
        match self {
            Self::Cell(place) => Some(*place),
            Self::Joined(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Cell(usize),
}

impl Piece {
    fn cell(&self) -> Option<usize> {
        match self {
            Self::Cell(place) => Some(*place),
            Self::Text(_) => None,
        }
    }
}

/// The name of a property.
#[derive(Clone, Debug)]
pub(super) enum PropertyName {
    Fixed(Box<str>),
    /// Texts and cells: `{Option1 Name}`. There is no property if one of the cells is empty.
    Joined(Vec<Piece>),
}

impl PropertyName {
    /// The places of the cells in it.
    pub fn cells(&self) -> Vec<usize> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Joined(pieces) => pieces.iter().filter_map(Piece::cell).collect(),
        }
    }
}

/// A property and the cell that it is made from.
#[derive(Clone, Debug)]
pub(super) struct BoundProperty {
    pub name: PropertyName,
    /// What is between the elements of a list.
    pub separators: Option<Names>,
    pub sources: Vec<Source>,
    pub reading: Reading,
}

#[derive(Clone, Debug)]
pub(super) struct BoundRule {
    pub when: Vec<(usize, Test)>,
    pub set: Vec<(&'static str, RawValue)>,
    pub copy: Vec<BoundField>,
    pub clear: Vec<&'static str>,
    pub absolute: Vec<&'static str>,
    pub quarantine: Option<(Box<str>, Box<str>)>,
    pub skip: bool,
    pub undo: Option<Undo>,
    /// The id of an order whose lines a row without an item takes back.
    pub undo_order: Option<BoundField>,
    /// Whether the row removes what it names.
    pub delete: bool,
    /// Whether the row says something of the item of its event.
    pub describes: bool,
    /// Whether variants of products are left alone.
    pub unless_variant: bool,
}

/// [`Orders`](super::Orders) with the places of the columns.
#[derive(Clone, Debug)]
pub(super) struct BoundOrders {
    pub states: Vec<BoundState>,
    pub charges: Vec<usize>,
    pub line_total: Option<Source>,
    pub reading: Reading,
    /// The first texts for which lines were left out.
    pub told: Vec<Box<str>>,
}

/// [`PriceParts`](super::PriceParts) with the columns that a file has.
#[derive(Clone, Debug)]
pub(super) struct BoundPriceParts {
    pub surcharge: Option<Source>,
    pub discount: Option<Source>,
    pub mode: Option<Source>,
    pub reading: Reading,
}

/// Pairs in a file. Those in columns of a table are properties like others.
#[derive(Clone, Debug)]
pub(super) enum BoundPairs {
    /// Of an array of objects.
    Array { array: Path, name: Path, values: Vec<Path>, separators: Names },
    /// Of one cell.
    Cell { source: Source, between: Box<str>, assign: Box<str>, pattern: Option<Regex>, separators: Names },
}

/// What became of the prices with a sale's price beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sales {
    /// Items with a sale's price that is valid for some time.
    pub n_dated: u64,
    /// Those that have it, because it is valid.
    pub n_valid: u64,
    /// Those that do not have it any more.
    pub n_over: u64,
    /// Those that do not have it yet.
    pub n_ahead: u64,
    /// The next time at which one of these prices begins or ends.
    pub next_change: Option<Timestamp>,
}

/// A sale's columns in a file.
#[derive(Clone, Debug)]
pub(super) struct BoundSale {
    pub price: BoundField,
    pub from: Vec<Source>,
    pub until: Vec<Source>,
    pub period: Vec<Source>,
    pub until_day: bool,
    /// Formats of times, the more certain ones first.
    pub formats: Vec<Box<str>>,
    pub zone: Option<TimeZone>,
    pub as_of: Option<Timestamp>,
}
