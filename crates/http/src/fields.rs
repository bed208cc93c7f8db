//! `fields`: what an answer says of each item beside its id and score.
//!
//! In: names of fields, as a list or with commas between them, and an item. Out: those fields of the item's
//! description, with what a variant has from its product. So a page can be drawn from one answer.

use accrue_engine::Engine;
use accrue_event::{Attributes, Price, Timestamp, is_private, privacy_of};
use accrue_serve::filter::{Filter, UnknownField};
use accrue_serve::{Facet, FacetError, MAX_FACETS, MAX_SORT_FIELDS, Sort, SortError};
use accrue_store::Described;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::params::At;
use super::problem::{Code, Problem};
use super::schema::AttributesRecord;
use super::settings::Scope;

/// Names in one request, at most.
const MAX_FIELDS: usize = 100;
/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// The names of fields as a request gives them.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldNames(Vec<String>);

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = FieldNames;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("names of fields, as a list or a text such as title,price,image")
            }

            fn visit_str<E>(self, text: &str) -> Result<FieldNames, E> {
                Ok(FieldNames(text.split(',').map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<FieldNames, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = names.next_element::<String>()? {
                    all.push(name);
                }
                Ok(FieldNames(all))
            }

            fn visit_unit<E>(self) -> Result<FieldNames, E> {
                Ok(FieldNames::default())
            }
        }
        deserializer.deserialize_any(Names)
    }
}

/// A field of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Parent,
    Title,
    Description,
    Brand,
    Categories,
    Tags,
    Price,
    Currency,
    Locale,
    Image,
    Available,
    Stock,
    PublishedAt,
    Attributes,
    Attribute(Box<str>),
}

impl Field {
    const NAMES: [(&'static str, Field); 14] = [
        ("parent", Field::Parent),
        ("title", Field::Title),
        ("description", Field::Description),
        ("brand", Field::Brand),
        ("categories", Field::Categories),
        ("tags", Field::Tags),
        ("price", Field::Price),
        ("currency", Field::Currency),
        ("locale", Field::Locale),
        ("image", Field::Image),
        ("available", Field::Available),
        ("stock", Field::Stock),
        ("published_at", Field::PublishedAt),
        ("attributes", Field::Attributes),
    ];

    /// `None` for a name that is no field. `id` and `score` are in every answer.
    fn read(name: &str) -> Option<Field> {
        if let Some(attribute) = name.strip_prefix("attributes.") {
            return (!attribute.is_empty()).then(|| Field::Attribute(attribute.into()));
        }
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }
}

/// The fields that a request asks for, and whether attributes of persons and costs are among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<Field>, bool);

impl FieldNames {
    /// The fields with these names.
    pub(super) fn read(&self, at: At<'_>) -> Result<Fields, Problem> {
        at.list("fields", self.0.len(), MAX_FIELDS)?;
        let mut fields = Vec::new();
        for name in self.0.iter().map(|name| name.trim()).filter(|name| !matches!(*name, "" | "id" | "score")) {
            at.text("fields", name, MAX_NAME_BYTES)?;
            fields.push(Field::read(name).ok_or_else(|| {
                let known = Field::NAMES.map(|(name, _)| name).join(", ");
                at.fault("fields", &format!("{name:?} is no field of an item; the fields are {known}, attributes.NAME"))
            })?);
        }
        Ok(Fields(fields, false))
    }
}

impl Fields {
    /// What a hit of a search has if the request does not say.
    pub(super) fn title_and_price() -> Self {
        Self(vec![Field::Title, Field::Price], false)
    }

    /// The fields as this caller may read them: what the shop pays and what is of a person only administrators may.
    pub(super) fn for_caller(self, caller: &Caller) -> Self {
        Self(self.0, caller.permits(Scope::Admin))
    }
}

impl FieldNames {
    /// Refuses names of attributes that only administrators may read: counts and orders of hits tell their values too.
    pub(super) fn refuse_private(&self, field: &'static str, at: At<'_>, caller: &Caller) -> Result<(), Problem> {
        if caller.permits(Scope::Admin) {
            return Ok(());
        }
        let attribute =
            |name: &str| name.split(':').next().unwrap_or(name).trim().trim_start_matches("attributes.").to_owned();
        match self.names().map(attribute).find(|name| is_private(name).is_some()) {
            Some(name) => Err(at.fault(field, &format!("{name:?} is told to keys with the scope admin alone"))),
            None => Ok(()),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| name.trim()).filter(|name| !name.is_empty())
    }

    /// The fields whose values are to be counted, each once.
    pub(super) fn facets(&self, at: At<'_>, engine: &Engine) -> Result<Vec<Facet>, Problem> {
        let mut facets: Vec<Facet> = Vec::new();
        at.list("facets", self.0.len(), MAX_FACETS)?;
        for name in self.names() {
            at.text("facets", name, MAX_NAME_BYTES)?;
            if facets.iter().any(|facet| &*facet.name == name) {
                continue;
            }
            let facet = engine.with_shop(|shop| shop.facet(name));
            facets.push(facet.map_err(|error| {
                let problem = at.fault("facets", &error.to_string());
                match error {
                    FacetError::Unknown(unknown) => near(problem, &unknown),
                    FacetError::NotCounted(_) => problem,
                }
            })?);
        }
        Ok(facets)
    }

