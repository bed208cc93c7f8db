//! Quarantined records that an operator decides on: judged again under the rules of now, or dropped.

use std::collections::{BTreeSet, HashSet};

use accrue_event::{EventId, ItemId, KnownItem, Outcome, RawEvent, RawItem, RawUser, Reason, RecordKind, Rejection};
use accrue_store::{Body, CheckedEvent, Facts, Offset};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

use super::batch::{Ingested, Refused};
use super::check::{repair_codes, reserved_id, with_kind_in_code};
use super::published::{is_known, is_order};
use super::writer::Writer;
use crate::error::{EngineError, Resource};

/// A record in quarantine.
struct HeldRecord {
    kind: RecordKind,
    reason: Box<str>,
    raw: Box<str>,
}

/// The verdict on a quarantined record under the rules of now.
enum Verdict {
    /// It is taken in as this record.
    TakenIn { body: Box<Body>, repaired: bool },
    /// The log holds an event with its id.
    Known,
    /// It stays in quarantine.
    Refused(Rejection),
    /// It cannot be read, under whatever rules.
    Unreadable,
}

impl Writer {
    /// Judges quarantined records again; those that still fail stay in quarantine. A record that is named twice is
    /// released once, and so is an event that several records hold.
    pub fn release(&mut self, offsets: &[Offset]) -> Result<Ingested, EngineError> {
        let mut outcome = Ingested::default();
        let mut bodies = Vec::new();
        let (mut named, mut released) = (BTreeSet::new(), HashSet::new());
        for (index, &of) in offsets.iter().enumerate().filter(|(_, of)| named.insert(**of)) {
            let held = self.held(of)?;
            let mut refused = |reason: &str, detail: &str| {
                outcome.quarantined.push(Refused { index, reason: reason.into(), detail: detail.into() });
            };
            match self.judge_again(of, &held, &mut released)? {
                Verdict::TakenIn { body, repaired } => {
                    // A released event names the record that it releases. A description is a record like any other, so
                    // the held one is dropped.
                    let is_event = matches!(*body, Body::Released { .. });
                    bodies.push(*body);
                    if !is_event {
                        bodies.push(Body::Dropped { of });
                    }
                    *(if repaired { &mut outcome.repaired } else { &mut outcome.accepted }) += 1;
                }
                Verdict::Known => {
                    bodies.push(Body::Dropped { of });
                    outcome.duplicates += 1;
                }
                Verdict::Refused(rejection) => {
                    let rejection = with_kind_in_code(held.kind, rejection);
                    refused(rejection.reason.code(), &rejection.detail);
                }
                Verdict::Unreadable => refused(&held.reason, "it cannot be read, so no change of rules lets it in"),
            }
        }
        let n_records = bodies.len() as u64;
        let start = self.commit(self.clock.stamp(), bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    /// Drops quarantined records; returns how many. One that is named twice counts once.
    pub fn drop_quarantined(&mut self, offsets: &[Offset]) -> Result<u64, EngineError> {
        let offsets: BTreeSet<Offset> = offsets.iter().copied().collect();
        for &of in &offsets {
            self.refuse_if_not_held(of)?;
        }
        self.commit(self.clock.stamp(), offsets.iter().map(|&of| Body::Dropped { of }).collect())?;
        Ok(offsets.len() as u64)
    }

    /// `released` has the ids of the events that this request lets in.
    fn judge_again(
        &mut self,
        of: Offset,
        held: &HeldRecord,
        released: &mut HashSet<EventId>,
    ) -> Result<Verdict, EngineError> {
        Ok(match held.kind {
            RecordKind::Events => self.judge_event_again(of, held, released)?,
            RecordKind::Items => match read::<RawItem>(held) {
                None => Verdict::Unreadable,
                Some(raw) => match self.check.judge_item(&raw) {
                    Ok((item, repairs)) => {
                        Verdict::TakenIn { body: Box::new(Body::Item(Box::new(item))), repaired: !repairs.is_empty() }
                    }
                    Err(rejection) => Verdict::Refused(rejection),
                },
            },
            RecordKind::Users => match read::<RawUser>(held) {
                None => Verdict::Unreadable,
                Some(raw) => match self.check.judge_user(&raw) {
                    Ok((user, repairs)) => {
                        Verdict::TakenIn { body: Box::new(Body::User(user)), repaired: !repairs.is_empty() }
                    }
                    Err(rejection) => Verdict::Refused(rejection),
                },
            },
        })
    }

    fn judge_event_again(
        &mut self,
        of: Offset,
        held: &HeldRecord,
        released: &mut HashSet<EventId>,
    ) -> Result<Verdict, EngineError> {
        if *held.reason == *Reason::ReservedId.code() {
            return Ok(Verdict::Refused(reserved_id()));
        }
        let Some(raw) = read::<RawEvent>(held) else { return Ok(Verdict::Unreadable) };
        let (event, repairs) =
            match self.check.judge(&raw, self.clock.read().clock, |item| known_price(&self.shared.facts, item)) {
                Outcome::Accepted(event) => (event, Vec::new()),
                Outcome::Repaired(event, repairs) => (event, repairs),
                Outcome::Quarantined(rejection) => return Ok(Verdict::Refused(rejection)),
            };
        if self.log.find_event(&event.id)?.is_some() || !released.insert(event.id.clone()) {
            return Ok(Verdict::Known);
        }
        if event.id.is_published() && is_order(&event) && !self.check.settings().published.purchases {
            let detail = "a purchase or a return of a published key has no effect (check.published.purchases)";
            return Ok(Verdict::Refused(Rejection::new(Reason::Rule("published_order".into()), detail)));
        }
        let facts = self.shared.facts.read();
        let unknown = event.item.as_ref().filter(|item| facts.items.get(item.as_str()).is_none());
        if let Some(item) = unknown.filter(|item| event.id.is_published() && !is_known(&facts, item)) {
            let detail = format!("item: {item} is neither in the catalogue nor in an event of the shop's own");
            return Ok(Verdict::Refused(Rejection::new(Reason::Rule("unknown_item".into()), detail)));
        }
        let most = self.check.settings().max_unknown_items;
        if let Some(item) = unknown.filter(|_| facts.overview().n_unknown() >= most) {
            let detail = format!("item: {item} is not in the catalogue, and events name {most} such items already");
            return Ok(Verdict::Refused(Rejection::new(Reason::TooManyUnknownItems, detail)));
        }
        self.check.observe(&event, event.item.as_ref().and_then(|item| facts.known_item(item)));
        let repaired = !repairs.is_empty();
        let event = CheckedEvent { event, repairs: repair_codes(&repairs), raw: Some(held.raw.clone()) };
        Ok(Verdict::TakenIn { body: Box::new(Body::Released { of, event }), repaired })
    }

    /// A record that lies in quarantine.
    fn held(&mut self, of: Offset) -> Result<HeldRecord, EngineError> {
        self.refuse_if_not_held(of)?;
        if of < self.reader.start() {
            let message =
                format!("record {of} is too old: retention removed it from the log, so it can only be dropped");
            return Err(EngineError::Conflict { message });
        }
        match self.reader.get(of)?.map(|record| record.body) {
            Some(Body::Quarantined { kind, reason, raw, .. }) => Ok(HeldRecord { kind, reason, raw }),
            _ => Err(not_held(of)),
        }
    }

    fn refuse_if_not_held(&self, of: Offset) -> Result<(), EngineError> {
        if self.shared.facts.read().quarantine.contains_key(&of) { Ok(()) } else { Err(not_held(of)) }
    }
}

fn not_held(of: Offset) -> EngineError {
    EngineError::NotFound { what: Resource::QuarantinedRecord, id: of.to_string() }
}

/// The record, unless it was refused because it could not be read.
fn read<R: DeserializeOwned>(held: &HeldRecord) -> Option<R> {
    if *held.reason == *accrue_event::Reason::Malformed.code() {
        return None;
    }
    serde_json::from_str(&held.raw).ok()
}

/// What the check may know of an item, copied so that the facts are not locked while it judges.
fn known_price(facts: &RwLock<Facts>, item: &ItemId) -> Option<KnownItem<'static>> {
    let price = facts.read().known_item(item)?.price;
    Some(KnownItem { price, category: None })
}
