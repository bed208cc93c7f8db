//! The sections of a checkpoint that hold the facts: one for each part, with a version of its own.

use std::collections::BTreeMap;

use accrue_event::{PublishedStatistics, RuleStatistics, User};
use serde::de::DeserializeOwned;

use super::{ENCODED, ENTRIES, Facts, USERS};
use crate::columns::Columns;
use crate::ledger::FirstLedger;
use crate::new_products::FirstNewProducts;
use crate::published::FirstPublishedCounts;
use crate::search_ranking::FirstSearchRanking;
use crate::searches::FirstSearches;
use crate::{
    CataloguePlace, CheckpointWriter, DrawAccount, Encoded, Ledger, NewProducts, Overview, PagedMap, PagedVec,
    Products, PublishedCounts, RuleTexts, Satisfaction, SearchProposal, SearchRanking, Searches, SectionSource,
    SharedDescriptors, ShopperIdx, Shown, StoreError, Vocabulary, shopper_descriptors,
};

/// The section of what published keys caused.
const PUBLISHED: &str = "facts/published";
/// The section that says which text of each item was encoded last.
const ENCODED_TEXTS: &str = "facts/encoded";
/// The section of the shop's rules.
const SHOP_RULES: &str = "facts/shop_rules";
/// The section of the shop's scenes.
const SCENES: &str = "facts/scenes";
/// The section of the shop's synonyms.
const SYNONYMS: &str = "facts/synonyms";
/// The section of impressions without a choice.
const SHOWN: &str = "facts/shown";
/// The section of choices after searches.
const SEARCHES: &str = "facts/searches";
/// The section of campaigns.
const LEDGER: &str = "facts/campaigns";
/// The section of the account of draws.
const DRAWS: &str = "facts/draws";
/// The section of new products.
const NEW_PRODUCTS: &str = "facts/new_products";
/// The section of how content shoppers are.
const SATISFACTION: &str = "facts/satisfaction";
/// The section of learned weights of searches.
const SEARCH_RANKING: &str = "facts/search_ranking";
/// The section of decisions about proposals of search.
const SEARCH_PROPOSALS: &str = "facts/search_proposals";
/// The section of the positions in sources.
const SOURCES: &str = "facts/sources";

impl Facts {
    /// Writes the facts into a checkpoint, a section for each part.
    ///
    /// # Errors
    /// If the checkpoint cannot be written.
    pub fn save(&self, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        writer.value("facts/items", 1, &self.items)?;
        writer.value("facts/shoppers", 1, &self.shoppers)?;
        writer.value("facts/types", 1, &self.types)?;
        writer.value("facts/catalogue", 1, &self.catalogue)?;
        writer.value("facts/users", 1, &self.users)?;
        writer.value("facts/histories", 1, &self.histories)?;
        writer.value("facts/quarantine", 1, &self.quarantine)?;
        writer.value("facts/rules", 2, &(&self.statistics, &self.counters, self.duplicates))?;
        if let Some(published) = self.published() {
            writer.value(PUBLISHED, 2, &published)?;
        }
        if let Some(encoded) = self.encoded_items() {
            writer.value(ENCODED_TEXTS, 1, encoded)?;
        }
        writer.value("facts/settings", 1, &self.settings)?;
        if let Some(rules) = self.rule_texts() {
            writer.value(SHOP_RULES, 1, rules)?;
        }
        if let Some(scenes) = self.scene_texts() {
            writer.value(SCENES, 1, scenes)?;
        }
        if !self.synonyms.is_empty() {
            writer.value(SYNONYMS, 1, &self.synonyms)?;
        }
        // These two also where they are empty, so that a checkpoint without them is known to be of a build that did not
        // count them.
        writer.value(SEARCHES, 2, &self.searches)?;
        writer.value(NEW_PRODUCTS, 3, &self.new_products)?;
        if !self.shown.is_empty() {
            writer.value(SHOWN, 1, &self.shown)?;
        }
        if self.search_ranking != SearchRanking::default() {
            writer.value(SEARCH_RANKING, 2, &self.search_ranking)?;
        }
        if !self.ledger.is_untouched() {
            writer.value(LEDGER, 2, &self.ledger)?;
        }
        if !self.draws.is_untouched() {
            writer.value(DRAWS, 2, &self.draws)?;
        }
        if !self.satisfaction.is_empty() {
            writer.value(SATISFACTION, 1, &self.satisfaction)?;
        }
        if !self.search_proposals.is_empty() {
            writer.value(SEARCH_PROPOSALS, 1, &self.search_proposals)?;
        }
        if !self.sources.is_empty() {
            writer.value(SOURCES, 1, &self.sources)?;
        }
        writer.value("facts/position", 1, &(self.stream_time, self.catalogue_changed, self.end))
    }

