//! What shoppers chose after a search, as earlier builds saved it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ItemChoices, Looks, Positions, QueryChoices, Searches};
use crate::ItemIdx;

/// The same as earlier builds saved it (section version 1): events of both kinds in one.
#[derive(Deserialize)]
pub(crate) struct FirstSearches {
    queries: BTreeMap<u64, FirstQueryChoices>,
    common: BTreeMap<Box<str>, u64>,
    positions: Positions,
}

#[derive(Deserialize)]
struct FirstQueryChoices {
    items: Vec<FirstItemChoices>,
    is_common: bool,
    last_ms: i64,
}

#[derive(Deserialize)]
struct FirstItemChoices {
    item: ItemIdx,
    chosen: f32,
    n: f32,
    seen: f32,
    at_ms: i64,
    shoppers: Vec<u32>,
    published: Vec<u32>,
}

impl From<FirstItemChoices> for ItemChoices {
    fn from(first: FirstItemChoices) -> Self {
        let FirstItemChoices { item, chosen, n, seen, at_ms, shoppers, published } = first;
        // Nothing says which kind they were; those of a shop that reports choices itself are mostly its own.
        let mut looks = [Looks::default(); 2];
        looks[usize::from(shoppers.is_empty())] = Looks { n, seen };
        Self { item, chosen, looks, at_ms, shoppers, published }
    }
}

impl From<FirstSearches> for Searches {
    fn from(first: FirstSearches) -> Self {
        let of = |query: FirstQueryChoices| QueryChoices {
            items: query.items.into_iter().map(ItemChoices::from).collect(),
            is_common: query.is_common,
            last_ms: query.last_ms,
        };
        let queries: BTreeMap<u64, QueryChoices> =
            first.queries.into_iter().map(|(key, query)| (key, of(query))).collect();
        // Counts that published keys may have made do not go on deciding how own choices count.
        let has_published = queries.values().flat_map(|query| &query.items).any(|item| !item.published.is_empty());
        let (positions, published) = match has_published {
            true => (Positions::default(), first.positions),
            false => (first.positions, Positions::default()),
        };
        Self { queries, common: first.common, positions, published }
    }
}
