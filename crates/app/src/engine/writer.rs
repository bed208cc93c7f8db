//! The writer: the one thread that puts records into the log.
//!
//! In: jobs from a bounded queue. Each is checked, de-duplicated, appended in a group with others, made durable, applied to the
//! facts, and only then answered. Verdicts depend on the batch as the client sent it, never on how batches were grouped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use accrue_event::{
    Check, ContentIds, EventId, ItemId, Outcome, RawEvent, RawItem, Reason, Rejection, Timestamp, content_hash,
};
use accrue_store::{Body, CheckedEvent, Facts, Log, LogReader, Offset, Record};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::{EngineError, Incoming, Ingested, Refused};

/// What the writer is asked to do.
pub(super) enum Job {
    /// Take events in.
    Events(Vec<Incoming>, Reply<Ingested>),
    /// Describe items; with `true`, retire the others.
    Items(Vec<RawItem>, bool, Reply<Ingested>),
    /// Any other edit: made into records by the facts as they stand.
    Edit(Edit, Reply<Offset>),
    /// Let quarantined records in.
    Release(Vec<Offset>, Reply<Ingested>),
    /// Give quarantined records up.
    Drop(Vec<Offset>, Reply<u64>),
    /// Stop.
    Close,
}

/// Makes records of an edit, given the facts as they stand.
pub(super) type Edit = Box<dyn FnOnce(&Facts) -> Result<Vec<Body>, EngineError> + Send>;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// Records in a group commit, at most (a single batch may be larger).
const GROUP: usize = 8_192;

/// Events judged and not yet appended, with who waits for them.
struct Pending {
    outcome: Ingested,
    n_records: usize,
    reply: Reply<Ingested>,
}

pub(super) struct Writer {
    log: Log,
    reader: LogReader,
    check: Check,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(log: Log, check: Check, shared: Arc<Shared>) -> Self {
        Self { reader: log.reader(), log, check, shared }
    }

