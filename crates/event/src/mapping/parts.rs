//! The parts of a bound mapping: where the values of a record are in a row, and which rules change them.

use super::Names;
use super::cell::Reading;
use super::object::Path;
use super::rule::{Test, Undo};
use super::shape::Shape;
use crate::RawValue;

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
