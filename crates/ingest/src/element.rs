//! An element of XML as an object with the names of its children.
//!
//! An element that repeats is a list. Prefixes of namespaces are left out, and what has Google's prefix `g:` comes before what
//! has none. Attributes are fields: those of an element with fields of its own under their names, those of an element with a text
//! as `price@currency`. Texts with a language become a text by language, and `<param name="Colour">Red</param>` an object
//! with `name` and `value`.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// How much a name counts among equal ones: attributes, names with another prefix, without one, and with Google's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Attribute,
    Other,
    Plain,
    Google,
}

/// An element that is being read.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// The name as it is written.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// The text between its children.
    text: String,
    /// All text in it, with that of its children.
    whole_text: String,
    fields: Map<String, Value>,
    /// Looked up only.
    ranks: HashMap<String, Rank>,
}

/// Attributes that name what an element's text is the value of.
const NAMING: [&str; 3] = ["name", "key", "code"];

impl Element {
    pub fn new(name: &str, attributes: impl Iterator<Item = (String, String)>) -> Self {
        let is_declaration = |name: &str| name == "xmlns" || name.starts_with("xmlns:");
        let attributes = attributes.filter(|(name, _)| !is_declaration(name)).collect();
        Self { name: name.to_owned(), attributes, ..Self::default() }
    }

    /// Adds text that stands in the element.
    pub fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.whole_text.push_str(text);
    }

    /// Adds an element that stands in this one.
    pub fn add(&mut self, child: Element) {
        self.whole_text.push(' ');
        self.whole_text.push_str(&child.whole_text);
        let (rank, name) = match child.name.split_once(':') {
            Some(("g", local)) => (Rank::Google, local.to_owned()),
            Some((_, local)) => (Rank::Other, local.to_owned()),
            None => (Rank::Plain, child.name.clone()),
        };
        let is_text = child.fields.is_empty() && !child.text.trim().is_empty();
        if !is_text || child.attributes.is_empty() {
            return self.put(&name, rank, child.into_value());
        }
        let text = child.text.trim();
        let attribute = |wanted: &[&str]| child.attributes.iter().find(|(name, _)| wanted.contains(&&**name));
        if let Some((_, language)) = attribute(&["xml:lang", "lang"]) {
            self.put_text_in(&name, rank, language, text);
        } else if let Some((_, label)) = attribute(&NAMING) {
            self.put(&name, rank, serde_json::json!({ "name": label, "value": text }));
        } else {
            self.put(&name, rank, Value::from(text));
            for (attribute, value) in &child.attributes {
                self.put(&format!("{name}@{attribute}"), rank, Value::from(value.as_str()));
            }
        }
    }

    /// The object of a record, also if it has a text alone.
    pub fn into_object(mut self) -> Value {
        self.add_attributes();
        if self.fields.is_empty() && !self.text.trim().is_empty() {
            self.put("text", Rank::Plain, Value::from(self.text.trim()));
        }
        Value::Object(self.fields)
    }

    fn into_value(mut self) -> Value {
        let has_text = !self.text.trim().is_empty();
        if self.fields.is_empty() && (has_text || self.attributes.is_empty()) {
            return Value::from(self.text.trim());
        }
        if has_text && !self.fields.is_empty() {
            // Markup that was not escaped, as in a description.
            return Value::from(self.whole_text.trim());
        }
        self.add_attributes();
        Value::Object(self.fields)
    }

    fn add_attributes(&mut self) {
        for (name, value) in std::mem::take(&mut self.attributes) {
            let local = name.rsplit(':').next().unwrap_or_default();
            self.put(local, Rank::Attribute, Value::from(value));
        }
    }

    /// Sets a field, or adds to it if it repeats.
    fn put(&mut self, name: &str, rank: Rank, value: Value) {
        let before = self.ranks.get(name).copied().unwrap_or(rank);
        if before <= rank {
            self.ranks.insert(name.to_owned(), rank);
        }
        match self.fields.get_mut(name) {
            Some(_) if before > rank => {}
            Some(Value::Array(values)) if before == rank => values.push(value),
            Some(one) if before == rank => *one = Value::Array(vec![one.take(), value]),
            _ => drop(self.fields.insert(name.to_owned(), value)),
        }
    }

    /// Adds the text of a language to a field.
    fn put_text_in(&mut self, name: &str, rank: Rank, language: &str, text: &str) {
        if let Some(Value::Object(texts)) = self.fields.get_mut(name) {
            texts.entry(language).or_insert_with(|| Value::from(text));
        } else {
            self.put(name, rank, serde_json::json!({ language: text }));
        }
    }
}
