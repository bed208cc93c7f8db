//! The check of raw events: each becomes a fact, a repaired fact, or a quarantined record with a reason.
//!
//! In: a [`RawEvent`], the time of its arrival, what the catalogue knows of its item. Out: an [`Outcome`].
//! [`Check::judge`] is pure: it reads no clock and changes no state. [`Check::observe`] adds an accepted event to the
//! statistics that later verdicts depend on. Bad input is never an error of the check: a bad record gets a verdict, and
//! no other record is affected.

mod attributes;
mod availability;
mod availability_words;
mod catalogue;
mod categories;
mod coordinated;
mod histogram;
mod ids;
mod item_notes;
#[cfg(test)]
mod item_tests;
mod markup;
mod misspelt;
mod nested;
mod number;
mod persons;
mod rate;
mod removed;
mod repairs;
mod rules;
mod stated_stock;
mod statistics;
mod stock_of_places;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod usual;
mod verdict;
mod words_of_exports;

pub use availability::{is_withdrawn, says_withdrawn, truth_value};
pub use histogram::LogHistogram;
pub use ids::{clean_id, is_placeholder};
pub use item_notes::ItemNotes;
pub use misspelt::{MisspeltField, MisspeltFields};
pub use stated_stock::{StatedStock, stated_stock};
pub use statistics::{KnownItem, PublishedStatistics, RuleStatistics};
pub use verdict::{Outcome, Reason, Refusal, Rejection, Repair, RuleCounters};
pub(crate) use words_of_exports::{FALSE, TRUE};

use crate::identity::content_id;
use crate::raw::RawEvent;
use crate::{
    Attribute, CheckSettings, Event, EventId, EventType, ItemId, RawValue, SessionId, SettingFault, Timestamp, UserId,
};
pub(crate) use nested::price as nested_price;
use repairs::Repairs;
use text::Lines;
pub(crate) use text::prefix;
pub(crate) use time::{OTHER_NAMES as OTHER_NAMES_OF_TIME, read_time};

/// The rules with their settings, and the statistics of the stream so far.
///
/// ```
/// use accrue_event::{Check, CheckSettings, Outcome, RawEvent, Repair, Timestamp};
///
/// let mut check = Check::new(CheckSettings::default(), Default::default()).unwrap();
/// let raw = RawEvent::from_texts([("type", "buy"), ("user", "u1"), ("item", "sku-9"), ("price", "9.90")]);
/// let now = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
/// let Outcome::Repaired(event, repairs) = check.judge(&raw, now, |_| None) else { panic!() };
/// assert_eq!(repairs, [Repair::TypeAlias, Repair::AtFilled]);
/// check.observe(&event, None);
/// ```
#[derive(Clone, Debug)]
pub struct Check {
    settings: CheckSettings,
    item_pattern: Option<regex_lite::Regex>,
    statistics: RuleStatistics,
}

impl Check {
    /// A check with these settings, which continues from these statistics.
    ///
    /// # Errors
    /// The first fault of the settings.
    pub fn new(settings: CheckSettings, statistics: RuleStatistics) -> Result<Self, SettingFault> {
        settings.validate()?;
        let item_pattern = settings.item_regex()?;
        Ok(Self { settings, item_pattern, statistics })
    }

    /// The settings.
    pub fn settings(&self) -> &CheckSettings {
        &self.settings
    }

    /// The statistics of the stream so far: a part of the state that checkpoints store.
    pub fn statistics(&self) -> &RuleStatistics {
        &self.statistics
    }

