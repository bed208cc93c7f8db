//! The effects that events of a published key may have. Such a key is in a page, so anyone can send events with it.
//!
//! In: its events that passed the check, and those that did not. Out: whether an event has an effect, and which refused
//! records are kept. An event about an item that neither the catalogue nor an event of the shop's own names has none,
//! so that no name of an attacker's reaches a page, the models or the memory; nor has an event of a guest beyond the
//! limits of `check.published`, or a purchase or a return, which the shop's own backend reports. The decisions depend
//! on the settings and on the log alone and are written into it.

use std::collections::BTreeMap;

use accrue_event::{Event, EventType, RawEvent, Refusal, Timestamp};
use accrue_store::{Body, CheckedEvent, Facts, InertReason, PublishedRecord, shopper_name};

use super::batch::{Ingested, Refused, Sender};
use super::group::NewInGroup;
use super::writer::Writer;
use crate::error::EngineError;

/// While the quarantine holds this many times the refused records of an hour, none of a published key is added.
const HOURS_IN_QUARANTINE: u64 = 20;

impl Writer {
    /// The record as it was sent, where it is kept beside the repaired event: whole, or not at all.
    pub(super) fn kept_json(&self, raw: &RawEvent, sender: &Sender) -> Option<Box<str>> {
        let most = self.check.settings().published.max_kept_bytes;
        let json = raw.to_json();
        (!sender.is_published() || json.len() <= most).then(|| json.into())
    }

    /// Whether an event of a published key has an effect; makes its shopper known to the group.
    pub(super) fn admit_published(
        &self,
        event: &Event,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut NewInGroup,
    ) -> Result<(), InertReason> {
        if let Some(item) = &event.item
            && facts.items.get(item.as_str()).is_none()
            && !group.items.contains(item)
        {
            return Err(InertReason::UnknownItem);
        }
        let settings = &self.check.settings().published;
        if is_order(event) && !settings.purchases {
            return Err(InertReason::Order);
        }
        let shopper = event.shopper();
        if facts.shopper(&shopper).is_some() {
            return Ok(());
        }
        let name = shopper_name(&shopper);
        if group.published.shoppers.contains(&name) {
            return Ok(());
        }
        let counts = group.published.counts(facts);
        if counts.n_shoppers >= settings.max_shoppers
            || counts.shoppers.at(received_at) >= settings.new_shoppers_per_hour
        {
            return Err(InertReason::TooManyShoppers);
        }
        counts.add_shopper(received_at);
        group.published.shoppers.insert(name);
        Ok(())
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
