//! Attributes whose names are values too: `[[pairs]]`.
//!
//! In: pairs of columns (`Attribute 1 name`, `Attribute 1 value(s)`), an array of objects (`attributes[].name`,
//! `attributes[].options`), or one cell that holds all (`color=Red,size=M`). Out: attributes of items, or properties of events.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::Names;
use super::bound::BoundMapping;
use super::cell::{Cell, Reading};
use super::error::MappingError;
use super::left_out::is_dropped;
use super::object::{Object, Path};
use super::parts::{BoundPairs, Source};
use super::shape::split;
use crate::RawValue;

/// Pairs that one cell may hold. The check keeps fewer.
const MAX_PAIRS: usize = 1000;

/// Where the names and values of attributes are: `name` and `value`, or `column`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pairs {
    /// The column of the name. `*` stands for what differs from pair to pair, and is the same in `value`; `[]` stands for every
    /// element of an array.
    pub name: Option<Box<str>>,
    /// The column of the value, or several of which the first with a value counts.
    pub value: Names,
    /// The column that holds all pairs.
    pub column: Option<Box<str>>,
    /// What stands between the pairs of a cell.
    pub between: Option<Box<str>>,
    /// What stands between the name and the value of a pair of a cell.
    pub assign: Option<Box<str>>,
    /// A regular expression of which the first group is a name in the column and the second its value; it is found again and
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Box<str>>,
    /// What stands between several values of one attribute.
    pub separators: Names,
}

impl Pairs {
    /// The columns that are named; `*` in a name stands for any text.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.name.as_deref().into_iter().chain(self.value.iter()).chain(self.column.as_deref())
    }

    pub(super) fn validate(&self, pairs: usize) -> Result<(), MappingError> {
        let is_whole = match (&self.name, &self.column) {
            (Some(name), None) => (name.contains('*') || name.contains("[]")) && self.value.iter().next().is_some(),
            (None, Some(_)) => true,
            _ => false,
        };
        self.expression()?;
        if is_whole { Ok(()) } else { Err(MappingError::Pairs { pairs }) }
    }

    fn expression(&self) -> Result<Option<Regex>, MappingError> {
        let compile = |pattern: &str| {
            Regex::new(pattern).map_err(|source| MappingError::PairsPattern { pattern: pattern.into(), source })
        };
        self.pattern.as_deref().map(compile).transpose()
    }

    /// The column of the name and those of the value where `*` stands for a text; `None` if a column is no such name.
    pub(super) fn columns_for(&self, column: &str) -> Option<Vec<String>> {
        let (before, after) = self.name.as_deref()?.split_once('*')?;
        let varying = column.strip_prefix(before)?.strip_suffix(after).filter(|varying| !varying.is_empty())?;
        Some(self.value.iter().map(|value| value.replacen('*', varying, 1)).collect())
    }
}

impl BoundPairs {
    /// The pairs of an array; `None` if `name` leads into none.
    pub fn of_array(pairs: &Pairs) -> Option<Self> {
        let name = Path::parse(pairs.name.as_deref()?)?;
        let values: Vec<Path> = pairs.value.iter().filter_map(Path::parse).collect();
        let separators = pairs.separators.clone();
        (!values.is_empty()).then_some(Self::Array { array: name.up_to_each()?, name, values, separators })
    }

    pub fn of_cell(pairs: &Pairs, source: Source) -> Self {
        let text = |given: &Option<Box<str>>, usual: &str| given.clone().unwrap_or_else(|| usual.into());
        let (between, assign) = (text(&pairs.between, ","), text(&pairs.assign, "="));
        let pattern = pairs.expression().ok().flatten();
        Self::Cell { source, between, assign, pattern, separators: pairs.separators.clone() }
    }

    /// The field of an object that the pairs are in.
    pub fn root(&self) -> Option<&str> {
        match self {
            Self::Array { array, .. } => Some(array.root()),
            Self::Cell { .. } => None,
        }
    }
}

impl BoundMapping {
    /// The pairs that an array in an object holds; `element` is the place of the record in its own array.
    pub(super) fn pairs_of_object(&self, object: &Object, element: Option<&[usize]>) -> Vec<(Box<str>, RawValue)> {
        let mut found = Vec::new();
        for pairs in &self.pairs {
            let BoundPairs::Array { array, name, values, separators } = pairs else { continue };
            let n_shared = self.array.as_ref().map_or(0, |records| array.n_shared(records));
            let around = element.map_or(&[][..], |element| &element[..n_shared.min(element.len())]);
            for place in object.elements(array).into_iter().filter(|place| place.starts_with(around)).take(MAX_PAIRS) {
                let RawValue::Text(name) = object.at(name, &place) else { continue };
                let value = values.iter().map(|path| object.at(path, &place)).find(has_value);
                found.extend(value.map(|value| (name.into(), self.separated(value, separators))));
            }
        }
        found
    }