    /// The verdict on an event that arrived at `received_at`. `known` looks an item up in the catalogue.
    ///
    /// An event without an id gets one from its content. To keep equal events of one batch apart, assign ids with
    /// [`ContentIds`](crate::ContentIds) before.
    pub fn judge<'k>(
        &self,
        raw: &RawEvent,
        received_at: Timestamp,
        known: impl Fn(&ItemId) -> Option<KnownItem<'k>>,
    ) -> Outcome {
        let mut repairs = Repairs::default();
        match self.read(raw, received_at, known, &mut repairs) {
            Err(rejection) => Outcome::Quarantined(rejection),
            Ok(event) if repairs.is_empty() => Outcome::Accepted(event),
            Ok(event) => Outcome::Repaired(event, repairs.into_vec()),
        }
    }

    /// Applies the rules that depend on the stream, rates and coordination, to an event that has passed all others.
    ///
    /// # Errors
    /// The rejection with which [`Check::judge`] would have refused the event.
    pub fn judge_in_stream(&self, event: &Event) -> Result<(), Rejection> {
        rules::bot_rate(event, &self.statistics, &self.settings)?;
        rules::coordinated(event, &self.statistics, &self.settings)
    }

    /// The id of an event, also of one that the check refuses; `None` if it cannot be read.
    pub fn event_id(&self, raw: &RawEvent) -> Option<EventId> {
        rules::id("id", &raw.id, &self.settings, &mut Repairs::default()).ok().flatten().map(EventId::new)
    }

    /// Adds an accepted event to the statistics that later verdicts depend on. `item` is what the catalogue knew of the
    /// event's item when the event arrived, so that a replay computes the same statistics.
    pub fn observe(&mut self, event: &Event, item: Option<KnownItem<'_>>) {
        self.statistics.observe(event, item);
    }

    fn read<'k>(
        &self,
        raw: &RawEvent,
        received_at: Timestamp,
        known: impl Fn(&ItemId) -> Option<KnownItem<'k>>,
        repairs: &mut Repairs,
    ) -> Result<Event, Rejection> {
        let settings = &self.settings;
        let sent = raw;
        let raw = &*usual::named_event(raw, repairs);
        let mut event_type = rules::event_type(&raw.event_type, settings, repairs)?;
        let user = rules::id("user", &raw.user, settings, repairs)?;
        let session = rules::id("session", &raw.session, settings, repairs)?;
        if user.is_none() && session.is_none() {
            return Err(Rejection::new(Reason::NoShopper, "user, session: one of them is needed"));
        }
        let item = rules::id("item", &raw.item, settings, repairs)?.map(ItemId::new);
        match &item {
            Some(item) => self.match_item(item.as_str())?,
            None if event_type == EventType::Search => {}
            None => {
                return Err(Rejection::new(Reason::NoItem, format!("item: {} needs one", with_article(&event_type))));
            }
        }
        let query = rules::free_text(&raw.query, settings.max_query_bytes, Lines::Join, repairs);
        if query.is_none() && event_type == EventType::Search {
            return Err(Rejection::new(Reason::NoQuery, "query: a search needs one"));
        }
        let id = match rules::id("id", &raw.id, settings, repairs)? {
            Some(id) => EventId::new(id),
            None => content_id(sent),
        };
        let (sent_at, other_time) = time_of(raw, repairs)?;
        let at = time::judge_at(sent_at, received_at, settings, repairs)?;
        let value = rules::value(&event_type, &raw.value, repairs)?;
        let quantity = rules::quantity(&mut event_type, &raw.quantity, settings, repairs)?;
        let item_known = item.as_ref().and_then(known);
        let price = match rules::price(&raw.price, repairs)? {
            Some(price) => Some(price),
            None => rules::fill_price(&event_type, item_known, &self.statistics, settings, repairs),
        };
        let mut event = Event {
            id,
            event_type,
            user: user.map(UserId::new),
            session: session.map(SessionId::new),
            item,
            at,
            value,
            quantity,
            price,
            query,
            source: rules::free_text(&raw.source, settings.max_id_bytes, Lines::Join, repairs),
            recommendation_id: rules::id("recommendation_id", &raw.recommendation_id, settings, repairs)?,
            position: rules::position(&raw.position, repairs),
            properties: attributes::read(
                raw.properties.iter().enumerate().filter(|(place, _)| Some(*place) != other_time).map(|(_, pair)| pair),
                settings,
                repairs,
            ),
        };
        if let Some(exact) = rules::exact_quantity(&raw.quantity) {
            event.properties.insert("exact_quantity".into(), Attribute::Number(exact));
        }
        rules::outliers(&mut event, item_known, &self.statistics, settings, repairs)?;
        self.judge_in_stream(&event)?;
        Ok(event)
    }
}

/// A type of events with its article.
fn with_article(event_type: &EventType) -> String {
    let name = event_type.to_string();
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// The time of an event as it was sent, and the place of the property that has it, if it has another name: then it is not a property.
fn time_of<'r>(raw: &'r RawEvent, repairs: &mut Repairs) -> Result<(&'r RawValue, Option<usize>), Rejection> {
    if !raw.at.is_missing() {
        return Ok((&raw.at, None));
    }
    if let Some(place) = time::other_name(&raw.properties) {
        repairs.note(Repair::TimeAlias);
        return Ok((&raw.properties[place].1, Some(place)));
    }
    time::no_time_beside(&raw.properties)?;
    Ok((&raw.at, None))
}
