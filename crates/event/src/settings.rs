//! Settings of the check: the bounds of all rules in one place, with defaults that suit a medium-sized shop.
//!
//! In: TOML or JSON, read by the app. Out: [`CheckSettings`], which [`CheckSettings::validate`] checks before use.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::{EventType, SettingFault, Timestamp};

/// The bounds and names that the check uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSettings {
    /// Longest id, in bytes. A longer one is quarantined, because a shortened id would identify something else.
    pub max_id_bytes: usize,
    /// Longest search text, in bytes; a longer one is cut.
    pub max_query_bytes: usize,
    /// Longest title, brand, category, tag or other short text, in bytes; a longer one is cut.
    pub max_title_bytes: usize,
    /// Longest description, in bytes; a longer one is cut.
    pub max_description_bytes: usize,
    /// Longest text among properties and attributes, in bytes; a longer one is cut.
    pub max_property_bytes: usize,
    /// Most properties of an event, or attributes of an item or user; the others are left out.
    pub max_properties: usize,
    /// Most elements of a list (categories, tags, a property); the others are left out.
    pub max_list: usize,
    /// Seconds by which an event's time may be later than its arrival and is kept, because clocks differ.
    pub max_ahead_s: u32,
    /// Seconds by which an event's time may be later than its arrival and is replaced by it; beyond that the event is
    /// quarantined.
    pub clamp_ahead_s: u32,
    /// The oldest time that is accepted.
    pub oldest_at: Timestamp,
    /// Most pieces in one event.
    pub max_quantity: u32,
    /// Fill a missing price of a purchase, cart or return from the item, its category or the catalogue.
    pub fill_price: bool,
    /// Number of prices that a category or the catalogue must have before its median is used.
    pub min_prices: u32,
    /// Bounds for numbers far outside those seen before.
    pub outliers: OutlierSettings,
    /// Bounds on the events of one shopper in one minute.
    pub rates: RateSettings,
    /// Bounds on the fresh accounts that act on one item.
    pub coordinated: CoordinatedSettings,
    /// Bounds on what published keys may leave behind.
    pub published: PublishedSettings,
    /// Weights of types by name: custom types that are accepted, and new weights for built-in ones.
    pub types: BTreeMap<Box<str>, f32>,
    /// Further names of types, in addition to the built-in aliases such as `buy` for `purchase`.
    pub aliases: BTreeMap<Box<str>, Box<str>>,
    /// Most items that only events name and the catalogue does not describe; events about further ones are refused.
    pub max_unknown_items: u64,
    /// A pattern that an item's id must match; `None` accepts every id.
    pub item_pattern: Option<Box<str>>,
    /// The language of an item's texts where it has them in several and names none as its own, as a tag such as `de`;
    /// `None` is the language of searches.
    pub language: Option<Box<str>>,
}

/// When a number is an outlier among all others of its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierSettings {
    /// What happens to an outlier.
    pub action: OutlierAction,
    /// Number of observations before the rule applies.
    pub min_observations: u64,
    /// The bound, as a multiple of the 99.9 % quantile.
    pub factor: f32,
}

/// What happens to an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutlierAction {
    /// Nothing: the rule is off.
    Off,
    /// It is reduced to the bound, as a repair.
    Clamp,
    /// The event is quarantined.
    Quarantine,
}

/// Most events of one shopper in one minute of event time, by class of event; 0 turns a bound off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// Views, clicks, searches, ratings and similar; the default of ten per second is more than a person can cause.
    pub actions: u32,
    /// Impressions: one page shows dozens at once.
    pub impressions: u32,
    /// Lines of purchases and returns: all lines of an order have the same time, and a wholesaler's order has hundreds
    /// of lines.
    pub basket_lines: u32,
}

/// When fresh accounts on one item are suspicious: there are many in one day, and their share is improbable for this
/// shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatedSettings {
    /// Number of fresh accounts on an item in a day before the rule applies; 0 turns it off.
    pub least: u32,
    /// Bound on the evidence, an exponent: at 25, an item of a shop without attacks exceeds it once in 7·10^10 days.
    pub evidence: f32,
}