    /// The pairs that cells of a row hold.
    pub(super) fn pairs_of_cells<C: Cell>(&self, row: &[C]) -> Vec<(Box<str>, RawValue)> {
        let mut found = Vec::new();
        for pairs in &self.pairs {
            let BoundPairs::Cell { source, between, assign, pattern, separators } = pairs else { continue };
            let cell = self.source(row, source, Reading::Text);
            if let Some(object) = object_in(&cell) {
                found.extend(attributes_of(object).filter(|(name, _)| !self.drops(name)));
            } else if let RawValue::Text(text) = cell {
                let pairs = match pattern {
                    Some(pattern) => pairs_by(&text, pattern),
                    None => pairs_in(&text, between, assign),
                };
                let pairs = pairs.into_iter().take(MAX_PAIRS);
                let pairs = pairs.filter(|(name, _)| !self.drops(name));
                found.extend(pairs.map(|(name, value)| (name, self.separated(RawValue::text(value), separators))));
            }
        }
        found
    }

    /// Whether the mapping leaves out an attribute of this name. `*` means columns alone.
    fn drops(&self, name: &str) -> bool {
        self.drop_columns.iter().any(|dropped| **dropped != *"*" && is_dropped(std::slice::from_ref(dropped), name))
    }

    /// A value, as a list if it holds several.
    fn separated(&self, value: RawValue, separators: &Names) -> RawValue {
        match value {
            RawValue::Text(text) if separators.iter().any(|separator| text.contains(separator)) => {
                split(&text, separators, &self.empty)
            }
            RawValue::List(mut values) if values.len() == 1 => values.pop().unwrap_or_default(),
            value => value,
        }
    }
}

/// The object that a cell holds: `{"colour": "Red"}`.
fn object_in(cell: &RawValue) -> Option<Object> {
    match cell {
        RawValue::Other(json) => serde_json::from_str(json).ok(),
        RawValue::Text(text) if text.trim_start().starts_with('{') => serde_json::from_str(text.trim()).ok(),
        _ => None,
    }
}

/// The fields of an object that can be attributes. A list of numbers is a vector, and no attribute.
fn attributes_of(object: Object) -> impl Iterator<Item = (Box<str>, RawValue)> {
    let is_vector = |value: &RawValue| match value {
        RawValue::List(values) => values.iter().all(|value| matches!(value, RawValue::Int(_) | RawValue::Float(_))),
        _ => false,
    };
    let fields = object.0.into_iter().map(|(name, value)| (name, RawValue::from(value)));
    fields.filter(move |(_, value)| has_value(value) && !is_vector(value)).take(MAX_PAIRS)
}

fn has_value(value: &RawValue) -> bool {
    !value.is_missing() && !matches!(value, RawValue::List(values) if values.is_empty())
}

/// The pairs that an expression finds in a text.
fn pairs_by(text: &str, pattern: &Regex) -> Vec<(Box<str>, String)> {
    let found = pattern.captures_iter(text).filter_map(|found| {
        let (name, value) = (found.get(1)?.as_str().trim(), found.get(2)?.as_str().trim());
        (!name.is_empty() && !value.is_empty()).then(|| (name.into(), value.to_owned()))
    });
    found.take(MAX_PAIRS).collect()
}

/// The pairs in a text. What has no name is the rest of the value before it: `care=Wash cold, dry flat,color=Red`.
fn pairs_in(text: &str, between: &str, assign: &str) -> Vec<(Box<str>, String)> {
    let mut pairs: Vec<(Box<str>, String)> = Vec::new();
    for part in text.split(between) {
        match (part.split_once(assign).filter(|(name, _)| is_name(name)), pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name.trim().into(), value.trim().to_owned())),
            (None, Some((_, value))) => {
                value.push_str(between);
                value.push_str(part);
            }
            (None, None) => {}
        }
    }
    // `eco="yes, really"` is quoted because of the comma in it.
    for (_, value) in &mut pairs {
        let quoted = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(inner) = quoted.filter(|inner| !inner.replace("\"\"", "").contains('"')) {
            *value = inner.replace("\"\"", "\"");
        }
    }
    pairs.retain(|(_, value)| !value.trim().is_empty());
    pairs
}

/// Whether a text is the name of an attribute, and not a part of a value in which the sign happens to stand.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with(|c: char| c.is_ascii_punctuation())
        && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_what_stands_between_pairs() {
        let pairs = pairs_in("care=Wash cold, dry flat,color=Red,,size=", ",", "=");
        assert_eq!(pairs, [("care".into(), "Wash cold, dry flat".to_owned()), ("color".into(), "Red,".to_owned())]);
        let quoted = pairs_in("eco=\"yes, \"\"really\"\"\",size=M,cut=12\"", ",", "=");
        let quoted: Vec<&str> = quoted.iter().map(|(_, value)| &**value).collect();
        assert_eq!(quoted, ["yes, \"really\"", "M", "12\""]);
        assert!(pairs_in("", ",", "=").is_empty() && pairs_in("red", ",", "=").is_empty());
    }
}
