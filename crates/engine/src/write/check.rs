//! The check of a batch: each record is judged, compared with what the log holds, and becomes a record of the log or a count.
//!
//! Verdicts depend on the batch as it was sent and on the content of the log, never on how batches were grouped.

use std::collections::{BTreeSet, HashMap, HashSet};

use accrue_event::{
    ContentIds, EventId, Outcome, RawEvent, RawItem, RawUser, Reason, RecordKind, Refusal, RefusalId, Rejection,
    Repair, Timestamp, content_hash,
};
use accrue_store::{Body, CheckedEvent, Offset};

use super::batch::{Incoming, Ingested, Refused};
use super::writer::Writer;
use crate::clock::now;
use crate::error::EngineError;

/// What this group of batches has that the log does not hold yet. Looked up only, never iterated.
#[derive(Default)]
pub(crate) struct NewInGroup {
    /// Hashes of the content, by id.
    events: HashMap<EventId, u128>,
    refusals: HashSet<RefusalId>,
}

impl Writer {
    /// Judges a batch of events, and appends its records to `bodies`. Returns their number.
    pub fn judge(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        received_at: Timestamp,
        group: &mut NewInGroup,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let before = bodies.len();
        let mut outcome = Ingested::default();
        let mut passed = Vec::with_capacity(batch.len());
        let mut refusals = Vec::new();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut ids = ContentIds::default();
        for (index, incoming) in batch.into_iter().enumerate() {
            let mut raw = match incoming {
                Incoming::Record(raw) => raw,
                Incoming::Refused(refusal) => {
                    refusals.push((index, refusal));
                    continue;
                }
            };
            ids.assign(&mut raw);
            match self.check.judge(&raw, received_at, |item| facts.known_item(item)) {
                Outcome::Accepted(event) => passed.push(CheckedEvent { event, repairs: Vec::new(), raw: None }),
                Outcome::Repaired(event, repairs) => {
                    let (repairs, raw) = (repair_codes(&repairs), Some(raw.to_json().into()));
                    passed.push(CheckedEvent { event, repairs, raw });
                }
                Outcome::Quarantined(rejection) => {
                    refusals.push((index, Refusal::of(RecordKind::Events, rejection, raw.to_json())));
                }
            }
        }
        let mut duplicates = [0; 2];
        duplicates[0] += self.refuse(refusals, group, &mut outcome, bodies)?;
        let known = self.log.find_events(passed.iter().map(|checked| &checked.event.id))?;
        for (checked, known) in passed.into_iter().zip(known) {
            let hash = content_hash(&checked.event);
            let first = match known {
                Some(offset) => self.content_at(offset)?,
                None => group.events.get(&checked.event.id).copied(),
            };
            match first {
                // If the check filled in the time, it differs each time the event is sent, so the content cannot be compared.
                Some(first) if first == hash || at_was_filled(&checked) => duplicates[0] += 1,
                Some(_) => duplicates[1] += 1,
                None => {
                    group.events.insert(checked.event.id.clone(), hash);
                    let item = checked.event.item.as_ref().and_then(|item| facts.known_item(item));
                    self.check.observe(&checked.event, item);
                    *(if checked.repairs.is_empty() { &mut outcome.accepted } else { &mut outcome.repaired }) += 1;
                    bodies.push(Body::Event(checked));
                }
            }
        }
        outcome.duplicates = duplicates[0] + duplicates[1];
        if outcome.duplicates > 0 {
            bodies.push(Body::Duplicates { same: duplicates[0], conflicting: duplicates[1] });
        }
        Ok((outcome, bodies.len() - before))
    }

    /// Takes descriptions of items in; with `sync`, retires the others.
    pub fn items(&mut self, items: Vec<Incoming<RawItem>>, sync: bool) -> Result<Ingested, EngineError> {
        let mut bodies = Vec::new();
        let mut refusals = Vec::new();
        let mut outcome = Ingested::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut listed = BTreeSet::new();
        for (index, raw) in readable(items, &mut refusals) {
            match self.check.judge_item(&raw) {
                Err(rejection) => {
                    let rejection = with_kind_in_code(RecordKind::Items, rejection);
                    refusals.push((index, Refusal::of(RecordKind::Items, rejection, raw.to_json())));
                }
                Ok((item, repairs)) => {
                    listed.insert(item.id.clone());
                    let known = facts.find(&item.id);
                    if known.is_some_and(|entry| entry.described && !entry.retired && entry.item == item) {
                        outcome.duplicates += 1;
                        continue;
                    }
                    *(if repairs.is_empty() { &mut outcome.accepted } else { &mut outcome.repaired }) += 1;
                    bodies.push(Body::Item(Box::new(item)));
                }
            }
        }
        if sync {
            let absent = facts.entries().iter().filter(|entry| !entry.retired && !listed.contains(&entry.item.id));
            bodies.extend(absent.map(|entry| Body::ItemRetired(entry.item.id.clone())));
        }
        drop(facts);
        self.finish(outcome, refusals, bodies)
    }

