//! Objects of a platform before their mapping, with what is nested in them, and the paths that lead into them.
//!
//! In: a JSON object, or the cells of a row of which some hold JSON. Out: the values at paths such as
//! `event_attributes.object.object_id`, `images[0].src`, `event_params[key=page_location].value` and `items[].item_id`; the
//! notations `$.a.b`, `/a/b`, `a.0.b` and `a[*].b` mean the same.

use serde::{Deserialize, Serialize};

use crate::raw_value::{RawValue, pairs_json};

/// An object with the platform's own names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub(super) Vec<(Box<str>, Nested)>);

/// A value inside an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Nested {
    Single(RawValue),
    List(Vec<Nested>),
    Object(Object),
}

/// An object that belongs to a list beside it, such as the master variant of a product to its other variants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The path to the object.
    pub object: Box<str>,
    /// The path to the list, of which the object becomes the first element.
    pub to: Box<str>,
}

/// Elements of an array whose fields are shown to a person.
const MAX_LOOKED_AT: usize = 20;

/// Paths of an object beyond which the fields of further elements are not looked at.
const MAX_LEAVES: usize = 1000;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Into the field of this name.
    Key(Box<str>),
    /// Into the element at this place, from 0.
    Index(usize),
    /// Into the first element that has this text in this field.
    Where(Box<str>, Box<str>),
    /// Into every element.
    Each,
}

