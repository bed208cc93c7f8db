//! Plain values as a tree, read as a typed value with mismatches as data.
//!
//! In: a value of any self-describing format (JSON, TOML), or texts of a query. Out: the typed value, or the first
//! [`Mismatch`]: the path, and whether a field is unknown, is missing, or has a value of the wrong kind. The errors of
//! `serde_json` and `toml` say the same in English only. Requests are read as typed values directly, which is faster, and
//! as a tree only if that failed. Settings are always read through a tree: each further deserializer adds a third of a
//! megabyte of code for the types of all settings.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use crate::any_value::{self, AnyValue};

/// A value of a self-describing format. Tables keep the order of their fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number without a fraction.
    Integer(i64),
    /// A number without a fraction, beyond the range of `i64`.
    Unsigned(u64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// The text of a value whose type the reader decides, as in a query: `3` is read as a number where one is expected.
    Untyped(String),
    /// Values in order.
    List(Vec<Tree>),
    /// Fields in order.
    Table(Vec<(String, Tree)>),
}

/// Why a [`Tree`] cannot be read as a type.
///
/// ```
/// use accrue_event::{Mismatch, MismatchKind, Tree};
///
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Page {
///     n: u32,
/// }
/// let tree = Tree::Table(vec![("limit".to_owned(), Tree::Integer(3))]);
/// let Mismatch { path, kind } = tree.read::<Page>().unwrap_err();
/// assert_eq!((path.as_str(), kind), ("limit", MismatchKind::UnknownField { known: &["n"] }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where: `requests[3].n`; empty for the value as a whole.
    pub path: String,
    /// What does not match.
    pub kind: MismatchKind,
}

/// What does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MismatchKind {
    /// The type has no field of this name.
    UnknownField {
        /// The fields that the type has.
        known: &'static [&'static str],
    },
    /// The type has a field that is not there.
    MissingField,
    /// The value cannot be read, for the stated reason.
    Value(String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        match kind {
            MismatchKind::UnknownField { known: [] } => write!(f, "unknown field `{path}`, there are no fields"),
            MismatchKind::UnknownField { known } => write!(f, "unknown field `{path}`, expected {}", quoted(known)),
            MismatchKind::MissingField => write!(f, "missing field `{path}`"),
            MismatchKind::Value(reason) if path.is_empty() => f.write_str(reason),
            MismatchKind::Value(reason) => write!(f, "{path}: {reason}"),
        }
    }
}