    /// The order of the hits.
    pub(super) fn sort(&self, at: At<'_>, engine: &Engine) -> Result<Option<Sort>, Problem> {
        at.list("sort", self.0.len(), MAX_SORT_FIELDS)?;
        self.names().try_for_each(|name| at.text("sort", name, MAX_NAME_BYTES))?;
        engine.with_shop(|shop| shop.sort(self.names())).map_err(|error| {
            let problem = at.fault("sort", &error.to_string());
            match error {
                SortError::Unknown(unknown) => near(problem, &unknown),
                _ => problem,
            }
        })
    }
}

/// The filter, unless it is of a key for pages and names an attribute that is not for visitors: whether an item passes
/// tells the value.
pub(super) fn refuse_private(filter: Option<Filter>, caller: &Caller) -> Result<Option<Filter>, Problem> {
    let is_private =
        |filter: &Filter| filter.attribute_names().find_map(|name| is_private(name).map(|_| name.to_owned()));
    match filter.as_ref().filter(|_| !caller.may_know_persons()).and_then(is_private) {
        Some(name) => {
            let told = format!("{name:?} is not returned to published keys");
            Err(Problem::new(Code::InvalidFilter, told).field("filter"))
        }
        None => Ok(filter),
    }
}

/// A problem with the name that no item has, and those that are near it.
fn near(problem: Problem, unknown: &UnknownField) -> Problem {
    problem.member("name", &*unknown.name).member("near", &unknown.near[..])
}

/// What was asked for of an item's description. What the item does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = RequestedFields)]
pub(super) struct DescriptionBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Red mug")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 8.9)]
    price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://shop.example/mug.jpg")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    #[schema(value_type = Option<AttributesRecord>)]
    attributes: Attributes,
}

impl DescriptionBody {
    fn add(&mut self, field: &Field, item: Described<'_>) {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let texts = |texts: &[Box<str>]| Some(texts.iter().map(|text| text.to_string()).collect());
        let own = item.own();
        match field {
            Field::Parent => self.parent = text(own.parent.as_deref()),
            Field::Title => self.title = text(item.title()),
            Field::Description => self.description = text(item.description()),
            Field::Brand => self.brand = text(item.brand()),
            Field::Categories => self.categories = texts(item.categories()),
            Field::Tags => self.tags = texts(item.tags()),
            Field::Price => self.price = item.price(),
            Field::Currency => self.currency = text(item.currency()),
            Field::Locale => self.locale = text(item.locale()),
            Field::Image => self.image = text(item.image()),
            Field::Available => self.available = Some(own.available),
            Field::Stock => self.stock = own.stock,
            Field::PublishedAt => self.published_at = own.published_at,
            Field::Attributes => self.attributes = item.to_item().attributes,
            Field::Attribute(name) => {
                if let Some(value) = item.attribute(name) {
                    self.attributes.insert(name.clone(), value.clone());
                }
            }
        }
    }
}

impl Fields {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is asked for of an item.
    pub(super) fn describe(&self, item: Described<'_>) -> DescriptionBody {
        let mut body = DescriptionBody::default();
        self.0.iter().for_each(|field| body.add(field, item));
        if !self.1 {
            body.attributes.retain(|name, value| privacy_of(name, value).is_none());
        }
        body
    }
}

/// A name that is no field of items, with those that are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoField(Box<str>);

/// Fields of items by their names, for lists that are no answers of the server.
#[derive(Clone, Debug)]
pub struct ItemFields(Fields);

impl ItemFields {
    /// Reads names with commas between them.
    ///
    /// # Errors
    /// [`NoField`] about the first name that is no field.
    pub fn parse(names: &str) -> Result<Self, NoField> {
        let names = FieldNames(names.split(',').map(str::to_owned).collect());
        names
            .read(At(""))
            .map(|fields| Self(Fields(fields.0, true)))
            .map_err(|problem| NoField(problem.detail().into()))
    }

    /// What an item has of them.
    ///
    /// # Errors
    /// None of a described item: all of its values are JSON.
    pub fn of(&self, item: Described<'_>) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self.0.describe(item))
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Item};

    use super::*;

    fn read(names: &str) -> Result<Fields, Problem> {
        let names: FieldNames = serde_json::from_str(names).unwrap();
        names.read(At(""))
    }

    #[test]
    fn names_are_a_list_or_a_text_and_unknown_ones_are_refused() {
        for names in [r#""title, price,image""#, r#"["title","price","image","id"]"#] {
            assert_eq!(read(names).unwrap().0, [Field::Title, Field::Price, Field::Image]);
        }
        for none in [r#""""#, "[]", "null", r#""id,score""#] {
            assert!(read(none).unwrap().0.is_empty(), "{none}");
        }
        for unknown in ["\"titel\"", "[\"*\"]", "\"attributes.\"", "\"Title\""] {
            assert!(read(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn every_field_is_documented() {
        let document = include_str!("../../../docs/pages.md").split("## What answers carry").nth(1).unwrap();
        for (name, _) in Field::NAMES {
            assert!(document.contains(&format!("`{name}`")), "{name} is missing in docs/pages.md");
        }
    }

    #[test]
    fn a_price_is_written_as_it_was_sent_and_what_is_lacking_is_absent() {
        let mut item = Item::bare("mug".into());
        (item.title, item.price) = (Some("Red mug".into()), Price::new(8.9));
        item.attributes.insert("colour".into(), Attribute::Text("red".into()));
        let body = read(r#""title,price,image,attributes.colour,attributes.size""#).unwrap().describe((&item).into());
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(text, r#"{"title":"Red mug","price":8.9,"attributes":{"colour":"red"}}"#);
    }
}