    /// Serves the queue until told to close.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = jobs.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Events(batch, reply) => next = self.events(batch, reply, jobs),
                Job::Items(items, sync, reply) => drop(reply.send(self.items(items, sync))),
                Job::Edit(edit, reply) => drop(reply.send(self.edit(edit))),
                Job::Release(offsets, reply) => drop(reply.send(self.release(&offsets))),
                Job::Drop(offsets, reply) => drop(reply.send(self.give_up(&offsets))),
                Job::Close => return,
            }
            if next.is_none() {
                next = jobs.recv().ok();
            }
        }
    }

    /// Takes a batch and those that wait behind it into one commit; returns the job that ended the group.
    fn events(&mut self, batch: Vec<Incoming>, reply: Reply<Ingested>, jobs: &Receiver<Job>) -> Option<Job> {
        let received_at = now();
        let mut bodies = Vec::with_capacity(batch.len());
        let mut fresh = HashMap::new();
        let mut waiting = Vec::new();
        let mut next = Some((batch, reply));
        let mut ended_by = None;
        while let Some((batch, reply)) = next.take() {
            match self.judge(batch, received_at, &mut fresh, &mut bodies) {
                Ok((outcome, n_records)) => waiting.push(Pending { outcome, n_records, reply }),
                Err(error) => drop(reply.send(Err(error))),
            }
            if bodies.len() < GROUP {
                match jobs.try_recv() {
                    Ok(Job::Events(batch, reply)) => next = Some((batch, reply)),
                    Ok(other) => ended_by = Some(other),
                    Err(_) => {}
                }
            }
        }
        match self.commit(received_at, bodies) {
            Ok(start) => {
                let mut end = start;
                for pending in waiting {
                    end.0 += pending.n_records as u64;
                    drop(pending.reply.send(Ok(Ingested { offset: end.0, ..pending.outcome })));
                }
            }
            Err(error) => {
                for pending in waiting {
                    drop(pending.reply.send(Err(error.again())));
                }
            }
        }
        ended_by
    }

    /// Judges a batch; its records go to `bodies`. `fresh` holds the ids of this group, which the log does not know yet.
    fn judge(
        &mut self,
        batch: Vec<Incoming>,
        received_at: Timestamp,
        fresh: &mut HashMap<EventId, u128>,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let before = bodies.len();
        let mut outcome = Ingested::default();
        let mut passed = Vec::with_capacity(batch.len());
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut ids = ContentIds::default();
        for (index, incoming) in batch.into_iter().enumerate() {
            match incoming {
                Incoming::Refused { rejection, raw } => refuse(&mut outcome, bodies, index, rejection, raw),
                Incoming::Event(mut raw) => {
                    ids.assign(&mut raw);
                    match self.check.judge(&raw, received_at, |item| facts.known_item(item)) {
                        Outcome::Accepted(event) => passed.push(CheckedEvent { event, repairs: Vec::new(), raw: None }),
                        Outcome::Repaired(event, repairs) => passed.push(CheckedEvent {
                            event,
                            repairs: repairs.iter().map(|repair| repair.code().into()).collect(),
                            raw: Some(raw.to_json().into()),
                        }),
                        Outcome::Quarantined(rejection) => {
                            refuse(&mut outcome, bodies, index, rejection, raw.to_json().into());
                        }
                    }
                }
            }
        }
        let known = self.log.find_events(passed.iter().map(|checked| &checked.event.id))?;
        let mut duplicates = [0; 2];
        for (checked, known) in passed.into_iter().zip(known) {
            let hash = content_hash(&checked.event);
            let first = match known {
                Some(offset) => self.content_at(offset)?,
                None => fresh.get(&checked.event.id).copied(),
            };
            match first {
                // A time that the check filled in differs at each sending; the rest of the content cannot be compared then.
                Some(first) if first == hash || at_was_filled(&checked) => duplicates[0] += 1,
                Some(_) => duplicates[1] += 1,
                None => {
                    fresh.insert(checked.event.id.clone(), hash);
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

    /// The content of the event at `offset`.
    fn content_at(&mut self, offset: Offset) -> Result<Option<u128>, EngineError> {
        Ok(self.reader.get(offset)?.and_then(|record| match record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => Some(content_hash(&checked.event)),
            _ => None,
        }))
    }

    /// Appends, applies, and tells those who follow. Returns the first offset.
    fn commit(&mut self, received_at: Timestamp, bodies: Vec<Body>) -> Result<Offset, EngineError> {
        let offsets = match self.log.append(received_at, &bodies) {
            Ok(offsets) => offsets,
            Err(error) => {
                let error = EngineError::Poisoned(error.to_string());
                self.shared.poison(&error);
                return Err(error);
            }
        };
        if !bodies.is_empty() {
            let records = (offsets.start.0..).zip(bodies);
            let records = records.map(|(offset, body)| Record { offset: Offset(offset), received_at, body });
            self.shared.apply(records);
        }
        Ok(offsets.start)
    }

    fn items(&mut self, items: Vec<RawItem>, sync: bool) -> Result<Ingested, EngineError> {
        let mut outcome = Ingested::default();
        let mut bodies = Vec::new();
        let shared = self.shared.clone();
        {
            let facts = shared.facts.read();
            let mut listed = std::collections::BTreeSet::new();
            for (index, raw) in items.into_iter().enumerate() {
                match self.check.judge_item(&raw) {
                    Err(rejection) => {
                        let reason = Reason::Rule(format!("{ITEM_REASON}{}", rejection.reason.code()).into());
                        let rejection = Rejection::new(reason, rejection.detail);
                        refuse(&mut outcome, &mut bodies, index, rejection, raw.to_json().into());
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
        }
        let n_records = bodies.len() as u64;
        let start = self.commit(now(), bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    fn edit(&mut self, edit: Edit) -> Result<Offset, EngineError> {
        let bodies = edit(&self.shared.facts.read())?;
        let n_records = bodies.len() as u64;
        let start = self.commit(now(), bodies)?;
        Ok(Offset(start.0 + n_records))
    }

    /// Judges quarantined records again under the rules of now. What still fails stays where it is.
    fn release(&mut self, offsets: &[Offset]) -> Result<Ingested, EngineError> {
        let mut outcome = Ingested::default();
        let mut bodies = Vec::new();
        let received_at = now();
        for (index, &of) in offsets.iter().enumerate() {
            let (reason, raw) = self.quarantined(of)?;
            let refused = |outcome: &mut Ingested, reason: String, detail: &str| {
                outcome.quarantined.push(Refused { index, reason, detail: detail.to_string() });
            };
            if reason.starts_with(ITEM_REASON) {
                match serde_json::from_str::<RawItem>(&raw).ok().map(|raw| self.check.judge_item(&raw)) {
                    Some(Ok((item, _))) => {
                        outcome.accepted += 1;
                        bodies.extend([Body::Item(Box::new(item)), Body::Dropped { of }]);
                    }
                    Some(Err(rejection)) => refused(&mut outcome, rejection.reason.code().into(), &rejection.detail),
                    None => refused(&mut outcome, reason, "cannot be read as an item"),
                }
                continue;
            }
            let Ok(event) = serde_json::from_str::<RawEvent>(&raw) else {
                refused(&mut outcome, reason, "cannot be read as an event");
                continue;
            };
            let verdict = self.check.judge(&event, received_at, |item| self.shared.known_price(item));
            let (event, repairs) = match verdict {
                Outcome::Accepted(event) => (event, Vec::new()),
                Outcome::Repaired(event, repairs) => (event, repairs),
                Outcome::Quarantined(rejection) => {
                    refused(&mut outcome, rejection.reason.code().into(), &rejection.detail);
                    continue;
                }
            };
            if self.log.find_event(&event.id)?.is_some() {
                outcome.duplicates += 1;
                bodies.push(Body::Dropped { of });
                continue;
            }
            let repairs: Vec<Box<str>> = repairs.iter().map(|repair| repair.code().into()).collect();
            *(if repairs.is_empty() { &mut outcome.accepted } else { &mut outcome.repaired }) += 1;
            let known = event.item.clone();
            let event = CheckedEvent { event, repairs, raw: Some(raw.into()) };
            let facts = self.shared.facts.read();
            self.check.observe(&event.event, known.as_ref().and_then(|item| facts.known_item(item)));
            drop(facts);
            bodies.push(Body::Released { of, event });
        }
        let n_records = bodies.len() as u64;
        let start = self.commit(received_at, bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    fn give_up(&mut self, offsets: &[Offset]) -> Result<u64, EngineError> {
        for &of in offsets {
            self.quarantined(of)?;
        }
        self.commit(now(), offsets.iter().map(|&of| Body::Dropped { of }).collect())?;
        Ok(offsets.len() as u64)
    }

    /// Reason and text of a record that lies in quarantine.
    fn quarantined(&mut self, of: Offset) -> Result<(String, String), EngineError> {
        let unknown = || EngineError::NotFound { what: "quarantined record", id: of.to_string() };
        if !self.shared.facts.read().quarantine.contains_key(&of) {
            return Err(unknown());
        }
        match self.reader.get(of)?.ok_or_else(unknown)?.body {
            Body::Quarantined { reason, raw, .. } => Ok((reason.into(), raw.into())),
            _ => Err(unknown()),
        }
    }
}

/// What the reasons of refused items begin with, so that a release knows what it reads.
const ITEM_REASON: &str = "item_";

fn refuse(outcome: &mut Ingested, bodies: &mut Vec<Body>, index: usize, rejection: Rejection, raw: Box<str>) {
    let reason = rejection.reason.code().to_string();
    bodies.push(Body::Quarantined { reason: reason.as_str().into(), detail: rejection.detail.clone(), raw });
    outcome.quarantined.push(Refused { index, reason, detail: rejection.detail.into() });
}

fn at_was_filled(checked: &CheckedEvent) -> bool {
    checked.repairs.iter().any(|code| &**code == accrue_event::Repair::AtFilled.code())
}

/// The clock: read here and nowhere else, and only to be written down.
fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_1970.map_or(0, |since| since.as_millis() as i64))
}

impl super::shared::Shared {
    /// What the check may know of an item, copied out of the facts.
    fn known_price(&self, item: &ItemId) -> Option<accrue_event::KnownItem<'static>> {
        let price = self.facts.read().known_item(item)?.price;
        Some(accrue_event::KnownItem { price, category: None })
    }
}