/// Bounds on what the events of published keys may leave in memory and in the log. Any visitor of a page can send such
/// events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublishedSettings {
    /// Most guests who become known from events of published keys alone within 30 days; events of further ones are kept
    /// and have no effect.
    pub max_shoppers: u64,
    /// Most such guests that become known within an hour.
    pub new_shoppers_per_hour: u64,
    /// Most of them by events of one address; fewer where less than 256 times as many can still become known. 0 is no
    /// bound.
    pub new_shoppers_per_address: u32,
    /// Most refused records that are put into quarantine within an hour; further ones are only counted.
    pub kept_refusals_per_hour: u64,
    /// Longest refused record that is kept whole, in bytes; of a longer one the beginning is kept. The properties of an
    /// accepted event take at most as many together; further ones are left out.
    pub max_kept_bytes: usize,
    /// Whether purchases and returns have an effect. Anyone can send them with such a key, so they are kept and count
    /// for nothing, unless the shop has no backend that could report them.
    pub purchases: bool,
    /// Most sessions of one address whose events about one item have an effect within an hour. What such a session says
    /// again within the hour has an effect on its own pages alone. 0 is no bound, on neither.
    pub sessions_per_item: u32,
    /// Hours between an event and its arrival beyond which it has an effect on the pages of its own visitor alone; 0 is no
    /// bound.
    pub max_late_h: u32,
    /// Sessions of one address whose choices of an item after one search count as evidence for that search, within an hour.
    /// Further ones keep their other effects. 0 is no bound.
    pub sessions_per_query: u32,
    /// Impressions of one address that have an effect within an hour; 0 is no bound.
    pub impressions_per_address: u32,
    /// Clicks of one address that are evidence of how often what is shown is clicked, within an hour, each on another
    /// item; further ones keep their other effects. 0 is no bound, neither on clicks nor on impressions of an item.
    pub evidence_clicks_per_address: u32,
    /// Clicks of one address that are charged to one campaign within an hour; 0 is no bound.
    pub charged_clicks_per_address: u32,
    /// Events of one address by which campaigns are paced, within an hour; further ones have their other effects. 0 is no
    /// bound.
    pub paced_events_per_address: u32,
    /// Bytes that the events of one key may take in the log on a day of arrival; further events are counted and not kept.
    /// Pages that are asked for with such keys may take as many together. 0 is no bound.
    pub kept_bytes_per_day: u64,
    /// Pages with sponsored items that one address gets within an hour; further pages have none. 0 is no bound.
    pub sponsored_pages_per_address: u32,
    /// Pages in whose place for new products one may stand, or may not to be compared with the others, that one address
    /// gets within an hour; further pages have no such place. 0 is no bound.
    pub new_product_pages_per_address: u32,
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            max_id_bytes: 256,
            max_query_bytes: 1024,
            max_title_bytes: 1024,
            max_description_bytes: 64 * 1024,
            max_property_bytes: 4096,
            max_properties: 64,
            max_list: 64,
            max_ahead_s: 5 * 60,
            clamp_ahead_s: 24 * 3600,
            oldest_at: Timestamp(631_152_000_000), // 1990-01-01
            max_quantity: 100_000,
            fill_price: true,
            min_prices: 10,
            outliers: OutlierSettings::default(),
            rates: RateSettings::default(),
            coordinated: CoordinatedSettings::default(),
            published: PublishedSettings::default(),
            types: BTreeMap::new(),
            aliases: BTreeMap::new(),
            max_unknown_items: 1_000_000,
            item_pattern: None,
            language: None,
        }
    }
}

impl Default for OutlierSettings {
    fn default() -> Self {
        Self { action: OutlierAction::Quarantine, min_observations: 1000, factor: 1000.0 }
    }
}

impl Default for CoordinatedSettings {
    fn default() -> Self {
        Self { least: 20, evidence: 25.0 }
    }
}

impl Default for PublishedSettings {
    fn default() -> Self {
        Self {
            max_shoppers: 500_000,
            new_shoppers_per_hour: 50_000,
            new_shoppers_per_address: 1_000,
            kept_refusals_per_hour: 1_000,
            max_kept_bytes: 2_048,
            purchases: false,
            sessions_per_item: 30,
            max_late_h: 24,
            sessions_per_query: 3,
            impressions_per_address: 2_000,
            evidence_clicks_per_address: 100,
            charged_clicks_per_address: 20,
            paced_events_per_address: 300,
            kept_bytes_per_day: 2_000_000_000,
            sponsored_pages_per_address: 1_000,
            new_product_pages_per_address: 100,
        }
    }
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { actions: 600, impressions: 6000, basket_lines: 10_000 }
    }
}

