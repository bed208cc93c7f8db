//! Rules of a mapping: changes to a record that depend on the cells of its row.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::Names;
use super::cell::Reading;
use super::error::{MappingError, known_fields};
use crate::raw_value::RawValue;
use crate::{Reason, RecordKind};

/// A test on one cell, and the changes to make if it holds. A rule without a test applies to every row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingRule {
    /// The test.
    pub when: Option<Condition>,
    /// Further tests, all of which must hold too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub and: Vec<Condition>,
    /// Leaves rows alone that a product of the file names as its variants; see `[variants]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unless_variant: bool,
    /// Field = text to set.
    pub set: BTreeMap<Box<str>, Box<str>>,
    /// Field = column whose text is copied.
    pub copy: BTreeMap<Box<str>, Names>,
    /// Fields to leave out.
    pub clear: Vec<Box<str>>,
    /// Fields whose number loses its minus sign.
    pub absolute: Vec<Box<str>>,
    /// Reason code with which the row is quarantined; later rules are not applied.
    pub quarantine: Option<Box<str>>,
    /// The row takes back what it says otherwise: an order that was cancelled or refunded. Later rules are not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// A row without an item takes back all lines of an order: the columns of the id that the first of them has as a
    /// purchase. A row with an item, or without such an id, stays what it is. With `undo = "if_known"`, one of an order that
    /// the log does not have is left out; otherwise it is refused.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub undo_order: Names,
    /// `false`: the row says nothing of the item of its event, although the mapping has `[item]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub describe: Option<bool>,
    /// Whether a file may lack the columns that the rule names; then the rule does not apply.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Leaves the row out: it is no record and no fault. Later rules are not applied.
    pub skip: bool,
    /// The row says that the item is no longer sold, or that the user's description is to be removed. Later rules are not
    /// applied.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
}

/// What becomes of an event that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// It is a return if the log has the event, and nothing otherwise: an order that was never counted.
    IfKnown,
    /// It is a return in any case.
    Always,
    /// All lines of the order are returns whose first has the event's id: it names none of them. The row is refused if
    /// the log has none of them.
    Order,
    /// As [`Undo::Order`], but the row is left out if the log has none of them: an order that was never counted.
    KnownOrder,
}

impl Undo {
    /// Whether all lines of an order are taken back.
    pub fn is_of_order(self) -> bool {
        matches!(self, Self::Order | Self::KnownOrder)
    }
}

/// A test on one cell: exactly one of the fields besides `column` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column of the cell.
    pub column: Box<str>,
    /// The cell equals this text.
    #[serde(default)]
    pub equals: Option<Box<str>>,
    /// The cell begins with this text.
    #[serde(default)]
    pub starts_with: Option<Box<str>>,
    /// The cell, trimmed, matches this regular expression.
    #[serde(default)]
    pub matches: Option<Box<str>>,
    /// The cell, trimmed, does not match this regular expression.
    #[serde(default)]
    pub not_matches: Option<Box<str>>,
    /// Whether the cell is empty, or a text that the mapping lists as empty.
    #[serde(default)]
    pub empty: Option<bool>,
    /// The cell is a number below this one.
    #[serde(default)]
    pub below: Option<f64>,
}

impl MappingRule {
    /// All tests.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.when.iter().chain(&self.and)
    }

    /// The columns that the rule reads.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.conditions()
            .map(|when| &*when.column)
            .chain(self.copy.values().flat_map(Names::iter))
            .chain(self.undo_order.iter())
    }

    pub(super) fn validate(&self, rule: usize, kind: RecordKind) -> Result<(), MappingError> {
        let fields = kind.fields();
        known_fields("rule.set", self.set.keys(), fields)?;
        known_fields("rule.copy", self.copy.keys(), fields)?;
        known_fields("rule.clear", self.clear.iter(), fields)?;
        known_fields("rule.absolute", self.absolute.iter(), fields)?;
        let idle = self.set.is_empty() && self.copy.is_empty() && self.clear.is_empty() && self.absolute.is_empty();
        if idle
            && self.quarantine.is_none()
            && !self.skip
            && !self.delete
            && self.describe.is_none()
            && self.undo.is_none()
            && self.undo_order.is_empty()
        {
            return Err(MappingError::Idle { rule });
        }
        if self.delete && kind == RecordKind::Events {
            return Err(MappingError::DeletedEvent { rule });
        }
        if let Some(code) = self.quarantine.as_ref().filter(|code| !is_code(code)) {
            return Err(MappingError::ReasonCode { rule, code: code.clone() });
        }
        self.conditions().try_for_each(|when| when.test(rule).map(drop))
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The compiled test of a condition.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equals(Box<str>),
    StartsWith(Box<str>),
    Matches(Regex),
    NotMatches(Regex),
    Empty(bool),
    Below(f64),
}

impl Condition {
    pub(super) fn test(&self, rule: usize) -> Result<Test, MappingError> {
        let regex = |pattern: &str| {
            Regex::new(pattern).map_err(|source| MappingError::Pattern { rule, pattern: pattern.into(), source })
        };
        let tests = [
            self.equals.clone().map(Test::Equals),
            self.starts_with.clone().map(Test::StartsWith),
            self.matches.as_deref().map(regex).transpose()?.map(Test::Matches),
            self.not_matches.as_deref().map(regex).transpose()?.map(Test::NotMatches),
            self.empty.map(Test::Empty),
            self.below.map(Test::Below),
        ];
        let n_tests = tests.iter().flatten().count();
        let mut given = tests.into_iter().flatten();
        match (given.next(), n_tests) {
            (Some(test), 1) => Ok(test),
            _ => Err(MappingError::Tests { rule, tests: n_tests }),
        }
    }
}

impl Test {
    /// Whether the test says what a cell must not be.
    pub(super) fn is_negative(&self) -> bool {
        matches!(self, Test::NotMatches(_))
    }

    /// Whether a cell with this text passes; `reading` is how its numbers are written.
    pub(super) fn holds(&self, cell: &str, is_empty: bool, reading: Reading) -> bool {
        match self {
            Test::Equals(text) => *cell == **text,
            Test::StartsWith(text) => cell.starts_with(&**text),
            Test::Matches(pattern) => pattern.is_match(cell.trim()),
            Test::NotMatches(pattern) => !pattern.is_match(cell.trim()),
            Test::Empty(expected) => is_empty == *expected,
            Test::Below(bound) => match reading.of(cell) {
                RawValue::Int(number) => (number as f64) < *bound,
                RawValue::Float(number) => number < *bound,
                _ => false,
            },
        }
    }
}

/// The reason with this code: the built-in one if there is one, otherwise a reason of the mapping.
pub(super) fn reason(code: &str) -> Reason {
    Reason::from_code(code).unwrap_or_else(|| Reason::Rule(code.into()))
}
