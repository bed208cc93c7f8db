//! The effects that events of a published key may have. Such a key is in a page, so anyone can send events with it.
//!
//! In: its events that passed the check, and those that did not. Out: whether an event has an effect, and which refused
//! records are kept. An event about an item that neither the catalogue nor an event of the shop's own names has none,
//! so that no name of an attacker's reaches a page, the models or the memory; nor has an event of a guest beyond the
//! limits of `check.published`, one of a guest, a session or an impression too many of an address ([`super::addresses`]), or a
//! purchase or a return, which the shop's own backend reports. What a session says again within an hour, and what
//! happened long before it arrives, has an effect on the pages of its own visitor alone. The decisions are written into
//! the log, so a replay decides nothing.

use std::collections::BTreeMap;

use accrue_event::{Attribute, Event, EventType, ItemId, Outcome, RawEvent, Refusal, Repair, Timestamp, normalised};
use accrue_store::{Body, CheckedEvent, Facts, InertReason, PublishedRecord, shopper_hash, shopper_name};
use xxhash_rust::xxh3::xxh3_64;

use super::addresses::{Counted, Said};
use super::batch::{Ingested, Refused, Sender};
use super::group::NewInGroup;
use super::writer::Writer;
use crate::clock::Arrival;
use crate::error::EngineError;

/// One address may bring one in so many of the guests that can still become known, so that however long it goes on, there
/// is room for those of others.
const SHARE_OF_GUESTS: u64 = 256;
/// Properties of an event that are looked at, at most, unless more are kept: a field may be among them under another name.
const LOOKED_AT: usize = 256;
const HOUR_MS: i64 = 3_600_000;

/// On whose pages an event that has an effect has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// On everybody's.
    All,
    /// On those of its own visitor.
    OwnPages,
}

/// While the quarantine holds this many times the refused records of an hour, none of a published key is added.
const HOURS_IN_QUARANTINE: u64 = 20;

impl Writer {
    /// The record as it was sent, which is kept beside the repaired event. Of a published key it is not: nearly every
    /// event of a page is repaired, because it has no time, and would take its place on the disk twice.
    pub(super) fn kept_json(&self, raw: &RawEvent, sender: &Sender) -> Option<Box<str>> {
        (!sender.is_published()).then(|| raw.to_json().into())
    }

    /// Leaves out the properties of a published event that are beyond a bounded number or have a long name, before
    /// anything looks at them: each of them is compared with many names. Returns whether there were any.
    pub(super) fn bound_names(&self, raw: &mut RawEvent) -> bool {
        let settings = self.check.settings();
        let n_properties = raw.properties.len();
        raw.properties.truncate(settings.max_properties.max(LOOKED_AT));
        raw.properties.retain(|(name, _)| name.len() <= settings.max_id_bytes);
        raw.properties.len() < n_properties
    }

    /// An event of a published key with as many of its properties as fit into `check.published.max_kept_bytes`. `was_cut`:
    /// some were left out already.
    pub(super) fn bounded(&self, outcome: Outcome, was_cut: bool) -> Outcome {
        let (mut event, mut repairs) = match outcome {
            Outcome::Accepted(event) => (event, Vec::new()),
            Outcome::Repaired(event, repairs) => (event, repairs),
            refused @ Outcome::Quarantined(_) => return refused,
        };
        let mut room = self.check.settings().published.max_kept_bytes;
        let n_properties = event.properties.len();
        event.properties.retain(|name, value| {
            let n_bytes = name.len() + bytes_of(value);
            let fits = n_bytes <= room;
            room -= if fits { n_bytes } else { 0 };
            fits
        });
        if (was_cut || event.properties.len() < n_properties) && !repairs.contains(&Repair::PropertyDropped) {
            repairs.push(Repair::PropertyDropped);
        }
        if repairs.is_empty() { Outcome::Accepted(event) } else { Outcome::Repaired(event, repairs) }
    }

    /// Whether an event of a published key has an effect, and on whose pages; makes its shopper known to the group.
    pub(super) fn admit_published(
        &mut self,
        event: &Event,
        sender: &Sender,
        facts: &Facts,
        arrival: Arrival,
        group: &mut NewInGroup,
    ) -> Result<Reach, InertReason> {
        let received_at = arrival.stamp;
        if let Some(item) = &event.item
            && !is_known(facts, item)
            && !group.items.contains(item)
        {
            return Err(InertReason::UnknownItem);
        }
        let settings = &self.check.settings().published;
        if is_order(event) && !settings.purchases {
            return Err(InertReason::Order);
        }
        let late_ms = i64::from(settings.max_late_h) * HOUR_MS;
        // Stamps may be ahead of the clock for days after it was wrong.
        let now = arrival.clock.min(arrival.stamp);
        let is_late = late_ms > 0 && now.0.saturating_sub(event.at.0) > late_ms;
        let reach = self.admit_of_address(event, sender, received_at)?;
        self.admit_guest(event, sender, facts, received_at, group)?;
        Ok(if is_late { Reach::OwnPages } else { reach })
    }