impl PublishedSettings {
    fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("published.max_kept_bytes", self.max_kept_bytes, 64..=1 << 20)?;
        // The time of an event is bounded from below by `oldest_at`, so more hours than of a century bound nothing.
        SettingFault::check("published.max_late_h", self.max_late_h, 0..=876_000)?;
        // Less than a large body takes would refuse the first batch of a day.
        let (bytes, least) = (self.kept_bytes_per_day, 1 << 20);
        if bytes > 0 && bytes < least {
            let expected = "0, which is no bound, or at least 1048576";
            return Err(SettingFault::new("published.kept_bytes_per_day", bytes, expected));
        }
        Ok(())
    }
}

impl CheckSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        // The ids that this crate derives have 26 bytes; the keys of the log limit the length from above.
        SettingFault::check("max_id_bytes", self.max_id_bytes, 32..=4096)?;
        SettingFault::check("max_query_bytes", self.max_query_bytes, 16..=1 << 16)?;
        SettingFault::check("max_title_bytes", self.max_title_bytes, 16..=1 << 16)?;
        SettingFault::check("max_description_bytes", self.max_description_bytes, 16..=1 << 20)?;
        SettingFault::check("max_property_bytes", self.max_property_bytes, 16..=1 << 20)?;
        SettingFault::check("max_properties", self.max_properties, 0..=4096)?;
        SettingFault::check("max_list", self.max_list, 1..=4096)?;
        SettingFault::check("max_quantity", self.max_quantity, 1..)?;
        if self.clamp_ahead_s < self.max_ahead_s {
            return Err(SettingFault::new("clamp_ahead_s", self.clamp_ahead_s, "at least `max_ahead_s`"));
        }
        SettingFault::check("outliers.min_observations", self.outliers.min_observations, 1..)?;
        SettingFault::check("outliers.factor", self.outliers.factor, 1.0..=1e9)?;
        SettingFault::check("coordinated.evidence", self.coordinated.evidence, 1.0..=1e6)?;
        self.published.validate()?;
        for (name, weight) in &self.types {
            let key = format!("types.{name}");
            if !is_type_name(name) {
                return Err(SettingFault::new(key, weight, "named with 1 to 64 lower-case letters, digits or `_`"));
            }
            SettingFault::check(&key, *weight, -100.0..=100.0)?;
        }
        for (alias, target) in &self.aliases {
            if built_in_type(target).is_none() && !self.types.contains_key(target) {
                let expected = "a built-in event type or one that `types` names";
                return Err(SettingFault::new(format!("aliases.{alias}"), target, expected));
            }
        }
        self.item_regex().map(drop)
    }

    /// The compiled `item_pattern`.
    pub(crate) fn item_regex(&self) -> Result<Option<Regex>, SettingFault> {
        let Some(pattern) = &self.item_pattern else { return Ok(None) };
        let fault = |error| SettingFault::new("item_pattern", pattern, format!("a regular expression ({error})"));
        Regex::new(pattern).map(Some).map_err(fault)
    }

    /// How strongly an event of this type indicates that the shopper likes the item: the settings' weight, else the
    /// default.
    pub fn weight(&self, event_type: &EventType) -> f32 {
        self.types.get(event_type.name()).copied().unwrap_or_else(|| default_weight(event_type))
    }
}

/// The default weight of an event type: how strongly it indicates that the shopper likes the item.
pub fn default_weight(event_type: &EventType) -> f32 {
    match event_type {
        EventType::Impression | EventType::Search => 0.0,
        EventType::View | EventType::Click | EventType::Custom(_) | EventType::Rating => 1.0,
        EventType::Favorite => 2.0,
        EventType::Cart => 3.0,
        EventType::Purchase => 5.0,
        // It takes back its purchase: what everybody sends back is not popular.
        EventType::Return => -5.0,
        EventType::Dislike => -2.0,
    }
}

