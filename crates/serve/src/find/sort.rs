//! Sorting: the hits in the order of a field instead of by score.
//!
//! In: the order that a request wants, and every match. Out: a total order of the products. Items that lack the field
//! come last in both directions, and equal ones are ordered by the next field and then by id, so pages do not repeat.
//! Of a product that variant stands in the list which comes first in the order: the cheapest under `price:asc`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use accrue_event::{Attribute, normalised};
use accrue_store::ItemIdx;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::sort_key::{MAX_SORT_FIELDS, Sort, SortField, SortKey};
use crate::filter::UnknownField;
use crate::search::Match;
use crate::shop::Product;
use crate::{Grouping, Shop};

/// A text that is not an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SortError {
    /// There is no such field.
    #[error("{0}")]
    Unknown(UnknownField),
    /// A field with its direction as other systems write it.
    #[error("there is no field {written}; write {meant}")]
    Spelling {
        /// What was written.
        written: Box<str>,
        /// The same as it is read.
        meant: Box<str>,
    },
    /// The direction is neither `asc` nor `desc`.
    #[error("the direction of {field} is asc or desc, not {direction:?}")]
    Direction {
        /// The field.
        field: Box<str>,
        /// What was written in its place.
        direction: Box<str>,
    },
    /// More than [`MAX_SORT_FIELDS`].
    #[error("an order has at most {MAX_SORT_FIELDS} fields")]
    TooMany,
    /// `relevance` is an order of its own.
    #[error("relevance is an order of its own and cannot be combined with fields or turned around")]
    Relevance,
}

/// Fields of the vocabulary that hits are sorted by.
const SORTED: [&str; 7] = ["price", "stock", "published_at", "popularity", "title", "brand", "id"];

