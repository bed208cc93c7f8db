//! The faults of mappings.

use crate::check::prefix;

/// A mapping that contradicts itself or does not match a file.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MappingError {
    /// A field that does not exist.
    #[error("`{table}` names the field `{field}`, which does not exist; the fields are: {}", known.join(", "))]
    NoField {
        /// The table of the mapping.
        table: &'static str,
        /// The name.
        field: Box<str>,
        /// The names of all fields.
        known: &'static [&'static str],
    },
    /// A column that the file does not have.
    #[error("`{table}` names the column `{column}`, which the file does not have; it has: {}", listed(known))]
    NoColumn {
        /// The table of the mapping.
        table: &'static str,
        /// The name.
        column: Box<str>,
        /// The columns of the file.
        known: Vec<Box<str>>,
    },
    /// A pattern that is not a regular expression.
    #[error("rule {rule}: `{pattern}` is not a regular expression: {source}")]
    Pattern {
        /// The number of the rule, from 1.
        rule: usize,
        /// The pattern.
        pattern: Box<str>,
        /// The fault of the pattern.
        source: regex_lite::Error,
    },
    /// A condition without a test or with several.
    #[error("rule {rule}: `when` needs exactly one test besides `column`, but has {tests}; write one rule for each")]
    Tests {
        /// The number of the rule, from 1.
        rule: usize,
        /// The number of tests.
        tests: usize,
    },
    /// A rule without an effect.
    #[error(
        "rule {rule} does nothing; give it `set`, `copy`, `clear`, `absolute`, `describe`, `quarantine`, `undo`, `skip` or `delete`"
    )]
    Idle {
        /// The number of the rule, from 1.
        rule: usize,
    },
    /// A rule that deletes events.
    #[error("rule {rule}: `delete` is for items and users, but `kind` is `events`; an event stays, use `skip`")]
    DeletedEvent {
        /// The number of the rule, from 1.
        rule: usize,
    },
    /// A reason code with other characters than codes may have.
    #[error("rule {rule}: `{code}` cannot be a reason; use lower-case letters, digits and `_`, at most 64 of them")]
    ReasonCode {
        /// The number of the rule, from 1.
        rule: usize,
        /// The code.
        code: Box<str>,
    },
    /// A factor that is 0 or not finite.
    #[error("`scale` multiplies `{field}` by {factor}; the factor must be a finite number and not 0")]
    Scale {
        /// The field.
        field: Box<str>,
        /// The factor.
        factor: f64,
    },
    /// A zone that is not known.
    #[error("`time_zone` is {name:?}, which is no zone that is known; use a name such as Europe/Berlin")]
    Zone {
        /// The name.
        name: Box<str>,
    },
    /// A key that only items have.
    #[error("`{key}` is about items, but `kind` is not `items`")]
    OnlyOfItems {
        /// The key.
        key: &'static str,
    },
    /// A key that only events have.
    #[error("`{key}` is about events, but `kind` is not `events`")]
    OnlyOfEvents {
        /// The key.
        key: &'static str,
    },
    /// Pairs that name neither a column nor both of two.
    #[error("pairs {pairs}: needs `name` and `value` with a `*` or `[]` in the name, or `column`")]
    Pairs {
        /// The number of the entry, from 1.
        pairs: usize,
    },
    /// An expression for the ids of variants that is none.
    #[error("`variants.id`: `{pattern}` is not a regular expression: {source}")]
    VariantPattern {
        /// The pattern.
        pattern: Box<str>,
        /// The fault of the pattern.
        source: regex_lite::Error,
    },
    /// An expression for the value of a field that is none.
    #[error("`extract`: `{pattern}` is not a regular expression: {source}")]
    ExtractPattern {
        /// The pattern.
        pattern: Box<str>,
        /// The fault of the pattern.
        source: regex_lite::Error,
    },
    /// An expression for pairs that is none.
    #[error("`pairs.pattern`: `{pattern}` is not a regular expression: {source}")]
    PairsPattern {
        /// The pattern.
        pattern: Box<str>,
        /// The fault of the pattern.
        source: regex_lite::Error,
    },
    /// Columns of items in a source without events.
    #[error("`item` describes the items of events, but `kind` is not `events`; use `fields`")]
    ItemBesideNothing,
}

/// Names in a message: the first ones, if there are many, and the beginnings of long ones.
pub fn listed(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 60;
    const MAX_BYTES: usize = 80;
    let mut text = String::new();
    for name in names.iter().take(SHOWN).map(AsRef::as_ref) {
        let near = prefix(name, MAX_BYTES);
        text.push_str(if text.is_empty() { "" } else { ", " });
        text.push_str(near);
        text.push_str(if near.len() < name.len() { "…" } else { "" });
    }
    if names.len() > SHOWN {
        text.push_str(&format!(" … and {} more", names.len() - SHOWN));
    }
    text
}

/// Checks that all `fields` of a table are among `known`.
pub(super) fn known_fields<'a>(
    table: &'static str,
    mut fields: impl Iterator<Item = &'a Box<str>>,
    known: &'static [&'static str],
) -> Result<(), MappingError> {
    match fields.find(|field| !known.contains(&&***field)) {
        Some(field) => Err(MappingError::NoField { table, field: field.clone(), known }),
        None => Ok(()),
    }
}