/// The names as serde lists them in its own messages.
fn quoted(names: &[&str]) -> String {
    match names {
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` or `{other}`"),
        names => format!("one of {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// What serde calls a kind of value, in the words of a request or a file.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object or table",
        _ if expected.starts_with("struct ") => "an object or table",
        _ if expected.starts_with("enum ") => "one of its names",
        _ => expected,
    }
}

/// A value as its writer sees it.
fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Unit | Unexpected::Option => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "an object".into(),
        other => other.to_string(),
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { path: String::new(), kind: MismatchKind::Value(reason.to_string()) }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {}, not {}", kind(&expected.to_string()), shown(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be {}, not {name:?}", quoted(known)))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self { path: field.to_owned(), kind: MismatchKind::UnknownField { known } }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self { path: field.to_owned(), kind: MismatchKind::Value("it is given twice".into()) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: field.to_owned(), kind: MismatchKind::MissingField }
    }
}

impl Mismatch {
    /// The same mismatch in the field `name` of a table.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }

    /// The last name of the path.
    pub fn field(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

impl Tree {
    /// The typed value.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn read<T: de::DeserializeOwned>(&self) -> Result<T, Mismatch> {
        T::deserialize(self)
    }

    /// What stands at a path, such as `requests[3].n`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        let mut steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        steps.try_fold(self, |tree, step| match tree {
            Self::Table(fields) => fields.iter().find(|(name, _)| name == step).map(|(_, value)| value),
            Self::List(values) => values.get(step.strip_suffix(']')?.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        any_value::read(deserializer)
    }
}

impl AnyValue for Tree {
    type Element = Self;
    type Name = String;

    fn null() -> Self {
        Self::Null
    }

    fn boolean(value: bool) -> Self {
        Self::Bool(value)
    }

    fn integer(value: i64) -> Self {
        Self::Integer(value)
    }

    fn above_i64(value: u64) -> Self {
        Self::Unsigned(value)
    }

    fn float(value: f64) -> Self {
        Self::Float(value)
    }

    fn text(value: String) -> Self {
        Self::Text(value)
    }

    fn list(values: Vec<Self>) -> Self {
        Self::List(values)
    }

    fn table(fields: Vec<(String, Self)>) -> Self {
        Self::Table(fields)
    }
}

/// Reads an untyped text as a number or a truth value where the reader expects one.
macro_rules! untyped {
    ($($method:ident $visit:ident $type:ty,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match self {
                Tree::Untyped(text) => visitor.$visit(text.parse::<$type>().map_err(|_| {
                    de::Error::invalid_type(Unexpected::Str(text), &stringify!($type))
                })?),
                tree => tree.deserialize_any(visitor),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for &Tree {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Integer(value) => visitor.visit_i64(*value),
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(text) | Tree::Untyped(text) => visitor.visit_str(text),
            Tree::List(values) => visitor.visit_seq(Elements { values: values.iter().enumerate() }),
            Tree::Table(fields) => visitor.visit_map(Fields { fields: fields.iter(), next: None }),
        }
    }

    untyped! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Tree::Null => visitor.visit_none(),
            tree => visitor.visit_some(tree),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self {
            Tree::Text(text) | Tree::Untyped(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Tree::Table(fields) if fields.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Fields { fields: fields.iter(), next: None }))
            }
            tree => tree.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Elements<'t> {
    values: std::iter::Enumerate<std::slice::Iter<'t, Tree>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let next = self.values.next();
        next.map(|(place, value)| seed.deserialize(value).map_err(|fault| fault.within(&format!("[{place}]"))))
            .transpose()
    }
}

struct Fields<'t> {
    fields: std::slice::Iter<'t, (String, Tree)>,
    next: Option<&'t (String, Tree)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        self.next = self.fields.next();
        self.next.map(|(name, _)| seed.deserialize(&Tree::Untyped(name.clone()))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let (name, value) = self.next.expect("a value is read after its name");
        seed.deserialize(value).map_err(|fault| fault.within(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        n: u32,
        seen: Option<Seen>,
        #[serde(default)]
        parts: Vec<Part>,
        #[serde(default)]
        weights: std::collections::BTreeMap<u8, f32>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        share: f64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Seen {
        Keep,
        After(u64),
    }

    fn tree(json: &str) -> Tree {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_tree_is_read_as_its_text_is() {
        for json in [
            r#"{"n": 1, "seen": "keep", "parts": [{"share": 0.5}, {"share": 1}], "weights": {"3": 0.5}}"#,
            r#"{"n": 4294967295, "seen": {"after": 18446744073709551615}}"#,
            r#"{"seen": null, "n": 0}"#,
        ] {
            assert_eq!(tree(json).read::<Request>().unwrap(), serde_json::from_str(json).unwrap(), "{json}");
        }
    }

    #[test]
    fn mismatches_name_their_path() {
        for (json, path, told) in [
            (r#"{"n": 1, "limit": 2}"#, "limit", "unknown field `limit`, expected one of `n`, `seen`"),
            (r#"{"n": "one"}"#, "n", "n: must be a whole number of at least 0, not \"one\""),
            (r#"{"n": -1}"#, "n", "n: must be a whole number of at least 0, not -1"),
            (r#"{}"#, "n", "missing field `n`"),
            (r#"{"n": 1, "parts": [{"share": 1}, {}]}"#, "parts[1].share", "missing field `parts[1].share`"),
            (r#"{"n": 1, "parts": [{"size": 1}]}"#, "parts[0].size", "unknown field `parts[0].size`, expected `share`"),
            (r#"{"n": 1, "seen": "hide"}"#, "seen", "seen: must be `keep` or `after`, not \"hide\""),
            (
                r#"{"n": 1, "seen": {"after": true}}"#,
                "seen.after",
                "seen.after: must be a whole number of at least 0, not true",
            ),
            ("3", "", "must be an object or table, not 3"),
        ] {
            let fault = tree(json).read::<Request>().unwrap_err();
            assert_eq!(fault.path, path, "{json}");
            assert!(fault.to_string().starts_with(told), "{json}: {fault}");
        }
    }

    #[test]
    fn untyped_texts_take_the_type_that_is_expected() {
        let query = |n: &str| Tree::Table(vec![("n".to_owned(), Tree::Untyped(n.to_owned()))]).read::<Request>();
        assert_eq!(query("7").unwrap().n, 7);
        assert_eq!(query("many").unwrap_err().to_string(), "n: must be a whole number of at least 0, not \"many\"");
    }

    #[test]
    fn a_path_leads_to_its_value() {
        let tree = tree(r#"{"parts": [{"share": 1}, {"share": 2}]}"#);
        assert_eq!(tree.at("parts[1].share"), Some(&Tree::Integer(2)));
        assert_eq!((tree.at("parts[2]"), tree.at("parts.share"), tree.at("n")), (None, None, None));
    }
}