    /// Reads the facts from a checkpoint; `None` if this build cannot use a part, because every part is needed.
    ///
    /// # Errors
    /// If a section is damaged.
    pub fn load(source: &mut SectionSource<'_>) -> Result<Option<Self>, StoreError> {
        let (items, shoppers) = (source.value("facts/items", 1)?, source.value("facts/shoppers", 1)?);
        let (types, catalogue) = (source.value("facts/types", 1)?, source.value("facts/catalogue", 1)?);
        let (users, histories) = (source.value("facts/users", 1)?, source.value("facts/histories", 1)?);
        let (quarantine, rules) = (source.value("facts/quarantine", 1)?, source.value_since("facts/rules", 1..=2)?);
        let (settings, position) = (source.value("facts/settings", 1)?, source.value("facts/position", 1)?);
        let published = published(source)?;
        let shop_rules: Option<RuleTexts> = optional(source, SHOP_RULES, 1)?;
        let scenes: Option<RuleTexts> = optional(source, SCENES, 1)?;
        let synonyms: Option<Box<str>> = optional(source, SYNONYMS, 1)?;
        let searches = searches(source)?;
        let shown: Option<Shown> = optional(source, SHOWN, 1)?;
        let search_ranking = search_ranking(source)?;
        let ledger = ledger(source)?;
        let draws = draws(source)?;
        let new_products = new_products(source)?;
        let satisfaction: Option<Satisfaction> = optional(source, SATISFACTION, 1)?;
        let search_proposals: Option<BTreeMap<Box<str>, SearchProposal>> = optional(source, SEARCH_PROPOSALS, 1)?;
        let sources: Option<BTreeMap<Box<str>, Box<str>>> = optional(source, SOURCES, 1)?;
        let encoded: Option<PagedVec<Encoded, ENCODED>> = optional(source, ENCODED_TEXTS, 1)?;
        let assemble = || {
            let (mut statistics, counters, duplicates): (RuleStatistics, _, _) = rules?;
            let (published, published_statistics) = published?;
            statistics.set_published(published_statistics);
            let (stream_time, catalogue_changed, end) = position?;
            let (items, catalogue): (Vocabulary, PagedVec<CataloguePlace, ENTRIES>) = (items?, catalogue?);
            let users: PagedMap<ShopperIdx, User, USERS> = users?;
            let mut shared_descriptors = SharedDescriptors::default();
            users.values().for_each(|user| shared_descriptors.add(&shopper_descriptors(&user.attributes)));
            Some(Self {
                products: Products::of_catalogue(&items, &catalogue),
                columns: Columns::default(),
                items,
                shoppers: shoppers?,
                types: types?,
                overview: Overview::of(&catalogue),
                catalogue,
                users,
                shared_descriptors,
                histories: histories?,
                quarantine: quarantine?,
                statistics,
                counters,
                duplicates,
                published,
                encoded: encoded?,
                settings: settings?,
                shop_rules: shop_rules?,
                scenes: scenes?,
                synonyms: synonyms?,
                searches: searches?,
                shown: shown?,
                search_ranking: search_ranking?,
                ledger: ledger?,
                draws: draws?,
                new_products: new_products?,
                satisfaction: satisfaction?,
                search_proposals: search_proposals?,
                sources: sources?,
                stream_time,
                catalogue_changed,
                end,
            })
        };
        Ok(assemble())
    }
}

fn searches(source: &mut SectionSource<'_>) -> Result<Option<Searches>, StoreError> {
    match source.checkpoint().section_version(SEARCHES) {
        None => Ok(Some(source.not_counted(SEARCHES, 2))),
        Some(1) => source.converted::<FirstSearches, _>(SEARCHES, 1, 2),
        Some(_) => source.value(SEARCHES, 2),
    }
}

fn search_ranking(source: &mut SectionSource<'_>) -> Result<Option<SearchRanking>, StoreError> {
    match source.checkpoint().section_version(SEARCH_RANKING) {
        None => Ok(Some(SearchRanking::default())),
        Some(1) => source.converted::<FirstSearchRanking, _>(SEARCH_RANKING, 1, 2),
        Some(_) => source.value(SEARCH_RANKING, 2),
    }
}

fn ledger(source: &mut SectionSource<'_>) -> Result<Option<Ledger>, StoreError> {
    match source.checkpoint().section_version(LEDGER) {
        Some(1) => Ok(source.value::<FirstLedger>(LEDGER, 1)?.map(Ledger::from)),
        _ => optional(source, LEDGER, 2),
    }
}

/// The first version counted answers to published keys.
fn draws(source: &mut SectionSource<'_>) -> Result<Option<DrawAccount>, StoreError> {
    match source.checkpoint().section_version(DRAWS) {
        Some(1) => source.converted::<DrawAccount, _>(DRAWS, 1, 2),
        _ => optional(source, DRAWS, 2),
    }
}

fn new_products(source: &mut SectionSource<'_>) -> Result<Option<NewProducts>, StoreError> {
    match source.checkpoint().section_version(NEW_PRODUCTS) {
        None | Some(..2) => Ok(Some(source.not_counted(NEW_PRODUCTS, 3))),
        Some(2) => source.converted::<FirstNewProducts, _>(NEW_PRODUCTS, 2, 3),
        Some(_) => source.value(NEW_PRODUCTS, 3),
    }
}

fn published(source: &mut SectionSource<'_>) -> Result<Option<(PublishedCounts, PublishedStatistics)>, StoreError> {
    if source.checkpoint().section_version(PUBLISHED) != Some(1) {
        return optional(source, PUBLISHED, 2);
    }
    let first = source.converted::<(FirstPublishedCounts, PublishedStatistics), PublishedParts>(PUBLISHED, 1, 2)?;
    Ok(first.map(|PublishedParts(counts, statistics)| (counts, statistics)))
}

/// What published keys caused, of the first version of its section.
struct PublishedParts(PublishedCounts, PublishedStatistics);

impl From<(FirstPublishedCounts, PublishedStatistics)> for PublishedParts {
    fn from((counts, statistics): (FirstPublishedCounts, PublishedStatistics)) -> Self {
        Self(counts.into(), statistics)
    }
}

/// A section that is written only where it has something; the default where the checkpoint has none, because it is empty or
/// the build that wrote it did not know it.
fn optional<T: Default + DeserializeOwned>(
    source: &mut SectionSource<'_>,
    name: &str,
    version: u32,
) -> Result<Option<T>, StoreError> {
    match source.checkpoint().section_version(name) {
        None => Ok(Some(T::default())),
        Some(_) => source.value(name, version),
    }
}