    /// Takes descriptions of users in.
    pub fn users(&mut self, users: Vec<Incoming<RawUser>>) -> Result<Ingested, EngineError> {
        let mut bodies = Vec::new();
        let mut refusals = Vec::new();
        let mut outcome = Ingested::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        for (index, raw) in readable(users, &mut refusals) {
            match self.check.judge_user(&raw) {
                Err(rejection) => {
                    let rejection = with_kind_in_code(RecordKind::Users, rejection);
                    refusals.push((index, Refusal::of(RecordKind::Users, rejection, raw.to_json())));
                }
                Ok((user, _)) if facts.described_user(&user.id) == Some(&user) => outcome.duplicates += 1,
                Ok((user, repairs)) => {
                    *(if repairs.is_empty() { &mut outcome.accepted } else { &mut outcome.repaired }) += 1;
                    bodies.push(Body::User(user));
                }
            }
        }
        drop(facts);
        self.finish(outcome, refusals, bodies)
    }

    /// Commits a batch of descriptions with its refusals.
    fn finish(
        &mut self,
        mut outcome: Ingested,
        mut refusals: Vec<(usize, Refusal)>,
        mut bodies: Vec<Body>,
    ) -> Result<Ingested, EngineError> {
        refusals.sort_by_key(|(index, _)| *index);
        outcome.duplicates += self.refuse(refusals, &mut NewInGroup::default(), &mut outcome, &mut bodies)?;
        let n_records = bodies.len() as u64;
        let start = self.commit(now(), bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    /// Puts refused records into quarantine. Returns how many of them were refused once before.
    fn refuse(
        &self,
        refusals: Vec<(usize, Refusal)>,
        group: &mut NewInGroup,
        outcome: &mut Ingested,
        bodies: &mut Vec<Body>,
    ) -> Result<u64, EngineError> {
        if refusals.is_empty() {
            return Ok(0);
        }
        let known = self.log.find_refusals(refusals.iter().map(|(_, refusal)| refusal.id))?;
        for ((index, refusal), known) in refusals.into_iter().zip(known) {
            let Refusal { id, kind, rejection: Rejection { reason, detail }, raw } = refusal;
            let refused = Refused { index, reason: reason.code().into(), detail: detail.clone().into() };
            if known.is_some() || !group.refusals.insert(id) {
                outcome.refused_again.push(refused);
            } else {
                outcome.quarantined.push(refused);
                bodies.push(Body::Quarantined { id, kind, reason: reason.code().into(), detail, raw });
            }
        }
        Ok(outcome.refused_again.len() as u64)
    }

    /// The hash of the content of the event at `offset`.
    fn content_at(&mut self, offset: Offset) -> Result<Option<u128>, EngineError> {
        Ok(self.reader.get(offset)?.and_then(|record| match record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => Some(content_hash(&checked.event)),
            _ => None,
        }))
    }
}

/// The records of a batch that could be read, with their indexes; the others go to `refusals`.
fn readable<R>(
    batch: Vec<Incoming<R>>,
    refusals: &mut Vec<(usize, Refusal)>,
) -> impl Iterator<Item = (usize, R)> + use<R> {
    let mut records = Vec::with_capacity(batch.len());
    for (index, incoming) in batch.into_iter().enumerate() {
        match incoming {
            Incoming::Record(raw) => records.push((index, raw)),
            Incoming::Refused(refusal) => refusals.push((index, refusal)),
        }
    }
    records.into_iter()
}

/// The rejection of an item or a user gets a code that names the kind (`item_…`, `user_…`); that of an event is
/// left as it is.
pub fn with_kind_in_code(kind: RecordKind, rejection: Rejection) -> Rejection {
    let prefix = match kind {
        RecordKind::Events => return rejection,
        RecordKind::Items => "item_",
        RecordKind::Users => "user_",
    };
    Rejection::new(Reason::Rule(format!("{prefix}{}", rejection.reason.code()).into()), rejection.detail)
}

/// Repairs as the log stores them.
pub(crate) fn repair_codes(repairs: &[Repair]) -> Vec<Box<str>> {
    repairs.iter().map(|repair| repair.code().into()).collect()
}

fn at_was_filled(checked: &CheckedEvent) -> bool {
    checked.repairs.iter().any(|code| &**code == Repair::AtFilled.code())
}
