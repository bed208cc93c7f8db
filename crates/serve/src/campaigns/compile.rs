//! Campaigns as the shop writes them are checked and read; the first fault is told with the place of its field.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};

use accrue_event::Campaign as Written;
use accrue_event::{CampaignDocument, ItemId, SettingFault, nearest, normalised};

use super::{Campaign, Campaigns, MAX_CAMPAIGN_ITEMS, MAX_CAMPAIGNS, reserve};
use crate::filter::Filter;
use crate::shop::Shop;
use crate::suggest::words;

/// Longest text of a campaign, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// Longest id, in bytes.
const MAX_ID_BYTES: usize = 200;
/// Texts in each list of a campaign's targeting, at most.
const MAX_TARGETS: usize = 200;
/// The largest bid, in minor units: products with a probability in steps of 2⁻²⁴ stay exact.
const MAX_BID: u64 = 1_000_000_000;
/// The largest daily budget, in minor units.
const MAX_BUDGET: u64 = 1_000_000_000_000;
/// The largest cap.
const MAX_PER_SHOPPER: u32 = 1_000;

/// Why campaigns cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct CampaignFault {
    /// The field, such as `campaigns[3].bid`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl CampaignFault {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    fn of(place: usize) -> impl Fn((&str, String)) -> Self {
        move |(field, message)| Self::new(format!("campaigns[{place}].{field}"), message)
    }
}

impl Campaigns {
    /// Checks and reads campaigns.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(document: &CampaignDocument) -> Result<Self, CampaignFault> {
        let n = document.campaigns.len();
        if n > MAX_CAMPAIGNS {
            return Err(CampaignFault::new("campaigns", format!("must be at most {MAX_CAMPAIGNS}, not {n}")));
        }
        if let Some(currency) = &document.currency
            && !(currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(CampaignFault::new("currency", "must be a code of ISO 4217 such as EUR"));
        }
        let reserve = reserve(document);
        SettingFault::check("reserve", reserve, 1..=MAX_BID)
            .map_err(|fault| CampaignFault::new("reserve", format!("must be {}", fault.expected)))?;
        let mut ids = HashSet::new();
        let mut campaigns = Vec::with_capacity(n);
        for (place, written) in document.campaigns.iter().enumerate() {
            if !ids.insert(&*written.id) {
                let message = format!("another campaign has the id {:?} too", written.id);
                return Err(CampaignFault::of(place)(("id", message)));
            }
            campaigns.push(Campaign::read(written, reserve).map_err(CampaignFault::of(place))?);
        }
        campaigns.sort_by(|a, b| b.written.bid.cmp(&a.written.bid).then_with(|| a.written.id.cmp(&b.written.id)));
        Ok(Self { campaigns, reserve })
    }
}

impl Shop<'_> {
    /// Checks what new and changed campaigns refer to: that the shop has their scenes, items and categories, that items
    /// have the fields of their filters and users the attributes, and that they are not over yet. Those that `known` has
    /// hold as they are, whatever the shop has lost since.
    ///
    /// # Errors
    /// The first fault.
    pub fn check_campaigns(&self, document: &CampaignDocument, known: &CampaignDocument) -> Result<(), CampaignFault> {
        let names = Names::default();
        for (place, written) in document.campaigns.iter().enumerate() {
            if !known.campaigns.contains(written) {
                self.check_campaign(written, &names).map_err(CampaignFault::of(place))?;
            }
        }
        Ok(())
    }

    fn check_campaign<'n>(&'n self, written: &Written, names: &Names<'n>) -> Result<(), (&'static str, String)> {
        if let Some(scene) = written.scenes.iter().find(|scene| !self.scenes.has(scene)) {
            let names: Vec<&str> = self.scenes.names().collect();
            let message = match nearest(scene, names.iter().copied()) {
                Some(near) => format!("the shop has no scene {scene:?}; did you mean {near:?}?"),
                None => format!("the shop has no scene {scene:?}; there are: {}", names.join(", ")),
            };
            return Err(("scenes", message));
        }
        if let Some(Ok(filter)) = written.filter.as_deref().map(Filter::parse) {
            self.check_filter(&filter).map_err(|unknown| ("filter", unknown.to_string()))?;
        }
        if let Some(Ok(filter)) = written.shoppers.as_deref().map(Filter::parse) {
            let known = names.of_users.get_or_init(|| self.attributes_of_users());
            check_known("shoppers", "no user has the attribute", filter.attribute_names(), known)?;
        }
        if !self.facts.items.is_empty() {
            let is_known = |id: &ItemId| self.facts.items.get(id.as_str()).is_some();
            if !written.items.is_empty() && !written.items.iter().any(is_known) {
                return Err(("items", format!("the shop has none of them, such as {:?}", written.items[0].as_str())));
            }
            if !written.categories.is_empty() {
                let known = names.of_categories.get_or_init(|| self.names_of_categories());
                let wanted: Vec<_> = written.categories.iter().map(|category| normalised(category)).collect();
                check_known("categories", "no item has the category", wanted.iter().map(|name| &**name), known)?;
            }
        }
        if written.until.is_some_and(|until| until.0 <= self.now_ms) {
            return Err(("until", "has passed; the campaign would never run".into()));
        }
        Ok(())
    }

    /// The attributes that the shop has described users by.
    fn attributes_of_users(&self) -> BTreeSet<Cow<'_, str>> {
        let names = self.facts.described_users().flat_map(|(_, user)| user.attributes.keys());
        names.map(|name| Cow::Borrowed(&**name)).collect()
    }

    /// The categories of items, in the form in which they are compared.
    fn names_of_categories(&self) -> BTreeSet<Cow<'_, str>> {
        let named =
            self.facts.entries().iter().filter_map(|place| place.known()).flat_map(|entry| &entry.item.categories);
        named.map(|category| normalised(category)).collect()
    }
}