    /// What an address may say about an item.
    fn admit_of_address(
        &mut self,
        event: &Event,
        sender: &Sender,
        received_at: Timestamp,
    ) -> Result<Reach, InertReason> {
        let settings = &self.check.settings().published;
        let (Sender::Published { address: Some(address), .. }, Some(item)) = (sender, &event.item) else {
            return Ok(Reach::All);
        };
        if event.event_type == EventType::Impression {
            let most = settings.impressions_per_address;
            let admitted = self.addresses.admit_times(Counted::Impressions, *address, received_at, most);
            return if admitted { Ok(Reach::All) } else { Err(InertReason::TooManyImpressions) };
        }
        let (most, shopper) = (settings.sessions_per_item as usize, shopper_hash(&event.shopper()));
        match self.addresses.say(*address, item.as_str(), shopper, kind_of(&event.event_type), received_at, most) {
            Said::First => Ok(Reach::All),
            Said::Again => Ok(Reach::OwnPages),
            Said::TooManySessions => Err(InertReason::TooManySessions),
        }
    }

    /// Makes the shopper of an event known to the group, if there is a place for one more guest.
    fn admit_guest(
        &mut self,
        event: &Event,
        sender: &Sender,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut NewInGroup,
    ) -> Result<(), InertReason> {
        let shopper = event.shopper();
        let name = shopper_name(&shopper);
        if facts.shopper(&shopper).is_some() || group.published.shoppers.contains(&name) {
            return Ok(());
        }
        let settings = &self.check.settings().published;
        let counts = group.published.counts(facts);
        let room = settings.max_shoppers.saturating_sub(counts.n_places(received_at));
        if room == 0 || counts.shoppers.at(received_at) >= settings.new_shoppers_per_hour {
            return Err(InertReason::TooManyShoppers);
        }
        if let (Sender::Published { address: Some(address), .. }, most @ 1..) =
            (sender, settings.new_shoppers_per_address)
        {
            let share = u32::try_from((room / SHARE_OF_GUESTS).max(1)).unwrap_or(u32::MAX);
            if !self.addresses.admit_times(Counted::Guests, *address, received_at, most.min(share)) {
                return Err(InertReason::TooManyGuestsOfAddress);
            }
        }
        counts.add_shopper(received_at);
        group.published.shoppers.insert(name);
        Ok(())
    }

    /// Notes of an event of a published key beyond those of its address by which campaigns are paced that it tells
    /// nothing about the time of day at which shoppers come.
    pub(super) fn mark_traffic(
        &mut self,
        checked: &mut CheckedEvent,
        sender: &Sender,
        facts: &Facts,
        received_at: Timestamp,
    ) {
        let Sender::Published { address: Some(address), .. } = sender else { return };
        // Without campaigns nothing is paced.
        if facts.ledger.is_untouched() || !checked.is_traffic() {
            return;
        }
        let most = self.check.settings().published.paced_events_per_address;
        if !self.addresses.admit_times(Counted::Paced, *address, received_at, most) {
            checked.repairs.push(Repair::NoTraffic.code().into());
        }
    }

    /// Notes of a click or an impression of a published key that it is no evidence of how often what is shown is clicked,
    /// if its address has said the same of the item within the hour, or has clicked more often than
    /// `check.published.evidence_clicks_per_address` says. It has its other effects.
    pub(super) fn mark_repeated(&mut self, checked: &mut CheckedEvent, sender: &Sender, received_at: Timestamp) {
        let Sender::Published { address: Some(address), .. } = sender else { return };
        let Some(item) = &checked.event.item else { return };
        let repeated = match checked.event.event_type {
            EventType::Impression => Counted::ImpressionsOf(item.as_str()),
            EventType::Click => Counted::ClicksOn(item.as_str()),
            _ => return,
        };
        let is_click = checked.event.event_type == EventType::Click;
        let most = self.check.settings().published.evidence_clicks_per_address;
        let is_evidence = most == 0
            || (self.addresses.admit_times(repeated, *address, received_at, 1)
                && (!is_click || self.addresses.admit_times(Counted::EvidenceClicks, *address, received_at, most)));
        if !is_evidence {
            checked.repairs.push(Repair::NoEvidence.code().into());
        }
    }