/// The built-in type of exactly this name.
pub(crate) fn built_in_type(name: &str) -> Option<EventType> {
    Some(match name {
        "impression" => EventType::Impression,
        "view" => EventType::View,
        "click" => EventType::Click,
        "favorite" => EventType::Favorite,
        "cart" => EventType::Cart,
        "purchase" => EventType::Purchase,
        "return" => EventType::Return,
        "rating" => EventType::Rating,
        "search" => EventType::Search,
        "dislike" => EventType::Dislike,
        _ => return None,
    })
}

/// The built-in type for which shops and the common tracking vocabularies also use this name, in lower case and without
/// separators: `Product Added`, `product_added` and `productAdded` are one name. The names are those of Segment and
/// RudderStack, Shopify's pixels and webhooks, Meta, GA4 and Universal Analytics, Snowplow, Pinterest, TikTok, Klaviyo,
/// Algolia, Recombee, Retailrocket and OpenSearch UBI. Names of steps that concern no item, such as a promotion, and
/// removals from a cart or list are not among them: no built-in type says what they say.
pub(crate) fn built_in_alias(name: &str) -> Option<EventType> {
    Some(match name {
        "impress" | "impressions" | "show" | "shown" | "exposure" | "viewitemlist" | "productlistviewed"
        | "viewedproductlist" | "productimpression" | "productimpressions" | "collectionviewed" | "categoryviewed"
        | "viewcategory" | "categorypageview" | "listview" | "listviewed" | "itemimpression" | "productsviewed" => {
            EventType::Impression
        }
        "pageview"
        | "detail"
        | "details"
        | "detailview"
        | "detailviewed"
        | "viewitem"
        | "productview"
        | "productviewed"
        | "viewedproduct"
        | "viewproduct"
        | "viewcontent"
        | "contentview"
        | "fbmobilecontentview"
        | "productdetail"
        | "productdetailview"
        | "productdetailviewed"
        | "productpageview"
        | "productpageviewed"
        | "detailpageview"
        | "shoppingcartpageview"
        | "itemview"
        | "itemviewed"
        | "vieweditem"
        | "viewedobjectids"
        | "viewed"
        | "pv"
        | "pageviewed"
        | "pagevisit"
        | "read"
        | "viewcart"
        | "cartviewed"
        | "viewedcart" => EventType::View,
        "selectitem"
        | "tap"
        | "clicked"
        | "productclick"
        | "productclicked"
        | "clickedproduct"
        | "itemclick"
        | "itemclicked"
        | "listclick"
        | "selectcontent"
        | "clickedobjectids"
        | "clickedobjectidsaftersearch"
        | "clickitem" => EventType::Click,
        "like"
        | "liked"
        | "fav"
        | "favorited"
        | "favourite"
        | "favourited"
        | "wishlist"
        | "addtowishlist"
        | "bookmark"
        | "star"
        | "save"
        | "saved"
        | "productaddedtowishlist"
        | "addedtowishlist"
        | "wishlistadd"
        | "wishlistproductadded"
        | "addtofavorites"
        | "addtofavourites"
        | "addedtofavorites"
        | "thumbsup"
        | "fbmobileaddtowishlist" => EventType::Favorite,
        "addtocart"
        | "addedtocart"
        | "basket"
        | "addtobasket"
        | "addedtobasket"
        | "addtobag"
        | "addedtobag"
        | "add"
        | "productadded"
        | "addedproduct"
        | "productaddedtocart"
        | "productaddtocart"
        | "cartaddition"
        | "cartadd"
        | "itemaddedtocart"
        | "wishlistproductaddedtocart"
        | "addedtocartobjectids"
        | "addedtocartobjectidsaftersearch"
        | "fbmobileaddtocart"
        | "checkoutstarted"
        | "startedcheckout"
        | "begincheckout"
        | "initiatecheckout"
        | "initiatedcheckout"
        | "fbmobileinitiatedcheckout"
        | "addpaymentinfo"
        | "addshippinginfo"
        | "paymentinfosubmitted"
        | "paymentinfoentered"
        | "fbmobileaddpaymentinfo" => EventType::Cart,
        "buy"
        | "bought"
        | "order"
        | "ordered"
        | "orders"
        | "sale"
        | "sold"
        | "transaction"
        | "transactionitem"
        | "checkout"
        | "checkoutcompleted"
        | "completedcheckout"
        | "ordercompleted"
        | "completedorder"
        | "orderplaced"
        | "placedorder"
        | "placeorder"
        | "placeanorder"
        | "orderedproduct"
        | "orderpaid"
        | "orderspaid"
        | "orderscreate"
        | "ordercreated"
        | "completepayment"
        | "purchased"
        | "productpurchased"
        | "purchasedobjectids"
        | "purchasedobjectidsaftersearch"
        | "convertedobjectids"
        | "convertedobjectidsaftersearch"
        | "fbmobilepurchase"
        | "ecommercepurchase"
        | "itempurchased"
        | "purchasecompleted"
        | "purchasecomplete" => EventType::Purchase,
        "refund" | "refunded" | "cancel" | "cancelled" | "canceled" | "cancellation" | "returned" | "orderrefunded"
        | "refundedorder" | "ordercancelled" | "ordercanceled" | "cancelledorder" | "canceledorder"
        | "orderscancelled" | "refundscreate" | "productreturned" | "orderreturned" | "ecommercerefund"
        | "purchasecancelled" | "purchasecanceled" => EventType::Return,
        "rate" | "rated" | "review" | "reviewed" | "productrated" | "productreviewed" | "fbmobilerate" => {
            EventType::Rating
        }
        "query"
        | "searched"
        | "viewsearchresults"
        | "productssearched"
        | "productsearched"
        | "searchsubmitted"
        | "searchperformed"
        | "submittedsearch"
        | "sitesearch"
        | "viewedsearchresults"
        | "fbmobilesearch" => EventType::Search,
        "hide" | "hidden" | "notinterested" | "thumbsdown" | "disliked" | "downvote" | "downvoted" | "dismiss"
        | "dismissed" | "block" | "blocked" | "reject" | "rejected" | "notforme" | "showless" | "lesslikethis"
        | "productdismissed" | "itemdismissed" => EventType::Dislike,
        _ => return None,
    })
}