/// Names that campaigns are compared with, collected when they are first needed.
#[derive(Default)]
struct Names<'n> {
    of_users: OnceCell<BTreeSet<Cow<'n, str>>>,
    of_categories: OnceCell<BTreeSet<Cow<'n, str>>>,
}

/// Refuses a name that is not known, with the nearest one that is. Where nothing is known yet, every name is accepted.
fn check_known<'w>(
    field: &'static str,
    what: &str,
    mut wanted: impl Iterator<Item = &'w str>,
    known: &BTreeSet<Cow<'_, str>>,
) -> Result<(), (&'static str, String)> {
    if let Some(name) = wanted.find(|name| !known.is_empty() && !known.contains(*name)) {
        let near = nearest(name, known.iter().map(|name| &**name));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        return Err((field, format!("{what} {name:?}{near}")));
    }
    Ok(())
}

impl Campaign {
    fn read(written: &Written, reserve: u64) -> Result<Self, (&'static str, String)> {
        check_texts(written)?;
        check_items(written)?;
        check_numbers(written, reserve)?;
        let filter = written.filter.as_deref().map(Filter::parse).transpose();
        let shoppers = written.shoppers.as_deref().map(Filter::parse).transpose();
        let shoppers = shoppers.map_err(|error| ("shoppers", error.to_string()))?;
        if shoppers.as_ref().is_some_and(|filter| !filter.names_attributes_alone()) {
            let message = "names a field of items; shoppers have attributes alone, such as attributes.segment:vip";
            return Err(("shoppers", message.into()));
        }
        let queries: Vec<Vec<String>> = written.queries.iter().map(|query| words(query)).collect();
        if queries.iter().any(Vec::is_empty) {
            return Err(("queries", "one of them has no word".into()));
        }
        Ok(Self {
            written: written.clone(),
            filter: filter.map_err(|error| ("filter", error.to_string()))?,
            shoppers,
            queries,
            categories: written.categories.iter().map(|category| normalised(category).into()).collect(),
        })
    }
}

fn is_text(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}

fn check_texts(written: &Written) -> Result<(), (&'static str, String)> {
    if !is_text(&written.id, MAX_ID_BYTES) {
        return Err(("id", format!("must have 1 to {MAX_ID_BYTES} bytes and no control characters")));
    }
    let lists = [("scenes", &written.scenes), ("categories", &written.categories), ("queries", &written.queries)];
    for (field, texts) in lists {
        if texts.len() > MAX_TARGETS {
            return Err((field, format!("must be at most {MAX_TARGETS}")));
        }
        if !texts.iter().all(|text| is_text(text, MAX_TEXT_BYTES)) {
            return Err((field, format!("each must have 1 to {MAX_TEXT_BYTES} bytes and no control characters")));
        }
    }
    Ok(())
}

fn check_items(written: &Written) -> Result<(), (&'static str, String)> {
    match (written.items.is_empty(), &written.filter) {
        (true, None) => Err(("items", "say what is sponsored: items, or a filter".into())),
        (false, Some(_)) => {
            Err(("filter", "name the items, or give a filter, not both; `id:` in a filter names items too".into()))
        }
        _ if written.items.len() > MAX_CAMPAIGN_ITEMS => {
            Err(("items", format!("must be at most {MAX_CAMPAIGN_ITEMS}")))
        }
        _ => Ok(()),
    }
}

fn check_numbers(written: &Written, reserve: u64) -> Result<(), (&'static str, String)> {
    let Written { bid, daily_budget, per_shopper, quality_floor, from, until, .. } = written;
    if !(1..=MAX_BID).contains(bid) {
        return Err(("bid", format!("must be 1 to {MAX_BID} minor units")));
    }
    if *bid < reserve {
        return Err(("bid", format!("must be at least the reserve, {reserve}")));
    }
    if !(1..=MAX_BUDGET).contains(daily_budget) {
        return Err(("daily_budget", format!("must be 1 to {MAX_BUDGET} minor units")));
    }
    if daily_budget < bid {
        return Err(("daily_budget", format!("must be at least the bid, {bid}")));
    }
    if per_shopper.is_some_and(|n| !(1..=MAX_PER_SHOPPER).contains(&n)) {
        return Err(("per_shopper", format!("must be 1 to {MAX_PER_SHOPPER}")));
    }
    if quality_floor.is_some_and(|floor| !(0.0..=1.0).contains(&floor)) {
        return Err(("quality_floor", "must be 0 to 1".into()));
    }
    match (from, until) {
        (Some(from), Some(until)) if until <= from => Err(("until", "must be after from".into())),
        _ => Ok(()),
    }
}