    /// Takes the search text from a choice of a published key if too many sessions of its address chose this item after
    /// it. The choice has its other effects; what is found first after a search is not decided by a few invented sessions.
    pub(super) fn limit_query(&mut self, event: &mut Event, sender: &Sender, received_at: Timestamp) {
        let most = self.check.settings().published.sessions_per_query as usize;
        if let (Sender::Published { address: Some(address), .. }, Some(item), Some(query)) =
            (sender, &event.item, &event.query)
            && event.event_type != EventType::Impression
        {
            let after = format!("{item}\n{}", normalised(query));
            if !self.addresses.admit(*address, &after, shopper_hash(&event.shopper()), received_at, most) {
                event.query = None;
            }
        }
    }

    /// Refuses records of a published key: as many as the hour has room for go into quarantine, cut to a bounded
    /// length, and the others are counted by reason. Returns how many were refused once before.
    pub(super) fn refuse_published(
        &self,
        mut refusals: Vec<(usize, Refusal)>,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut NewInGroup,
        outcome: &mut Ingested,
        bodies: &mut Vec<Body>,
    ) -> Result<u64, EngineError> {
        if refusals.is_empty() {
            return Ok(0);
        }
        let settings = &self.check.settings().published;
        let hourly = settings.kept_refusals_per_hour;
        let kept_before = group.published.counts(facts).kept_refusals.at(received_at);
        let in_quarantine = (facts.quarantine.len() + group.refusals.len()) as u64;
        let is_full = in_quarantine >= hourly.saturating_mul(HOURS_IN_QUARANTINE);
        let room = if is_full { 0 } else { hourly.saturating_sub(kept_before) };
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(refusals.len());
        let beyond = refusals.split_off(room);
        for (_, refusal) in &mut refusals {
            cut(&mut refusal.raw, settings.max_kept_bytes);
        }
        let n_kept = outcome.quarantined.len();
        let n_known = self.refuse(refusals, group, outcome, bodies)?;
        let kept = (outcome.quarantined.len() - n_kept) as u64;
        let mut counted: BTreeMap<Box<str>, u64> = BTreeMap::new();
        for (index, Refusal { rejection, .. }) in beyond {
            let reason = rejection.reason.code();
            *counted.entry(reason.into()).or_default() += 1;
            outcome.quarantined.push(Refused { index, reason: reason.into(), detail: rejection.detail.into() });
        }
        if kept > 0 || !counted.is_empty() {
            group.published.counts(facts).kept_refusals.add(received_at, kept);
            let counted = counted.into_iter().collect();
            bodies.push(Body::Published(Box::new(PublishedRecord::Refusals { kept, counted })));
        }
        Ok(n_known)
    }
}

/// Bytes of a value in the log, about.
fn bytes_of(value: &Attribute) -> usize {
    match value {
        Attribute::Text(text) => text.len(),
        Attribute::List(texts) => texts.iter().map(|text| text.len() + 1).sum(),
        Attribute::Number(_) | Attribute::Bool(_) => 8,
    }
}

/// The kind of an event among those that a session can say of an item once. Types of the shop's own share the kinds that
/// built-in types leave.
fn kind_of(event_type: &EventType) -> u32 {
    let n_built_in = EventType::BUILT_IN.len() as u64;
    let built_in = EventType::BUILT_IN.iter().position(|known| known == event_type);
    let of_own = || n_built_in + xxh3_64(event_type.name().as_bytes()) % (u64::from(u64::BITS) - n_built_in);
    built_in.map_or_else(of_own, |code| code as u64) as u32
}

/// Whether an event says that something was bought or sent back.
pub(super) fn is_order(event: &Event) -> bool {
    matches!(event.event_type, EventType::Purchase | EventType::Return)
}

/// The record of an event without effect, without what can be long.
pub(super) fn inert_body(mut checked: CheckedEvent, why: InertReason) -> Body {
    checked.event.properties.clear();
    checked.event.query = None;
    checked.raw = None;
    Body::Published(Box::new(PublishedRecord::Inert { event: checked, why }))
}

/// Cuts a text to at most `most` bytes, at the end of a character.
fn cut(text: &mut Box<str>, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        *text = text[..end].into();
    }
}
/// Whether an event of a published key may name the item: it is in the catalogue or in events of the shop's own, or variants
/// name it as their product, whose id is often all that a page knows.
pub(super) fn is_known(facts: &Facts, item: &ItemId) -> bool {
    facts.items.get(item.as_str()).is_some() || !facts.products.variants_of(item.as_str()).is_empty()
}