fn is_type_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> CheckSettings {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn defaults_are_valid_and_accept_data_from_1997() {
        let settings = CheckSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!(settings.oldest_at, Timestamp::parse("1990-01-01T00:00:00Z").unwrap());
        assert_eq!(read(&toml::to_string(&settings).unwrap()), settings);
    }

    #[test]
    fn faults_name_the_setting() {
        let cases = [
            ("max_id_bytes = 3", "`max_id_bytes` is 3, but must be 32 to 4096"),
            ("clamp_ahead_s = 1", "`clamp_ahead_s` is 1, but must be at least `max_ahead_s`"),
            ("outliers.factor = nan", "`outliers.factor` is NaN, but must be 1 to 1000000000"),
            ("outliers.min_observations = 0", "`outliers.min_observations` is 0, but must be at least 1"),
            ("types = { 'Share It' = 1 }", "`types.Share It` is 1, but must be named with 1 to 64 lower-case letters"),
            ("types = { share = inf }", "`types.share` is inf, but must be -100 to 100"),
            ("aliases = { teilen = 'share' }", "`aliases.teilen` is share, but must be a built-in event type"),
            ("item_pattern = '('", "`item_pattern` is (, but must be a regular expression"),
        ];
        for (toml, message) in cases {
            let error = read(toml).validate().unwrap_err().to_string();
            assert!(error.contains(message), "{toml}: {error}");
        }
        assert!(toml::from_str::<CheckSettings>("max_idd_bytes = 3").is_err());
    }

    #[test]
    fn built_in_names_match_the_vocabulary() {
        for built_in in EventType::BUILT_IN {
            assert_eq!(built_in_type(built_in.name()), Some(built_in.clone()));
            assert_eq!(built_in_alias(built_in.name()), None, "{built_in}");
        }
    }

    #[test]
    fn a_weight_in_the_settings_replaces_the_default() {
        let settings = read("types = { share = 1.5, purchase = 8 }");
        assert_eq!(settings.weight(&EventType::Purchase), 8.0);
        assert_eq!(settings.weight(&EventType::from_name("share")), 1.5);
        assert_eq!(settings.weight(&EventType::View), 1.0);
    }
}