impl Shop<'_> {
    /// Reads an order, such as `price:asc` or `published_at:desc`, from its parts; `None` is by score, which
    /// `relevance` names too. Without a direction, what is new or popular comes first and everything else ascends.
    ///
    /// # Errors
    /// [`SortError`].
    pub fn sort<'t>(&self, parts: impl IntoIterator<Item = &'t str>) -> Result<Option<Sort>, SortError> {
        let (mut keys, mut by_score, mut before) = (Vec::new(), false, None);
        for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "relevance" | "relevance:desc" => by_score = true,
                "relevance:asc" => return Err(SortError::Relevance),
                "asc" | "desc" if before.is_some() => {
                    let meant = format!("{}:{part}", before.unwrap_or_default());
                    return Err(SortError::Spelling { written: part.into(), meant: meant.into() });
                }
                _ => keys.push(self.sort_key(part)?),
            }
            before = Some(part);
        }
        if keys.len() > MAX_SORT_FIELDS {
            return Err(SortError::TooMany);
        }
        if by_score && !keys.is_empty() {
            return Err(SortError::Relevance);
        }
        Ok((!keys.is_empty()).then_some(Sort(keys)))
    }

    fn sort_key(&self, part: &str) -> Result<SortKey, SortError> {
        // Names of records are composed too.
        let part = &*part.nfc().collect::<String>();
        let (name, direction) = match part.rsplit_once(':') {
            Some((name, direction)) => (name.trim(), Some(direction.trim())),
            None => (part, None),
        };
        let field = match name {
            "price" => SortField::Price,
            "stock" => SortField::Stock,
            "published_at" => SortField::PublishedAt,
            "popularity" => SortField::Popularity,
            "title" => SortField::Title,
            "brand" => SortField::Brand,
            "id" => SortField::Id,
            _ => {
                let attribute = name.strip_prefix("attributes.").unwrap_or(name);
                if !self.facts.items.is_empty() && !self.facts.overview().has_attribute(attribute) {
                    if let Some(meant) = self.respelt(part) {
                        return Err(SortError::Spelling { written: part.into(), meant: meant.into() });
                    }
                    let near = self.near(attribute, &SORTED);
                    return Err(SortError::Unknown(UnknownField { name: attribute.into(), near, is_text: false }));
                }
                SortField::Attribute(attribute.into())
            }
        };
        let is_descending = match direction {
            None => matches!(field, SortField::PublishedAt | SortField::Popularity),
            Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(SortError::Direction { field: name.into(), direction: other.into() }),
        };
        Ok(SortKey { field, is_descending })
    }

    /// An order that was written as in other systems: `-price`, `price desc`, `price_desc`, `price-asc`, `desc(price)`.
    fn respelt(&self, part: &str) -> Option<String> {
        let is_field = |name: &str| SORTED.contains(&name) || self.facts.overview().has_attribute(name);
        let ends = |separator: char| {
            let (name, direction) = part.rsplit_once(separator)?;
            let direction = direction.trim().to_ascii_lowercase();
            ["asc", "desc"].contains(&&*direction).then_some((name, direction))
        };
        let called = |direction: &str| {
            let name = part.strip_prefix(direction)?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
            Some((name, direction.to_owned()))
        };
        let signed = |sign: char, direction: &str| Some((part.strip_prefix(sign)?, direction.to_owned()));
        let (name, direction) = signed('-', "desc")
            .or_else(|| signed('+', "asc"))
            .or_else(|| [' ', '_', '-', '.', '|'].into_iter().find_map(ends))
            .or_else(|| called("desc"))
            .or_else(|| called("asc"))?;
        let name = name.trim();
        is_field(name).then(|| format!("{name}:{direction}"))
    }

    /// The first `n` products in the order, each as one of its items, and the number of all.
    pub(super) fn sorted(
        &self,
        sort: &Sort,
        hits: impl Iterator<Item = Match>,
        grouping: Grouping,
        n: usize,
    ) -> (Vec<Match>, usize) {
        let first = &sort.0[0];
        let mut rows: Vec<Row<'_>> = Vec::new();
        let mut places: HashMap<Product, usize> = HashMap::new();
        for found in hits {
            let row = Row { found, value: self.value(found.item_idx, &first.field) };
            let product = self.counted(found.item_idx, grouping);
            match product {
                Product::Alone(_) => rows.push(row),
                Product::OfVariants(_) => match places.get(&product) {
                    None => {
                        places.insert(product, rows.len());
                        rows.push(row);
                    }
                    Some(&place) if self.order(sort, &row, &rows[place]).is_lt() => rows[place] = row,
                    Some(_) => {}
                },
            }
        }
        let total = rows.len();
        if n < rows.len() {
            rows.select_nth_unstable_by(n, |a, b| self.order(sort, a, b));
            rows.truncate(n);
        }
        rows.sort_unstable_by(|a, b| self.order(sort, a, b));
        (rows.into_iter().map(|row| row.found).collect(), total)
    }

    fn order(&self, Sort(keys): &Sort, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let (one, other) = (a.found.item_idx, b.found.item_idx);
        let mut order = compare(&a.value, &b.value, keys[0].is_descending);
        for key in &keys[1..] {
            order = order
                .then_with(|| compare(&self.value(one, &key.field), &self.value(other, &key.field), key.is_descending));
        }
        let id = |item| self.facts.items.name(item).unwrap_or_default();
        order.then_with(|| id(one).cmp(id(other)))
    }

    fn value(&self, item: ItemIdx, field: &SortField) -> Option<Value<'_>> {
        let described = self.facts.described(item)?;
        let own = described.own();
        match field {
            SortField::Price => described.price().map(|price| Value::Number(price.to_f64())),
            SortField::Stock => own.stock.map(|stock| Value::Number(f64::from(stock))),
            SortField::PublishedAt => own.published_at.map(|at| Value::Number(at.0 as f64)),
            SortField::Popularity => Some(Value::Number(f64::from(self.standing(item)))),
            SortField::Title => described.title().map(|text| Value::Text(alphabetical(text))),
            SortField::Brand => described.brand().map(|text| Value::Text(alphabetical(text))),
            SortField::Id => Some(Value::Text(own.id.as_str().into())),
            SortField::Attribute(name) => match described.attribute(name)? {
                Attribute::Number(number) => Some(Value::Number(*number)),
                Attribute::Bool(is) => Some(Value::Number(f64::from(u8::from(*is)))),
                Attribute::Text(text) => Some(Value::Text(alphabetical(text))),
                Attribute::List(texts) => texts.first().map(|text| Value::Text(alphabetical(text))),
            },
        }
    }
}

/// A match with its value in the first field of the order.
struct Row<'a> {
    found: Match,
    value: Option<Value<'a>>,
}

/// What is compared.
enum Value<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

/// Numbers come before texts, and what is missing last, whatever the direction.
fn compare(a: &Option<Value<'_>>, b: &Option<Value<'_>>, is_descending: bool) -> Ordering {
    let turned = |order: Ordering| if is_descending { order.reverse() } else { order };
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => turned(a.total_cmp(b)),
        (Some(Value::Text(a)), Some(Value::Text(b))) => turned(a.cmp(b)),
        (Some(Value::Number(_)), Some(Value::Text(_))) => Ordering::Less,
        (Some(Value::Text(_)), Some(Value::Number(_))) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// A text as an alphabet orders it: without case and marks, so that É stands beside e.
fn alphabetical(text: &str) -> Cow<'_, str> {
    match normalised(text) {
        plain if plain.is_ascii() => plain,
        marked => marked.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>().into(),
    }
}