/// A way into an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// The path that a column's name describes; `None` if the name is a plain one.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(pointer) = name.strip_prefix('/') {
            let steps: Vec<Step> = pointer.split('/').map(|key| Step::Key(key.into())).collect();
            return pointer.split('/').all(|key| !key.is_empty()).then_some(Self { steps });
        }
        let mut rest = name.strip_prefix("$.").unwrap_or(name);
        let mut steps = Vec::new();
        loop {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.into()));
            rest = after;
            while let Some(bracket) = rest.strip_prefix('[') {
                let (inside, after) = bracket.split_once(']')?;
                steps.push(Step::in_brackets(inside)?);
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(more) => rest = more,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        (steps.len() > 1 || name.starts_with("$.")).then_some(Self { steps })
    }

    /// The path of a name that may be a plain one, if it leads through fields alone.
    pub fn of_fields(name: &str) -> Option<Self> {
        let path = Self::parse(name).unwrap_or_else(|| Self { steps: vec![Step::Key(name.into())] });
        path.steps.iter().all(|step| matches!(step, Step::Key(_))).then_some(path)
    }

    /// The name of the field that the path begins with.
    pub fn root(&self) -> &str {
        match &self.steps[0] {
            Step::Key(key) => key,
            _ => "",
        }
    }

    /// The field inside `root` that the path goes on with.
    pub fn second(&self) -> Option<&str> {
        match self.steps.get(1) {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The part up to the last array of which every element is meant, if there is one.
    pub fn up_to_each(&self) -> Option<Self> {
        let last = self.steps.iter().rposition(|step| *step == Step::Each)?;
        Some(Self { steps: self.steps[..=last].to_vec() })
    }

    /// The path with the arrays on it that it does not name, in an object that has them: `items.item_id` as
    /// `items[].item_id`. `None` if there are none.
    pub fn opened(&self, object: &Object) -> Option<Self> {
        let mut steps = vec![self.steps[0].clone()];
        let mut here = object.field(self.root());
        for step in &self.steps[1..] {
            if let (Step::Key(key), Some(Nested::List(values))) = (step, here)
                && key.parse::<usize>().is_err()
                && !is_of_connection(key)
            {
                steps.push(Step::Each);
                here = values.first();
            }
            here = match (here, step) {
                (Some(Nested::List(values)), Step::Each) => values.first(),
                (here, Step::Each) => here,
                (here, step) => here.and_then(|value| value.step(step)),
            };
            steps.push(step.clone());
        }
        (steps.len() > self.steps.len()).then_some(Self { steps })
    }

    /// The path into each element of the list of single values to which this one, or the field of this name, leads in an
    /// object; `None` if there is no such list.
    pub fn into_singles(path: Option<&Self>, name: &str, object: &Object) -> Option<Self> {
        let mut steps = path.map_or_else(|| vec![Step::Key(name.into())], |path| path.steps.clone());
        if steps.last() == Some(&Step::Each) {
            return None;
        }
        let Some((Step::Key(root), rest)) = steps.split_first() else { return None };
        let mut here = object.field(root)?;
        for step in rest {
            here = match (step, here) {
                (Step::Each, Nested::List(values)) => values.first()?,
                (Step::Each, one) => one,
                (step, value) => value.step(step)?,
            };
        }
        let Nested::List(values) = here else { return None };
        let is_id =
            |value: &Nested| matches!(value, Nested::Single(RawValue::Text(_) | RawValue::Int(_) | RawValue::Null));
        let is_list = !values.is_empty() && values.iter().all(is_id);
        steps.push(Step::Each);
        is_list.then_some(Self { steps })
    }

    /// Whether this array lies in the elements of another one.
    pub fn is_inside(&self, outer: &Path) -> bool {
        self.steps.len() > outer.steps.len() && self.steps.starts_with(&outer.steps)
    }

    /// How many of the arrays on this path are those of `array`, so that both mean the same element.
    pub fn n_shared(&self, array: &Path) -> usize {
        let n_equal = self.steps.iter().zip(&array.steps).take_while(|(one, other)| one == other).count();
        self.steps[..n_equal].iter().filter(|step| **step == Step::Each).count()
    }
}

impl Step {
    fn in_brackets(inside: &str) -> Option<Self> {
        if matches!(inside, "" | "*") {
            return Some(Self::Each);
        }
        if let Some((key, text)) = inside.split_once('=') {
            return Some(Self::Where(key.trim().into(), text.trim().trim_matches(['"', '\'']).into()));
        }
        inside.parse().ok().map(Self::Index)
    }
}

impl Object {
    /// The object of a row's cells; one that holds JSON is opened.
    pub fn from_cells<'a>(cells: impl Iterator<Item = (&'a str, RawValue)>) -> Self {
        Self(cells.map(|(name, cell)| (name.into(), Nested::opened(cell))).collect())
    }

    /// Opens the texts that hold JSON, as databases export their columns of objects, in the fields that `is_named` names.
    pub(super) fn open_texts(&mut self, is_named: impl Fn(&str) -> bool) {
        for (name, value) in &mut self.0 {
            if let Nested::Single(single @ RawValue::Text(_)) = value
                && is_named(name)
            {
                *value = Nested::opened(std::mem::take(single));
            }
        }
    }

    /// Makes an object the first element of a list; both paths lead through fields alone.
    pub(super) fn join(&mut self, from: &Path, to: &Path) {
        let taken = self.field_at(from, false).map(|value| std::mem::replace(value, Nested::Single(RawValue::Null)));
        let Some(element @ Nested::Object(_)) = taken else { return };
        if let Some(list) = self.field_at(to, true) {
            match list {
                Nested::List(values) => values.insert(0, element),
                other => *other = Nested::List(vec![element]),
            }
        }
    }

    /// The value at a path through fields; the last of them is added if `adds` and it is missing.
    fn field_at(&mut self, path: &Path, adds: bool) -> Option<&mut Nested> {
        let (last, around) = path.steps.split_last()?;
        let mut here = self;
        for step in around {
            let Step::Key(key) = step else { return None };
            match here.0.iter_mut().rev().find(|(name, _)| name == key) {
                Some((_, Nested::Object(inner))) => here = inner,
                _ => return None,
            }
        }
        let Step::Key(key) = last else { return None };
        if adds && here.field(key).is_none() {
            here.0.push((key.clone(), Nested::Single(RawValue::Null)));
        }
        here.0.iter_mut().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Every path to a single value, with the value's text, for a person to read; arrays by their first element.
    pub fn leaves(&self) -> Vec<(String, String)> {
        let mut leaves = Vec::new();
        for (name, value) in &self.0 {
            value.add_leaves(name.to_string(), &mut leaves);
        }
        leaves
    }

    /// The field of this name; of several with one name the last is valid.
    pub(super) fn field(&self, name: &str) -> Option<&Nested> {
        self.0.iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The value at a path. `elements` are the places in the first arrays of which every element is meant; of the arrays
    /// after them all elements are collected.
    pub(super) fn at(&self, path: &Path, elements: &[usize]) -> RawValue {
        let Some((Step::Key(root), steps)) = path.steps.split_first() else { return RawValue::Null };
        self.field(root).map_or(RawValue::Null, |value| value.at(steps, elements))
    }

    /// The places of all elements of an array, with the places of those around it.
    pub(super) fn elements(&self, array: &Path) -> Vec<Vec<usize>> {
        let mut places = Vec::new();
        if let Some((Step::Key(root), steps)) = array.steps.split_first()
            && let Some(value) = self.field(root)
        {
            value.add_elements(steps, &mut Vec::new(), &mut places);
        }
        places
    }
}

impl Nested {
    /// A cell with the JSON in it, if it holds any.
    fn opened(cell: RawValue) -> Self {
        let json = match &cell {
            RawValue::Other(json) => Some(&**json),
            RawValue::Text(text) => Some(text.trim()).filter(|text| text.starts_with(['{', '['])),
            _ => None,
        };
        match (json.and_then(|json| serde_json::from_str(json).ok()), cell) {
            (Some(nested), _) => nested,
            (None, RawValue::List(elements)) => Self::List(elements.into_iter().map(Self::opened).collect()),
            (None, single) => Self::Single(single),
        }
    }

    /// The value of a step into this one, for steps that lead to one value.
    fn step(&self, step: &Step) -> Option<&Self> {
        match (step, self) {
            (Step::Key(key), Self::Object(object)) if &**key != "node" || object.field(key).is_some() => {
                object.field(key)
            }
            (Step::Index(place), Self::List(values)) => values.get(*place),
            // `images.0.src`, and JSON pointers.
            (Step::Key(place), Self::List(values)) if place.parse::<usize>().is_ok() => {
                values.get(place.parse::<usize>().ok()?)
            }
            // A connection of GraphQL is the list in it.
            (Step::Key(key), Self::List(_)) if is_of_connection(key) => Some(self),
            (Step::Key(_), Self::Object(_)) => Some(self),
            (Step::Where(key, wanted), Self::List(values)) => values.iter().find(|value| {
                let Self::Object(object) = value else { return false };
                matches!(object.field(key), Some(Self::Single(single)) if single_text(single) == **wanted)
            }),
            _ => None,
        }
    }

    fn at(&self, steps: &[Step], elements: &[usize]) -> RawValue {
        let Some((step, rest)) = steps.split_first() else { return self.leaf() };
        match (step, self, elements.split_first()) {
            (Step::Each, Self::List(values), Some((place, inner))) => {
                values.get(*place).map_or(RawValue::Null, |value| value.at(rest, inner))
            }
            (Step::Each, Self::List(values), None) => {
                let found = values.iter().map(|value| value.at(rest, &[])).filter(|value| *value != RawValue::Null);
                let found: Vec<RawValue> = found.collect();
                // A list of texts has no such field, so that the next path is looked at.
                if found.is_empty() && !values.is_empty() { RawValue::Null } else { RawValue::List(found) }
            }
            (Step::Each, Self::Single(RawValue::Null), _) => RawValue::Null,
            // Converters of XML write an array of one element as that element.
            (Step::Each, one, _) => one.at(rest, elements.get(1..).unwrap_or_default()),
            _ => self.step(step).map_or(RawValue::Null, |value| value.at(rest, elements)),
        }
    }

    fn add_elements(&self, steps: &[Step], around: &mut Vec<usize>, places: &mut Vec<Vec<usize>>) {
        match (steps.split_first(), self) {
            (None, _) => places.push(around.clone()),
            (Some((Step::Each, rest)), Self::List(values)) => {
                for (place, value) in values.iter().enumerate() {
                    around.push(place);
                    value.add_elements(rest, around, places);
                    around.pop();
                }
            }
            (Some((Step::Each, _)), Self::Single(RawValue::Null)) => {}
            (Some((Step::Each, rest)), one) => {
                around.push(0);
                one.add_elements(rest, around, places);
                around.pop();
            }
            (Some((step, rest)), _) => {
                if let Some(value) = self.step(step) {
                    value.add_elements(rest, around, places);
                }
            }
        }
    }

    /// The value at the end of a path. BigQuery's exports have a field for each type, of which one has a value:
    /// `{"string_value": null, "int_value": "7"}`.
    fn leaf(&self) -> RawValue {
        if let Self::Object(object) = self {
            let mut given = object.0.iter().filter(|(_, value)| *value != Self::Single(RawValue::Null));
            if let (Some((name, Self::Single(value))), None) = (given.next(), given.next())
                && name.ends_with("_value")
            {
                return value.clone();
            }
        }
        self.clone().into()
    }

    fn add_leaves(&self, path: String, leaves: &mut Vec<(String, String)>) {
        match self {
            Self::Single(value) => leaves.push((path, single_text(value))),
            Self::List(values) => match values.first() {
                Some(Self::Single(_)) | None => {
                    let texts: Vec<String> = values
                        .iter()
                        .filter_map(|value| match value {
                            Self::Single(value) => Some(single_text(value)),
                            _ => None,
                        })
                        .collect();
                    leaves.push((path, texts.join(", ")));
                }
                Some(first) => {
                    first.add_leaves(format!("{path}[]"), leaves);
                    // Further elements may have other fields.
                    let mut more = Vec::new();
                    values[1..]
                        .iter()
                        .take(MAX_LOOKED_AT)
                        .for_each(|one| one.add_leaves(format!("{path}[]"), &mut more));
                    for (path, text) in more {
                        if leaves.len() < MAX_LEAVES && !leaves.iter().any(|(known, _)| *known == path) {
                            leaves.push((path, text));
                        }
                    }
                }
            },
            Self::Object(object) => {
                for (name, value) in &object.0 {
                    value.add_leaves(format!("{path}.{name}"), leaves);
                }
            }
        }
    }
}

/// Whether a path names by this the list in a connection of GraphQL, which stands for the connection.
fn is_of_connection(key: &str) -> bool {
    matches!(key, "edges" | "nodes")
}

fn single_text(value: &RawValue) -> String {
    use super::cell::Cell as _;
    value.text().into_owned()
}

impl From<Nested> for RawValue {
    fn from(nested: Nested) -> Self {
        match nested {
            Nested::Single(value) => value,
            Nested::List(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Nested::Object(object) => {
                let pairs: Vec<_> = object.0.into_iter().map(|(name, value)| (name, Self::from(value))).collect();
                Self::Other(pairs_json(&pairs).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(json: &str, path: &str, elements: &[usize]) -> String {
        let object: Object = serde_json::from_str(json).unwrap();
        let mut out = String::new();
        object.at(&Path::parse(path).unwrap(), elements).push_json(&mut out);
        out
    }

    #[test]
    fn paths_lead_into_objects_and_arrays() {
        let json = r#"{"a":{"b":{"c":7}},"l":[{"k":"x","v":1},{"k":"y","v":{"string_value":null,"int_value":"2"}}],"s":["p","q"]}"#;
        assert_eq!(at(json, "a.b.c", &[]), "7");
        assert_eq!(at(json, "$.a.b.c", &[]), "7");
        assert_eq!(at(json, "a.b", &[]), r#"{"c":7}"#);
        assert_eq!(at(json, "/a/b/c", &[]), "7");
        assert_eq!(at(json, "l[0].v", &[]), "1");
        assert_eq!(at(json, "l.0.v", &[]), "1");
        assert_eq!(at(json, "l[*].k", &[]), r#"["x","y"]"#);
        assert_eq!(at(json, "l[k=y].v", &[]), r#""2""#);
        assert_eq!(at(json, "l[k='x'].v", &[]), "1");
        assert_eq!(at(json, "l[].k", &[]), r#"["x","y"]"#);
        assert_eq!(at(json, "l[].k", &[1]), r#""y""#);
        assert_eq!(at(json, "s[1]", &[]), r#""q""#);
        assert_eq!(at(json, "a[].b.c", &[0]), "7", "an array of one element, written as that element");
        for missing in ["a.x.c", "l.k", "l[9].v", "l[k=z].v", "s.k", "a[0]", "x.y"] {
            assert_eq!(at(json, missing, &[]), "null", "{missing}");
        }
    }

    #[test]
    fn arrays_that_a_path_does_not_name_are_found_in_the_object() {
        let object: Object = serde_json::from_str(r#"{"i":[{"id":"a","c":[{"n":1}]}],"s":{"t":7},"e":[]}"#).unwrap();
        let opened = |path: &str| Path::parse(path).unwrap().opened(&object);
        assert_eq!(opened("i.id"), Path::parse("i[].id"));
        assert_eq!(opened("i.c.n"), Path::parse("i[].c[].n"));
        assert_eq!(opened("i[].c.n"), Path::parse("i[].c[].n"));
        for same in ["i[].id", "i.0.id", "i[0].id", "s.t", "x.y"] {
            assert_eq!(opened(same), None, "{same}");
        }
    }

    #[test]
    fn plain_names_are_no_paths() {
        for name in ["price", "Price (incl. VAT) [EUR]", "a.", ".a", "a..b", "a[", "a[x]", "", "user_id:token", "No."] {
            assert_eq!(Path::parse(name), None, "{name}");
        }
    }

    #[test]
    fn elements_of_nested_arrays_are_counted_from_outside() {
        let object: Object = serde_json::from_str(r#"{"o":[{"l":[1,2]},{"l":[]},{"l":[3]}]}"#).unwrap();
        let array = Path::parse("o[].l[].x").unwrap().up_to_each().unwrap();
        assert_eq!(object.elements(&array), [vec![0, 0], vec![0, 1], vec![2, 0]]);
        assert_eq!(Path::parse("o[].name").unwrap().n_shared(&array), 1);
        assert_eq!(Path::parse("tags[].name").unwrap().n_shared(&array), 0);
        assert_eq!(object.elements(&Path::parse("none[].x").unwrap().up_to_each().unwrap()), Vec::<Vec<usize>>::new());
    }
}
